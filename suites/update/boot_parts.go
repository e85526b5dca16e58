package update

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/firmware/mutant"
	"rigor/harness/shelf"
	"rigor/harness/verdict"
)

// partSlots are slots in which a part of each package lies. What a DUT tells of the version
// that it runs comes out of another part as a rule, so that a forged one is told by nothing
// but that it starts: no other slot holds anything then.
type partSlots struct {
	*slots
	part    *shelf.Part               // of the image that runs
	garbage []byte                    // as long as that
	probes  []*mutant.Mutant          // of it
	hollow  map[*mutant.Mutant][]byte // the same, of which nothing can run
	doubt   map[*mutant.Mutant]string // of what came up once and was not shown to be the mutant
}

// partsWritten is how often all slots are written at most where each start says something:
// a control before and behind each of three probes and the anti-control, what shows that
// a probe was started, and what they held.
const partsWritten = 12

// findParts makes the probes and reads the slots. One of them holds the part of the image
// that runs, and every other what can be put back by its name.
func findParts(ctx context.Context, s *seat) *partSlots {
	l := &partSlots{slots: &slots{seat: s, decl: s.d.Profile.Images.Slots, who: unit(ctx, s.t), run: -1}}
	s.t.OK(s.d.FlashLeft(partsWritten * len(l.decl.At)))
	var err error
	l.part, err = s.shelf.Part(s.running)
	s.t.OK(err)
	l.most = int64(len(l.part.Bytes))
	l.garbage = s.shelf.Garbage(&shelf.Image{Bytes: l.part.Bytes}, s.seed())
	l.forge() // before it is switched off
	memory, err := s.d.Memory(ctx, l.decl.Storage)
	s.t.OK(err)
	why, err := l.take(memory)
	if err != nil || why != "" {
		l.up(ctx)
	}
	s.t.OK(err)
	if why != "" {
		s.t.Inconclusive(verdict.ReasonPrecondition, "%s", why)
	}
	return l
}

// take looks what the slots hold, and says what is missing.
func (l *partSlots) take(memory []byte) (why string, err error) {
	for i, at := range l.decl.At {
		if at.Offset+at.Length > int64(len(memory)) {
			return fmt.Sprintf("the slot at %s ends behind the storage, which has %d bytes", at, len(memory)), nil
		}
		slot := memory[at.Offset : at.Offset+at.Length]
		holds := l.part
		if !bytes.HasPrefix(slot, l.part.Bytes) {
			if holds, err = l.shelf.HeldPart(slot); err != nil {
				return "", err
			}
		} else if l.run < 0 {
			l.run = i
		}
		if holds == nil {
			return fmt.Sprintf("the slot at %s does not begin with %s of an image of the maker's", at, l.decl.Part), nil
		}
		l.was, l.holds = append(l.was, bytes.Clone(slot)), append(l.holds, holds.Of)
		l.most = max(l.most, int64(len(holds.Bytes)))
	}
	if l.run < 0 {
		return fmt.Sprintf("no slot begins with %s, which runs", l.part), nil
	}
	return "", nil
}

// forge makes what lacks only authenticity of the part of what runs.
func (l *partSlots) forge() {
	set, err := l.shelf.PartMutants(l.part, l.seed())
	l.t.OK(err)
	l.hollow, l.doubt = map[*mutant.Mutant][]byte{}, map[*mutant.Mutant]string{}
	var m made
	for _, r := range set.Of(mutant.Unsigned, mutant.WrongKey) {
		if r.Unmade != "" {
			m.unmade = append(m.unmade, r.Name+": "+r.Unmade)
			continue
		}
		x, err := r.Make()
		l.t.OK(err)
		if x.Lacks != mutant.Authenticity || !x.Proof.Unsigned.Accepts {
			continue
		}
		hollow, err := l.shelf.HollowPart(x.Bytes())
		switch n := max(x.Len(), len(hollow)); {
		case err != nil: // where it is started, nothing would show that it is
			m.unmade = append(m.unmade, fmt.Sprintf("%s: %v", x.Name, err))
		case int64(n) > l.room():
			m.unmade = append(m.unmade, fmt.Sprintf("%s: its %d bytes are more than a slot has", x.Name, n))
		default:
			m.refused, l.hollow[x] = append(m.refused, x), hollow
			l.most = max(l.most, int64(n))
		}
	}
	if len(m.refused) == 0 {
		l.t.Inconclusive(verdict.ReasonCoverageGap, "nothing that lacks only authenticity can be made of %s, and written into a slot: %s", l.part, strings.Join(m.unmade, "; "))
	}
	l.keep(l.part, set.Shows, m)
	l.probes = m.refused
}

// only has the slot that runs hold something, and every other nothing that could be
// started.
func (l *partSlots) only(b []byte) [][]byte {
	with := l.every(l.garbage)
	with[l.run] = b
	return with
}

// every has all slots hold the same.
func (l *partSlots) every(b []byte) [][]byte {
	return slices.Repeat([][]byte{b}, len(l.was))
}

