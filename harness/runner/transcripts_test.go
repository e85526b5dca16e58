package runner

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/check"
	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// talking is a port on which the DUT says what it is told to.
type talking struct {
	says chan string
	gone chan struct{}
	once sync.Once
}

func (p *talking) Read(b []byte) (int, error) {
	select {
	case s := <-p.says:
		return copy(b, s), nil
	case <-p.gone:
		return 0, io.EOF
	}
}
func (*talking) Write(context.Context, []byte) error        { return nil }
func (*talking) Break(context.Context, time.Duration) error { return wire.ErrUnsupported }
func (*talking) SetRate(context.Context, int) error         { return nil }
func (p *talking) Close() error                             { p.once.Do(func() { close(p.gone) }); return nil }

// filling is a disk that is full from some moment on.
type filling struct {
	io.Writer
	full *atomic.Bool
}

func (d filling) Write(p []byte) (int, error) {
	if d.full.Load() {
		return 0, syscall.ENOSPC
	}
	return d.Writer.Write(p)
}

// consoleJob is a job on a rig of one console.
func consoleJob(t *testing.T, port wire.Port, checks ...*check.Check) *Job {
	return &Job{File: &rig.File{Name: "bench", Consoles: map[string]*rig.Port{"main": {Driver: "fake"}}}, Profile: &profile.Profile{Name: "dut"},
		Suites: []check.Suite{{Name: "s", Checks: checks}}, Dir: filepath.Join(t.TempDir(), "run"), RunID: "r", Seed: 7,
		Drivers: rig.Drivers{Port: map[string]func(context.Context, *rig.Port, rig.Env) (wire.Port, error){
			"fake": func(context.Context, *rig.Port, rig.Env) (wire.Port, error) { return port, nil }}}}
}

// TestTranscriptCannotBeMade: a run of which nobody could keep what the consoles say does
// not begin, and says why.
func TestTranscriptCannotBeMade(t *testing.T) {
	for _, taken := range []string{"private/console-main.raw", "evidence"} {
		t.Run(taken, func(t *testing.T) {
			var ran bool
			c := checkOn("c", "good", func(_ context.Context, ct *check.T) { ran = true; holds(ct) })
			port := &talking{says: make(chan string), gone: make(chan struct{})}
			j := consoleJob(t, port, c)
			j.Observe = func(e *journal.Event) {
				if e.Start != nil { // the folder is there, and no console is open
					require.NoError(t, os.WriteFile(filepath.Join(j.Dir, taken), nil, 0o600))
				}
			}
			require.NoError(t, j.Run(t.Context()))
			res, err := Load(j.Dir)
			require.NoError(t, err)
			assert.False(t, ran)
			assert.NotEqual(t, verdict.Pass, res.Case("c").Judgement.Verdict)
			assert.Equal(t, verdict.Error, res.Worst)
			require.NotEmpty(t, res.Trouble)
			assert.Equal(t, verdict.ReasonFault, res.Trouble[0].Reason)
			assert.Contains(t, res.Trouble[0].Detail, "console main")
			<-port.gone
		})
	}
}

// TestTranscriptBreaks: a case that leans on a console of which not all is kept is an
// error of the rig, and so is the run; what was over before stays.
func TestTranscriptBreaks(t *testing.T) {
	for _, tt := range []struct {
		name               string
		during             string // the case in which the disk is full
		parts              []wire.Part
		first, next, third string
	}{
		{"in none", "", []wire.Part{"console.main"}, "pass", "pass", "pass"},
		{"in one that leans on it", "next", []wire.Part{"console.main"}, "pass", "error.disk", "error.broken-part"},
		{"in one that does not", "next", []wire.Part{"line.good"}, "pass", "pass", "error.broken-part"},
		{"behind the last", "after", []wire.Part{"console.main"}, "pass", "pass", "pass"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var full atomic.Bool
			port := &talking{says: make(chan string), gone: make(chan struct{})}
			say := func(ctx context.Context, text string) {
				select {
				case port.says <- text:
				case <-ctx.Done():
				}
			}
			one := func(id string) *check.Check {
				c := checkOn(id, "good", func(ctx context.Context, ct *check.T) {
					holds(ct)
					full.Store(id == tt.during)
					for range 3 { // the last is read when those before it are kept
						say(ctx, "hello of "+id+"\r\n")
					}
				})
				c.Cases = func(check.Input) []check.Case { return []check.Case{{Parts: tt.parts}} }
				c.Budget.Case = 10 * time.Second
				return c
			}
			j := consoleJob(t, port, one("first"), one("next"), one("third"))
			j.Disk = func(w io.Writer) io.Writer { return filling{w, &full} }
			j.Left = func(*rig.Bench) {
				full.Store(tt.during == "after")
				for range 3 {
					say(t.Context(), "good bye\r\n")
				}
			}
			require.NoError(t, j.Run(t.Context()))
			res, err := Load(j.Dir)
			require.NoError(t, err)
			for id, want := range map[string]string{"first": tt.first, "next": tt.next, "third": tt.third} {
				assert.Equal(t, want, words(res.Case(id).Judgement), "%s: %s", id, res.Case(id).Judgement.Detail)
			}
			if tt.during == "" {
				assert.Equal(t, verdict.Pass, res.Worst, "%v", res.Trouble)
				return
			}
			assert.Equal(t, verdict.Error, res.Worst)
			assert.Equal(t, []string{"disk"}, res.Broken)
			require.NotEmpty(t, res.Trouble)
			assert.Contains(t, res.Trouble[0].Detail, "no space left")
		})
	}
}

// TestUnkept: the journal says it where a file cannot be closed, too.
func TestUnkept(t *testing.T) {
	j := &Job{Dir: filepath.Join(t.TempDir(), "run"), Disk: func(io.Writer) io.Writer { return filling{full: yes()} }}
	rec, err := j.record(escape.NewRedactor())
	require.NoError(t, err)
	f, err := rec.cab.Create("", "x.cast", "a transcript", "text/plain")
	require.NoError(t, err)
	_, _ = f.Write([]byte("held back"))
	rec.casts = append(rec.casts, f)
	raw, err := rec.private("x.raw")
	require.NoError(t, err)
	require.NoError(t, raw.Close())
	err = rec.closeTranscripts()
	require.ErrorIs(t, err, os.ErrClosed)
	require.ErrorIs(t, err, syscall.ENOSPC)
	rec.unkept(rig.PhaseAfter, errors.New("no room"))
	rec.unkept(rig.PhaseAfter, nil)
	require.NoError(t, rec.close())
	res, err := Load(j.Dir)
	require.NoError(t, err)
	require.Len(t, res.Doctor, 1)
	assert.Equal(t, "no room", res.Doctor[0].Detail)
}

func yes() *atomic.Bool {
	b := &atomic.Bool{}
	b.Store(true)
	return b
}
