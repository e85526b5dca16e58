package console

import (
	"cmp"
	"context"
	"errors"
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
	hc "rigor/harness/console"
	"rigor/harness/console/expect"
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
	Budget: check.Budget{Case: 15 * time.Minute, Cleanup: 3 * time.Minute},
	Cases:  check.Planner(check.PerConsole).With(needsSilence, needsWay, check.NeedsPower),
	Run: func(ctx context.Context, t *check.T) {
		s := sit(t)
		spoke := false
		t.Cleanup(func(ctx context.Context, t *check.T) {
			if spoke { // who answers there would take the next case's keys
				t.OK(t.Device().PowerCycle(ctx))
				return
			}
			t.OK(powered(ctx, t))
		})
		boots, held := s.boots()
		check.Refute(ctx, t, "not a byte comes, in no phase and to no key", check.Negative[phase]{
			Control: s.answer, // the one thing that it is declared to answer: the wire carries both ways
			Anti:    s.off,
			Probes: append(boots, s.keyed("running, left alone", ""), s.keyed("Enter", "\r\n"), s.keyed("Ctrl-C, Ctrl-D, Ctrl-Z", "\x03\x04\x1a"),
				phase{"BREAK and h", s.listenBreak}),
			Try: func(ctx context.Context, p phase) (dut.Answer, error) {
				a, err := p.run(ctx)
				if err == nil && a.Kind.Opens() {
					spoke = true
					t.Observe("console "+s.con.Name(), "it is declared silent and speaks: "+a.Detail, contradicted(s.con.Name())...)
				}
				return a, err
			},
			Name:    func(p phase) string { return p.name },
			Refusal: []verdict.Kind{verdict.Silent}, // that it is silent is what is declared
			Same:    identity(t),
		})
		s.claimHeld(held)
	},
}

