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
	part    *shelf.Part // of the image that runs
	garbage []byte      // as long as that
}

// findParts reads the slots. One of them holds the part of the image that runs, and every
// other what can be put back by its name.
func findParts(ctx context.Context, s *seat) *partSlots {
	l := &partSlots{slots: &slots{seat: s, decl: s.d.Profile.Images.Slots, who: unit(ctx, s.t), run: -1}}
	s.t.OK(s.d.FlashLeft(slotsWritten * len(l.decl.At)))
	var err error
	l.part, err = s.shelf.Part(s.running)
	s.t.OK(err)
	l.most = int64(len(l.part.Bytes))
	l.garbage = s.shelf.Garbage(&shelf.Image{Bytes: l.part.Bytes}, s.seed())
	memory, err := s.d.Memory(ctx, l.decl.Storage)
	s.t.OK(err)
	why, err := l.take(memory)
	s.t.OK(err)
	if why != "" {
		l.up(ctx)
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
func (l *partSlots) forge(ctx context.Context) []*mutant.Mutant {
	set, err := l.shelf.PartMutants(l.part, l.seed())
	l.t.OK(err)
	var m made
	for _, r := range set.Of(mutant.Unsigned, mutant.WrongKey) {
		if r.Unmade != "" {
			m.unmade = append(m.unmade, r.Name+": "+r.Unmade)
			continue
		}
		x, err := r.Make()
		l.t.OK(err)
		switch {
		case x.Lacks != mutant.Authenticity || !x.Proof.Unsigned.Accepts:
		case int64(x.Len()) > l.room():
			m.unmade = append(m.unmade, fmt.Sprintf("%s: its %d bytes are more than a slot has", x.Name, x.Len()))
		default:
			m.refused = append(m.refused, x)
			l.most = max(l.most, int64(x.Len()))
		}
	}
	if len(m.refused) == 0 {
		l.up(ctx)
		l.t.Inconclusive(verdict.ReasonCoverageGap, "nothing that lacks only authenticity can be made of %s, and written into a slot: %s", l.part, strings.Join(m.unmade, "; "))
	}
	l.keep(l.part, set.Shows, m)
	return m.refused
}

// only has one slot hold something, and every other nothing that could be started.
func (l *partSlots) only(b []byte) [][]byte {
	with := make([][]byte, len(l.was))
	for i := range with {
		with[i] = l.garbage
	}
	with[l.run] = b
	return with
}

// starts claims that none of them is started where no slot has anything else.
func (l *partSlots) starts(ctx context.Context, probes []*mutant.Mutant) {
	who, first := l.who, true
	check.Refute(ctx, l.t, fmt.Sprintf("%s that lacks only the maker's signature is not started from a slot", l.decl.Part), check.Negative[*mutant.Mutant]{
		Control: func(ctx context.Context) (dut.Answer, error) {
			return l.start(ctx, l.only(l.part.Bytes), 1, l.part.String())
		},
		Anti: func(ctx context.Context) (dut.Answer, error) {
			return l.start(ctx, l.only(l.garbage), loaderTries, "no image at all")
		},
		Probes: probes,
		Name:   func(m *mutant.Mutant) string { return m.Name + ": " + m.Why },
		Try: func(ctx context.Context, m *mutant.Mutant) (dut.Answer, error) {
			return l.start(ctx, l.only(m.Bytes()), loaderTries, m.Name)
		},
		Refusal: []verdict.Kind{verdict.Refused},
		Every:   1, // loaders count boots that failed, and start nothing any more
		Same: func(ctx context.Context) (string, error) {
			if first { // it is off; it was read before
				first = false
				return who, nil
			}
			return l.unitNow(ctx)
		},
	})
}

// start writes the slots, switches on and looks whether the DUT comes up, which it can from
// what was just written alone. Refused is that it shows that its boot failed.
func (l *partSlots) start(ctx context.Context, with [][]byte, tries int, what string) (a dut.Answer, err error) {
	began := time.Now()
	defer func() { a.Took = time.Since(began) }()
	l.put(ctx, with)
	start, err := l.d.StartFromOff(ctx, tries)
	a.Raw = start.Said
	switch {
	case err != nil:
	case start.Up:
		a.Kind, a.Detail = verdict.Accepted, fmt.Sprintf("it starts, and no slot holds anything but %s", what)
	case start.Failed > 0:
		a.Kind, a.Detail = verdict.Refused, fmt.Sprintf("it does not start from %s, and has shown %d times that its boot failed", what, start.Failed)
	default:
		a.Kind, a.Detail = verdict.Silent, fmt.Sprintf("it does not come up from %s, and does not show that its boot failed", what)
	}
	return a, err
}

// verifyParts is the case where a part of each package lies in a slot.
func verifyParts(ctx context.Context, s *seat) {
	l := findParts(ctx, s)
	probes := l.forge(ctx)
	wrote := [][]byte{l.garbage}
	for _, m := range probes {
		wrote = append(wrote, m.Bytes())
	}
	l.mindSlots(slices.Concat(wrote, [][]byte{l.part.Bytes}))
	l.starts(ctx, probes)
}
