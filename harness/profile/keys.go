package profile

import (
	"fmt"
	"slices"
	"strings"
)

// NeverSend are keys that no check sends while the DUT boots, since the boot loader does
// more with them than open a prompt.
type NeverSend struct {
	Keys []string `yaml:"keys"` // a character, or a name: space, ESC, DEL, F2, F12, BREAK, Ctrl-E
	Why  string   `yaml:"why"`
}

// KeyBreak is the name of what is no key.
const KeyBreak = "BREAK"

// namedKeys are the keys that have a name, as they go over a wire.
var namedKeys = map[string]string{"space": " ", "ESC": "\x1b", "DEL": "\x7f", "F2": "\x1bOQ", "F12": "\x1b[24~", KeyBreak: ""}

// KeyBytes gives a key as it goes over a wire; nothing for BREAK. The error says what can
// be written.
func KeyBytes(name string) (string, error) {
	if k, ok := namedKeys[name]; ok {
		return k, nil
	}
	if len(name) == 1 && name[0] > ' ' && name[0] < 0x7f {
		return name, nil
	}
	if c, ok := strings.CutPrefix(name, "Ctrl-"); ok && len(c) == 1 {
		if c := strings.ToUpper(c)[0]; c >= '@' && c <= '_' {
			return string(rune(c &^ 0x40)), nil
		}
	}
	return "", fmt.Errorf("%q is no key: want one character, Ctrl- and one, space, ESC, DEL, F2, F12 or BREAK", name)
}

// Holds says whether what would be sent has a key in it that never is: a word that is
// typed is the keys that it is made of, and a key of several bytes is itself alone.
func (n NeverSend) Holds(sent string) bool {
	for _, name := range n.Keys {
		k, err := KeyBytes(name)
		if err != nil || k == "" {
			continue
		}
		if sent == k || len(k) == 1 && strings.Contains(sent, k) {
			return true
		}
	}
	return false
}

// Break says whether BREAK is held back.
func (n NeverSend) Break() bool { return slices.Contains(n.Keys, KeyBreak) }

func (l *linter) neverSend(at []string, n NeverSend) {
	if len(n.Keys) == 0 && n.Why == "" {
		return
	}
	if len(n.Keys) == 0 || n.Why == "" {
		l.errorf(at, "write never-send: {keys: [e], why: what the boot loader does with it}", "keys are held back in a boot, and it is not said which, or why")
	}
	for _, k := range n.Keys {
		b, err := KeyBytes(k)
		switch {
		case err != nil:
			l.errorf(append(slices.Clone(at), "keys"), "a key that prints is written as it is: e", "%v", err)
		case b == "\r":
			l.errorf(append(slices.Clone(at), "keys"), "own up to the checks that send keys in a boot, in the rig file: lacks: {con-boot-interrupt: why}", "Enter is what shows whether a prompt is one, and cannot be held back")
		}
	}
}
