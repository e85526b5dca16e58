package steps

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rigor/harness/console"
	"rigor/harness/late"
	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/wire"
)

// stepsOf reads steps as they stand in a profile, where ${old} and ${new} are
// given.
func stepsOf(t testing.TB, text string) []profile.Step {
	t.Helper()
	p, err := profile.Parse("p.yaml", []byte("profile: a\npassword:\n  change:\n"+text))
	require.NoError(t, err)
	return p.Password.Change
}

// bench is a target that notes what is done with it.
type bench struct {
	did      []string
	web      func(ctx context.Context, r login.Request) (login.Response, error)
	do       func(ctx context.Context, r login.Request) (login.Response, error)
	access   error
	values   map[string]string
	consoles map[string]*console.Console
	lines    map[string]*line
	exec     func(argv []string, values map[string]string) (string, map[string]string, error)
	ask      func(string) (string, error)
	closed   int
	late     *late.Meter
}

var (
	errNoWire  = errors.New("the rig has none")
	errRefused = errors.New("connection refused")
)

func (b *bench) note(format string, args ...any) { b.did = append(b.did, fmt.Sprintf(format, args...)) }

func (b *bench) Line(name string) (wire.Line, error) {
	if l := b.lines[name]; l != nil {
		return l, nil
	}
	return nil, fmt.Errorf("line %s: %w", name, errNoWire)
}

func (b *bench) Talk(name string) (console.Talker, error) {
	if c := b.consoles[name]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("console %s: %w", name, errNoWire)
}

func (b *bench) Access(_ context.Context, name, password string) (login.Access, error) {
	b.note("log in to %s %q", name, password)
	if b.access != nil {
		return nil, b.access
	}
	return &session{b}, nil
}

func (b *bench) Web(ctx context.Context, _ *profile.Step, r login.Request) (login.Response, error) {
	b.note("%s %s %s", r.Method, r.Path, r.Body)
	return b.web(ctx, r)
}
func (b *bench) PowerOn(context.Context) error    { b.note("on"); return nil }
func (b *bench) PowerOff(context.Context) error   { b.note("off"); return nil }
func (b *bench) PowerCycle(context.Context) error { b.note("cycle"); return nil }

func (b *bench) Wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (b *bench) WithinCause(ctx context.Context, d time.Duration, cause error) (context.Context, context.CancelFunc) {
	return b.late.Within(ctx, d, cause)
}

func (b *bench) Value(name string) (string, bool, error) {
	v, ok := b.values[name]
	return v, ok, nil
}

func (b *bench) Exec(_ context.Context, argv []string, values map[string]string) (string, map[string]string, error) {
	b.note("exec %q", argv)
	return b.exec(argv, values)
}

func (b *bench) Ask(_ context.Context, q string) (string, error) {
	b.note("ask %s", q)
	if b.ask == nil {
		return "", fmt.Errorf("%w: %s", ErrNeedsHuman, q)
	}
	return b.ask(q)
}

func (b *bench) Ours(err error) bool { return errors.Is(err, errNoWire) }

type session struct{ b *bench }

func (s *session) Proof(context.Context) (login.Outcome, error) { return login.Outcome{}, nil }

func (s *session) Do(ctx context.Context, r login.Request) (login.Response, error) {
	s.b.note("as owner: %s%s %s %s", r.Command, r.Method, r.Path, r.Body)
	return s.b.do(ctx, r)
}

func (s *session) Close() error { s.b.closed++; return nil }

// line is a wire whose level a test sets.
type line struct {
	mu      sync.Mutex
	on      bool
	changed chan struct{}
	acts    func(on bool)
	err     error
}

func newLine() *line { return &line{changed: make(chan struct{})} }

func (l *line) set(on bool) {
	l.mu.Lock()
	l.on = on
	close(l.changed)
	l.changed = make(chan struct{})
	l.mu.Unlock()
	if l.acts != nil {
		l.acts(on)
	}
}

func (l *line) Assert(context.Context) error  { l.set(true); return l.err }
func (l *line) Release(context.Context) error { l.set(false); return l.err }

func (l *line) Asserted(context.Context) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.on, l.err
}

func (l *line) Wait(ctx context.Context, want bool) (time.Time, error) {
	for {
		l.mu.Lock()
		on, changed := l.on, l.changed
		l.mu.Unlock()
		if on == want {
			return time.Now(), nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
}

func (l *line) Close() error { return nil }

// port is a serial port on whose other end a test speaks.
type port struct {
	r     *io.PipeReader
	w     *io.PipeWriter
	heard func(p []byte)
}

func newPort() *port {
	r, w := io.Pipe()
	return &port{r: r, w: w}
}

func (p *port) say(s string) { _, _ = p.w.Write([]byte(s)) }

func (p *port) Read(b []byte) (int, error) { return p.r.Read(b) }

func (p *port) Write(_ context.Context, b []byte) error {
	if p.heard != nil {
		p.heard(b)
	}
	return nil
}

func (p *port) Break(context.Context, time.Duration) error {
	if p.heard != nil {
		p.heard([]byte("BREAK"))
	}
	return nil
}
func (p *port) SetRate(context.Context, int) error { return nil }
func (p *port) Close() error                       { return p.w.Close() }

// withConsole gives the bench a console, and the other end of its port.
func (b *bench) withConsole(t *testing.T) *port {
	t.Helper()
	p := newPort()
	c := console.Open(t.Context(), p, console.Options{Part: "console.main"})
	b.consoles = map[string]*console.Console{"main": c}
	t.Cleanup(func() { _ = c.Close() })
	return p
}

func (b *bench) Serve(_ context.Context, file []byte) (string, func(), error) {
	b.note("serve %d bytes", len(file))
	return "http://192.0.2.1/f", func() { b.note("serve no more") }, nil
}

func (b *bench) Visit(_ context.Context, name string) (login.Access, error) {
	b.note("visit %s", name)
	return &session{b}, nil
}

func (b *bench) Carried(_ []byte, n, of int, _ time.Time) { b.note("carried %d of %d", n, of) }
