package qemu

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"rigor/harness/driver/cable"
	"rigor/harness/wire"
)

// Set is the machines of one process. The instruments of a machine share it: the
// first that is opened makes it, the last that is closed ends it.
type Set struct {
	mu  sync.Mutex
	all map[string]*shared
}

type shared struct {
	mu  sync.Mutex // held while it is opened
	n   int
	m   *Machine
	err error
}

// NewSet gives a Set without machines.
func NewSet() *Set { return &Set{all: map[string]*shared{}} }

// Get gives the machine of a folder, and what gives it back.
func (s *Set) Get(ctx context.Context, conf Config) (*Machine, func() error, error) {
	s.mu.Lock()
	sh := s.all[conf.Scratch]
	if sh == nil {
		sh = &shared{}
		s.all[conf.Scratch] = sh
	}
	sh.n++
	s.mu.Unlock()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.m == nil {
		if sh.m, sh.err = Open(ctx, conf); sh.err != nil {
			return nil, nil, errors.Join(sh.err, s.leave(conf.Scratch, sh))
		}
	}
	var once sync.Once
	return sh.m, func() (err error) {
		once.Do(func() { err = s.leave(conf.Scratch, sh) })
		return err
	}, nil
}

func (s *Set) leave(key string, sh *shared) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sh.n--; sh.n > 0 {
		return nil
	}
	delete(s.all, key)
	if sh.m == nil {
		return nil
	}
	return sh.m.Close()
}

// Power is the machine's supply.
type Power struct {
	m    *Machine
	part wire.Part
	give func() error
}

var _ wire.Power = (*Power)(nil)

// NewPower gives the supply of a machine; give is called by Close.
func NewPower(part wire.Part, m *Machine, give func() error) *Power { return &Power{m, part, give} }

// On starts the machine.
func (p *Power) On(ctx context.Context) error { return fault(ctx, p.part, "on", p.m.On(ctx)) }

// Off kills it.
func (p *Power) Off(ctx context.Context) error { return fault(ctx, p.part, "off", p.m.Off(ctx)) }

// State says whether it runs. One that ended by itself, or that does not answer, is
// a *wire.Fault.
func (p *Power) State(ctx context.Context) (wire.PowerState, error) {
	on, err := p.m.State(ctx)
	switch {
	case err != nil:
		return wire.PowerUnknown, fault(ctx, p.part, "state", err)
	case on:
		return wire.PowerOn, nil
	}
	return wire.PowerOff, nil
}

// Close gives the machine back.
func (p *Power) Close() error { return p.give() }

// fault makes an error one of a part. The end of the caller's own context is none.
func fault(ctx context.Context, part wire.Part, op string, err error) error {
	if err == nil {
		return nil
	}
	if end := ctx.Err(); end != nil && errors.Is(err, end) {
		return fmt.Errorf("%s: %s: %w", part, op, err)
	}
	return &wire.Fault{Part: part, Op: op, Err: err}
}

// Network gives our end of the cable of a machine's network card. It has to be
// there before the machine is switched on.
func Network(ctx context.Context, m *Machine, conf cable.Config, give func() error) (wire.Link, error) {
	if m.conf.Tap != "" {
		return nil, fmt.Errorf("machine %s hangs on tap %s: write network: {driver: link, interface: %s}", m.conf.Name, m.conf.Tap, m.conf.Tap)
	}
	l, err := cable.New(ctx, conf, m.net)
	if err != nil {
		return nil, err
	}
	return &network{l, give}, nil
}

type network struct {
	*cable.Link
	give func() error
}

// Close pulls the cable out, and gives the machine back.
func (n *network) Close() error { return errors.Join(n.Link.Close(), n.give()) }

// Known says what could have been meant by a line that a machine has not.
func (s Spec) Known(line string) error {
	if names := s.LineNames(); !slices.Contains(names, line) {
		return fmt.Errorf("the machine has no line %q; there are %s", line, strings.Join(names, ", "))
	}
	return nil
}

// Remnant stands for a machine's supply and lines where a process that used them
// was killed: it can only be off.
type Remnant struct {
	part wire.Part
	left *Leftover
}

// NewRemnant gives what makes the rest of a machine safe.
func NewRemnant(part wire.Part, scratch string) *Remnant { return &Remnant{part, Left(scratch)} }

// On is refused: a machine ends with its process.
func (r *Remnant) On(context.Context) error {
	return &wire.Fault{Part: r.part, Op: "on", Err: errors.New("a machine lives no longer than the run that uses it")}
}

// Off ends what is left.
func (r *Remnant) Off(ctx context.Context) error { return fault(ctx, r.part, "off", r.left.End()) }

// State says whether something is left.
func (r *Remnant) State(ctx context.Context) (wire.PowerState, error) {
	switch pid, err := r.left.process(); {
	case err != nil:
		return wire.PowerUnknown, fault(ctx, r.part, "state", err)
	case pid != 0:
		return wire.PowerOn, nil
	}
	return wire.PowerOff, nil
}

// Close leaves it as it is.
func (r *Remnant) Close() error { return nil }
