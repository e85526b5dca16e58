package update

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/firmware/mutant"
	"rigor/harness/shelf"
	"rigor/harness/verdict"
)

// BootVerify: the boot loader does not lean on the installer: what was written into a
// slot past it, and lacks nothing but the maker's signature, is not started, neither in
// place of the image that runs nor where no slot has a genuine one, nor by the way back
// to the version before.
var BootVerify = check.Check{
	ID:    "upd-boot-verify",
	Title: "An image that was written past the installer is not started",
	Clauses: baseline.PerChannel{
		baseline.Local: {nist8259a.SU2, en303645.V3("5.7-1"), en18031.Code("GEC-8")},
	},
	From:   states.Onboarded.State,
	Effect: check.Consumes,
	Allow:  []check.Leave{check.Update, check.Supply, check.StorageWrite},
	Budget: check.Budget{Case: 2 * time.Hour, Cleanup: 30 * time.Minute}, // a clip takes minutes for each image
	Cases:  check.Planner(inHand).With(needsInstaller, needsImages, needsSlots, check.NeedsPower),
	Run: func(ctx context.Context, t *check.T) {
		s := sitAt(ctx, t, channels(t.Profile())[0])
		if s.d.Profile.Images.Slots.Part != "" {
			verifyParts(ctx, s)
			return
		}
		l := find(ctx, s)
		f := l.forge(ctx)
		l.mindSlots(append(l.all(f), l.garbage()))
		if l.starts(ctx, f) {
			l.leadsBack(ctx, f)
		}
	},
}

// inHand plans one case for the device, about what somebody does who has it in his hands.
func inHand(check.Input) []check.Case { return []check.Case{{Kind: baseline.Local}} }

// needsSlots: it is said where the images lie, and the rig writes there.
func needsSlots(in check.Input, c *check.Case) *verdict.Judgement {
	s := in.Profile.Images.Slots
	switch {
	case s.Declared():
		return check.DeclaredNone(s.None.None)
	case len(s.At) == 0:
		return check.NotDeclared("the profile does not say where in a memory the images lie that a start chooses from (images.slots)")
	case !slices.Contains(in.Storages, s.Storage):
		return check.RigLacks("the rig has no storage %s", s.Storage)
	}
	c.Lean(dut.PartStorage(s.Storage))
	return nil
}

// needsInstaller: a genuine image gets in by the first channel, so that slots can be told
// apart.
func needsInstaller(in check.Input, c *check.Case) *verdict.Judgement {
	first := First(in)[0]
	for _, p := range first.Parts {
		c.Lean(p)
	}
	return first.Skip
}

// loaderTries is how often a loader that finds nothing to start is let try: some look less
// closely the more often they failed.
const loaderTries = 5

// slotsWritten is how often all slots are written at most: controls, probes, what shows what
// the DUT starts without any image, the way back, and what they held.
const slotsWritten = 11

// tampered is what is written into the slots at once.
type tampered struct {
	name string
	with [][]byte         // nil for what a slot held
	is   []*mutant.Mutant // those among it
}

// put has a slot hold a mutant.
func (p *tampered) put(slot int, m *mutant.Mutant) {
	p.with[slot] = m.Bytes()
	if !slices.Contains(p.is, m) {
		p.is = append(p.is, m)
	}
}

// tamper begins with what the slots held.
func (l *slots) tamper(name string) tampered {
	return tampered{name: name, with: make([][]byte, len(l.was))}
}

// forgeries are the mutants that slots are written with.
type forgeries struct {
	unsigned, foreign *mutant.Mutant // that lack only authenticity
	raised, raisedToo *mutant.Mutant // changed in what a device shows and in no hash, of the image that runs and of the other one
}

// forge makes them.
func (l *slots) forge(ctx context.Context) (f forgeries) {
	m := l.make(l.running, mutant.Unsigned, mutant.WrongKey, mutant.VersionForge)
	pick := func(m made, ok func(*mutant.Mutant) bool) *mutant.Mutant {
		for _, x := range m.refused {
			if ok(x) && x.Shows.TellsApart(l.running.Shows) && int64(x.Len()) <= l.room() {
				return x
			}
		}
		return nil
	}
	lacks := func(kinds ...mutant.Kind) func(*mutant.Mutant) bool {
		return func(x *mutant.Mutant) bool {
			return slices.Contains(kinds, x.Kind) && x.Lacks == mutant.Authenticity && x.Proof.Unsigned.Accepts
		}
	}
	changed := func(x *mutant.Mutant) bool { return x.Kind == mutant.VersionForge && x.Lacks == mutant.Integrity }
	f.unsigned, f.foreign = pick(m, lacks(mutant.Unsigned)), pick(m, lacks(mutant.WrongKey))
	if f.unsigned == nil {
		f.unsigned = f.foreign
	}
	if f.unsigned == nil {
		l.up(ctx)
		l.t.Inconclusive(verdict.ReasonCoverageGap, "nothing that lacks only authenticity can be made of %s, told from it, and written into a slot: %s", l.running, strings.Join(m.unmade, "; "))
	}
	if f.foreign == nil {
		f.foreign = f.unsigned
	}
	f.raised = pick(m, changed)
	if o := l.other(); o >= 0 {
		f.raisedToo = pick(l.make(l.holds[o], mutant.VersionForge), changed)
	}
	m = made{unmade: m.unmade}
	for _, x := range f.list() {
		if !slices.Contains(m.refused, x) {
			m.refused = append(m.refused, x)
			l.most = max(l.most, int64(x.Len()))
		}
	}
	l.keep(l.running, l.running.Shows, m)
	return f
}

