// Package smp speaks the Simple Management Protocol over a serial line: that of
// MCUboot's serial recovery, and of Zephyr's MCUmgr on a UART or a console.
//
// Sources: Zephyr's "SMP Protocol Specification" and "SMP Transport
// Specification", MCUboot's "Serial Recovery" and its boot_serial.
//
// A device that does not understand a frame says nothing, and so does MCUboot to
// a request of SMP version 2. What may be asked twice is asked again when no
// answer comes, or a broken one; what the second time would mean something else
// is not.
package smp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"

	"rigor/harness/update/stream"
)

// Options say how to speak. The zero value is for MCUboot with its defaults.
type Options struct {
	V2 bool // ask by SMP version 2, whose errors name their group. MCUboot does not answer it
	// MTU is the most bytes of a packet with its length and CRC, decoded: the
	// device's buffer. 96 to 65535; 512 where it is 0, MCUboot's default.
	MTU int
	// Line is the longest frame in bytes, with its newline. 16 to 4096; 127
	// where it is 0, the standard's.
	Line   int
	Answer time.Duration // for each answer; 10 s where it is 0
	Erase  time.Duration // for an answer before which flash is erased; 60 s where it is 0
	Tries  int           // of what may be asked twice; 4 where it is 0
}

// Client asks a device. It is not for concurrent use.
type Client struct {
	s      stream.Stream
	o      Options
	dec    decoder
	buf    [512]byte
	n, pos int
	last   []byte
	seq    byte
	faults Faults
}

// Faults are what the line did, and was made good.
type Faults struct {
	Repeats int // requests that were sent again
	Broken  int // frames and packets that came broken
	Strays  int // packets that were no answer to what was asked
}

// New makes a client.
func New(s stream.Stream, o Options) (*Client, error) {
	for _, d := range []struct {
		at   *time.Duration
		none time.Duration
	}{{&o.Answer, 10 * time.Second}, {&o.Erase, time.Minute}} {
		if *d.at <= 0 {
			*d.at = d.none
		}
	}
	for _, d := range []struct {
		at               *int
		name             string
		none, from, upto int
	}{{&o.MTU, "MTU", 512, 96, 65535}, {&o.Line, "line", lineMax, 16, 4096}, {&o.Tries, "tries", 4, 1, 100}} {
		if *d.at == 0 {
			*d.at = d.none
		}
		if *d.at < d.from || *d.at > d.upto {
			return nil, fmt.Errorf("%s of %d: want %d to %d", d.name, *d.at, d.from, d.upto)
		}
	}
	return &Client{s: s, o: o}, nil
}

// Faults gives what the line did up to now.
func (c *Client) Faults() Faults { return c.faults }

// decoding bounds what a device can make of its answers.
var decoding = func() cbor.DecMode {
	m, err := cbor.DecOptions{MaxNestedLevels: 8, MaxArrayElements: 1024, MaxMapPairs: 1024}.DecMode()
	if err != nil {
		panic(err) // the options are constant
	}
	return m
}()

// request is one exchange.
type request struct {
	what   string
	op     byte
	group  uint16
	id     byte
	body   any
	within time.Duration
	tries  int
}

// outcome is what each answer may have.
type outcome struct {
	RC     int64  `cbor:"rc"`
	Reason string `cbor:"rsn"`
	Err    *struct {
		Group int   `cbor:"group"`
		RC    int64 `cbor:"rc"`
	} `cbor:"err"`
}

// ask sends a request until it is answered, and decodes the answer into into.
func (c *Client) ask(ctx context.Context, r request, into any) error {
	body, err := cbor.Marshal(r.body)
	if err != nil {
		return fmt.Errorf("%s: %w", r.what, err)
	}
	h := header{op: r.op, group: r.group, id: r.id}
	if c.o.V2 {
		h.version = 1
	}
	if n := headerLen + len(body) + around; n > c.o.MTU {
		return fmt.Errorf("%s: a packet of %d bytes, and the device takes %d", r.what, n, c.o.MTU)
	}
	var answer []byte
	for try := 1; ; try++ {
		h.seq = c.seq
		c.seq++
		if err := c.s.Write(ctx, appendFrames(nil, h.packet(body), c.o.Line)); err != nil {
			return fmt.Errorf("%s: %w", r.what, err)
		}
		answer, err = c.answer(ctx, r, h)
		var line *LineError
		if err == nil || try >= r.tries || !errors.As(err, &line) {
			break
		}
		c.faults.Repeats++
	}
	if err != nil {
		return err
	}
	var o outcome
	if err := decoding.Unmarshal(answer, &o); err != nil {
		return c.broken(r.what, "an answer that is sound on the line and means nothing: %v", err)
	}
	switch {
	case o.Err != nil && o.Err.RC != 0:
		return &CodeError{What: r.what, Group: o.Err.Group, Code: o.Err.RC, Reason: o.Reason}
	case o.RC != 0:
		return &CodeError{What: r.what, Group: groupNone, Code: o.RC, Reason: o.Reason}
	}
	if into == nil {
		return nil
	}
	if err := decoding.Unmarshal(answer, into); err != nil {
		return c.broken(r.what, "an answer that is sound on the line and means something else: %v", err)
	}
	return nil
}

func (c *Client) broken(what, why string, args ...any) error {
	return &LineError{Kind: stream.ErrBroken, What: what, Why: fmt.Sprintf(why, args...), Last: append([]byte(nil), c.last...)}
}

// answer waits for the answer to a request, and gives its body. A frame that
// comes broken may have been it: there is nothing to wait for then.
func (c *Client) answer(ctx context.Context, r request, want header) ([]byte, error) {
	until := time.Now().Add(r.within)
	for {
		for c.pos < c.n {
			b := c.buf[c.pos]
			c.pos++
			p, err := c.dec.feed(b)
			if err != nil {
				c.faults.Broken++
				return nil, c.broken(r.what, "%v", err)
			}
			if p == nil {
				continue
			}
			h, body, err := parse(p)
			if err != nil {
				c.faults.Broken++
				return nil, c.broken(r.what, "%v", err)
			}
			if h.op == want.op+1 && h.group == want.group && h.id == want.id && h.seq == want.seq {
				return body, nil
			}
			c.faults.Strays++ // an answer that came late, to what was given up
		}
		n, err := stream.Within(ctx, c.s, time.Until(until), c.buf[:])
		if errors.Is(err, stream.ErrSilent) {
			return nil, &LineError{Kind: stream.ErrNoAnswer, What: r.what, Why: fmt.Sprintf("no answer within %s", r.within), Last: append([]byte(nil), c.last...)}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.what, err)
		}
		c.pos, c.n = 0, n
		c.last = stream.Tail(c.last, c.buf[:n])
	}
}
