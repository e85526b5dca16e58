package expect

// The bounds of an escape sequence. A sequence that does not end is given up
// there, so that a DUT cannot hide behind one for good.
const (
	maxControl = 64      // of a control sequence (ECMA-48 5.4)
	maxString  = 4 << 10 // of a control string (ECMA-48 5.6)
)

// What a View is in the midst of.
type place byte

const (
	inText place = iota
	inEscape
	inControl // after ESC [
	inString  // after ESC ], ESC P, ESC X, ESC ^ or ESC _
	inStringEscape
)

// View leaves out what a terminal would obey and not show: escape sequences
// (ECMA-48), carriage returns and NUL bytes. The zero View is at the beginning
// of a stream.
type View struct {
	at   place
	size int
}

// Next gives the first run of shown bytes in chunk and what is behind it. Run
// is a part of chunk; it is empty only at the end of chunk.
func (v *View) Next(chunk []byte) (run, rest []byte) {
	begin := 0
	for begin < len(chunk) && v.hides(chunk[begin]) {
		begin++
	}
	end := begin
	if begin < len(chunk) {
		// The byte at begin is shown. The next hidden one ends the run, and is
		// left for the next call.
		end++
		for end < len(chunk) && !hidden[chunk[end]] {
			end++
		}
	}
	return chunk[begin:end], chunk[end:]
}

var hidden = [256]bool{0: true, '\r': true, '\x1b': true}

// hides takes one byte and says whether it is hidden.
func (v *View) hides(b byte) bool {
	v.size++
	switch v.at {
	case inText:
		if b == '\x1b' {
			v.at, v.size = inEscape, 0
		}
		return hidden[b]
	case inEscape:
		switch {
		case b == '[':
			v.at, v.size = inControl, 0
		case b == ']' || b == 'P' || b == 'X' || b == '^' || b == '_':
			v.at, v.size = inString, 0
		case b >= 0x20 && b <= 0x2f && v.size <= maxControl:
			// an intermediate byte: one more follows
		case b >= 0x30 && b <= 0x7e:
			v.at = inText
		default:
			return v.giveUp(b)
		}
	case inControl:
		switch {
		case b >= 0x40 && b <= 0x7e:
			v.at = inText
		case b >= 0x20 && b <= 0x3f && v.size <= maxControl:
		default:
			return v.giveUp(b)
		}
	case inString:
		switch {
		case b == '\a':
			v.at = inText
		case b == '\x1b':
			v.at = inStringEscape
		case b == '\n' || b == 0x18 || b == 0x1a || v.size > maxString:
			return v.giveUp(b)
		}
	case inStringEscape:
		if b == '\\' {
			v.at = inText
			return true
		}
		v.at, v.size = inEscape, 0
		return v.hides(b)
	}
	return true
}

// giveUp ends a sequence at a byte that does not belong to it.
func (v *View) giveUp(b byte) bool {
	v.at = inText
	return v.hides(b)
}

// Plain gives the shown bytes of a whole piece of a stream.
func Plain(piece []byte) []byte {
	var v View
	out := make([]byte, 0, len(piece))
	for len(piece) > 0 {
		var run []byte
		run, piece = v.Next(piece)
		out = append(out, run...)
	}
	return out
}
