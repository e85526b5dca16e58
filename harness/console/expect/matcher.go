package expect

import (
	"bytes"
	"unicode/utf8"
)

// matcher runs one pattern over one stream.
type matcher struct {
	a     *automaton
	st    *state
	first bool // the first match decides, not the longest that it may grow into

	// Whatever matches begins at base or later, and base has base before it.
	base   int64
	before rune

	upto int64 // end of what has been looked at

	carry    [utf8.UTFMax]byte // the beginning of a character
	carryOff [utf8.UTFMax]int64
	carried  int
}

func newMatcher(p *program, from int64, first bool) *matcher {
	a := newAutomaton(p)
	return &matcher{a: a, st: a.start, first: first, base: from, before: a.start.before, upto: from}
}

// feed looks at run, which stands at off in the stream, and says whether a
// match is decided.
func (m *matcher) feed(run []byte, off int64) bool { //nolint:gocognit // the inner loop: calls would cost its speed
	i := 0
	for m.carried > 0 && i < len(run) {
		m.carry[m.carried], m.carryOff[m.carried] = run[i], off+int64(i)
		m.carried++
		i++
		for m.carried > 0 && utf8.FullRune(m.carry[:m.carried]) {
			if m.shift() {
				return true
			}
		}
	}
	st, p := m.st, m.a.p
	for i < len(run) {
		if st.self {
			skip := bytes.IndexByte(run[i:], st.leaves)
			if skip < 0 {
				i = len(run)
				break
			}
			i += skip
		}
		var k uint16
		width := 1
		if b := run[i]; b < utf8.RuneSelf {
			k = p.ascii[b]
		} else {
			if !utf8.FullRune(run[i:]) {
				break
			}
			var r rune
			r, width = utf8.DecodeRune(run[i:])
			k = p.search(r)
		}
		next := st.next[k]
		if next == nil {
			next = m.a.explore(st, k)
		}
		if next != st || st.special {
			if st.idle {
				m.base, m.before = off+int64(i), st.before
			}
			st = next
			if st.special && m.note(st, off+int64(i+width)) {
				m.st = st
				return true
			}
		}
		i += width
	}
	m.st = st
	m.upto = max(m.upto, off+int64(i))
	for ; i < len(run); i++ {
		m.carry[m.carried], m.carryOff[m.carried] = run[i], off+int64(i)
		m.carried++
	}
	return false
}

// shift moves by one character of the carry, which is full or stands for
// itself.
func (m *matcher) shift() bool {
	r, width := utf8.DecodeRune(m.carry[:m.carried])
	at, past := m.carryOff[0], m.carryOff[width-1]+1
	copy(m.carry[:], m.carry[width:m.carried])
	copy(m.carryOff[:], m.carryOff[width:m.carried])
	m.carried -= width
	return m.walk(r, at, past)
}

// walk moves by one character, which stands in [at, past).
func (m *matcher) walk(r rune, at, past int64) bool {
	if m.st.idle {
		m.base, m.before = at, m.st.before
	}
	k := m.a.p.class(r)
	next := m.st.next[k]
	if next == nil {
		next = m.a.explore(m.st, k)
	}
	m.st = next
	m.upto = past
	return next.special && m.note(next, past)
}

// note looks at a special state, and tells whether it decides.
func (m *matcher) note(st *state, past int64) bool {
	m.upto = past
	return st.final || m.first && (st.late || st.ends)
}

// peek says whether the text holds a match if it ends here. It changes nothing
// where it does not.
func (m *matcher) peek() bool {
	was := *m
	for m.carried > 0 {
		if m.shift() {
			return true
		}
	}
	if m.a.resolve(m.st, endOfText) || m.st.seen {
		return true
	}
	*m = was
	return false
}
