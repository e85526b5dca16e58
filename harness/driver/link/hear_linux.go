package link

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"rigor/harness/capture"
	"rigor/harness/wire"
)

const (
	hearBuffer = 8 << 20 // of the kernel, for frames that nobody has taken yet
	maxHeard   = 1 << 17 // of one frame, as offloading cards put them together
)

// Hear keeps the frames from and to a hardware address that pass the interface, with a
// packet socket (packet(7)), which wants CAP_NET_RAW. Without that right, and without
// an interface, it is ErrUnsupported.
func (l *Link) Hear(ctx context.Context, mac net.HardwareAddr) (wire.Ear, error) {
	op := "hear " + mac.String()
	switch {
	case l.conf.Interface == "":
		return nil, fmt.Errorf("%s: %s: no interface is given: %w", l.conf.Part, op, wire.ErrUnsupported)
	case len(mac) != 6:
		return nil, fmt.Errorf("%s: %s: want the six bytes of a hardware address", l.conf.Part, op)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%s: %s: %w", l.conf.Part, op, ctx.Err())
	}
	iface, err := net.InterfaceByName(l.conf.Interface)
	if err != nil {
		return nil, l.fault(op, errors.Join(ErrNoInterface, err))
	}
	h, err := openHearing(iface, mac)
	switch {
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("%s: %s on %s: %w: %w", l.conf.Part, op, l.conf.Interface, wire.ErrUnsupported, err)
	case err != nil:
		return nil, l.fault(op+" on "+l.conf.Interface, err)
	}
	h.ear = capture.NewEar(mac, "that passes "+l.conf.Interface+", whoever says it; what goes between it and others over a switch does not pass there", h.shut)
	h.wg.Go(h.run)
	return h, nil
}

// hearing is a packet socket, and the ear that it fills.
type hearing struct {
	ear  *capture.Ear
	file *os.File
	conn syscall.RawConn
	wg   sync.WaitGroup

	mu  sync.Mutex // of reading
	buf []byte
}

// Frames takes what the kernel still has, and gives all.
func (h *hearing) Frames() ([]wire.Frame, bool) {
	h.mu.Lock()
	err := h.conn.Control(func(fd uintptr) {
		h.take(int(fd))
		if s, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err != nil || s.Drops > 0 {
			h.ear.Lost() // or nobody knows
		}
	})
	h.mu.Unlock()
	if err != nil { // it is closed, and nobody knows what came behind that
		h.ear.Lost()
	}
	return h.ear.Frames()
}

func (h *hearing) Scope() string { return h.ear.Scope() }
func (h *hearing) Close() error  { return h.ear.Close() }

func (h *hearing) shut() error {
	err := h.file.Close()
	h.wg.Wait()
	return err
}

// run takes frames as they come, until the socket is closed.
func (h *hearing) run() {
	_ = h.conn.Read(func(fd uintptr) bool { // ends with Close
		h.mu.Lock()
		defer h.mu.Unlock()
		h.take(int(fd))
		return false // wait for more
	})
}

// take takes all that the kernel has now. The caller has mu.
func (h *hearing) take(fd int) {
	for {
		n, _, err := unix.Recvfrom(fd, h.buf, unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return
		case err != nil: // the interface went down: what passes then is not heard
			h.ear.Lost()
			return
		case n > len(h.buf):
			h.ear.Lost()
		default:
			h.ear.Take(h.buf[:n])
		}
	}
}

// openHearing opens a packet socket that gets only what is from or to mac. Until the
// filter stands it is bound to no protocol and gets nothing.
func openHearing(iface *net.Interface, mac net.HardwareAddr) (*hearing, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	file := os.NewFile(uintptr(fd), "packets of "+iface.Name)
	give := func(op string, err error) (*hearing, error) {
		return nil, errors.Join(os.NewSyscallError(op, err), file.Close())
	}
	// More than the kernel's limit takes the right that the socket took.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, hearBuffer); err != nil {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, hearBuffer); err != nil {
			return give("setsockopt SO_RCVBUF", err)
		}
	}
	filter := onlyOf(mac)
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}); err != nil {
		return give("setsockopt SO_ATTACH_FILTER", err)
	}
	all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: iface.Index}); err != nil {
		return give("bind", err)
	}
	conn, err := file.SyscallConn()
	if err != nil {
		return give("packets of "+iface.Name, err)
	}
	return &hearing{file: file, conn: conn, buf: make([]byte, maxHeard)}, nil
}

// onlyOf is a program of the classic BPF that takes the frames to or from a hardware
// address, whole.
func onlyOf(mac net.HardwareAddr) []unix.SockFilter {
	high, low := binary.BigEndian.Uint32(mac), uint32(binary.BigEndian.Uint16(mac[4:]))
	const loadWord, loadHalf, equal, end = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	return []unix.SockFilter{
		{Code: loadWord, K: 0},
		{Code: equal, K: high, Jf: 2},
		{Code: loadHalf, K: 4},
		{Code: equal, K: low, Jt: 4},
		{Code: loadWord, K: 6},
		{Code: equal, K: high, Jf: 3},
		{Code: loadHalf, K: 10},
		{Code: equal, K: low, Jf: 1},
		{Code: end, K: 1 << 18},
		{Code: end, K: 0},
	}
}