// list gives those that could be made.
func (f forgeries) list() []*mutant.Mutant {
	return slices.DeleteFunc([]*mutant.Mutant{f.unsigned, f.foreign, f.raised, f.raisedToo}, func(m *mutant.Mutant) bool { return m == nil })
}

// all gives their bytes.
func (l *slots) all(f forgeries) (out [][]byte) {
	for _, m := range f.list() {
		out = append(out, m.Bytes())
	}
	return out
}

// garbage is what is no image at all.
func (l *slots) garbage() []byte { return l.shelf.Garbage(l.running, l.seed()) }

// probes are what must not be started: in the slot that runs alone, with the other image
// beside it, and in every slot, where a loader has nothing else.
func (l *slots) probes(f forgeries) []tampered {
	one := l.tamper(f.unsigned.Name + " in the slot that runs")
	one.put(l.run, f.unsigned)
	if len(l.was) == 1 {
		return []tampered{one}
	}
	first := f.raised
	if first == nil {
		first = f.unsigned
	}
	all := l.tamper(first.Name + " in the slot that runs, and " + f.foreign.Name + " in every other")
	for i := range all.with {
		if i == l.run {
			all.put(i, first)
		} else {
			all.put(i, f.foreign)
		}
	}
	return []tampered{one, all}
}

// starts claims that none of them is started.
func (l *slots) starts(ctx context.Context, f forgeries) bool {
	garbage := l.tamper("no image at all in the slot that runs")
	garbage.with[l.run] = l.garbage()
	who, first := l.who, true
	return check.Refute(ctx, l.t, "what lacks only the maker's signature is not started from a slot", check.Negative[tampered]{
		Control: l.asBefore,
		Anti:    func(ctx context.Context) (dut.Answer, error) { return l.probe(ctx, garbage) },
		Probes:  l.probes(f),
		Name:    func(p tampered) string { return p.name },
		Try:     l.probe,
		Refusal: []verdict.Kind{verdict.Refused},
		Same: func(ctx context.Context) (string, error) {
			if first { // it is off; it was read before
				first = false
				return who, nil
			}
			return l.unitNow(ctx)
		},
	})
}

// started is what a start came to.
type started struct {
	dut.Answer
	up   bool
	now  dut.Running // what runs, where it is up
	slot int         // of those before, the one that held it; -1 where none did
}

// start writes the slots, switches on and looks what runs. Accepted is that the image that
// runs was written there; Refused that a genuine image runs which stood in a slot that
// nothing was written into, or that the DUT shows that it starts nothing.
func (l *slots) start(ctx context.Context, with [][]byte, tries int) (s started, err error) {
	began := time.Now()
	defer func() { s.Took = time.Since(began) }()
	l.put(ctx, with)
	start, err := l.d.StartFromOff(ctx, tries)
	s.Raw, s.up, s.slot = start.Said, start.Up, -1
	if err != nil {
		return s, err
	}
	if !start.Up {
		s.Kind, s.Detail = verdict.Silent, fmt.Sprintf("it does not come up, and has shown %d times that its boot failed", start.Failed)
		if start.Failed > 0 && with != nil { // and no more came in the time of a boot, or the same so many times
			s.Kind = verdict.Refused
		}
		return s, nil
	}
	if s.now, err = l.look(ctx); err != nil {
		return s, err
	}
	is := l.genuine(s.now)
	s.slot = slices.Index(l.holds, is)
	s.Kind, s.Detail = verdict.Unproven, fmt.Sprintf("%s runs", s.now)
	switch {
	case is == nil:
		s.Detail += ", which is none of the maker's images"
	case s.slot < 0:
	case with == nil && s.slot == l.run:
		s.Kind, s.Detail = verdict.Accepted, fmt.Sprintf("%s was written into its slot, and runs", is)
	case with != nil && with[s.slot] == nil:
		s.Kind, s.Detail = verdict.Refused, fmt.Sprintf("%s runs, from the slot that was not touched", is)
	}
	return s, nil
}

