package console

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/console/expect"
	"rigor/harness/profile"
)

// holds says whether a text ends with one of the prompts.
func holds(text string, ps ...expect.Pattern) bool {
	set := expect.NewSet(0, 0, ps...)
	if _, ok := set.Feed([]byte(text)); ok {
		return true
	}
	_, ok := set.End()
	return ok
}

func TestWhatLooksLikeAPrompt(t *testing.T) {
	for text, want := range map[string]bool{
		"\r\n/ # ": true, "\r\nroot@gw:~# ": true, "\r\n$ ": true, "\r\n=> ": true, "\r\nVG-Boot> ": true, "\r\nCFE> ": true,
		"\r\n(initramfs) ": true, "\r\nbarebox@Board:/ ": true, "\r\nuart:~$ ": true, "\r\n>>> ": true, "\r\nmsh />": true,
		"\r\nchoice> ": true, "\r\nEnter your selection [1-4]: ": true, "\r\n# \x1b[6n": true,
		"\r\nlogin: ": false, "\r\nPassword: ": false, "\r\n[    0.1] a # sign\r\n": false, "\r\n": false,
		"": false, "\r\nHit any key to stop autoboot:  0 ": false, "\r\n/ # echoed": false,
	} {
		assert.Equal(t, want, holds(text, insidePrompts(&profile.Console{})...), "%q", text)
	}
}

func TestDeclaredPromptsComeFirst(t *testing.T) {
	con := &profile.Console{Shell: profile.Pattern{Literal: "vg> "}, Boot: profile.Boot{Prompt: profile.Pattern{Literal: "Loader: "}}}
	ps := insidePrompts(con)
	assert.Equal(t, "the shell's prompt", ps[0].Name())
	assert.True(t, holds("\nLoader: ", ps...))
	assert.Len(t, bootPrompts(con), 1, "only what is declared decides at once")
	for _, p := range append(bootPrompts(con), looks()...) {
		assert.Equal(t, p.Name() == "the boot loader's prompt", p.IsForbidden(), p.Name())
		assert.Positive(t, p.Quiet(), "a boot log that goes on is no prompt: %s", p.Name())
	}
}

func TestFindsSecretsInEveryEncoding(t *testing.T) {
	const value = "Kw7-sesame-31"
	secrets := []secret{{"another", "qqqqqqqqqq", 0}, {"the label", value, 0}}
	for name, text := range map[string]string{
		"plain": "boot: psk=" + value + "\r\n", "hex": hex.EncodeToString([]byte(value)),
		"base64":         base64.StdEncoding.EncodeToString([]byte("ssid:" + value)),
		"among colours":  "Kw7-\x1b[1mses\x1b[0mame-31",
		"over two lines": "Kw7-sesa\r\nme-31",
		"with NUL bytes": strings.Join(strings.Split(value, ""), "\x00"),
	} {
		what, found := find([]byte("some log\r\n"+text+" and more"), secrets)
		assert.True(t, found, name)
		assert.Contains(t, what, "the label", name)
		assert.NotContains(t, what, value, "a report must not show it: %s", name)
	}
	_, found := find([]byte("-----BEGIN EC PRIVATE KEY-----\r\n"), nil)
	assert.True(t, found)
	_, found = find([]byte("Kw7-sesame-32 Kw7 sesame 31 BEGIN PRIVATE KEY"), secrets)
	assert.False(t, found)
}

func TestFindsPiecesInDumps(t *testing.T) {
	const value = "hJ7mQz2vXn4TqRw9bYc3KpLd"
	own := []secret{{"the store", value, drawnPiece}}
	record := []byte("\x01\x00\x00\x00ssid\x00\x00\x00\x00\x18" + value)
	rows := func(row func(b []byte) string) string {
		var out strings.Builder
		for i := 0; i < len(record); i += 16 {
			fmt.Fprintf(&out, "%08x: %s\r\n", i, row(record[i:min(i+16, len(record))]))
		}
		return out.String()
	}
	for name, text := range map[string]string{
		"hexdump -C":   hex.Dump(record),
		"without text": rows(func(b []byte) string { return fmt.Sprintf("% x", b) }),
		"capitals":     rows(func(b []byte) string { return fmt.Sprintf("% X", b) }),
		"C":            rows(func(b []byte) string { return strings.ReplaceAll(fmt.Sprintf("0x% x", b), " ", ", 0x") }),
		"words of 2": rows(func(b []byte) string {
			var out []string
			for i := 0; i+1 < len(b); i += 2 {
				out = append(out, fmt.Sprintf("%02x%02x", b[i+1], b[i]))
			}
			return strings.Join(out, " ")
		}),
		"words of 4": rows(func(b []byte) string {
			var out []string
			for i := 0; i+3 < len(b); i += 4 {
				out = append(out, fmt.Sprintf("%02x%02x%02x%02x", b[i+3], b[i+2], b[i+1], b[i]))
			}
			return strings.Join(out, " ")
		}),
		"cut off": "psk=" + value[:10] + "...",
	} {
		what, found := find([]byte("log\r\n"+text), own)
		assert.True(t, found, name)
		assert.Contains(t, what, "the store", name)
		assert.NotContains(t, what, value[:5], name)
	}
	for _, text := range []string{value[:7], value[8:15] + " " + value[16:23], "684a376d517a32", strings.Repeat("68 4a 37 6d\r\n", 9)} {
		_, found := find([]byte(text), own)
		assert.False(t, found, "no accident is %q", text)
	}
	// What somebody chose may be made of words.
	for value, want := range map[string]bool{"operator-password-of-the-day-1": false, "operatorpasswordoftheday": false, "x7-Kqm2": false, "day-2-of-may-and-more": true} {
		_, found := find([]byte("the operator-password-is set; operatorpassword, day-2-of-may"), []secret{{"s", value, chosenPiece(value)}})
		assert.Equal(t, want, found, value)
	}
}

