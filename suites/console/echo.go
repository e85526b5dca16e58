package console

import (
	hc "rigor/harness/console"
)

// echoWithin is how far behind its line an echo may begin, where other output came
// before it.
const echoWithin = 4096

// unechoed leaves out of a text the echo of each line that was typed. What comes first
// behind a line is its echo, if it is the whole line: the same words once more are the
// device's. In rest those are left out as well that have other output before them: a device
// that does not echo may have said so itself. The text begins at a cursor.
func unechoed(text []byte, from hc.Cursor, typed []hc.Typed) (said, rest []byte) {
	var sure, may []span
	last := 0 // behind the last echo
	for _, t := range typed {
		at := max(last, int(t.At-from))
		if at > len(text) {
			break
		}
		if end := echoed(text, at, t.Line); end > 0 {
			sure = append(sure, span{at, end})
			last = end
			continue
		}
		for begin := at; begin < min(len(text), at+echoWithin); begin++ {
			if end := echoed(text, begin, t.Line); end > 0 {
				may = append(may, span{begin, end})
				break
			}
		}
	}
	said = without(text, sure)
	return said, without(text, append(may, sure...))
}

// span is a stretch of a text.
type span struct{ from, to int }

// without leaves stretches out of a text; the end of a line stands for each.
func without(text []byte, out []span) []byte {
	gone := make([]bool, len(text))
	for _, s := range out {
		for i := s.from; i < s.to; i++ {
			gone[i] = true
		}
	}
	kept := make([]byte, 0, len(text))
	for i, b := range text {
		switch {
		case !gone[i]:
			kept = append(kept, b)
		case i == 0 || !gone[i-1]:
			kept = append(kept, '\n')
		}
	}
	return kept
}

// echoed says where the echo of a line ends that begins at a place, 0 where there is
// none. A terminal may put line ends, moves of the cursor and colours into it.
func echoed(text []byte, at int, line []byte) int {
	i := at
	for _, b := range line {
		for i < len(text) && text[i] != b {
			n := hidden(text[i:])
			if n == 0 {
				return 0
			}
			i += n
		}
		if i == len(text) {
			return 0
		}
		i++
	}
	return i
}

// hidden gives how many bytes at the beginning of a text a terminal shows nothing of: a
// control character, an escape sequence (ECMA-48 5.4), or the blank and carriage return by
// which an editor of lines goes over the edge.
func hidden(text []byte) int {
	switch {
	case text[0] == 0x1b && len(text) > 1 && text[1] == '[':
		for i, b := range text[2:] {
			if b >= 0x40 && b <= 0x7e {
				return i + 3
			}
		}
		return 0
	case text[0] == 0x1b && len(text) > 1:
		return 2
	case text[0] < ' ' || text[0] == 0x7f:
		return 1
	case text[0] == ' ' && len(text) > 1 && text[1] == '\r':
		return 2
	}
	return 0
}
