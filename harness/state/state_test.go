package state

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rigor/harness/dut"
	"rigor/harness/profile"
	"rigor/harness/wire"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// world is a DUT that is in a state and can be moved, by programs that the
// steps call.
type world struct {
	is     string
	moves  []string
	asked  []string
	deaf   map[string]bool // ways that do nothing
	broken bool            // the rig has trouble
	slow   time.Duration
}

func (w *world) exec(ctx context.Context, argv []string, _ map[string]string) (string, map[string]string, error) {
	if w.broken {
		return "", nil, &wire.Fault{Part: "exec", Op: "run", Err: errors.New("no such program")}
	}
	switch argv[0] {
	case "is":
		w.asked = append(w.asked, argv[1])
		return map[bool]string{true: "yes", false: "no"}[w.is == argv[1]], nil, nil
	case "go":
		if w.slow > 0 {
			select {
			case <-time.NewTimer(w.slow).C:
			case <-ctx.Done():
				return "", nil, context.Cause(ctx)
			}
		}
		w.moves = append(w.moves, argv[1])
		if !w.deaf[argv[1]] {
			_, w.is, _ = strings.Cut(argv[1], ">")
		}
	}
	return "", nil, nil
}

func (w *world) device(t *testing.T, p *profile.Profile) *dut.Device {
	t.Helper()
	return dut.New(p, dut.Unit{}, &dut.Bench{Exec: w.exec}).With(dut.NewSession(t.Context(), nil))
}

// declared has the states in this order, each recognised by a program, and the
// ways "from>to", with what they need behind a space.
func declared(states string, ways ...string) *profile.Profile {
	p := &profile.Profile{States: profile.Section[*profile.State]{Given: true, Items: map[string]*profile.State{}}}
	for name := range strings.FieldsSeq(states) {
		p.States.Order = append(p.States.Order, name)
		p.States.Items[name] = &profile.State{Holds: []profile.Step{{Verb: "exec", Exec: []string{"is", name}, Expect: profile.Expect{Match: profile.Pattern{Literal: "yes"}}}}}
	}
	for _, w := range ways {
		way, need, _ := strings.Cut(w, " ")
		from, to, _ := strings.Cut(way, ">")
		pw := profile.Way{From: from, To: to, ID: way, Steps: []profile.Step{{Verb: "exec", Exec: []string{"go", way}, Within: time.Hour}}}
		if need != "" {
			pw.Needs = []string{need}
		}
		p.Ways = append(p.Ways, pw)
	}
	return p
}

func TestEnter(t *testing.T) {
	tests := []struct {
		name   string
		ways   []string
		allow  []string
		is, to string
		deaf   string
		moves  []string
		err    error
		now    string
	}{
		{name: "there already", is: "b", to: "b", now: "b"},
		{name: "one way", ways: []string{"a>b"}, is: "a", to: "b", moves: []string{"a>b"}, now: "b"},
		{name: "the shorter of two", ways: []string{"a>b", "b>c", "a>c"}, is: "a", to: "c", moves: []string{"a>c"}, now: "c"},
		{name: "a chain", ways: []string{"a>b", "b>c"}, is: "a", to: "c", moves: []string{"a>b", "b>c"}, now: "c"},
		{name: "around what is not allowed", ways: []string{"a>c reset", "a>b", "b>c"}, is: "a", to: "c", moves: []string{"a>b", "b>c"}, now: "c"},
		{name: "allowed", ways: []string{"a>c reset", "a>b", "b>c"}, allow: []string{"reset"}, is: "a", to: "c", moves: []string{"a>c"}, now: "c"},
		{name: "not allowed", ways: []string{"a>c reset"}, is: "a", to: "c", err: ErrNotAllowed, now: "a"},
		{name: "no way", ways: []string{"c>a"}, is: "a", to: "c", err: ErrNoWay, now: "a"},
		{name: "ways in a ring", ways: []string{"a>b", "b>a"}, is: "a", to: "c", err: ErrNoWay, now: "a"},
		{name: "in none of them", ways: []string{"a>b"}, is: "x", to: "b", err: ErrUnknown, now: Unknown},
		{name: "the state is not declared", is: "a", to: "z", err: dut.ErrNotDeclared, now: Unknown},
		{name: "the way does nothing", ways: []string{"a>b"}, is: "a", to: "b", deaf: "a>b", moves: []string{"a>b"}, err: errAny, now: Unknown},
		{name: "the second way does nothing", ways: []string{"a>b", "b>c"}, is: "a", to: "c", deaf: "b>c", moves: []string{"a>b", "b>c"}, err: errAny, now: Unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{is: tt.is, deaf: map[string]bool{tt.deaf: true}}
			p := declared("a b c", tt.ways...)
			var opened, closed int
			var moved []Move
			m := NewMachine(p, tt.allow, func(mv Move) { moved = append(moved, mv) }, func(profile.Way) (func() error, error) {
				opened++
				return func() error { closed++; return nil }, nil
			})
			err := m.Enter(t.Context(), w.device(t, p), tt.to)
			switch {
			case tt.err == nil:
				require.NoError(t, err)
				assert.Equal(t, opened, closed, "what was done is not to be undone")
			case errors.Is(tt.err, errAny):
				require.Error(t, err)
				assert.Equal(t, opened, closed+1, "what may be half done stays written down")
				assert.Error(t, moved[len(moved)-1].Err)
			default:
				require.ErrorIs(t, err, tt.err)
			}
			assert.Equal(t, tt.moves, w.moves)
			assert.Len(t, moved, len(tt.moves))
			assert.Equal(t, tt.now, m.Current())
		})
	}
}

