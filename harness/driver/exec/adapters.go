package exec

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"rigor/harness/wire"
)

// Power is a supply switch behind a program. Requests are
//
//	{"op":"power","do":"on"}      or "off", "state"
//
// and each is answered by {"state":"on"}, "off", or "unknown" from a switch that
// cannot tell.
type Power struct {
	cmd Command
	session
}

var _ wire.Power = (*Power)(nil)

type powerRequest struct {
	Op string `json:"op"`
	Do string `json:"do"`
}

type powerAnswer struct {
	State *string `json:"state"`
}

// NewPower makes a power switch of a program. It runs nothing yet.
func NewPower(cmd Command) (*Power, error) {
	if err := cmd.Validate(); err != nil {
		return nil, err
	}
	return &Power{cmd: cmd, session: newSession()}, nil
}

// On has the program switch on. The answer "off" is a fault.
func (p *Power) On(ctx context.Context) error { return p.set(ctx, wire.PowerOn) }

// Off has the program switch off. The answer "on" is a fault.
func (p *Power) Off(ctx context.Context) error { return p.set(ctx, wire.PowerOff) }

func (p *Power) set(ctx context.Context, want wire.PowerState) error {
	got, err := p.ask(ctx, want.String())
	if err != nil {
		return err
	}
	if got != want && got != wire.PowerUnknown {
		return p.cmd.fault(fmt.Errorf("told to switch %v, the program says %v", want, got))
	}
	return nil
}

// State asks the program.
func (p *Power) State(ctx context.Context) (wire.PowerState, error) { return p.ask(ctx, "state") }

func (p *Power) ask(ctx context.Context, do string) (wire.PowerState, error) {
	var a powerAnswer
	err := p.call(ctx, p.cmd, powerRequest{Op: "power", Do: do}, &a)
	if err != nil {
		return wire.PowerUnknown, err
	}
	if a.State != nil {
		for s := wire.PowerUnknown; s <= wire.PowerOn; s++ {
			if s.String() == *a.State {
				return s, nil
			}
		}
		return wire.PowerUnknown, p.cmd.fault(fmt.Errorf("%w: state %s: want on, off or unknown", ErrAnswer, p.cmd.show([]byte(*a.State))))
	}
	return wire.PowerUnknown, p.cmd.fault(fmt.Errorf("%w: no state", ErrAnswer))
}

// Line is a wire behind a program. Requests are
//
//	{"op":"line","line":"reset","do":"assert"}      or "release", "read"
//
// and each is answered by {"asserted":true} or false: the level on the wire now.
type Line struct {
	cmd  Command
	name string
	poll time.Duration
	session
}

var _ wire.Line = (*Line)(nil)

type lineRequest struct {
	Op   string `json:"op"`
	Line string `json:"line"`
	Do   string `json:"do"`
}

type lineAnswer struct {
	Asserted *bool `json:"asserted"`
}

// NewLine makes a line of a program, which knows it by name. Wait asks anew
// every poll, 1 ms to 1 min; zero is 100 ms. It runs nothing yet.
func NewLine(cmd Command, name string, poll time.Duration) (*Line, error) {
	if poll == 0 {
		poll = 100 * time.Millisecond
	}
	err := cmd.Validate()
	if name == "" {
		err = errors.Join(err, fmt.Errorf("exec %q: the line has no name", cmd.Part))
	}
	if poll < time.Millisecond || poll > time.Minute {
		err = errors.Join(err, fmt.Errorf("exec %q: poll %v: want 1ms to 1m", cmd.Part, poll))
	}
	if err != nil {
		return nil, err
	}
	return &Line{cmd: cmd, name: name, poll: poll, session: newSession()}, nil
}

// Assert has the program assert the line. An answer that it is released is a
// fault.
func (l *Line) Assert(ctx context.Context) error {
	got, err := l.ask(ctx, "assert")
	if err == nil && !got {
		return l.cmd.fault(errors.New("told to assert, the program says released"))
	}
	return err
}

// Release has the program let the line go. The answer may be that it is
// asserted still: somebody else may hold it.
func (l *Line) Release(ctx context.Context) error {
	_, err := l.ask(ctx, "release")
	return err
}

// Asserted asks the program.
func (l *Line) Asserted(ctx context.Context) (bool, error) { return l.ask(ctx, "read") }

// Wait asks every poll until the answer is want.
func (l *Line) Wait(ctx context.Context, want bool) (time.Time, error) {
	tick := time.NewTicker(l.poll)
	defer tick.Stop()
	for {
		got, err := l.Asserted(ctx)
		if err != nil && ctx.Err() == nil {
			return time.Time{}, err
		}
		if err == nil && got == want {
			return time.Now(), nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			// Also when the end of ctx killed the program: the wait is over
			// because the line did not move, which is no fault.
			return time.Time{}, fmt.Errorf("%s: asserted is still not %v: %w", l.cmd.Part, want, ctx.Err())
		}
	}
}

func (l *Line) ask(ctx context.Context, do string) (bool, error) {
	var a lineAnswer
	err := l.call(ctx, l.cmd, lineRequest{Op: "line", Line: l.name, Do: do}, &a)
	if err != nil {
		return false, err
	}
	if a.Asserted == nil {
		return false, l.cmd.fault(fmt.Errorf("%w: no asserted", ErrAnswer))
	}
	return *a.Asserted, nil
}

// session lets Close end the calls that are under way.
type session struct {
	quit  chan struct{}
	close *sync.Once
}

func newSession() session { return session{quit: make(chan struct{}), close: new(sync.Once)} }

// Close kills a program that is running and refuses further calls. It changes
// nothing on the wire.
func (s session) Close() error {
	s.close.Do(func() { close(s.quit) })
	return nil
}

func (s session) call(ctx context.Context, cmd Command, req, resp any) error {
	return s.guarded(ctx, cmd, func(ctx context.Context) error { return cmd.Call(ctx, req, resp) })
}

// guarded runs f with a context that Close ends too.
func (s session) guarded(ctx context.Context, cmd Command, f func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-s.quit:
			cancel()
		case <-done:
		}
	}()
	select {
	case <-s.quit:
		return cmd.fault(os.ErrClosed)
	default:
	}
	err := f(ctx)
	select {
	case <-s.quit:
		if err != nil {
			return cmd.fault(fmt.Errorf("%w: %w", os.ErrClosed, err))
		}
	default:
	}
	return err
}
