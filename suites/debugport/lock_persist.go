package debugport

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/istg"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/debugport/ladder"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// What a lock has to outlast.
const (
	behindReboots = "reboot"
	behindReset   = "factory-reset"
	behindFailed  = "failed-boot"
	behindUpdate  = "update"
)

// rebootsWanted is how often the device is switched off and on.
const rebootsWanted = 2

// LockPersist: what shuts the port is there behind reboots, an update, a factory reset and a
// boot that failed. Firmware that closes the port by software does so only where its maker
// has thought of it.
var LockPersist = check.Check{
	ID:    "dbg-lock-persist",
	Title: "The debug port stays shut behind reboots, updates and resets",
	Clauses: baseline.PerChannel{
		baseline.Local: {nist8259a.LA1, nist8259a.CFG3, en303645.V3("5.6-4A"), en303645.V3("5.11-1"), en18031.Code("GEC-5"), istg.ID("PROC-AUTHZ-001")},
	},
	From:   states.Onboarded.State,
	Effect: check.Consumes,
	Allow:  attaches,
	Budget: lookTime,
	Cases:  check.Planner(persists).With(declared(""), together, outlasts),
	Run: func(ctx context.Context, t *check.T) {
		all := made(ctx, t)
		all.told(t)
		v := newSurveyor(t)
		end := v.clean(ctx)
		for i, s := range all.of("") { // what was seen before stands beside what is seen now
			v.all.list[i].Survey, v.all.list[i].best, v.all.list[i].where = s.Survey, s.best, s.where
			v.all.list[i].Looks = slices.Clone(s.Looks)
		}
		v.back(ctx)
		from := v.marks()
		v.outlast(ctx)
		v.once(ctx)
		v.back(ctx)
		end()
		for i, s := range v.all.list {
			s.kept(t, from[i])
		}
	},
}

// persists plans one case for each thing that a lock has to outlast.
func persists(check.Input) (cases []check.Case) {
	for _, ch := range []string{behindReboots, behindReset, behindFailed, behindUpdate} {
		cases = append(cases, check.Case{Channel: ch, Kind: baseline.Local})
	}
	return cases
}

// outlasts: the rig can do what the lock has to outlast, and may.
var outlasts check.Need = func(in check.Input, c *check.Case) *verdict.Judgement {
	p := in.Profile
	lacks := func(leaves ...check.Leave) *verdict.Judgement {
		for _, l := range leaves {
			if !slices.Contains(in.Allow, l) {
				return check.RigLacks("the rig file does not allow %s", l)
			}
		}
		return nil
	}
	switch c.Channel {
	case behindReset:
		if p.Reset.Declared() {
			return check.DeclaredNone(p.Reset.None.None)
		}
		if wayBetween(p, states.Onboarded.Name, states.Factory.Name) == nil || wayBetween(p, states.Factory.Name, states.Onboarded.Name) == nil {
			return check.NotDeclared("the profile has no ways from onboarded to factory and back")
		}
		return lacks(check.Reset, check.Configure)
	case behindFailed:
		con := failing(in)
		switch {
		case con == nil:
			return check.NotDeclared("the profile does not say how a boot is made to fail, on a console that the rig has (boot.fail)")
		case con.Boot.Fail.Declared():
			return check.DeclaredNone(con.Boot.Fail.None.None)
		}
	case behindUpdate:
		switch {
		case p.Updates.Declared():
			return check.DeclaredNone(p.Updates.None.None)
		case p.Images.Declared():
			return check.DeclaredNone(p.Images.None.None)
		case p.Images.Current == "" || len(p.Images.Channels) == 0 || len(p.Images.Newer) == 0:
			return check.NotDeclared("the profile does not say how the device is updated (images, updates)")
		}
		return lacks(check.Update)
	}
	return nil
}

// failing gives the console on which a boot that fails shows; nil where there is none.
func failing(in check.Input) *profile.Console {
	for _, name := range in.Profile.Consoles.Order {
		con := in.Profile.Consoles.Items[name]
		if con != nil && slices.Contains(in.Consoles, name) && (con.Boot.Fail.Given() || con.Boot.Fail.Declared()) {
			return con
		}
	}
	return nil
}

func wayBetween(p *profile.Profile, from, to string) *profile.Way {
	for i := range p.Ways {
		if p.Ways[i].From == from && p.Ways[i].To == to {
			return &p.Ways[i]
		}
	}
	return nil
}

// outlast does what the lock has to outlast, and looks behind it.
func (v *surveyor) outlast(ctx context.Context) {
	switch v.Case().Channel {
	case behindReboots:
		for n := range rebootsWanted {
			v.OK(v.d.PowerCycle(ctx))
			v.system(ctx, fmt.Sprintf("behind %d reboots", n+1))
		}
	case behindReset:
		v.walk(ctx, states.Onboarded.Name, states.Factory.Name)
		v.system(ctx, "behind a factory reset")
		v.OK(v.d.PowerCycle(ctx))
		v.system(ctx, "behind a factory reset and a reboot")
		v.OK(v.d.PowerCycle(ctx))
		v.walk(ctx, states.Factory.Name, states.Onboarded.Name)
	case behindFailed:
		v.failed(ctx)
	case behindUpdate:
		v.updated(ctx)
	}
}

