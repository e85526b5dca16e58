package tcp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// early is how long a new connection is watched: a server whose port is taken
// accepts, says so in words, and hangs up. Those words are not the DUT's.
const early = 150 * time.Millisecond

// kept is how many chunks wait for the reader before the server has to.
const kept = 64

var errNoControl = errors.New("the server offers no RFC 2217")

// link is one connection to the server.
type link struct {
	conn   net.Conn
	telnet bool
	data   chan []byte   // closed when the connection is over
	over   chan struct{} // closed then too, after err is set
	err    error

	mu        sync.Mutex
	opts      options
	settled   chan struct{} // closed when RFC 2217 is granted or refused
	told      bool          // settled is closed
	suspended chan struct{} // closed on resume; nil while data may flow
	answers   [256]chan []byte
}

func newLink(conn net.Conn, telnet bool) *link {
	l := &link{conn: conn, telnet: telnet, data: make(chan []byte, kept),
		over: make(chan struct{}), settled: make(chan struct{})}
	if tcp, ok := conn.(*net.TCPConn); ok {
		// A server that lost its power says nothing: 20 s, and we know. An
		// error here only means that it takes longer.
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3})
	}
	for _, c := range []byte{setBaud, setDataSize, setParity, setStopSize, setControl} {
		l.answers[c+fromServer] = make(chan []byte, 1)
	}
	return l
}

// pump reads until the connection or ctx ends.
func (l *link) pump(ctx context.Context) {
	defer close(l.data)
	defer close(l.over)
	defer func() { _ = l.conn.Close() }() // it is over in any case
	defer context.AfterFunc(ctx, func() { _ = l.conn.Close() })()
	var s stream
	buf := make([]byte, 4096)
	for {
		n, err := l.conn.Read(buf)
		out := bytes.Clone(buf[:n])
		if l.telnet {
			out = s.feed(out[:0:0], buf[:n], func(verb, opt byte) {
				l.option(&s, verb, opt)
			}, l.sub)
		}
		if len(out) > 0 {
			select {
			case l.data <- out:
			case <-ctx.Done():
				l.err = net.ErrClosed
				return
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the server closed the connection")
			}
			l.err = err
			return
		}
	}
}

func (l *link) option(s *stream, verb, opt byte) {
	l.mu.Lock()
	reply := l.opts.hear(verb, opt)
	s.binary = l.opts.him[optBinary] == yes
	if opt == optComPort && (verb == do || verb == dont) && !l.told {
		l.told = true
		close(l.settled)
	}
	l.mu.Unlock()
	if reply != nil {
		_, _ = l.conn.Write(reply) // a dead connection shows at the next read
	}
}

// sub takes a subnegotiation: an answer that somebody waits for, or news.
func (l *link) sub(b []byte) {
	if len(b) < 2 || b[0] != optComPort {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case b[1] == flowSuspend && l.suspended == nil:
		l.suspended = make(chan struct{})
	case b[1] == flowResume && l.suspended != nil:
		close(l.suspended)
		l.suspended = nil
	case l.answers[b[1]] != nil:
		select {
		case <-l.answers[b[1]]: // an older one that nobody took
		default:
		}
		l.answers[b[1]] <- bytes.Clone(b[2:])
	}
}

func (l *link) controlled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.opts.us[optComPort] == yes
}

