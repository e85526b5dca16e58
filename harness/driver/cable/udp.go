package cable

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// datagrams is a connected socket of UDP. The stack's own wakes no reader when an
// ICMP message says that the port is closed; a kernel does.
type datagrams struct {
	*gonet.UDPConn
	ep    tcpip.Endpoint
	queue *waiter.Queue
	entry waiter.Entry

	mu    sync.Mutex
	said  bool      // an ICMP message came, and no reader has it yet
	until time.Time // the reader's deadline
}

func dialUDP(st *stack.Stack, to tcpip.FullAddress, proto tcpip.NetworkProtocolNumber) (net.Conn, error) {
	d := &datagrams{queue: new(waiter.Queue)}
	ep, err := st.NewEndpoint(udp.ProtocolNumber, proto, d.queue)
	if err != nil {
		return nil, errors.New(err.String())
	}
	if err := ep.Connect(to); err != nil {
		ep.Close()
		return nil, errors.New(err.String())
	}
	d.ep, d.UDPConn = ep, gonet.NewUDPConn(d.queue, ep)
	d.entry = waiter.NewFunctionEntry(waiter.EventErr, func(waiter.EventMask) { d.wake() })
	d.queue.EventRegister(&d.entry)
	return d, nil
}

func (d *datagrams) wake() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.said = true
	_ = d.UDPConn.SetReadDeadline(time.Unix(1, 0)) // never fails
}

// refused takes what an ICMP message said.
func (d *datagrams) refused() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.said {
		return nil
	}
	d.said = false
	_ = d.UDPConn.SetReadDeadline(d.until) // never fails
	var err error = syscall.ECONNREFUSED
	if last := d.ep.LastError(); last != nil {
		err = errors.New(last.String())
	}
	return &net.OpError{Op: "read", Net: "udp", Source: d.LocalAddr(), Addr: d.RemoteAddr(), Err: err}
}

// Read gives the next datagram, or what an ICMP message said of those sent.
func (d *datagrams) Read(b []byte) (int, error) {
	for {
		if err := d.refused(); err != nil {
			return 0, err
		}
		n, err := d.UDPConn.Read(b)
		var op net.Error
		if errors.As(err, &op) && op.Timeout() {
			d.mu.Lock()
			again := d.said
			d.mu.Unlock()
			if again {
				continue
			}
		}
		return n, err
	}
}

// SetReadDeadline bounds what waits in Read.
func (d *datagrams) SetReadDeadline(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.until = t
	if d.said {
		return nil // the reader is on its way out
	}
	return d.UDPConn.SetReadDeadline(t)
}

// SetDeadline bounds reading and writing.
func (d *datagrams) SetDeadline(t time.Time) error {
	return errors.Join(d.SetReadDeadline(t), d.SetWriteDeadline(t))
}

// Close ends the socket.
func (d *datagrams) Close() error {
	d.queue.EventUnregister(&d.entry)
	return d.UDPConn.Close()
}
