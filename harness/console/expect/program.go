package expect

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"sort"
	"unicode"
)

// endOfText stands for the character after the last one, as in
// syntax.EmptyOpContext.
const endOfText rune = -1

// program is an expression as instructions, with the characters sorted into
// classes that the instructions cannot tell apart.
type program struct {
	prog   *syntax.Prog
	bounds []rune      // class k is [bounds[k], bounds[k+1])
	ascii  [128]uint16 // class of each ASCII character
	names  []string    // of the groups; "" where one has none
	words  bool        // an assertion asks whether the character before is one of a word
	lines  bool        // ... whether it is a line's end, or the text's beginning
}

func compile(tree *syntax.Regexp) (*program, error) {
	names := tree.CapNames()
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, err
	}
	if len(prog.Inst) > maxProgram {
		return nil, fmt.Errorf("too large: %d instructions, at most %d", len(prog.Inst), maxProgram)
	}
	p := &program{prog: prog, names: names}
	p.classify()
	if len(p.bounds) > maxClasses {
		return nil, fmt.Errorf("too large: it tells %d classes of characters apart, at most %d", len(p.bounds), maxClasses)
	}
	if p.matchesEmpty() {
		return nil, ErrEmpty
	}
	return p, nil
}

// classify finds where instructions change their mind along the alphabet.
func (p *program) classify() {
	set := map[rune]bool{0: true, utf8First: true}
	add := func(lo, hi rune) {
		set[lo] = true
		if hi < unicode.MaxRune {
			set[hi+1] = true
		}
	}
	add('\n', '\n')
	// What \b and \B ask for.
	add('0', '9')
	add('A', 'Z')
	add('a', 'z')
	add('_', '_')
	for _, in := range p.prog.Inst {
		if in.Op == syntax.InstEmptyWidth {
			op := syntax.EmptyOp(in.Arg) //nolint:gosec // set by the compiler from an EmptyOp
			p.words = p.words || op&(syntax.EmptyWordBoundary|syntax.EmptyNoWordBoundary) != 0
			p.lines = p.lines || op&looksBack != 0
		}
		if in.Op != syntax.InstRune && in.Op != syntax.InstRune1 {
			continue
		}
		if len(in.Rune) == 1 {
			r := in.Rune[0]
			add(r, r)
			if syntax.Flags(in.Arg)&syntax.FoldCase != 0 { //nolint:gosec // set by the parser from Flags
				for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
					add(f, f)
				}
			}
			continue
		}
		for i := 0; i+1 < len(in.Rune); i += 2 {
			add(in.Rune[i], in.Rune[i+1])
		}
	}
	for r := range set {
		p.bounds = append(p.bounds, r)
	}
	slices.Sort(p.bounds)
	for c := range p.ascii {
		p.ascii[c] = p.search(rune(c))
	}
}

// utf8First is the first character of more than one byte.
const utf8First rune = 0x80

func (p *program) search(r rune) uint16 {
	return uint16(sort.Search(len(p.bounds), func(i int) bool { return p.bounds[i] > r }) - 1) //nolint:gosec // bounded by maxClasses, which compile asks for
}

func (p *program) class(r rune) uint16 {
	if r >= 0 && r < utf8First {
		return p.ascii[r]
	}
	return p.search(r)
}

// namesHidden says whether an instruction asks for a character that the text
// view leaves out.
func (p *program) namesHidden() bool {
	for _, in := range p.prog.Inst {
		if (in.Op == syntax.InstRune1 || in.Op == syntax.InstRune) && len(in.Rune) == 1 {
			switch in.Rune[0] {
			case '\r', '\x1b', 0:
				return true
			}
		}
	}
	return false
}

// matchesEmpty says whether a match without any character is possible in some
// surroundings.
func (p *program) matchesEmpty() bool {
	seen := make([]bool, len(p.prog.Inst))
	var walk func(pc uint32) bool
	walk = func(pc uint32) bool {
		if seen[pc] {
			return false
		}
		seen[pc] = true
		in := &p.prog.Inst[pc]
		switch in.Op {
		case syntax.InstMatch:
			return true
		case syntax.InstAlt, syntax.InstAltMatch:
			return walk(in.Out) || walk(in.Arg)
		case syntax.InstCapture, syntax.InstNop, syntax.InstEmptyWidth:
			return walk(in.Out)
		}
		return false
	}
	return walk(uint32(p.prog.Start)) //nolint:gosec // an index into a slice
}

// The assertions that look back only, and so are known without the next
// character.
const looksBack = syntax.EmptyBeginLine | syntax.EmptyBeginText

// lookBehind gives the character that stands for every character that the
// program's assertions cannot tell from r.
func (p *program) lookBehind(r rune) rune {
	switch {
	case p.lines && (r == '\n' || r == endOfText):
		return r
	case p.words && syntax.IsWordChar(r):
		return 'a'
	}
	return ' '
}

// know gives which assertions of op are decided by the character before alone,
// and whether they hold.
func know(op syntax.EmptyOp, before rune) (holds, decided bool) {
	have := syntax.EmptyOpContext(before, 'a') & looksBack
	if before == endOfText {
		have = syntax.EmptyBeginLine | syntax.EmptyBeginText
	}
	if back := op & looksBack; back&^have != 0 {
		return false, true
	}
	return true, op&^looksBack == 0
}
