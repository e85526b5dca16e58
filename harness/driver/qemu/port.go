package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"rigor/harness/wire"
)

const (
	maxUART     = 7
	writeWithin = 10 * time.Second
	keptChunks  = 64
	// fifo is how many bytes are handed over at a time, as many as a PL011 keeps that
	// nobody reads.
	fifo = 16
	// adapterFIFO is the same of an FT232R.
	adapterFIFO = 128
	// unread is how long bytes may lie before it is taken that the device does not
	// read its UART: what comes then is lost, as on a wire. Without that they would
	// wait for the login prompt.
	unread = 2 * time.Second
	// slow is the same for a device that has read more in this boot than a UART keeps:
	// on a busy computer it may only be late, and half a password is another one.
	slow  = 8 * time.Second
	reads = 64 // bytes
	// again is how long it is given, once it was seen not to read.
	again = 50 * time.Millisecond
)

// Port is a UART of a machine. It is the same one from boot to boot.
type Port struct {
	m    *Machine
	part wire.Part
	n    int
	give func() error

	chunks chan []byte
	rest   []byte // of the one who reads
	quit   chan struct{}
	once   sync.Once
	broken chan struct{}
	why    error // read after broken is closed
	failed sync.Once

	writing chan struct{} // held by the one who writes
	mu      sync.Mutex
	run     *run
	conn    net.Conn // nil without power
	full    bool     // the device did not read what came last
	sent    int      // bytes of this boot; all but the last few are read
}

var _ wire.Port = (*Port)(nil)

// NewPort gives the UART with this number, from 0, of a machine that has no power
// yet; give is called by Close.
func NewPort(part wire.Part, m *Machine, n int, give func() error) (*Port, error) {
	if n < 0 || n > maxUART {
		return nil, fmt.Errorf("port %d: want the number of a serial line, from 0 to %d", n, maxUART)
	}
	p := newPort(part, m, n, give)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ports[n] != nil {
		return nil, fmt.Errorf("port %d of machine %s is in use twice", n, m.conf.Name)
	}
	m.ports[n] = p
	return p, nil
}

func newPort(part wire.Part, m *Machine, n int, give func() error) *Port {
	return &Port{m: m, part: part, n: n, give: give, chunks: make(chan []byte, keptChunks), quit: make(chan struct{}),
		broken: make(chan struct{}), writing: make(chan struct{}, 1)}
}

// uarts is how many serial lines have to be named.
func (m *Machine) uarts() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 1 // the first would else be QEMU's own
	for i := range m.ports {
		if i < firstAdapter {
			n = max(n, i+1)
		}
	}
	return n
}

func (m *Machine) port(n int) *Port {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ports[n]
}

// attach takes the socket of a new process.
func (p *Port) attach(r *run, c net.Conn) {
	p.mu.Lock()
	p.run, p.conn, p.full, p.sent = r, c, false, 0
	p.mu.Unlock()
	r.wg.Go(func() { p.pump(r, c) })
}

// pump reads until the process has ended and all that it sent is taken.
func (p *Port) pump(r *run, c net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if n > 0 {
			select {
			case p.chunks <- append([]byte(nil), buf[:n]...):
			case <-p.quit:
			}
		}
		if err != nil {
			p.mu.Lock()
			if p.run == r {
				p.conn = nil
			}
			p.mu.Unlock()
			return
		}
	}
}

// fail ends the port: its machine ended by itself.
func (p *Port) fail(why error) {
	p.failed.Do(func() {
		p.why = why
		close(p.broken)
	})
}

func (p *Port) fault(op string, err error) error { return &wire.Fault{Part: p.part, Op: op, Err: err} }

