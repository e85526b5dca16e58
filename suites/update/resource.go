package update

import (
	"context"
	"fmt"
	"slices"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/verdict"
)

// badUploads is how many bad images a device has to bear without a restart between.
const badUploads = 64

// Resource: however many bad images were delivered, a genuine one is taken.
var Resource = check.Check{
	ID: "upd-resource", Title: "Many bad images do not keep a genuine one out",
	Clauses: baseline.PerChannel{baseline.Network: {nist8259a.SU1, en303645.V3("5.3-2")}, baseline.Local: {nist8259a.SU1, en303645.V3("5.3-2")}},
	From:    states.Onboarded.State, Effect: check.Consumes, Allow: []check.Leave{check.Update}, Budget: budget,
	Cases: mutants(First),
	Run: func(ctx context.Context, t *check.T) {
		s := sit(ctx, t)
		s.opened(ctx)
		img := s.next()
		boots, err := s.d.Fingerprint(ctx)
		t.OK(err)
		kinds, answers := map[verdict.Kind]int{}, 0
		said := map[string]bool{}
		large := slices.Concat(img.Bytes, make([]byte, 1<<20)) // more than a slot of most
		for i := range badUploads {
			bad := s.shelf.Garbage(img, s.seed()+uint64(i))
			if i%16 == 15 {
				bad = large
			}
			d, err := s.deliver(ctx, dut.Image{Name: "no image", Bytes: bad})
			t.OK(err)
			if d.Kind != verdict.Unreachable && d.Kind != verdict.Silent { // it had an answer, however early
				answers++
			}
			d = arrived(d)
			kinds[d.Kind]++
			if len(said) < 8 {
				said[d.Detail] = true
			}
		}
		before := s.now
		meanwhile, err := s.d.Fingerprint(ctx)
		if err != nil && check.Judge(err).Verdict == verdict.Error {
			t.OK(err)
		}
		if err != nil { // it may be in the middle of a boot
			meanwhile = err.Error()
		}
		a, err := s.install(ctx, img)
		t.OK(err)
		text := fmt.Appendf(nil, "bad images: %d, answered %v\ngenuine: %s: %s: %s\nbefore: %s\nafter: %s\n", badUploads, kinds, img, a.Kind, a.Detail, before, s.now)
		for _, d := range sorted(said) {
			text = fmt.Appendf(text, "answer: %s\n", d)
		}
		ref := t.Keep("uploads.txt", "how many bad images were delivered, and what became of a genuine one behind them", text)
		t.Claim(fmt.Sprintf("behind %d bad images without a restart a genuine one is taken", badUploads), func(c *check.Claim) {
			c.Show(ref)
			c.Expect(img.String()+" runs", a.Detail)
			switch {
			case a.Kind == verdict.Accepted && kinds[verdict.Refused] == 0:
				c.Unknown(verdict.ReasonIneffective, "none of the bad images was refused as declared: %v", kinds)
			case a.Kind == verdict.Accepted && answers < badUploads:
				c.Unknown(verdict.ReasonIneffective, "%d of %d bad images had no answer: %v", badUploads-answers, badUploads, kinds)
			case boots != meanwhile:
				c.Unknown(verdict.ReasonDUTChanged, "before them the DUT was %s, and behind them %s: that a genuine one is taken without a restart is not shown", boots, meanwhile)
			case a.Kind == verdict.Accepted:
				t.Bears(bracketOf(t.Case().Channel), badUploads)
			case a.Kind == verdict.Refused || a.Kind == verdict.Throttled || a.Kind == verdict.Unproven || s.last.Erred:
				c.Fail(verdict.ReasonExpectation, "%s", a.Detail)
			default:
				c.Unknown(verdict.ReasonControlFailed, "it did not get there: %s: %s", a.Kind, a.Detail)
			}
		})
		if a.Kind != verdict.Accepted { // the cases behind it are not to suffer
			_, err := s.u.Apply(ctx)
			t.OK(err)
		}
	},
}

func sorted(set map[string]bool) []string {
	var out []string
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
