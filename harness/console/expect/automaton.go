package expect

import (
	"encoding/binary"
	"regexp/syntax"
)

// What bounds the states that are kept: their number, and the ways between them
// in all. When there are more, all are forgotten and made anew, so that a hostile
// stream costs time and not memory.
const (
	maxStates = 2000
	maxWays   = 1 << 19
)

// state is a set of threads of the program, best first. Its items are
// instructions that wait for a character, assertions that wait to know the next
// one, and, as the last, a match.
type state struct {
	items  []uint32
	before rune // lookBehind of the character before
	seen   bool // a match was seen, so no new one begins
	late   bool // a match ended before the character that led here
	ends   bool // a match ends here
	idle   bool // nothing has begun: whatever matches begins here or later
	final  bool // a match was seen, and nothing can change it

	special bool // late, ends or final
	self    bool // the state leads to itself with every character but few
	leaves  byte // with self: the one ASCII character that leads elsewhere
	next    []*state
}

// automaton makes the states of a program as they are needed. It serves one
// stream.
type automaton struct {
	p     *program
	all   map[string]*state
	start *state
	mark  []uint32 // mark[pc] == gen: pc is in the list being made
	gen   uint32
	list  []uint32
	full  []uint32
	key   []byte
	room  int // states that may be kept
}

func newAutomaton(p *program) *automaton {
	a := &automaton{p: p, all: map[string]*state{}, mark: make([]uint32, len(p.prog.Inst)), room: max(16, min(maxStates, maxWays/len(p.bounds)))}
	a.reset()
	before := p.lookBehind(endOfText)
	a.list, _ = a.add(a.list, uint32(p.prog.Start), before) //nolint:gosec // an index into a slice
	a.start = a.intern(before, false, false, true)
	return a
}

// reset begins a new list.
func (a *automaton) reset() {
	a.gen++
	a.list = a.list[:0]
}

// add appends to list what pc leads to without a character, as far as the
// character before decides it. It says whether a match ended the list: what
// has less priority does not count any more.
func (a *automaton) add(list []uint32, pc uint32, before rune) ([]uint32, bool) {
	if a.mark[pc] == a.gen {
		return list, false
	}
	a.mark[pc] = a.gen
	in := &a.p.prog.Inst[pc]
	switch in.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		list, done := a.add(list, in.Out, before)
		if done {
			return list, true
		}
		return a.add(list, in.Arg, before)
	case syntax.InstCapture, syntax.InstNop:
		return a.add(list, in.Out, before)
	case syntax.InstEmptyWidth:
		holds, decided := know(syntax.EmptyOp(in.Arg), before) //nolint:gosec // set by the compiler from an EmptyOp
		switch {
		case !holds:
			return list, false
		case decided:
			return a.add(list, in.Out, before)
		}
		return append(list, pc), false
	case syntax.InstMatch:
		return append(list, pc), true
	case syntax.InstFail:
		return list, false
	}
	return append(list, pc), false
}

// settle appends to list what pc leads to once the next character is known.
func (a *automaton) settle(list []uint32, pc uint32, flags syntax.EmptyOp) ([]uint32, bool) {
	if a.mark[pc] == a.gen {
		return list, false
	}
	a.mark[pc] = a.gen
	in := &a.p.prog.Inst[pc]
	switch in.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		list, done := a.settle(list, in.Out, flags)
		if done {
			return list, true
		}
		return a.settle(list, in.Arg, flags)
	case syntax.InstCapture, syntax.InstNop:
		return a.settle(list, in.Out, flags)
	case syntax.InstEmptyWidth:
		if syntax.EmptyOp(in.Arg)&^flags != 0 { //nolint:gosec // set by the compiler from an EmptyOp
			return list, false
		}
		return a.settle(list, in.Out, flags)
	case syntax.InstMatch:
		return list, true
	case syntax.InstFail:
		return list, false
	}
	return append(list, pc), false
}

