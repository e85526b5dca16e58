package serial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"rigor/harness/wire"
)

// retry is how often the path of an adapter that is away is looked at.
const retry = 100 * time.Millisecond

// Port is a serial console. It stays open from before the DUT's power-on to the
// end: opening a port pulses its DTR and RTS, which resets some boards.
type Port struct {
	conf  Config
	frame Frame

	quit chan struct{} // closed by Close

	mu     sync.Mutex
	baud   int
	dev    *device // nil while away
	why    error   // what took it away
	since  time.Time
	gaps   int   // how often it was taken away
	last   error // why, the last time
	closed bool

	writing chan struct{} // held by the one who writes or breaks
	dater   wire.Dater    // of the one who reads
}

var (
	_ wire.Port   = (*Port)(nil)
	_ wire.Gapped = (*Port)(nil)
	_ wire.Dated  = (*Port)(nil)
)

// Open opens the port and holds it alone. The error is Config.Validate's, or a
// *wire.Fault; one around ErrBusy names who has the device.
func Open(conf Config) (*Port, error) {
	if err := conf.Validate(); err != nil {
		return nil, err
	}
	if conf.Away == 0 {
		conf.Away = defaultAway
	}
	p := &Port{conf: conf, frame: conf.Frame, baud: conf.Baud, since: time.Now(),
		quit: make(chan struct{}), writing: make(chan struct{}, 1)}
	if p.frame == (Frame{}) {
		p.frame = Frame{DataBits: 8, Parity: 'N', StopBits: 1}
	}
	dev, err := attach(conf.Path, conf.Baud, p.frame)
	if err != nil {
		return nil, p.fault("open", err)
	}
	p.dev = dev
	return p, nil
}

func (p *Port) fault(op string, err error) error {
	return &wire.Fault{Part: p.conf.Part, Op: op + " " + p.conf.Path, Err: err}
}

// Check says whether the adapter is there now, as a *wire.Fault if not.
func (p *Port) Check() error {
	_, err := p.current("check")
	return err
}

// Gaps says how often the adapter was taken away so far, and why the last time.
func (p *Port) Gaps() (n int, last error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gaps == 0 {
		return 0, nil
	}
	return p.gaps, p.fault("read", fmt.Errorf("the adapter was taken away, and what the DUT sent meanwhile was not read: %w", p.last))
}

// current gives the attachment, or a fault that says for how long there is none.
func (p *Port) current(op string) (*device, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, p.fault(op, os.ErrClosed)
	case p.dev == nil:
		return nil, p.fault(op, fmt.Errorf("the adapter is away since %v: %w",
			time.Since(p.since).Round(time.Millisecond), p.why))
	}
	return p.dev, nil
}

// Read gives what the DUT sent. It ends with io.EOF after Close, and with a
// *wire.Fault when the adapter has been away for longer than Config.Away.
func (p *Port) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, p.fault("read", io.ErrShortBuffer)
	}
	for {
		p.mu.Lock()
		dev, closed := p.dev, p.closed
		p.mu.Unlock()
		if closed {
			return 0, io.EOF
		}
		if dev == nil {
			p.dater.Forget()
			if err := p.await(); err != nil {
				return 0, err
			}
			continue
		}
		n, err := p.dater.Read(dev.file, b)
		if n > 0 {
			return n, nil
		}
		if err == nil {
			err = io.ErrNoProgress
		}
		p.lose(dev, err)
	}
}

// Empty gives a moment at which nothing of what the last Read gave had come. What an
// adapter on USB gathers, for some 16 ms, is on its way meanwhile.
func (p *Port) Empty() time.Time { return p.dater.Empty() }

// lose notes that an attachment is dead.
func (p *Port) lose(dev *device, why error) {
	p.mu.Lock()
	if p.closed || p.dev != dev {
		p.mu.Unlock()
		return
	}
	// End of file is how a tty says that it was hung up.
	if errors.Is(why, io.EOF) {
		why = errors.New("hung up")
	}
	p.dev, p.why, p.since = nil, why, time.Now()
	p.gaps, p.last = p.gaps+1, why
	at := p.since
	p.mu.Unlock()
	_ = dev.Close() // of a device that is gone
	if p.conf.Event != nil {
		p.conf.Event(Event{At: at, Err: why})
	}
}

// await attaches the port again when its path is back.
func (p *Port) await() error {
	p.mu.Lock()
	why, since := p.why, p.since
	p.mu.Unlock()
	tick := time.NewTicker(retry)
	defer tick.Stop()
	for {
		p.mu.Lock()
		baud, frame := p.baud, p.frame
		p.mu.Unlock()
		dev, err := attach(p.conf.Path, baud, frame)
		if err == nil {
			return p.keep(dev)
		}
		if !errors.Is(err, os.ErrNotExist) {
			why = err // it is back, and something else is wrong
		}
		if time.Since(since) >= p.conf.Away {
			return p.fault("read", fmt.Errorf("the adapter is away since %v: %w",
				time.Since(since).Round(time.Millisecond), why))
		}
		select {
		case <-tick.C:
		case <-p.quit:
			return io.EOF
		}
	}
}

func (p *Port) keep(dev *device) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		_ = dev.Close() // never used
		return io.EOF
	}
	p.dev, p.why, p.since = dev, nil, time.Now()
	at := p.since
	p.mu.Unlock()
	if p.conf.Event != nil {
		p.conf.Event(Event{At: at, Attached: true})
	}
	return nil
}

