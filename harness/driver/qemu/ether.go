package qemu

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"rigor/harness/driver/cable"
)

const (
	maxFrame   = 1 << 16
	sentQueued = 512
)

// ether is the machine's end of the cable: frames behind their length, as
// -netdev socket has them (net/socket.c).
type ether struct {
	m *Machine

	mu   sync.Mutex
	to   func([]byte) // nil: nothing is plugged in
	send chan []byte  // nil without power
}

var _ cable.Far = (*ether)(nil)

// Receive plugs our end in, or out.
func (e *ether) Receive(f func([]byte)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.to = f
}

func (e *ether) plugged() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.to != nil
}

// Send hands one frame to the machine's card; where it takes none, it is lost.
func (e *ether) Send(frame []byte) {
	if len(frame) > maxFrame {
		return
	}
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(frame)), uint32(len(frame)))
	b = append(b, frame...)
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case e.send <- b:
	default:
	}
}

// Alive says what is known to be wrong with the machine.
func (e *ether) Alive() error { return e.m.Alive() }

// Check asks the machine.
func (e *ether) Check(ctx context.Context) error {
	_, err := e.m.State(ctx)
	return err
}

// attach takes the socket of a new process.
func (e *ether) attach(r *run, c net.Conn) {
	send := make(chan []byte, sentQueued)
	e.mu.Lock()
	e.send = send
	e.mu.Unlock()
	r.wg.Go(func() {
		for {
			select {
			case b := <-send:
				if _, err := c.Write(b); err != nil {
					return // the process is gone, which is said elsewhere
				}
			case <-r.ctx.Done():
				return
			}
		}
	})
	r.wg.Go(func() {
		_ = frames(c, e.deliver) // its end is the process's
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.send == send {
			e.send = nil
		}
	})
}

func (e *ether) deliver(frame []byte) {
	e.mu.Lock()
	to := e.to
	e.mu.Unlock()
	if to != nil {
		to(frame)
	}
}

// frames reads frames behind their length, in network order, until the stream ends.
func frames(in io.Reader, each func([]byte)) error {
	var head [4]byte
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		n := binary.BigEndian.Uint32(head[:])
		if n > maxFrame {
			return fmt.Errorf("a frame of %d bytes", n)
		}
		// It grows with what really comes, not with what was announced.
		var frame bytes.Buffer
		if _, err := io.CopyN(&frame, in, int64(n)); err != nil {
			return err
		}
		each(frame.Bytes())
	}
}
