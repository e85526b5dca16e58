package rig

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

func newStore(t *testing.T) *Store {
	t.Helper()
	s, err := OpenStore(filepath.Join(t.TempDir(), "bench-a"))
	require.NoError(t, err)
	return s
}

func TestStoreDir(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", "/var/state")
	dir, err := StoreDir("bench-a")
	require.NoError(t, err)
	assert.Equal(t, "/var/state/rigor/bench-a", dir)
	t.Setenv("XDG_STATE_HOME", "relative")
	t.Setenv("HOME", "/home/u")
	dir, err = StoreDir("bench-a")
	require.NoError(t, err)
	assert.Equal(t, "/home/u/.local/state/rigor/bench-a", dir)
	for _, name := range []string{"", "..", "../x", "a/b", ".hidden"} {
		_, err = StoreDir(name)
		assert.Error(t, err, "name %q", name)
	}
}

func TestIntentsOutliveTheStore(t *testing.T) {
	s := newStore(t)
	at := time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)
	s.now = func() time.Time { return at }
	first, err := s.Begin(Intent{Kind: IntentPassword, What: "password of admin on ssh", Undo: map[string]string{"login": "ssh", "label": "change-1"}})
	require.NoError(t, err)
	assert.Equal(t, "20261123T020000.000000000-password", first.ID)
	same, err := s.Begin(Intent{Kind: IntentPassword, What: "password of root on ssh"})
	require.NoError(t, err)
	assert.NotEqual(t, first.ID, same.ID, "one clock tick, two intents")
	at = at.Add(-time.Hour) // the clock is set back
	line, err := s.Begin(Intent{Kind: IntentLine, What: "line.reset asserted"})
	require.NoError(t, err)

	again, err := OpenStore(s.Dir())
	require.NoError(t, err)
	pending, err := again.Pending()
	require.NoError(t, err)
	assert.Equal(t, []Intent{first, same, line}, pending)

	require.NoError(t, again.Done(first.ID))
	require.Error(t, again.Done(first.ID), "an intent closes once")
	require.Error(t, again.Done("../../seed"))
	pending, err = s.Pending()
	require.NoError(t, err)
	assert.Equal(t, []Intent{same, line}, pending)

	info, err := os.Stat(again.intentPath(line.ID))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	info, err = os.Stat(s.Dir())
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}

func TestIntentFileStaysReadable(t *testing.T) {
	s := newStore(t)
	s.now = func() time.Time { return time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC) }
	in, err := s.Begin(Intent{Kind: IntentReset, What: "factory reset by button", Undo: map[string]string{"to": "onboarded"}})
	require.NoError(t, err)
	got, err := os.ReadFile(s.intentPath(in.ID))
	require.NoError(t, err)
	golden := filepath.Join("testdata", "intent.json")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, got, 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "a later version must read what an earlier one left")
	back, err := parseIntent(want)
	require.NoError(t, err)
	assert.Equal(t, in, back)
}

func TestDamagedIntentsAreNotOverlooked(t *testing.T) {
	whole := func(t *testing.T, s *Store) string {
		in, err := s.Begin(Intent{Kind: IntentState, What: "to factory"})
		require.NoError(t, err)
		return s.intentPath(in.ID)
	}
	tests := []struct {
		name   string
		damage func([]byte) []byte
		want   string
	}{
		{"empty", func([]byte) []byte { return nil }, "not valid: EOF"},
		{"cut", func(b []byte) []byte { return b[:len(b)/2] }, "not valid: unexpected EOF"},
		{"one letter", func(b []byte) []byte { return []byte(strings.Replace(string(b), "factory", "factorz", 1)) }, "its checksum does not match"},
		{"zeroes", func(b []byte) []byte { return make([]byte, len(b)) }, "not valid: invalid character '\\x00' looking for beginning of value"},
		{"more", func(b []byte) []byte { return append(b, b...) }, "not valid: more follows after its end"},
		{"unknown field", func([]byte) []byte { return []byte(`{"sha256":"","intent":{},"x":1}`) }, `not valid: json: unknown field "x"`},
		{"huge", func([]byte) []byte { return make([]byte, maxIntent+1) }, "over 65536 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			path := whole(t, s)
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, tt.damage(b), 0o600))
			good, err := s.Begin(Intent{Kind: IntentPower, What: "power on"})
			require.NoError(t, err)

			pending, err := s.Pending()
			require.EqualError(t, err, "intent "+path+": "+tt.want+"; see what the run before left on the device, put it right, then remove the file")
			var damaged *DamagedIntent
			require.ErrorAs(t, err, &damaged)
			assert.Equal(t, []Intent{good}, pending, "the others are listed all the same")
		})
	}
	t.Run("renamed", func(t *testing.T) {
		s := newStore(t)
		path := whole(t, s)
		require.NoError(t, os.Rename(path, filepath.Join(filepath.Dir(path), "other.json")))
		_, err := s.Pending()
		require.ErrorContains(t, err, "has another name")
	})
	t.Run("cut short before it was in place", func(t *testing.T) {
		s := newStore(t)
		left := filepath.Join(s.Dir(), intentsDir, "x.json.123"+tempExt)
		require.NoError(t, os.WriteFile(left, []byte("{"), 0o600))
		pending, err := s.Pending()
		require.NoError(t, err)
		assert.Empty(t, pending)
		assert.NoFileExists(t, left)
	})
}

type secretIs string

func (s secretIs) String(text string) string {
	return strings.ReplaceAll(text, string(s), "‹secret›")
}