// asBefore starts what the slots held.
func (l *slots) asBefore(ctx context.Context) (dut.Answer, error) {
	s, err := l.start(ctx, nil, 1)
	return s.Answer, err
}

// genuine gives the maker's image that runs: one whose version and digest are both told.
func (l *slots) genuine(now dut.Running) *shelf.Image {
	is := l.shelf.Genuine(now.Version, now.Digest)
	if is != nil && is.Version() != "" && !shelf.SameVersion(now.Version, is.Version()) {
		return nil
	}
	return is
}

// leadsBack claims that the owner's way back to the version before does not start what was
// changed in its slot: that image was verified once, when it came.
func (l *slots) leadsBack(ctx context.Context, f forgeries) {
	back, o := l.d.Profile.Images.ReturnTo, l.other()
	if len(back.Steps) == 0 || o < 0 || f.raisedToo == nil || l.holds[o].Shows.Counter != l.running.Shows.Counter {
		l.t.Note("whether the way back starts what was changed in its slot was not looked at: it is not declared, or leads from %s nowhere", l.running)
		return
	}
	p := l.tamper(f.raisedToo.Name)
	p.put(o, f.raisedToo)
	before, err := l.start(ctx, p.with, 1) // the one that runs is started: nothing was written into its slot
	l.t.OK(err)
	if before.Kind != verdict.Refused {
		l.t.Inconclusive(verdict.ReasonControlFailed, "with another slot changed the DUT does not start as before: %s: %s", before.Kind, before.Detail)
	}
	d, err := l.d.ReturnBelow(ctx)
	l.t.OK(err)
	now, err := l.look(ctx)
	l.t.OK(err)
	is := l.genuine(now)
	led, bad := dut.Answer{Kind: verdict.Unproven, Detail: fmt.Sprintf("%s runs", now)}, false
	if slices.Index(l.holds, is) < 0 {
		led, err = l.isIt(ctx, p, started{Answer: led, up: true, now: now, slot: -1})
		l.t.OK(err)
		bad = led.Kind == verdict.Accepted
	}
	home := dut.Answer{Kind: verdict.Unproven, Detail: "not tried"}
	if !bad {
		home = l.goneBack(ctx, o)
	}
	ref := l.t.Keep("way-back.txt", "the way back to an image that was changed in its slot, and to what the slot held", fmt.Appendf(nil,
		"in the other slot: %s (%s)\nanswer: %s: %s\n%s\n%s\n%s\nwith %s there again: %s: %s\n",
		f.raisedToo.Name, f.raisedToo.Why, d.Kind, d.Detail, led.Detail, d.Raw, led.Raw, l.holds[o], home.Kind, home.Detail))
	l.t.Claim("the way back does not start what was changed in its slot", func(c *check.Claim) {
		c.Show(ref)
		c.Expect(l.running.String()+" runs still; with the maker's image there again, that", fmt.Sprintf("%s: %s; %s; then %s", d.Kind, d.Detail, led.Detail, home.Detail))
		switch {
		case bad:
			c.Fail(verdict.ReasonAccess, "by the way back what was changed is started (%s): %s", f.raisedToo.Why, led.Detail)
		case is != l.running:
			c.Unknown(verdict.ReasonDUTChanged, "%s", led.Detail)
		case !d.Taken && d.Kind != verdict.Refused && d.Kind != verdict.Garbled:
			c.Unknown(verdict.ReasonIneffective, "it was answered with %s (%s)", d.Kind, d.Detail)
		case home.Kind != verdict.Accepted:
			c.Unknown(verdict.ReasonControlFailed, "the way back does not lead to the maker's image in that slot either: %s", home.Detail)
		}
	})
}

// goneBack has the slots hold what they held, and walks the way back.
func (l *slots) goneBack(ctx context.Context, o int) dut.Answer {
	a, err := l.asBefore(ctx)
	l.t.OK(err)
	if a.Kind != verdict.Accepted {
		return a
	}
	err = l.d.ReturnTo(ctx)
	if err != nil && check.Judge(err).Verdict == verdict.Error {
		l.t.OK(err)
	}
	now, lerr := l.look(ctx)
	l.t.OK(lerr)
	a.Kind, a.Detail = verdict.Unproven, fmt.Sprintf("%s runs (%s)", now, errText(err))
	if l.genuine(now) == l.holds[o] && now.Pending == "" {
		a.Kind, a.Detail = verdict.Accepted, fmt.Sprintf("%s runs", now)
	}
	return a
}
