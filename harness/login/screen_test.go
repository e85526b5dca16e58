package login

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/verdict"
)

// unscreened is Read as it would be without the screen.
func (t Texts) unscreened(said, before []byte) (verdict.Kind, string) {
	for _, g := range []struct {
		kind     verdict.Kind
		patterns []*regexp.Regexp
	}{{verdict.LockedOut, t.LockedOut}, {verdict.Throttled, t.Throttled}, {verdict.Restricted, t.Restricted}, {verdict.Refused, t.Refused}} {
		for _, re := range g.patterns {
			old := map[string]bool{}
			for words := range statements(re, before) {
				old[string(words)] = true
			}
			for words := range statements(re, said) {
				if !old[string(words)] {
					return g.kind, string(words)
				}
			}
		}
	}
	return "", ""
}

// answers are what devices say, most of them nothing that tells one no from
// another.
var answers = map[string]string{
	"refused":  "\r\nLogin incorrect\r\nvg login: ",
	"locked":   "Your account has been temporarily locked after 5 tries.",
	"shell":    "\r\nWelcome to VG-1, operator. Type help.\r\nvg> id\r\noperator@vg\r\nvg> ",
	"greeting": "SSH-2.0-dropbear_2022.83\r\n",
	"page": strings.Repeat(`<tr><td class="name">eth0</td><td>192.0.2.7</td><td>up, 1000 Mbit/s, full duplex</td></tr>`+"\n", 200) +
		`<p class="error">The user name or password is wrong.</p>`,
}

func TestScreenedIsUnscreened(t *testing.T) {
	texts := DefaultTexts()
	check := func(said, before string) {
		kind, words := texts.Read([]byte(said), []byte(before))
		wantKind, wantWords := texts.unscreened([]byte(said), []byte(before))
		assert.Equal(t, wantKind, kind, "%q", said)
		assert.Equal(t, wantWords, words, "%q", said)
	}
	for _, said := range answers {
		check(said, "")
		check(strings.ToUpper(said), said)
		check(said+"\n"+answers["locked"], answers["locked"])
	}
	for _, said := range []string{"acce\u017fs denied", "Your account is bloc\u212aed", "LOGIN \u017fuspended", "\u017f"} {
		check(said, "")
	}
	kind, _ := texts.Read([]byte("acce\u017f\u017f denied"), nil)
	assert.Equal(t, verdict.Refused, kind, "a pattern that ignores case takes a long s for an s")
}

// Each of our own patterns is screened, by words of some length.
func TestWordsOfOurPatterns(t *testing.T) {
	texts := DefaultTexts()
	for _, list := range [][]*regexp.Regexp{texts.LockedOut, texts.Throttled, texts.Restricted, texts.Refused} {
		for _, re := range list {
			sets := words(re)
			require.NotEmpty(t, sets, "%s", re)
			for _, w := range sets[0] {
				assert.GreaterOrEqual(t, len(w), 3, "%s: %q", re, w)
			}
		}
	}
}

func TestWords(t *testing.T) {
	for pattern, want := range map[string][][]string{
		`gesperrt`:             {{"gesperrt"}},
		`(?i)GeSperrt`:         {{"gesperrt"}},
		`a(?:bc|de)f`:          {{"bc", "de"}, {"a"}, {"f"}},
		`(?i)\blocked|shut`:    {{"locked", "shut"}},
		`x*`:                   nil,
		`(?:ab)?`:              nil,
		`(?:ab)+c{2}`:          {{"ab"}, {"c"}, {"c"}},
		`(?:ab){0,3}`:          nil,
		`ab|\d`:                nil,
		`[ab]c|def g`:          {{"c", "def g"}},
		`größe`:                {{"gr"}},
		`ß`:                    nil,
		`(?i)\x{17f}e`:         {{"se"}},
		``:                     nil,
		`^$`:                   nil,
		`.*`:                   nil,
		`(one|two|three) four`: {{" four"}, {"one", "wo", "hree"}}, // the parser takes the t out
	} {
		assert.Equal(t, want, words(regexp.MustCompile(pattern)), "%s", pattern)
	}
}

// FuzzScreen: a text that a pattern matches is never screened out, whatever the
// pattern; and our own texts read alike with the screen and without.
func FuzzScreen(f *testing.F) {
	for _, said := range answers {
		f.Add(`(?i)\baccount\s+(?:is|was) locked|throttled`, []byte(said), []byte("Account locked"))
	}
	f.Add(`(?i)k+s`, []byte("\u212a\u017f"), []byte(""))
	f.Add(`(ab|cd){2,3}x?`, []byte("abcd"), []byte("cdab"))
	f.Add(`(?i)straße|STRASSE`, []byte("STRA\u1e9eE"), []byte(""))
	texts := DefaultTexts()
	f.Fuzz(func(t *testing.T, pattern string, said, before []byte) {
		if len(said)+len(before) > 1000 { // without a screen it takes its time
			return
		}
		if re, err := regexp.Compile(pattern); err == nil && len(pattern) < 200 {
			if re.Match(said) {
				require.True(t, fold(said).may(re), "%q matches %q, wanted %q", pattern, said, words(re))
			}
			wordsOf.Delete(re)
		}
		kind, words := texts.Read(said, before)
		wantKind, wantWords := texts.unscreened(said, before)
		require.Equal(t, wantKind, kind)
		require.Equal(t, wantWords, words)
		require.True(t, bytes.Contains(said, []byte(words)))
	})
}

func BenchmarkTexts(b *testing.B) {
	texts := DefaultTexts()
	for name, said := range answers {
		for _, how := range []struct {
			name string
			read func(said, before []byte) (verdict.Kind, string)
		}{{"screened", texts.Read}, {"unscreened", texts.unscreened}} {
			b.Run(name+"/"+how.name, func(b *testing.B) {
				text := []byte(said)
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				for b.Loop() {
					how.read(text, nil)
				}
			})
		}
	}
}
