package tlshello

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"rigor/harness/verdict"
)

// Types of records and of handshake messages.
const (
	recAlert     = 21
	recHandshake = 22

	msgServerHello = 2
	msgExchange    = 12
	msgDone        = 14
)

// maxRead bounds what is read of a server's answer: certificates of many KB come
// before its part of the key exchange.
const maxRead = 128 << 10

// Answer is what a server made of a hello.
type Answer struct {
	// Kind is Accepted for a ServerHello, Refused for an alert, Incompatible for a
	// connection that the server closed instead of an answer, Silent and Garbled.
	Kind    verdict.Kind
	Version uint16 // that the server chose
	Suite   uint16
	Deflate bool
	// Renegotiation says that the server renegotiates as RFC 5746 has it, or not
	// at all.
	Renegotiation bool
	Alert         byte // number of the alert
	GroupBits     int  // size of the server's Diffie-Hellman group; 0 where it showed none
	Curve         uint16
	Raw           []byte // what came, cut to 4 KB
}

// String says it in one line.
func (a Answer) String() string {
	switch a.Kind {
	case verdict.Accepted:
		s := fmt.Sprintf("the server takes %s with %s", Version(a.Version), SuiteName(a.Suite))
		if a.GroupBits > 0 {
			s += fmt.Sprintf(", a group of %d bits", a.GroupBits)
		}
		return s
	case verdict.Refused:
		return fmt.Sprintf("the server says no, by alert %d", a.Alert)
	case verdict.Incompatible:
		return "the server closes the connection in place of an answer"
	case verdict.Silent:
		return "the server does not answer"
	}
	return fmt.Sprintf("the answer is no TLS: %.40q", a.Raw)
}

// Ask sends a hello and reads the answer. The error is the end of ctx alone: what the
// connection does is the server's answer.
func Ask(ctx context.Context, c net.Conn, h Hello, within time.Duration) (Answer, error) {
	var noise [64]byte
	_, _ = rand.Read(noise[:]) // it never fails, by its documentation
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	err := c.SetDeadline(time.Now().Add(within))
	if err == nil {
		_, err = c.Write(h.Bytes(noise))
	}
	var seen []byte
	buf := make([]byte, 8<<10)
	for err == nil {
		var n int
		n, err = c.Read(buf)
		seen = append(seen, buf[:n]...)
		if a, done := Parse(seen, h.Exchange); done || len(seen) > maxRead {
			return a, nil
		}
	}
	if ctx.Err() != nil {
		return Answer{}, fmt.Errorf("ask for %s: %w", Version(h.Version), context.Cause(ctx))
	}
	a, _ := Parse(seen, false)
	switch {
	case a.Kind == verdict.Accepted: // it went away in the middle of its flight
	case errors.Is(err, os.ErrDeadlineExceeded) && len(seen) == 0:
		a.Kind = verdict.Silent
	case len(seen) == 0:
		a.Kind = verdict.Incompatible
	default:
		a.Kind = verdict.Garbled
	}
	return a, nil
}

// Parse reads the beginning of what a server says, and whether it is enough. With
// exchange it is enough at the server's part of the key exchange or the end of its
// flight. What is not TLS is Garbled.
func Parse(b []byte, exchange bool) (a Answer, done bool) {
	a.Raw = append([]byte(nil), b[:min(len(b), 4<<10)]...)
	garbled := func() (Answer, bool) {
		if a.Kind != verdict.Accepted { // its choice was made
			a.Kind = verdict.Garbled
		}
		return a, true
	}
	var msgs []byte
	for len(b) >= 5 {
		n := int(binary.BigEndian.Uint16(b[3:]))
		if b[1] != 3 || n == 0 || n > 1<<14+2048 || b[0] != recAlert && b[0] != recHandshake {
			if a.Kind == verdict.Accepted && b[1] == 3 { // TLS 1.3 goes on in other records
				return a, true
			}
			return garbled()
		}
		if len(b) < 5+n {
			break
		}
		body := b[5 : 5+n]
		kind := b[0]
		b = b[5+n:]
		if kind == recAlert {
			if n != 2 {
				return garbled()
			}
			if body[0] == 1 && body[1] != 0 { // a warning, such as an unknown name: it goes on
				continue
			}
			if a.Kind != verdict.Accepted {
				a.Kind, a.Alert = verdict.Refused, body[1]
			}
			return a, true
		}
		msgs = append(msgs, body...)
		var ok, enough bool
		if msgs, ok, enough = a.messages(msgs, exchange); !ok {
			return garbled()
		}
		if enough {
			return a, true
		}
	}
	return a, false
}

