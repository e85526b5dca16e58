// Package link is the plain network between rig and DUT: the sockets of this
// computer, bound to the interface that the DUT hangs on.
package link

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"rigor/harness/wire"
)

// What Check and DialContext say of our own end.
var (
	ErrNoInterface = errors.New("no such network interface")
	ErrDown        = errors.New("the interface is down")
	ErrNoCarrier   = errors.New("the interface has no carrier: is the cable in?")
	ErrNoAddress   = errors.New("the interface has no address")
)

const (
	defaultDial = 10 * time.Second
	maxDial     = 5 * time.Minute
	maxName     = 15 // IFNAMSIZ without its NUL
)

// Config describes a link.
type Config struct {
	// Part is the link's name in results. Required.
	Part wire.Part
	// Interface is the network interface that the DUT hangs on, such as "eth1".
	// Sockets are bound to it (SO_BINDTODEVICE), so that no other route leads to
	// somebody who answers in the DUT's place. Empty leaves the way to the
	// routing table.
	Interface string
	// DialTimeout bounds one connection attempt, up to 5 min. Zero is 10 s.
	DialTimeout time.Duration
	// FindTimeout bounds one search for a hardware address, up to 5 min. Zero is
	// 9 s.
	FindTimeout time.Duration
}

// Link is a network link.
type Link struct {
	conf Config
	sys  string // where the kernel shows its interfaces

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	once sync.Once
}

var (
	_ wire.Link     = (*Link)(nil)
	_ wire.Packeter = (*Link)(nil)
	_ wire.Hearer   = (*Link)(nil)
)

// Validate says what is wrong with the configuration, all at once.
func (c Config) Validate() error {
	var errs []error
	if c.Part == "" {
		errs = append(errs, errors.New("the link has no part name"))
	}
	if c.Interface != "" && (len(c.Interface) > maxName || c.Interface == "." || c.Interface == ".." ||
		strings.ContainsAny(c.Interface, "/ \t\n\x00:")) {
		errs = append(errs, fmt.Errorf("interface %q: no name that an interface can have", c.Interface))
	}
	if c.DialTimeout < 0 || c.DialTimeout > maxDial {
		errs = append(errs, fmt.Errorf("dial timeout %v: want up to %v", c.DialTimeout, maxDial))
	}
	if c.FindTimeout < 0 || c.FindTimeout > maxDial {
		errs = append(errs, fmt.Errorf("find timeout %v: want up to %v", c.FindTimeout, maxDial))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("link %q: %w", c.Part, err)
	}
	return nil
}

// New makes a link. ctx bounds its life: when it ends, so do the connection
// attempts. Nothing is asked of the network yet: see Check.
func New(ctx context.Context, conf Config) (*Link, error) {
	if err := conf.Validate(); err != nil {
		return nil, err
	}
	if conf.DialTimeout == 0 {
		conf.DialTimeout = defaultDial
	}
	if conf.FindTimeout == 0 {
		conf.FindTimeout = defaultFind
	}
	l := &Link{conf: conf, sys: "/sys/class/net"}
	l.ctx, l.stop = context.WithCancel(ctx)
	return l, nil
}

func (l *Link) fault(op string, err error) error {
	return &wire.Fault{Part: l.conf.Part, Op: op, Err: err}
}

// DialContext connects to address, host:port, over "tcp" or "udp". Trouble of
// our own, from a missing interface to a want of descriptors, is a
// *wire.Fault. What the DUT does, or does not do (refused, reset, no answer
// to the connection or to ARP), is an error that is none.
func (l *Link) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	op := fmt.Sprintf("dial %s %s", network, address)
	switch network {
	case "tcp", "tcp4", "tcp6", "udp", "udp4", "udp6":
	default:
		return nil, fmt.Errorf("%s: %s: want tcp or udp", l.conf.Part, op)
	}
	if l.ctx.Err() != nil {
		return nil, l.fault(op, net.ErrClosed)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()

	d := net.Dialer{Timeout: l.conf.DialTimeout}
	if l.conf.Interface != "" {
		d.ControlContext = l.bind
	}
	start := time.Now()
	conn, err := d.DialContext(ctx, network, address)
	if err == nil {
		return conn, nil
	}
	if l.ctx.Err() != nil {
		return nil, l.fault(op, net.ErrClosed)
	}
	err = fmt.Errorf("after %v: %w", time.Since(start).Round(time.Millisecond), err)
	if ours(err) {
		return nil, l.fault(op, err)
	}
	return nil, fmt.Errorf("%s: %s: %w", l.conf.Part, op, err)
}

// ListenPacket opens a socket of UDP, bound to the interface: "udp4" or "udp6". What
// is wrong with our end is a *wire.Fault.
func (l *Link) ListenPacket(ctx context.Context, network string) (net.PacketConn, error) {
	op := "listen " + network
	if network != "udp4" && network != "udp6" {
		return nil, fmt.Errorf("%s: %s: want udp4 or udp6", l.conf.Part, op)
	}
	if l.ctx.Err() != nil {
		return nil, l.fault(op, net.ErrClosed)
	}
	var lc net.ListenConfig
	if l.conf.Interface != "" {
		lc.Control = func(network, address string, c syscall.RawConn) error { return l.bind(ctx, network, address, c) }
	}
	c, err := lc.ListenPacket(ctx, network, "")
	if err != nil {
		return nil, l.fault(op, err)
	}
	return c, nil
}

