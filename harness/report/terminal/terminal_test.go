package terminal_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/harness/journal/journaltest"
	"rigor/harness/report/terminal"
	"rigor/harness/verdict"
)

func summary(t testing.TB, res, before *journal.Result, o terminal.Options) string {
	t.Helper()
	var buf bytes.Buffer
	require.NoError(t, terminal.Summary(&buf, res, before, "runs/x/report.html", o))
	return buf.String()
}

func TestSummary(t *testing.T) {
	res := journaltest.Sample().Fold()
	out := summary(t, res, nil, terminal.Options{})
	assert.NotContains(t, out, "\x1b")
	for _, want := range []string{
		"FAIL     con-boot-interrupt[main]  The boot cannot be interrupted",
		"expected  the boot goes on, whatever is sent\n",
		"9 of 10 planned: 3 passed, 1 failed, 2 inconclusive, 1 error, 1 not applicable, 1 waived; 1 not selected",
		"report    runs/x/report.html\n",
		"FAILED in 1m7s, exit code 1\n",
	} {
		assert.Contains(t, out, want)
	}
	// Each case that asks for attention ends with the command that runs it again.
	for _, block := range strings.Split(out, "\n\n")[:4] {
		lines := strings.Split(strings.TrimSpace(block), "\n")
		id := strings.Fields(lines[0])[1]
		assert.Equal(t, "         again     rigor run --rig rigs/bench-a.yaml --seed 7 '"+id+"'", lines[len(lines)-1])
	}
	assert.Less(t, strings.Index(out, "UNCLEAR  "), strings.Index(out, "FAIL     "), "the worst stands last, next to the summary")
	color := summary(t, res, nil, terminal.Options{Color: true})
	assert.Contains(t, color, "\x1b[31;1mFAIL\x1b[0m")
}

func TestOutcome(t *testing.T) {
	one := func() *journaltest.Builder { return journaltest.New().Plan("s", "a", "") }
	for want, b := range map[string]*journaltest.Builder{
		"PASSED": one().Pass("a").End(), "FAILED": one().Fail("a").End(), "ERROR OF THE RIG": one().End(), "INCONCLUSIVE": one().Begin("a").Done("a").End(),
		"NOTHING RUN":     journaltest.New().End(),
		"NOTHING APPLIES": journaltest.New().Plan("s", "a", "", journaltest.Skip(verdict.NotApplicable, verdict.ReasonDeclaredNone, "none")).End(),
		"INTERRUPTED":     one().Pass("a").Add(journal.Event{Kind: journal.KindEnd, End: &journal.End{How: journal.EndInterrupted, Safe: true}}),
	} {
		assert.Equal(t, want, terminal.Outcome(b.Fold()))
	}
}

func TestManyFailuresAreCut(t *testing.T) {
	b := journaltest.New()
	for i := range 120 {
		b.Plan("s", "c", strings.Repeat("x", i+1))
	}
	out := summary(t, b.End().Fold(), nil, terminal.Options{})
	assert.Contains(t, out, "and 70 more of the kind; see the report")
}

// observe shows a run as it goes on.
func observe(b *journaltest.Builder, o terminal.Options) string {
	var buf bytes.Buffer
	ob := terminal.NewObserver(&buf, o)
	for i := range b.Events {
		ob.Event(&b.Events[i])
	}
	_ = ob.Close()
	return buf.String()
}

func TestObserverPlain(t *testing.T) {
	out := observe(journaltest.Sample(), terminal.Options{})
	assert.NotContains(t, out, "\x1b")
	assert.NotContains(t, out, "\r")
	assert.Equal(t, []string{
		"pass     con-shell-noauth[main]  1.2s",
		`FAIL     con-boot-interrupt[main]  4.1s  access: a space sent 1.2 s after power-on opened the prompt "=> "; printenv was obeyed`,
		"ERROR    con-sysrq[main]  0.5s  fault: lines.reset: pulse: line is held by gpio-keys",
		"pass     cred-known-list[ssh]  42.8s",
		"UNCLEAR  cred-known-list[web]  10.8s  control-failed: after 12 tries the owner's own login was locked out",
		"FAIL     cred-enum[web]  0.8s  expectation: 41 ms apart over 50 pairs",
		"open     log-auth-events  rig trouble, trying once more",
		"pass     log-auth-events  1.2s",
	}, strings.Split(strings.TrimSpace(out), "\n"))
}

func TestObserverOfABracket(t *testing.T) {
	b := journaltest.New().Plan("s", "a", "", func(p *journal.Plan) { p.Bracket = "b" }).
		Add(journal.Event{Kind: journal.KindBracket, Bracket: &journal.Bracket{ID: "b", Phase: "open", OK: true}}).Pass("a")
	assert.Contains(t, observe(b, terminal.Options{}), "(if its bracket closes well)")
}

func TestObserverLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var buf bytes.Buffer
		ob := terminal.NewObserver(&buf, terminal.Options{Live: true, Width: 60})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); ob.Run(ctx) }()
		b := journaltest.New().Plan("s", "a", "main").Begin("a[main]")
		for i := range b.Events {
			ob.Event(&b.Events[i])
		}
		ob.Waiting("", "console main: the login prompt")
		time.Sleep(3500 * time.Millisecond) //nolint:forbidigo // the clock is the test's own
		synctest.Wait()
		stop()
		<-done
		last := buf.String()[strings.LastIndex(buf.String(), "\r\x1b[K")+4:]
		assert.Equal(t, "0/1 a[main] 3.0s waits for console main: the login prompt …", last)
		require.NoError(t, ob.Close())
		assert.True(t, strings.HasSuffix(buf.String(), "\r\x1b[K"), "the live line is taken away")
	})
}

