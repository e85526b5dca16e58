package secrets

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
)

// A hex dump breaks a secret at the ends of its rows, with offsets and a column of
// text between the parts. So pieces are looked for, too, each long enough to be no
// accident: in what was drawn at random, and in what somebody chose.
const (
	DrawnPiece = 8 // 40 bits and more, of letters and digits
	chosen     = 12
)

// chosenPiece gives how long a piece of a password has to be that somebody may have
// chosen; 0 where the password is too short to have one.
func chosenPiece(value string) int {
	if len(value) > chosen {
		return chosen
	}
	return 0
}

// wordless says whether a text is more than words, which the device may say anyway:
// it has letters and digits.
func wordless(text string) bool {
	return strings.IndexFunc(text, unicode.IsDigit) >= 0 && strings.IndexFunc(text, unicode.IsLetter) >= 0
}

// pieceKey is how a piece begins: what all pieces of a text are found by.
type pieceKey [8]byte

// pieces are those of some secrets, by how they begin.
type pieces map[pieceKey][]piece

type piece struct {
	of    Secret
	at    int // in the secret
	form  string
	bytes []byte
}

// add takes in what a piece looks like in one form.
func (ps pieces) add(s Secret, at int, form string, b []byte) {
	k := pieceKey(b)
	ps[k] = append(ps[k], piece{s, at, form, b})
}

// in gives the first piece that stands in a text.
func (ps pieces) in(text []byte) (piece, bool) {
	if len(ps) == 0 {
		return piece{}, false
	}
	for i := 0; i+len(pieceKey{}) <= len(text); i++ {
		for _, p := range ps[pieceKey(text[i:])] {
			if bytes.HasPrefix(text[i:], p.bytes) {
				return p, true
			}
		}
	}
	return piece{}, false
}

// findPiece looks for pieces of secrets in what a console said, as it came and as
// hex. What stands before one is not told: it may be the piece before.
func findPiece(text, plain []byte, secrets []Secret) (what string, found bool) {
	said, coded := pieces{}, pieces{}
	for _, s := range secrets {
		if s.Piece < len(pieceKey{}) || len(s.Value) <= s.Piece {
			continue
		}
		for at := range len(s.Value) - s.Piece + 1 {
			part := s.Value[at : at+s.Piece]
			if s.Piece == chosen && !wordless(part) {
				continue
			}
			said.add(s, at, "plain", []byte(part))
			for form, n := range map[string]int{"hex": 1, "hex in words of 2 bytes": 2, "hex in words of 4 bytes": 4} {
				if len(part)%n == 0 {
					coded.add(s, at, form, hexWords(part, n))
				}
			}
		}
	}
	for _, view := range []struct {
		text []byte
		ps   pieces
	}{{plain, said}, {text, said}, {digits(plain), coded}} {
		if p, ok := view.ps.in(view.text); ok {
			return fmt.Sprintf("a piece of %s stands there, as %s: bytes %d to %d of %d", p.of.Name, p.form, p.at+1, p.at+p.of.Piece, len(p.of.Value)), true
		}
	}
	return "", false
}

// hexWords gives a text in hex, in words of n bytes whose last byte comes first, as
// dumps of a processor's words show it.
func hexWords(text string, n int) []byte {
	var out []byte
	for i := 0; i < len(text); i += n {
		for j := n - 1; j >= 0; j-- {
			out = hex.AppendEncode(out, []byte{text[i+j]})
		}
	}
	return out
}

// unspaced takes away what dumps set between bytes.
var unspaced = strings.NewReplacer("0x", "", `\x`, "", " ", "", "\t", "", ":", "", "-", "", ",", "")

// digits gives a text with its hex digits side by side, in small letters. Line ends
// stay: what stands on two lines has an offset between.
func digits(plain []byte) []byte {
	return []byte(unspaced.Replace(strings.ToLower(string(plain))))
}
