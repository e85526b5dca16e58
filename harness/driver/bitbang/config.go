// Package bitbang drives the pads of a debug port that somebody else simulates or
// wires, over OpenOCD's remote-bitbang protocol: one letter for each change of the
// wires, one digit back for each that is read. We are its client, as OpenOCD is.
//
// Source: OpenOCD's developer's guide, "remote_bitbang", with its SWD letters.
package bitbang

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"rigor/harness/wire"
)

// Role is what a wire is to the protocol, which knows these wires and no others.
type Role string

// The roles.
const (
	TCK   Role = "tck"
	TMS   Role = "tms"
	TDI   Role = "tdi"
	TDO   Role = "tdo"
	TRST  Role = "trst" // active low, as the pad is: a low pad is the protocol's 1
	SRST  Role = "srst" // active low too
	SWCLK Role = "swclk"
	SWDIO Role = "swdio"
)

// Roles gives all of them, in the protocol's order.
func Roles() []Role { return []Role{TCK, TMS, TDI, TDO, TRST, SRST, SWCLK, SWDIO} }

// Pad is one wire under the wiring's own name.
type Pad struct {
	Name string // such as "J3.2"; "" is the role's own name
	Role Role
}

// Limits of Config.
const (
	defaultTimeout = 5 * time.Second
	maxTimeout     = time.Minute
)

// Config describes a connection.
type Config struct {
	// Part is the pads' name in results, such as "pads". Required.
	Part wire.Part
	// Address is host:port, or unix:PATH of a socket. Required.
	Address string
	// Pads are the wires in the order of Pins. Required, each role once.
	Pads []Pad
	// Timeout bounds the connecting, and each wait for the peer to take letters or to
	// give an answer, up to 1 min. Zero is 5 s.
	Timeout time.Duration
}

// Validate says what is wrong with the configuration, all at once.
func (c Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Part == "" {
		add("the pads have no part name")
	}
	if path, unix := strings.CutPrefix(c.Address, "unix:"); unix {
		if path == "" {
			add("address %q: want unix:PATH", c.Address)
		}
	} else if _, port, err := net.SplitHostPort(c.Address); err != nil || port == "" {
		add("address %q: want host:port or unix:PATH", c.Address)
	}
	if c.Timeout < 0 || c.Timeout > maxTimeout {
		add("timeout %v: want up to %v", c.Timeout, maxTimeout)
	}
	if len(c.Pads) == 0 {
		add("no pads: want some of %v", Roles())
	}
	names, roles := map[string]bool{}, map[Role]bool{}
	for _, p := range c.Pads {
		if !slices.Contains(Roles(), p.Role) {
			add("pad %q: role %q: want one of %v", p.Name, p.Role, Roles())
			continue
		}
		if roles[p.Role] {
			add("two pads are %s: the protocol has one", p.Role)
		}
		if names[p.name()] {
			add("two pads are called %q", p.name())
		}
		roles[p.Role], names[p.name()] = true, true
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remote bitbang %q: %w", c.Part, err)
	}
	return nil
}

func (p Pad) name() string {
	if p.Name == "" {
		return string(p.Role)
	}
	return p.Name
}
