package strictyaml

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rate decodes itself: a number, or the word "auto".
type rate struct {
	Baud int
	Auto bool
	At   Pos
}

func (r *rate) UnmarshalStrict(n *Node) {
	r.At = n.Pos()
	if s, ok := n.Scalar(); ok && s == "auto" {
		r.Auto = true
		return
	}
	if n.IsList() {
		for _, item := range n.Items() {
			item.Errorf("write one", "%d rates", len(n.Items()))
		}
		return
	}
	n.Decode(&r.Baud, "the rate")
}

// section is a mapping of names, or {none: reason}.
type section struct {
	None  string
	Order []string
	Items map[string]port
}

func (s *section) UnmarshalStrict(n *Node) {
	if !n.IsMap() {
		n.Errorf("write a mapping", "the section is no mapping")
		return
	}
	if none := n.Get("none"); none != nil {
		if none.Decode(&s.None, "none") && s.None == "" {
			n.Key("none").Errorf("say why", "the reason is empty")
		}
		return
	}
	s.Items = map[string]port{}
	for _, k := range n.Keys() {
		var p port
		if n.Get(k).Decode(&p, k) {
			s.Items[k], s.Order = p, append(s.Order, k)
		}
	}
}

type common struct {
	Note string `yaml:"note"`
}

type port struct {
	common `yaml:",inline"`
	Driver string        `yaml:"driver" strict:"required,oneof=serial|tcp"`
	Port   string        `yaml:"port"`
	Rate   rate          `yaml:"rate"`
	Pace   time.Duration `yaml:"pace"`
}

type file struct {
	Name   string            `yaml:"name" strict:"required"`
	Count  int               `yaml:"count"`
	Small  int8              `yaml:"small"`
	Ratio  float64           `yaml:"ratio"`
	On     bool              `yaml:"on"`
	Maybe  *bool             `yaml:"maybe"`
	Match  *regexp.Regexp    `yaml:"match"`
	Words  []string          `yaml:"words" strict:"oneof=red|green"`
	Ports  map[int]int       `yaml:"ports"`
	Values map[string]string `yaml:"values"`
	Main   *port             `yaml:"main"`
	All    section           `yaml:"all"`
	Body   any               `yaml:"body"`
	Hidden string            `yaml:"-"`
	Bare   string
}

func decode(t *testing.T, text string) (file, *Source, error) {
	t.Helper()
	var f file
	src, err := Decode("rig.yaml", []byte(text), &f)
	return f, src, err
}

