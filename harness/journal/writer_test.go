package journal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/harness/journal/journaltest"
	"rigor/harness/verdict"
)

// sink counts syncs and breaks on demand.
type sink struct {
	mu     sync.Mutex
	data   bytes.Buffer
	syncs  int
	writeE error
	syncE  error
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writeE != nil {
		return 0, s.writeE
	}
	return s.data.Write(p)
}

func (s *sink) Sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.syncs++
	return s.syncE
}

func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.syncs
}

func note(text string) *journal.Event {
	return &journal.Event{Kind: journal.KindNote, Case: "c", Note: &journal.Note{Text: text}}
}

func start() *journal.Event {
	return &journal.Event{Kind: journal.KindStart, Start: &journal.Start{Format: journal.Format, Rig: "r"}}
}

func TestWriterIsReadBack(t *testing.T) {
	s := &sink{}
	var seen []int64
	w := journal.NewWriter(s, nil, func(e *journal.Event) { seen = append(seen, e.Seq) })
	require.NoError(t, w.Append(start()))
	for i := range 20 {
		require.NoError(t, w.Append(note(fmt.Sprintf("%d: \x1b[0m]]>\u2028 ☃", i))))
	}
	require.NoError(t, w.Close())
	assert.Equal(t, 1, s.count())
	log, err := journal.Read(bytes.NewReader(s.data.Bytes()))
	require.NoError(t, err)
	assert.Empty(t, log.Damage)
	assert.False(t, log.Torn)
	require.Len(t, log.Events, 21)
	assert.Len(t, seen, 21)
	assert.Equal(t, w.Hash(), log.Hash)
	assert.Equal(t, "19: \x1b[0m]]>\u2028 ☃", log.Events[20].Note.Text)
	assert.Equal(t, time.UTC, log.Events[3].At.Location())
	for i := 1; i < len(log.Events); i++ {
		assert.GreaterOrEqual(t, log.Events[i].Off, log.Events[i-1].Off)
	}
	require.Error(t, w.Append(note("late")), "closed")
}

func TestWriterSyncsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		w := journal.NewWriter(s, nil, nil)
		require.NoError(t, w.Append(start()))
		require.NoError(t, w.Append(note("a")))
		time.Sleep(journal.SyncEvery - time.Millisecond) //nolint:forbidigo // the clock is the test's own
		synctest.Wait()
		assert.Zero(t, s.count(), "not before its time")
		time.Sleep(2 * time.Millisecond) //nolint:forbidigo // the clock is the test's own
		synctest.Wait()
		assert.Equal(t, 1, s.count(), "once for both lines")
		time.Sleep(10 * journal.SyncEvery) //nolint:forbidigo // the clock is the test's own
		synctest.Wait()
		assert.Equal(t, 1, s.count(), "nothing new, no sync")
		require.NoError(t, w.Append(note("b")))
		require.NoError(t, w.Sync())
		assert.Equal(t, 2, s.count(), "at once where asked for")
		require.NoError(t, w.Close())
	})
}

func TestWriterStaysBroken(t *testing.T) {
	full := errors.New("no space left on device")
	t.Run("write", func(t *testing.T) {
		s := &sink{}
		w := journal.NewWriter(s, nil, nil)
		require.NoError(t, w.Append(start()))
		before := s.data.Len()
		s.writeE = full
		require.ErrorIs(t, w.Append(note("a")), full)
		s.writeE = nil
		require.ErrorIs(t, w.Append(note("b")), full, "a journal with a hole is worse than none")
		require.ErrorIs(t, w.Sync(), full)
		require.ErrorIs(t, w.Err(), full)
		require.ErrorIs(t, w.Close(), full)
		assert.Equal(t, before, s.data.Len())
	})
	t.Run("sync", func(t *testing.T) {
		s := &sink{syncE: full}
		w := journal.NewWriter(s, nil, nil)
		require.NoError(t, w.Append(start()))
		require.ErrorIs(t, w.Sync(), full)
		s.syncE = nil
		require.ErrorIs(t, w.Append(note("b")), full)
		require.ErrorIs(t, w.Close(), full)
	})
}

