package exec

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/wire"
)

// bench is a program that keeps its state in a file: what a user would write.
const bench = `
read req
case "$req" in
  '{"op":"power","do":"on"}') echo on > "$STATE" ;;
  '{"op":"power","do":"off"}') echo off > "$STATE" ;;
  '{"op":"power","do":"state"}') ;;
  '{"op":"line","line":"reset","do":"assert"}') echo true > "$STATE" ;;
  '{"op":"line","line":"reset","do":"release"}') echo false > "$STATE" ;;
  '{"op":"line","line":"reset","do":"read"}') ;;
  *) echo "what is $req" >&2; exit 2 ;;
esac
case "$req" in
  *power*) echo "{\"state\":\"$(cat "$STATE")\"}" ;;
  *) echo "{\"asserted\":$(cat "$STATE")}" ;;
esac`

func benchWith(t *testing.T, state string) (Command, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "state")
	require.NoError(t, os.WriteFile(file, []byte(state), 0o600))
	c := sh(bench)
	c.Env = []string{"STATE=" + file}
	return c, file
}

func TestPower(t *testing.T) {
	t.Parallel()
	cmd, _ := benchWith(t, "unknown")
	p, err := NewPower(cmd)
	require.NoError(t, err)
	state := func() wire.PowerState {
		s, err := p.State(t.Context())
		require.NoError(t, err)
		return s
	}
	assert.Equal(t, wire.PowerUnknown, state())
	require.NoError(t, p.On(t.Context()))
	assert.Equal(t, wire.PowerOn, state())
	require.NoError(t, p.Off(t.Context()))
	assert.Equal(t, wire.PowerOff, state())
	require.NoError(t, p.Close())
	require.NoError(t, p.Close())
	fault(t, p.On(t.Context()))
	require.ErrorIs(t, p.On(t.Context()), os.ErrClosed)
}

func TestPowerFaults(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		`echo '{"state":"off"}'`: "told to switch on, the program says off",
		`echo '{"state":"ON"}'`:  `state "ON": want on, off or unknown`,
		`echo '{"state":null}'`:  "no state",
		`echo '{}'`:              "no state",
		`echo '{"state":true}'`:  "cannot unmarshal",
		`exit 1`:                 "exit status 1",
	} {
		p, err := NewPower(sh(script))
		require.NoError(t, err)
		err = p.On(t.Context())
		fault(t, err)
		assert.ErrorContains(t, err, want)
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	cmd, file := benchWith(t, "false")
	l, err := NewLine(cmd, "reset", 5*time.Millisecond)
	require.NoError(t, err)
	require.NoError(t, l.Assert(t.Context()))
	got, err := l.Asserted(t.Context())
	require.NoError(t, err)
	assert.True(t, got)
	require.NoError(t, l.Release(t.Context()))
	got, err = l.Asserted(t.Context())
	require.NoError(t, err)
	assert.False(t, got)

	timer := time.AfterFunc(100*time.Millisecond, func() {
		next := file + ".next"
		assert.NoError(t, os.WriteFile(next, []byte("true"), 0o600))
		assert.NoError(t, os.Rename(next, file))
	})
	defer timer.Stop()
	_, err = l.Wait(t.Context(), true)
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = l.Wait(ctx, false)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, isFault := wire.AsFault(err)
	assert.False(t, isFault, "a line that does not move is no fault")

	for script, want := range map[string]string{
		`echo '{"asserted":false}'`:  "told to assert, the program says released",
		`echo '{}'`:                  "no asserted",
		`echo '{"asserted":"true"}'`: "cannot unmarshal",
	} {
		l, err := NewLine(sh(script), "reset", 0)
		require.NoError(t, err)
		err = l.Assert(t.Context())
		fault(t, err)
		assert.ErrorContains(t, err, want)
	}
	broken, err := NewLine(sh("exit 1"), "reset", 0)
	require.NoError(t, err)
	_, err = broken.Wait(t.Context(), true)
	fault(t, err)
}

func TestCloseKills(t *testing.T) {
	t.Parallel()
	p, err := NewPower(sh("sleep 60"))
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- p.On(context.Background()) }()
	timer := time.AfterFunc(100*time.Millisecond, func() { _ = p.Close() })
	defer timer.Stop()
	select {
	case err := <-done:
		fault(t, err)
		require.ErrorIs(t, err, os.ErrClosed)
	case <-time.After(10 * time.Second):
		t.Fatal("the call outlived its instrument")
	}
}