func TestDecode(t *testing.T) {
	f, src, err := decode(t, `
name: "000123"
count: -12
ratio: 1.5
on: true
maybe: false
match: '^a+$'
words: [red, green]
ports: {22: 2222, 80: 8080}
values: {a: 007, b: off, c: 2026-11-23, d: "true"}
main:
  note: inlined
  driver: serial
  rate: 115200
  pace: 250ms
all:
  b: {driver: tcp, rate: auto}
  a: {driver: serial}
body:
  user: u
  list: [1, 2.5, true, null, x]
`)
	require.NoError(t, err)
	assert.Equal(t, "000123", f.Name)
	assert.Equal(t, -12, f.Count)
	assert.InDelta(t, 1.5, f.Ratio, 0)
	assert.True(t, f.On)
	require.NotNil(t, f.Maybe)
	assert.False(t, *f.Maybe)
	assert.True(t, f.Match.MatchString("aaa"))
	assert.Equal(t, []string{"red", "green"}, f.Words)
	assert.Equal(t, map[int]int{22: 2222, 80: 8080}, f.Ports)
	assert.Equal(t, map[string]string{"a": "007", "b": "off", "c": "2026-11-23", "d": "true"}, f.Values, "a text is taken as it stands")
	assert.Equal(t, "inlined", f.Main.Note)
	assert.Equal(t, 115200, f.Main.Rate.Baud)
	assert.Equal(t, Pos{"rig.yaml", 14, 9}, f.Main.Rate.At)
	assert.Equal(t, 250*time.Millisecond, f.Main.Pace)
	assert.Equal(t, []string{"b", "a"}, f.All.Order, "in the order of the file")
	assert.True(t, f.All.Items["b"].Rate.Auto)
	assert.Equal(t, map[string]any{"user": "u", "list": []any{1, 2.5, true, nil, "x"}}, f.Body)

	assert.Equal(t, Pos{"rig.yaml", 14, 3}, src.Pos("main", "rate"), "the place of the key")
	assert.Equal(t, Pos{"rig.yaml", 8, 14}, src.Pos("words", "1"))
	assert.Equal(t, Pos{"rig.yaml", 11, 1}, src.Pos("main", "speed", "x"), "what is not there: the nearest above")
	assert.Equal(t, Pos{"rig.yaml", 8, 1}, src.Pos("words", "7"))
	assert.Equal(t, Pos{"rig.yaml", 2, 1}, src.Pos())
	assert.True(t, src.Has("all", "b", "driver"))
	assert.False(t, src.Has("all", "c"))
	assert.False(t, src.Has("words", "1x"))
	assert.Equal(t, []string{"b", "a"}, src.Keys("all"))
	assert.Nil(t, src.Keys("nothing"))
	assert.EqualError(t, src.Errorf([]string{"main", "pace"}, "make it shorter", "it is %s", f.Main.Pace), "rig.yaml:15:3: it is 250ms; make it shorter")

	var none *Source
	assert.False(t, none.Has("x"))
	assert.Nil(t, none.Keys("x"))
	assert.Equal(t, Pos{Line: 1, Column: 1}, none.Pos("x"))
}

