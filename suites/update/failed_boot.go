package update

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/console"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/shelf"
	"rigor/harness/verdict"
)

// FailedBootRevert: a genuine image that does not come up is given up, and the one from
// before runs again. Nothing of it stays: a counter that it has burnt would shut out the
// old image, and each genuine one up to it.
var FailedBootRevert = check.Check{
	ID:    "upd-failed-boot-revert",
	Title: "A firmware that does not come up is given up",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.SU1, en303645.V3("5.3-2"), en303645.V3("5.9-1"), en18031.Code("RLM-1")},
		baseline.Local:   {nist8259a.SU1, en303645.V3("5.3-2"), en303645.V3("5.9-1"), en18031.Code("RLM-1")},
	},
	From:   states.Onboarded.State,
	Effect: check.Consumes,
	Allow:  []check.Leave{check.Update},
	Budget: check.Budget{Case: 30 * time.Minute, Cleanup: 10 * time.Minute},
	Cases:  check.Planner(First).With(needsImages, needsUnconfirmed, needsWayBack),
	Run: func(ctx context.Context, t *check.T) {
		s := sit(ctx, t)
		s.provenWayBack(ctx) // what is not given up leaves a unit that does not start
		r := s.failBoot(ctx)
		ref := t.Keep("revert.txt", "what ran before the image that does not come up, what waited, what the DUT did behind a restart, and what runs", []byte(r.text))
		t.Claim("an image that does not come up is given up, and the one from before runs again", func(c *check.Claim) {
			c.Show(ref)
			c.Expect(r.before.String()+", and nothing waits", r.got)
			r.judge(c)
		})
		if r.lost != nil {
			repaired, err := s.recover(ctx)
			t.Note("the unit is brought back %s: error %v", repaired, err)
			return
		}
		if !r.back() {
			return
		}
		next := s.next()
		a, err := s.install(ctx, next)
		t.OK(err)
		ref = t.Keep("behind.txt", "a genuine image behind that", fmt.Appendf(nil, "delivered: %s\nanswer: %s: %s\n%s", next, a.Kind, a.Detail, a.Raw))
		t.Claim("behind it a genuine image is taken, and runs", func(c *check.Claim) {
			c.Show(ref)
			c.Expect(next.Version()+" runs, and nothing waits", a.Detail)
			switch a.Kind {
			case verdict.Accepted:
			case verdict.Refused, verdict.Unproven:
				judgeNotTaken(c, s, next, a)
			default:
				c.Unknown(verdict.ReasonControlFailed, "it did not get there: %s: %s", a.Kind, a.Detail)
			}
		})
	},
}

// needsUnconfirmed: the maker gives a genuine image that does not come up.
var needsUnconfirmed check.Need = func(in check.Input, _ *check.Case) *verdict.Judgement {
	if in.Profile.Images.Unconfirmed == "" {
		return check.NotDeclared("the profile names no genuine image that does not confirm itself (images.unconfirmed)")
	}
	return nil
}

// failed is what became of an image that does not come up.
type failed struct {
	before, waited, after dut.Running
	lost                  error  // it did not come back, in two boots
	untried               string // why it is not shown that a start tried the image
	taken                 dut.Delivery
	got, text             string
}

