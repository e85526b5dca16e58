package bitbang

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"periph.io/x/conn/v3/gpio"

	"rigor/harness/wire"
)

// A burst ends at so many letters or open questions. The answers of one fit into any
// socket's buffer, so that a peer which answers before it reads on cannot be locked
// against us.
const (
	burstLetters = 32 << 10
	burstAnswers = 2048
)

// shownBytes is how many of the peer's last bytes a fault shows.
const shownBytes = 32

// ErrAnswer says that the peer answered something else than 0 or 1.
var ErrAnswer = errors.New("the peer's answer is neither 0 nor 1")

// Pads are the wires of one connection. Its methods may be called from several
// goroutines, one at a time does something.
type Pads struct {
	conf  Config
	conn  net.Conn
	wires wires
	pins  []gpio.PinIO

	base context.Context // for what periph calls without one

	mu     sync.Mutex
	step   wire.PadStep // what is on the wires now
	next   wire.PadStep // what will be, once the burst has gone out
	told   levels
	owed   int    // answers to questions that nobody waits for any more
	broken error  // why the connection is of no use any more
	last   []byte // the peer's last bytes
	out    []byte
	in     []byte
}

var _ wire.Player = (*Pads)(nil)

// Open connects to a server. Nothing is sent before the first step. An error is that
// of Config.Validate, of ctx, or a *wire.Fault.
func Open(ctx context.Context, conf Config) (*Pads, error) {
	if err := conf.Validate(); err != nil {
		return nil, err
	}
	if conf.Timeout == 0 {
		conf.Timeout = defaultTimeout
	}
	network, address := "tcp", conf.Address
	if path, unix := strings.CutPrefix(conf.Address, "unix:"); unix {
		network, address = "unix", path
	}
	conn, err := (&net.Dialer{Timeout: conf.Timeout}).DialContext(ctx, network, address)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%s: connect to %s: %w", conf.Part, conf.Address, ctx.Err())
		}
		return nil, &wire.Fault{Part: conf.Part, Op: "connect to " + conf.Address, Err: err}
	}
	return newPads(ctx, conf, conn), nil
}

func newPads(ctx context.Context, conf Config, conn net.Conn) *Pads {
	p := &Pads{base: context.WithoutCancel(ctx), conf: conf, conn: conn, wires: newWires(conf.Pads), in: make([]byte, 2*burstAnswers+1)}
	for i := range conf.Pads {
		p.pins = append(p.pins, &pin{pads: p, index: i})
	}
	return p
}

// Part is the pads' name in results.
func (p *Pads) Part() wire.Part { return p.conf.Part }

// Pins gives the wires in the order of Config.Pads. Their Read cannot tell trouble;
// Play can.
func (p *Pads) Pins() []gpio.PinIO { return append([]gpio.PinIO(nil), p.pins...) }

// Play tells the peer the steps in bursts, and reads the answers of a burst together.
// The time between steps is the peer's. A pad that the protocol cannot read gives what
// it was told last. Trouble of the peer is a *wire.Fault, after which the connection
// is of no use; the end of ctx is ctx's error, and is not.
func (p *Pads) Play(ctx context.Context, steps []wire.PadStep, got []uint32) (int, error) {
	want := 0
	for i, s := range steps {
		if err := p.wires.check(s); err != nil {
			return 0, fmt.Errorf("%s: step %d: %w", p.conf.Part, i, err)
		}
		if s.Read {
			want++
		}
	}
	if want > len(got) {
		return 0, fmt.Errorf("%s: %d readings do not fit into %d", p.conf.Part, want, len(got))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx); err != nil {
		return 0, err
	}
	read := 0
	for len(steps) > 0 {
		n, answers := p.fill(steps)
		p.next = steps[n-1]
		if err := p.exchange(ctx, answers); err != nil {
			return read, err
		}
		read += p.collect(steps[:n], got[read:])
		steps = steps[n:]
	}
	return read, nil
}

// fill makes one burst of the next steps and says how many of them are in it, and how
// many answers there will be.
func (p *Pads) fill(steps []wire.PadStep) (n, answers int) {
	p.out = p.out[:0]
	now := p.told
	for n < len(steps) && len(p.out) < burstLetters && answers < burstAnswers {
		p.out = p.wires.append(p.out, &now, steps[n])
		if steps[n].Read {
			var more int
			p.out, more = p.wires.asks(p.out, steps[n])
			answers += more
		}
		n++
	}
	return n, answers
}

