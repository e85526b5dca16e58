package snmp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"rigor/harness/login"
	"rigor/harness/verdict"
)

// exchange is what one reading asks and hears.
type exchange struct {
	s      *session
	win    context.Context
	o      *login.Outcome
	said   []byte // in words: numbers of messages and clocks are others each time
	sent   int    // datagrams
	broken int    // answers that nobody knows
}

// bind has every read and write fail once the window is over.
func (x *exchange) bind() (release func()) { return login.Bind(x.win, x.s.conn) }

// sends is how often a question is sent: a datagram may be lost, and what is lost
// must not be taken for a no.
const sends = 3

// ask sends a datagram and gives the answer that is taken, sending it again where
// none comes. An error is a socket that broke, or the end of the window.
func (x *exchange) ask(datagram []byte, take func(whole []byte, m message) bool) error {
	deadline, ok := x.win.Deadline()
	if !ok {
		deadline = time.Now().Add(x.s.p.cfg.Timeout)
	}
	step := time.Until(deadline) / sends
	buf := make([]byte, 64<<10)
	for try := 1; ; try++ {
		if _, err := x.s.conn.Write(datagram); err != nil {
			return fmt.Errorf("send a datagram: %w", err)
		}
		x.sent++
		until := deadline
		if try < sends {
			until = time.Now().Add(step)
		}
		if err := x.s.conn.SetReadDeadline(until); err != nil {
			return fmt.Errorf("set a deadline: %w", err)
		}
		for {
			if x.win.Err() != nil { // the deadline that its end has set is ours to keep
				return context.Cause(x.win)
			}
			n, err := x.s.conn.Read(buf)
			if err != nil {
				if login.TimedOut(err) && x.win.Err() == nil && try < sends {
					break
				}
				return err
			}
			whole := bytes.Clone(buf[:n])
			m, err := parse(whole)
			if err != nil {
				x.broken++
				x.hear("noise: %.200q", whole)
				continue
			}
			if take(whole, m) {
				return nil
			}
		}
	}
}

// hear notes what the agent said.
func (x *exchange) hear(format string, args ...any) {
	if len(x.said) < login.MaxEvidence {
		x.said = append(fmt.Appendf(x.said, format, args...), '\n')
	}
}

func (x *exchange) hearPDU(p pdu) {
	if p.kind == pduReport { // its value is a counter
		x.hear("report: %s", p.name)
		return
	}
	x.hear("response: error %d, %s = %.400q", p.status, p.name, shown(p.tag, p.value))
}

// community asks in version 1 or 2c.
func (x *exchange) community() error {
	version := 1
	if x.s.p.cfg.Version == V1 {
		version = 0
	}
	name := x.s.cred.Password
	if x.s.cred.NoPassword {
		name = ""
	}
	request := number31()
	x.o.Sent = true
	return x.ask(community(version, name, getPDU(request, x.s.p.object)), func(_ []byte, m message) bool {
		if m.version != version || m.pdu.request != request || m.pdu.kind != pduResponse {
			return false
		}
		x.hearPDU(m.pdu)
		x.judge(m.pdu, verdict.Refused)
		return true
	})
}

// number31 gives a number for a message or a request.
func number31() int { return rand.IntN(1<<31-1) + 1 } //nolint:gosec // it tells answers apart, and is no secret

// Reports of an agent (RFC 3414, section 5; RFC 3412, section 5; RFC 3413, section
// 4.1.2).
const (
	usmStats       = "1.3.6.1.6.3.15.1.1."
	statSecLevel   = usmStats + "1.0"
	statTimeWindow = usmStats + "2.0"
	statUser       = usmStats + "3.0"
	statEngine     = usmStats + "4.0"
	statDigest     = usmStats + "5.0"
	statDecryption = usmStats + "6.0"
)

// errUnsigned says that an answer does not show that it is the agent's.
var errUnsigned = errors.New("an answer without the digest that it needs")

// version3 finds the engine, where it is not known, and asks.
func (x *exchange) version3() error {
	s := x.s
	if s.engine == nil {
		if err := x.discover(); err != nil || x.o.Kind != "" {
			return err
		}
	}
	late, err := x.askAs()
	if err == nil && late { // the engine's clock is another one than it said
		if late, err = x.askAs(); err == nil && late {
			x.o.Set(verdict.Unproven, "the agent took the digest, and says again that its clock is another one")
		}
	}
	return err
}

// discover asks for the engine (RFC 3414, section 4).
func (x *exchange) discover() error {
	s := x.s
	id := number31()
	hello := usm{id: id, flags: flagReport, scoped: scopedPDU(nil, tlv(pduGet, number(id), number(0), number(0), tlv(tagSequence)))}
	return x.ask(hello.bytes(), func(_ []byte, m message) bool {
		// An engine's name has 5 to 32 bytes (RFC 3411, section 5).
		if m.version != 3 || m.usm.id != id || len(m.usm.engine) < 5 || len(m.usm.engine) > 32 {
			return false
		}
		s.engine, s.boots, s.clock, s.set = m.usm.engine, m.usm.boots, m.usm.time, time.Now()
		x.o.Fact(login.FactServer, fmt.Sprintf("engine %x", s.engine))
		x.hear("engine: %x", s.engine)
		if !s.quiet() {
			s.auth = localKey(s.p.cfg.Digest, s.cred.Password, s.engine)
			s.priv, s.salt = s.auth, rand.Uint64() //nolint:gosec // it has to be another each time, and is no secret
		}
		return true
	})
}

