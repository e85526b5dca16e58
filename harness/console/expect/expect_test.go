package expect

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// search runs patterns over text, cut at the given places, and ends the stream.
func search(text string, cuts []int, patterns ...Pattern) (int, Match, bool) {
	s := NewSet(0, 0, patterns...)
	at := 0
	for _, c := range append(cuts, len(text)) {
		if hit, ok := s.Feed([]byte(text[at:c])); ok {
			return hit.Index, s.Resolve(hit, []byte(text[hit.From:hit.Upto])), true
		}
		at = c
	}
	if hit, ok := s.End(); ok {
		return hit.Index, s.Resolve(hit, []byte(text[hit.From:hit.Upto])), true
	}
	return 0, Match{}, false
}

var oracleExprs = []string{
	`login: `, `login: $`, `(?m)^[\w-]+ login: $`, `(?m)^[\w-]+ login: `, `(?:=> |# |\$ |login: )`, `a+`, `a+?`, `a|ab`, `ab|a`, `a$|ab?`, `(a+)(b+)`,
	`(?m)^ok$`, `\bok\b`, `\Bok`, `ok\B`, `\Aa`, `(\Aab|b)`, `(?s)a.*b`, `(?s)a.*?b`, `a\z`, `(?i)LOGIN`, `é+`, `[^a]+b`, `(?m)^(\w+)=(\d*)$`, `x*y`, `(?P<u>\w+)@(?P<h>\w+)`,
	`\x{FFFD}`, `(?:a{2,5}b){2}`, `.\n.`, `[^\x00-\x7f]b`, `(?m)a$\n^b`, `k`, `(?i)k`, `(a|b)*c|(a|ab)*x`, `(?m)(^a|b$)+`,
}

var oracleTexts = []string{
	"", "a", "aab", "aaaab", "vg login: ", "\nvg login: root\r\nPassword: ", "Last login: Mon\nvg login: ", "ok\nokok ok.", "ab ab\nxabaaabx",
	"key=12\nother=\nbad=1x\n", "root@host end", "caf\xc3\xa9\xc3\xa9 \xff\xe2\x82 b", "\xe2\x82", "aabaaab", "\u212a kelvin", "abababc ababx", "b\nab\na", "a\nb\n", "x\ny => # $ ",
}

// agree checks one pattern and text against Go's regexp, cut as given. What is
// decided early must be what the whole text gives.
func agree(t *testing.T, p Pattern, re *regexp.Regexp, text string, cuts []int) {
	t.Helper()
	want := re.FindStringSubmatchIndex(text)
	_, m, ok := search(text, cuts, p)
	if want == nil {
		require.Falsef(t, ok, "%s in %q cut at %v: matched %q at %d", re, text, cuts, m.Text, m.From)
		return
	}
	require.Truef(t, ok, "%s in %q cut at %v: no match, want %v", re, text, cuts, want)
	require.Equalf(t, text[want[0]:want[1]], string(m.Text), "%s in %q cut at %v", re, text, cuts)
	require.Equalf(t, []int64{int64(want[0]), int64(want[1])}, []int64{m.From, m.To}, "%s in %q cut at %v", re, text, cuts)
	for g := 1; 2*g < len(want); g++ {
		if want[2*g] < 0 {
			require.Nilf(t, m.Groups[g-1], "%s in %q cut at %v: group %d", re, text, cuts, g)
			continue
		}
		require.Equalf(t, text[want[2*g]:want[2*g+1]], string(m.Groups[g-1]), "%s in %q cut at %v: group %d", re, text, cuts, g)
	}
}

func TestEverySplitAgreesWithRegexp(t *testing.T) {
	for _, expr := range oracleExprs {
		p, re := MustRegexp(expr).Raw(), regexp.MustCompile(expr)
		for _, text := range oracleTexts {
			agree(t, p, re, text, nil)
			for i := 0; i <= len(text); i++ {
				agree(t, p, re, text, []int{i})
				for j := i; j <= len(text); j++ {
					agree(t, p, re, text, []int{i, j})
				}
			}
			var every []int
			for i := range len(text) {
				every = append(every, i)
			}
			agree(t, p, re, text, every)
		}
	}
}

