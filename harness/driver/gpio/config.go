// Package gpio drives single wires of the DUT through periph.io pins: a line
// that is asserted by driving it and released by letting it float, and a relay
// that switches the DUT's supply.
package gpio

import (
	"errors"
	"fmt"
	"time"

	periph "periph.io/x/conn/v3/gpio"

	"rigor/harness/wire"
)

// Active is the level at which a line counts as asserted. The zero value is
// invalid: a polarity that nobody declared is never guessed.
type Active uint8

// The polarities.
const (
	ActiveLow Active = iota + 1
	ActiveHigh
)

// ParseActive reads "low" or "high".
func ParseActive(s string) (Active, error) {
	switch s {
	case "low":
		return ActiveLow, nil
	case "high":
		return ActiveHigh, nil
	}
	return 0, fmt.Errorf("active %q: want low or high", s)
}

// String gives "low" or "high".
func (a Active) String() string {
	switch a {
	case ActiveLow:
		return "low"
	case ActiveHigh:
		return "high"
	}
	return fmt.Sprintf("Active(%d)", uint8(a))
}

// level is the electrical level of the asserted line.
func (a Active) level() periph.Level { return periph.Level(a == ActiveHigh) }

// Drive is how a line is put to its levels.
type Drive uint8

// The ways to drive a line. All of them release it by turning the pin into an
// input, so that the wiring alone sets the idle level.
const (
	// PushPull drives either polarity. It is the zero value.
	PushPull Drive = iota
	// OpenDrain only ever pulls low: an active-low line that others may pull as well.
	OpenDrain
	// OpenSource only ever pulls high.
	OpenSource
)

// ParseDrive reads "push-pull", "open-drain" or "open-source".
func ParseDrive(s string) (Drive, error) {
	for d := PushPull; d <= OpenSource; d++ {
		if d.String() == s {
			return d, nil
		}
	}
	return 0, fmt.Errorf("drive %q: want push-pull, open-drain or open-source", s)
}

// String gives the name that ParseDrive reads.
func (d Drive) String() string {
	switch d {
	case PushPull:
		return "push-pull"
	case OpenDrain:
		return "open-drain"
	case OpenSource:
		return "open-source"
	}
	return fmt.Sprintf("Drive(%d)", uint8(d))
}

// ParsePull reads "none", "up" or "down": the resistor of our own pin while
// the line is released.
func ParsePull(s string) (periph.Pull, error) {
	switch s {
	case "none":
		return periph.Float, nil
	case "up":
		return periph.PullUp, nil
	case "down":
		return periph.PullDown, nil
	}
	return 0, fmt.Errorf("pull %q: want none, up or down", s)
}

// Limits of Config.Poll.
const (
	minPoll     = 100 * time.Microsecond
	maxPoll     = time.Second
	defaultPoll = time.Millisecond
)

// Config describes one line.
type Config struct {
	// Part is the line's name in results, such as "line.reset". Required.
	Part wire.Part
	// Active is the polarity. Required.
	Active Active
	// Drive is the output stage.
	Drive Drive
	// Pull is the resistor of our pin while it is an input. The zero value is no
	// resistor: the wiring decides.
	Pull periph.Pull
	// HoldIdle drives the idle level after a release, in place of letting the
	// pin float, for a relay input that has no pull of its own. It needs
	// PushPull. The pin is still an input until the line is first asserted and
	// after Close, so that the rig's rest is the wiring's.
	HoldIdle bool
	// Poll is how often the level is read while waiting on a pin that has no
	// edge detection, 100 µs to 1 s. Zero is 1 ms.
	Poll time.Duration
}

// Validate says what is wrong with the configuration, all at once.
func (c Config) Validate() error {
	var errs []error
	if c.Part == "" {
		errs = append(errs, errors.New("the line has no part name"))
	}
	if c.Active != ActiveLow && c.Active != ActiveHigh {
		errs = append(errs, errors.New("active is missing: want low or high"))
	}
	switch c.Drive {
	case PushPull:
	case OpenDrain:
		if c.Active == ActiveHigh {
			errs = append(errs, errors.New("an open-drain line can only pull low: want active low, or open-source"))
		}
	case OpenSource:
		if c.Active == ActiveLow {
			errs = append(errs, errors.New("an open-source line can only pull high: want active high, or open-drain"))
		}
	default:
		errs = append(errs, fmt.Errorf("drive %v is unknown", c.Drive))
	}
	if c.HoldIdle && c.Drive != PushPull {
		errs = append(errs, fmt.Errorf("an %v line cannot hold its idle level: want push-pull", c.Drive))
	}
	if c.Pull > periph.PullUp {
		errs = append(errs, fmt.Errorf("pull %v is unknown", c.Pull))
	}
	if c.Poll != 0 && (c.Poll < minPoll || c.Poll > maxPoll) {
		errs = append(errs, fmt.Errorf("poll %v: want %v to %v", c.Poll, minPoll, maxPoll))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("line %q: %w", c.Part, err)
	}
	return nil
}