// Write sends all of b, within ctx's deadline and 10 s at most. An error says
// how much was handed to the device; nothing is sent twice. It is a
// *wire.Fault unless ctx was cancelled: a port that takes no bytes is broken,
// whatever hangs on it, since flow control is off.
func (p *Port) Write(ctx context.Context, b []byte) error {
	done, err := p.own(ctx, "write")
	if err != nil {
		return err
	}
	defer done()
	dev, err := p.current("write to")
	if err != nil {
		return err
	}
	start := time.Now()
	end := start.Add(defaultWrite)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		end = d
	}
	if err := dev.file.SetWriteDeadline(end); err != nil {
		return p.fault("write to", err)
	}
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = dev.file.SetWriteDeadline(time.Unix(1, 0)) // fails on a closed file only
		close(fired)
	})
	n, err := dev.file.Write(b)
	if !stop() {
		<-fired // or it might end the next write
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("after %d of %d bytes and %v: %w", n, len(b), time.Since(start).Round(time.Millisecond), err)
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: write to %s: %w: %w", p.conf.Part, p.conf.Path, ctx.Err(), err)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		p.lose(dev, err)
	} else if d, ok := ctx.Deadline(); ok && d.Equal(end) {
		// The file's deadline may fire just before the context's.
		err = fmt.Errorf("%w: %w", err, context.DeadlineExceeded)
	}
	return p.fault("write to", err)
}

// own waits for the turn to send.
func (p *Port) own(ctx context.Context, op string) (func(), error) {
	select {
	case p.writing <- struct{}{}:
		if err := ctx.Err(); err != nil {
			<-p.writing
			return nil, fmt.Errorf("%s: %s: %w", p.conf.Part, op, err)
		}
		return func() { <-p.writing }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %s: %w", p.conf.Part, op, ctx.Err())
	case <-p.quit:
		return nil, p.fault(op, os.ErrClosed)
	}
}

// Break holds the line low for d, at least one frame at the current rate and
// 10 s at most. It ends early, and the line is let go, with ctx or Close. Some
// UARTs send no break and do not say so: a Raspberry Pi's mini UART.
func (p *Port) Break(ctx context.Context, d time.Duration) error {
	if d <= 0 || d > maxBreak {
		return fmt.Errorf("%s: break of %v: want up to %v", p.conf.Part, d, maxBreak)
	}
	if p.conf.NoBreak {
		return fmt.Errorf("%s: break on %s: %w", p.conf.Part, p.conf.Path, wire.ErrUnsupported)
	}
	done, err := p.own(ctx, "break")
	if err != nil {
		return err
	}
	defer done()
	dev, err := p.current("break on")
	if err != nil {
		return err
	}
	p.mu.Lock()
	// start, data, parity and stop bits
	frame := time.Duration(2+p.frame.DataBits+p.frame.StopBits) * time.Second / time.Duration(p.baud)
	p.mu.Unlock()
	// What was written before must be out, or it would be cut.
	if err := dev.drain(); err != nil {
		return p.fault("drain", err)
	}
	if err := dev.hold(true); err != nil {
		return p.fault("break on", err)
	}
	timer := time.NewTimer(max(d, frame))
	defer timer.Stop()
	var cut error
	select {
	case <-timer.C:
	case <-ctx.Done():
		cut = fmt.Errorf("%s: break of %v cut short: %w", p.conf.Part, d, ctx.Err())
	case <-p.quit:
		cut = p.fault("break on", os.ErrClosed)
	}
	if err := dev.hold(false); err != nil && cut == nil {
		return p.fault("end the break on", err)
	}
	return cut
}

// SetRate changes the rate, 50 to 20,000,000 bit/s, and reads it back. The new
// rate also holds for an adapter that comes back later.
func (p *Port) SetRate(ctx context.Context, baud int) error {
	if err := checkBaud(baud); err != nil {
		return fmt.Errorf("%s: %w", p.conf.Part, err)
	}
	done, err := p.own(ctx, "set the rate")
	if err != nil {
		return err
	}
	defer done()
	dev, err := p.current("set the rate of")
	if err != nil {
		return err
	}
	if err := dev.set(baud, p.frame); err != nil {
		return p.fault("set the rate of", err)
	}
	p.mu.Lock()
	p.baud = baud
	p.mu.Unlock()
	return nil
}

// SetFrame changes the frame, such as "8E1", and reads it back. The new one also holds
// after the adapter has been away. A device that has no such frame, as a pty has no
// parity, is a *wire.Fault around ErrRefused.
func (p *Port) SetFrame(ctx context.Context, frame string) error {
	f, err := ParseFrame(frame)
	if err != nil {
		return fmt.Errorf("%s: %w", p.conf.Part, err)
	}
	done, err := p.own(ctx, "set the frame")
	if err != nil {
		return err
	}
	defer done()
	dev, err := p.current("set the frame of")
	if err != nil {
		return err
	}
	if err := dev.set(p.baud, f); err != nil {
		// What it has now nobody knows: what it had is set again.
		return p.fault("set the frame of", errors.Join(err, dev.set(p.baud, p.frame)))
	}
	p.mu.Lock()
	p.frame = f
	p.mu.Unlock()
	return nil
}

// Close gives the device back and ends all calls. It may be called again.
func (p *Port) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	dev := p.dev
	p.mu.Unlock()
	close(p.quit)
	if dev == nil {
		return nil
	}
	// A write that flow control or a full pty holds ends with the file; a
	// break sees quit. Both are out before the library closes, which does not
	// wait for calls inside of it.
	_ = dev.file.SetDeadline(time.Unix(1, 0)) // fails on a closed file only
	p.writing <- struct{}{}
	defer func() { <-p.writing }()
	if err := dev.Close(); err != nil {
		return p.fault("close", err)
	}
	return nil
}