func TestIntentHoldsNoSecret(t *testing.T) {
	s := newStore(t)
	s.Guarded(secretIs("hunter2"))
	for _, in := range []Intent{
		{Kind: IntentPassword, What: "set to hunter2"},
		{Kind: IntentPassword, What: "change", Undo: map[string]string{"old": "hunter2"}},
	} {
		_, err := s.Begin(in)
		require.ErrorContains(t, err, "would hold a secret")
		assert.NotContains(t, err.Error(), "hunter2")
	}
	_, err := s.Begin(Intent{Kind: "party", What: "x"})
	require.ErrorContains(t, err, `kind "party" is none of power, line`)
	_, err = s.Begin(Intent{Kind: IntentPower})
	require.Error(t, err)
	pending, err := s.Pending()
	require.NoError(t, err)
	assert.Empty(t, pending, "what is refused leaves nothing")
	files, err := os.ReadDir(filepath.Join(s.Dir(), intentsDir))
	require.NoError(t, err)
	assert.Empty(t, files)
}

func FuzzParseIntent(f *testing.F) {
	f.Add([]byte(`{"sha256":"","intent":{}}`))
	f.Add([]byte(`{"sha256":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","intent":{}}`))
	f.Add([]byte("{"))
	if b, err := os.ReadFile(filepath.Join("testdata", "intent.json")); err == nil {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := parseIntent(b)
		if err == nil && (in.ID == "" || in.Kind == "" || in.What == "") {
			t.Fatalf("taken for whole: %q", b)
		}
	})
}

func TestDerivedSecretsComeBack(t *testing.T) {
	s := newStore(t)
	a, err := s.DeriveSecret("change-1", AlphabetAlnum, 16)
	require.NoError(t, err)
	again, err := OpenStore(s.Dir())
	require.NoError(t, err)
	b, err := again.DeriveSecret("change-1", AlphabetAlnum, 16)
	require.NoError(t, err)
	assert.Equal(t, a, b, "the next start finds it again")
	c, err := s.DeriveSecret("change-2", AlphabetAlnum, 16)
	require.NoError(t, err)
	assert.NotEqual(t, a, c)
	other, err := newStore(t).DeriveSecret("change-1", AlphabetAlnum, 16)
	require.NoError(t, err)
	assert.NotEqual(t, a, other, "another rig, another key")

	info, err := os.Stat(filepath.Join(s.Dir(), seedFile))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestDerivedSecretsFit(t *testing.T) {
	s := newStore(t)
	for _, alphabet := range []string{AlphabetDigits, AlphabetHex, AlphabetAlnum, AlphabetASCII, "ab"} {
		for _, length := range []int{1, 2, 4, 8, 63, 1024} {
			got, err := s.DeriveSecret("x", alphabet, length)
			require.NoError(t, err)
			require.Len(t, got, length)
			assert.Empty(t, strings.Trim(got, alphabet))
			if length >= 4 {
				assert.Equal(t, classes(alphabet), classes(got), "each class of %q in %q", alphabet, got)
			}
		}
	}
	for _, bad := range []struct {
		label, alphabet string
		length          int
	}{{"", AlphabetHex, 8}, {"x", AlphabetHex, 0}, {"x", AlphabetHex, 1025}, {"x", "a", 8}, {"x", "aab", 8}} {
		_, err := s.DeriveSecret(bad.label, bad.alphabet, bad.length)
		assert.Error(t, err, "%+v", bad)
	}
}

func TestDerivedSecretsAreEven(t *testing.T) {
	var counts [10]int
	for _, c := range candidate(make([]byte, 32), "even", AlphabetDigits, 100_000, 0) {
		counts[c-'0']++
	}
	for d, n := range counts {
		assert.InDelta(t, 10_000, n, 500, "digit %d", d)
	}
}

func TestSeedInTrouble(t *testing.T) {
	derive := func(s *Store) error {
		_, err := s.DeriveSecret("x", AlphabetHex, 8)
		return err
	}
	s := newStore(t)
	require.NoError(t, derive(s))
	path := filepath.Join(s.Dir(), seedFile)
	require.NoError(t, os.Chmod(path, 0o644))
	require.ErrorContains(t, derive(s), "can be read by others (mode 0644): chmod 600 it")
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.WriteFile(path, []byte("beef\n"), 0o600))
	require.ErrorContains(t, derive(s), "is damaged")

	in, err := s.Begin(Intent{Kind: IntentPassword, What: "change"})
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	require.ErrorContains(t, derive(s), "needs it: put the device's password right by hand")
	assert.NoFileExists(t, path, "no new key while the old one's secrets are in use")
	require.NoError(t, s.Done(in.ID))
	require.NoError(t, derive(s))
}

func TestWriteDurablyLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "busy")
	require.NoError(t, os.MkdirAll(filepath.Join(target, "full"), 0o755)) // a rename onto it fails
	err := writeDurably(target, []byte("x"))
	require.Error(t, err)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1)
	assert.NotErrorIs(t, err, os.ErrExist)
}

// What was tried is there for the next run, and nothing is where nothing was.
func TestTries(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenStore(dir)
	require.NoError(t, err)
	data, err := s.Tries()
	require.NoError(t, err)
	assert.Empty(t, data)
	require.NoError(t, s.KeepTries([]byte("[1]")))
	require.NoError(t, s.KeepTries([]byte("[2]")))
	s, err = OpenStore(dir)
	require.NoError(t, err)
	data, err = s.Tries()
	require.NoError(t, err)
	assert.Equal(t, "[2]", string(data))
	pending, err := s.Pending()
	require.NoError(t, err)
	assert.Empty(t, pending, "it is no intent")
}