// askAs asks for the object as the user. Late says that the agent's clock was
// another one, and is known now.
func (x *exchange) askAs() (late bool, err error) {
	s := x.s
	id := number31()
	u := usm{id: id, flags: flagReport, engine: s.engine, boots: s.boots, time: s.clock + int(time.Since(s.set)/time.Second)}
	if !s.cred.NoUser {
		u.user = []byte(s.cred.User)
	}
	u.scoped = scopedPDU(s.engine, getPDU(id, s.p.object))
	var datagram []byte
	switch {
	case s.quiet():
		datagram = u.bytes()
	default:
		u.flags |= flagAuth
		if s.p.cfg.Cipher != "" {
			u.flags |= flagPriv
			s.salt++
			u.priv = binary.BigEndian.AppendUint64(nil, s.salt)
			u.sealed = u.crypt(s.p.cfg.Cipher, s.priv, u.scoped, false)
		}
		datagram = u.sign(s.p.cfg.Digest, s.auth)
	}
	x.o.Sent = true
	err = x.ask(datagram, func(whole []byte, m message) bool {
		if m.version != 3 || m.usm.id != id {
			return false
		}
		p, err := x.open(whole, &m.usm)
		switch {
		case err != nil:
			x.broken++
			x.hear("not the agent's: %v", err)
			return false
		case p.kind == pduReport && p.name == statTimeWindow && m.usm.flags&flagAuth != 0:
			s.boots, s.clock, s.set, late = m.usm.boots, m.usm.time, time.Now(), true
		case p.kind == pduReport:
			x.hearPDU(p)
			x.report(p)
		case p.request == id:
			x.hearPDU(p)
			x.judge(p, x.notAllowed())
		default:
			return false
		}
		return true
	})
	return late, err
}

// open gives the PDU of an answer. One that answers a question with a digest has
// to have one; a report that there was no such user, or another password, cannot.
func (x *exchange) open(whole []byte, u *usm) (pdu, error) {
	s := x.s
	signed := u.flags&flagAuth != 0
	if signed && (s.auth == nil || !u.signed(s.p.cfg.Digest, s.auth, whole)) {
		return pdu{}, errUnsigned
	}
	scoped := u.scoped
	if u.sealed != nil {
		if !signed || s.p.cfg.Cipher == "" {
			return pdu{}, errUnsigned
		}
		if scoped = u.crypt(s.p.cfg.Cipher, s.priv, u.sealed, true); scoped == nil {
			return pdu{}, errBroken
		}
	}
	p, err := parseScoped(scoped)
	if err == nil && p.kind != pduReport && s.auth != nil && !signed {
		return p, errUnsigned
	}
	return p, err
}

// notAllowed is what an authorizationError means: to who showed no password, no;
// a password was right.
func (x *exchange) notAllowed() verdict.Kind {
	if x.s.quiet() {
		return verdict.Refused
	}
	return verdict.Unproven
}

// report judges a report.
func (x *exchange) report(p pdu) {
	set := func(k verdict.Kind, what string) { x.o.Set(k, "the agent reports %s", what) }
	switch p.name {
	case statUser:
		set(verdict.Refused, "an unknown user")
	case statDigest:
		set(verdict.Refused, "a wrong digest")
	case statSecLevel:
		set(verdict.Incompatible, "that it does not take this level of security from the user")
		if x.s.quiet() {
			x.o.Kind = verdict.Refused
		}
	case statDecryption:
		set(verdict.Unproven, "that it could not decrypt; the digest was right")
	case statTimeWindow:
		set(verdict.Unproven, "another clock, without the digest that would show it")
	case statEngine:
		set(verdict.Incompatible, "another engine than it named")
	default:
		set(verdict.Incompatible, fmt.Sprintf("%.80s", p.name))
	}
}

// judge judges a response. Denied is what an authorizationError means.
func (x *exchange) judge(p pdu, denied verdict.Kind) {
	cfg := &x.s.p.cfg
	switch {
	case p.status == 16: // authorizationError
		x.o.Set(denied, "the agent answers that access is not allowed (authorizationError)")
	case p.status == 2, p.tag == noObject, p.tag == noInstance, p.tag == endOfView:
		x.o.Set(verdict.Unproven, "the agent answers, and shows no %s", cfg.Object)
	case p.status != 0:
		x.o.Set(verdict.Unproven, "the agent answers with the error %d", p.status)
	case p.name != strings.TrimPrefix(cfg.Object, "."):
		x.o.Set(verdict.Garbled, "the agent answers with %.80q in place of %s", p.name, cfg.Object)
	case cfg.Proof != nil && !cfg.Proof.Match(shown(p.tag, p.value)):
		x.o.Set(verdict.Unproven, "the agent shows %s, and not as what it has to be", cfg.Object)
	default:
		x.o.Set(verdict.Accepted, "the agent shows %s", cfg.Object)
	}
}
