package secrets

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/canary"
	"rigor/harness/profile"
)

func TestFindsSecretsInEveryEncoding(t *testing.T) {
	const value = "Kw7-sesame-31"
	list := []Secret{{"another", "qqqqqqqqqq", 0}, {"the label", value, 0}}
	for name, text := range map[string]string{
		"plain": "boot: psk=" + value + "\r\n", "hex": hex.EncodeToString([]byte(value)),
		"base64":         base64.StdEncoding.EncodeToString([]byte("ssid:" + value)),
		"among colours":  "Kw7-\x1b[1mses\x1b[0mame-31",
		"over two lines": "Kw7-sesa\r\nme-31",
		"with NUL bytes": strings.Join(strings.Split(value, ""), "\x00"),
	} {
		what, found := Find([]byte("some log\r\n"+text+" and more"), list)
		assert.True(t, found, name)
		assert.Contains(t, what, "the label", name)
		assert.NotContains(t, what, value, "a report must not show it: %s", name)
	}
	_, found := Find([]byte("-----BEGIN EC PRIVATE KEY-----\r\n"), nil)
	assert.True(t, found)
	_, found = Find([]byte("Kw7-sesame-32 Kw7 sesame 31 BEGIN PRIVATE KEY"), list)
	assert.False(t, found)
}

func TestFindsPiecesInDumps(t *testing.T) {
	const value = "hJ7mQz2vXn4TqRw9bYc3KpLd"
	own := []Secret{{"the store", value, DrawnPiece}}
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
		what, found := Find([]byte("log\r\n"+text), own)
		assert.True(t, found, name)
		assert.Contains(t, what, "the store", name)
		assert.NotContains(t, what, value[:5], name)
	}
	for _, text := range []string{value[:7], value[8:15] + " " + value[16:23], "684a376d517a32", strings.Repeat("68 4a 37 6d\r\n", 9)} {
		_, found := Find([]byte(text), own)
		assert.False(t, found, "no accident is %q", text)
	}
	// What somebody chose may be made of words.
	for value, want := range map[string]bool{"operator-password-of-the-day-1": false, "operatorpasswordoftheday": false, "x7-Kqm2": false, "day-2-of-may-and-more": true} {
		_, found := Find([]byte("the operator-password-is set; operatorpassword, day-2-of-may"), []Secret{{"s", value, chosenPiece(value)}})
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
		m, piece, ok := Marker(rng, &c.store)
		assert.Equal(t, ok, piece >= DrawnPiece)
		require.Equal(t, c.ok, ok, "%+v", c.store)
		if ok && c.store.Length > 0 {
			assert.Len(t, m, c.store.Length)
		}
		if f, err := canary.FormOf(c.store.Alphabet, c.store.Length); ok {
			require.NoError(t, err)
			assert.Empty(t, strings.Trim(m, f.Alphabet))
		}
	}
}

// FuzzFind: whatever a device says is looked at and never a panic.
func FuzzFind(f *testing.F) {
	f.Add([]byte("psk=sesame\r\n"))
	f.Add([]byte("\x1b[\xff-----BEGIN  PRIVATE KEY-----"))
	f.Fuzz(func(t *testing.T, text []byte) {
		Find(text, []Secret{{"s", "sesame", 0}})
		if _, found := Find(append(text, "\nsesame\n"...), []Secret{{"s", "sesame", 0}}); !found {
			t.Errorf("not found behind %q", text)
		}
	})
}
