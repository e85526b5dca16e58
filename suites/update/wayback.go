package update

import (
	"context"
	"errors"
	"fmt"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/verdict"
)

// wayBack is the purpose under which the way back is shown once in a run.
const wayBack = "the way back of a unit that does not start"

// provenWayBack tries the declared way back, before the first mutant that may need it:
// a genuine image goes over it and runs. The case ends where that does not work.
func (s *seat) provenWayBack(ctx context.Context) {
	over := s.d.Profile.Images.WayBack.Over
	by, ok, failed := s.t.Opened(wayBack)
	if !ok { // the channel's own bracket tells as much
		by, ok, failed = s.t.Opened(bracketOf(over))
	}
	if ok && failed == nil {
		s.t.Note("the way back over %s was shown in %s", over, by)
		return
	}
	if ok {
		s.t.Inconclusive(verdict.ReasonPrecondition, "what may leave the unit without a firmware that starts is not tried: the way back over %s did not work in %s: %v", over, by, failed)
	}
	back := *s
	back.u = s.d.Update(over)
	a, err := back.install(ctx, s.next())
	s.t.OK(err)
	s.saw(back.now)
	if a.Kind != verdict.Accepted {
		s.t.OpensNot(wayBack, errors.New(a.Detail))
		s.t.Inconclusive(verdict.ReasonPrecondition, "what may leave the unit without a firmware that starts is not tried: no genuine image gets in over %s: %s: %s", over, a.Kind, a.Detail)
	}
	s.t.Opens(wayBack)
	s.t.Note("the way back works: %s", a.Detail)
}

// recover brings a unit back that does not start behind a mutant: as the profile has it
// for each unit that does not answer, or else by the way back, and says so.
func (s *seat) recover(ctx context.Context) (repaired string, err error) {
	repaired, err = s.recovered(ctx)
	if err == nil {
		if now, err := s.look(ctx); err == nil { // else who needs it reads it
			s.t.Ran(now)
		}
	}
	return repaired, err
}

func (s *seat) recovered(ctx context.Context) (repaired string, err error) {
	err = s.d.Recover(ctx)
	over := s.d.Profile.Images.WayBack.Over
	if err == nil || over == "" || check.Judge(err).Verdict == verdict.Error {
		return "", err
	}
	u := s.d.Update(over)
	for _, img := range s.shelf.Ladder {
		d, derr := u.Deliver(ctx, dut.Image{Name: img.String(), Bytes: img.Bytes, Back: true})
		if derr != nil {
			return "", derr
		}
		if !d.Taken {
			if d.Kind == verdict.Refused {
				continue
			}
			return "", fmt.Errorf("%w: the way back over %s: %s: %s", dut.ErrLost, over, d.Kind, d.Detail)
		}
		_, err := u.Apply(ctx)
		return "by " + img.String() + " over " + over, err
	}
	return "", fmt.Errorf("%w: no genuine image is taken over %s", dut.ErrLost, over)
}
