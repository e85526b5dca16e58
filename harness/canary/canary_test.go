package canary

import (
	"bytes"
	"encoding/ascii85"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const value = "hJ7mQz2vXn4TqRw9bYc3KpLd"

func drawn(t testing.TB, alphabet string, length int) Form {
	t.Helper()
	f, err := FormOf(alphabet, length)
	require.NoError(t, err)
	return f
}

func draw(rng *rand.Rand, f Form) string {
	out := make([]byte, f.Length)
	for i := range out {
		out[i] = f.Alphabet[rng.IntN(len(f.Alphabet))]
	}
	return string(out)
}

func swap(b []byte, width int) []byte {
	b = bytes.Clone(b)
	for i := 0; i+width <= len(b); i += width {
		for j := range width / 2 {
			b[i+j], b[i+width-1-j] = b[i+width-1-j], b[i+j]
		}
	}
	return b
}

// TestFindsAMarkerInEveryEncoding: at each alignment, with anything on both sides.
func TestFindsAMarkerInEveryEncoding(t *testing.T) {
	set := NewSet(drawn(t, "ascii", 24).Marker("the marker", value), drawn(t, "", 0).Marker("another", "8kRtNb5yHd2WsGf6jPx7CvZu"))
	rng := rand.New(rand.NewPCG(1, 2))
	for name, code := range map[string]func(b []byte) []byte{
		"plain":            func(b []byte) []byte { return b },
		"hex":              func(b []byte) []byte { return []byte(hex.EncodeToString(b)) },
		"hex upper":        func(b []byte) []byte { return []byte(strings.ToUpper(hex.EncodeToString(b))) },
		"base64":           func(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) },
		"base64 url":       func(b []byte) []byte { return []byte(base64.RawURLEncoding.EncodeToString(b)) },
		"utf-16le":         func(b []byte) []byte { return utf(b, 0, 1) },
		"utf-16be":         func(b []byte) []byte { return utf(b, 8, 1) },
		"percent":          func(b []byte) []byte { return spell(b, "%%%02x") },
		"percent upper":    func(b []byte) []byte { return spell(b, "%%%02X") },
		"quoted-printable": func(b []byte) []byte { return spell(b, "=%02X") },
		"octal":            func(b []byte) []byte { return spell(b, `\%03o`) },
		"C":                func(b []byte) []byte { return spell(b, `\x%02x`) },
		"json":             func(b []byte) []byte { return spell(b, `\u%04x`) },
		"a dump":           func(b []byte) []byte { return []byte(hex.Dump(b)) },
		"words of 2":       func(b []byte) []byte { return swap(b, 2) },
		"words of 4":       func(b []byte) []byte { return swap(b, 4) },
		"hex, words of 4":  func(b []byte) []byte { return []byte(hex.EncodeToString(swap(b, 4))) },
	} {
		for shift := range 12 {
			record := make([]byte, shift, 64)
			for i := range record {
				record[i] = byte(rng.IntN(256))
			}
			record = append(append(record, value...), make([]byte, 16-(shift+len(value))%4)...)
			found := set.Find(append(code(record), "and more"...))
			require.NotEmpty(t, found.Of("the marker"), "%s, %d bytes behind the beginning", name, shift)
			assert.Empty(t, found.Of("another"), name)
			for _, h := range found.Hits {
				assert.NotContains(t, h.String(), value[:8], name)
			}
		}
	}
	assert.Subset(t, set.Encodings(), []string{"plain", "hex", "base64", "base32", "utf-16le", "utf-16be", "percent", "quoted-printable", "octal", "backwards", "bits reversed"})
	assert.Empty(t, set.Blind("the marker"))
	// What nobody looks for is not found by accident.
	coded := make([]byte, 64)
	n := ascii85.Encode(coded, []byte(value))
	assert.Empty(t, set.Find(coded[:n]).Hits)
}

func utf(b []byte, shift, width int) (out []byte) {
	for _, u := range utf16.Encode([]rune(string(bytes.ToValidUTF8(b, []byte("?"))))) {
		out = append(out, byte(u>>shift), byte(u>>(8-shift)))
	}
	return out[:len(out)*width]
}

func spell(b []byte, verb string) (out []byte) {
	for _, c := range b {
		out = fmt.Appendf(out, verb, c)
	}
	return out
}

