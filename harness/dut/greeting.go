package dut

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"rigor/harness/login"
	"rigor/harness/login/ssh"
	"rigor/harness/login/telnet"
	"rigor/harness/profile"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// For how long a service that says something by itself may pause until it counts as having
// said it. A device starts the program behind a port when somebody connects, looks names up,
// and says the one line long before the next: what its greeting ends with is waited for.
const (
	pauseAsked   = 300 * time.Millisecond // behind a prompt, or a whole greeting of SSH
	pauseCommand = 2 * time.Second        // behind what may be a shell's prompt, or a rule of "#"
	pauseOther   = time.Second            // of a service whose greeting has no end that is known
	startOther   = 5 * time.Second        // and until such one begins
	untilOver    = time.Hour              // the whole of a try: its end has not come
	greetingMost = 64 << 10               // bytes
)

// greeting reads what a service says by itself, for as long as one try at its login may take.
func (d *Device) greeting(ctx context.Context, l *profile.Login) ([]byte, error) {
	addr, err := d.Address(ctx, l.Port)
	if err != nil {
		return nil, err
	}
	dial, err := d.Dialer()
	if err != nil {
		return nil, err
	}
	c, err := dial.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	if l.Protocol == "telnet" { // many say nothing until their options are answered
		c = telnet.Text(c)
	}
	defer func() { _ = c.Close() }() // it was only listened to
	defer login.Bind(ctx, c)()
	defer d.waiting("what " + addr + " says by itself")()
	var seen []byte
	buf := make([]byte, 4096)
	within, cancel := login.Window(ctx, l.Within)
	defer cancel()
	end, _ := within.Deadline()
	for len(seen) < greetingMost {
		until := time.Now().Add(pause(l.Protocol, seen))
		if until.After(end) {
			until = end
		}
		if err := c.SetReadDeadline(until); err != nil {
			return nil, &wire.Fault{Part: PartLink, Op: "set a deadline", Err: err}
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		n, err := c.Read(buf)
		seen = append(seen, buf[:n]...)
		var silent net.Error
		switch {
		case err == nil:
			continue
		case errors.As(err, &silent) && silent.Timeout(): // it has said what it says
		case ctx.Err() == nil && pause(l.Protocol, seen) == untilOver:
			return nil, fmt.Errorf("listen to %s: the connection ended before its greeting did, behind %d bytes: %w", addr, len(seen), err)
		}
		return seen, context.Cause(ctx)
	}
	return seen, context.Cause(ctx)
}

// toldBySSH gives what SSH tells by itself, and what it tells who asks to be let in and
// offers nothing: the banner (RFC 4252, section 5.4) goes to each of them. The name is one
// that nobody has, so that the request counts against no account.
func (d *Device) toldBySSH(ctx context.Context, name string, l *profile.Login) ([]byte, error) {
	seen, err := d.greeting(ctx, l)
	if err != nil {
		return seen, err
	}
	dial, err := d.Dialer()
	if err != nil {
		return seen, err
	}
	p, err := d.ssh(ctx, l, dial, ssh.None)
	if err != nil {
		return seen, err
	}
	_, o, err := p.(*ssh.Prober).Methods(ctx, stranger)
	if err != nil {
		return seen, fmt.Errorf("hear what login %s tells who asks to be let in: %w", name, err)
	}
	if len(o.Evidence) > 0 {
		seen = append(append(seen, '\n'), o.Evidence...)
	}
	switch o.Kind {
	case verdict.Unreachable, verdict.Silent, verdict.Garbled, verdict.Incompatible:
		return seen, fmt.Errorf("hear what login %s tells who asks to be let in, within %v, behind %d bytes: %s: %s", name, l.Within, len(seen), o.Kind, o.Detail)
	}
	return seen, nil
}

// stranger is the name of an account that nobody has.
const stranger = "stranger"

// pause is for how long a service that has said this is listened to for more.
func pause(protocol string, seen []byte) time.Duration {
	switch protocol {
	case "telnet":
		switch telnet.Asks(seen) {
		case telnet.AsksLogin:
			return pauseAsked
		case telnet.AsksCommand:
			return pauseCommand
		case telnet.AsksNothing:
		}
		return untilOver
	case "ssh":
		// RFC 4253, section 4.2: other lines may come before the one with the version.
		at := bytes.Index(append([]byte("\n"), seen...), []byte("\nSSH-"))
		if at >= 0 && bytes.IndexByte(seen[at:], '\n') >= 0 {
			return pauseAsked
		}
		return untilOver
	}
	if len(seen) == 0 {
		return startOther
	}
	return pauseOther
}
