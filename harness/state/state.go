// Package state is what the DUT is in, as a typed value, and the machine that
// brings it from one state to another along the declared ways.
package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rigor/harness/dut"
	"rigor/harness/profile"
)

// State is a named state of the DUT. Two states with one name are the same.
type State struct {
	Name  string
	Title string
	// Parent is the state of which this one is a special case, or nil.
	Parent *State
}

// Of is a state with a value that a check in it can use: the owner of an
// onboarded device, for one.
type Of[V any] struct {
	*State
	value func(d *dut.Device) (V, error)
}

// New makes a typed state.
func New[V any](name, title string, parent *State, value func(d *dut.Device) (V, error)) Of[V] {
	return Of[V]{State: &State{Name: name, Title: title, Parent: parent}, value: value}
}

// Value gives what the state offers on this device.
func (s Of[V]) Value(d *dut.Device) (V, error) {
	v, err := s.value(d)
	if err != nil {
		return v, fmt.Errorf("state %s: %w", s.Name, err)
	}
	return v, nil
}

// Errors on which a caller decides.
var (
	// ErrNoWay says that no declared way leads to the state.
	ErrNoWay = errors.New("no declared way")
	// ErrNotAllowed says that a way needs what the rig does not allow.
	ErrNotAllowed = errors.New("the rig does not allow the way")
	// ErrUnknown says that the DUT shows itself in none of the declared states.
	ErrUnknown = errors.New("the DUT is in none of the declared states")
)

// Unknown is the name of the state when nothing is known.
const Unknown = "unknown"

// Move is one step of the machine, for the journal.
type Move struct {
	From, To, Way string
	Took          time.Duration
	Err           error
}

// Machine knows in which state the DUT is and brings it to others. It is used
// by one goroutine.
type Machine struct {
	prof    *profile.Profile
	allow   []string
	current string
	moved   func(Move)
	// Intent is called before a way is walked, Done after it was.
	intent func(way profile.Way) (done func() error, err error)
}

// NewMachine makes a machine that knows nothing of the DUT yet. Moved and
// intent may be nil.
func NewMachine(p *profile.Profile, allow []string, moved func(Move), intent func(profile.Way) (func() error, error)) *Machine {
	if moved == nil {
		moved = func(Move) {}
	}
	if intent == nil {
		intent = func(profile.Way) (func() error, error) { return func() error { return nil }, nil }
	}
	return &Machine{prof: p, allow: allow, current: Unknown, moved: moved, intent: intent}
}

// Current gives the state that was last shown.
func (m *Machine) Current() string { return m.current }

// Forget says that the state is not known any more: after a check that was
// given up, a lost DUT, a reset.
func (m *Machine) Forget() { m.current = Unknown }

// Holds proves cheaply that the DUT is in the named state.
func (m *Machine) Holds(ctx context.Context, d *dut.Device, name string) error {
	s := m.prof.States.Items[name]
	if s == nil {
		return fmt.Errorf("state %s: %w", name, dut.ErrNotDeclared)
	}
	if len(s.Holds) == 0 {
		return fmt.Errorf("state %s declares no holds steps to be recognised by: %w", name, dut.ErrNotDeclared)
	}
	d.In(name) // each state may have an address of its own
	if _, err := d.Steps(ctx, s.Holds, nil); err != nil {
		d.In(m.known())
		return fmt.Errorf("the DUT is not in state %s: %w", name, err)
	}
	m.current = name
	return nil
}

// known gives the state that was last shown, empty where none is.
func (m *Machine) known() string {
	if m.current == Unknown {
		return ""
	}
	return m.current
}

// Find looks which declared state the DUT is in, the last known one first.
func (m *Machine) Find(ctx context.Context, d *dut.Device) (string, error) {
	names := slices.DeleteFunc(slices.Clone(m.prof.States.Order), func(n string) bool { return m.prof.States.Items[n].Declared() }) // to be none
	if i := slices.Index(names, m.current); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, m.current)
	}
	var errs []error
	for _, n := range names {
		err := m.Holds(ctx, d, n)
		if err == nil {
			return n, nil
		}
		if fatal(err) {
			return Unknown, err
		}
		errs = append(errs, err)
	}
	m.current = Unknown
	d.In("")
	return Unknown, fmt.Errorf("%w: %w", ErrUnknown, errors.Join(errs...))
}

