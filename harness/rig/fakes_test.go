package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"periph.io/x/conn/v3/gpio"

	"rigor/harness/wire"
)

// events is a log that several fakes write to.
type events struct {
	mu   sync.Mutex
	list []string
}

func (e *events) add(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, fmt.Sprintf(format, args...))
}

func (e *events) all() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.list...)
}

type fakeLine struct {
	log      *events
	name     string
	asserted bool
	err      error
	hang     chan struct{} // not nil: Release blocks until it is closed
	follow   *fakeLine     // a line that a wire joins to this one
	mu       sync.Mutex
}

func (l *fakeLine) set(op string, to bool) error {
	if l.hang != nil {
		<-l.hang
	}
	l.log.add("%s %s", op, l.name)
	if l.err != nil {
		return l.err
	}
	l.mu.Lock()
	l.asserted = to
	l.mu.Unlock()
	if l.follow != nil {
		l.follow.mu.Lock()
		l.follow.asserted = to
		l.follow.mu.Unlock()
	}
	return nil
}

func (l *fakeLine) Assert(context.Context) error  { return l.set("assert", true) }
func (l *fakeLine) Release(context.Context) error { return l.set("release", false) }
func (l *fakeLine) Asserted(context.Context) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asserted, l.err
}

func (l *fakeLine) Wait(ctx context.Context, want bool) (time.Time, error) {
	if is, err := l.Asserted(ctx); err != nil || is == want {
		return time.Now(), err
	}
	<-ctx.Done()
	return time.Time{}, ctx.Err()
}

func (l *fakeLine) Close() error { l.log.add("close %s", l.name); return nil }

type fakePower struct {
	log   *events
	state wire.PowerState
	mute  bool // cannot tell its state
	stuck bool // the relay is welded
	late  int  // how often it still says on, once it is off
	err   error
}

func (p *fakePower) to(op string, s wire.PowerState) error {
	p.log.add("%s power", op)
	if p.err == nil && !p.stuck {
		p.state = s
	}
	return p.err
}

func (p *fakePower) On(context.Context) error  { return p.to("on", wire.PowerOn) }
func (p *fakePower) Off(context.Context) error { return p.to("off", wire.PowerOff) }
func (p *fakePower) Close() error              { p.log.add("close power"); return nil }
func (p *fakePower) State(context.Context) (wire.PowerState, error) {
	if p.mute {
		return wire.PowerUnknown, nil
	}
	if p.state == wire.PowerOff && p.late > 0 {
		p.late--
		return wire.PowerOn, p.err
	}
	return p.state, p.err
}

type fakePort struct {
	log  *events
	name string
}

func (p *fakePort) Read([]byte) (int, error)                   { return 0, io.EOF }
func (p *fakePort) Write(context.Context, []byte) error        { p.log.add("write %s", p.name); return nil }
func (p *fakePort) Break(context.Context, time.Duration) error { return wire.ErrUnsupported }
func (p *fakePort) SetRate(context.Context, int) error         { return nil }
func (p *fakePort) Close() error                               { p.log.add("close %s", p.name); return nil }

type fakeLink struct {
	log  *events
	err  error
	conn net.Conn
}

func (l *fakeLink) Check(context.Context) error { return l.err }
func (l *fakeLink) Close() error                { l.log.add("close link"); return nil }
func (l *fakeLink) DialContext(context.Context, string, string) (net.Conn, error) {
	if l.conn == nil {
		return nil, errors.New("connection refused")
	}
	return l.conn, nil
}

// workbench is a rig of fakes: two lines, two consoles, a link and a switch.
type workbench struct {
	log   *events
	lines map[string]*fakeLine
	power *fakePower
	link  *fakeLink
	fail  map[wire.Part]error
	file  *File
}

func newWorkbench() *workbench {
	log := &events{}
	return &workbench{
		log: log,
		lines: map[string]*fakeLine{
			"reset":  {log: log, name: "line.reset"},
			"button": {log: log, name: "line.button"},
		},
		power: &fakePower{log: log, state: wire.PowerOff},
		link:  &fakeLink{log: log},
		fail:  map[wire.Part]error{},
		file: &File{
			Name:     "bench-a",
			Power:    &Power{Driver: "fake"},
			Lines:    map[string]*Line{"reset": {Driver: "fake"}, "button": {Driver: "fake"}},
			Consoles: map[string]*Port{"main": {Driver: "fake"}, "aux": {Driver: "fake"}},
			Network:  &Network{Driver: "fake"},
		},
	}
}