// TestPieces: what was cut off is found by a piece that is no accident.
func TestPieces(t *testing.T) {
	f := drawn(t, "ascii", 24)
	assert.Equal(t, 8, f.Piece)
	set := NewSet(f.Marker("m", value))
	found := set.Find([]byte("xx" + value[3:14] + "--" + value[20:]))
	require.Len(t, found.Hits, 1)
	assert.Equal(t, Hit{Marker: "m", Encoding: "plain", Offset: 2, Length: 11, From: 3, To: 14, Of: 24}, found.Hits[0])
	assert.Equal(t, "m at 0x2 as plain, characters 4 to 14 of 24", found.Hits[0].String())
	assert.False(t, found.Hits[0].Whole())
	assert.Empty(t, set.Find([]byte(value[:7]+" "+value[8:15])).Hits, "seven characters are an accident")
	whole := set.Find([]byte("psk=" + value + "\n"))
	require.Len(t, whole.Hits, 1, "a piece of what was found whole is no hit of its own")
	assert.Equal(t, "m at 0x4 as plain", whole.Summary(3))
	assert.Equal(t, "nothing in 3 bytes", set.Find([]byte("abc")).Summary(3))
	many := set.Find(bytes.Repeat([]byte(value+"\n"), 300))
	assert.Len(t, many.Hits, MaxHits)
	assert.Contains(t, many.Summary(2), "62 more")
}

// TestForms: a marker that could be chance is none.
func TestForms(t *testing.T) {
	for _, c := range []struct {
		alphabet string
		length   int
		ok       bool
		piece    int
	}{
		{"", 0, true, 8}, {"ascii", 7, true, 8}, {"ascii", 6, false, 0}, {"hex", 10, true, 10}, {"hex", 9, false, 0},
		{"digits", 13, true, 13}, {"digits", 12, false, 0}, {"runes", 40, false, 0},
	} {
		f, err := FormOf(c.alphabet, c.length)
		require.Equal(t, c.ok, err == nil, "%+v: %v", c, err)
		assert.Equal(t, c.piece, f.Piece, "%+v", c)
		if !c.ok {
			continue
		}
		m := draw(rand.New(rand.NewPCG(3, 4)), f)
		s := NewSet(f.Marker("m", m))
		assert.NotEmpty(t, s.Find([]byte("-"+m+"-")).Hits)
		if c.length == 7 { // of its base64 at any place only five characters are sure
			assert.Contains(t, s.Blind("m"), "base64")
			assert.Empty(t, s.Find([]byte(base64.StdEncoding.EncodeToString([]byte("-"+m)))).Hits)
		}
	}
}

// naive looks at every place for every spelling.
func naive(s *Set, data []byte) map[string]bool {
	out := map[string]bool{}
	for _, n := range s.needles {
		for at := 0; ; at++ {
			i := bytes.Index(data[at:], n.bytes)
			if i < 0 {
				break
			}
			at += i
			out[fmt.Sprintf("%d %d", n.marker, at)] = true
		}
	}
	return out
}

// covered says whether a naive hit lies in one of the search.
func covered(s *Set, found Found, marker, at int) bool {
	for _, h := range found.Hits {
		if h.Marker == s.markers[marker].Name && int64(at) >= h.Offset && int64(at) <= h.Offset+int64(h.Length) {
			return true
		}
	}
	return false
}

// FuzzSearch: whatever stands around markers, and however the bytes come, the search
// finds what a naive one finds, and nothing else.
func FuzzSearch(f *testing.F) {
	f.Add([]byte("abc"), uint64(1), uint8(3))
	f.Add(bytes.Repeat([]byte{0xff}, 300), uint64(7), uint8(1))
	f.Add([]byte(strings.Repeat("hJ7mhJ7m", 40)), uint64(9), uint8(200))
	f.Fuzz(func(t *testing.T, data []byte, seed uint64, size uint8) {
		rng := rand.New(rand.NewPCG(seed, 1))
		form := drawn(t, []string{"ascii", "hex", "digits"}[seed%3], 13+int(seed%16))
		set := NewSet(form.Marker("one", draw(rng, form)), form.Marker("two", draw(rng, form)))
		for range rng.IntN(6) {
			n := set.needles[rng.IntN(len(set.needles))]
			at := rng.IntN(len(data) + 1)
			data = append(data[:at:at], append(bytes.Clone(n.bytes[:rng.IntN(len(n.bytes)+1)]), data[at:]...)...)
			data = append(data[:at:at], append(bytes.Clone(n.bytes), data[at:]...)...)
		}
		want := naive(set, data)
		small := &Scanner{s: set, hits: map[int][]Hit{}}
		for i := 0; i < len(data); i += int(size) + 1 {
			_, _ = small.Write(data[i:min(len(data), i+int(size)+1)])
			small.flush(false)
		}
		whole, streamed := set.Find(data), small.Found()
		assert.Equal(t, whole, streamed)
		if len(want) > MaxHits {
			return // more than are kept
		}
		for k := range want {
			var m, at int
			_, err := fmt.Sscanf(k, "%d %d", &m, &at)
			require.NoError(t, err)
			if !covered(set, whole, m, at) {
				t.Errorf("marker %d at %d of %q: %v", m, at, data, whole.Hits)
			}
		}
		for _, h := range whole.Hits {
			ok := false
			for _, n := range set.needles {
				ok = ok || bytes.HasPrefix(data[h.Offset:], n.bytes)
			}
			if !ok {
				t.Errorf("%v is not there", h)
			}
		}
	})
}

