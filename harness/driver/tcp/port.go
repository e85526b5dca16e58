package tcp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"rigor/harness/wire"
)

// retry is how often a server that is gone is dialled.
const retry = 250 * time.Millisecond

// Port is a console behind a terminal server.
type Port struct {
	conf Config

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	wg   sync.WaitGroup // pumps

	rest []byte // read and not yet handed out; the reader's own

	mu     sync.Mutex
	baud   int
	link   *link // nil while away
	why    error
	since  time.Time
	gaps   int   // how often the connection was lost
	last   error // why, the last time
	closed bool

	writing chan struct{} // held by the one who writes, breaks or sets
}

var (
	_ wire.Port   = (*Port)(nil)
	_ wire.Gapped = (*Port)(nil)
)

// Open connects, negotiates, and sets rate and frame where the server lets it.
// ctx bounds the port's life, and Config.DialTimeout the connection. The error is
// Config.Validate's or a *wire.Fault: a server that is not there, one whose
// port is taken and that hangs up at once, one that sets another rate.
func Open(ctx context.Context, conf Config) (*Port, error) {
	if err := conf.Validate(); err != nil {
		return nil, err
	}
	if conf.DialTimeout == 0 {
		conf.DialTimeout = defaultDial
	}
	if conf.Away == 0 {
		conf.Away = defaultAway
	}
	if conf.Dialer == nil {
		conf.Dialer = &net.Dialer{}
	}
	p := &Port{conf: conf, baud: conf.Baud, since: time.Now(), writing: make(chan struct{}, 1)}
	p.ctx, p.stop = context.WithCancel(ctx)
	l, err := p.connect()
	if err != nil {
		p.stop()
		p.wg.Wait()
		return nil, p.fault("open", err)
	}
	p.link = l
	return p, nil
}

func (p *Port) fault(op string, err error) error {
	return &wire.Fault{Part: p.conf.Part, Op: op + " " + p.conf.Address, Err: err}
}

// connect makes one connection.
func (p *Port) connect() (*link, error) {
	ctx, cancel := context.WithTimeout(p.ctx, p.conf.DialTimeout)
	defer cancel()
	conn, err := p.conf.Dialer.DialContext(ctx, "tcp", p.conf.Address)
	if err != nil {
		return nil, err
	}
	l := newLink(conn, p.conf.Mode == Telnet)
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		_ = conn.Close() // never used
		return nil, os.ErrClosed
	}
	p.wg.Go(func() { l.pump(p.ctx) }) // under the lock: Close waits for it
	p.mu.Unlock()
	if err := l.open(ctx, p.conf.Control, p.settings()); err != nil {
		_ = conn.Close() // err says more
		return nil, err
	}
	return l, nil
}

func (p *Port) settings() []setting {
	p.mu.Lock()
	defer p.mu.Unlock()
	var set []setting
	if p.baud != 0 {
		set = append(set, baudSetting(p.baud))
	}
	if p.conf.Frame != "" {
		frame, _ := frameSettings(p.conf.Frame) // Validate has read it before
		set = append(set, frame...)
	}
	return set
}

func baudSetting(baud int) setting {
	return setting{"the rate", setBaud, binary.BigEndian.AppendUint32(nil, uint32(baud))}
}

// Controlled says whether the server lets us set and break its port (RFC 2217).
func (p *Port) Controlled() bool {
	l, err := p.current("ask")
	return err == nil && l.controlled()
}

// Check says whether the connection stands now, as a *wire.Fault if not.
func (p *Port) Check() error {
	_, err := p.current("check")
	return err
}

// Gaps says how often the connection was lost so far, and why the last time.
func (p *Port) Gaps() (n int, last error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gaps == 0 {
		return 0, nil
	}
	return p.gaps, p.fault("read", fmt.Errorf("the connection was lost, and what the DUT sent meanwhile was not read: %w", p.last))
}

func (p *Port) current(op string) (*link, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, p.fault(op, os.ErrClosed)
	case p.link == nil:
		return nil, p.fault(op, fmt.Errorf("no connection since %v: %w", time.Since(p.since).Round(time.Millisecond), p.why))
	}
	return p.link, nil
}

// Read gives what the DUT sent. It connects again when the connection is lost,
// and ends with io.EOF after Close, with a *wire.Fault when the server has been
// gone for longer than Config.Away.
func (p *Port) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, p.fault("read", io.ErrShortBuffer)
	}
	for len(p.rest) == 0 {
		p.mu.Lock()
		l, closed := p.link, p.closed
		p.mu.Unlock()
		if closed {
			return 0, io.EOF
		}
		if l == nil {
			if err := p.await(); err != nil {
				return 0, err
			}
			continue
		}
		select {
		case chunk, more := <-l.data:
			if !more {
				p.lose(l)
			}
			p.rest = chunk
		case <-p.ctx.Done():
			return 0, io.EOF
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// lose notes that a connection is over.
func (p *Port) lose(l *link) {
	<-l.over
	p.mu.Lock()
	if p.closed || p.ctx.Err() != nil { // we ended it
		p.mu.Unlock()
		return
	}
	p.link, p.why, p.since = nil, l.err, time.Now()
	p.gaps, p.last = p.gaps+1, l.err
	at := p.since
	p.mu.Unlock()
	if p.conf.Event != nil {
		p.conf.Event(Event{At: at, Err: l.err})
	}
}

// await connects again.
func (p *Port) await() error {
	p.mu.Lock()
	why, since := p.why, p.since
	p.mu.Unlock()
	tick := time.NewTicker(retry)
	defer tick.Stop()
	for {
		if p.conf.Away >= 0 {
			l, err := p.connect()
			if err == nil {
				return p.keep(l)
			}
			if p.ctx.Err() != nil {
				return io.EOF
			}
			why = err
		}
		if time.Since(since) >= p.conf.Away {
			return p.fault("read", fmt.Errorf("no connection since %v: %w", time.Since(since).Round(time.Millisecond), why))
		}
		select {
		case <-tick.C:
		case <-p.ctx.Done():
			return io.EOF
		}
	}
}

func (p *Port) keep(l *link) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		_ = l.conn.Close() // never used
		return io.EOF
	}
	p.link, p.why, p.since = l, nil, time.Now()
	at := p.since
	p.mu.Unlock()
	if p.conf.Event != nil {
		p.conf.Event(Event{At: at, Attached: true})
	}
	return nil
}

