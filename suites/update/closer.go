package update

import (
	"context"
	"fmt"
	"slices"

	"rigor/harness/check"
	"rigor/harness/console"
	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/shelf"
	"rigor/harness/verdict"
)

// takesGenuine is the control behind the last claim of a channel's bracket. First the DUT
// starts once more: what it has refused may run then. And a genuine image is taken behind
// as many bad ones as a claim has delivered without a restart: a DUT that refuses all that
// comes behind a bad one has looked at none of them.
func takesGenuine(ctx context.Context, t *check.T) dut.Answer {
	s := sit(ctx, t)
	s.startsAgain(ctx)
	n := t.Unborne(bracketOf(s.u.Name()))
	img := s.next()
	s.bad(ctx, img, n)
	a, err := s.install(ctx, img)
	t.OK(err)
	if n > 0 && a.Kind == verdict.Accepted {
		t.Bears(bracketOf(s.u.Name()), n)
		t.Note("a genuine image is taken behind %d bad ones without a restart between, as many as were refused in a row", n)
	} else if n > 0 {
		a.Detail = fmt.Sprintf("behind %d bad images without a restart between no genuine one is taken, so that what was refused behind a bad one may never have been looked at: %s", n, a.Detail)
		_, err := s.u.Apply(ctx) // the cases behind it are not to suffer
		t.OK(err)
	}
	return a
}

// startsAgain has the DUT start once more, by its supply where the rig may switch it.
// What runs then that an earlier case delivered is a finding of that case.
func (s *seat) startsAgain(ctx context.Context) {
	in := s.t.Input()
	if in.Power && slices.Contains(in.Allow, check.Supply) {
		s.t.OK(s.d.PowerCycle(ctx))
	} else {
		_, err := s.u.Apply(ctx)
		s.t.OK(err)
	}
	now, err := s.begun(ctx)
	s.t.OK(err)
	if what := s.t.Unasked(now); what != "" {
		s.t.Note("behind one start more %s runs: that is %s", now, what)
	}
	if s.saw(now); !s.usable() {
		s.t.OK(s.back(ctx))
	}
}

// bad delivers so many bad images: the genuine one, each with another bit of it changed.
func (s *seat) bad(ctx context.Context, img *shelf.Image, n int) {
	for i := range n {
		b := slices.Clone(img.Bytes)
		b[len(b)/2+i%(len(b)/4)] ^= 1 << (i % 8)
		_, err := s.deliver(ctx, dut.Image{Name: "a genuine image with a changed bit", Bytes: b})
		s.t.OK(err)
	}
}

// restarts says whether steps switch the supply.
func restarts(ss []profile.Step) bool {
	return slices.ContainsFunc(ss, func(s profile.Step) bool { return s.Verb == "power" || restarts(s.Steps) })
}

// restart has what was delivered run, and listens to what the start tells of its image.
func (s *seat) restart(ctx context.Context) (refused string, err error) {
	return s.startedBy(ctx, s.u.Apply)
}

// startedBy is restart by another way.
func (s *seat) startedBy(ctx context.Context, by func(context.Context) (string, error)) (told string, err error) {
	s.starts = nil
	decl := &s.d.Profile.Firmware.Boot
	var con *dut.Console
	var from console.Cursor
	if decl.Console != "" {
		if con, err = s.d.Console(decl.Console); err == nil { // else it tells nothing
			from = con.Mark()
		}
	}
	told, err = by(ctx)
	if err != nil || con == nil {
		return told, err
	}
	version, digest, err := bootSays(con, from, decl)
	if err != nil {
		return told, err
	}
	s.starts = &dut.Running{Version: version, Digest: digest}
	return told, nil
}

// told gives what the last restart told of the image that it started.
func (s *seat) told() (dut.Running, bool) {
	if s.starts == nil || s.starts.Version == "" {
		return dut.Running{}, false
	}
	return *s.starts, true
}
