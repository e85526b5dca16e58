package escape

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostile is what a device may say to whoever reads its words.
var hostile = []string{
	"", "plain text\nsecond line\ttab", "ünïcödé – 日本語 🙂", "\x00\x01\x1b\x7f", "\x1b[2J\x1b[1;31mred\x1b[0m", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
	"\u009b31m", "\x9b31m", "\xff\xfe\x80abc", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\u202eb\u2066c\u200bd\ufeff", "\ufffe\uffff", "\U0001fffe\U0010ffff\U000e0041", "\ue000", "\u2028\u2029\u0085",
	"]]>", "<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "&amp;&#x3c;", "a'b`c", "<!-- --> <![CDATA[x]]>",
	"[[ATTACHMENT|/etc/passwd]]", "[[PROPERTY|verdict=pass]]", "[[[ATTACHMENT|x]]", "[[attachment|x]]", "[\u2060[ATTACHMENT|x]]",
	"::error file=x::y", "  ::add-mask::x", "\u3000::error::x", "\u00a0::stop-commands::x", "##[error]x", "a ##vso[task.complete]", "##VSO[x]", "##teamcity[testFailed]", "section_start:1:x\r\x1b[0K", "Section_End:1:x", "travis_fold:start:x", "--- group", "+++ open", "^^^ +++",
	`back\slash`, `\x1b`, `\u{202e}`, `\\`, `\`, `\n`, "\r\n", "\r",
	"| a | b |\n|---|", "[x](javascript:alert(1))", "![i](http://x)", "@everyone and root@host", "# h", "`code`", "$x^2$", "~~s~~", "- item", "1. item",
}

func TestVisibleIsHarmlessAndReversible(t *testing.T) {
	for _, s := range hostile {
		v := Visible(s)
		assert.Empty(t, active(v), "%q", s)
		back, err := Unvisible(v)
		require.NoError(t, err, "%q", v)
		assert.Equal(t, s, back)
	}
	for in, want := range map[string]string{"\x1b[0m": `\x1b[0m`, "\xff": `\xff`, "\u202e": `\u{202e}`, `\`: `\\`, "ok\n\t": "ok\n\t", "\r\n": "\\x0d\n", "\ufffd": "\ufffd", "\u00a0": "\u00a0"} {
		assert.Equal(t, want, Visible(in))
	}
}

// active names a character that would do something, or is not shown.
func active(s string) string {
	if !utf8.ValidString(s) {
		return "broken UTF-8"
	}
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t':
		case unicode.Is(unicode.C, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r), r >= 0xfff0 && r != 0xfffd && r <= 0xffff:
			return fmt.Sprintf("%U", r)
		}
	}
	return ""
}

func TestUnvisibleRefusesWhatIsNoEscape(t *testing.T) {
	for _, v := range []string{`\`, `\x`, `\x1`, `\xzz`, `\u`, `\u{`, `\u{}`, `\u{110000}`, `\u{d800}`, `\u{zz}`, `\q`, `\u{-1}`, `\x+1`} {
		_, err := Unvisible(v)
		assert.Error(t, err, "%q", v)
	}
}

// isChar is the Char production of XML 1.0.
func isChar(r rune) bool {
	return r == 9 || r == 10 || r == 13 || r >= 0x20 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 && r <= 0x10ffff
}

func TestXML(t *testing.T) {
	for _, s := range hostile {
		doc := `<t a="` + XMLAttr(s) + `" b='` + XMLAttr(s) + `'>` + XMLText(s) + `</t>`
		for _, r := range doc {
			require.True(t, isChar(r), "%q has %U", s, r)
		}
		assert.NotContains(t, doc, "]]>")
		var got struct {
			A string `xml:"a,attr"`
			B string `xml:"b,attr"`
			T string `xml:",chardata"`
		}
		dec := xml.NewDecoder(strings.NewReader(doc))
		require.NoError(t, dec.Decode(&got), "%q", doc)
		for _, text := range []string{got.A, got.B, got.T} {
			assert.NotRegexp(t, `(?i)\[\[(attachment|property)\|`, text)
			back, err := Unvisible(text)
			require.NoError(t, err)
			assert.Equal(t, s, back, "nothing is lost on the way through XML")
		}
		_, err := dec.Token()
		assert.ErrorIs(t, err, io.EOF)
	}
}

func TestHTML(t *testing.T) {
	for _, s := range hostile {
		h := HTML(s)
		assert.NotRegexp(t, "[<>\"'`]", h, "%q", s)
		assert.Empty(t, active(h))
		assert.NotRegexp(t, `&(?:[^alg#]|$)`, h, "an & that begins no escape")
	}
	assert.Equal(t, "&lt;b a=&#34;1&#34;&gt;", HTML(`<b a="1">`))
}

func TestCILog(t *testing.T) {
	for _, s := range hostile {
		c := CILog(s)
		assert.Empty(t, active(c))
		for l := range strings.SplitSeq(c, "\n") {
			text := strings.TrimLeftFunc(l, unicode.IsSpace)
			assert.NotRegexp(t, `^(::|--- |\+\+\+ |~~~ |\^\^\^ )`, text, "%q", s)
			assert.NotRegexp(t, `(?i)##[a-z]*\[|section_(start|end):|travis_(fold|time):`, text, "%q", s)
		}
		back, err := Unvisible(c)
		require.NoError(t, err, "%q", c)
		assert.Equal(t, s, back)
	}
	assert.Equal(t, "ok\n  \\x3a:error::x\n##\\x5berror]", CILog("ok\n  ::error::x\n##[error]"))
	assert.Equal(t, "a::b", CILog("a::b"), "only a line's beginning counts")
}

func TestMarkdown(t *testing.T) {
	for _, s := range hostile {
		m := Markdown(s)
		assert.NotContains(t, m, "\n", "%q", s)
		assert.Empty(t, active(m))
		m = strings.ReplaceAll(m, "<!-- -->", "")
		for i := 0; i < len(m); i++ {
			if m[i] == '\\' { // the next is text
				i++
				continue
			}
			assert.False(t, strings.ContainsRune("`*_{}[]()#+-.!|~:<>@$", rune(m[i])) && !strings.HasPrefix(m[max(0, i-1):], "&#"), "%q at %d of %q", m[i], i, m)
		}
	}
	assert.Equal(t, `a \| b`, Markdown("a | b"))
	assert.Equal(t, `\\n`, Markdown("\n"))
	assert.Equal(t, "&#64;<!-- -->all", Markdown("@all"))
	assert.Equal(t, "a &#64; b", Markdown("a @ b"))
}

func TestJSON(t *testing.T) {
	for _, s := range hostile {
		j := JSON(s)
		assert.NotContains(t, j, "<")
		var back string
		require.NoError(t, json.Unmarshal([]byte(j), &back))
		if !utf8.ValidString(s) {
			var err error
			back, err = Unvisible(back)
			require.NoError(t, err)
		}
		assert.Equal(t, s, back)
	}
}

func TestName(t *testing.T) {
	for _, s := range append([]string{".", "..", "../../etc/passwd", "/", "con", "NUL.txt", "a..b", ".hidden", strings.Repeat("x", 500), "con-shell-noauth[main]", "a:b*c?"}, hostile...) {
		n := Name(s)
		assert.NotEmpty(t, n)
		assert.LessOrEqual(t, len(n), maxName+1)
		assert.Equal(t, n, filepath.Base(n))
		assert.True(t, filepath.IsLocal(n), "%q", n)
		assert.Regexp(t, `^[A-Za-z0-9_=][A-Za-z0-9_=.-]*$`, n)
		assert.NotContains(t, n, "..")
		assert.Equal(t, n, Name(n), "a name stays")
	}
	assert.Equal(t, "con-shell-noauth-main", Name("con-shell-noauth[main]"))
	assert.Equal(t, "etc-passwd", Name("../../etc/passwd"))
	assert.Equal(t, "_con", Name("con"))
}

func TestTranscript(t *testing.T) {
	for in, want := range map[string]string{
		"login: \r\nPassword: \r\n":   "login: \nPassword: \n",
		"50 %\r100 %\r\n":             `50 %\x0d100 %` + "\n",
		"a\r\r\nb":                    `a\x0d` + "\nb",
		"end\r":                       `end\x0d`,
		"\n\r":                        "\n" + `\x0d`,
		"\x1b[0m\r\n\x08\xff\\\u202e": `\x1b[0m` + "\n" + `\x08\xff\\\u{202e}`,
	} {
		assert.Equal(t, want, Transcript(in), "%q", in)
		assert.Equal(t, want, Excerpt(in, 0), "%q", in)
	}
	for _, s := range hostile {
		assert.Empty(t, active(Transcript(s)))
		assert.Equal(t, Visible(s), Transcript(strings.ReplaceAll(s, "\r\n", "\r\r\n")), "nothing else differs: %q", s)
	}
}

func TestExcerpt(t *testing.T) {
	assert.Equal(t, "short", Excerpt("short", 100))
	assert.Equal(t, "no limit", Excerpt("no limit", 0))
	for _, s := range append([]string{strings.Repeat("\x1b", 100), strings.Repeat("ü", 100), strings.Repeat("\xff\u202e", 50), strings.Repeat("abc\n", 100)}, hostile...) {
		for _, limit := range []int{1, 7, 20, 50} {
			e := Excerpt(s, limit)
			assert.Empty(t, active(e))
			if e == Transcript(s) {
				continue
			}
			assert.LessOrEqual(t, len(e), limit+60)
			head, rest, _ := strings.Cut(e, "\n… ")
			count, tail, ok := strings.Cut(rest, " bytes left out …\n")
			require.True(t, ok, "%q", e)
			h, err := Unvisible(head)
			require.NoError(t, err)
			tl, err := Unvisible(tail)
			require.NoError(t, err)
			read := lines(s)
			assert.True(t, strings.HasPrefix(read, h) && strings.HasSuffix(read, tl))
			assert.Equal(t, fmt.Sprint(len(read)-len(h)-len(tl)), count)
		}
	}
}

func FuzzEscapers(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, f := range map[string]func(string) string{"visible": Visible, "terminal": Terminal, "ci": CILog, "html": HTML, "markdown": Markdown, "xml": XMLText, "attr": XMLAttr, "json": JSON} {
			out := f(s)
			if name != "json" { // JSON itself escapes for its readers
				require.Empty(t, active(out), name)
			}
		}
		for _, v := range []string{Visible(s), CILog(s)} {
			back, err := Unvisible(v)
			require.NoError(t, err)
			require.Equal(t, s, back)
		}
		var text string
		require.NoError(t, xml.Unmarshal([]byte("<t>"+XMLText(s)+"</t>"), &text))
		back, err := Unvisible(text)
		require.NoError(t, err)
		require.Equal(t, s, back)
		require.True(t, filepath.IsLocal(Name(s)))
		if v, err := Unvisible(s); err == nil { // whatever it takes, it gives bytes
			_ = v
		}
		require.Empty(t, active(Excerpt(s, 40)))
	})
}

func BenchmarkVisible(b *testing.B) {
	for name, s := range map[string]string{"text": strings.Repeat("a line of a boot log 0123456789\n", 4096), "binary": strings.Repeat("\x1b[0m\xff\x00", 16384)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				Visible(s)
			}
		})
	}
}

// What a terminal would obey is written out in JSON, and reads back.
func TestJSONLine(t *testing.T) {
	for _, text := range []string{"", "plain", "ü ✓", "a\x7fb", "\u009b31m", "\u202egnp", "\ufeff\u200b", "\U000e0001", "\x1b\x00", `\u0041 \\`} {
		raw, err := json.Marshal(text)
		require.NoError(t, err)
		line := JSONLine(raw)
		assert.True(t, Tame(string(line)), "%q", line)
		var back string
		require.NoError(t, json.Unmarshal(line, &back))
		assert.Equal(t, text, back)
	}
}

func TestTame(t *testing.T) {
	for text, want := range map[string]bool{"": true, "a\r\nb\tc\\ ü": true, "over\rwritten": false, "\x1b[m": false, "\xff": false, "\u0085": false, "\x7f": false, "\u202e": false} {
		assert.Equal(t, want, Tame(text), "%q", text)
	}
}