// resolve decides the assertions of s for the next character r and leaves the
// instructions that wait for it in a.full. It says whether a match ends before
// r.
func (a *automaton) resolve(s *state, r rune) bool {
	flags := syntax.EmptyOpContext(s.before, r)
	a.gen++
	a.full = a.full[:0]
	for _, pc := range s.items {
		var done bool
		if a.full, done = a.settle(a.full, pc, flags); done {
			return true
		}
	}
	return false
}

// step gives the state after s and a character of class k.
func (a *automaton) step(s *state, k uint16) *state {
	r := a.p.bounds[k]
	late := a.resolve(s, r)
	seen := s.seen || late
	before := a.p.lookBehind(r)
	a.reset()
	ended := false
	for _, pc := range a.full {
		in := &a.p.prog.Inst[pc]
		if !matches(in, r) {
			continue
		}
		if a.list, ended = a.add(a.list, in.Out, before); ended {
			break
		}
	}
	idle := !seen && !ended && len(a.list) == 0
	if !seen && !ended {
		a.list, _ = a.add(a.list, uint32(a.p.prog.Start), before) //nolint:gosec // an index into a slice
	}
	if len(a.all) >= a.room {
		a.forget(s)
	}
	next := a.intern(before, seen, late, idle)
	s.next[k] = next
	return next
}

// explore gives the state after s and a character of class k. Where most of a
// stream goes by, in an idle state, it makes the others too, to know which
// character alone matters there.
func (a *automaton) explore(s *state, k uint16) *state {
	if s.idle && !s.special && len(a.all)+len(s.next) < a.room {
		for other := range s.next {
			if s.next[other] == nil {
				a.step(s, uint16(other))
			}
		}
		a.outline(s)
		return s.next[k]
	}
	return a.step(s, k)
}

func (a *automaton) forget(keep *state) {
	clear(a.all)
	// States that the kept one leads to live on with it alone.
	clear(keep.next)
	keep.self = false
}

func matches(in *syntax.Inst, r rune) bool {
	switch in.Op {
	case syntax.InstRuneAny:
		return true
	case syntax.InstRuneAnyNotNL:
		return r != '\n'
	}
	return in.MatchRune(r)
}

// intern gives the state for the list that was made.
func (a *automaton) intern(before rune, seen, late, idle bool) *state {
	a.key = binary.LittleEndian.AppendUint32(a.key[:0], uint32(before)) //nolint:gosec // only told apart
	var bits byte
	for i, b := range []bool{seen, late, idle} {
		if b {
			bits |= 1 << i
		}
	}
	a.key = append(a.key, bits)
	for _, pc := range a.list {
		a.key = binary.LittleEndian.AppendUint32(a.key, pc)
	}
	if s := a.all[string(a.key)]; s != nil {
		return s
	}
	s := &state{items: append([]uint32(nil), a.list...), before: before, seen: seen, late: late, idle: idle, next: make([]*state, len(a.p.bounds))}
	if n := len(s.items); n > 0 && a.p.prog.Inst[s.items[n-1]].Op == syntax.InstMatch {
		s.ends = true
		s.final = n == 1
	}
	if len(s.items) == 0 && seen {
		s.final = true
	}
	s.special = s.late || s.ends || s.final
	a.all[string(a.key)] = s
	return s
}

// outline finds out whether s, of which every way is known, leads to itself with
// every character but one ASCII character, so that a search for that one can
// stand for the walk.
func (a *automaton) outline(s *state) {
	leave := -1
	for k, n := range s.next {
		if n == s {
			continue
		}
		lo := a.p.bounds[k]
		single := lo < utf8First && k+1 < len(a.p.bounds) && a.p.bounds[k+1] == lo+1
		if !single || leave >= 0 {
			return
		}
		leave = int(lo)
	}
	if leave >= 0 {
		s.self, s.leaves = true, byte(leave)
	}
}
