package diff_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/journal"
	"rigor/harness/journal/journaltest"
	"rigor/harness/report/diff"
)

// run makes a run in which each case ended with p(ass), f(ail), i(nconclusive),
// e(rror), n(ot applicable); a u is one that was not selected.
func run(cases ...string) *journal.Result {
	b := journaltest.New()
	for _, c := range cases {
		b.Plan("credential", c[2:], "", func(p *journal.Plan) {
			p.Unselected = c[0] == 'u'
			if c[0] == 'n' {
				journaltest.Skip("not-applicable", "declared-none", "none")(p)
			}
		})
	}
	for _, c := range cases {
		switch id := c[2:]; c[0] {
		case 'p':
			b.Pass(id)
		case 'f':
			b.Fail(id)
		case 'i':
			b.Begin(id).Done(id)
		}
	}
	return b.End().Fold()
}

func TestCompare(t *testing.T) {
	assert.Nil(t, diff.Compare(nil, run("p a")))
	tests := []struct{ was, now, want string }{
		{"p", "p", "no change"},
		{"p", "f", "1 new"}, {"p", "e", "1 new"}, {"p", "i", "1 new"}, {"n", "f", "1 new"}, {"i", "f", "1 new"}, {"e", "f", "1 new"},
		{"f", "p", "1 fixed"}, {"e", "p", "1 fixed"}, {"i", "p", "1 fixed"},
		{"f", "f", "1 still failing"}, {"f", "i", "1 still failing"}, {"f", "e", "1 still failing"}, {"i", "i", "1 still failing"},
		{"f", "n", "1 waived or not applicable now"}, {"f", "u", "1 not selected now"}, {"p", "u", "1 not selected now"},
		{"p", "n", "no change"}, {"n", "p", "no change"},
	}
	for _, tt := range tests {
		d := diff.Compare(run(tt.was+" a", "p other"), run(tt.now+" a", "p other"))
		assert.Equal(t, tt.want, d.Summary(), "%s to %s", tt.was, tt.now)
	}
	assert.Equal(t, "1 missing", diff.Compare(run("p a", "p b"), run("p a")).Summary())
	assert.Equal(t, "1 new", diff.Compare(run("p a"), run("p a", "f b")).Summary(), "a case that fails at once")
}

func TestCaution(t *testing.T) {
	a, b := run("p a"), run("p a")
	assert.Empty(t, diff.Compare(a, b).Caution)
	b.Start.Firmware = "1.5.0"
	assert.Equal(t, `the run before was of firmware "1.4.2", now "1.5.0"`, diff.Compare(a, b).Caution)
}

// TestMoved: what failed on one unit and passes on another one may be fixed nowhere.
func TestMoved(t *testing.T) {
	on := func(r *journal.Result, rig, file string) *journal.Result {
		r.Start.Rig, r.Start.Serial = "bench", "A-1"
		r.Start.Beside = []journal.Place{{Rig: "bench-2", File: file, Serial: "A-2"}}
		for i := range r.Cases {
			r.Cases[i].Rig = rig
		}
		return r
	}
	d := diff.Compare(on(run("f a", "p b"), "", "two.yaml"), on(run("p a", "p b"), "bench-2", "two.yaml"))
	assert.Equal(t, "1 fixed (1 on another unit than before)", d.Summary())
	assert.Equal(t, "A-2, before A-1", d.Fixed[0].Moved)
	d = diff.Compare(on(run("p a"), "bench-2", "two.yaml"), on(run("f a"), "", "two.yaml"))
	assert.Equal(t, "1 new (1 on another unit than before)", d.Summary())
	assert.Equal(t, "1 fixed", diff.Compare(on(run("f a"), "bench-2", "two.yaml"), on(run("p a"), "bench-2", "two.yaml")).Summary())
	assert.Equal(t, "1 fixed", diff.Compare(on(run("f a"), "", ""), on(run("p a"), "bench-2", "")).Summary(), "the units of the program itself are all alike")
	assert.Empty(t, diff.Compare(on(run("u a", "p b"), "", "two.yaml"), on(run("f a", "p b"), "bench-2", "two.yaml")).New[0].Moved, "it ran nowhere before")
}
