// Package secrets looks for what a device must not tell in what it says: the secrets
// that the rig knows of it, in every encoding, and in pieces. Checks of the console and of
// the wire share it.
package secrets

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"

	"rigor/harness/check"
	"rigor/harness/console/expect"
	"rigor/harness/escape"
	"rigor/harness/profile"
)

// Secret is what must not be seen.
type Secret struct {
	Name, Value string
	Piece       int // how long a part of it is no accident any more; 0: none is known to be
}

// minSecret is the length from which a secret can be looked for: a shorter one
// stands in half of all texts.
const minSecret = 6

// privateKey is the head of a private key in PEM, RFC 7468.
var privateKey = regexp.MustCompile(`-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----`)

// OfUnit gives the secrets of the unit that the rig knows: its owners'
// passwords and its label's. What is too short to be looked for is named in the
// second result.
func OfUnit(t *check.T) (out []Secret, short []string) {
	add := func(name, value string) {
		switch {
		case value == "" || slices.ContainsFunc(out, func(s Secret) bool { return s.Value == value }):
		case len(value) < minSecret:
			short = append(short, name+" is too short to be looked for")
		default:
			out = append(out, Secret{name, value, chosenPiece(value)})
		}
	}
	for _, name := range check.LoginChannels(t.Profile()) {
		l := t.Profile().Logins.Items[name]
		if l == nil || l.Declared() || l.Owner.Password == "" {
			continue
		}
		c, err := t.Device().Login(name).Owner()
		t.OK(err)
		add("the owner's password of "+name, c.Password)
	}
	add("the password of the label", t.Device().Unit().Label)
	return out, short
}

// Find looks for secrets in what a device said: as it came, and without the
// escape sequences and line ends between, in every encoding.
func Find(text []byte, secrets []Secret) (what string, found bool) {
	plain := expect.Plain(text)
	joined := bytes.ReplaceAll(plain, []byte("\n"), nil) // a dump is broken into lines
	for _, view := range [][]byte{plain, text, joined} {
		for _, s := range secrets {
			for _, enc := range escape.Encodings(s.Value) {
				if i := bytes.Index(view, enc.Bytes); i >= 0 {
					return fmt.Sprintf("%s stands there, as %s, behind %q", s.Name, enc.Name, before(view, i)), true
				}
			}
		}
		if m := privateKey.Find(view); m != nil {
			return fmt.Sprintf("a private key begins there: %q", m), true
		}
	}
	return findPiece(text, plain, secrets)
}

// before gives the end of what stands before a place, on its own line.
func before(text []byte, at int) []byte {
	line := text[:at]
	line = line[bytes.LastIndexByte(line, '\n')+1:]
	return line[max(0, len(line)-40):]
}

// markerBits is how much chance a planted marker has at least, so that finding it
// is no accident.
const markerBits = 40

// alphabets are those that a store can declare.
var alphabets = map[string]string{
	"":       "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789",
	"ascii":  "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789",
	"hex":    "0123456789abcdef",
	"digits": "0123456789",
}

// Marker makes a value for a store, of the alphabet and length that it takes, and
// says how long a piece of it has markerBits. It gives false where the whole has
// less.
func Marker(rng *rand.Rand, s *profile.Store) (value string, piece int, ok bool) {
	const usual = 24
	letters, known := alphabets[s.Alphabet]
	n := s.Length
	if n == 0 {
		n = usual
	}
	if !known || float64(n)*math.Log2(float64(len(letters))) < markerBits {
		return "", 0, false
	}
	out := make([]byte, n)
	for i := range out {
		out[i] = letters[rng.IntN(len(letters))]
	}
	return string(out), max(DrawnPiece, int(math.Ceil(markerBits/math.Log2(float64(len(letters)))))), true
}