// phase is one thing that the device goes through while it is listened to.
type phase struct {
	name string
	run  func(ctx context.Context) (dut.Answer, error)
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

// edge is a switch of the supply: when it was asked for, and when it was done.
type edge struct{ from, to time.Time }

// A line that rises or falls with the supply is a byte without a bit set to a
// receiver, or one with all. How long behind the switch that is still so, and how
// many it may be: one as the line moves, one as the pin is set up. The time is that of
// our reading, which on a busy computer comes later.
const (
	edgeFor  = 250 * time.Millisecond
	edgeMost = 2
)

// noise gives how many of the first bytes are what a receiver makes of an edge of
// the supply; when gives the time of each. Whatever follows them is speech.
func noise(raw []byte, when func(i int) time.Time, edges ...edge) int {
	n := 0
	for ; n < len(raw) && n < edgeMost*len(edges); n++ {
		at := when(n)
		near := slices.ContainsFunc(edges, func(e edge) bool { return !at.Before(e.from) && !at.After(e.to.Add(edgeFor)) })
		if !near || raw[n] != 0x00 && raw[n] != 0xff {
			break
		}
	}
	return n
}

// heard says what came from a cursor on: Accepted, if anything. What a receiver
// makes of an edge of the supply is noted.
func (s *seat) heard(from hc.Cursor, edges ...edge) (dut.Answer, error) {
	raw, err := s.con.Since(from)
	if err != nil {
		return dut.Answer{}, err
	}
	if n := noise(raw, func(i int) time.Time { return s.con.When(from + hc.Cursor(i)) }, edges...); n > 0 {
		s.t.Note("% x came within %v of a switch of the supply: the edge of the line, and no speech", raw[:n], edgeFor)
		raw = raw[n:]
		from += hc.Cursor(n)
	}
	if len(raw) == 0 {
		return dut.Answer{Kind: verdict.Silent, Detail: "not a byte came"}, nil
	}
	if e, err := s.con.Excerpted(from, from+hc.Cursor(min(len(raw), 1024)), visible); err == nil {
		s.t.Excerpt(e)
	}
	return s.said(from, verdict.Accepted, "%d bytes came, the first %.40q", len(raw), raw)
}

// quiz sends keys one by one, without the one that would complete what the console
// is declared to answer.
type quiz struct {
	s    *seat
	tail string
	sent int
	left int // keys that were not sent, since they would have asked
}

func (q *quiz) send(ctx context.Context, key string) error {
	if asks := q.s.con.Decl().Answer.Send; asks != "" {
		if strings.Contains(q.tail+key, asks) {
			q.left++
			return nil
		}
		q.tail += key
		q.tail = q.tail[max(0, len(q.tail)+1-len(asks)):]
	}
	_, err := q.s.con.Send(ctx, []byte(key), hc.Blind())
	q.sent++
	return err
}

func (s *seat) listen(ctx context.Context, keys string, edges ...edge) (dut.Answer, error) {
	from := s.con.Mark()
	q := quiz{s: s}
	for _, b := range []byte(keys) {
		if err := q.send(ctx, string([]byte{b})); err != nil {
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
	return s.heard(from, edges...)
}

// keyed is a phase in which keys are typed on a device that runs.
func (s *seat) keyed(name, keys string) phase {
	return phase{name, func(ctx context.Context) (dut.Answer, error) { return s.listen(ctx, keys) }}
}

func (s *seat) listenBreak(ctx context.Context) (dut.Answer, error) {
	from := s.con.Mark()
	if err := s.con.Break(ctx, breakFor); err != nil {
		return dut.Answer{}, err
	}
	a, err := s.listen(ctx, "h")
	if err != nil || a.Kind.Opens() {
		return a, err
	}
	return s.heard(from)
}

// off is the anti-control: from a device without power nothing can come. What is
// heard then is our own wire.
func (s *seat) off(ctx context.Context) (dut.Answer, error) {
	e := edge{from: time.Now()}
	if err := s.t.Device().PowerOff(ctx); err != nil {
		return dut.Answer{}, err
	}
	e.to = time.Now()
	a, err := s.listen(ctx, "", e)
	if a.Kind.Opens() {
		a.Kind, a.Detail = verdict.Garbled, "without power: "+a.Detail
	}
	return a, err
}

// boots gives the cold boots that are listened to: one that is left alone, and
// those with the keys of con-boot-interrupt, from before the power on. Held are those
// that the profile has held back.
func (s *seat) boots() (out []phase, held []string) {
	out = []phase{{"a cold boot", func(ctx context.Context) (dut.Answer, error) { return s.coldBoot(ctx, sweep{}) }}}
	keys, held := allowed(mixed(s.con.Decl().Magic), s.con.Boot().Never)
	for _, w := range keys {
		out = append(out, phase{"a cold boot with " + w.name, func(ctx context.Context) (dut.Answer, error) { return s.coldBoot(ctx, w) }})
	}
	return out, held
}

// coldBoot listens from the moment of power to the declared end of the boot,
// which another console shows, with the keys of a sweep if it has any.
func (s *seat) coldBoot(ctx context.Context, w sweep) (dut.Answer, error) {
	d := s.t.Device()
	off := edge{from: time.Now()}
	if err := d.PowerOff(ctx); err != nil {
		return dut.Answer{}, err
	}
	off.to = time.Now()
	from := s.con.Mark()
	shown, err := d.BootConsole()
	if err != nil && !errors.Is(err, dut.ErrNotDeclared) {
		return dut.Answer{}, err
	}
	var begin hc.Cursor
	if shown != nil {
		begin = shown.Mark()
	}
	q := quiz{s: s}
	for i := 0; len(w.keys) > 0 && time.Since(off.to) < w.early; i++ {
		if err := q.send(ctx, w.keys[i%len(w.keys)]); err != nil {
			return dut.Answer{}, err
		}
		if err := d.Wait(ctx, w.every); err != nil {
			return dut.Answer{}, err
		}
	}
	before := q
	on := edge{from: time.Now()}
	if err := d.PowerOn(ctx); err != nil {
		return dut.Answer{}, err
	}
	on.to = time.Now()
	brk, err := s.throughBoot(ctx, &q, w, shown, begin, on.to)
	if err != nil {
		return dut.Answer{}, err
	}
	if len(w.keys) > 0 {
		s.t.Note("%s: %d keys from %v before to %v after the power, each at least %d times behind it%s", w.name, q.sent, w.early,
			time.Since(on.to).Round(time.Millisecond), (q.sent-before.sent)/len(w.keys), brk)
		if q.left > 0 {
			s.t.Note("%d keys were left out, which would have asked for what the console is declared to answer", q.left)
		}
	}
	if shown == nil { // nothing shows a boot but that the device answers
		err = d.Reachable(ctx)
	} else if _, err = d.Booted(ctx, shown, begin); err != nil {
		err = fmt.Errorf("while console %s was listened to: %w", s.con.Name(), err)
	}
	if err != nil {
		return dut.Answer{}, err
	}
	a, err := s.heard(from, off, on)
	if done := q.sent + q.left - before.sent - before.left; err == nil && !a.Kind.Opens() && done < len(w.keys) {
		a.Kind, a.Detail = verdict.Unproven, unsent(done, len(w.keys))
	}
	return a, err
}

// blindBoot is how long keys go on behind the power where no console shows the end
// of a boot, and none is declared.
const blindBoot = 10 * time.Second

// throughBoot sends the keys of a sweep from the power to the end of the boot, and
// says what became of its BREAK.
func (s *seat) throughBoot(ctx context.Context, q *quiz, w sweep, shown *dut.Console, begin hc.Cursor, on time.Time) (brk string, _ error) {
	if len(w.keys) == 0 {
		return "", nil
	}
	within := cmp.Or(s.con.Boot().Within, blindBoot)
	var marks []expect.Pattern
	if shown != nil {
		within = shown.Boot().Within
		if done, ok := dut.Pattern("the end of the boot", shown.Boot().Done); ok {
			marks = append(marks, done)
		}
	}
	at := begin
	for i := 0; time.Since(on) < within; i++ {
		if err := q.send(ctx, w.keys[i%len(w.keys)]); err != nil {
			return brk, err
		}
		if w.brk && brk == "" && (shown == nil || s.started(shown, begin)) {
			said, err := s.breakOnce(ctx, on)
			if err != nil {
				return brk, err
			}
			brk = ", " + said
		}
		if shown == nil {
			if err := s.t.Device().Wait(ctx, w.every); err != nil {
				return brk, err
			}
			continue
		}
		next := max(begin, shown.Mark()-overlap)
		_, err := shown.Await(ctx, at, w.every, marks...)
		if err == nil {
			return brk, nil
		}
		if !late(ctx, err) {
			return brk, err
		}
		at = next
	}
	return brk, nil
}

// overlap is how far each look at a boot begins behind the last one's end: longer
// than what it looks for.
const overlap = 1024

// started says whether the boot loader has shown itself.
func (s *seat) started(shown *dut.Console, begin hc.Cursor) bool {
	m := loaderSign(shown.Decl())
	raw, err := shown.Since(begin)
	if err != nil {
		return false
	}
	set := expect.NewSet(0, 0, m)
	_, ok := set.Feed(raw)
	return ok
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
