package escape

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"math/rand/v2"
	"mime/quotedprintable"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// spellings writes a text in every way that the libraries of this language
// know, independent of Encodings, within something else.
func spellings(t testing.TB, secret string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{"plain": []byte("x" + secret + "y")}
	for pad := range 6 {
		text := []byte(strings.Repeat("a", pad) + secret + "tail")
		out[fmt.Sprint("base64 ", pad)] = []byte(base64.StdEncoding.EncodeToString(text))
		out[fmt.Sprint("base64url ", pad)] = []byte(base64.URLEncoding.EncodeToString(text))
		out[fmt.Sprint("base32 ", pad)] = []byte(base32.StdEncoding.EncodeToString(text))
	}
	out["hex"] = []byte(hex.EncodeToString([]byte("a" + secret)))
	out["HEX"] = fmt.Appendf(nil, "%X", secret)
	out["spaced hex"] = fmt.Appendf(nil, "% x", secret)
	out["colon HEX"] = []byte(strings.ReplaceAll(fmt.Sprintf("% X", secret), " ", ":"))
	out["query"] = []byte("?a=" + url.QueryEscape(secret) + "&b=c")
	out["path"] = []byte("/" + url.PathEscape(secret))
	out["userinfo"] = []byte(url.UserPassword("u", secret).String())
	j, err := json.Marshal(map[string]string{"p": secret})
	require.NoError(t, err)
	out["json"] = j
	var b bytes.Buffer
	require.NoError(t, xml.EscapeText(&b, []byte(Visible(secret))))
	out["xml"] = b.Bytes()
	out["html"] = []byte(template.HTMLEscapeString(secret))
	out["go"] = []byte(strconv.Quote(secret))
	out["ours"] = []byte(XMLAttr(secret) + HTML(secret) + Markdown(secret) + CILog(secret))
	var le, be []byte
	for _, u := range utf16.Encode([]rune(secret)) {
		le, be = append(le, byte(u), byte(u>>8)), append(be, byte(u>>8), byte(u))
	}
	out["utf-16le"], out["utf-16be"] = le, be
	var qp bytes.Buffer
	w := quotedprintable.NewWriter(&qp)
	_, err = w.Write([]byte(secret))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	out["quoted-printable"] = qp.Bytes()
	return out
}

var secrets = []string{"hunter2hunter2", "S3cret", "pässwörd™", `a"b\c<d>&'e'`, "with space/+=%", "[[PROPERTY|x]]", "abcd", "ends=with==", "1234567890"}

func TestEverySpellingIsFoundAndRedacted(t *testing.T) {
	for _, secret := range secrets {
		r := NewRedactor()
		r.Add("owner", secret)
		for name, text := range spellings(t, secret) {
			assert.NotEmpty(t, r.Find(text), "%s of %q: %q", name, secret, text)
			out := r.Bytes(text)
			assert.Empty(t, r.Find(out), "%s of %q: %q", name, secret, out)
			assert.Contains(t, string(out), "‹secret:owner›", "%s of %q", name, secret)
			assert.Equal(t, string(out), r.String(string(text)))
		}
	}
}

func TestWhatIsNoSecretStays(t *testing.T) {
	r := NewRedactor()
	assert.Equal(t, "anything", r.String("anything"))
	r.Add("empty", "")
	r.Add("owner", "hunter2hunter2")
	r.Add("label", "XK-42-77")
	for _, s := range append([]string{"hunter2hunter", "hunter2 hunter2", "HUNTER2HUNTER2", "XK-42-7"}, hostile...) {
		assert.Equal(t, s, r.String(s))
		assert.Empty(t, r.Find([]byte(s)))
	}
	assert.Equal(t, "user=a ‹secret:owner› and ‹secret:label›!", r.String("user=a hunter2hunter2 and XK-42-77!"))
}

func TestShortSecretsCountWhereTheyStandAlone(t *testing.T) {
	r := NewRedactor()
	r.Add("pin", "123")
	assert.Equal(t, "pin ‹secret:pin›, 1234, x123, 123_ and ‹secret:pin›", r.String("pin 123, 1234, x123, 123_ and 123"))
	assert.Equal(t, "‹secret:pin›", r.String("123"))
	assert.Equal(t, []Hit{{"pin", "plain", 0}}, r.Find([]byte("123 1234")))
}

