// Package tcp is a console behind a terminal server: ser2net, a console
// server, a serial-to-Ethernet box; over plain TCP, or over Telnet with remote
// control of the port where the server offers it (RFC 2217).
package tcp

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"rigor/harness/wire"
)

// Mode is how the bytes travel.
type Mode string

// The modes.
const (
	Raw    Mode = "raw"    // the bytes as they are
	Telnet Mode = "telnet" // RFC 854, with RFC 2217 where offered
)

// Limits of a configuration.
const (
	minBaud      = 50
	maxBaud      = 20_000_000
	maxBreak     = 10 * time.Second
	defaultDial  = 5 * time.Second
	maxDial      = time.Minute
	defaultAway  = 30 * time.Second
	defaultWrite = 10 * time.Second
)

// Config describes one console.
type Config struct {
	// Part is the port's name in results, such as "console.main". Required.
	Part wire.Part
	// Address is host:port of the server. Required.
	Address string
	// Mode is how the bytes travel. Required.
	Mode Mode
	// Baud in bit/s and Frame ("8N1") are set on the server by RFC 2217, in Telnet
	// mode. Zero and "" leave what is set there.
	Baud  int
	Frame string
	// Control requires RFC 2217: a server without it is a *wire.Fault at Open. In
	// its absence Baud and Frame are taken to be what the server has, and
	// Port.Controlled says so.
	Control bool
	// TelnetBreak lets Break send Telnet's own BRK to a server without RFC 2217,
	// which has no length and which not every server hands on.
	TelnetBreak bool
	// DialTimeout bounds one connection with its negotiation, up to 1 min. Zero
	// is 5 s.
	DialTimeout time.Duration
	// Away is how long the server may be gone before Read ends with a
	// *wire.Fault. Zero is 30 s, a negative value waits for none.
	Away time.Duration
	// Event, when set, is told of each loss and return of the connection, from
	// the goroutine that reads. It must not block.
	Event func(Event)
	// Dialer makes the connections. Nil is this computer's network.
	Dialer wire.Dialer
}

// Event is a change of the connection itself. What the DUT sent between a loss
// and the return is not in what is read.
type Event struct {
	At       time.Time
	Attached bool
	Err      error // why it was lost
}

// Validate says what is wrong with the configuration, all at once.
func (c Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Part == "" {
		add("the port has no part name")
	}
	host, port, err := net.SplitHostPort(c.Address)
	if n, perr := strconv.Atoi(port); err != nil || host == "" || perr != nil || n < 1 || n > 65535 {
		add("address %q: want HOST:PORT", c.Address)
	}
	if c.Mode != Raw && c.Mode != Telnet {
		add("mode %q: want raw or telnet", c.Mode)
	}
	if c.Mode == Raw && (c.Control || c.TelnetBreak || c.Baud != 0 || c.Frame != "") {
		add("baud, frame, control and telnet-break need mode telnet: plain TCP cannot say them")
	}
	if c.Baud != 0 && (c.Baud < minBaud || c.Baud > maxBaud) {
		add("baud %d: want %d to %d", c.Baud, minBaud, maxBaud)
	}
	if c.Frame != "" {
		if _, err := frameSettings(c.Frame); err != nil {
			errs = append(errs, err)
		}
	}
	if c.DialTimeout < 0 || c.DialTimeout > maxDial {
		add("dial timeout %v: want up to %v", c.DialTimeout, maxDial)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("port %q: %w", c.Part, err)
	}
	return nil
}

// setting is one value of a port as RFC 2217 carries it.
type setting struct {
	name    string
	command byte
	value   []byte
}

// frameSettings gives data size, parity and stop size of a short form such as
// "7E1" (RFC 2217, section 3).
func frameSettings(s string) ([]setting, error) {
	bad := fmt.Errorf("frame %q: want data bits 5 to 8, parity N, O, E, M or S, and 1 or 2 stop bits, as in 8N1", s)
	if len(s) != 3 {
		return nil, bad
	}
	parity := strings.IndexByte("NOEMS", strings.ToUpper(s)[1])
	if s[0] < '5' || s[0] > '8' || parity < 0 || (s[2] != '1' && s[2] != '2') {
		return nil, bad
	}
	return []setting{
		{"data size", setDataSize, []byte{s[0] - '0'}},
		{"parity", setParity, []byte{byte(parity) + 1}},
		{"stop size", setStopSize, []byte{s[2] - '0'}},
	}, nil
}