func TestWriterConcurrent(t *testing.T) {
	s := &sink{}
	n := 0
	w := journal.NewWriter(s, nil, func(*journal.Event) { n++ })
	require.NoError(t, w.Append(start()))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				assert.NoError(t, w.Append(note(fmt.Sprintf("%d/%d", g, i))))
				if i%10 == 0 {
					assert.NoError(t, w.Sync())
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, w.Close())
	log, err := journal.Read(&s.data)
	require.NoError(t, err)
	assert.Empty(t, log.Damage)
	assert.Len(t, log.Events, 401)
	assert.Equal(t, 401, n)
}

// values takes these words out, wherever they stand.
type values []string

func (v values) String(s string) string {
	for _, secret := range v {
		s = strings.ReplaceAll(s, secret, "‹secret›")
	}
	return s
}

func TestRedactionIsOfValues(t *testing.T) {
	t.Run("a secret in a value", func(t *testing.T) {
		s := &sink{}
		var shown *journal.Event
		w := journal.NewWriter(s, values{`p"w\1`}, func(e *journal.Event) { shown = e })
		require.NoError(t, w.Append(start()))
		require.NoError(t, w.Append(note(`login with p"w\1 and <p"w\1>`)))
		require.NoError(t, w.Close())
		log, err := journal.Read(bytes.NewReader(s.data.Bytes()))
		require.NoError(t, err)
		require.Empty(t, log.Damage)
		assert.Equal(t, "login with ‹secret› and <‹secret›>", log.Events[1].Note.Text)
		assert.Equal(t, log.Events[1].Note.Text, shown.Note.Text, "the display sees no more than the file")
	})
	// A secret that is spelled like a part of the record must not break it.
	for _, secret := range []string{"note", "text", "start", "case", "seq", "prev", "2026", "yes", "pass", "refused", "control before", "finished",
		"0", "a", "e", "open", "access", "-", ":", "ok", "before"} {
		t.Run("spelled "+secret, func(t *testing.T) {
			s := &sink{}
			w := journal.NewWriter(s, values{secret}, nil)
			for _, e := range green().Events {
				require.NoError(t, w.Append(&e))
			}
			require.NoError(t, w.Close())
			log, err := journal.Read(bytes.NewReader(s.data.Bytes()))
			require.NoError(t, err)
			require.Empty(t, log.Damage)
			res := journal.Fold(log)
			assert.Equal(t, 4, res.Counts[verdict.Pass])
			assert.Zero(t, res.Exit, "%v", res.Trouble)
		})
	}
	t.Run("bytes that are no UTF-8", func(t *testing.T) {
		s := &sink{}
		w := journal.NewWriter(s, nil, nil)
		require.NoError(t, w.Append(start()))
		e := note("a\xffb")
		shared := e.Note
		require.NoError(t, w.Append(e))
		log, err := journal.Read(bytes.NewReader(s.data.Bytes()))
		require.NoError(t, err)
		assert.Equal(t, `a\xffb`, log.Events[1].Note.Text, "no byte is lost")
		assert.Equal(t, "a\xffb", shared.Text, "the caller's own is left alone")
	})
	t.Run("a reason that a person wrote", func(t *testing.T) {
		s := &sink{}
		w := journal.NewWriter(s, values{"hunter2"}, nil)
		require.NoError(t, w.Append(&journal.Event{Kind: journal.KindStart, Start: &journal.Start{Format: 1,
			Waivers: []journal.Waiver{{Case: "c", Reason: "the password is hunter2"}}}}))
		assert.NotContains(t, s.data.String(), "hunter2")
	})
}