// open negotiates, and sets the port where the server lets us.
func (l *link) open(ctx context.Context, need bool, set []setting) error {
	if l.telnet {
		l.mu.Lock()
		ask := l.opts.ask()
		l.mu.Unlock()
		if err := l.send(ctx, ask); err != nil {
			_ = l.conn.Close() // if the server has not
			return fmt.Errorf("%w: %w", err, l.refused())
		}
		// Servers that know no Telnet never answer.
		wait := time.NewTimer(2 * time.Second)
		defer wait.Stop()
		select {
		case <-l.settled:
		case <-wait.C:
		case <-l.over:
			return l.refused()
		case <-ctx.Done():
			return fmt.Errorf("negotiate: %w", ctx.Err())
		}
		if l.controlled() {
			for _, s := range set {
				err := l.control(ctx, s)
				select {
				case <-l.over:
					if err == nil {
						return l.refused()
					}
					return fmt.Errorf("%w: %w", err, l.refused())
				default:
				}
				if err != nil {
					return err
				}
			}
			return nil
		}
		if need {
			return errNoControl
		}
	}
	wait := time.NewTimer(early)
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-l.over:
		return l.refused()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refused says what the server said before it hung up.
func (l *link) refused() error {
	<-l.over
	var said []byte
	for chunk := range l.data {
		said = append(said, chunk...)
	}
	const most = 120
	return fmt.Errorf("closed at once, having said %q: %w", said[:min(len(said), most)], l.err)
}

// control sets one value and waits for the server to say that it is set.
func (l *link) control(ctx context.Context, s setting) error {
	if !l.controlled() {
		return errNoControl
	}
	answer := l.answers[s.command+fromServer]
	select {
	case <-answer: // unasked, or too late
	default:
	}
	if err := l.send(ctx, comPort(s.command, s.value)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, defaultWrite)
	defer cancel()
	for {
		select {
		case got := <-answer:
			if s.command == setControl && !breakAnswer(got, s.value) {
				continue // flow control is told by the same command
			}
			if s.command == setControl {
				return nil
			}
			if !bytes.Equal(got, s.value) {
				return fmt.Errorf("set %s to %d: the server has %d", s.name, number(s.value), number(got))
			}
			return nil
		case <-l.over:
			return fmt.Errorf("set %s: %w", s.name, l.err)
		case <-ctx.Done():
			return fmt.Errorf("set %s to %d: no answer: %w", s.name, number(s.value), ctx.Err())
		}
	}
}

// breakAnswer says whether got answers want, the begin or the end of a break.
// The end also counts as heard when the answer is the begin's value: ser2net 4
// confirms both with that.
func breakAnswer(got, want []byte) bool {
	return bytes.Equal(got, want) || (want[0] == controlEnd && len(got) == 1 && got[0] == controlBreak)
}

// number reads a value of RFC 2217, in network order.
func number(b []byte) uint64 {
	var n uint64
	for _, c := range b[:min(len(b), 8)] {
		n = n<<8 | uint64(c)
	}
	return n
}

// data for the port, escaped as the mode wants it.
func (l *link) encode(b []byte) []byte {
	if !l.telnet {
		return b
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return escape(b, l.opts.us[optBinary] == yes)
}

// flowing waits while the server has suspended us.
func (l *link) flowing(ctx context.Context) error {
	for {
		l.mu.Lock()
		resumed := l.suspended
		l.mu.Unlock()
		if resumed == nil {
			return nil
		}
		select {
		case <-resumed:
		case <-l.over:
			return l.err
		case <-ctx.Done():
			return fmt.Errorf("the server has suspended the flow: %w", ctx.Err())
		}
	}
}

// send writes all of b before ctx ends. After an error that left b half sent
// the connection is closed, for nobody could find the place again.
func (l *link) send(ctx context.Context, b []byte) error {
	end, _ := ctx.Deadline()
	if err := l.conn.SetWriteDeadline(end); err != nil {
		return err
	}
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = l.conn.SetWriteDeadline(time.Unix(1, 0)) // fails on a closed one only
		close(fired)
	})
	n, err := l.conn.Write(b)
	if !stop() {
		<-fired
	}
	if err == nil {
		// Replies to options have no deadline. A connection that has closed since
		// shows at the next use.
		_ = l.conn.SetWriteDeadline(time.Time{})
		return nil
	}
	if n > 0 {
		_ = l.conn.Close() // the error that matters is the write's
	}
	return fmt.Errorf("after %d of %d bytes: %w", n, len(b), err)
}
