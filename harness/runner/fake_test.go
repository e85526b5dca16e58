package runner

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/verdict"
	"rigor/harness/wire"

	"github.com/stretchr/testify/require"
)

// memory is a journal's sink.
type memory struct{ bytes.Buffer }

func (*memory) Sync() error { return nil }

// diary is what the instruments of a bench were told, with the ends of cases
// in between.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.lines...)
}

// after gives what was noted after a line.
func (d *diary) after(line string) []string {
	all := d.all()
	for i, l := range all {
		if l == line {
			return all[i+1:]
		}
	}
	return nil
}

// fakeLine is a line that writes its operations down. One that hangs does not
// come back from Assert before it is let go, whatever its context says.
type fakeLine struct {
	name string
	d    *diary
	hang <-chan struct{}
	err  error
}

func (l *fakeLine) do(ctx context.Context, op string) error {
	l.d.note("%s %s", l.name, op)
	if l.hang != nil {
		<-l.hang
	}
	if l.err != nil {
		return l.err
	}
	return ctx.Err()
}

func (l *fakeLine) Assert(ctx context.Context) error  { return l.do(ctx, "assert") }
func (l *fakeLine) Release(ctx context.Context) error { return l.do(ctx, "release") }
func (l *fakeLine) Asserted(ctx context.Context) (bool, error) {
	return false, l.do(ctx, "asserted")
}

func (l *fakeLine) Wait(ctx context.Context, _ bool) (time.Time, error) {
	l.d.note("%s wait", l.name)
	<-ctx.Done()
	return time.Time{}, ctx.Err()
}
func (*fakeLine) Close() error { return nil }

// fakePower is a switch that writes its operations down.
type fakePower struct {
	d     *diary
	state wire.PowerState
}

func (p *fakePower) On(context.Context) error {
	p.d.note("power on")
	p.state = wire.PowerOn
	return nil
}

func (p *fakePower) Off(context.Context) error {
	p.d.note("power off")
	p.state = wire.PowerOff
	return nil
}
func (p *fakePower) State(context.Context) (wire.PowerState, error) { return p.state, nil }
func (*fakePower) Close() error                                     { return nil }

// fakeLink reaches nothing, or a service that takes connections and is silent.
type fakeLink struct {
	mu sync.Mutex
	up bool
	d  *diary
	p  *fakePower // without it nothing answers
}

func (l *fakeLink) set(up bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up = up
}

func (l *fakeLink) DialContext(_ context.Context, _, address string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.d.note("dial")
	if !l.up || l.p.state != wire.PowerOn {
		return nil, fmt.Errorf("dial %s: connection refused", address)
	}
	here, there := net.Pipe()
	return here, there.Close()
}
func (*fakeLink) Check(context.Context) error { return nil }
func (*fakeLink) Close() error                { return nil }

// noIntents keeps intents in memory.
type noIntents struct{ open, done int }

func (n *noIntents) Open(string, string, map[string]string) (string, func() error, error) {
	n.open++
	return fmt.Sprint("i", n.open), func() error { n.done++; return nil }, nil
}

func (*noIntents) Secret(label string, length int) string {
	return fmt.Sprintf("%0*d", length, len(label))
}

func (n *noIntents) Draw(label, _ string, length int) string { return n.Secret(label, length) }

// rigRun is a run on a faked bench.
type rigRun struct {
	t     *testing.T
	d     *diary
	sink  *memory
	cfg   Config
	lines map[string]wire.Line
	bench *dut.Bench
	prof  *profile.Profile
}

func newRun(t *testing.T, checks ...*check.Check) *rigRun {
	t.Helper()
	r := &rigRun{t: t, d: &diary{}, sink: &memory{}, lines: map[string]wire.Line{}, prof: &profile.Profile{Name: "dut"}}
	for _, name := range []string{"good", "bad", "other"} {
		r.lines[name] = &fakeLine{name: name, d: r.d}
	}
	r.bench = &dut.Bench{Lines: r.lines}
	w := journal.NewWriter(r.sink, nil, func(e *journal.Event) {
		switch {
		case e.CaseEnd != nil:
			r.d.note("end of %s", e.Case)
		case e.Begin != nil:
			r.d.note("begin of %s", e.Case)
		}
	})
	require.NoError(t, w.Append(&journal.Event{Kind: journal.KindStart, Start: &journal.Start{Format: journal.Format, Run: "r", Rig: "bench", Device: "dut"}}))
	plan, err := Plan([]check.Suite{{Name: "s", Checks: checks}}, check.Input{Profile: r.prof}, nil)
	require.NoError(t, err)
	r.cfg = Config{Plan: plan, Profile: r.prof, Journal: w, Cabinet: journal.NewCabinet(t.TempDir(), w, nil), Intents: &noIntents{}}
	return r
}

// run carries it out and folds the journal.
func (r *rigRun) run(ctx context.Context) *journal.Result {
	r.t.Helper()
	r.cfg.Device = dut.New(r.prof, dut.Unit{Serial: "A1"}, r.bench)
	require.NoError(r.t, Run(ctx, r.cfg))
	end := &journal.End{How: journal.EndFinished, Safe: true}
	if ctx.Err() != nil {
		end.How = journal.EndInterrupted
	}
	require.NoError(r.t, r.cfg.Journal.Append(&journal.Event{Kind: journal.KindEnd, End: end}))
	require.NoError(r.t, r.cfg.Journal.Close())
	res, err := journal.Load(bytes.NewReader(r.sink.Bytes()))
	require.NoError(r.t, err)
	require.Empty(r.t, res.Damage)
	return res
}

// words gives "verdict.reason" of a case.
func words(j verdict.Judgement) string {
	if j.Reason == "" {
		return string(j.Verdict)
	}
	return string(j.Verdict) + "." + string(j.Reason)
}

// checkOn makes a check of one case that leans on the line and runs f.
func checkOn(id, line string, f func(ctx context.Context, t *check.T)) *check.Check {
	return &check.Check{ID: id, Title: id, Budget: check.Budget{Case: time.Second, Cleanup: time.Second},
		Cases: func(check.Input) []check.Case { return []check.Case{{Parts: []wire.Part{wire.Part("line." + line)}}} }, Run: f}
}

// use asserts a line.
func use(ctx context.Context, t *check.T, name string) error {
	l, err := t.Device().Line(name)
	t.OK(err)
	return l.Assert(ctx)
}

// holds claims something that is so.
func holds(t *check.T) {
	t.Claim("it is so", func(c *check.Claim) { c.Show(t.Keep("seen.txt", "what was seen", []byte("x"))) })
}

// well is a check that uses the good line and passes.
func well() *check.Check {
	return checkOn("well", "good", func(ctx context.Context, t *check.T) {
		t.OK(use(ctx, t, "good"))
		holds(t)
	})
}
