package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/matrix"
	"rigor/harness/verdict"
)

// A run of a share of its cases that shows what it should is enough. One that does not is
// told, and a run with all its cases decides: cases may lean on what others left behind.
func TestShareIsLookedAtWhole(t *testing.T) {
	cat, err := matrix.Parse("one.yaml", []byte("matrix: one\nweaknesses:\n  open: {fails: {a: access}}\n"))
	require.NoError(t, err)
	b := &bed{cat: cat, planned: []string{"a", "b", "c", "d"}, share: [2]int{0, 2}}
	for _, c := range []struct {
		name    string
		turn    int
		wrong   string // a case that fails with a share
		always  bool   // and with all
		made    []string
		ok, own bool
	}{
		{name: "the first share", made: []string{"a c"}, ok: true},
		{name: "the second share", turn: 1, made: []string{"a b d"}, ok: true},
		{name: "not with a share", wrong: "c", made: []string{"a c", "all"}, ok: true, own: true},
		{name: "never", wrong: "c", always: true, made: []string{"a c", "all"}, own: true},
		{name: "what the share leaves out is not seen", wrong: "b", always: true, made: []string{"a c"}, ok: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			runs := []matrix.Run{{Kind: matrix.Weakness, Name: "open"}}
			var made []string
			var said bytes.Buffer
			tell := &progress{to: &said, all: 1}
			b.group(t.Context(), runs, []int{0}, c.turn, tell, func(r *matrix.Run) {
				had := "all"
				if r.Only != nil {
					had = strings.Join(r.Only, " ")
				}
				made = append(made, had)
				for _, id := range b.planned {
					o := matrix.Outcome{Case: id, Verdict: verdict.Pass}
					if id == "a" || id == c.wrong && (c.always || r.Only != nil) {
						o.Verdict, o.Reason = verdict.Fail, verdict.ReasonAccess
					}
					r.Cases = append(r.Cases, o)
				}
			})
			assert.Equal(t, c.made, made)
			assert.Equal(t, c.ok, cat.Judge(runs, b.planned, 1).OK)
			assert.Equal(t, 1, tell.done)
			if !c.own {
				assert.Empty(t, tell.fell)
				return
			}
			require.Len(t, tell.fell, 1)
			assert.True(t, tell.fell[0].Share)
			assert.Contains(t, said.String(), "1 differences: each is looked at alone, with all its cases")
		})
	}
}

// A share that is none is refused before anything runs.
func TestShareIsRead(t *testing.T) {
	for _, c := range []struct {
		cmd  validateCmd
		want string // of the error
	}{
		{validateCmd{Share: "0/5"}, "such as 2/5"}, {validateCmd{Share: "6/5"}, "such as 2/5"}, {validateCmd{Share: "1/1"}, "such as 2/5"},
		{validateCmd{Share: "half"}, "such as 2/5"}, {validateCmd{Share: "1/2/3"}, "such as 2/5"}, {validateCmd{Share: "2"}, "such as 2/5"},
		{validateCmd{Share: "1/2", Rig: gatewayRig}, "built-in device"}, {validateCmd{Share: "1/2", Rig: "rig.yaml"}, "built-in device"},
		{validateCmd{Share: "1/2", Whole: true}, "--whole"},
	} {
		c.cmd.Together, c.cmd.Format = 1, "text"
		var out bytes.Buffer
		err := c.cmd.Run(t.Context(), &app{out: &out, err: &out})
		require.ErrorContains(t, err, c.want, "%+v", c.cmd)
		assert.Empty(t, out.String())
	}
	s, err := (&validateCmd{Share: "2/5"}).share()
	require.NoError(t, err)
	assert.Equal(t, [2]int{1, 5}, s)
}