// bind ties a socket to the interface before it connects.
func (l *Link) bind(_ context.Context, _, _ string, c syscall.RawConn) error {
	var inner error
	if err := c.Control(func(fd uintptr) { inner = bindToDevice(int(fd), l.conf.Interface) }); err != nil {
		return err
	}
	switch {
	case errors.Is(inner, syscall.ENODEV):
		return fmt.Errorf("%w: %q", ErrNoInterface, l.conf.Interface)
	case errors.Is(inner, syscall.EPERM):
		return fmt.Errorf("bind to interface %q, which needs CAP_NET_RAW or Linux 5.7: %w", l.conf.Interface, inner)
	case inner != nil:
		return fmt.Errorf("bind to interface %q: %w", l.conf.Interface, inner)
	}
	return nil
}

// ourErrnos are the answers of our own kernel that have nothing to do with
// the DUT. EHOSTUNREACH is not among them: it is what an ARP request gets that
// nobody answers, so it is the DUT that is not there.
var ourErrnos = []syscall.Errno{
	syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, // we have run out
	syscall.ENETUNREACH, syscall.ENETDOWN, syscall.ENODEV, syscall.ENXIO, // no way out of here
	syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, // no local address or port
	syscall.EPERM, syscall.EACCES, // a packet filter or a policy of ours
	syscall.EAFNOSUPPORT, syscall.EPROTONOSUPPORT, syscall.EINVAL,
}

// ours says whether a failed dial is the rig's own trouble.
func ours(err error) bool {
	for _, e := range ourErrnos {
		if errors.Is(err, e) {
			return true
		}
	}
	if errors.Is(err, ErrNoInterface) {
		return true
	}
	// A name that does not resolve, and an address that is none: both come from
	// the rig's files or its resolver.
	var dns *net.DNSError
	var addr *net.AddrError
	var parse *net.ParseError
	if errors.As(err, &dns) {
		// The resolver may also have been cut short by the caller.
		return !errors.Is(err, context.Canceled)
	}
	return errors.As(err, &addr) || errors.As(err, &parse)
}

// Check says as a *wire.Fault what is wrong with our end: the interface is
// missing (ErrNoInterface), down (ErrDown), without carrier (ErrNoCarrier) or
// without an address (ErrNoAddress). A DUT that is off, on a cable of its own,
// takes the carrier with it. Without a declared interface it asks for any that is
// up and has an address.
func (l *Link) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: check: %w", l.conf.Part, err)
	}
	if l.ctx.Err() != nil {
		return l.fault("check", net.ErrClosed)
	}
	if l.conf.Interface == "" {
		return l.checkAny()
	}
	op := "check interface " + l.conf.Interface
	in, err := net.InterfaceByName(l.conf.Interface)
	if err != nil {
		return l.fault(op, fmt.Errorf("%w; there are: %s", ErrNoInterface, l.interfaces()))
	}
	if in.Flags&net.FlagUp == 0 {
		return l.fault(op, ErrDown)
	}
	if err := l.carrier(); err != nil {
		return l.fault(op, err)
	}
	addrs, err := in.Addrs()
	if err != nil {
		return l.fault(op, err)
	}
	if len(addrs) == 0 {
		return l.fault(op, ErrNoAddress)
	}
	return nil
}

// carrier reads the flag of the kernel, /sys/class/net/NAME/carrier: 1 with a
// link partner, 0 without, EINVAL while the interface is down.
func (l *Link) carrier() error {
	b, err := os.ReadFile(filepath.Join(l.sys, l.conf.Interface, "carrier"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // no sysfs here, or an interface without the notion
	case errors.Is(err, syscall.EINVAL):
		return ErrDown
	case err != nil:
		return err
	}
	switch s := strings.TrimSpace(string(b)); s {
	case "1":
		return nil
	case "0":
		return ErrNoCarrier
	default:
		return fmt.Errorf("carrier reads %q: want 0 or 1", s)
	}
}

func (l *Link) checkAny() error {
	all, err := net.Interfaces()
	if err != nil {
		return l.fault("list the interfaces", err)
	}
	for _, in := range all {
		if in.Flags&net.FlagUp == 0 {
			continue
		}
		if addrs, err := in.Addrs(); err == nil && len(addrs) > 0 {
			return nil
		}
	}
	return l.fault("check", fmt.Errorf("%w, and no other is up; there are: %s", ErrNoAddress, l.interfaces()))
}

func (l *Link) interfaces() string {
	all, err := net.Interfaces()
	if err != nil || len(all) == 0 {
		return "none"
	}
	var names []string
	for _, in := range all {
		names = append(names, in.Name)
	}
	return strings.Join(names, ", ")
}

// Close ends connection attempts and refuses new ones. Connections that stand
// belong to who dialled them.
func (l *Link) Close() error {
	l.once.Do(l.stop)
	return nil
}
