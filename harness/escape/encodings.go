package escape

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MinSecret is the length in bytes from which a secret is looked for in every
// encoding and anywhere in a text. A shorter one would take half of every text
// with it: it is looked for as it is, where it stands alone.
const MinSecret = 4

// Encoded is a text in one encoding.
type Encoded struct {
	Name  string // "plain", "base64", "hex", "utf-16le" …; several spellings may share one
	Bytes []byte
}

// Encodings gives a text in every encoding in which it may turn up in an
// output of ours or in what a device says: as it is; in base64 and base64url at
// each of the three alignments and base32 at each of the five, without the
// characters that depend on what stands beside it; in hexadecimal, in either
// case, plain and with usual separators; percent-encoded; quoted-printable;
// escaped for JSON, Go, XML, HTML, Markdown, a shell, and as Visible and Transcript do it; in
// UTF-16 in both orders. Each spelling comes once, the plain one first. What is
// shorter than MinSecret is left out, and so is everything but the plain form
// of a text that is shorter itself.
func Encodings(text string) []Encoded {
	if text == "" {
		return nil
	}
	raw := []byte(text)
	out := []Encoded{{"plain", raw}}
	if len(raw) < MinSecret {
		return out
	}
	add := func(name, coded string) {
		b := []byte(coded)
		if len(b) >= MinSecret && !slices.ContainsFunc(out, func(e Encoded) bool { return bytes.Equal(e.Bytes, b) }) {
			out = append(out, Encoded{name, b})
		}
	}
	for shift := range 3 {
		add("base64", inner(base64.RawStdEncoding.EncodeToString, raw, shift, 6))
		add("base64url", inner(base64.RawURLEncoding.EncodeToString, raw, shift, 6))
	}
	for shift := range 5 {
		coded := inner(base32.StdEncoding.EncodeToString, raw, shift, 5)
		add("base32", coded)
		add("base32", strings.ToLower(coded))
	}
	pairs := make([]string, len(raw))
	for i, c := range raw {
		pairs[i] = hex.EncodeToString([]byte{c})
	}
	upper := make([]string, len(pairs))
	for i, p := range pairs {
		upper[i] = strings.ToUpper(p)
	}
	for _, form := range []struct{ before, between string }{{"", ""}, {"", " "}, {"", ":"}, {"", "-"}, {"0x", ", 0x"}, {"0x", ",0x"}, {"0x", " 0x"}, {`\x`, `\x`}} {
		add("hex", form.before+strings.Join(pairs, form.between))
		add("hex", form.before+strings.Join(upper, form.between))
	}
	add("hex", words(pairs, 0)) // as hex dumps group bytes
	add("hex", words(pairs, 1))
	add("percent", url.QueryEscape(text))
	add("percent", url.PathEscape(text))
	add("percent", lowerHex(url.QueryEscape(text)))
	add("percent", lowerHex(url.PathEscape(text)))
	all := "%" + strings.Join(pairs, "%")
	add("percent", all)
	add("percent", "%"+strings.Join(upper, "%"))
	add("quoted-printable", quotedPrintable(raw))
	for _, j := range jsons(text) {
		add("json", j)
	}
	add("go", strings.Trim(strconv.Quote(text), `"`))
	add("go", strings.Trim(strconv.QuoteToASCII(text), `"`))
	add("shell", strings.ReplaceAll(text, "'", `'\''`))
	add("visible", Visible(text))
	add("visible", Transcript(text))
	add("xml", XMLText(text))
	add("xml", XMLAttr(text))
	add("html", HTML(text))
	add("html", html.EscapeString(text))
	add("html", strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;").Replace(text))
	add("markdown", Markdown(text))
	add("ci-log", CILog(text))
	le, be := []byte{}, []byte{}
	for _, u := range utf16.Encode([]rune(text)) {
		le = append(le, byte(u), byte(u>>8))
		be = append(be, byte(u>>8), byte(u))
	}
	add("utf-16le", string(le))
	add("utf-16be", string(be))
	return out
}

// inner gives those characters of an encoding with bits in each that depend on
// the text alone when shift bytes stand before it, and anything behind.
func inner(encode func([]byte) string, raw []byte, shift, bits int) string {
	coded := encode(append(make([]byte, shift), raw...))
	from := (shift*8 + bits - 1) / bits
	to := (shift + len(raw)) * 8 / bits
	return coded[from:to]
}

// words joins pairs of hex digits to words of two bytes, beginning after skip.
func words(pairs []string, skip int) string {
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 && (i-skip)%2 == 0 {
			b.WriteByte(' ')
		}
		b.WriteString(p)
	}
	return b.String()
}

// lowerHex writes the hex digits of percent-encoding small.
func lowerHex(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], bytes.ToLower(b[i+1:i+3]))
			i += 2
		}
	}
	return string(b)
}

// quotedPrintable is RFC 2045 6.7 without line breaks.
func quotedPrintable(raw []byte) string {
	var b strings.Builder
	for _, c := range raw {
		if c == '=' || c > '~' || c < ' ' {
			fmt.Fprintf(&b, "=%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// jsons gives the spellings of a text in JSON: with and without the escapes
// that keep HTML out, with an escaped slash, and in ASCII alone.
func jsons(text string) []string {
	var out []string
	for _, escapeHTML := range []bool{true, false} {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(escapeHTML)
		if enc.Encode(text) != nil {
			continue // no string is refused
		}
		s := strings.TrimSuffix(b.String(), "\n")
		s = s[1 : len(s)-1]
		out = append(out, s, strings.ReplaceAll(s, "/", `\/`), asciiJSON(s))
	}
	return out
}

// asciiJSON writes what is beyond ASCII in a JSON string as \uNNNN.
func asciiJSON(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, u)
		}
	}
	return b.String()
}
