package journal_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/journal/journaltest"
)

// kept remembers the events that a cabinet records.
type kept struct {
	mu     sync.Mutex
	events []journal.Event
	err    error
}

func (k *kept) Append(e *journal.Event) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.events = append(k.events, *e)
	return k.err
}

func TestEvidenceIsHashedAsWritten(t *testing.T) {
	dir, log := t.TempDir(), &kept{}
	f, err := journal.NewCabinet(dir, log, nil).Create("a[ssh]", "tries.jsonl", "each try", "application/jsonl")
	require.NoError(t, err)
	for _, part := range []string{"one\n", "two\n"} {
		_, err = f.Write([]byte(part))
		require.NoError(t, err)
	}
	assert.Empty(t, log.events, "it is evidence when it is complete")
	require.NoError(t, f.Close())
	require.NoError(t, f.Close(), "a second close does nothing")
	_, err = f.Write([]byte("late"))
	require.Error(t, err)
	require.Len(t, log.events, 1)
	e := log.events[0]
	assert.Equal(t, "a[ssh]", e.Case)
	assert.Equal(t, journal.Evidence{Path: f.Ref().Path, What: "each try", MIME: "application/jsonl", Size: 8, SHA256: journaltest.Hash("one\ntwo\n")}, *e.Evidence)
	data, err := os.ReadFile(filepath.Join(dir, f.Ref().Path))
	require.NoError(t, err)
	assert.Equal(t, "one\ntwo\n", string(data))
}

func TestEvidenceNames(t *testing.T) {
	dir := t.TempDir()
	cab := journal.NewCabinet(dir, &kept{}, nil)
	seen := map[string]bool{}
	for _, name := range []string{"a.txt", "a.txt", "a-2.txt", "a.txt", "", "..", "../../etc/passwd", "/etc/passwd", "a\x00b", "é", strings.Repeat("x", 500), ".hidden"} {
		for _, id := range []string{"", "c[ssh]", "../up", "a/../../b"} {
			f, err := cab.Create(id, name, "w", "m")
			require.NoError(t, err, "%q for %q", name, id)
			path := f.Ref().Path
			assert.False(t, seen[path], "%s is given twice", path)
			seen[path] = true
			assert.True(t, filepath.IsLocal(path) && strings.HasPrefix(path, "evidence/"), "%q", path)
			require.NoError(t, f.Close())
		}
	}
}

func TestEvidenceHoldsNoSecret(t *testing.T) {
	red := escape.NewRedactor()
	red.Add("operator", "correct-horse")
	dir, log := t.TempDir(), &kept{}
	f, err := journal.NewCabinet(dir, log, func(w io.Writer) io.WriteCloser { return red.Writer(w) }).Create("", "x.txt", "w", "m")
	require.NoError(t, err)
	for _, part := range []string{"a corr", "ect-ho", "rse b"} { // cut by the writes
		_, err := f.Write([]byte(part))
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
	data, err := os.ReadFile(filepath.Join(dir, f.Ref().Path))
	require.NoError(t, err)
	assert.Equal(t, "a ‹secret:operator› b", string(data))
	assert.Equal(t, journaltest.Hash(string(data)), log.events[0].Evidence.SHA256, "the hash is of what the file holds")
	assert.Equal(t, int64(len(data)), log.events[0].Evidence.Size)
}

func TestEvidenceTrouble(t *testing.T) {
	dir, boom := t.TempDir(), errors.New("journal is broken")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "evidence"), nil, 0o600))
	_, err := journal.NewCabinet(dir, &kept{}, nil).Create("", "x", "w", "m")
	require.Error(t, err, "the folder cannot be made")
	f, err := journal.NewCabinet(t.TempDir(), &kept{err: boom}, nil).Create("", "x", "w", "m")
	require.NoError(t, err)
	require.ErrorIs(t, f.Close(), boom)
}
