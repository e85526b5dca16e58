// Package secrets looks for what a device must not tell in what it says: the secrets
// that the rig knows of it, in every encoding, and in pieces. Checks of the console and of
// the wire share it.
package secrets

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"

	"rigor/harness/canary"
	"rigor/harness/check"
	"rigor/harness/console/expect"
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
// escape sequences and line ends between, in every encoding; and in pieces, as a hex
// dump breaks them up.
func Find(text []byte, secrets []Secret) (what string, found bool) {
	set := setOf(secrets)
	plain := expect.Plain(text)
	joined := bytes.ReplaceAll(plain, []byte("\n"), nil) // a dump is broken into lines
	views := [][]byte{plain, text, joined}
	hits := make([][]canary.Hit, len(views))
	for i, view := range views {
		hits[i] = set.Find(view).Hits
		for _, h := range hits[i] {
			if h.To-h.From >= h.Of-ragged {
				return fmt.Sprintf("%s stands there, as %s, behind %q", h.Marker, h.Encoding, before(view, int(h.Offset))), true
			}
		}
		if m := privateKey.Find(view); m != nil {
			return fmt.Sprintf("a private key begins there: %q", m), true
		}
	}
	// What stands before a piece is not told: it may be the piece before. Two lines that
	// are joined have an offset between.
	for _, h := range slices.Concat(hits[0], hits[1]) {
		return pieceText(h), true
	}
	for _, h := range set.Find(digits(plain)).Hits {
		if strings.HasPrefix(h.Encoding, "hex") {
			return pieceText(h), true
		}
	}
	return "", false
}

// ragged is how many characters of a whole secret an encoding may not show, since they
// share theirs with what stands beside.
const ragged = 2

func pieceText(h canary.Hit) string {
	return fmt.Sprintf("a piece of %s stands there, as %s: bytes %d to %d of %d", h.Marker, h.Encoding, h.From+1, h.To, h.Of)
}

// setOf makes a search of secrets.
func setOf(secrets []Secret) *canary.Set {
	var markers []canary.Marker
	for _, s := range secrets {
		m := canary.Marker{Name: s.Name, Value: s.Value, Piece: s.Piece, Bits: canary.Chosen}
		if s.Piece == chosen {
			m.Accident = func(piece string) bool { return !wordless(piece) }
		}
		markers = append(markers, m)
	}
	return canary.NewSet(markers...)
}

// before gives the end of what stands before a place, on its own line.
func before(text []byte, at int) []byte {
	line := text[:at]
	line = line[bytes.LastIndexByte(line, '\n')+1:]
	return line[max(0, len(line)-40):]
}

// Marker makes a value for a store, of the alphabet and length that it takes, and
// says how long a piece of it is no accident. It gives false where the whole may be one.
func Marker(rng *rand.Rand, s *profile.Store) (value string, piece int, ok bool) {
	f, err := canary.FormOf(s.Alphabet, s.Length)
	if err != nil {
		return "", 0, false
	}
	out := make([]byte, f.Length)
	for i := range out {
		out[i] = f.Alphabet[rng.IntN(len(f.Alphabet))]
	}
	return string(out), f.Piece, true
}
