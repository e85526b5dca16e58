package dut

import (
	"context"
	"io"
	"testing"
	"testing/synctest"

	"rigor/harness/wire"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// chip is a memory of a board: it notes whether the board was on.
type chip struct {
	b     *board
	bytes []byte
	on    bool
}

func (c *chip) Size() int64  { return int64(len(c.bytes)) }
func (c *chip) Close() error { return nil }
func (c *chip) Read(_ context.Context, w io.Writer) error {
	c.on = c.on || c.b.on
	_, err := w.Write(c.bytes)
	return err
}

func (c *chip) Write(_ context.Context, off int64, b []byte) error {
	c.on = c.on || c.b.on
	copy(c.bytes[off:], b)
	return nil
}

// readOnly is a memory that nobody declared how to write.
type readOnly struct{ wire.Storage }

func TestMemoriesAreReadAndWrittenWhileTheDUTIsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{on: true, boot: bootText}
		d := b.with(t, true, false)
		c := &chip{b: b, bytes: []byte("0123456789")}
		d.bench.Storages = map[string]wire.Storage{"main": c, "fixed": readOnly{c}}
		assert.Equal(t, []string{"fixed", "main"}, d.Storages())

		require.NoError(t, d.Program(t.Context(), "main", 3, []byte("abc")))
		assert.False(t, b.on, "it stays off")
		require.ErrorIs(t, d.Program(t.Context(), "fixed", 0, nil), wire.ErrUnsupported)
		require.ErrorIs(t, d.Program(t.Context(), "other", 0, nil), ErrNotWired)

		var got memories = map[string][]byte{}
		require.NoError(t, d.Image(t.Context(), []string{"main"}, got.into))
		assert.Equal(t, "012abc6789", string(got["main"]))
		assert.True(t, b.on, "it is up again")
		assert.False(t, c.on, "nothing was touched while it ran")
		require.ErrorIs(t, d.Image(t.Context(), []string{"other"}, got.into), ErrNotWired)
	})
}

type memories map[string][]byte

func (m memories) into(name string) io.Writer { return &part{m, name} }

type part struct {
	m    memories
	name string
}

func (p *part) Write(b []byte) (int, error) {
	p.m[p.name] = append(p.m[p.name], b...)
	return len(b), nil
}