func FuzzAgreesWithRegexp(f *testing.F) {
	for i, text := range oracleTexts {
		f.Add(oracleExprs[i%len(oracleExprs)], text, uint64(i)*2654435761)
	}
	f.Fuzz(func(t *testing.T, expr, text string, seed uint64) {
		if len(expr) > 40 || len(text) > 2000 {
			return
		}
		p, err := Regexp(expr)
		if err != nil {
			return
		}
		agree(t, p.Raw(), regexp.MustCompile(expr), text, cutsOf(text, seed))
	})
}

// cutsOf derives cuts from a seed.
func cutsOf(text string, seed uint64) []int {
	var cuts []int
	for i := range len(text) {
		seed = seed*6364136223846793005 + 1442695040888963407
		if seed>>61 == 0 {
			cuts = append(cuts, i)
		}
	}
	return cuts
}

// FuzzSplitsOfAView checks that cuts change nothing where escapes are left out
// and several patterns run at once.
func FuzzSplitsOfAView(f *testing.F) {
	f.Add("\x1b[1mvg\x1b[0m login: \x1b[?2004h", uint64(1))
	f.Add("\x1b]0;title\aroot@vg:~# \x1b]2;never ends\nfoo", uint64(99))
	f.Add("panic\x1b[31", uint64(7))
	f.Add("caf\xc3\x1b[0m\xa9 login: ", uint64(5))
	patterns := []Pattern{
		MustRegexp(`(?m)^[\w-]+ login: `), MustText("panic").Forbidden(), MustRegexp(`\w+[#$] `).Prompt(time.Second),
		MustRegexp(`(\d+)\.(\d+)`), MustRegexp("\x1b\\[\\d+"), MustRegexp(`[^ -~]\w+`).Forbidden(),
	}
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		i, m, ok := search(text, nil, patterns...)
		j, n, also := search(text, cutsOf(text, seed), patterns...)
		require.Equal(t, ok, also)
		require.Equal(t, i, j)
		require.Equal(t, m, n)
		if ok {
			require.LessOrEqual(t, m.From, m.To)
			require.LessOrEqual(t, m.To, int64(len(text)))
		}
	})
}

func TestDecidedAsSoonAsCanBe(t *testing.T) {
	for _, tc := range []struct {
		expr, text string
		at         int // bytes after which it is decided; -1: by quiet alone
	}{
		{`login: `, "login: x", 7},
		{`[0-9]+`, "12;", 3},
		{`[0-9]+`, "12", -1},
		{`[0-9]{2}`, "12", 2},
		{`(?m)done$`, "done\n", 5},
		{`(?m)done$`, "done", -1},
		{`(?m)done$`, "done\r\n", 6},
		{`done$`, "done", -1},
		{`\w+>`, "abc>", 4},
		{`a|ab`, "ab", 1},
		{`ab|a`, "ac", 2},
		{`a+?`, "aaa", 1},
	} {
		t.Run(tc.expr+" "+tc.text, func(t *testing.T) {
			s := NewSet(0, time.Second, MustRegexp(tc.expr))
			got := -1
			for i := range len(tc.text) {
				if _, ok := s.Feed([]byte{tc.text[i]}); ok {
					got = i + 1
					break
				}
			}
			require.Equal(t, tc.at, got)
			if tc.at < 0 {
				_, ok := s.Quiet(time.Second - 1)
				require.False(t, ok)
				_, ok = s.Quiet(time.Second)
				require.True(t, ok)
			}
		})
	}
}

func TestForbiddenAtTheEndOfALine(t *testing.T) {
	// The line's end is known by the byte behind it; what follows could still
	// make the match longer.
	p := MustRegexp(`(?m)^root$(?:\nmore)?`).Forbidden()
	s := NewSet(0, 0, p)
	_, ok := s.Feed([]byte("root"))
	require.False(t, ok)
	hit, ok := s.Feed([]byte("\n"))
	require.True(t, ok)
	assert.Equal(t, "root", string(s.Resolve(hit, []byte("root\n")).Text))
}

