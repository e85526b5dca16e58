// Package survey looks at a device that nobody here has seen: it listens on its
// console for a rate and a boot, knocks at its ports, and drafts a first rig file
// and profile of what it saw. It alters nothing: it listens, connects, and reads
// the front page of a web server; a newline goes to the console only where that
// is allowed.
//
// What the device says is hostile. It stands in a draft as a quoted text or, made
// visible, behind a #, and decides nothing but the texts that a person is asked to
// look at.
package survey

import (
	"slices"
	"unicode/utf8"
)

// Rates gives the rates in bit/s that are tried, the likeliest first: what boards
// ship with, then what boot ROMs and fast debug consoles use.
func Rates() []int {
	return []int{115200, 9600, 57600, 38400, 921600, 1500000, 19200, 230400, 460800, 74880, 1000000, 4800, 2400}
}

// What makes bytes a text. A UART at a wrong rate gives bytes of any value, and 00
// for a character without a stop bit; so many of them happen to be printable that
// a few tell nothing.
const (
	minSample = 24   // bytes, below which nothing is said
	minText   = 0.92 // share of bytes that a console would show
	minWords  = 0.55 // share of letters, digits and spaces
	minKinds  = 6    // different bytes
)

// Sample is what was heard at one rate.
type Sample struct {
	Baud  int // bit/s
	Bytes []byte
}

// Text gives the share of bytes that a console would show, from 0 to 1, and that
// of letters, digits and spaces.
func Text(b []byte) (shown, words float64) {
	if len(b) == 0 {
		return 0, 0
	}
	nShown, nWords := 0, 0
	for i := 0; i < len(b); {
		c := b[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRune(b[i:])
			if r != utf8.RuneError && n > 1 && r >= 0xa0 {
				nShown += n
			}
			i += n
			continue
		}
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == ' ':
			nShown++
			nWords++
		case c > ' ' && c < 0x7f, c == '\r', c == '\n', c == '\t', c == '\b', c == 0x1b:
			nShown++
		}
		i++
	}
	return float64(nShown) / float64(len(b)), float64(nWords) / float64(len(b))
}

// IsText says whether bytes are a console's text: enough of them, nearly all shown,
// most of them words. A lone row of one character is none.
func IsText(b []byte) bool {
	if len(b) < minSample {
		return false
	}
	shown, words := Text(b)
	var seen [256]bool
	kinds := 0
	for _, c := range b {
		if !seen[c] {
			seen[c] = true
			kinds++
		}
	}
	return shown >= minText && words >= minWords && kinds >= minKinds
}

// GuessBaud gives the rate at which what was heard is text, 0 where it is at none.
// Of several the one with the larger share of text wins, then the one that comes
// first.
func GuessBaud(samples []Sample) int {
	best, share := 0, 0.0
	for _, s := range samples {
		if !IsText(s.Bytes) {
			continue
		}
		if shown, words := Text(s.Bytes); shown+words > share {
			best, share = s.Baud, shown+words
		}
	}
	return best
}

// nextRate gives the rate behind another in a list, and the first behind the last.
func nextRate(rates []int, now int) int {
	return rates[(slices.Index(rates, now)+1)%len(rates)]
}
