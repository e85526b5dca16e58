package update_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"syscall"
	"time"

	"rigor/harness/wire"
)

// partsPower is its supply.
type partsPower struct{ d *partsDevice }

func (p partsPower) On(context.Context) error  { p.d.power(true); return nil }
func (p partsPower) Off(context.Context) error { p.d.power(false); return nil }
func (p partsPower) Close() error              { return nil }
func (p partsPower) State(context.Context) (wire.PowerState, error) {
	return wire.PowerUnknown, nil
}

// partsLink is the way to its service, which nobody takes while it does not run.
type partsLink struct{ d *partsDevice }

func (l partsLink) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if !l.d.answers() {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}
func (partsLink) Check(context.Context) error { return nil }
func (partsLink) Close() error                { return nil }

// partsConsole is what it says.
type partsConsole struct {
	d    *partsDevice
	rest []byte
}

func (c *partsConsole) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		select {
		case c.rest = <-c.d.said:
		case <-c.d.closed:
			return 0, io.EOF
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
func (*partsConsole) Write(context.Context, []byte) error        { return nil }
func (*partsConsole) Break(context.Context, time.Duration) error { return wire.ErrUnsupported }
func (*partsConsole) SetRate(context.Context, int) error         { return nil }
func (c *partsConsole) Close() error {
	close(c.d.closed)
	return nil
}

// partsClip reads and writes its memory.
type partsClip struct{ d *partsDevice }

func (partsClip) Size() int64  { return partsSize }
func (partsClip) Close() error { return nil }

func (c partsClip) Read(_ context.Context, w io.Writer) error {
	c.d.mu.Lock()
	b := c.d.memory
	if c.d.kind.writing == "unread" {
		b = c.d.shadow
	}
	b = bytes.Clone(b)
	c.d.mu.Unlock()
	_, err := w.Write(b)
	return err
}

func (c partsClip) Write(_ context.Context, off int64, b []byte) error {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	switch c.d.kind.writing {
	case "nothing":
	case "elsewhere":
		copy(c.d.memory[off+512:], b)
	case "half":
		copy(c.d.memory[off:], b[:len(b)/2])
	case "unread":
		copy(c.d.shadow[off:], b)
	default:
		copy(c.d.memory[off:], b)
	}
	if c.d.written != nil {
		c.d.written(bytes.Clone(c.d.memory))
	}
	return nil
}