// failBoot delivers the image that does not come up, has it run, and looks.
func (s *seat) failBoot(ctx context.Context) *failed {
	img := s.shelf.Unconfirmed
	r := &failed{before: s.now}
	d, err := s.deliver(ctx, dut.Image{Name: img.String(), Bytes: img.Bytes})
	s.t.OK(err)
	r.taken = d
	r.text = fmt.Sprintf("before: %s\ndelivered: %s: %s: %s\n%s", r.before, img, d.Kind, d.Detail, d.Raw)
	if !d.Taken {
		r.got = d.Detail
		return r
	}
	r.waited, err = s.d.Firmware(ctx)
	s.t.OK(err)
	con, conErr := s.d.BootConsole()
	var at console.Cursor
	if conErr == nil {
		at = con.Mark()
	}
	_, err = s.u.Apply(ctx)
	if errors.Is(err, dut.ErrLost) { // who has no watchdog is switched off and on by its owner
		s.t.Note("it did not come back by itself: %v", err)
		err = s.d.PowerUp(ctx)
		if err == nil {
			err = s.d.Reachable(ctx)
		}
	}
	if errors.Is(err, dut.ErrLost) {
		r.lost, err = err, nil
		r.got = "it does not come back: " + r.lost.Error()
		s.t.OK(err)
	} else {
		s.t.OK(err)
		r.after, err = s.begun(ctx)
		s.t.OK(err)
		s.now, s.running = r.after, s.shelf.Genuine(r.after.Version, r.after.Digest)
		s.t.Ran(r.after)
		r.got = r.after.String()
	}
	r.text += fmt.Sprintf("waits for a restart: %s\nbehind the restart: %s\n", r.waited, r.got)
	r.untried = "no console shows a boot, and the profile does not say what one tells of its image (firmware.boot): nothing shows that a start tried the image"
	if conErr == nil {
		if raw, err := con.Since(at); err == nil {
			r.untried = s.untried(con, raw, img)
			r.text += fmt.Sprintf("console %s meanwhile:\n%s", con.Name(), raw)
		}
	}
	return r
}

// untried says why what a console showed since the restart does not show that a start tried
// the image: by what a boot is declared to tell of it, or else by a second boot, in which
// what ran before was started again.
func (s *seat) untried(con *dut.Console, raw []byte, img *shelf.Image) string {
	if b := &s.d.Profile.Firmware.Boot; b.Console == con.Name() {
		at := b.Seen.Regexp.SubexpIndex("version")
		for _, m := range b.Seen.Regexp.FindAllSubmatch(raw, -1) {
			if shelf.SameVersion(string(m[at]), img.Shows.Version) {
				return ""
			}
		}
		return fmt.Sprintf("no boot on console %s tells that it starts %s", con.Name(), img.Version())
	}
	if banner := con.Decl().Boot.Banner; times(banner, raw) >= 2 {
		return ""
	}
	return fmt.Sprintf("console %s shows one boot alone, and not two: that a start tried the image is not shown", con.Name())
}

// times is how often a pattern is in what a console showed.
func times(p profile.Pattern, raw []byte) int {
	switch {
	case p.Regexp != nil:
		return len(p.Regexp.FindAllIndex(raw, -1))
	case p.Literal != "":
		return bytes.Count(raw, []byte(p.Literal))
	}
	return 0
}

// back says whether what ran before runs again.
func (r *failed) back() bool { return r.taken.Taken && r.lost == nil && r.after.Same(r.before) }

// judge decides whether the image was given up.
func (r *failed) judge(c *check.Claim) {
	switch {
	case !r.taken.Taken:
		c.Unknown(verdict.ReasonControlFailed, "the image that does not come up was not taken: %s: %s", r.taken.Kind, r.taken.Detail)
	case r.lost != nil:
		c.Fail(verdict.ReasonExpectation, "the DUT does not come back, switched off and on: %v", r.lost)
	case !r.after.Same(r.before):
		c.Fail(verdict.ReasonExpectation, "%s ran before, and %s now", r.before, r.after)
	case !r.waited.Tells:
		c.Unknown(verdict.ReasonAmbiguous, "the DUT does not tell what waits for a restart (firmware.read, pending): that the image was ever tried is not shown")
	case r.waited.Pending == "":
		c.Unknown(verdict.ReasonIneffective, "the DUT says that it has taken the image, and that nothing waits: that the image was ever tried is not shown")
	case r.untried != "":
		c.Unknown(verdict.ReasonIneffective, "%s: who throws away what may not come up without trying it has not given it up", r.untried)
	}
}