func (w *workbench) drivers() Drivers {
	opened := func(env Env) error {
		w.log.add("open %s", env.Part)
		return w.fail[env.Part]
	}
	return Drivers{
		Power: map[string]func(context.Context, *Power, Env) (wire.Power, error){
			"fake": func(_ context.Context, _ *Power, env Env) (wire.Power, error) { return w.power, opened(env) },
		},
		Line: map[string]func(context.Context, *Line, Env) (wire.Line, error){
			"fake": func(_ context.Context, _ *Line, env Env) (wire.Line, error) { return w.lines[env.Name], opened(env) },
		},
		Port: map[string]func(context.Context, *Port, Env) (wire.Port, error){
			"fake": func(_ context.Context, _ *Port, env Env) (wire.Port, error) {
				return &fakePort{log: w.log, name: string(env.Part)}, opened(env)
			},
		},
		Link: map[string]func(context.Context, *Network, Env) (wire.Link, error){
			"fake": func(_ context.Context, _ *Network, env Env) (wire.Link, error) { return w.link, opened(env) },
		},
	}
}

func (w *workbench) bind(t *testing.T) *Bench {
	t.Helper()
	b, err := Bind(t.Context(), w.file, nil, w.drivers(), Env{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// The drivers of the guard's tests keep their state in files, so that a second
// process can see and change it, as pins can.

func fileDrivers() Drivers {
	pads := func(_ context.Context, p *Pads, _ Env) (wire.Pads, error) {
		var f filePads
		for _, pad := range p.Names() {
			f = append(f, filePin{path: p.At[pad]})
		}
		return f, nil
	}
	return Drivers{
		Pads: map[string]func(context.Context, *Pads, Env) (wire.Pads, error){"file": pads, "remote-bitbang": pads},
		Line: map[string]func(context.Context, *Line, Env) (wire.Line, error){
			"file": func(_ context.Context, l *Line, env Env) (wire.Line, error) {
				if l.Chip == "broken" {
					return nil, &wire.Fault{Part: env.Part, Op: "open", Err: errors.New("no such chip")}
				}
				return fileLine{l.Line}, nil
			},
			"hang": func(context.Context, *Line, Env) (wire.Line, error) { select {} },
		},
		Power: map[string]func(context.Context, *Power, Env) (wire.Power, error){
			"file": func(_ context.Context, p *Power, env Env) (wire.Power, error) {
				if v, err := env.Secrets.Value(p.Password); err != nil || p.Password != "" && v != "pw" {
					return nil, fmt.Errorf("password: %w", err)
				}
				return filePower{p.Line}, nil
			},
		},
	}
}

func record(path, what string) error { return os.WriteFile(path, []byte(what), 0o600) }

type fileLine struct{ path string }

func (l fileLine) Assert(context.Context) error  { return record(l.path, "asserted") }
func (l fileLine) Release(context.Context) error { return record(l.path, "released") }
func (l fileLine) Wait(context.Context, bool) (at time.Time, err error) {
	return at, wire.ErrUnsupported
}
func (l fileLine) Close() error { return nil }
func (l fileLine) Asserted(context.Context) (bool, error) {
	b, err := os.ReadFile(l.path)
	return strings.HasPrefix(string(b), "asserted"), err
}

type filePower struct{ path string }

func (p filePower) On(context.Context) error  { return record(p.path, "on") }
func (p filePower) Off(context.Context) error { return record(p.path, "off") }
func (p filePower) Close() error              { return nil }
func (p filePower) State(context.Context) (wire.PowerState, error) {
	return wire.PowerUnknown, nil
}

type filePads []gpio.PinIO

func (p filePads) Pins() []gpio.PinIO { return p }
func (filePads) Close() error         { return nil }

type filePin struct {
	gpio.PinIO
	path string
}

func (p filePin) Name() string                  { return p.path }
func (p filePin) In(gpio.Pull, gpio.Edge) error { return record(p.path, "let go") }

// elapse lets time pass.
func elapse(d time.Duration) { <-time.After(d) }