// messages takes whole handshake messages in and gives what is left over.
func (a *Answer) messages(b []byte, exchange bool) (rest []byte, ok, enough bool) {
	for len(b) >= 4 {
		n := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		if n > maxRead {
			return b, false, false
		}
		if len(b) < 4+n {
			return b, true, false
		}
		body := b[4 : 4+n]
		switch kind := b[0]; {
		case kind == msgServerHello && a.Kind == "":
			if !a.serverHello(body) {
				return b, false, false
			}
			if !exchange || a.Version >= TLS13 {
				return b, true, true
			}
		case a.Kind != verdict.Accepted: // it has to begin with its hello
			return b, false, false
		case kind == msgExchange:
			a.exchange(body)
			return b, true, true
		case kind == msgDone:
			return b, true, true
		}
		b = b[4+n:]
	}
	return b, true, false
}

func (a *Answer) serverHello(b []byte) bool {
	if len(b) < 2+32+1 {
		return false
	}
	version, id := binary.BigEndian.Uint16(b), int(b[34])
	if b = b[35:]; len(b) < id+3 || id > 32 {
		return false
	}
	b = b[id:]
	suite, compression := binary.BigEndian.Uint16(b), b[2]
	b = b[3:]
	if len(b) > 0 {
		if len(b) < 2 || int(binary.BigEndian.Uint16(b)) != len(b)-2 {
			return false
		}
		b = b[2:]
	}
	for len(b) > 0 {
		if len(b) < 4 {
			return false
		}
		kind, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < 4+n {
			return false
		}
		switch body := b[4 : 4+n]; kind {
		case extVersions:
			if n != 2 {
				return false
			}
			version = binary.BigEndian.Uint16(body)
		case extRenegotiation:
			a.Renegotiation = true
		}
		b = b[4+n:]
	}
	a.Kind, a.Version, a.Suite, a.Deflate = verdict.Accepted, version, suite, compression == 1
	return true
}

// exchange reads the size of the server's group, where the suite has one.
func (a *Answer) exchange(b []byte) {
	switch {
	case len(b) >= 3 && b[0] == 3 && isCurved(a.Suite): // a named curve
		a.Curve = binary.BigEndian.Uint16(b[1:])
	case len(b) >= 2 && !isCurved(a.Suite):
		n := int(binary.BigEndian.Uint16(b))
		if n == 0 || len(b) < 2+n {
			return
		}
		p := b[2 : 2+n]
		for len(p) > 0 && p[0] == 0 {
			p = p[1:]
		}
		for i := 7; i >= 0 && len(p) > 0; i-- {
			if p[0]>>i != 0 {
				a.GroupBits = 8*(len(p)-1) + i + 1
				break
			}
		}
	}
}

// isCurved says whether a suite has its key exchange on a curve: all that do have
// their numbers in two blocks of the registry.
func isCurved(suite uint16) bool {
	return suite >= 0xc001 && suite <= 0xc019 || suite >= 0xc023 && suite <= 0xc032 || suite >= 0xc033 && suite <= 0xc03b ||
		suite >= 0xc0ac && suite <= 0xc0af || suite == 0xcca8 || suite == 0xcca9
}