func TestReadDamage(t *testing.T) {
	whole := green().Bytes()
	lines := bytes.SplitAfter(whole, []byte("\n"))
	lines = lines[:len(lines)-1]
	n := len(lines)
	join := func(ls ...[]byte) []byte { return bytes.Join(ls, nil) }
	tests := map[string]struct {
		file   []byte
		damage string // part of
		torn   bool
		events int
	}{
		"whole":                  {whole, "", false, n},
		"torn last line":         {whole[:len(whole)-9], "", true, n - 1},
		"last line without end":  {whole[:len(whole)-1], "", true, n - 1},
		"last line garbled":      {join(join(lines[:n-1]...), []byte("\x00\x00\x00\n")), "", true, n - 1},
		"garbled in the middle":  {join(join(lines[:4]...), []byte("{\"seq\":5,\n"), join(lines[5:]...)), "line 5: ", false, n - 1},
		"an empty line":          {join(join(lines[:4]...), []byte("\n"), join(lines[4:]...)), "line 5: ", false, n},
		"a byte changed":         {bytes.Replace(whole, []byte("it is so"), []byte("it is SO"), 1), "chain of hashes is broken", false, n},
		"a line twice":           {join(join(lines[:4]...), lines[3], join(lines[4:]...)), "line 5: ", false, n + 1},
		"two lines swapped":      {join(join(lines[:4]...), lines[5], lines[4], join(lines[6:]...)), "line 5: ", false, n},
		"the first line missing": {join(lines[1:]...), "line 1: ", false, n - 1},
		"wrong type":             {join(join(lines[:4]...), []byte("{\"seq\":\"x\"}\n"), join(lines[5:]...)), "line 5: ", false, n - 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			log, err := journal.Read(bytes.NewReader(tt.file))
			require.NoError(t, err)
			assert.Equal(t, tt.torn, log.Torn)
			assert.Len(t, log.Events, tt.events)
			if tt.damage == "" {
				assert.Empty(t, log.Damage)
			} else {
				assert.Contains(t, log.Damage, tt.damage)
			}
			if name != "whole" {
				assert.NotZero(t, journal.Fold(log).Exit)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	_, err := journal.Read(strings.NewReader(""))
	require.ErrorIs(t, err, journal.ErrEmpty)
	_, err = journal.Read(strings.NewReader(`{"seq":1,"at":"20`))
	require.ErrorIs(t, err, journal.ErrEmpty, "it was cut before its first line was whole")
	for _, text := range []string{"garbage", "garbage\n", "\n", "{}\n", "null\n", "[]\n{}\n", "a\nb\nc\n", "{\"a\":1}\nx"} {
		_, err = journal.Read(strings.NewReader(text))
		require.ErrorIs(t, err, journal.ErrNoJournal, "%q", text)
	}
	newer := journaltest.New(func(s *journal.Start) { s.Format = journal.Format + 1 }).End()
	_, err = journal.Read(bytes.NewReader(newer.Bytes()))
	require.ErrorContains(t, err, "newer")
	_, err = journal.Read(failing{})
	require.ErrorIs(t, err, errRead)
}

var errRead = errors.New("input/output error")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errRead }

func TestReadLongLine(t *testing.T) {
	var file bytes.Buffer
	file.Write(green().Bytes())
	file.WriteString(`{"note":"`)
	file.Write(bytes.Repeat([]byte("x"), 17<<20))
	file.WriteString("\"}\n{}\n")
	log, err := journal.Read(&file)
	require.NoError(t, err)
	assert.Contains(t, log.Damage, "longer than")
	assert.Len(t, log.Events, len(green().Events)+1)
}

// FuzzRead: whatever is in a file, reading and folding it ends, without a
// panic, and a file whose chain is not whole is never green.
func FuzzRead(f *testing.F) {
	whole := green().Bytes()
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte("{}\n{}\n"))
	f.Add([]byte(`{"seq":1,"kind":"start","start":{"format":1}}` + "\n" + `{"seq":2,"case":"x","begin":{}}` + "\n"))
	f.Add([]byte("null\n[]\n\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		log, err := journal.Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		res := journal.Fold(log)
		sum := 0
		for _, n := range res.Counts {
			sum += n
		}
		assert.Len(t, res.Cases, sum)
		if log.Damage != "" || log.Torn {
			assert.NotZero(t, res.Exit)
		}
		if res.Exit == 0 {
			assert.NotNil(t, res.End)
			assert.Empty(t, res.Trouble)
		}
		_, err = json.Marshal(res)
		assert.NoError(t, err)
	})
}
