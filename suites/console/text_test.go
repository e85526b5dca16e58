package console

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

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
		"\r\ngrub rescue> ": true, "\r\n[VxWorks Boot]: ": true, "\r\nrommon 1 > ": true, "\r\n<RealTek>": true, "\r\nMarvell>> ": true,
		"\r\nswitch: ": true, "\r\n[root@gw /]# ": true, "\r\n[0]kdb> ": true, "\r\n[1]more> ": true,
		"\r\nswitch: port 1 is up": false, "\r\n<6>[    0.1] usb": false, "\r\n[    0.1] ": false, "\r\n[init]: ": false,
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

func TestInOrder(t *testing.T) {
	for text, want := range map[string]int{"abcd": 4, "ab[ 0.1] usb\r\ncd": 4, "abd": 2, "abXd": 2, "": 0, "dcba": 1} {
		assert.Equal(t, want, inOrder([]byte("abcd"), []byte(text)), "%q", text)
	}
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
			if b != 0x11 && b != 0x13 { // those go together
				assert.Contains(t, keys, string(rune(b)))
			}
		}
		assert.Contains(t, keys, "\x13\x11")
		assert.Contains(t, keys, "debug\r")
	}
}
