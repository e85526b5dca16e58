package update

import (
	"context"
	"encoding/json"
	"fmt"

	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/escape"
	"rigor/harness/firmware/mutant"
	"rigor/harness/profile"
	"rigor/harness/shelf"
	"rigor/harness/verdict"
)

// Downgrade: a genuine image that is older than what runs is refused, by its version and by
// its security counter, also while another one waits for its first start: then a device may
// compare with nothing, or with the wrong one.
var Downgrade = check.Check{
	ID:      "upd-downgrade",
	Title:   "An older image is refused",
	Clauses: secure,
	From:    states.Onboarded.State,
	Effect:  check.Consumes,
	Allow:   []check.Leave{check.Update},
	Budget:  budget,
	Cases:   mutants(First).With(needsFresh, needsGiven("older", func(m *profile.Images) int { return len(m.Older) })),
	Run: func(ctx context.Context, t *check.T) {
		if tryAll(ctx, t, "no genuine image is taken that is older than what runs", harmless, []mutant.Kind{mutant.Downgrade}) {
			sit(ctx, t).whilePending(ctx)
		}
	},
}

// whilePending claims that no older image is taken while a genuine one waits.
func (s *seat) whilePending(ctx context.Context) {
	next := s.next()
	m := s.make(next, mutant.Downgrade)
	if len(m.refused) == 0 {
		return // the claim before has said why
	}
	before := s.now
	var log pending
	d, err := s.deliver(ctx, dut.Image{Name: next.String(), Bytes: next.Bytes})
	s.t.OK(err)
	log.add(next.String(), d)
	waits, err := s.waiting(ctx)
	s.t.OK(err)
	if d.Taken && (!waits.Tells || waits.Pending == "") {
		s.t.Note("whether an older image is taken while another one waits was not looked at: the DUT does not tell that one waits")
		_, err := s.u.Apply(ctx)
		s.t.OK(err)
		return
	}
	var unclear string
	var gone bool
	if d.Taken {
		unclear, gone = s.offer(ctx, next, m.refused, &log)
	}
	_, err = s.u.Apply(ctx)
	s.t.OK(err)
	s.begin(ctx)
	if s.now.Pending == "" && shelf.Says(s.now.Version, s.now.Digest, next.Shows) {
		wait, _ := s.t.SettleTime() // a start behind it would undo it
		s.t.OK(s.d.Wait(ctx, wait))
	}
	log.Before, log.Waited, log.After = before, waits, s.now
	data, err := json.MarshalIndent(log, "", " ")
	s.t.OK(err)
	ref := s.t.Keep("pending.json", "what was delivered while a genuine image waited for its start, and what ran behind it", data)
	s.t.Claim("no older image is taken while a genuine one waits for its start", func(c *check.Claim) {
		c.Show(ref)
		same := gone && s.now.Version == before.Version && s.now.Digest == before.Digest && s.now.Pending == ""
		got := fmt.Sprintf("%s runs", s.now)
		if same {
			got += " as before: all are refused, and the DUT says that each took away what waited"
		}
		c.Expect(fmt.Sprintf("%d older ones are refused, and behind the restart runs %s, or what ran before where the DUT says that it waits no more", len(m.refused), next), got)
		for _, x := range m.refused {
			if shelf.Says(s.now.Version, s.now.Digest, x.Shows) {
				c.Fail(verdict.ReasonAccess, "%s ran, %s waited, and now runs %s, which is %s (%s)", before, next, s.now, x.Name, x.Why)
				return
			}
		}
		switch {
		case !d.Taken:
			c.Unknown(verdict.ReasonControlFailed, "the genuine image was not taken: %s: %s", d.Kind, d.Detail)
		case unclear != "":
			c.Unknown(verdict.ReasonIneffective, "%s", unclear)
		case same:
		case s.running != next || s.now.Pending != "":
			c.Unknown(verdict.ReasonDUTChanged, "%s waited, and %s runs", next, s.now)
		}
	})
	if !s.usable() || s.running.Rank < next.Rank {
		s.t.OK(s.back(ctx))
	}
}

// offer delivers each of the older images while the genuine one waits: a DUT that lets go
// of it with each delivery gets it anew. It says of which older one it is not clear whether
// it was refused, and whether the last one took away what waited. One that is said to be
// taken is the last: it waits now.
func (s *seat) offer(ctx context.Context, next *shelf.Image, older []*mutant.Mutant, log *pending) (unclear string, gone bool) {
	for _, x := range older {
		if gone {
			d, err := s.deliver(ctx, dut.Image{Name: next.String(), Bytes: next.Bytes})
			s.t.OK(err)
			log.add(next.String(), d)
			if !d.Taken {
				return fmt.Sprintf("%s, which a refused image had taken away, was not taken anew: %s: %s", next, d.Kind, d.Detail), true
			}
		}
		var d dut.Delivery
		var err error
		for range patience {
			d, err = s.deliver(ctx, whole(x))
			s.t.OK(err)
			d = arrived(d)
			log.add(x.Name, d)
			if d.Taken || d.Kind == verdict.Refused {
				break
			}
		}
		if d.Taken {
			return fmt.Sprintf("%s is said to be taken, and does not run behind the restart", x.Name), gone
		}
		if d.Kind != verdict.Refused && unclear == "" {
			unclear = fmt.Sprintf("%s was answered with %s (%s), which is no declared refusal", x.Name, d.Kind, d.Detail)
		}
		waits, err := s.waiting(ctx)
		s.t.OK(err)
		gone = waits.Pending == ""
	}
	return unclear, gone
}

// pending is what is kept of it.
type pending struct {
	Before dut.Running `json:"before"`
	Waited dut.Running `json:"waited"`
	After  dut.Running `json:"after"`
	Tries  []delivered `json:"delivered"`
}

type delivered struct {
	Image  string       `json:"image"`
	Taken  bool         `json:"taken"`
	Kind   verdict.Kind `json:"kind"`
	Detail string       `json:"detail"`
	Raw    string       `json:"raw,omitempty"`
}

func (p *pending) add(name string, d dut.Delivery) {
	p.Tries = append(p.Tries, delivered{name, d.Taken, d.Kind, d.Detail, escape.Visible(string(d.Raw))})
}
