package canary

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Set is what is looked for, ready to be looked for. It is never changed, and may be
// used by several at a time.
type Set struct {
	markers []Marker
	needles []needle
	stride  int // how many places are passed over between two that are looked at
	longest int
	sieve   []uint64 // one bit for each hash of four bytes that a needle has
	table   map[uint32][]place
	blind   map[string][]string // of each marker, by its name
}

// needle is one spelling of one marker.
type needle struct {
	spelling
	marker int
	whole  bool
}

// place says that four bytes stand in a needle, and where.
type place struct{ needle, at int32 }

// strideMost bounds the stride: of so many places in a row one is looked at. A needle
// of stride+3 bytes has four bytes at such a place wherever it stands.
const strideMost = 8

const (
	sieveBits = 20 // 128 KiB: it stays in a cache
	gram      = 4
)

// NewSet makes ready to look for markers. Spellings that could be chance are left out.
func NewSet(markers ...Marker) *Set {
	s := &Set{markers: slices.Clone(markers), table: map[uint32][]place{}, sieve: make([]uint64, 1<<sieveBits/64), blind: map[string][]string{}}
	for i, m := range s.markers {
		s.add(i, m)
	}
	s.index()
	return s
}

func (s *Set) add(i int, m Marker) {
	enough := func(chars int) bool { return float64(chars)*m.bits() >= MinBits }
	seen := map[string]bool{}
	for k, sp := range spellings(m.Value) {
		// What a marker is itself, nobody can make less of a chance.
		if k > 0 && !enough(sp.to-sp.from) || len(sp.bytes) < gram {
			if !seen[sp.enc] {
				s.blind[m.Name] = append(s.blind[m.Name], sp.enc)
			}
			continue
		}
		seen[sp.enc] = true
		s.needles = append(s.needles, needle{sp, i, true})
	}
	s.blind[m.Name] = slices.DeleteFunc(s.blind[m.Name], func(enc string) bool { return seen[enc] })
	if m.Piece < minPiece || m.Piece >= len(m.Value) {
		return
	}
	for at := range len(m.Value) - m.Piece + 1 {
		part := m.Value[at : at+m.Piece]
		if m.Accident != nil && m.Accident(part) {
			continue
		}
		for _, sp := range pieceSpellings(part) {
			sp.from, sp.to = at, at+m.Piece
			s.needles = append(s.needles, needle{sp, i, false})
		}
	}
}

// index notes by which four bytes each needle is found.
func (s *Set) index() {
	s.stride = strideMost
	for _, n := range s.needles {
		s.stride = max(1, min(s.stride, len(n.bytes)-gram+1))
		s.longest = max(s.longest, len(n.bytes))
	}
	for i, n := range s.needles {
		for at := range min(s.stride, len(n.bytes)-gram+1) {
			k := four(n.bytes[at:])
			s.table[k] = append(s.table[k], place{int32(i), int32(at)}) //nolint:gosec // some thousands
			h := hash(k)
			s.sieve[h>>6] |= 1 << (h & 63)
		}
	}
}