// use runs f on the connection, one at a time, within 10 s. Every trouble is a
// *wire.Fault but the cancellation of ctx, and what f gives as ErrUnsupported.
func (p *Port) use(ctx context.Context, op string, f func(context.Context, *link) error) error {
	ended := func() error { return fmt.Errorf("%s: %s %s: %w", p.conf.Part, op, p.conf.Address, ctx.Err()) }
	select {
	case p.writing <- struct{}{}:
		defer func() { <-p.writing }()
	case <-ctx.Done():
		return ended()
	case <-p.ctx.Done():
		return p.fault(op, os.ErrClosed)
	}
	if ctx.Err() != nil {
		return ended()
	}
	l, err := p.current(op)
	if err != nil {
		return err
	}
	inner, cancel := context.WithTimeout(ctx, defaultWrite+maxBreak)
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	start := time.Now()
	err = f(inner, l)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, wire.ErrUnsupported):
		return fmt.Errorf("%s: %s %s: %w", p.conf.Part, op, p.conf.Address, err)
	case p.ctx.Err() != nil:
		return p.fault(op, fmt.Errorf("%w: %w", os.ErrClosed, err))
	case errors.Is(ctx.Err(), context.Canceled):
		return ended()
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("%w: %w", err, context.DeadlineExceeded)
	}
	return p.fault(op, fmt.Errorf("after %v: %w", time.Since(start).Round(time.Millisecond), err))
}

// Write sends all of b. That the server took it does not say that it has gone
// over the wire. A half-sent write ends the connection; nothing is sent twice.
func (p *Port) Write(ctx context.Context, b []byte) error {
	return p.use(ctx, "write to", func(ctx context.Context, l *link) error {
		ctx, cancel := context.WithTimeout(ctx, defaultWrite)
		defer cancel()
		if err := l.flowing(ctx); err != nil {
			return err
		}
		return l.send(ctx, l.encode(b))
	})
}

// Break has the server hold the line low for d, up to 10 s, by RFC 2217; the
// network's delays add to it. Without that it gives wire.ErrUnsupported, or
// sends Telnet's BRK where Config.TelnetBreak allows it.
func (p *Port) Break(ctx context.Context, d time.Duration) error {
	if d <= 0 || d > maxBreak {
		return fmt.Errorf("%s: break of %v: want up to %v", p.conf.Part, d, maxBreak)
	}
	return p.use(ctx, "break on", func(ctx context.Context, l *link) error {
		if !l.controlled() {
			if p.conf.TelnetBreak {
				return l.send(ctx, []byte{iac, brk})
			}
			return fmt.Errorf("%w: %w", wire.ErrUnsupported, errNoControl)
		}
		if err := l.control(ctx, setting{"break", setControl, []byte{controlBreak}}); err != nil {
			return err
		}
		timer := time.NewTimer(d)
		defer timer.Stop()
		var cut error
		select {
		case <-timer.C:
		case <-ctx.Done():
			cut = fmt.Errorf("break of %v cut short: %w", d, ctx.Err())
		}
		// The line is let go of also when ctx is over.
		free, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		return errors.Join(cut, l.control(free, setting{"end of break", setControl, []byte{controlEnd}}))
	})
}

// SetRate changes the rate, 50 to 20,000,000 bit/s, by RFC 2217, and without
// that gives wire.ErrUnsupported. The new rate also holds for later connections.
func (p *Port) SetRate(ctx context.Context, baud int) error {
	if baud < minBaud || baud > maxBaud {
		return fmt.Errorf("%s: baud %d: want %d to %d", p.conf.Part, baud, minBaud, maxBaud)
	}
	return p.use(ctx, "set the rate of", func(ctx context.Context, l *link) error {
		if !l.controlled() {
			return fmt.Errorf("%w: %w", wire.ErrUnsupported, errNoControl)
		}
		if err := l.control(ctx, baudSetting(baud)); err != nil {
			return err
		}
		p.mu.Lock()
		p.baud = baud
		p.mu.Unlock()
		return nil
	})
}

// Close ends the connection and all calls. It may be called again.
func (p *Port) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	l := p.link
	p.mu.Unlock()
	p.stop()
	if l != nil {
		_ = l.conn.Close() // its pump may have closed it
	}
	p.wg.Wait()
	return nil
}
