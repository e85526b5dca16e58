// Package serial is a console on a UART of this computer: a USB adapter or a
// UART of the board, opened over go.bug.st/serial, held exclusively, and found
// again when the adapter comes back.
package serial

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	bugst "go.bug.st/serial"

	"rigor/harness/wire"
)

// Frame is what one character looks like on the wire.
type Frame struct {
	DataBits int  // 5 to 8
	Parity   byte // 'N', 'E', 'O', 'M' or 'S'
	StopBits int  // 1 or 2
}

// ParseFrame reads the usual short form, such as "8N1", "7E1" or "8N2".
func ParseFrame(s string) (Frame, error) {
	bad := fmt.Errorf("frame %q: want data bits 5 to 8, parity N, E, O, M or S, and 1 or 2 stop bits, as in 8N1", s)
	if len(s) != 3 {
		return Frame{}, bad
	}
	f := Frame{DataBits: int(s[0]) - '0', Parity: strings.ToUpper(s)[1], StopBits: int(s[2]) - '0'}
	if !f.valid() {
		return Frame{}, bad
	}
	return f, nil
}

func (f Frame) valid() bool {
	return f.DataBits >= 5 && f.DataBits <= 8 && strings.IndexByte("NEOMS", f.Parity) >= 0 &&
		(f.StopBits == 1 || f.StopBits == 2)
}

// String gives the short form.
func (f Frame) String() string { return fmt.Sprintf("%d%c%d", f.DataBits, f.Parity, f.StopBits) }

func (f Frame) mode(baud int) *bugst.Mode {
	parity := map[byte]bugst.Parity{'N': bugst.NoParity, 'E': bugst.EvenParity, 'O': bugst.OddParity,
		'M': bugst.MarkParity, 'S': bugst.SpaceParity}
	stop := bugst.OneStopBit
	if f.StopBits == 2 {
		stop = bugst.TwoStopBits
	}
	// No InitialStatusBits: the modem lines are left as opening puts them.
	return &bugst.Mode{BaudRate: baud, DataBits: f.DataBits, Parity: parity[f.Parity], StopBits: stop}
}

// Limits of a configuration.
const (
	minBaud      = 50
	maxBaud      = 20_000_000
	maxBreak     = 10 * time.Second
	defaultAway  = 30 * time.Second
	defaultWrite = 10 * time.Second
)

// Config describes one port.
type Config struct {
	// Part is the port's name in results, such as "console.main". Required.
	Part wire.Part
	// Path is the device. A name that stays with the adapter
	// (/dev/serial/by-id/…, or by-path for adapters that share a serial number)
	// is what lets the port be found again after an unplug. Required, absolute.
	Path string
	// Baud is the rate in bit/s, 50 to 20,000,000. Required.
	Baud int
	// Frame of the characters. The zero value is 8N1.
	Frame Frame
	// NoBreak says that the UART sends no break, and does not say so itself: a Raspberry
	// Pi's mini UART, an emulated adapter.
	NoBreak bool
	// Away is how long an adapter that was unplugged may stay away before Read
	// ends with a *wire.Fault. Zero is 30 s, a negative value waits for none.
	Away time.Duration
	// Event, when set, is told of each loss and return of the adapter, from the
	// goroutine that reads. It must not block.
	Event func(Event)
}

// Event is a change of the port itself. What the DUT sent between a loss and
// the return is not in what is read.
type Event struct {
	At       time.Time
	Attached bool
	Err      error // why it was lost
}

// Validate says what is wrong with the configuration, all at once.
func (c Config) Validate() error {
	var errs []error
	if c.Part == "" {
		errs = append(errs, errors.New("the port has no part name"))
	}
	if !filepath.IsAbs(c.Path) || strings.ContainsRune(c.Path, 0) {
		errs = append(errs, fmt.Errorf("port %q: want the absolute path of a device", c.Path))
	}
	if err := checkBaud(c.Baud); err != nil {
		errs = append(errs, err)
	}
	if c.Frame != (Frame{}) && !c.Frame.valid() {
		errs = append(errs, fmt.Errorf("frame %v is unknown", c.Frame))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("port %q: %w", c.Part, err)
	}
	return nil
}

func checkBaud(baud int) error {
	if baud < minBaud || baud > maxBaud {
		return fmt.Errorf("baud %d: want %d to %d", baud, minBaud, maxBaud)
	}
	return nil
}