func four(b []byte) uint32 {
	_ = b[3]
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

// hash gives sieveBits of four bytes (multiplicative, Knuth's constant).
func hash(k uint32) uint32 { return k * 2654435761 >> (32 - sieveBits) }

// Len gives how many markers are looked for.
func (s *Set) Len() int { return len(s.markers) }

// Encodings gives the names of those in which a marker of the set is looked for.
func (s *Set) Encodings() []string {
	names := map[string]bool{}
	for _, n := range s.needles {
		names[n.enc] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// Blind names the encodings in which a marker is not looked for, since what can be told
// of it there could be chance.
func (s *Set) Blind(marker string) []string { return s.blind[marker] }

// Hit is a marker that was found, or a piece of it.
type Hit struct {
	Marker   string // its name
	Encoding string
	Offset   int64 // of its first byte
	Length   int   // in bytes
	From, To int   // which characters of it are shown, the first being 0
	Of       int   // how many it has
}

// Whole says whether all of the marker was found, or all of it that its encoding shows.
func (h Hit) Whole() bool { return h.To-h.From >= h.Of-2 }

// String says what was found, and where: never the marker itself.
func (h Hit) String() string {
	part := ""
	if h.To-h.From < h.Of {
		part = fmt.Sprintf(", characters %d to %d of %d", h.From+1, h.To, h.Of)
	}
	return fmt.Sprintf("%s at 0x%x as %s%s", h.Marker, h.Offset, h.Encoding, part)
}

// MaxHits is how many hits of one marker are kept; of more there is only the number.
const MaxHits = 64

// Found is what a search found.
type Found struct {
	Hits  []Hit // by their offsets; of each marker MaxHits at most
	Bytes int64 // that were looked through
}

// Of gives the hits of a marker.
func (f Found) Of(marker string) (out []Hit) {
	for _, h := range f.Hits {
		if h.Marker == marker {
			out = append(out, h)
		}
	}
	return out
}

// Summary says what was found, in one line: at most n hits, and how many more.
func (f Found) Summary(n int) string {
	if len(f.Hits) == 0 {
		return fmt.Sprintf("nothing in %d bytes", f.Bytes)
	}
	var parts []string
	for _, h := range f.Hits[:min(n, len(f.Hits))] {
		parts = append(parts, h.String())
	}
	if more := len(f.Hits) - len(parts); more > 0 {
		parts = append(parts, fmt.Sprintf("%d more", more))
	}
	return strings.Join(parts, "; ")
}

// Find looks through bytes.
func (s *Set) Find(data []byte) Found {
	sc := s.Scanner()
	sc.look(data, 0, true)
	sc.total = int64(len(data))
	return sc.Found()
}

// Search looks through all that a reader gives. The error is the reader's; what was
// found before it is given too.
func (s *Set) Search(r io.Reader) (Found, error) {
	sc := s.Scanner()
	_, err := io.Copy(sc, r)
	return sc.Found(), err
}

// Scanner looks through what is written to it, in pieces of any size. It is used by one
// goroutine.
type Scanner struct {
	s     *Set
	held  []byte // what may be the beginning of a needle, and what comes next
	at    int64  // offset of held
	done  int    // how much of held is before the next place that is looked at
	total int64
	hits  map[int][]Hit // by marker
}

// Scanner begins a search.
func (s *Set) Scanner() *Scanner { return &Scanner{s: s, hits: map[int][]Hit{}} }

// chunk is how much is looked through at a time.
const chunk = 256 << 10

// Write takes all of p. It never fails.
func (sc *Scanner) Write(p []byte) (int, error) {
	n := len(p)
	sc.total += int64(n)
	for len(p) > 0 {
		take := min(len(p), chunk)
		sc.held = append(sc.held, p[:take]...)
		p = p[take:]
		if len(sc.held) >= chunk {
			sc.flush(false)
		}
	}
	return n, nil
}

// flush looks through what is held, and keeps what a needle may have begun in.
func (sc *Scanner) flush(last bool) {
	next := sc.look(sc.held, sc.done, last)
	keep := max(0, next-sc.s.longest)
	sc.held = append(sc.held[:0], sc.held[keep:]...)
	sc.at += int64(keep)
	sc.done = next - keep
}

// look looks at the places of data from one on, and gives the first that it did not
// look at since what comes behind data may belong to it.
func (sc *Scanner) look(data []byte, from int, last bool) int {
	s := sc.s
	if len(s.needles) == 0 {
		return len(data)
	}
	end := len(data) - gram + 1
	if !last {
		end = len(data) - s.longest
	}
	sieve, step := s.sieve, s.stride
	i := from
	for ; i < end; i += step {
		k := four(data[i : i+4 : i+4])
		h := hash(k)
		if sieve[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		for _, p := range s.table[k] {
			n := &s.needles[p.needle]
			at := i - int(p.at)
			if at >= 0 && bytes.HasPrefix(data[at:], n.bytes) {
				sc.hit(n, sc.at+int64(at))
			}
		}
	}
	return i
}

// hit notes a needle that was found. What it is a part of, or goes on from, is one hit
// with it.
func (sc *Scanner) hit(n *needle, at int64) {
	h := Hit{Marker: sc.s.markers[n.marker].Name, Encoding: n.enc, Offset: at, Length: len(n.bytes), From: n.from, To: n.to, Of: len(sc.s.markers[n.marker].Value)}
	old := sc.hits[n.marker]
	for i := len(old) - 1; i >= 0 && i >= len(old)-8; i-- {
		o := &old[i]
		if o.Offset+int64(o.Length) < h.Offset || h.Offset+int64(h.Length) < o.Offset {
			continue
		}
		switch {
		case o.From <= h.From && h.To <= o.To && inside(h, *o):
			return
		case h.From <= o.From && o.To <= h.To && inside(*o, h):
			*o = h
			return
		case o.Encoding == h.Encoding && o.From < h.From && h.From <= o.To && o.To < h.To && h.Offset > o.Offset:
			o.Length, o.To = int(h.Offset-o.Offset)+h.Length, h.To
			return
		}
	}
	if len(old) < MaxHits {
		sc.hits[n.marker] = append(old, h)
	}
}

// inside says whether one hit stands in the bytes of another.
func inside(a, b Hit) bool {
	return b.Offset <= a.Offset && a.Offset+int64(a.Length) <= b.Offset+int64(b.Length)
}

// Found ends the search.
func (sc *Scanner) Found() Found {
	if len(sc.held) > 0 {
		sc.flush(true)
		sc.held, sc.done = nil, 0
	}
	f := Found{Bytes: sc.total}
	for _, i := range slices.Sorted(maps.Keys(sc.hits)) {
		f.Hits = append(f.Hits, sc.hits[i]...)
	}
	slices.SortStableFunc(f.Hits, func(a, b Hit) int { return cmp.Compare(a.Offset, b.Offset) })
	return f
}
