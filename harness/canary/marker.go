package canary

import (
	"fmt"
	"math"
)

// MinBits is how much chance a marker has at least, and each spelling of it that is
// looked for: in 64 MiB of whatever else, 2^26 places, one of 40 bits comes up by
// accident once in 16000 images of random bytes.
const MinBits = 40

// alphabets are those that a store can declare. Characters that look alike are left out
// of the widest one, since a person may have to read them.
var alphabets = map[string]string{
	"":       "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789",
	"ascii":  "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789",
	"hex":    "0123456789abcdef",
	"digits": "0123456789",
}

// usualLength is that of a marker for a store that does not say what it takes.
const usualLength = 24

// Form is what a store takes.
type Form struct {
	Alphabet string // its characters
	Length   int    // in characters
	Piece    int    // how many of them in a row have MinBits
}

// FormOf gives the form of markers for a store that takes this alphabet ("ascii",
// "hex", "digits"; "" for ascii) and length (0: any). The error says that a marker of
// it could not be told from chance.
func FormOf(alphabet string, length int) (Form, error) {
	letters, known := alphabets[alphabet]
	if !known {
		return Form{}, fmt.Errorf("nothing is known of the alphabet %q", alphabet)
	}
	if length == 0 {
		length = usualLength
	}
	each := math.Log2(float64(len(letters)))
	if bits := float64(length) * each; bits < MinBits {
		return Form{}, fmt.Errorf("%d characters of %d different ones have %.0f bits, and chance has to be ruled out by %d", length, len(letters), bits, MinBits)
	}
	return Form{letters, length, pieceOf(each)}, nil
}

// pieceOf gives how many characters of so many bits each have MinBits, and no less than
// can be looked for.
func pieceOf(each float64) int { return max(minPiece, int(math.Ceil(MinBits/each))) }

// minPiece is the shortest piece that is looked for: eight letters and digits have 46
// bits, and what is shorter turns up in addresses and times.
const minPiece = 8

// Marker is what is looked for.
type Marker struct {
	Name  string // what stands in reports in its place
	Value string
	// Piece is how many of its characters in a row are no accident, 0 where only the
	// whole is none.
	Piece int
	// Accident, where set, says of a piece that it may be one all the same: words.
	Accident func(piece string) bool
	// Bits is how much chance each of its characters has; 0 for that of a letter or
	// digit that was drawn.
	Bits float64
}

func (m Marker) bits() float64 {
	if m.Bits > 0 {
		return m.Bits
	}
	return math.Log2(56)
}

// Chosen has bits enough in each character to be looked for in every encoding, however
// short: for what somebody has chosen, of which nobody knows how likely it is.
const Chosen = MinBits

// Marker gives what is looked for of a value of the form.
func (f Form) Marker(name, value string) Marker {
	return Marker{Name: name, Value: value, Piece: f.Piece, Bits: math.Log2(float64(len(f.Alphabet)))}
}