func TestPrompt(t *testing.T) {
	login := MustText("login: ").Prompt(200 * time.Millisecond)
	feed := func(parts ...string) (Match, bool) {
		s := NewSet(0, time.Millisecond, login)
		all := strings.Join(parts, "")
		for _, part := range parts {
			if _, ok := s.Feed([]byte(part)); ok {
				t.Fatal("a prompt was decided without quiet")
			}
			if hit, ok := s.Quiet(200 * time.Millisecond); ok {
				return s.Resolve(hit, []byte(all[hit.From:hit.Upto])), true
			}
		}
		return Match{}, false
	}
	_, ok := feed("Last login: Mon Nov 23")
	assert.False(t, ok, "not at the end")
	m, ok := feed("Last login: Mon\r\n", "vg log", "in: ")
	require.True(t, ok)
	assert.Equal(t, int64(20), m.From)
	assert.Equal(t, "login: ", string(m.Text))
	_, ok = feed("vg login: [   12.3] usb 1-1: new device")
	assert.False(t, ok, "run over by the kernel")
	m, ok = feed("vg \x1b[1mlogin:\x1b[0m \x1b[?2004h")
	require.True(t, ok)
	assert.Equal(t, "login: ", string(m.Text))
}

func TestWhoWins(t *testing.T) {
	a, b := MustText("aa").Named("a"), MustText("xaa").Named("b")
	i, _, _ := search("xaa", nil, a, b)
	assert.Equal(t, 0, i, "the same byte decides both: the order does")
	i, _, _ = search("xaa", nil, b, a)
	assert.Equal(t, 0, i)
	i, _, _ = search("xaa", nil, a, b.Forbidden())
	assert.Equal(t, 1, i, "forbidden first")
	i, _, _ = search("aa xaa", nil, a, b.Forbidden())
	assert.Equal(t, 0, i, "decided first")
	i, m, _ := search("root@host1 ", nil, MustText("host1 "), MustRegexp(`root@\w+`).Forbidden())
	assert.Equal(t, 1, i)
	assert.Equal(t, "root@h", string(m.Text), "a forbidden pattern does not wait for its longest match")
}

func TestViewAndOffsets(t *testing.T) {
	text := "\x1b]0;vg login: \x1b\\\x1b[32mvg\x1b[0m lo\x1b(Bgin: \x1b[0m"
	for c := range len(text) {
		_, m, ok := search(text, []int{c}, MustRegexp(`(\w+) login: `))
		require.True(t, ok)
		require.Equal(t, "vg login: ", string(m.Text))
		require.Equal(t, "vg", string(m.Groups[0]))
		require.Equal(t, "vg\x1b[0m lo\x1b(Bgin: ", text[m.From:m.To])
	}
	assert.Equal(t, "ab\ncd", string(Plain([]byte("a\x1b[31mb\r\n\x00c\x1b7d"))))
	assert.Equal(t, "\nfoo", string(Plain([]byte("\x1b]0;hidden\nfoo"))), "a string that does not end hides no further line")
	assert.Contains(t, string(Plain([]byte("\x1b["+strings.Repeat("1", 500)))), "111", "a sequence that does not end is given up")
}

func TestRawPatterns(t *testing.T) {
	_, _, ok := search("ok\r\n", nil, MustText("ok\r\n"))
	assert.True(t, ok, "a pattern that names a carriage return sees it")
	_, _, ok = search("ok\r\n", nil, MustText("ok\n"))
	assert.True(t, ok)
	_, _, ok = search("ok\r\n", nil, MustText("ok\n").Raw())
	assert.False(t, ok)
	_, _, ok = search("\x1b[6n", nil, MustRegexp(`\x1b\[6n`))
	assert.True(t, ok)
}

func TestGroupsByName(t *testing.T) {
	_, m, ok := search("admin@vg ", nil, MustRegexp(`(?P<u>\w+)@(?P<h>\w+)( x)?`))
	require.True(t, ok)
	assert.Equal(t, "admin", string(m.Group("u")))
	assert.Equal(t, "vg", string(m.Group("h")))
	assert.Nil(t, m.Group("none"))
	assert.Nil(t, m.Group(""))
	assert.Nil(t, m.Groups[2])
}

