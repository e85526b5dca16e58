package update

import (
	"context"
	"encoding/json"
	"fmt"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/escape"
	"rigor/harness/firmware/mutant"
	"rigor/harness/shelf"
	"rigor/harness/verdict"
)

// outcome is what became of a mutant that a device may take.
type outcome struct {
	Mutant string          `json:"mutant"`
	Why    string          `json:"why"`
	Kind   verdict.Kind    `json:"kind"`
	Taken  bool            `json:"taken,omitempty"`
	Detail string          `json:"detail"`
	Raw    string          `json:"raw,omitempty"`
	Runs   *dut.Running    `json:"runs,omitempty"` // behind a restart, where it was taken
	Change []mutant.Change `json:"changes"`
}

// either claims of mutants that a device may take or refuse, that what runs is what the
// maker signed, and that a genuine image is taken behind them.
func (s *seat) either(ctx context.Context, parent *shelf.Image, list []*mutant.Mutant) {
	file := s.t.File("harmless.jsonl", "what became of each mutant in which all is there that the maker signed", "application/jsonl")
	taken, refused := 0, 0
	s.t.Claim("where it is taken, what runs is what the maker signed", func(c *check.Claim) {
		c.Show(file.Ref())
		for _, m := range list {
			was, plain := s.running, !lies(s.now, s.running) // it writes versions as they are
			o := s.try(ctx, parent, m)
			line, err := json.Marshal(o)
			s.t.OK(err)
			_, err = file.Write(append(line, '\n'))
			s.t.OK(err)
			switch {
			case o.Runs != nil && plain && lies(*o.Runs, s.running):
				c.Fail(verdict.ReasonExpectation, "behind %s (%s; %s) the DUT says that it runs %s, and its digest is that of %s", m.Name, m.Why, m.Differs(), o.Runs, s.running)
				return
			case o.Runs != nil && o.Runs.Pending == "" && s.running != nil && (s.running == parent || s.running == was):
				taken++
			case o.Runs != nil && s.foreign(ctx, *o.Runs):
				c.Fail(verdict.ReasonAccess, "behind %s (%s; %s) runs %s, which is none of the maker's images", m.Name, m.Why, m.Differs(), o.Runs)
				s.t.OK(s.back(ctx))
				return
			case o.Runs != nil:
				c.Unknown(verdict.ReasonDUTChanged, "behind %s runs %s", m.Name, o.Runs)
			case o.Kind == verdict.Refused:
				refused++
			default:
				c.Unknown(verdict.ReasonIneffective, "%s was answered with %s (%s)", m.Name, o.Kind, o.Detail)
			}
		}
		c.Expect("the maker's image runs, or the mutant is refused", fmt.Sprintf("%d taken, and the maker's image ran behind each; %d refused", taken, refused))
	})
	if taken == 0 {
		return
	}
	s.t.Claim("a genuine image is taken behind them", func(c *check.Claim) {
		c.Show(file.Ref())
		img := s.next()
		a, err := s.install(ctx, img)
		s.t.OK(err)
		c.Expect(img.String()+" runs", a.Detail)
		switch a.Kind {
		case verdict.Accepted:
		case verdict.Refused, verdict.Unproven:
			c.Fail(verdict.ReasonExpectation, "behind what was added to a genuine image: %s", a.Detail)
		default:
			c.Unknown(verdict.ReasonControlFailed, "it did not get there: %s: %s", a.Kind, a.Detail)
		}
	})
}

// lies says whether a DUT tells a version that is not that of the image whose digest it
// tells. Versions that it writes in another way are upd-genuine's.
func lies(now dut.Running, runs *shelf.Image) bool {
	return runs != nil && now.Digest != "" && runs.Version() != "" && !shelf.SameVersion(now.Version, runs.Version())
}

// foreign says whether what runs is shown to be none of the maker's images, read twice.
func (s *seat) foreign(ctx context.Context, now dut.Running) bool {
	if now.Digest == "" || s.shelf.Genuine(now.Version, now.Digest) != nil {
		return false
	}
	again, err := s.look(ctx)
	s.t.OK(err)
	return again.Same(now)
}

// try delivers a mutant that a device may take, and has it run where it does.
func (s *seat) try(ctx context.Context, parent *shelf.Image, m *mutant.Mutant) outcome {
	var d dut.Delivery
	var err error
	for range patience {
		d, err = s.deliver(ctx, whole(m))
		s.t.OK(err)
		if answered(d) {
			break
		}
	}
	d = arrived(d)
	o := outcome{Mutant: m.Name, Why: m.Why, Kind: d.Kind, Taken: d.Taken, Detail: d.Detail, Raw: escape.Visible(string(d.Raw)), Change: m.Changes}
	if !d.Taken {
		return o
	}
	_, err = s.u.Apply(ctx)
	s.t.OK(err)
	now, err := s.begun(ctx)
	s.t.OK(err)
	o.Runs = &now
	before := s.running
	if s.saw(now); s.running != nil && s.running != parent && s.running != before {
		s.t.Note("behind %s runs %s", m.Name, s.running)
	}
	return o
}