func TestMarkersAreNoAccident(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		store profile.Store
		ok    bool
	}{
		{profile.Store{}, true}, {profile.Store{Alphabet: "ascii", Length: 8}, true}, {profile.Store{Alphabet: "ascii", Length: 6}, false},
		{profile.Store{Alphabet: "hex", Length: 10}, true}, {profile.Store{Alphabet: "hex", Length: 9}, false},
		{profile.Store{Alphabet: "digits", Length: 13}, true}, {profile.Store{Alphabet: "digits", Length: 12}, false},
		{profile.Store{Alphabet: "runes", Length: 40}, false},
	} {
		m, piece, ok := marker(rng, &c.store)
		assert.Equal(t, ok, piece >= drawnPiece)
		require.Equal(t, c.ok, ok, "%+v", c.store)
		if ok && c.store.Length > 0 {
			assert.Len(t, m, c.store.Length)
		}
		if ok && c.store.Alphabet != "" {
			assert.Empty(t, strings.Trim(m, alphabets[c.store.Alphabet]))
		}
	}
}

func TestInOrder(t *testing.T) {
	for text, want := range map[string]int{"abcd": 4, "ab[ 0.1] usb\r\ncd": 4, "abd": 2, "abXd": 2, "": 0, "dcba": 1} {
		assert.Equal(t, want, inOrder([]byte("abcd"), []byte(text)), "%q", text)
	}
}

// FuzzFind: whatever a console says is looked at and never a panic.
func FuzzFind(f *testing.F) {
	f.Add([]byte("psk=sesame\r\n"))
	f.Add([]byte("\x1b[\xff-----BEGIN  PRIVATE KEY-----"))
	f.Fuzz(func(t *testing.T, text []byte) {
		find(text, []secret{{"s", "sesame", 0}})
		if _, found := find(append(text, "\nsesame\n"...), []secret{{"s", "sesame", 0}}); !found {
			t.Errorf("not found behind %q", text)
		}
	})
}

func TestInjectionsNeverShowTheirProduct(t *testing.T) {
	for _, i := range injections([]string{"ping %s", "echo %s"}) {
		assert.NotContains(t, i.command+i.around+i.inner.text, "26026843")
	}
	assert.Equal(t, 26026843, left*right)
	assert.True(t, slices.ContainsFunc(inners, func(i inner) bool { return !strings.ContainsAny(i.text, " \t") }), "one goes through a command line that cuts at blanks")
}

func TestEveryKeySetGoesThroughAWholeBoot(t *testing.T) {
	all := sweeps([]string{"debug"})
	assert.Len(t, all, 7)
	seen := map[string]bool{}
	for _, w := range all {
		assert.False(t, seen[w.name], w.name)
		seen[w.name] = true
		assert.LessOrEqual(t, time.Duration(len(w.keys))*w.every, keyWithin, "each key of %q comes often enough", w.name)
	}
	assert.Len(t, sweeps(strings.Fields("a b c d e f g h i j")), len(all)+1, "many words take a boot of their own")
	// As many boots as it takes: no word comes seldomer for there being more of them.
	var many []string
	for i := range 500 {
		many = append(many, fmt.Sprintf("word%d", i))
	}
	var sent []string
	for _, w := range slices.Concat(sweeps(many), mixed(many)) {
		sent = append(sent, w.keys...)
		if len(w.keys) > 60 {
			assert.Failf(t, "too many keys for a boot", "%d in %q", len(w.keys), w.name)
		}
	}
	for _, w := range many {
		assert.Contains(t, sent, w+"\r")
	}
	// In both ways every key is sent, and BREAK once.
	for _, ws := range [][]sweep{all, mixed([]string{"debug"})} {
		var keys []string
		breaks := 0
		for _, w := range ws {
			keys = append(keys, w.keys...)
			if w.brk {
				breaks++
				for _, k := range w.keys {
					assert.NotContains(t, printableKeys(), k, "a key that SysRq may know behind a BREAK")
				}
			}
		}
		assert.Equal(t, 1, breaks)
		for b := range byte(0x80) {
			if b != 0x11 && b != 0x13 {
				assert.Contains(t, keys, string(rune(b)))
			}
		}
		assert.Contains(t, keys, "debug\r")
	}
}