// lockedBuffer is read while it is written to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// In a case the bench says what it waits for, once that takes more than a moment.
func TestObserverSaysWhatACaseWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var buf lockedBuffer
		ob := terminal.NewObserver(&buf, terminal.Options{Live: true, Width: 90})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		began := time.Now()
		ob.Doing("", func() (string, time.Time) { return "the end of the boot\x1b on console main", began })
		go func() { defer close(done); ob.Run(ctx) }()
		b := journaltest.New().Plan("s", "a", "main").Begin("a[main]")
		for i := range b.Events {
			ob.Event(&b.Events[i])
		}
		ob.Waiting("", "a[main]")           // as the runner does at the start of each case
		time.Sleep(1500 * time.Millisecond) //nolint:forbidigo // the clock is the test's own
		synctest.Wait()
		assert.NotContains(t, buf.String(), "waits for")
		time.Sleep(2 * time.Second) //nolint:forbidigo // the clock is the test's own
		synctest.Wait()
		stop()
		<-done
		last := buf.String()[strings.LastIndex(buf.String(), "\r\x1b[K")+4:]
		assert.Equal(t, "0/1 a[main] 3.0s waits for the end of the boot\\x1b on console main 3.0s", last)
		require.NoError(t, ob.Close())
	})
}

func TestRunWithoutATerminalReturns(t *testing.T) {
	terminal.NewObserver(&bytes.Buffer{}, terminal.Options{}).Run(t.Context())
}

type closedPipe struct{}

var errPipe = errors.New("broken pipe")

func (closedPipe) Write([]byte) (int, error) { return 0, errPipe }

func TestAClosedStdoutEndsNothing(t *testing.T) {
	ob := terminal.NewObserver(closedPipe{}, terminal.Options{Live: true})
	b := journaltest.Sample()
	for i := range b.Events {
		ob.Event(&b.Events[i])
	}
	require.ErrorIs(t, ob.Close(), errPipe)
	require.ErrorIs(t, terminal.Summary(closedPipe{}, b.Fold(), nil, "", terminal.Options{}), errPipe)
}

func TestHostileBytes(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(journaltest.Nasty)) {
		for _, ci := range []bool{false, true} {
			b := journaltest.Hostile(journaltest.Nasty[name])
			for _, out := range []string{observe(b, terminal.Options{CI: ci}), summary(t, b.Fold(), b.Fold(), terminal.Options{CI: ci})} {
				for _, c := range out {
					if good := c == '\n' || c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0) && !(c >= 0x202a && c <= 0x202e); !good { // Helper, which each assertion calls, costs more than the look
						t.Fatalf("%s: %U", name, c)
					}
				}
				for line := range strings.SplitSeq(out, "\n") {
					first := strings.TrimSpace(line)
					assert.False(t, strings.HasPrefix(first, "::") || strings.HasPrefix(first, "##"), "%s: %q", name, line)
					assert.Less(t, len([]rune(line)), 2000, "%s", name)
					if ci {
						assert.NotContains(t, line, "##vso[")
						assert.NotContains(t, line, "section_start:")
					}
				}
			}
		}
	}
}

// Rigs that share a run are shown side by side.
func TestObserverOfTwoRigs(t *testing.T) {
	var buf bytes.Buffer
	ob := terminal.NewObserver(&buf, terminal.Options{Live: true, Width: 200})
	b := journaltest.New().Plan("s", "a", "main").Plan("s", "b", "").Begin("a[main]").Begin("b")
	b.Add(journal.Event{Kind: journal.KindFault, Fault: &journal.Fault{Part: "line.reset", Error: "held", Broken: true}})
	for i := range b.Events {
		if i >= 4 {
			b.Events[i].Rig = "bench-b"
		}
		ob.Event(&b.Events[i])
	}
	ob.Waiting("bench-b", "the DUT to start")
	ob.Waiting("", "a[main]") // that it runs is said
	last := buf.String()[strings.LastIndex(buf.String(), "\r\x1b[K")+4:]
	assert.Equal(t, "0/2 a[main] 0.0s | b 0.0s waits for the DUT to start 0.0s", last)
	assert.Contains(t, buf.String(), "line.reset on rig bench-b is broken: held")
	require.NoError(t, ob.Close())
	out := summary(t, journaltest.New(func(s *journal.Start) {
		s.Beside = []journal.Place{{Rig: "bench-b", Serial: "AG-000124"}, {Rig: "bench-c"}}
	}).Plan("s", "a", "").Fail("a").End().Fold(), nil, terminal.Options{})
	assert.Contains(t, out, "units AG-000123 and AG-000124 on rigs bench-a, bench-b and bench-c, each case on one of them\n")
	assert.Contains(t, out, "unit      AG-000123 on rig bench-a\n")
}

// Of many units the first are named.
func TestSummaryOfManyRigs(t *testing.T) {
	out := summary(t, journaltest.New(func(s *journal.Start) {
		s.Planted = []string{"x"}
		for _, name := range []string{"b", "c", "d"} {
			s.Beside = append(s.Beside, journal.Place{Rig: "bench-" + name, Serial: "AG-" + name})
		}
		s.Beside[1].Planted = []string{"y"}
	}).Plan("s", "a", "").Pass("a").End().Fold(), nil, terminal.Options{})
	assert.Contains(t, out, "units AG-000123, AG-b and 2 more on rigs bench-a, bench-b and 2 more, each case on one of them\n")
	assert.Contains(t, out, "planted   x, y on rig bench-c\n")
}