// TestSearchStreams: a marker across the ends of reads, and a reader that fails.
func TestSearchStreams(t *testing.T) {
	set := NewSet(drawn(t, "ascii", 24).Marker("m", value))
	data := append(bytes.Repeat([]byte{0xa5}, chunk-10), value...)
	data = append(data, bytes.Repeat([]byte{0x5a}, 2*chunk)...)
	for name, r := range map[string]io.Reader{"whole": bytes.NewReader(data), "half": iotest.HalfReader(bytes.NewReader(data))} {
		found, err := set.Search(r)
		require.NoError(t, err, name)
		require.Len(t, found.Hits, 1, name)
		assert.Equal(t, int64(chunk-10), found.Hits[0].Offset, name)
		assert.Equal(t, int64(len(data)), found.Bytes, name)
	}
	found, err := set.Search(io.MultiReader(strings.NewReader(value), iotest.ErrReader(io.ErrUnexpectedEOF)))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Len(t, found.Hits, 1)
	empty, err := NewSet().Search(strings.NewReader("abcdef"))
	require.NoError(t, err)
	assert.Empty(t, empty.Hits)
	assert.Equal(t, int64(6), empty.Bytes)
}

// BenchmarkSearch: 100 markers in all encodings, and in pieces, over 64 MiB of flash:
// a third erased, a third code, a third text in base64 and hex.
func BenchmarkSearch(b *testing.B) {
	rng := rand.New(rand.NewPCG(5, 6))
	form := drawn(b, "ascii", 24)
	var markers []Marker
	for i := range 100 {
		markers = append(markers, form.Marker(fmt.Sprint("marker ", i), draw(rng, form)))
	}
	set := NewSet(markers...)
	flash := bytes.Repeat([]byte{0xff}, 64<<20)
	for i := range 21 << 20 {
		flash[21<<20+i] = byte(rng.IntN(256))
	}
	text := flash[42<<20:]
	for len(text) > 8<<10 {
		code := make([]byte, 3<<10)
		for i := range code {
			code[i] = byte(rng.IntN(256))
		}
		text = text[copy(text, base64.StdEncoding.EncodeToString(code)):]
		text = text[copy(text, hex.EncodeToString(code[:2<<10])):]
	}
	copy(flash[63<<20:], markers[42].Value)
	b.SetBytes(int64(len(flash)))
	for b.Loop() {
		if found, err := set.Search(bytes.NewReader(flash)); err != nil || len(found.Hits) != 1 {
			b.Fatal(found.Summary(5), err)
		}
	}
	b.ReportMetric(float64(len(set.needles)), "needles")
}

// BenchmarkNewSet: ten markers made ready.
func BenchmarkNewSet(b *testing.B) {
	form := drawn(b, "ascii", 24)
	rng := rand.New(rand.NewPCG(7, 8))
	var markers []Marker
	for i := range 10 {
		markers = append(markers, form.Marker(fmt.Sprint("marker ", i), draw(rng, form)))
	}
	for b.Loop() {
		NewSet(markers...)
	}
}

// TestFindsBase64InLines: as MIME and PEM break it, wherever the break falls, also in a
// string of JSON.
func TestFindsBase64InLines(t *testing.T) {
	long := strings.Repeat(value, 4)[:90]
	set := NewSet(drawn(t, "ascii", 24).Marker("m", value), drawn(t, "ascii", 90).Marker("long", long))
	for _, width := range []int{60, 64, 70, 76} {
		for name, brk := range map[string]string{"LF": "\n", "CRLF": "\r\n", "LF in JSON": `\n`, "CRLF in JSON": `\r\n`} {
			for shift := range width {
				text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + value + strings.Repeat("y", 80)))
				require.NotEmpty(t, set.Find(lines(text, width, brk)).Of("m"), "%d characters a line, %s, %d bytes before", width, name, shift)
				text = base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + long))
				if width == 64 || width == 76 {
					require.NotEmpty(t, set.Find(lines(text, width, brk)).Of("long"), "%d characters a line, %s, %d bytes before", width, name, shift)
				}
			}
		}
	}
	assert.Contains(t, set.Encodings(), "base64 in lines")
	assert.Empty(t, set.Find([]byte(base64.StdEncoding.EncodeToString([]byte("abc"))+"\n")).Hits)
}

func lines(text string, width int, brk string) (out []byte) {
	for ; len(text) > width; text = text[width:] {
		out = append(append(out, text[:width]...), brk...)
	}
	return append(append(out, text...), brk...)
}