func TestFindTellsNameEncodingAndPlace(t *testing.T) {
	r := NewRedactor()
	r.Add("a", "secret-a")
	r.Add("b", "et-abc")
	assert.Equal(t, []Hit{{"a", "plain", 2}, {"b", "plain", 6}}, r.Find([]byte("x secret-abc")), "overlapping ones too")
	hits := r.Find([]byte("zz " + hex.EncodeToString([]byte("secret-a"))))
	require.Len(t, hits, 1)
	assert.Equal(t, Hit{"a", "hex", 3}, hits[0])
}

func TestMasksNeverShowASecret(t *testing.T) {
	for _, tc := range []struct{ name, value string }{
		{"owner", "owner"}, {"owner", "secret"}, {"x", "‹secret:x›"}, {"x", "‹‹‹‹"}, {"x", "t:x›"}, {"secret", "***x"}, {"n\x1bn", "abcdef"}, {"x", "›››"}, {"x", "····"},
	} {
		r := NewRedactor()
		r.Add(tc.name, tc.value)
		for _, text := range []string{tc.value, tc.value + tc.value, "›" + tc.value + "‹", "a" + tc.value + "›x", tc.value[:len(tc.value)-1] + tc.value + tc.value[1:]} {
			out := r.String(text)
			assert.Empty(t, r.Find([]byte(out)), "%q: %q", tc.value, out)
			assert.Empty(t, active(strings.ToValidUTF8(out, "")))
		}
	}
	// A later secret that is part of an older one's mask.
	r := NewRedactor()
	r.Add("owner", "hunter2hunter2")
	r.Add("word", "owner")
	assert.Equal(t, "‹secret›", r.String("hunter2hunter2"))
}

func TestWriterIsLikeBytes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	r := NewRedactor()
	r.Add("a", "abab")
	r.Add("b", "babbab")
	r.Add("c", "hunter2hunter2")
	r.Add("d", "12")
	pieces := []string{"a", "b", "ab", "ba", "hunter2", "hunter2hunter2", "12", "1", " ", "2", "x", "YWJhYg", "61626162", "%61"}
	for range 3000 {
		var text []byte
		for range rnd.IntN(12) {
			text = append(text, pieces[rnd.IntN(len(pieces))]...)
		}
		var got bytes.Buffer
		w := r.Writer(&got)
		for rest := text; len(rest) > 0; {
			n := 1 + rnd.IntN(len(rest))
			if rnd.IntN(2) == 0 {
				n = 1
			}
			wrote, err := w.Write(rest[:n])
			require.NoError(t, err)
			require.Equal(t, n, wrote)
			rest = rest[n:]
		}
		require.NoError(t, w.Close())
		require.Equal(t, string(r.Bytes(text)), got.String(), "%q", text)
		require.Empty(t, r.Find(got.Bytes()), "%q", text)
	}
}

func TestWriterHoldsBackLittle(t *testing.T) {
	r := NewRedactor()
	r.Add("owner", "hunter2hunter2")
	var got bytes.Buffer
	w := r.Writer(&got)
	_, err := w.Write([]byte("boot ok\nlogin: "))
	require.NoError(t, err)
	assert.Equal(t, "boot ok\nlogin: ", got.String(), "what can be no secret is not delayed")
	_, err = w.Write([]byte("hunter2hun"))
	require.NoError(t, err)
	assert.Equal(t, "boot ok\nlogin: ", got.String())
	_, err = w.Write([]byte("d"))
	require.NoError(t, err)
	assert.Equal(t, "boot ok\nlogin: hunter2hun"[:len("boot ok\nlogin: hunter2")], got.String()[:len("boot ok\nlogin: hunter2")])
	require.NoError(t, w.Close())
	assert.Equal(t, "boot ok\nlogin: hunter2hund", got.String())
}

type broken struct{ after int }

