package console

import (
	"context"
	"fmt"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	hc "rigor/harness/console"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// needsSilence: the console is declared silent; one that is declared to speak by
// itself, by a boot or a login, has nothing to be silent about. That it answers
// when it is asked says neither.
var needsSilence = check.OfConsole(func(con *profile.Console) *verdict.Judgement {
	switch {
	case con.Silent:
		return nil
	case con.Login.Zero() && con.Shell.Zero() && con.Boot.Done.Zero() && con.Boot.Banner.Zero():
		return check.NotDeclared("the profile does not say whether the console is silent")
	}
	return check.DeclaredNone("the console is declared to speak")
})

// Silent: a console that is declared silent emits nothing, in any phase and to
// any key.
var Silent = check.Check{
	ID:    "con-silent",
	Title: "A silent console stays silent",
	Clauses: baseline.PerChannel{
		baseline.Local: {nist8259a.LA1, en303645.V3("5.6-2"), en303645.V3("5.6-4A"), en18031.Code("GEC-5")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.Supply},
	Budget: check.Budget{Case: 5 * time.Minute, Cleanup: 2 * time.Minute},
	Cases:  check.Planner(check.PerConsole).With(needsSilence, needsWay, check.NeedsPower),
	Run: func(ctx context.Context, t *check.T) {
		s := sit(t)
		t.Cleanup(func(ctx context.Context, t *check.T) { t.OK(powered(ctx, t)) })
		check.Refute(ctx, t, "not a byte comes, in no phase and to no key", check.Negative[phase]{
			Control: s.answer, // the one thing that it is declared to answer: the wire carries both ways
			Anti:    s.off,
			Probes: []phase{
				{"a cold boot", s.coldBoot, ""}, {"a cold boot with keys sent", s.coldBoot, "\r \x03\x1b"},
				{"running, left alone", s.listen, ""}, {"Enter", s.listen, "\r\n"}, {"Ctrl-C, Ctrl-D, Ctrl-Z", s.listen, "\x03\x04\x1a"},
				{"BREAK and h", s.listenBreak, "h"},
			},
			Try: func(ctx context.Context, p phase) (dut.Answer, error) {
				a, err := p.run(ctx, p.keys)
				if err == nil && a.Kind.Opens() {
					t.Observe("console "+s.con.Name(), "it is declared silent and speaks: "+a.Detail, contradicted(s.con.Name())...)
				}
				return a, err
			},
			Name:    func(p phase) string { return p.name },
			Refusal: []verdict.Kind{verdict.Silent}, // that it is silent is what is declared
			Same:    identity(t),
		})
	},
}

// phase is one thing that the device goes through while it is listened to.
type phase struct {
	name string
	run  func(ctx context.Context, keys string) (dut.Answer, error)
	keys string
}

// contradicted lists the cases that are not applicable because the console is
// declared silent.
func contradicted(name string) []string {
	var ids []string
	for _, c := range []*check.Check{&BootInterrupt, &BootFailPrompt, &SysRq, &CmdInject} {
		ids = append(ids, c.ID+"["+name+"]")
	}
	return ids
}

// How long a phase without an end of its own is listened to, and what follows a
// key: a prompt is there at once.
const (
	listenFor = 300 * time.Millisecond
	answerFor = 150 * time.Millisecond
)

// heard says what came from a cursor on: Accepted, if anything.
func (s *seat) heard(from hc.Cursor) (dut.Answer, error) {
	if s.con.Mark() == from {
		return dut.Answer{Kind: verdict.Silent, Detail: "not a byte came"}, nil
	}
	raw, err := s.con.Since(from)
	if err != nil {
		return dut.Answer{}, err
	}
	if e, err := s.con.Excerpted(from, from+hc.Cursor(min(len(raw), 1024)), visible); err == nil {
		s.t.Excerpt(e)
	}
	return s.said(from, verdict.Accepted, "%d bytes came, the first %.40q", len(raw), raw)
}

func (s *seat) listen(ctx context.Context, keys string) (dut.Answer, error) {
	from := s.con.Mark()
	for _, b := range []byte(keys) {
		if _, err := s.con.Send(ctx, []byte{b}); err != nil {
			return dut.Answer{}, err
		}
	}
	d := listenFor
	if keys != "" {
		d = answerFor
	}
	if err := s.t.Device().Wait(ctx, d); err != nil {
		return dut.Answer{}, err
	}
	return s.heard(from)
}

func (s *seat) listenBreak(ctx context.Context, keys string) (dut.Answer, error) {
	from := s.con.Mark()
	if err := s.con.Break(ctx, breakFor); err != nil {
		return dut.Answer{}, err
	}
	a, err := s.listen(ctx, keys)
	if err != nil || a.Kind.Opens() {
		return a, err
	}
	return s.heard(from)
}

// off is the anti-control: from a device without power nothing can come. What is
// heard then is our own wire.
func (s *seat) off(ctx context.Context) (dut.Answer, error) {
	if err := s.t.Device().PowerOff(ctx); err != nil {
		return dut.Answer{}, err
	}
	a, err := s.listen(ctx, "")
	if a.Kind.Opens() {
		a.Kind, a.Detail = verdict.Garbled, "without power: "+a.Detail
	}
	return a, err
}

// bootKeyEvery is the time between keys that are sent through a boot.
const bootKeyEvery = 20 * time.Millisecond

// coldBoot listens from the moment of power to the declared end of the boot,
// which another console shows.
func (s *seat) coldBoot(ctx context.Context, keys string) (dut.Answer, error) {
	d := s.t.Device()
	if err := d.PowerOff(ctx); err != nil {
		return dut.Answer{}, err
	}
	from := s.con.Mark()
	shown, showErr := d.BootConsole()
	var begin hc.Cursor
	if showErr == nil {
		begin = shown.Mark()
	}
	if err := d.PowerOn(ctx); err != nil {
		return dut.Answer{}, err
	}
	if showErr != nil { // nothing shows a boot but that the device answers
		if err := d.Reachable(ctx); err != nil {
			return dut.Answer{}, err
		}
		return s.heard(from)
	}
	for end, i := time.Now().Add(shown.Boot().Within), 0; keys != "" && time.Now().Before(end); i++ {
		if _, err := s.con.Send(ctx, []byte{keys[i%len(keys)]}); err != nil {
			return dut.Answer{}, err
		}
		if err := d.Wait(ctx, bootKeyEvery); err != nil {
			return dut.Answer{}, err
		}
		if raw, err := shown.Since(begin); err != nil || shows(shown.Boot().Done, raw) {
			break
		}
	}
	if _, err := d.Booted(ctx, shown, begin); err != nil {
		return dut.Answer{}, fmt.Errorf("while console %s was listened to: %w", s.con.Name(), err)
	}
	return s.heard(from)
}

// powered switches the device on where the case left it off.
func powered(ctx context.Context, t *check.T) error {
	ctx2, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := t.Device().ReadIdentity(ctx2); err == nil {
		return nil
	}
	return t.Device().PowerCycle(ctx)
}