func TestDecodeErrors(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"unknown key, near", "name: x\ncuont: 1", `rig.yaml:2:1: the file has no key "cuont"; did you mean "count"?`},
		{"unknown key, far", "name: x\nmain: {driver: tcp, colour: 1}", `rig.yaml:2:21: main has no key "colour"; it can have note, driver, port, rate, pace`},
		{"a field without a key", "name: x\nbare: 1\nhidden: 2", `rig.yaml:2:1: the file has no key "bare"; it can have name, count, small, ratio, on, maybe, match, words, ports, values, main, all, body` + "\n" + `rig.yaml:3:1: the file has no key "hidden"; it can have name, count, small, ratio, on, maybe, match, words, ports, values, main, all, body`},
		{"twice", "name: x\ncount: 1\ncount: 2", `rig.yaml:3:1: "count" stands in the file twice; first on line 2; keep one of them`},
		{"twice in a map", "name: x\nvalues: {a: b, a: c}", `rig.yaml:2:16: "a" stands in values twice; first on line 2; keep one of them`},
		{"twice in what is free", "name: x\nbody: {a: b, a: c}", `rig.yaml:2:14: "a" stands in body twice; first on line 2; keep one of them`},
		{"missing", "count: 1", "rig.yaml:1:1: the file has no name; add it"},
		{"missing below", "name: x\nmain: {port: y}", "rig.yaml:2:7: main has no driver; add it"},
		{"empty value", "name: x\nmain:\ncount:", "rig.yaml:2:6: main is empty; it must be a mapping; write a mapping with note, driver, port, rate, pace\nrig.yaml:3:7: count is empty; give it a value, or take the key out"},
		{"null", "name: ~", "rig.yaml:1:7: name is empty; give it a value, or take the key out"},
		{"list for a text", "name: [x]", "rig.yaml:1:7: name is a list; it must be a single value"},
		{"text for a list", "name: x\nwords: red", "rig.yaml:2:8: words is a text; it must be a list; write a list: [a, b], or a line with a dash for each"},
		{"text for a mapping", "name: x\nvalues: y", "rig.yaml:2:9: values is a text; it must be a mapping; write a mapping: name: value"},
		{"word", "name: x\nwords: [red, gren]", `rig.yaml:2:14: words, item 2 is "gren"; did you mean "green"?`},
		{"another word", "name: x\nmain: {driver: bluetooth}", `rig.yaml:2:16: driver is "bluetooth"; it can be serial, tcp`},
		{"bool for a text", "name: true", "rig.yaml:1:7: name is a yes or no; put it in quotes if it is a text"},
		{"text for a bool", `name: x` + "\n" + `on: yes`, `rig.yaml:2:5: on is "yes"; write true or false`},
		{"text for a number", "name: x\ncount: many", `rig.yaml:2:8: count is "many"; write a whole number`},
		{"float for a number", "name: x\ncount: 1.5", `rig.yaml:2:8: count is "1.5"; write a whole number`},
		{"quoted number", "name: x\ncount: \"1\"", "rig.yaml:2:8: count is a text; take the quotes away"},
		{"leading zero", "name: x\ncount: 010", `rig.yaml:2:8: count is "010"; leave the leading zeros out`},
		{"too large", "name: x\nsmall: 300", `rig.yaml:2:8: small is "300"; write a whole number`},
		{"no number", "name: x\nratio: .nan", `rig.yaml:2:8: ratio is ".nan"; write a number`},
		{"key that is no number", "name: x\nports: {ssh: 22}", `rig.yaml:2:9: a key of ports is "ssh"; write a whole number`},
		{"key that is a list", "name: x\nvalues: {[a]: b}", "rig.yaml:2:10: a key of values is a list"},
		{"duration without unit", "name: x\nmain: {driver: tcp, pace: 2}", `rig.yaml:2:27: pace is "2"; write a time with its unit, such as "2s" or "250ms"`},
		{"negative duration", "name: x\nmain: {driver: tcp, pace: -2s}", `rig.yaml:2:27: pace is -2s; a time cannot be negative`},
		{"expression", "name: x\nmatch: '('", "rig.yaml:2:8: match: error parsing regexp: missing closing ): `(`; write a regular expression (RE2 syntax)"},
		{"own type", "name: x\nmain: {driver: tcp, rate: fast}", `rig.yaml:2:27: the rate is "fast"; write a whole number`},
		{"own type, several", "name: x\nmain: {driver: tcp, rate: [1, 2]}", "rig.yaml:2:28: 2 rates; write one\nrig.yaml:2:31: 2 rates; write one"},
		{"own type, twice", "name: x\nall: {a: {driver: tcp}, a: {driver: tcp}}", `rig.yaml:2:25: "a" stands in the mapping twice; first on line 2; keep one of them`},
		{"own type, empty reason", "name: x\nall: {none: ''}", "rig.yaml:2:7: the reason is empty; say why"},
		{"merge", "name: x\nvalues: {<<: {a: b}}", "rig.yaml:2:10: values has a merge key; write the keys out"},
		{"alias", "name: &n x\nvalues: {a: *n}", "rig.yaml:1:7: anchors (&n) are not taken; take it out, or put the value in quotes"},
		{"tag", "name: !!str 5", "rig.yaml:1:7: tags (!!str) are not taken; take it out, or put the value in quotes"},
		{"own tag", "name: !secret x", "rig.yaml:1:7: tags (!secret) are not taken; take it out, or put the value in quotes"},
		{"hostile key", "name: x\nvalues: {\"a\\e[2J\": [b]}", `rig.yaml:2:20: a\x1b[2J is a list; it must be a single value`},
		{"hostile tag", "!%0a", `rig.yaml:1:1: tags (!\n) are not taken; take it out, or put the value in quotes`},
		{"second document", "name: x\n---\nname: y", "rig.yaml:2:1: the file has a second document; keep one, without a line of ---"},
		{"empty", "", "rig.yaml:1:1: the file is empty"},
		{"comment alone", "# nothing\n", "rig.yaml:1:1: the file is empty"},
		{"no mapping", "- a", "rig.yaml:1:1: the file is a list; it must be a mapping; write a mapping with name, count, small, ratio, on, maybe, match, words, ports, values, main, all, body"},
		{"tab", "name: x\nmain:\n\tdriver: tcp", "rig.yaml:3:1: this is not YAML: found character that cannot start any token; indent with spaces, not with tabs"},
		{"open bracket", "name: x\nwords: [a", "rig.yaml:2:1: this is not YAML: did not find expected ',' or ']'; look at the indentation, quotes and brackets on this line and those beside it"},
		{"broken UTF-8", "name: x\nmain: \xff", `rig.yaml:2:7: byte \xff is not UTF-8; save the file as UTF-8`},
		{"control", "name: \"a\x1b[2J\"", `rig.yaml:1:9: control character U+001B; take it out, or write it in double quotes as \x and two digits`},
		{"control after line breaks", "a: b\r\nc: d\re: \x01", `rig.yaml:3:4: control character U+0001; take it out, or write it in double quotes as \x and two digits`},
		{"direction", "name: a\u202eb", "rig.yaml:1:8: character U+202E changes the direction of the text; take it out"},
		{"long value", "name: x\ncount: " + strings.Repeat("y", 500), `rig.yaml:2:8: count is "` + strings.Repeat("y", 60) + `"…; write a whole number`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, src, err := decode(t, tc.text)
			require.EqualError(t, err, tc.want)
			require.NotNil(t, src)
			var errs Errors
			require.ErrorAs(t, err, &errs)
			for _, e := range errs {
				assert.Positive(t, e.Pos.Line)
				assert.Positive(t, e.Pos.Column)
			}
		})
	}
}