// starts claims that none of them is started where no slot has anything else. A loader may
// judge what lies in another slot than the one that runs in another way.
func (l *partSlots) starts(ctx context.Context) {
	who, first := l.who, true
	check.Refute(ctx, l.t, fmt.Sprintf("%s that lacks only the maker's signature is not started from a slot", l.decl.Part), check.Negative[*mutant.Mutant]{
		Control: func(ctx context.Context) (dut.Answer, error) {
			return l.start(ctx, l.only(l.part.Bytes), 1, l.part.String())
		},
		Anti: func(ctx context.Context) (dut.Answer, error) {
			a, err := l.start(ctx, l.every(l.garbage), loaderTries, "no image at all")
			if a.Kind == verdict.Accepted { // nobody can start that: it has started something else
				a.Kind, a.Detail = verdict.Unproven, "it starts, and no slot holds any image: what a slot holds is not what it starts"
			}
			return a, err
		},
		Probes:  l.probes,
		Name:    func(m *mutant.Mutant) string { return m.Name + ": " + m.Why },
		Try:     l.probe,
		Refusal: []verdict.Kind{verdict.Refused},
		Mute:    true, // loaders count boots that failed, and start nothing any more until a genuine one comes up
		Same: func(ctx context.Context) (string, error) {
			if first { // it is off; it was read before
				first = false
				return who, nil
			}
			return l.unitNow(ctx)
		},
	})
}

// hollowTries is how often a loader is let try what cannot run: more often than it had
// been let before, whatever it counts over its starts.
const hollowTries = 6 * loaderTries

// probe starts a mutant. A DUT that came up once with it in its slots is not held to refuse
// it because it did the next time.
func (l *partSlots) probe(ctx context.Context, m *mutant.Mutant) (dut.Answer, error) {
	a, err := l.start(ctx, l.every(m.Bytes()), loaderTries, m.Name)
	if err == nil && a.Kind == verdict.Accepted {
		a, err = l.isIt(ctx, m, a)
	}
	switch doubt := l.doubt[m]; {
	case a.Kind == verdict.Accepted:
	case doubt != "":
		a.Kind, a.Detail = verdict.Unproven, a.Detail+"; before, "+doubt
	case a.Kind == verdict.Unproven:
		l.doubt[m] = a.Detail
	}
	return a, err
}

// isIt shows that what came up is the mutant. A loader that refuses it may start something
// else, in which nobody has forged anything: it does so too where nothing of the mutant can
// run. Where that shows nothing at all the rig may be deaf: then the mutant comes up once
// more.
func (l *partSlots) isIt(ctx context.Context, m *mutant.Mutant, a dut.Answer) (dut.Answer, error) {
	also := func(b []byte, tries int, what string) (dut.Answer, error) {
		o, err := l.start(ctx, l.every(b), tries, what)
		a.Raw = slices.Concat(a.Raw, []byte("\n"), o.Raw)
		return o, err
	}
	hollow, err := also(l.hollow[m], hollowTries, m.Name+" with zeros for what could run")
	if err != nil {
		return a, err
	}
	if hollow.Kind == verdict.Accepted {
		a.Kind, a.Detail = verdict.Unproven, "it starts something else: "+hollow.Detail
		return a, nil
	}
	a.Detail += ", and " + hollow.Detail
	if hollow.Kind == verdict.Refused {
		return a, nil
	}
	again, err := also(m.Bytes(), loaderTries, m.Name)
	if again.Kind != verdict.Accepted {
		a.Kind = verdict.Unproven
	}
	a.Detail += ", and once more " + again.Detail
	return a, err
}

// start writes the slots, switches on and looks whether the DUT comes up, which it can from
// what was just written alone. Refused is that it shows that its boot failed. Once may be a
// start that failed whatever the slots hold: then it is switched on once more.
func (l *partSlots) start(ctx context.Context, with [][]byte, tries int, what string) (a dut.Answer, err error) {
	began := time.Now()
	defer func() { a.Took = time.Since(began) }()
	l.put(ctx, with)
	start, err := l.d.StartFromOff(ctx, tries)
	a.Raw = start.Said
	once := err == nil && !start.Up && start.Failed == 1 && tries > 1
	if once {
		l.t.OK(l.d.PowerOff(ctx))
		start, err = l.d.StartFromOff(ctx, tries)
		a.Raw = slices.Concat(a.Raw, []byte("\n"), start.Said)
	}
	switch {
	case err != nil:
	case start.Up:
		a.Kind, a.Detail = verdict.Accepted, fmt.Sprintf("it starts, and no slot holds anything but %s", what)
	case start.Failed > 0 && once:
		a.Kind, a.Detail = verdict.Refused, fmt.Sprintf("it does not start from %s, and has shown at two starts that its boot failed", what)
	case start.Failed > 0:
		a.Kind, a.Detail = verdict.Refused, fmt.Sprintf("it does not start from %s, and has shown %d times that its boot failed", what, start.Failed)
	case once:
		a.Kind, a.Detail = verdict.Silent, fmt.Sprintf("it does not come up from %s, and has shown only at one start of two that its boot failed", what)
	default:
		a.Kind, a.Detail = verdict.Silent, fmt.Sprintf("it does not come up from %s, and does not show that its boot failed", what)
	}
	return a, err
}

// verifyParts is the case where a part of each package lies in a slot.
func verifyParts(ctx context.Context, s *seat) {
	l := findParts(ctx, s)
	wrote := [][]byte{l.garbage}
	for _, m := range l.probes {
		wrote = append(wrote, m.Bytes(), l.hollow[m])
	}
	l.mindSlots(slices.Concat(wrote, [][]byte{l.part.Bytes}))
	l.starts(ctx)
}
