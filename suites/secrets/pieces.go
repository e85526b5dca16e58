package secrets

import (
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

// unspaced takes away what dumps set between bytes.
var unspaced = strings.NewReplacer("0x", "", `\x`, "", " ", "", "\t", "", ":", "", "-", "", ",", "")

// digits gives a text with its hex digits side by side, in small letters. Line ends
// stay: what stands on two lines has an offset between.
func digits(plain []byte) []byte {
	return []byte(unspaced.Replace(strings.ToLower(string(plain))))
}