// The line of a mistake of syntax is where it was made, whatever the library
// counts; what wants quotes is told.
func TestSyntaxErrorsHaveTheirLine(t *testing.T) {
	const quotes = "put the text that begins here in quotes: %s in it means something else to YAML"
	before := "name: x\nvalues: {\n  a: b,\n  c: 'd\n  e'\n}\n"
	for _, tc := range []struct{ name, line, at, remedy string }{
		{"a value in a flow mapping", "all: {a: ${secret.b}}", "7:10", fmt.Sprintf(quotes, "${")},
		{"a value behind others", "all: {é: 1, a: x ${b}, c: 1}", "7:16", fmt.Sprintf(quotes, "${")},
		{"a star alone", "body: {a: b, c: *.local}", "7:17", fmt.Sprintf(quotes, "*")},
		{"at", "words: @home", "7:8", fmt.Sprintf(quotes, "@")},
		{"percent", "words: [a, %b]", "7:12", fmt.Sprintf(quotes, "%")},
		{"bracket", "match: [ab]+ x", "7:8", fmt.Sprintf(quotes, "[")},
		{"a colon in a value", "match: login: now", "7:8", fmt.Sprintf(quotes, `": "`)},
		{"a colon in a flow mapping", "body: {match: login: now, a: b}", "7:15", fmt.Sprintf(quotes, `": "`)},
		{"a quote that stays open", "match: 'login", "7:8", "close the quote that opens here"},
		{"a bracket that stays open", "words: [a, b", "7:1", "look at the indentation, quotes and brackets on this line and those beside it"},
		{"indentation", "main:\n    driver: tcp\n  port: x", "9:3", "look at the indentation, quotes and brackets on this line and those beside it"},
		{"no colon", "count", "7:1", "look at the indentation, quotes and brackets on this line and those beside it"},
		{"a tab", "main:\n  \tdriver: tcp", "8:3", "indent with spaces, not with tabs"},
	} {
		for _, after := range []string{"", "\nratio: 1\n# it's\non: true\n"} {
			t.Run(tc.name, func(t *testing.T) {
				_, _, err := decode(t, before+tc.line+after)
				require.Error(t, err)
				assert.Regexp(t, `^rig\.yaml:`+tc.at+`: this is not YAML: `, err.Error())
				assert.Contains(t, err.Error(), tc.remedy)
			})
		}
	}
	// A large file is not read again and again.
	_, _, err := decode(t, strings.Repeat("a: x\n", 20_000)+"b: [\n"+strings.Repeat("# x\n", 20_000))
	require.Error(t, err)
}

