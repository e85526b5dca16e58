package console

import (
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

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
	for _, p := range bootPrompts(con) {
		assert.True(t, p.IsForbidden(), p.Name())
		assert.Positive(t, p.Quiet(), "a boot log that goes on is no prompt: %s", p.Name())
	}
}

func TestFindsSecretsInEveryEncoding(t *testing.T) {
	const value = "Kw7-sesame-31"
	secrets := []secret{{"another", "qqqqqqqqqq"}, {"the label", value}}
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
		m, ok := marker(rng, &c.store)
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
		find(text, []secret{{"s", "sesame"}})
		if _, found := find(append(text, "\nsesame\n"...), []secret{{"s", "sesame"}}); !found {
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
	assert.GreaterOrEqual(t, len(all), 6)
	seen := map[string]bool{}
	for _, w := range all {
		assert.False(t, seen[w.name], w.name)
		seen[w.name] = true
		assert.LessOrEqual(t, int64(len(w.keys))*w.every.Milliseconds(), int64(60), "each key of %q comes often enough for a window of 60 ms", w.name)
	}
	assert.Len(t, sweeps(nil), len(all)-1)
}
