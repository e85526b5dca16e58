package portscan

import (
	"context"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"rigor/harness/wire"
)

// host is a device whose ports are what a test says.
type host struct {
	open, drops, rejects map[int]bool
	udp                  map[int]string // what a port answers; other ports refuse
	quiet                map[int]bool   // ports of UDP that say nothing
	// bears is how many attempts it takes at the same time: what is beyond them is
	// dropped, whatever the port. 0: any.
	bears  int64
	delay  time.Duration
	broken func(n int64) error // of the nth attempt
	dead   atomic.Bool

	n, now, peak atomic.Int64
	mu           sync.Mutex
	asked        map[int]int
}

func set(ports ...int) map[int]bool {
	out := map[int]bool{}
	for _, p := range ports {
		out[p] = true
	}
	return out
}

func refused(network string) error {
	return &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

func (h *host) count(port int) (now int64) {
	h.mu.Lock()
	if h.asked == nil {
		h.asked = map[int]int{}
	}
	h.asked[port]++
	h.mu.Unlock()
	now = h.now.Add(1)
	for {
		peak := h.peak.Load()
		if now <= peak || h.peak.CompareAndSwap(peak, now) {
			return now
		}
	}
}

// DialContext answers for the host.
func (h *host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	_, p, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(p)
	if err != nil {
		return nil, err
	}
	now := h.count(port)
	defer h.now.Add(-1)
	if h.broken != nil {
		if err := h.broken(h.n.Add(1)); err != nil {
			return nil, err
		}
	}
	if network == "udp" {
		ours, theirs := net.Pipe()
		go h.answer(theirs, port)
		return &datagrams{Conn: ours, refuses: h.udp[port] == "" && !h.quiet[port]}, nil
	}
	if h.delay > 0 {
		t := time.NewTimer(h.delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: network, Err: ctx.Err()}
		}
	}
	switch {
	case h.dead.Load(), h.drops[port], h.bears > 0 && now > h.bears:
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: network, Err: ctx.Err()}
	case h.rejects[port]:
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}
	case h.open[port]:
		ours, theirs := net.Pipe()
		go func() {
			_, _ = theirs.Write([]byte("hello\n"))
			_ = theirs.Close()
		}()
		return ours, nil
	}
	return nil, refused(network)
}

func (h *host) answer(c net.Conn, port int) {
	defer func() { _ = c.Close() }()
	buf := make([]byte, 2048)
	for {
		if _, err := c.Read(buf); err != nil {
			return
		}
		if text := h.udp[port]; text != "" {
			if _, err := c.Write([]byte(text)); err != nil {
				return
			}
		}
	}
}

// datagrams is a socket of UDP whose port may be unreachable.
type datagrams struct {
	net.Conn
	refuses bool
}

func (d *datagrams) Read(b []byte) (int, error) {
	if d.refuses {
		return 0, refused("udp")
	}
	return d.Conn.Read(b)
}

var _ wire.Dialer = (*host)(nil)
