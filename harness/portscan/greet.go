package portscan

import (
	"context"
	"fmt"
	"time"

	"rigor/harness/wire"
)

// How long an open port is listened to, before it is asked and afterwards.
const (
	greetFirst = 700 * time.Millisecond
	greetMore  = 100 * time.Millisecond
	greetMost  = 2048 // bytes
)

// Greeting gives what a port of TCP says by itself; where it says nothing, what it
// answers to an empty line, and then to a request of HTTP. None of these asks for
// anything that alters. The error is the rig's own trouble or the end of ctx: a
// port that says nothing gives nothing.
func Greeting(ctx context.Context, d wire.Dialer, host string, port int) (said []byte, to string, err error) {
	for _, q := range []struct{ to, text string }{
		{"by itself", ""},
		{"to an empty line", "\r\n"},
		{"to a request of HTTP", "GET / HTTP/1.0\r\n\r\n"},
	} {
		said, err := greet(ctx, d, join(host, port), q.text)
		if err != nil || len(said) > 0 {
			return said, q.to, err
		}
	}
	return nil, "", nil
}

func greet(ctx context.Context, d wire.Dialer, address, text string) ([]byte, error) {
	one, cancel := context.WithTimeout(ctx, DefaultMost)
	defer cancel()
	c, err := d.DialContext(one, "tcp", address)
	if err != nil {
		if a := classify(ctx, err); a.err != nil {
			return nil, fmt.Errorf("listen to %s: %w", address, a.err)
		}
		return nil, nil // it is not there any more
	}
	defer func() { _ = c.Close() }() // it was only listened to
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	if text != "" {
		if _, err := c.Write([]byte(text)); err != nil {
			return nil, context.Cause(ctx)
		}
	}
	var said []byte
	buf := make([]byte, greetMost)
	for wait := greetFirst; len(said) < greetMost; wait = greetMore {
		if c.SetReadDeadline(time.Now().Add(wait)) != nil {
			break
		}
		n, err := c.Read(buf)
		said = append(said, buf[:n]...)
		if err != nil {
			break // silence or the end: it has said what it says
		}
	}
	return said, context.Cause(ctx)
}
