package canary

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"rigor/harness/escape"
)

// spelling is a marker, or a part of it, as it may stand somewhere.
type spelling struct {
	enc      string
	bytes    []byte
	from, to int // which characters of the marker it shows for certain
}

// spellings gives a marker in each encoding. Those of escape.Encodings are what a
// device says; the others are how memory holds it, or a dump of memory shows it.
func spellings(value string) (out []spelling) {
	seen := map[string]bool{}
	add := func(enc string, b []byte, from, to int) {
		if len(b) > 0 && !seen[string(b)] {
			seen[string(b)] = true
			out = append(out, spelling{enc, b, from, to})
		}
	}
	n := len(value)
	for _, e := range escape.Encodings(value) {
		from, to := 0, n
		if strings.HasPrefix(e.Name, "base") { // without what depends on its neighbours
			from, to = 1, n-1
		}
		add(e.Name, e.Bytes, from, to)
		if strings.HasPrefix(e.Name, "base64") {
			for _, b := range inLines(e.Bytes) {
				add("base64 in lines", b, from, to)
			}
		}
	}
	for i := range n {
		if value[i] < ' ' || value[i] > '~' {
			return out // the rest is for what markers are made of
		}
	}
	each := func(f func(c byte) string) []byte {
		var b strings.Builder
		for i := range n {
			b.WriteString(f(value[i]))
		}
		return []byte(b.String())
	}
	add("octal", each(func(c byte) string { return fmt.Sprintf(`\%03o`, c) }), 0, n)
	add("quoted-printable", each(func(c byte) string { return fmt.Sprintf("=%02X", c) }), 0, n)
	add("quoted-printable", each(func(c byte) string { return fmt.Sprintf("=%02x", c) }), 0, n)
	add("json", each(func(c byte) string { return fmt.Sprintf(`\u%04x`, c) }), 0, n)
	add("html", each(func(c byte) string { return fmt.Sprintf("&#%d;", c) }), 0, n)
	add("html", each(func(c byte) string { return fmt.Sprintf("&#x%x;", c) }), 0, n)
	add("utf-32le", each(func(c byte) string { return string([]byte{c, 0, 0, 0}) }), 0, n)
	for _, width := range []int{2, 4} {
		for shift := range width {
			b, from := swapped(value, width, shift)
			add(fmt.Sprintf("byte order of %d reversed", width), b, from, from+len(b))
			h := hex.EncodeToString(b)
			add(fmt.Sprintf("hex, byte order of %d reversed", width), []byte(h), from, from+len(b))
			add(fmt.Sprintf("hex, byte order of %d reversed", width), []byte(strings.ToUpper(h)), from, from+len(b))
		}
	}
	back := []byte(value)
	slices.Reverse(back)
	add("backwards", back, 0, n)
	add("bits reversed", each(func(c byte) string { return string([]byte{bits.Reverse8(c)}) }), 0, n)
	// What is in base64 already, in base64 once more: a token in a cookie in a header.
	once := base64.StdEncoding.EncodeToString([]byte(value))
	add("base64 of base64", []byte(base64.StdEncoding.EncodeToString([]byte(once))), 0, n)
	return out
}

// lineBreaks are those of a text, and of a text in a string of JSON or of a configuration.
var lineBreaks = []string{"\n", "\r\n", `\n`, `\r\n`}

// lineWidths are characters of a line: of PEM (RFC 7468), and of MIME (RFC 2045). What is
// shorter than the first has one break at most, whatever the width.
var lineWidths = []int{64, 76}

// inLines gives a text with line breaks in it, wherever the first may fall.
func inLines(text []byte) (out [][]byte) {
	for _, width := range lineWidths {
		for first := 1; first <= width && first < len(text); first++ {
			for _, brk := range lineBreaks {
				b := slices.Concat(text[:first], []byte(brk))
				rest := text[first:]
				for ; len(rest) > width; rest = rest[width:] {
					b = append(append(b, rest[:width]...), brk...)
				}
				out = append(out, append(b, rest...))
			}
		}
		if len(text) <= lineWidths[0] {
			break
		}
	}
	return out
}

// swapped gives those bytes of a text that stand in whole words of width when the text
// begins shift bytes behind the start of one, each word's last byte first; and how many
// characters are missing before.
func swapped(text string, width, shift int) (out []byte, from int) {
	from = (width - shift) % width
	for i := from; i+width <= len(text); i += width {
		word := []byte(text[i : i+width])
		slices.Reverse(word)
		out = append(out, word...)
	}
	return out, from
}

// pieceSpellings gives a piece of a marker as it stands in what is broken up: in the
// records of a store, the rows of a dump, a message that was cut off.
func pieceSpellings(piece string) []spelling {
	raw := []byte(piece)
	out := []spelling{{"plain", raw, 0, len(raw)},
		{"hex", []byte(hex.EncodeToString(raw)), 0, len(raw)},
		{"hex", []byte(strings.ToUpper(hex.EncodeToString(raw))), 0, len(raw)}}
	for _, width := range []int{2, 4} { // as dumps show a processor's words
		if len(raw)%width == 0 {
			b, _ := swapped(piece, width, 0)
			out = append(out, spelling{fmt.Sprintf("hex in words of %d bytes", width), []byte(hex.EncodeToString(b)), 0, len(raw)})
		}
	}
	le, be := []byte{}, []byte{}
	for _, c := range raw {
		le, be = append(le, c, 0), append(be, 0, c)
	}
	return append(out, spelling{"utf-16le", le, 0, len(raw)}, spelling{"utf-16be", be, 0, len(raw)})
}