// Read gives what the device sends. It does not end where the device loses its
// supply; where the machine ended by itself, it ends with a *wire.Fault (ErrEnded)
// once all was read.
func (p *Port) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, p.fault("read", io.ErrShortBuffer)
	}
	for len(p.rest) == 0 {
		select {
		case <-p.quit:
			return 0, io.EOF
		default:
		}
		select {
		case p.rest = <-p.chunks:
		case <-p.quit:
			return 0, io.EOF
		case <-p.broken:
			select {
			case p.rest = <-p.chunks:
			default:
				return 0, p.fault("read", p.why)
			}
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// Write sends b, within 10 s. What a device without power, or one that does not read
// its UART, is sent is lost.
func (p *Port) Write(ctx context.Context, b []byte) error {
	_, err := p.send(ctx, b, p.patience)
	return err
}

// Offer is Write for who stands between two machines: what the device has not taken
// at a time is lost, and all at once while it does not read at all. It gives how
// much was taken.
func (p *Port) Offer(ctx context.Context, b []byte, by time.Time) (taken int, err error) {
	return p.send(ctx, b, func() time.Duration {
		if p.full {
			return 0
		}
		return time.Until(by)
	})
}

// patience is how long a device is given to take what came before. The caller holds
// mu.
func (p *Port) patience() time.Duration {
	switch {
	case p.full:
		return again
	case p.sent > reads:
		return slow
	}
	return unread
}

func (p *Port) send(ctx context.Context, b []byte, patience func() time.Duration) (sent int, err error) {
	const op = "write"
	select {
	case p.writing <- struct{}{}:
		defer func() { <-p.writing }()
	case <-ctx.Done():
		return 0, fault(ctx, p.part, op, ctx.Err())
	case <-p.quit:
		return 0, p.fault(op, os.ErrClosed)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, writeWithin, fmt.Errorf("not within %v", writeWithin))
	defer cancel()
	for len(b) > 0 {
		if err := p.m.Alive(); err != nil {
			return sent, p.fault(op, err)
		}
		p.mu.Lock()
		r, c := p.run, p.conn
		p.mu.Unlock()
		if c == nil {
			return sent, nil
		}
		n := min(len(b), p.fifo())
		lost, err := p.room(ctx, c, patience)
		if lost {
			return sent, nil
		}
		if err == nil {
			_, err = c.Write(b[:n])
			p.mu.Lock()
			p.sent += n
			p.mu.Unlock()
		}
		if err != nil {
			if err := p.m.unlessOff(r, err); err != nil {
				return sent, fault(ctx, p.part, op, err)
			}
			return sent, nil
		}
		b, sent = b[n:], sent+n
	}
	return sent, nil
}

func (p *Port) fifo() int {
	if p.n >= firstAdapter {
		return adapterFIFO
	}
	return fifo
}

// room waits until the device has taken what came before, and says whether what
// comes is lost.
func (p *Port) room(ctx context.Context, c net.Conn, patience func() time.Duration) (lost bool, err error) {
	start := time.Now()
	p.mu.Lock()
	most := patience()
	p.mu.Unlock()
	for wait := 50 * time.Microsecond; ; wait = min(2*wait, 5*time.Millisecond) {
		n, err := untaken(c)
		if err != nil {
			return false, err
		}
		p.mu.Lock()
		lost = n > 0 && time.Since(start) > most
		if n == 0 || lost {
			p.full = lost
		}
		p.mu.Unlock()
		if n == 0 || lost {
			return lost, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false, context.Cause(ctx)
		case <-p.quit:
			timer.Stop()
			return false, os.ErrClosed
		}
	}
}

// Break sends a break. An emulated line has no length of it.
func (p *Port) Break(ctx context.Context, _ time.Duration) error {
	const op = "break"
	if err := p.m.Alive(); err != nil {
		return p.fault(op, err)
	}
	p.mu.Lock()
	r, c := p.run, p.conn
	p.mu.Unlock()
	if c == nil {
		return nil
	}
	_, err := r.mon.execute(ctx, "chardev-send-break", map[string]string{"id": uartName(p.n)})
	return fault(ctx, p.part, op, p.m.unlessOff(r, err))
}

// SetRate does nothing: bytes have no rate here, and none is wrong.
func (p *Port) SetRate(context.Context, int) error { return nil }

// SetFrame does nothing, for the same reason.
func (p *Port) SetFrame(context.Context, string) error { return nil }

// Close gives the machine back. It may be called again.
func (p *Port) Close() (err error) {
	p.once.Do(func() {
		close(p.quit)
		err = p.give()
	})
	return err
}

// outq asks how many bytes of a socket its other end has not read.
func outq(c net.Conn, ask func(fd int) (int, error)) (n int, err error) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return 0, nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0, err
	}
	var inner error
	err = raw.Control(func(fd uintptr) { n, inner = ask(int(fd)) })
	return n, errors.Join(err, inner)
}
