package update

import (
	"context"
	"fmt"
	"time"

	"rigor/harness/check"
	"rigor/harness/shelf"
	"rigor/harness/verdict"
)

// keptWithin is how long an image runs until a start is made that would undo one that is
// not kept: a device may first look for a while whether it goes well.
var keptWithin = []time.Duration{0, 5 * time.Second, 30 * time.Second}

// stays has the DUT start once more behind an installation, and says whether the image
// runs then. One that is undone is installed again, and given time: how much it needs, all
// further installations of the run give it.
func (s *seat) stays(ctx context.Context, img *shelf.Image) (kept bool, how string) {
	s.settling = true
	defer func() { s.settling = false }()
	for _, wait := range keptWithin {
		if wait > 0 {
			a, err := s.install(ctx, img)
			s.t.OK(err)
			if a.Kind != verdict.Accepted {
				return false, how + fmt.Sprintf("it is not installed again: %s: %s\n", a.Kind, a.Detail)
			}
			s.t.OK(s.d.Wait(ctx, wait))
		}
		_, err := s.u.Apply(ctx)
		s.t.OK(err)
		s.begin(ctx)
		how += fmt.Sprintf("it ran for %v more, and behind one more start %s\n", wait, s.now)
		if s.now.Pending == "" && shelf.Says(s.now.Version, s.now.Digest, img.Shows) {
			s.t.Settles(wait)
			return true, how
		}
	}
	s.t.Settles(0) // no time of those helps: it is not looked for again
	return false, how
}

// settle gives an image that was just installed the time that it needs until a start does
// not undo it. The first of a unit shows how long that is, where no case before has: what
// the case makes behind it are starts.
func (s *seat) settle(ctx context.Context, img *shelf.Image) error {
	switch wait, known := s.t.SettleTime(); {
	case wait > 0:
		return s.d.Wait(ctx, wait)
	case known, s.settling:
		return nil
	}
	if kept, how := s.stays(ctx, img); !kept {
		s.t.Note("behind one more start it does not run: %s", how)
	}
	return nil
}

// claimStays claims that a genuine image runs behind one more start, too: one that was tried
// and not kept is no update.
func (s *seat) claimStays(ctx context.Context, img *shelf.Image) {
	tells := s.now.Tells
	kept, how := s.stays(ctx, img)
	ref := s.t.Keep("kept.txt", "what runs behind one more start", fmt.Appendf(nil, "installed: %s\n%s", img, how))
	s.t.Claim("it runs behind one more start, too", func(c *check.Claim) {
		c.Show(ref)
		c.Expect(img.String()+" runs, and nothing waits", s.now.String())
		switch {
		case kept:
		case !tells:
			c.Unknown(verdict.ReasonAmbiguous, "%s ran, and behind one more start %s: the DUT does not tell whether it was still to be confirmed (firmware.read, pending)", img, s.now)
		case s.now.OnTrial() && shelf.Says(s.now.Version, s.now.Digest, img.Shows):
			c.Unknown(verdict.ReasonAmbiguous, "it runs behind one more start, and %v later it is still to be confirmed: %s", s.d.ConfirmTime(), s.now)
		default:
			c.Fail(verdict.ReasonExpectation, "%s ran, with nothing waiting, and %v later and behind one more start %s", img, keptWithin[len(keptWithin)-1], s.now)
		}
	})
	if !s.usable() {
		s.t.OK(s.back(ctx))
	}
}
