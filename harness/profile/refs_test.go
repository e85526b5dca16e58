package profile

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExpand(t *testing.T) {
	values := map[string]string{"a": "1", "unit.serial": "AG-1", "evil": "${a} $${a} $.x", "empty": ""}
	for _, c := range []struct{ in, want, err string }{
		{"plain", "plain", ""},
		{"", "", ""},
		{"${a}${a}", "11", ""},
		{"sn=${unit.serial};", "sn=AG-1;", ""},
		{"$${a}", "${a}", ""},
		{"$$${a}", "$${a}", ""},
		{"${evil}", "${a} $${a} $.x", ""}, // never looked at again
		{"x${empty}y", "xy", ""},
		{"cost $5 {a} $", "cost $5 {a} $", ""},
		{"${nobody}", "", "no nobody"},
		{"${", "", "not followed by a name"},
		{"${}", "", "not followed by a name"},
		{"${a", "", "not followed by a name"},
		{"${ a}", "", "not followed by a name"},
		{"${1}", "", "not followed by a name"},
	} {
		got, err := Expand(c.in, func(name string) (string, error) {
			v, ok := values[name]
			if !ok {
				return "", errors.New("no " + name)
			}
			return v, nil
		})
		if c.err != "" {
			require.ErrorContains(t, err, c.err, c.in)
			assert.Empty(t, got, c.in)
			continue
		}
		require.NoError(t, err, c.in)
		assert.Equal(t, c.want, got, c.in)
	}
}

func TestReferencesAreGivenOnce(t *testing.T) {
	names, err := References("${b} ${a.c} $${no} ${b}")
	require.NoError(t, err)
	assert.Equal(t, []string{"b", "a.c"}, names)
}

func TestTextsAreAllTextsOfAStep(t *testing.T) {
	s := Step{HTTP: "GET /a", Header: map[string]string{"X": "b"}, JSON: map[string]any{"k": []any{"c", 1, map[string]any{"z": "d"}}},
		Form: map[string]string{"f": "e"}, Body: "g", Run: "h", Send: "i", File: "j", Ask: "k", Exec: []string{"l", "m"}, Password: "n"}
	assert.ElementsMatch(t, strings.Split("GET /a,b,c,d,e,g,h,i,j,k,l,m,n", ","), s.Texts())
}

func TestStepsWithoutAValue(t *testing.T) {
	const pin = "${unit.pin}"
	for _, c := range []struct {
		name     string
		in, want Step
		refers   bool
		ok       bool
	}{
		{"json", Step{JSON: map[string]any{"pin": pin, "n": 1.0, "in": map[string]any{"pin": pin}, "list": []any{pin, map[string]any{"pin": pin, "a": "b"}}}},
			Step{JSON: map[string]any{"n": 1.0, "in": map[string]any{}, "list": []any{pin, map[string]any{"a": "b"}}}}, true, true},
		{"form and header", Step{Form: map[string]string{"pin": pin, "a": "b"}, Header: map[string]string{"X-Pin": pin}},
			Step{Form: map[string]string{"a": "b"}, Header: map[string]string{}}, true, true},
		{"inner steps", Step{Repeat: 2, Steps: []Step{{Form: map[string]string{"pin": pin}}}}, Step{Repeat: 2, Steps: []Step{{Form: map[string]string{}}}}, true, true},
		{"part of a text", Step{HTTP: "GET /set?pin=" + pin, Form: map[string]string{"a": "x" + pin}}, Step{HTTP: "GET /set?pin=" + pin, Form: map[string]string{"a": "x" + pin}}, true, false},
		{"nowhere", Step{JSON: "$" + pin, Form: map[string]string{"a": "$" + pin}}, Step{JSON: "$" + pin, Form: map[string]string{"a": "$" + pin}}, false, false},
	} {
		in := []Step{c.in}
		assert.Equal(t, c.refers, Refers(in, "unit.pin"), c.name)
		out, ok := Without(in, "unit.pin")
		assert.Equal(t, c.ok, ok, c.name)
		assert.Equal(t, []Step{c.want}, out, c.name)
		assert.Equal(t, c.refers, Refers(in, "unit.pin"), "%s: the steps themselves stay", c.name)
	}
}

func TestCheckExtract(t *testing.T) {
	for _, ok := range []string{"text", "$", "$.a", "$.a.b[0]", "$[3].x-y", "/sn=(\\w+)/", "/a/"} {
		require.NoError(t, CheckExtract(ok), ok)
	}
	for _, bad := range []string{"", "Text", "$a", "$.a[", "$.a[x]", "$..a", "//", "/(/", "/(a)(b)/", "a/b/"} {
		require.Error(t, CheckExtract(bad), bad)
	}
}

// FuzzExpand: an expansion that puts nothing in leaves no reference behind, and
// a value is put in as it is.
func FuzzExpand(f *testing.F) {
	for _, s := range []string{"${a}", "$${a}", "a${b.c}d", "${", "$$$${x}${y}"} {
		f.Add(s, "${a}")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		n := 0
		got, err := Expand(text, func(string) (string, error) { n++; return value, nil })
		if err != nil {
			return
		}
		empty, err := Expand(text, func(string) (string, error) { return "", nil })
		require.NoError(t, err)
		require.Len(t, got, len(empty)+n*len(value))
	})
}
