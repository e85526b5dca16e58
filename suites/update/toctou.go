package update

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/firmware/mutant"
	"rigor/harness/profile"
	"rigor/harness/shelf"
	"rigor/harness/verdict"
)

// Toctou: what is verified is what is installed. Where the device fetches, the server gives
// a genuine image first and a forged one to whoever asks again, and the other way round.
// Where it is sent, a genuine one and forged ones come at the same time, over its channel and
// over each other one. Where it is copied and then installed by a command, a forged one is
// copied over it meanwhile.
var Toctou = check.Check{
	ID: "upd-toctou", Title: "What is verified is what is installed", Clauses: verified,
	From: states.Onboarded.State, Effect: check.Consumes, Allow: []check.Leave{check.Update}, Budget: budget,
	Cases: mutants(PerChannel).With(needsSecond),
	Run: func(ctx context.Context, t *check.T) {
		s := sit(ctx, t)
		s.opened(ctx)
		parent := s.next()
		m := s.make(parent, mutant.Unsigned, mutant.WrongKey)
		s.keep(parent, parent.Shows, m)
		if len(m.refused) == 0 {
			t.Inconclusive(verdict.ReasonCoverageGap, "no forged image can be made of %s", parent)
		}
		forged := m.refused[0]
		if !serves(t.Profile().Updates.Items[t.Case().Channel]) {
			s.raced(ctx, parent, forged)
			return
		}
		bad := padded(forged.Bytes(), len(parent.Bytes))
		d := s.swapped(ctx, "genuine first, forged behind it", dut.Image{Bytes: parent.Bytes, Second: bad}, parent, forged)
		if s.running == nil {
			return
		}
		if !s.everyPass(ctx, d, bad, forged) {
			return
		}
		s.swapped(ctx, "forged first, genuine behind it", dut.Image{Bytes: bad, Second: parent.Bytes}, parent, forged)
		if s.running == nil {
			return
		}
		if besides(t.Input(), s.u.Name()) != nil {
			parent = s.next()
			s.raced(ctx, parent, forged)
		}
	},
}

// mostPasses is how many times a DUT may fetch an image until the rig gives up to swap it
// behind each of them.
const mostPasses = 6

// everyPass swaps the image later and later, as long as the DUT comes for it once more:
// what is fetched twice to be verified may be installed from a third body. False where
// there is nothing more to be tried.
func (s *seat) everyPass(ctx context.Context, d dut.Delivery, bad []byte, forged *mutant.Mutant) bool {
	for n := 2; slices.ContainsFunc(d.Fetches, func(f dut.Fetch) bool { return f.Second }); n++ {
		if n > mostPasses {
			s.t.Claim("an image is fetched a few times at most", func(c *check.Claim) {
				c.Unknown(verdict.ReasonCoverageGap, "the DUT fetches it more than %d times: it was not swapped behind the last ones", mostPasses)
			})
			return true
		}
		parent := s.next()
		d = s.swapped(ctx, fmt.Sprintf("genuine %d times, forged behind that", n), dut.Image{Bytes: parent.Bytes, Second: bad, Behind: n}, parent, forged)
		if s.running == nil {
			return false
		}
	}
	return true
}

// padded gives an image as long as another one: a server that gives two of different
// lengths is found out by that alone. What stands behind an image is erased flash.
func padded(b []byte, n int) []byte {
	if len(b) >= n {
		return b
	}
	return append(bytes.Clone(b), bytes.Repeat([]byte{0xff}, n-len(b))...)
}

// opened shows that a genuine image goes over the channel, where no case of the run has.
// It comes before anything is made of the next image: what runs already tells nothing.
func (s *seat) opened(ctx context.Context) {
	id := bracketOf(s.u.Name())
	by, ok, failed := s.t.Opened(id)
	if !ok {
		img := s.next()
		s.settling = true // as the next lines have it
		a, err := s.install(ctx, img)
		s.t.OK(err)
		if a.Kind == verdict.Accepted {
			if kept, how := s.stays(ctx, img); !kept {
				a.Kind, a.Detail = verdict.Unproven, how
			}
		}
		if a.Kind == verdict.Accepted {
			s.t.Opens(id)
			s.t.Keep("control.txt", "the genuine image before the first mutant of the channel", []byte(a.Detail+"\n"))
			return
		}
		s.settling = false
		failed = fmt.Errorf("%s: %s", a.Kind, a.Detail)
		s.t.OpensNot(id, failed)
		by = s.t.ID()
	}
	if failed != nil {
		s.t.Inconclusive(verdict.ReasonControlFailed, "in %s no genuine image was taken: %v", by, failed)
	}
}