var errAny = errors.New("any")

// TestEnterTrouble: rig trouble is no answer to which state it is, and a way
// whose intent cannot be written is not walked.
func TestEnterTrouble(t *testing.T) {
	p := declared("a b", "a>b")
	w := &world{is: "a", broken: true}
	m := NewMachine(p, nil, nil, nil)
	err := m.Enter(t.Context(), w.device(t, p), "b")
	_, fault := wire.AsFault(err)
	assert.True(t, fault, "%v", err)

	w.broken = false
	full := errors.New("no space left")
	m = NewMachine(p, nil, nil, func(profile.Way) (func() error, error) { return nil, full })
	require.ErrorIs(t, m.Enter(t.Context(), w.device(t, p), "b"), full)
	assert.Empty(t, w.moves)

	m = NewMachine(p, nil, nil, nil)
	p.States.Items["a"].Holds = nil
	require.ErrorIs(t, m.Holds(t.Context(), w.device(t, p), "a"), dut.ErrNotDeclared, "a state that nothing shows never holds")
}

// TestWithin: a way has its declared time, and no more.
func TestWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := declared("a b", "a>b")
		p.Ways[0].Within = 5 * time.Second
		w := &world{is: "a", slow: time.Minute}
		m := NewMachine(p, nil, nil, nil)
		begin := time.Now()
		require.Error(t, m.Enter(t.Context(), w.device(t, p), "b"))
		assert.Equal(t, 5*time.Second, time.Since(begin))
		assert.Equal(t, Unknown, m.Current())
	})
}

// TestFindAsksTheLastKnownFirst keeps the cheap proof cheap.
func TestFindAsksTheLastKnownFirst(t *testing.T) {
	p := declared("a b c")
	w := &world{is: "c"}
	m := NewMachine(p, nil, nil, nil)
	name, err := m.Find(t.Context(), w.device(t, p))
	require.NoError(t, err)
	assert.Equal(t, "c", name)
	w.asked = nil
	_, err = m.Find(t.Context(), w.device(t, p))
	require.NoError(t, err)
	assert.Equal(t, []string{"c"}, w.asked)
	assert.Equal(t, []string{"a", "b", "c"}, p.States.Order, "the profile stays as it is")
	m.Forget()
	assert.Equal(t, Unknown, m.Current())
}

// A state that is declared not to exist is none that the DUT can be in: that it is
// not recognised is nothing that the profile lacks.
func TestFindLeavesOutWhatThereIsNot(t *testing.T) {
	p := declared("onboarded")
	p.States.Order = append([]string{"factory"}, p.States.Order...)
	p.States.Items["factory"] = &profile.State{None: profile.None{None: "made for one owner"}}
	w := &world{is: "somewhere else"}
	_, err := NewMachine(p, nil, nil, nil).Find(t.Context(), w.device(t, p))
	require.ErrorIs(t, err, ErrUnknown)
	assert.NotErrorIs(t, err, dut.ErrNotDeclared)
	w.is = "onboarded"
	got, err := NewMachine(p, nil, nil, nil).Find(t.Context(), w.device(t, p))
	require.NoError(t, err)
	assert.Equal(t, "onboarded", got)
}

func TestReachable(t *testing.T) {
	m := NewMachine(declared("a b c", "a>b", "b>c reset"), nil, nil, nil)
	require.NoError(t, m.Reachable("a", "a"))
	require.NoError(t, m.Reachable("a", "b"))
	require.ErrorIs(t, m.Reachable("a", "c"), ErrNotAllowed)
	require.ErrorIs(t, m.Reachable("c", "a"), ErrNoWay)
}

func TestValue(t *testing.T) {
	odd := errors.New("odd")
	s := New("home", "at home", nil, func(d *dut.Device) (int, error) {
		if d == nil {
			return 0, odd
		}
		return 7, nil
	})
	v, err := s.Value(&dut.Device{})
	require.NoError(t, err)
	assert.Equal(t, 7, v)
	_, err = s.Value(nil)
	require.ErrorIs(t, err, odd)
	assert.Contains(t, err.Error(), "home")
}