func TestBadPatterns(t *testing.T) {
	for expr, want := range map[string]string{
		`(`: "missing closing", `a*`: "matches the empty text", `^`: "matches the empty text", `$|a`: "matches the empty text", `\b`: "matches the empty text",
		`(?:(?:\pL{10}){10}){9}x{900}y{900}z{900}`: "", `(?:a{30}b{30}){30}(?:c{30}d{30}){30}(?:e{30}d{30}){30}(?:e{30}d{30}){30}(?:e{30}d{30}){30}(?:e{30}d{30}){30}`: "too large",
	} {
		_, err := Regexp(expr)
		if want == "" {
			require.NoError(t, err, expr)
			continue
		}
		require.ErrorContains(t, err, want, expr)
	}
	var many strings.Builder
	for r := rune(0x4e00); r < 0x4e00+20_000; r += 2 {
		many.WriteRune(r)
	}
	_, err := Regexp("[" + many.String() + "]")
	require.ErrorContains(t, err, "classes of characters")
	_, err = Text("")
	require.ErrorIs(t, err, ErrEmpty)
	_, err = Text("\xff")
	require.ErrorContains(t, err, "UTF-8")
	assert.Panics(t, func() { MustRegexp("(") })
	_, _, ok := search("abc", nil, Pattern{})
	assert.False(t, ok, "the zero pattern never matches")
}

// TestStatesAreBounded runs an expression whose full automaton has 2^20 states.
func TestStatesAreBounded(t *testing.T) {
	s := NewSet(0, 0, MustRegexp(`a[ab]{20}c`))
	var b strings.Builder
	x := uint32(1)
	for range 200_000 {
		x = x*1664525 + 1013904223
		b.WriteByte("ab"[x>>31])
	}
	text := b.String() + strings.Repeat("a", 21) + "c"
	hit, ok := s.Feed([]byte(text))
	require.True(t, ok)
	assert.LessOrEqual(t, len(s.matchers[0].a.all), maxStates+1)
	m := s.Resolve(hit, []byte(text[hit.From:hit.Upto]))
	want := regexp.MustCompile(`a[ab]{20}c`).FindStringIndex(text)
	assert.Equal(t, want, []int{int(m.From), int(m.To)})
}

// TestManyClasses runs an expression that tells the whole of Unicode apart.
func TestManyClasses(t *testing.T) {
	expr := `(?:\p{Lu}\p{Ll}+ ){2}\p{Nd}`
	text := strings.Repeat("ab Ünï Çöde x ", 2000) + "Ünï Çöde ٣"
	agree(t, MustRegexp(expr).Raw(), regexp.MustCompile(expr), text, cutsOf(text, 3))
}

func BenchmarkFeed(b *testing.B) {
	var log strings.Builder
	for i := 0; log.Len() < 8<<20; i++ {
		fmt.Fprintf(&log, "[%5d.%06d] usb 1-1: new high-speed device number %d using xhci_hcd\r\n", i/10, i, i)
	}
	text := []byte(log.String())
	for _, bc := range []struct {
		name     string
		patterns []Pattern
	}{
		{"literal", []Pattern{MustText("vg login: ")}},
		{"line-anchored", []Pattern{MustRegexp(`(?m)^[\w-]+ login: `)}},
		{"alternation", []Pattern{MustRegexp(`(?:=> |# |\$ |login: |Password: )`)}},
		{"no-literal", []Pattern{MustRegexp(`[a-z]+@[a-z]+`)}},
		{"four-patterns", []Pattern{
			MustText("system ready"), MustRegexp(`(?m)^[\w-]+ login: $`).Prompt(time.Second),
			MustRegexp(`(?m)^=> `).Forbidden(), MustText("Kernel panic").Forbidden(),
		}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				s := NewSet(0, time.Second, bc.patterns...)
				for at := 0; at < len(text); at += 4096 {
					if _, ok := s.Feed(text[at:min(at+4096, len(text))]); ok {
						b.Fatal("matched")
					}
				}
			}
		})
	}
}