// swapped has the DUT fetch while the server changes what it gives.
func (s *seat) swapped(ctx context.Context, how string, img dut.Image, parent *shelf.Image, forged *mutant.Mutant) (d dut.Delivery) {
	var err error
	img.Name = how
	for range patience {
		d, err = s.deliver(ctx, img)
		s.t.OK(err)
		if answered(d) {
			break
		}
	}
	d = arrived(d)
	before := s.now
	_, err = s.restart(ctx)
	s.t.OK(err)
	s.begin(ctx)
	told, tells := s.told()
	note, err := json.MarshalIndent(struct {
		How     string       `json:"how"`
		Taken   bool         `json:"taken"`
		Kind    verdict.Kind `json:"kind"`
		Detail  string       `json:"detail"`
		Fetches []dut.Fetch  `json:"fetches"`
		Before  dut.Running  `json:"before"`
		After   dut.Running  `json:"after"`
	}{how, d.Taken, d.Kind, d.Detail, d.Fetches, before, s.now}, "", " ")
	s.t.OK(err)
	name := "served-" + map[bool]string{true: "genuine", false: "forged"}[bytes.Equal(img.Bytes, parent.Bytes)] + "-first"
	if img.Behind > 0 {
		name += fmt.Sprintf("-%d-times", img.Behind)
	}
	ref := s.t.Keep(name+".json", "what the DUT fetched, and what ran behind a restart", note)
	s.t.Claim(how+": what runs is what the maker signed", func(c *check.Claim) {
		c.Show(ref)
		c.Expect("an image of the maker's runs", fmt.Sprintf("%d requests, %s; %s runs", len(d.Fetches), map[bool]string{true: "taken", false: string(d.Kind)}[d.Taken], s.now))
		switch {
		case s.eitherOf(parent, forged):
			c.Unknown(verdict.ReasonIneffective, "%s runs: that is what the genuine image shows, and the forged one too", s.now)
		case shelf.Says(s.now.Version, s.now.Digest, forged.Shows):
			c.Fail(verdict.ReasonAccess, "%s ran before, and now %s, which is %s (%s; %s): it was not what was verified", before, s.now, forged.Name, forged.Why, forged.Differs())
		case tells && s.shelf.Genuine(told.Version, told.Digest) == nil && shelf.Says(told.Version, told.Digest, forged.Shows):
			c.Fail(verdict.ReasonAccess, "%s ran before, and the start behind it tells that it starts %s, which is %s (%s; %s), whatever the DUT says that it runs (%s)", before, told, forged.Name, forged.Why, forged.Differs(), s.now)
		case s.running == nil && s.foreign(ctx, s.now):
			c.Fail(verdict.ReasonAccess, "%s ran before, and now %s, which is none of the maker's images", before, s.now)
		case s.running == nil || s.now.Pending != "":
			c.Unknown(verdict.ReasonDUTChanged, "%s ran before, and now %s", before, s.now)
		case len(d.Fetches) == 0:
			c.Unknown(verdict.ReasonIneffective, "the DUT fetched nothing: %s", d.Detail)
		case !d.Taken && d.Kind != verdict.Refused:
			c.Unknown(verdict.ReasonIneffective, "it was answered with %s (%s)", d.Kind, d.Detail)
		}
	})
	if s.running == nil {
		s.t.OK(s.back(ctx))
	}
	return d
}

// needsSecond: there is a second thing that could be installed: what is served to who
// fetches again, or what somebody else sends at the same time.
func needsSecond(in check.Input, c *check.Case) *verdict.Judgement {
	u := in.Profile.Updates.Items[c.Channel] // there is one: the case is not skipped
	if !serves(u) && !races(u) {
		return check.DeclaredNone("an image is sent over this channel as one piece, by one who has it alone; the device fetches nothing")
	}
	return nil
}

// serves says whether the device fetches its images.
func serves(u *profile.Update) bool {
	return slices.ContainsFunc(u.Steps, func(s profile.Step) bool { return s.Verb == "serve" })
}
