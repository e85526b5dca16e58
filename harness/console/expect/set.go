package expect

import (
	"slices"
	"time"
)

// Set runs several patterns over one stream. It is not safe for concurrent use.
type Set struct {
	patterns []Pattern
	matchers []*matcher // nil for a pattern that is not Valid
	settle   time.Duration
	quiets   []time.Duration // that can decide, shortest first
	view     View
	off      int64
}

// Hit is a match that is decided. The caller turns it into a Match with the
// bytes of the stream in [From, Upto).
type Hit struct {
	Index      int   // of the pattern
	From, Upto int64 // what has to be looked at again to tell the match's place and groups

	before rune
	closed bool
}

// Match is a match of a pattern. Offsets are those of the stream.
type Match struct {
	From, To int64
	Text     []byte   // as the pattern saw it
	Groups   [][]byte // of the expression, from its first; nil where a group took no part
	names    []string
}

// Group gives the text of a named group, nil where there is none.
func (m Match) Group(name string) []byte {
	for i, n := range m.names {
		if i > 0 && n == name && n != "" && m.Groups[i-1] != nil {
			return m.Groups[i-1]
		}
	}
	return nil
}

// NewSet begins to look for patterns at offset from. Settle is the quiet that
// ends the text for patterns that have none of their own; with one that is not
// positive only bytes decide.
func NewSet(from int64, settle time.Duration, patterns ...Pattern) *Set {
	s := &Set{patterns: patterns, settle: settle, off: from, matchers: make([]*matcher, len(patterns))}
	for i, p := range patterns {
		if p.Valid() {
			s.matchers[i] = newMatcher(p.prog, from, p.forbid)
			if q := s.quietOf(i); q > 0 {
				s.quiets = append(s.quiets, q)
			}
		}
	}
	slices.Sort(s.quiets)
	s.quiets = slices.Compact(s.quiets)
	return s
}

// Feed looks at the next bytes of the stream. After a hit the Set is used up.
func (s *Set) Feed(chunk []byte) (Hit, bool) {
	decided := make([]bool, len(s.matchers))
	for i, m := range s.matchers {
		if m != nil && s.patterns[i].raw {
			decided[i] = m.feed(chunk, s.off)
		}
	}
	for rest := chunk; len(rest) > 0; {
		var run []byte
		run, rest = s.view.Next(rest)
		if len(run) == 0 {
			break
		}
		off := s.off + int64(len(chunk)-len(rest)-len(run))
		for i, m := range s.matchers {
			if m != nil && !s.patterns[i].raw && !decided[i] {
				decided[i] = m.feed(run, off)
			}
		}
	}
	s.off += int64(len(chunk))
	return s.best(decided, false)
}

// Quiet says that nothing has come for d. It may be called again with a longer
// d in the same silence.
func (s *Set) Quiet(d time.Duration) (Hit, bool) {
	for _, q := range s.quiets {
		if q > d {
			break
		}
		decided := make([]bool, len(s.matchers))
		for i, m := range s.matchers {
			decided[i] = m != nil && s.quietOf(i) == q && m.peek()
		}
		if hit, ok := s.best(decided, true); ok {
			return hit, true
		}
	}
	return Hit{}, false
}

// End says that the stream has ended: nothing can follow.
func (s *Set) End() (Hit, bool) {
	decided := make([]bool, len(s.matchers))
	for i, m := range s.matchers {
		decided[i] = m != nil && m.peek()
	}
	return s.best(decided, true)
}

// NextQuiet gives the shortest silence longer than d that can decide, 0 where
// there is none.
func (s *Set) NextQuiet(d time.Duration) time.Duration {
	for _, q := range s.quiets {
		if q > d {
			return q
		}
	}
	return 0
}

func (s *Set) quietOf(i int) time.Duration {
	if q := s.patterns[i].quiet; q > 0 {
		return q
	}
	return s.settle
}

// best chooses among the patterns that are decided.
func (s *Set) best(decided []bool, closed bool) (Hit, bool) {
	won := -1
	for i, d := range decided {
		if d && (won < 0 || s.before(i, won)) {
			won = i
		}
	}
	if won < 0 {
		return Hit{}, false
	}
	m := s.matchers[won]
	return Hit{Index: won, From: m.base, Upto: m.upto, before: m.before, closed: closed}, true
}

func (s *Set) before(i, j int) bool {
	a, b := s.matchers[i], s.matchers[j]
	if a.upto != b.upto {
		return a.upto < b.upto
	}
	return s.patterns[i].forbid && !s.patterns[j].forbid
}

// Resolve gives the match of a hit. Raw are the bytes of the stream in
// [hit.From, hit.Upto).
func (s *Set) Resolve(hit Hit, raw []byte) Match {
	p := s.patterns[hit.Index]
	text, at := raw, func(i int) int64 { return hit.From + int64(i) }
	if !p.raw {
		var offs []int64
		text, offs = shown(raw, hit.From)
		at = func(i int) int64 {
			if i < len(offs) {
				return offs[i]
			}
			return hit.Upto
		}
	}
	caps := p.prog.trace(text, hit.before, hit.closed, p.forbid)
	if caps == nil {
		return Match{From: hit.From, To: hit.Upto, Text: text, names: p.prog.names}
	}
	m := Match{From: at(caps[0]), To: hit.From, Text: text[caps[0]:caps[1]], names: p.prog.names}
	if caps[1] > 0 {
		m.To = at(caps[1]-1) + 1
	}
	for i := 2; i+1 < len(caps); i += 2 {
		var g []byte
		if caps[i] >= 0 && caps[i+1] >= 0 {
			g = text[caps[i]:caps[i+1]]
		}
		m.Groups = append(m.Groups, g)
	}
	return m
}

// shown gives the shown bytes of raw, which stands at off and begins with a
// shown byte, and the place of each.
func shown(raw []byte, off int64) (text []byte, offs []int64) {
	var v View
	for rest := raw; len(rest) > 0; {
		var run []byte
		run, rest = v.Next(rest)
		at := off + int64(len(raw)-len(rest)-len(run))
		for i := range run {
			offs = append(offs, at+int64(i))
		}
		text = append(text, run...)
	}
	return text, offs
}