func (b *broken) Write(p []byte) (int, error) {
	if b.after--; b.after < 0 {
		return 0, errors.New("disk full")
	}
	return len(p), nil
}

func TestWriterKeepsItsError(t *testing.T) {
	w := NewRedactor().Writer(&broken{after: 1})
	_, err := w.Write([]byte("one"))
	require.NoError(t, err)
	for range 2 {
		_, err = w.Write([]byte("two"))
		require.EqualError(t, err, "disk full")
	}
	assert.EqualError(t, w.Close(), "disk full")
}

func TestRedactorIsSafeForConcurrentUse(t *testing.T) {
	r := NewRedactor()
	r.Add("first", "first-secret")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for k := range 20 {
				r.Add(fmt.Sprintf("n%d", k), fmt.Sprintf("value-%d-%d", i, k))
			}
		})
		wg.Go(func() {
			for range 200 {
				assert.NotContains(t, r.String("a first-secret b"), "first-secret")
				r.Find([]byte("value-1-1 first-secret"))
			}
		})
	}
	wg.Wait()
}

func TestEncodingsAreDistinctAndPlainFirst(t *testing.T) {
	for _, s := range secrets {
		seen := map[string]bool{}
		for i, e := range Encodings(s) {
			assert.False(t, seen[string(e.Bytes)], "%s of %q twice", e.Name, s)
			seen[string(e.Bytes)] = true
			assert.NotEmpty(t, e.Name)
			assert.GreaterOrEqual(t, len(e.Bytes), MinSecret)
			if i == 0 {
				assert.Equal(t, Encoded{"plain", []byte(s)}, e)
			}
		}
	}
	assert.Empty(t, Encodings(""))
	assert.Equal(t, []Encoded{{"plain", []byte("abc")}}, Encodings("abc"))
}

func FuzzRedactor(f *testing.F) {
	for _, s := range secrets {
		f.Add(s, "other-secret", "text "+s+" more", uint8(3))
	}
	f.Add("abab", "baba", "abababab", uint8(1))
	f.Add("\x00\x00\x00\x00", "\xff\xfe\xfd\xfc", "\x00\x00\x00\x00\x00", uint8(2))
	f.Fuzz(func(t *testing.T, one, two, text string, cut uint8) {
		if len(one) > 64 || len(two) > 64 {
			return
		}
		r := NewRedactor()
		r.Add("one", one)
		r.Add("two", two)
		for _, s := range []string{text, text + one + two + text, two[:len(two)/2] + one + two[len(two)/2:], JSON(one), base64.StdEncoding.EncodeToString([]byte(text + two))} {
			out := r.String(s)
			require.Equal(t, string(r.Bytes([]byte(s))), out)
			for _, h := range r.Find([]byte(out)) {
				if v := map[string]string{"one": one, "two": two}[h.Name]; len(v) >= MinSecret {
					t.Fatalf("%q still holds %q as %s", out, v, h.Encoding)
				}
			}
			var b bytes.Buffer
			w := r.Writer(&b)
			for rest := s; rest != ""; {
				n := min(1+int(cut), len(rest))
				_, err := w.Write([]byte(rest[:n]))
				require.NoError(t, err)
				rest = rest[n:]
			}
			require.NoError(t, w.Close())
			require.Equal(t, out, b.String(), "in pieces of %d", 1+int(cut))
		}
	})
}

func BenchmarkRedactor(b *testing.B) {
	for _, n := range []int{1, 20, 200} {
		r := NewRedactor()
		for i := range n {
			r.Add(fmt.Sprint("s", i), fmt.Sprintf("Secret-%d-%x", i, i*7919))
		}
		text := []byte(strings.Repeat("[    0.123456] a line of a boot log, status=ok count=42\n", 20000))
		b.Run(fmt.Sprintf("bytes/%d", n), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				r.Bytes(text)
			}
		})
		b.Run(fmt.Sprintf("short/%d", n), func(b *testing.B) {
			for b.Loop() {
				r.String("con-shell-noauth[main]")
			}
		})
	}
	b.Run("add", func(b *testing.B) {
		for b.Loop() {
			NewRedactor().Add("owner", "correct horse battery staple")
		}
	})
}