// fatal says that an error is not an answer to "is it in this state?".
func fatal(err error) bool {
	return dut.IsFault(err) || errors.Is(err, dut.ErrRevoked) || errors.Is(err, context.Canceled)
}

// Enter brings the DUT to the named state, along the shortest declared way
// whose needs the rig allows, and proves that it got there.
func (m *Machine) Enter(ctx context.Context, d *dut.Device, name string) error {
	if m.prof.States.Items[name] == nil {
		return fmt.Errorf("state %s: %w", name, dut.ErrNotDeclared)
	}
	if err := m.Holds(ctx, d, name); err == nil || fatal(err) {
		return err
	}
	from, err := m.Find(ctx, d)
	if err != nil {
		return err
	}
	if from == name {
		return nil
	}
	ways, err := m.path(from, name)
	if err != nil {
		return err
	}
	for _, w := range ways {
		if err := m.walk(ctx, d, w); err != nil {
			return err
		}
	}
	return nil
}

// Reachable says whether a chain of declared and allowed ways leads from one
// state to another: what a plan can say beforehand.
func (m *Machine) Reachable(from, to string) error {
	if from == to {
		return nil
	}
	_, err := m.path(from, to)
	return err
}

// path gives the shortest chain of ways, by number of ways.
func (m *Machine) path(from, to string) ([]profile.Way, error) {
	type node struct {
		name string
		ways []profile.Way
	}
	queue, seen := []node{{from, nil}}, map[string]bool{from: true}
	var refused []string
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		for _, w := range m.prof.Ways {
			if w.From != n.name || seen[w.To] {
				continue
			}
			if need, ok := m.allows(w); !ok {
				refused = append(refused, fmt.Sprintf("%s→%s needs %q", w.From, w.To, need))
				continue
			}
			ways := append(slices.Clone(n.ways), w)
			if w.To == to {
				return ways, nil
			}
			seen[w.To] = true
			queue = append(queue, node{w.To, ways})
		}
	}
	if len(refused) > 0 {
		return nil, fmt.Errorf("from %s to %s: %w: %v; add it to the rig's allow list if this unit may", from, to, ErrNotAllowed, refused)
	}
	return nil, fmt.Errorf("from %s to %s: %w in the profile", from, to, ErrNoWay)
}

func (m *Machine) allows(w profile.Way) (need string, ok bool) {
	for _, need := range w.Needs {
		if !slices.Contains(m.allow, need) {
			return need, false
		}
	}
	return "", true
}

// defaultWithin bounds a way whose profile gives no time.
const defaultWithin = time.Minute

func (m *Machine) walk(ctx context.Context, d *dut.Device, w profile.Way) (err error) {
	within := w.Within
	if within == 0 {
		within = defaultWithin
	}
	ctx, cancel := d.WithinCause(ctx, within, fmt.Errorf("the way from %s to %s took longer than %v", w.From, w.To, within))
	defer cancel()
	start := time.Now()
	defer func() {
		if err != nil {
			m.current = Unknown
			d.In("")
		}
		m.moved(Move{From: w.From, To: w.To, Way: w.ID, Took: time.Since(start), Err: err})
	}()
	done, err := m.intent(w)
	if err != nil {
		return fmt.Errorf("way from %s to %s: %w", w.From, w.To, err)
	}
	m.current = Unknown
	d.In(w.From)
	walked := ""
	if err := d.Walk(ctx, &w, func() { d.In(w.To); walked = " is not done" }); err != nil {
		return fmt.Errorf("way from %s to %s%s: %w", w.From, w.To, walked, err)
	}
	if err := m.Holds(ctx, d, w.To); err != nil {
		return fmt.Errorf("way from %s to %s was walked: %w", w.From, w.To, err)
	}
	return done()
}