// walk goes a declared way.
func (v *surveyor) walk(ctx context.Context, from, to string) {
	w := wayBetween(v.Profile(), from, to)
	v.OK(v.d.Walk(ctx, w, func() { v.d.In(to) }))
	v.OK(v.d.Reachable(ctx))
	if to == states.Factory.Name {
		v.d.WasReset()
	}
}

// failed makes a boot fail, and looks behind the sign of that.
func (v *surveyor) failed(ctx context.Context) {
	con, err := v.d.FailingConsole()
	v.OK(err)
	done := v.Intent(dut.IntentBootFail, "a boot was made to fail for "+v.ID(), map[string]string{"console": con.Name()})
	mended := false
	v.Cleanup(func(ctx context.Context, t *check.T) {
		if !mended {
			con, err := t.Device().FailingConsole()
			t.OK(err)
			t.OK(t.Device().MendBoot(ctx, con))
		}
		done()
	})
	from, err := v.d.FailBoot(ctx, con)
	v.OK(err)
	sign, _ := dut.Pattern("the sign of a boot that failed", con.Boot().Fail.Sign)
	_, err = con.Expect(ctx, from, sign)
	v.OK(err)
	v.system(ctx, "behind a boot that failed")
	v.OK(v.d.MendBoot(ctx, con))
	mended = true
	v.system(ctx, "mended, behind a boot that failed")
}

// updated installs a newer image, and looks while it goes over, while it waits for its
// start, and behind that.
func (v *surveyor) updated(ctx context.Context) {
	shelf, err := v.d.Images()
	v.OK(err)
	now, err := v.d.Settled(ctx)
	v.OK(err)
	running := shelf.Genuine(now.Version, now.Digest)
	if running == nil {
		v.Inconclusive(verdict.ReasonPrecondition, "the device runs %s, which is none of the maker's images", now)
	}
	newer := shelf.Newer(running.Rank)
	if len(newer) == 0 {
		v.Inconclusive(verdict.ReasonCoverageGap, "the maker gives no image that is newer than %s", now.Version)
	}
	img := newer[0]
	for _, n := range newer { // one that can be gone back from
		if n.Shows.Counter == running.Shows.Counter {
			img = n
			break
		}
	}
	u := v.d.Update(v.Profile().Images.Channels[0])
	var d dut.Delivery
	v.while(ctx, "while an update goes over", func(ctx context.Context) (err error) {
		d, err = u.Deliver(ctx, dut.Image{Name: img.String(), Bytes: img.Bytes})
		return err
	})
	if !d.Taken {
		v.Inconclusive(verdict.ReasonControlFailed, "a genuine image was not taken: %s: %s", d.Kind, d.Detail)
	}
	v.system(ctx, "with an update that waits for its start")
	_, err = u.Apply(ctx) // how open a start is, the survey has seen
	v.OK(err)
	now, err = v.d.Settled(ctx)
	v.OK(err)
	if shelf.Genuine(now.Version, now.Digest) != img {
		v.Inconclusive(verdict.ReasonControlFailed, "behind the update the device runs %s", now)
	}
	v.system(ctx, "behind an update")
	if len(v.Profile().Images.ReturnTo.Steps) == 0 {
		return
	}
	if err := v.d.ReturnTo(ctx); err != nil {
		if check.Judge(err).Verdict == verdict.Error {
			v.OK(err)
		}
		v.Note("back to the version before: %v; it runs %s", err, img)
	}
}

// kept claims that a port is shut behind what was done as it was before, by the looks from
// one on.
func (s *survey) kept(t *check.T, from int) {
	first := s.Looks[from].Phase
	news := map[*ladder.Look]bool{}
	for i := from; i < len(s.Looks); i++ {
		news[&s.Looks[i]] = !strings.HasSuffix(s.Looks[i].Phase, again) // that is the control
	}
	pick := func(l *ladder.Look) bool { return news[l] }
	olds := func(l *ladder.Look) bool { _, is := news[l]; return !is } // in whatever phase
	before := s.Judge(olds)
	ref := s.evidence(t, pick)
	v := s.Judge(pick)
	t.Claim("port "+s.Port+" is shut behind it as before, from "+first+" on", func(c *check.Claim) {
		c.Show(ref)
		if s.Astray != "" {
			c.Unknown(v.Reason, "%s", v.Why)
			return
		}
		c.Expect(s.allowed()+", as before: "+before.Level.String(), s.got(v))
		s.decide(c, v)
		if v.Shut && before.Shut && v.Level > before.Level {
			c.Fail(verdict.ReasonExpectation, "it was shut to %s, and is to %s behind it: %s", before.Level, v.Level, v.Why)
		}
		was := s.said(olds)
		for _, is := range s.said(pick) {
			if len(was) > 0 && !slices.Contains(was, is) {
				c.Fail(verdict.ReasonExpectation, "the lock said %v, and says %s behind it", was, is)
			}
		}
	})
}

// said gives what the registers of the lock said, each once.
func (s *survey) said(pick func(l *ladder.Look) bool) (out []string) {
	for i := range s.Looks {
		if !pick(&s.Looks[i]) {
			continue
		}
		for _, r := range s.Looks[i].Locks {
			if text := fmt.Sprintf("%s 0x%x", r.Name, r.Raw); !r.Erase && !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	slices.Sort(out)
	return out
}
