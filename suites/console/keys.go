package console

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/harness/check"
	hc "rigor/harness/console"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// keyWithin is the shortest window of a boot that each key of a sweep is meant to
// meet.
const keyWithin = 60 * time.Millisecond

// hotKeys are those that loaders stop at most of all.
var hotKeys = []named{{"CR", "\r"}, {"space", " "}, {"Ctrl-C", ctrlC}, {"ESC", "\x1b"}}

// loaderKeys are letters that loaders of many makers stop at.
var loaderKeys = []string{"q", "s", "m", "t", "4", "c", "e", "f"}

// named is a key with a name for what cannot be printed.
type named struct{ name, bytes string }

// printableKeys gives every key that prints, but for the space.
func printableKeys() []string {
	var out []string
	for b := '!'; b <= '~'; b++ {
		out = append(out, string(b))
	}
	return out
}

// controlKeys gives the other control keys, DEL, F2 and F12. Those of flow control come
// together: a console that takes them holds its output back at Ctrl-S, and lets it go at
// the Ctrl-Q behind it; boot ROMs that listen for Ctrl-S get it all the same.
func controlKeys() []string {
	out := []string{hc.XOFF + hc.XON}
	for b := rune(0); b < ' '; b++ {
		if k := string(b); k != hc.XON && k != hc.XOFF && !slices.ContainsFunc(hotKeys, func(h named) bool { return h.bytes == k }) {
			out = append(out, k)
		}
	}
	return append(out, "\x7f", "\x1bOQ", "\x1b[24~")
}

// wordKeys gives the declared words, each with Enter.
func wordKeys(magic []string) []string {
	var out []string
	for _, w := range magic {
		out = append(out, w+"\r")
	}
	return out
}

// sweep is one boot with keys from before its start to its declared end.
type sweep struct {
	name  string
	keys  []string
	every time.Duration // from one key to the next
	early time.Duration // how long before the power is switched on
	brk   bool          // BREAK goes out once, at the loader's sign
}

// early is how long before the power the keys begin.
const early = keyWithin

// sweeps gives the boots: one for each of the keys that loaders stop at, each so
// close that a window of a few times ten milliseconds gets it, and the others
// together, as many as fit into a window of keyWithin. They begin at different
// moments, so that no two meet the device's own rhythm alike.
func sweeps(magic []string) []sweep {
	var out []sweep
	for i, k := range hotKeys {
		out = append(out, sweep{name: k.name, keys: []string{k.bytes}, every: 10 * time.Millisecond, early: early + time.Duration(3*i)*time.Millisecond})
	}
	for i, g := range groups(magic) {
		w := together(g.name, g.keys, early+time.Duration(2+3*i)*time.Millisecond)
		w.brk = g.brk
		out = append(out, w)
	}
	return out
}

// allowed leaves out the keys that the profile has held back in a boot, and the boots
// that have none left. It says which keys those are.
func allowed(all []sweep, never profile.NeverSend) (out []sweep, held []string) {
	for _, w := range all {
		w.keys = slices.DeleteFunc(slices.Clone(w.keys), func(k string) bool {
			holds := never.Holds(k)
			if name := shownKey(k); holds && !slices.Contains(held, name) {
				held = append(held, name)
			}
			return holds
		})
		if w.brk && never.Break() {
			w.brk, held = false, append(held, profile.KeyBreak)
		}
		if len(w.keys) > 0 {
			out = append(out, w)
		}
	}
	return out, held
}

// shownKey gives a key as people call it.
func shownKey(k string) string {
	for _, h := range hotKeys {
		if h.bytes == k {
			return h.name
		}
	}
	return strings.Trim(fmt.Sprintf("%q", k), `"`)
}

// claimHeld says of keys that were held back that nothing is known of them.
func (s *seat) claimHeld(held []string) {
	if len(held) == 0 {
		return
	}
	list, why := strings.Join(held, " "), s.con.Boot().Never.Why
	ref := s.t.Keep("held-back.txt", "the keys that the profile has held back in a boot", []byte(list+"\n"+why+"\n"))
	s.t.Claim("nor do the keys that the profile has held back (boot.never-send)", func(c *check.Claim) {
		c.Show(ref)
		c.Expect("each key is sent", "they were not sent")
		c.Unknown(verdict.ReasonCoverageGap, "the profile has %d keys held back (%s), which were not sent: %s", len(held), list, why)
	})
}

// fastest is the time of a key on a line of 9600 bit/s, and a little.
const fastest = 1100 * time.Microsecond

// together makes a sweep in which each key comes again within keyWithin, if there
// are not too many of them for a slow line.
func together(name string, keys []string, early time.Duration) sweep {
	every := min(keyWithin/time.Duration(len(keys)), 15*time.Millisecond)
	return sweep{name: name, keys: keys, every: max(every, fastest), early: early}
}

// group is keys that share a boot.
type group struct {
	name string
	keys []string
	brk  bool
}

// groups gives all keys but the hot ones. The words come together, behind an Enter,
// so that each is a line of its own; in boots of their own if there are many.
// BREAK goes with the keys that no SysRq knows.
func groups(magic []string) []group {
	keys := printableKeys()
	n := len(keys) / 2
	out := []group{
		{name: fmt.Sprintf("the keys %s to %s", keys[0], keys[n-1]), keys: keys[:n]},
		{name: fmt.Sprintf("the keys %s to %s", keys[n], keys[len(keys)-1]), keys: keys[n:]},
		{name: "the control keys, DEL, F2, F12 and BREAK", keys: controlKeys(), brk: true},
	}
	words := wordKeys(magic)
	const most = int(keyWithin / fastest)
	if len(words) > 0 && len(out[1].keys)+1+len(words) <= most {
		out[1].name += " and the declared words"
		out[1].keys = slices.Concat(out[1].keys, []string{"\r"}, words)
		return out
	}
	for some := range slices.Chunk(words, most*4/5) { // mixed sets others in between
		name := "the declared words"
		if len(words) > len(some) {
			name += fmt.Sprintf(" from %q to %q", strings.TrimSpace(some[0]), strings.TrimSpace(some[len(some)-1]))
		}
		out = append(out, group{name: name, keys: some})
	}
	return out
}

// mixed gives the same keys in fewer boots, for a console on which every byte that
// comes is one too many, so that no key's effect hides behind another's: one of the
// keys that loaders stop at comes before every four others.
func mixed(magic []string) []sweep {
	var out []sweep
	for i, g := range groups(magic) {
		var keys []string
		for j, k := range g.keys {
			if j%4 == 0 {
				keys = append(keys, hotKeys[j/4%len(hotKeys)].bytes)
			}
			keys = append(keys, k)
		}
		w := together(g.name+", with CR, space, Ctrl-C and ESC", keys, early+time.Duration(3*i)*time.Millisecond)
		w.brk = g.brk
		out = append(out, w)
	}
	return out
}
