// Package wire says what an instrument of a rig is: a line, a port, a power
// switch, a link. It is the vocabulary that drivers speak and that everything
// above them uses; it holds no instrument of its own.
//
// An instrument reports trouble of its own as a *Fault, which names the part.
// What the DUT does or does not do is never a Fault.
package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// Part names an instrument of the rig as results name it: "power",
// "line.reset", "console.main", "link".
type Part string

// Fault is trouble in a part of the rig: a busy port, a missing pin, a switch
// that does not answer. It is never the DUT's failure and never its excuse.
type Fault struct {
	Part Part
	Op   string // what was attempted, such as "open /dev/ttyUSB0"
	Err  error
}

// Error names the part, the operation and the cause.
func (f *Fault) Error() string { return fmt.Sprintf("%s: %s: %v", f.Part, f.Op, f.Err) }

// Unwrap gives the cause.
func (f *Fault) Unwrap() error { return f.Err }

// AsFault gives the first Fault in err's chain.
func AsFault(err error) (*Fault, bool) {
	var f *Fault
	ok := errors.As(err, &f)
	return f, ok
}

// ErrUnsupported says that an instrument cannot do what was asked: a break on
// a network console, a state from a switch that does not tell it.
var ErrUnsupported = errors.New("not supported by this instrument")

// ErrLimit says that the rig file allows no more of something that wears: it is no
// trouble of an instrument.
var ErrLimit = errors.New("the rig file allows no more of it in a run")

// Line is one wire with a polarity, driven and read in terms of asserted and
// released, not of high and low. A released line is an input of ours: its
// level is what the wiring makes of it.
type Line interface {
	// Assert drives the line to its asserted level.
	Assert(ctx context.Context) error
	// Release lets the line go to its idle.
	Release(ctx context.Context) error
	// Asserted reads the level that is on the wire now. On a line that cannot
	// be read while driven it answers with what is driven.
	Asserted(ctx context.Context) (bool, error)
	// Wait blocks until the line is asserted (or released, with want false) or
	// ctx ends. The time is when the change was noticed, on the monotonic clock.
	Wait(ctx context.Context, want bool) (time.Time, error)
	io.Closer
}

// Port is a serial byte stream to the DUT. One owner reads it.
type Port interface {
	// Read blocks until at least one byte is there or the port is closed or
	// broken. It never returns 0 bytes without an error. After Close it ends
	// with io.EOF; a broken port ends with a *Fault. A port that can come back
	// (a USB adapter) re-attaches inside and does not end the Read.
	Read(p []byte) (int, error)
	// Write sends all of p or says why not.
	Write(ctx context.Context, p []byte) error
	// Break holds the line low for d, at least one frame. It gives
	// ErrUnsupported where the instrument cannot.
	Break(ctx context.Context, d time.Duration) error
	// SetRate changes the baud rate, for a DUT whose phases differ.
	SetRate(ctx context.Context, baud int) error
	io.Closer
}

// Framer is a Port whose characters can be framed anew, for a DUT whose phases differ:
// the loader in ROM of an STM32 wants a parity bit that its program has not.
type Framer interface {
	// SetFrame changes the frame, such as "8N1" or "8E1". It gives ErrUnsupported where
	// the instrument cannot.
	SetFrame(ctx context.Context, frame string) error
}

// Gapped is a Port that can have been away for a time, as an adapter that was pulled
// out and put back: what the DUT sent meanwhile was not read.
type Gapped interface {
	// Gaps gives how often it was lost so far, and why the last time, as a *Fault.
	Gaps() (n int, last error)
}

// Dated is a Port that knows since when what it gives can have been there: who reads
// late, on a busy computer, does not know when it came.
type Dated interface {
	// Empty gives a moment at which nothing had come of what the last Read gave: the wire
	// was looked at then, and there was nothing more on it. The zero time where none is
	// known. It is for the one who reads.
	Empty() time.Time
}

// PowerState is what a power switch says of itself.
type PowerState int

// What a switch can say. A switch that has no way to tell says PowerUnknown,
// never a guess.
const (
	PowerUnknown PowerState = iota
	PowerOff
	PowerOn
)

// String gives "unknown", "off" or "on".
func (s PowerState) String() string {
	return [...]string{"unknown", "off", "on"}[s]
}

// Power is the switch of the DUT's supply. That it was told to switch proves
// nothing about the rail: proofs are made above this interface.
type Power interface {
	On(ctx context.Context) error
	Off(ctx context.Context) error
	State(ctx context.Context) (PowerState, error)
	io.Closer
}

// Dialer opens connections to the DUT.
type Dialer interface {
	// DialContext is as net.Dialer's: network is "tcp" or "udp", address is
	// host:port. An error that is the rig's own is a *Fault; one that the DUT
	// gave (refused, reset) is not.
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// Packeter is a Dialer that can hear datagrams of UDP from any port: some servers
// answer from another one than the one that was asked.
type Packeter interface {
	// ListenPacket opens a socket on our end, network "udp4" or "udp6". It gives
	// ErrUnsupported where the way to the DUT carries connections alone.
	ListenPacket(ctx context.Context, network string) (net.PacketConn, error)
}

// Link is the network between rig and DUT.
type Link interface {
	Dialer
	// Check says whether our end of the link works: interface up, carrier
	// there, an address on it. It says nothing about the DUT.
	Check(ctx context.Context) error
	io.Closer
}

// Listener is a Link over which the DUT can reach us.
type Listener interface {
	// Listen takes TCP connections of the DUT on our end of the link, at an address that
	// the DUT at toward (host:port) can reach. It gives ErrUnsupported where nothing
	// leads from the DUT to us.
	Listen(ctx context.Context, toward string) (net.Listener, error)
}

// What a Finder says of the DUT. Neither is a Fault.
var (
	// ErrNobody says that nobody with this hardware address answers.
	ErrNobody = errors.New("nobody with this hardware address answers")
	// ErrAmbiguous says that one hardware address answers at several addresses.
	ErrAmbiguous = errors.New("this hardware address answers at several addresses")
)

// Finder is a Link that knows which hardware address is behind an address.
type Finder interface {
	// Find gives the address at which a hardware address answers now. It asks
	// the network and believes nothing that was so before; it takes some seconds
	// to say ErrNobody. Where there is one of IPv4, it is that; of IPv6 it is
	// the link-local one, with its zone.
	Find(ctx context.Context, mac net.HardwareAddr) (netip.Addr, error)
	// Neighbour gives the hardware address to which our end sends what goes to
	// addr; nil where it knows none.
	Neighbour(ctx context.Context, addr netip.Addr) (net.HardwareAddr, error)
}

// Frame is one frame of Ethernet, as it was on the wire or, of a Capturer that hears
// only what is in it, as it could have been.
type Frame struct {
	At   time.Time
	Data []byte // from the destination's address on, without the check sequence
}

// Capturer hears what goes over a network.
type Capturer interface {
	// Frames gives what was heard up to now, in its order. Cut says that more went
	// over than was kept, so that a search that finds nothing says nothing.
	Frames() (frames []Frame, cut bool)
	// Scope says what is heard, and what is not, for the record.
	Scope() string
}

// Ear is a Capturer that hears until it is closed.
type Ear interface {
	Capturer
	io.Closer
}

// Hearer is a Link that hears what is on its wire, whoever says it to whom.
type Hearer interface {
	// Hear begins to keep the frames from and to a hardware address. It gives
	// ErrUnsupported where the way to the DUT shows no frames, or nobody may see
	// them; a *Fault where it is our end that cannot.
	Hear(ctx context.Context, mac net.HardwareAddr) (Ear, error)
}