// collect makes readings of a burst's answers, and takes its steps for done.
func (p *Pads) collect(steps []wire.PadStep, got []uint32) int {
	read, answers := 0, p.in
	var spare []byte
	for _, s := range steps {
		spare = p.wires.append(spare[:0], &p.told, s)
		if !s.Read {
			continue
		}
		got[read] = p.wires.reading(s, p.told, answers)
		_, n := p.wires.asks(spare[:0], s)
		answers = answers[n:]
		read++
	}
	p.step = p.next
	return read
}

// ready says whether the connection can be used, and reads what a call that was cut
// short has left behind.
func (p *Pads) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", p.conf.Part, err)
	}
	if p.broken != nil {
		return p.fault("use the connection again", p.broken)
	}
	if p.owed == 0 {
		return nil
	}
	n := p.owed
	p.owed = 0
	p.out, p.next = p.out[:0], p.step
	return p.exchange(ctx, n)
}

// exchange sends p.out and reads so many answers to the head of p.in.
func (p *Pads) exchange(ctx context.Context, answers int) error {
	end := time.Now().Add(p.conf.Timeout)
	if err := p.conn.SetDeadline(end); err != nil {
		return p.breaks("set a deadline", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = p.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if n, err := p.conn.Write(p.out); err != nil {
		// Of letters that went in part nobody knows which wires they moved.
		err = p.breaks(fmt.Sprintf("send %d letters (%d went)", len(p.out), n), err)
		if ctx.Err() != nil {
			return fmt.Errorf("%s: cut short: %w", p.conf.Part, ctx.Err())
		}
		return err
	}
	have := 0
	for have < answers {
		// One more than is asked for: what nobody asked for is trouble, too.
		n, err := p.conn.Read(p.in[have : answers+1])
		p.note(p.in[have : have+n])
		have += n
		for _, c := range p.in[have-n : have] {
			if c != '0' && c != '1' {
				return p.breaks("read the answers", fmt.Errorf("%w: %q", ErrAnswer, c))
			}
		}
		if have > answers {
			return p.breaks("read the answers", fmt.Errorf("%w: more of them than questions", ErrAnswer))
		}
		if err == nil || have == answers {
			continue
		}
		if ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded) {
			p.owed = answers - have
			p.settle()
			return fmt.Errorf("%s: cut short: %w", p.conf.Part, ctx.Err())
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = fmt.Errorf("%d of %d answers within %v: %w", have, answers, p.conf.Timeout, err)
		} else if errors.Is(err, io.EOF) {
			err = fmt.Errorf("the peer hung up after %d of %d answers: %w", have, answers, io.ErrUnexpectedEOF)
		}
		return p.breaks("read the answers", err)
	}
	return nil
}

// settle takes the letters of p.out for done: the peer has them all.
func (p *Pads) settle() {
	p.step = p.next
	for _, c := range p.out {
		switch {
		case c >= '0' && c <= '7':
			p.told.jtag = c
		case c >= 'r' && c <= 'u':
			p.told.reset = c
		case c >= 'd' && c <= 'g':
			p.told.swd = c
		case c == 'O' || c == 'o':
			p.told.drive = c
		}
	}
}

// note keeps the last bytes of the peer.
func (p *Pads) note(b []byte) {
	p.last = append(p.last, b...)
	if over := len(p.last) - shownBytes; over > 0 {
		p.last = append(p.last[:0], p.last[over:]...)
	}
}

// breaks gives the connection up.
func (p *Pads) breaks(op string, err error) error {
	p.broken = fmt.Errorf("broken since: %s: %w", op, err)
	_ = p.conn.Close()
	return p.fault(op, err)
}

func (p *Pads) fault(op string, err error) error {
	said := "it said nothing yet"
	if len(p.last) > 0 {
		said = fmt.Sprintf("its last bytes: %q", p.last)
	}
	return &wire.Fault{Part: p.conf.Part, Op: op + " (" + p.conf.Address + ")", Err: fmt.Errorf("not done: %w; %s", err, said)}
}

// Close lets go of SWDIO and of the resets, says goodbye and hangs up. It may be
// called again.
func (p *Pads) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return nil
	}
	p.out = p.wires.append(p.out[:0], &p.told, wire.PadStep{})
	p.out = append(p.out, 'Q')
	var errs []error
	if err := p.conn.SetDeadline(time.Now().Add(p.conf.Timeout)); err != nil {
		errs = append(errs, err)
	}
	if _, err := p.conn.Write(p.out); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, p.conn.Close())
	p.broken = os.ErrClosed
	if err := errors.Join(errs...); err != nil {
		return p.fault("let go and hang up", err)
	}
	return nil
}
