package expect

import (
	"regexp/syntax"
	"unicode/utf8"
)

// thread is an instruction with the groups that led to it.
type thread struct {
	pc   uint32
	caps []int
}

// tracer follows the groups of a match that an automaton has found. It goes
// through the same steps as the automaton does.
type tracer struct {
	p    *program
	mark []uint32
	gen  uint32
	caps []int // of the best match so far
}

// trace gives the byte offsets of the groups of the match in text, as
// regexp.FindSubmatchIndex does, and nil where there is none. Before is the
// lookBehind of the character before text. With closed the text ends there;
// without, only what text alone decides counts. With first the first match that
// is found counts.
func (p *program) trace(text []byte, before rune, closed, first bool) []int {
	t := &tracer{p: p, mark: make([]uint32, len(p.prog.Inst))}
	blank := make([]int, 2*len(p.names))
	for i := range blank {
		blank[i] = -1
	}
	t.gen++
	list, _ := t.add(nil, uint32(p.prog.Start), with(blank, 0, 0), 0, before, nil) //nolint:gosec // an index into a slice
	if t.caps != nil && first {
		return t.caps
	}
	for at := 0; at < len(text); {
		r, width := utf8.DecodeRune(text[at:])
		list = t.resolve(list, at, before, r)
		if t.caps != nil && first {
			return t.caps
		}
		before = p.lookBehind(r)
		t.gen++
		var next []thread
		ended := false
		for _, th := range list {
			if !matches(&p.prog.Inst[th.pc], r) {
				continue
			}
			if next, ended = t.add(next, p.prog.Inst[th.pc].Out, th.caps, at+width, before, nil); ended {
				break
			}
		}
		if t.caps == nil {
			next, _ = t.add(next, uint32(p.prog.Start), with(blank, 0, at+width), at+width, before, nil) //nolint:gosec // an index into a slice
		}
		list = next
		at += width
		if t.caps != nil && (first || len(list) == 0) {
			return t.caps
		}
	}
	if closed {
		t.resolve(list, len(text), before, endOfText)
	}
	return t.caps
}

// resolve gives the threads that wait for r, once the assertions are decided.
func (t *tracer) resolve(list []thread, at int, before, r rune) []thread {
	flags := syntax.EmptyOpContext(before, r)
	t.gen++
	var full []thread
	for _, th := range list {
		var done bool
		if full, done = t.add(full, th.pc, th.caps, at, before, &flags); done {
			break
		}
	}
	return full
}

// add appends what pc leads to without a character. Without flags, assertions
// that need the next character wait in the list. It says whether a match ended
// the list, and keeps that one's groups.
func (t *tracer) add(list []thread, pc uint32, caps []int, at int, before rune, flags *syntax.EmptyOp) ([]thread, bool) {
	if t.mark[pc] == t.gen {
		return list, false
	}
	t.mark[pc] = t.gen
	in := &t.p.prog.Inst[pc]
	switch in.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		list, done := t.add(list, in.Out, caps, at, before, flags)
		if done {
			return list, true
		}
		return t.add(list, in.Arg, caps, at, before, flags)
	case syntax.InstNop:
		return t.add(list, in.Out, caps, at, before, flags)
	case syntax.InstCapture:
		return t.add(list, in.Out, with(caps, int(in.Arg), at), at, before, flags)
	case syntax.InstEmptyWidth:
		op := syntax.EmptyOp(in.Arg) //nolint:gosec // set by the compiler from an EmptyOp
		holds, decided := know(op, before)
		if flags != nil {
			holds, decided = op&^*flags == 0, true
		}
		switch {
		case !holds:
			return list, false
		case decided:
			return t.add(list, in.Out, caps, at, before, flags)
		}
		return append(list, thread{pc, caps}), false
	case syntax.InstMatch:
		t.caps = with(caps, 1, at)
		return list, true
	case syntax.InstFail:
		return list, false
	}
	return append(list, thread{pc, caps}), false
}

func with(caps []int, i, v int) []int {
	out := append([]int(nil), caps...)
	if i < len(out) {
		out[i] = v
	}
	return out
}