func TestBounds(t *testing.T) {
	_, _, err := decode(t, "name: x\n#"+strings.Repeat("x", maxSize))
	assert.ErrorContains(t, err, "the file has over 1048576 bytes")
	_, _, err = decode(t, "name: x\nbody: "+strings.Repeat("[", 60)+strings.Repeat("]", 60))
	assert.ErrorContains(t, err, "rig.yaml:2:47: the file is nested deeper than 40")
	_, _, err = decode(t, strings.Repeat("[", 20000))
	require.Error(t, err)

	var many strings.Builder
	for i := range 50 {
		fmt.Fprintf(&many, "wrong%d: 1\n", i)
	}
	_, _, err = decode(t, "name: x\n"+many.String())
	var errs Errors
	require.ErrorAs(t, err, &errs)
	require.Len(t, errs, maxErrors+1)
	assert.Equal(t, "and 30 more from here on", errs[maxErrors].What)
	assert.Equal(t, 2, errs[0].Pos.Line)
}

func TestArrange(t *testing.T) {
	a, b := &Error{Pos{"f", 2, 1}, "b", ""}, &Error{Pos{"f", 1, 9}, "a", "fix it"}
	same := *b
	es := Errors{a, b, &same}
	assert.EqualError(t, es.Arrange(), "f:1:9: a; fix it\nf:2:1: b")
	assert.Len(t, es, 3, "the receiver stays")
	assert.Empty(t, Errors(nil).Arrange())
}

func TestNearest(t *testing.T) {
	known := []string{"driver", "port", "baud", "newline", "off-settle", "rfc2217"}
	for in, want := range map[string]string{
		"drvier": "driver", "Port": "port", "bauds": "baud", "new-line": "newline", "off_settle": "off-settle", "offsettle": "off-settle",
		"speed": "", "x": "", "": "", "rfc2218": "rfc2217", "prt": "port", "opt": "", strings.Repeat("port", 100): "",
	} {
		assert.Equal(t, want, Nearest(in, known), "%q", in)
	}
	assert.Equal(t, "aa", Nearest("ab", []string{"bb", "aa"}), "ties go by alphabet")
	assert.Equal(t, []string{"note", "driver", "port", "rate", "pace"}, KeysOf(port{}))
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"name: x", "a: &x [*x]", "<<: {a: b}", "? [a]\n: b", "name: x\n---\nname: y", "\t", "- - - -", "name: |\n  x\n  y", "%YAML 1.1\n---\na: b", "a: !!binary aGk=", "\ufeffname: x", "all: {a: {driver: tcp, rate: [1]}}", "body: {1: 2, ~: 3}", "x: \"\\ud800\"", "ports: {1: 0x10, 2: 0b1, 3: 1_0}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v file
		src, err := Decode("f.yaml", data, &v)
		require.NotNil(t, src)
		if err == nil {
			require.NotEmpty(t, src.Keys())
			return
		}
		var errs Errors
		if !errors.As(err, &errs) {
			t.Fatalf("an error of another type: %v", err)
		}
		require.LessOrEqual(t, len(errs), maxErrors+1)
		lines := 1
		for _, r := range string(data) {
			if strings.ContainsRune("\n\r\u0085\u2028\u2029", r) {
				lines++
			}
		}
		for _, e := range errs {
			require.True(t, e.Pos.Line >= 1 && e.Pos.Line <= lines+1 && e.Pos.Column >= 1, "%v", e)
			require.NotContains(t, e.Error(), "\x1b")
			require.NotContains(t, e.Error(), "\n")
		}
	})
}
