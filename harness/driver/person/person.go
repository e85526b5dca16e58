// Package person lets somebody at the bench stand in for a power switch or a
// line: the instrument is a question, and done is what they say.
package person

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"rigor/harness/wire"
)

// Ask puts a question to a person and gives the line that they answer. It ends
// with ctx.
type Ask func(ctx context.Context, question string) (string, error)

// ErrNobody says that there is nobody to ask.
var ErrNobody = errors.New("it takes a person at a terminal, and there is none")

// errRefused is an answer that is neither done nor yes.
var errRefused = errors.New("the person at the bench did not do it")

// hand is what both instruments share.
type hand struct {
	part wire.Part
	name string // "the supply", "line button (left of the socket)"
	ask  Ask
}

func newHand(part wire.Part, name, what string, ask Ask) hand {
	if what != "" {
		name += " (" + what + ")"
	}
	return hand{part: part, name: name, ask: ask}
}

// answer puts a question.
func (h *hand) answer(ctx context.Context, op, question string) (string, error) {
	if h.ask == nil {
		return "", &wire.Fault{Part: h.part, Op: op, Err: ErrNobody}
	}
	text, err := h.ask(ctx, question)
	if err != nil {
		if ctx.Err() != nil {
			return "", &wire.Fault{Part: h.part, Op: op, Err: fmt.Errorf("nobody answered in time: %w", ctx.Err())}
		}
		return "", &wire.Fault{Part: h.part, Op: op, Err: err}
	}
	return strings.ToLower(strings.TrimSpace(text)), nil
}

// do has something done.
func (h *hand) do(ctx context.Context, op, request string) error {
	text, err := h.answer(ctx, op, request+", then press Enter (or write no):")
	if err != nil {
		return err
	}
	switch text {
	case "", "y", "yes", "ok", "done":
		return nil
	}
	return &wire.Fault{Part: h.part, Op: op, Err: fmt.Errorf("%w: %q", errRefused, text)}
}

// Power is a supply that a person switches.
type Power struct {
	hand
	mu    sync.Mutex
	state wire.PowerState
}

var _ wire.Power = (*Power)(nil)

// NewPower makes a supply that a person switches; what tells them which it is,
// and may be empty. It asks nothing yet: the supply's state is unknown. A nil ask
// makes each operation a *wire.Fault with ErrNobody.
func NewPower(part wire.Part, what string, ask Ask) *Power {
	return &Power{hand: newHand(part, "the supply of the DUT", what, ask)}
}

// On has the supply switched on. An answer other than done is a *wire.Fault, and
// the state is unknown then.
func (p *Power) On(ctx context.Context) error { return p.to(ctx, wire.PowerOn) }

// Off has the supply switched off, as On does. One that they have switched off
// already is not asked for again.
func (p *Power) Off(ctx context.Context) error { return p.to(ctx, wire.PowerOff) }

func (p *Power) to(ctx context.Context, want wire.PowerState) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == want {
		return nil
	}
	p.state = wire.PowerUnknown
	if err := p.do(ctx, "switch "+want.String(), "Switch "+p.name+" "+want.String()); err != nil {
		return err
	}
	p.state = want
	return nil
}

// State gives what they said last; unknown before.
func (p *Power) State(context.Context) (wire.PowerState, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state, nil
}

// Close does nothing: the supply stays as it is.
func (p *Power) Close() error { return nil }

// Line is a line that a person asserts: a button, a jumper, a plug. One that is
// only read, such as an LED, is looked at for us.
type Line struct {
	hand
	input bool

	mu    sync.Mutex
	state state
}

type state int

const (
	released state = iota
	asserted
	unknown
)

var _ wire.Line = (*Line)(nil)

// NewLine makes a line of a person, released: a hand is on nothing until it is
// asked. Name and what tell them which; input says that the line is only read.
func NewLine(part wire.Part, name, what string, input bool, ask Ask) *Line {
	return &Line{hand: newHand(part, "line "+name, what, ask), input: input}
}

// Doubt says that the line may be held: by somebody whom an earlier process asked.
// The next Release asks.
func (l *Line) Doubt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = unknown
}

// Assert has the line asserted, and kept so. An answer other than done is a
// *wire.Fault.
func (l *Line) Assert(ctx context.Context) error {
	return l.to(ctx, asserted, "assert", "Assert "+l.name+" and keep it so (press and hold it, close it, put it in)")
}

// Release has the line let go. One that is released is not asked for again.
func (l *Line) Release(ctx context.Context) error {
	if l.input {
		return nil
	}
	return l.to(ctx, released, "release", "Let go of "+l.name)
}

func (l *Line) to(ctx context.Context, want state, op, request string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == want {
		return nil
	}
	l.state = unknown
	if err := l.do(ctx, op, request); err != nil {
		return err
	}
	l.state = want
	return nil
}

// Asserted gives what they did last; of a line that is only read, what they see.
func (l *Line) Asserted(ctx context.Context) (bool, error) {
	if l.input {
		return l.seen(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == unknown {
		return false, &wire.Fault{Part: l.part, Op: "read", Err: errRefused}
	}
	return l.state == asserted, nil
}

func (l *Line) seen(ctx context.Context) (bool, error) {
	text, err := l.answer(ctx, "read", "Look at "+l.name+": is it on, yes or no?")
	if err != nil {
		return false, err
	}
	switch text {
	case "y", "yes", "on":
		return true, nil
	case "n", "no", "off":
		return false, nil
	}
	return false, &wire.Fault{Part: l.part, Op: "read", Err: fmt.Errorf("the answer is %q: want yes or no", text)}
}

// Wait has them say when the line is as wanted. The time is that of their answer,
// a second or so late.
func (l *Line) Wait(ctx context.Context, want bool) (time.Time, error) {
	if !l.input {
		is, err := l.Asserted(ctx)
		if err == nil && is != want {
			<-ctx.Done() // nobody but us moves it
			err = fmt.Errorf("%s: asserted is still not %v: %w", l.part, want, ctx.Err())
		}
		return time.Now(), err
	}
	word := "off"
	if want {
		word = "on"
	}
	if err := l.do(ctx, "wait", "Watch "+l.name+" until it is "+word); err != nil {
		if ctx.Err() != nil {
			return time.Time{}, fmt.Errorf("%s: asserted is still not %v: %w", l.part, want, ctx.Err())
		}
		return time.Time{}, err
	}
	return time.Now(), nil
}

// Close does nothing: the line stays as it is.
func (l *Line) Close() error { return nil }
