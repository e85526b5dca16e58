package person_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/driver/person"
	"rigor/harness/wire"
)

// bench answers questions in turn and keeps them.
type bench struct {
	asked   []string
	answers []string
}

func (b *bench) ask(ctx context.Context, q string) (string, error) {
	b.asked = append(b.asked, q)
	if len(b.answers) == 0 {
		<-ctx.Done()
		return "", errors.New("nobody answered")
	}
	a := b.answers[0]
	b.answers = b.answers[1:]
	return a, nil
}

func fault(t *testing.T, err error, part wire.Part, text string) {
	t.Helper()
	f, ok := wire.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, part, f.Part)
	assert.ErrorContains(t, err, text)
}

func TestPower(t *testing.T) {
	b := &bench{answers: []string{"", "Done ", "no", ""}}
	p := person.NewPower("power", "channel 2", b.ask)
	is := func(want wire.PowerState) {
		t.Helper()
		s, err := p.State(t.Context())
		require.NoError(t, err)
		assert.Equal(t, want, s)
	}
	is(wire.PowerUnknown)
	require.NoError(t, p.Off(t.Context()))
	is(wire.PowerOff)
	require.NoError(t, p.Off(t.Context()), "it is off")
	require.NoError(t, p.On(t.Context()))
	is(wire.PowerOn)
	fault(t, p.Off(t.Context()), "power", `did not do it: "no"`)
	is(wire.PowerUnknown)
	require.NoError(t, p.Off(t.Context()))
	is(wire.PowerOff)
	assert.Equal(t, []string{
		"Switch the supply of the DUT (channel 2) off, then press Enter (or write no):",
		"Switch the supply of the DUT (channel 2) on, then press Enter (or write no):",
		"Switch the supply of the DUT (channel 2) off, then press Enter (or write no):",
		"Switch the supply of the DUT (channel 2) off, then press Enter (or write no):",
	}, b.asked)
	require.NoError(t, p.Close())
}

func TestLine(t *testing.T) {
	b := &bench{answers: []string{"ok", "yes", "cannot"}}
	l := person.NewLine("line.button", "button", "", false, b.ask)
	require.NoError(t, l.Release(t.Context()), "nobody holds it")
	assert.Empty(t, b.asked)
	require.NoError(t, l.Assert(t.Context()))
	is, err := l.Asserted(t.Context())
	require.NoError(t, err)
	assert.True(t, is)
	_, err = l.Wait(t.Context(), true)
	require.NoError(t, err)
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = l.Wait(short, false)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, ok := wire.AsFault(err)
	assert.False(t, ok, "a line that does not move is no fault")
	require.NoError(t, l.Release(t.Context()))
	fault(t, l.Assert(t.Context()), "line.button", "cannot")
	_, err = l.Asserted(t.Context())
	fault(t, err, "line.button", "did not do it")
	assert.Len(t, b.asked, 3)
	require.NoError(t, l.Close())
}

// Whether an earlier process left a hand on it is not known: it is asked about.
func TestDoubt(t *testing.T) {
	b := &bench{answers: []string{""}}
	l := person.NewLine("line.button", "button", "", false, b.ask)
	l.Doubt()
	require.NoError(t, l.Release(t.Context()))
	assert.Equal(t, []string{"Let go of line button, then press Enter (or write no):"}, b.asked)
	l = person.NewLine("line.button", "button", "", false, nil)
	l.Doubt()
	require.ErrorIs(t, l.Release(t.Context()), person.ErrNobody)
}

func TestInput(t *testing.T) {
	b := &bench{answers: []string{"on", "no", "maybe", ""}}
	l := person.NewLine("line.led", "led", "on the front", true, b.ask)
	require.NoError(t, l.Release(t.Context()))
	is, err := l.Asserted(t.Context())
	require.NoError(t, err)
	assert.True(t, is)
	is, err = l.Asserted(t.Context())
	require.NoError(t, err)
	assert.False(t, is)
	_, err = l.Asserted(t.Context())
	fault(t, err, "line.led", "want yes or no")
	at, err := l.Wait(t.Context(), true)
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now(), at, time.Second)
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = l.Wait(short, false)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, ok := wire.AsFault(err)
	assert.False(t, ok)
}

// Nobody to ask is trouble of the bench, as is somebody who does not answer.
func TestNobody(t *testing.T) {
	fault(t, person.NewPower("power", "", nil).On(t.Context()), "power", "it takes a person")
	l := person.NewLine("line.button", "button", "", false, nil)
	require.ErrorIs(t, l.Assert(t.Context()), person.ErrNobody)
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	fault(t, person.NewPower("power", "", (&bench{}).ask).Off(short), "power", "nobody answered in time")
}

// TestStorage: a person reads a memory into a file, and a file is no other reading for being
// named again.
func TestStorage(t *testing.T) {
	dir := t.TempDir()
	image := filepath.Join(dir, "a.bin")
	require.NoError(t, os.WriteFile(image, []byte("0123456789abcdef"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "short.bin"), []byte("0123"), 0o600))
	b := &bench{answers: []string{" a.bin ", image, "short.bin", "gone.bin", "", "."}}
	s := person.NewStorage("storage.main", "main", "the SOIC-8 beside the CPU", dir, 16, time.Minute, b.ask)
	assert.Equal(t, int64(16), s.Size())
	var got bytes.Buffer
	require.NoError(t, s.Read(t.Context(), &got))
	assert.Equal(t, "0123456789abcdef", got.String())
	assert.Contains(t, b.asked[0], "storage main (the SOIC-8 beside the CPU)")
	for _, want := range []string{"was given before", "has 4 bytes, and the memory 16", "no such file", "did not do it", "is no image"} {
		fault(t, s.Read(t.Context(), io.Discard), "storage.main", want)
	}
	later := time.Now().Add(time.Minute)
	require.NoError(t, os.Chtimes(image, later, later))
	b.answers = []string{"a.bin"}
	require.NoError(t, s.Read(t.Context(), io.Discard), "it was read anew")
	fault(t, person.NewStorage("storage.main", "main", "", dir, 0, time.Minute, nil).Read(t.Context(), io.Discard), "storage.main", "person")
	require.NoError(t, s.Close())
}
