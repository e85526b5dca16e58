package profile

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestKeyBytes: a key is written as people write it.
func TestKeyBytes(t *testing.T) {
	for name, want := range map[string]string{"e": "e", "~": "~", "space": " ", "ESC": "\x1b", "DEL": "\x7f", "F12": "\x1b[24~", "BREAK": "", "Ctrl-E": "\x05", "Ctrl-s": "\x13", "Ctrl-@": "\x00", "Ctrl-[": "\x1b"} {
		got, err := KeyBytes(name)
		require.NoError(t, err, name)
		assert.Equal(t, want, got, name)
	}
	for _, name := range []string{"", " ", "ee", "é", "Ctrl-", "Ctrl-1", "ctrl-e", "F3", "\x05"} {
		_, err := KeyBytes(name)
		assert.Error(t, err, "%q", name)
	}
}

// TestHolds: a word is held back by each of its keys, and a key of several bytes by
// itself alone.
func TestHolds(t *testing.T) {
	n := NeverSend{Keys: []string{"e", "F12", "Ctrl-S"}}
	for sent, want := range map[string]bool{"e": true, "E": false, "erase\r": true, "x\r": false, "\x1b[24~": true, "\x1bOQ": false, "\x13\x11": true, "\x11": false} {
		assert.Equal(t, want, n.Holds(sent), "%q", sent)
	}
	assert.True(t, NeverSend{Keys: []string{"ESC"}}.Holds("\x1bOQ"), "a loader that reads byte by byte takes its first for ESC")
	assert.False(t, n.Break())
	assert.True(t, NeverSend{Keys: []string{"BREAK"}}.Break())
}
