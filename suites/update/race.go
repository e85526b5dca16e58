package update

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/escape"
	"rigor/harness/firmware/mutant"
	"rigor/harness/profile"
	"rigor/harness/shelf"
	"rigor/harness/verdict"
)

// overwrittenAfter is how long a copied image lies there, try by try, until another one is
// copied over it again and again: what looks at it late may find the other one before it
// has looked at all.
var overwrittenAfter = [patience]time.Duration{4 * time.Millisecond, 40 * time.Millisecond, 400 * time.Millisecond}

// raced claims that what runs is what was verified where two images come at the same time:
// a buffer, a file or a flag that both of them share is where the one stands in for the
// other. Where an image is copied first and installed then, the other one is copied over it.
func (s *seat) raced(ctx context.Context, parent *shelf.Image, forged *mutant.Mutant) {
	image := dut.Image{Name: forged.Name, Bytes: padded(forged.Bytes(), len(parent.Bytes))}
	if !s.refusedAlone(ctx, image) {
		return
	}
	before := s.now
	var d dut.Delivery
	var others []dut.Delivery
	answered := 0
	for i := range patience {
		s.mind()
		var err error
		genuine := dut.Image{Name: parent.String(), Bytes: parent.Bytes}
		if s.u.Copies() {
			d, others, err = s.u.Overwrite(ctx, genuine, image, overwrittenAfter[i])
		} else {
			d, others, err = s.u.Race(ctx, genuine, s.u, image)
		}
		s.t.OK(err)
		answered = 0
		for _, o := range others {
			answered += btoi(o.Answered())
		}
		// Either may have been taken, and is looked at; else the forged one had the
		// genuine one sent away, and it is tried again.
		if d.Taken && answered > 0 || took(others) {
			break
		}
	}
	_, err := s.u.Apply(ctx)
	s.t.OK(err)
	s.read(ctx)
	ref := s.t.Keep("raced.json", "a genuine image and a forged one that were delivered at the same time, and what ran behind a restart", s.ran(d, others, before))
	s.t.Claim("two images at a time: what runs is what the maker signed", func(c *check.Claim) {
		c.Show(ref)
		c.Expect("an image of the maker's runs", fmt.Sprintf("%d forged deliveries beside it, %d answered; %s runs", len(others), answered, s.now))
		switch {
		case s.eitherOf(parent, forged):
			c.Unknown(verdict.ReasonIneffective, "%s runs: that is what the genuine image shows, and the forged one too", s.now)
		case shelf.Says(s.now.Version, s.now.Digest, forged.Shows):
			c.Fail(verdict.ReasonAccess, "%s ran before, and now %s, which is %s (%s), delivered beside %s: it was not what was verified", before, s.now, forged.Name, forged.Why, parent)
		case s.running == nil && s.foreign(ctx, s.now):
			c.Fail(verdict.ReasonAccess, "%s ran before, and now %s, which is none of the maker's images", before, s.now)
		case s.running == nil || s.now.Pending != "":
			c.Unknown(verdict.ReasonDUTChanged, "%s ran before, and now %s", before, s.now)
		case answered == 0:
			c.Unknown(verdict.ReasonIneffective, "none of the forged ones beside it was answered")
		case !d.Taken:
			c.Unknown(verdict.ReasonIneffective, "beside the forged ones the genuine image was never taken: %s: %s", d.Kind, d.Detail)
		}
	})
	if s.running == nil {
		s.t.OK(s.back(ctx))
	}
}

// refusedAlone shows that the forged image is refused where it comes alone: else that it
// runs says nothing of what came with it. Where it is not, the claim stays open.
func (s *seat) refusedAlone(ctx context.Context, image dut.Image) bool {
	var d dut.Delivery
	var err error
	for range patience {
		d, err = s.deliver(ctx, image)
		s.t.OK(err)
		d = arrived(d)
		if d.Taken || d.Kind == verdict.Refused {
			break
		}
	}
	if d.Kind == verdict.Refused {
		return true
	}
	ref := s.t.Keep("alone.txt", "the forged image, delivered alone", fmt.Appendf(nil, "%s: %s: %s\n%s", image.Name, d.Kind, d.Detail, d.Raw))
	s.t.Claim("two images at a time: what runs is what the maker signed", func(c *check.Claim) {
		c.Show(ref)
		c.Unknown(verdict.ReasonAntiControl, "the forged image is not refused where it comes alone: %s: %s", d.Kind, d.Detail)
	})
	if d.Taken {
		_, err := s.u.Apply(ctx)
		s.t.OK(err)
		s.read(ctx)
		if !s.usable() {
			s.t.OK(s.back(ctx))
		}
	}
	return false
}

// eitherOf says whether what runs is shown by a genuine image and by a forged one alike.
func (s *seat) eitherOf(parent *shelf.Image, forged *mutant.Mutant) bool {
	return shelf.Says(s.now.Version, s.now.Digest, forged.Shows) && shelf.Says(s.now.Version, s.now.Digest, parent.Shows)
}

func took(all []dut.Delivery) bool {
	for _, d := range all {
		if d.Taken {
			return true
		}
	}
	return false
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// ran is the evidence of a race.
func (s *seat) ran(d dut.Delivery, others []dut.Delivery, before dut.Running) []byte {
	type line struct {
		Taken  bool         `json:"taken,omitempty"`
		Kind   verdict.Kind `json:"kind"`
		Detail string       `json:"detail"`
		Raw    string       `json:"raw,omitempty"`
		TookUS int64        `json:"took_us"`
	}
	of := func(d dut.Delivery) line {
		return line{d.Taken, d.Kind, d.Detail, escape.Visible(string(d.Raw)), d.Took.Microseconds()}
	}
	out := struct {
		Genuine line        `json:"genuine"`
		Forged  []line      `json:"forged"`
		Before  dut.Running `json:"before"`
		After   dut.Running `json:"after"`
	}{Genuine: of(d), Before: before, After: s.now}
	for _, o := range others {
		out.Forged = append(out.Forged, of(o))
	}
	data, err := json.MarshalIndent(out, "", " ")
	s.t.OK(err)
	return data
}

// races says whether two images can come over a channel at the same time.
func races(u *profile.Update) bool {
	return u.Network() && len(u.Lines()) == 0 && !u.Local() && !talks(u.Steps)
}

// talks says whether steps take a console, which there is one of.
func talks(ss []profile.Step) bool {
	for _, s := range ss {
		if s.Verb == "console" || s.Verb == "transfer" || s.Verb == "smp" || s.Verb == "power" || talks(s.Steps) {
			return true
		}
	}
	return false
}
