// Package mqtt tries logins at an MQTT broker, 3.1.1 or 5.0, and proves access by
// a topic: a CONNACK that says success is not yet access.
//
// The packets are our own: the clients of the Eclipse project speak one of the
// two versions each, reconnect by themselves, and make room for as much as a
// broker says it will send before it has.
package mqtt

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"rigor/harness/login"
	"rigor/harness/login/internal/stream"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// Versions of the protocol.
const (
	V311 = "3.1.1"
	V5   = "5"
)

// Config is how to reach the broker and what proves access to it.
type Config struct {
	Dialer  wire.Dialer
	Address string // host:port
	TLS     bool
	Timeout time.Duration // of one try; login.DefaultTimeout where it is 0
	Version string        // V311 where it is empty
	// ClientID names the client. Where it is empty each try has a name of its own,
	// and where the broker does not take that, the user's.
	ClientID string

	// Topic is what only who is logged in can read. Without a Proof it is enough
	// that the broker grants the subscription; with one, a message has to come that
	// matches: a retained one, or one that comes within a third of the try's time.
	Topic string
	Proof *regexp.Regexp

	Texts login.Texts // the maker's words, asked before the built-in ones
}

// Prober makes tries at one broker. It holds no connection.
type Prober struct {
	cfg   Config
	texts login.Texts
}

// New checks the configuration.
func New(cfg Config) (*Prober, error) {
	cfg.Version = cmp.Or(cfg.Version, V311)
	if err := cfg.stream().Check("mqtt"); err != nil {
		return nil, err
	}
	if cfg.Version != V311 && cfg.Version != V5 {
		return nil, fmt.Errorf("mqtt: unknown version %q: %w", cfg.Version, login.ErrConfig)
	}
	if cfg.Topic == "" {
		return nil, fmt.Errorf("mqtt: no topic proves access: %w", login.ErrConfig)
	}
	return &Prober{cfg: cfg, texts: login.DefaultTexts().With(cfg.Texts)}, nil
}

func (c *Config) stream() stream.Config {
	return stream.Config{Dialer: c.Dialer, Address: c.Address, TLS: c.TLS, Timeout: c.Timeout}
}

// Try makes one attempt with one credential.
func (p *Prober) Try(ctx context.Context, c login.Credential) (login.Outcome, error) {
	return stream.Once(p.Open(ctx, c))
}

// Open logs in and stays. Only an Accepted outcome has an Access.
func (p *Prober) Open(ctx context.Context, c login.Credential) (login.Access, login.Outcome, error) {
	if c.NoUser && !c.NoPassword && p.cfg.Version == V311 {
		return nil, login.Outcome{Kind: verdict.Incompatible, Detail: "MQTT 3.1.1 carries no password without a user name"}, nil
	}
	id := cmp.Or(p.cfg.ClientID, "rigor-"+rand.Text()[:12])
	s := &speaker{p: p, id: id}
	access, o, err := stream.Open(ctx, "MQTT", p.cfg.stream(), c, s)
	if err == nil && s.unnamed && p.cfg.ClientID == "" && c.User != "" {
		// Some brokers know their clients by the name of the user.
		s = &speaker{p: p, id: c.User}
		access, o, err = stream.Open(ctx, "MQTT", p.cfg.stream(), c, s)
	}
	return access, o, err
}

// speaker leads one connection.
type speaker struct {
	p       *Prober
	id      string
	cred    login.Credential
	number  uint16 // of the last packet of ours that has one
	unnamed bool   // the broker refused our name
}

func (s *speaker) five() bool { return s.p.cfg.Version == V5 }

// hello is the CONNECT packet (section 3.1). The session is a clean one and lasts
// until its end, however long nothing is said.
func (s *speaker) hello() packet {
	level, flags := byte(4), byte(0x02)
	if s.five() {
		level = 5
	}
	if !s.cred.NoUser {
		flags |= 0x80
	}
	if !s.cred.NoPassword {
		flags |= 0x40
	}
	body := append(appendText(nil, "MQTT"), level, flags, 0, 0)
	if s.five() {
		body = append(body, 0) // no properties
	}
	body = appendText(body, s.id)
	if !s.cred.NoUser {
		body = appendText(body, s.cred.User)
	}
	if !s.cred.NoPassword {
		body = appendText(body, s.cred.Password)
	}
	return packet{kind: connect, body: body}
}

// Login connects. The outcome's kind stays empty where the broker says success.
func (s *speaker) Login(c *stream.Conn, cred login.Credential, o *login.Outcome) error {
	s.cred = cred
	o.Fact(login.FactMethod, s.method())
	if _, err := c.Write(s.hello().bytes()); err != nil {
		return fmt.Errorf("send a CONNECT: %w", err)
	}
	o.Sent = true
	got, err := readPacket(c.R)
	if err != nil {
		return err
	}
	switch got.kind {
	case connack:
		a, err := parseConnack(got.body, s.five())
		if err != nil {
			return err
		}
		s.connected(o, a)
	case disconnect:
		a, err := parseDisconnect(got.body)
		if err != nil {
			return err
		}
		s.connected(o, a)
	case auth:
		o.Set(verdict.Incompatible, "the broker asks for another exchange than user name and password")
	default:
		return stream.Foreign("a packet of the type %d in place of a CONNACK", got.kind)
	}
	return nil
}

func (s *speaker) method() string {
	switch {
	case s.cred.Anonymous():
		return "none"
	case s.cred.NoPassword:
		return "user alone"
	}
	return "user and password"
}

// codes are what a CONNACK of MQTT 3.1.1 says (section 3.2.2.3), and by the codes
// from 128 on what one of MQTT 5 does (section 3.2.2.2).
var codes = map[byte]struct {
	kind verdict.Kind
	text string
}{
	1: {verdict.Incompatible, "unacceptable protocol version"},
	2: {verdict.Refused, "identifier rejected"},
	3: {verdict.Throttled, "server unavailable"},
	4: {verdict.Refused, "bad user name or password"},
	5: {verdict.Refused, "not authorised"},

	0x81: {verdict.Incompatible, "malformed packet"},
	0x82: {verdict.Incompatible, "protocol error"},
	0x83: {verdict.Unproven, "implementation specific error"},
	0x84: {verdict.Incompatible, "unsupported protocol version"},
	0x85: {verdict.Refused, "identifier not valid"},
	0x86: {verdict.Refused, "bad user name or password"},
	0x87: {verdict.Refused, "not authorised"},
	0x88: {verdict.Throttled, "server unavailable"},
	0x89: {verdict.Throttled, "server busy"},
	0x8a: {verdict.LockedOut, "banned"},
	0x8b: {verdict.Throttled, "server shutting down"},
	0x8c: {verdict.Incompatible, "bad authentication method"},
	0x97: {verdict.Throttled, "quota exceeded"},
	0x9c: {verdict.Incompatible, "use another server"},
	0x9d: {verdict.Incompatible, "server moved"},
	0x9f: {verdict.Throttled, "connection rate exceeded"},
}

// connected judges the answer to a CONNECT.
func (s *speaker) connected(o *login.Outcome, a answer) {
	o.Fact(login.FactElsewhere, a.server)
	if a.code == 0 {
		return
	}
	known, ok := codes[a.code]
	if !ok {
		o.Set(verdict.Unproven, "the broker answers with the code %d, which says nothing of the login", a.code)
	} else {
		o.Set(known.kind, "the broker answers %d, %s", a.code, known.text)
	}
	if a.reason != "" {
		o.Detail += fmt.Sprintf(": %.200q", a.reason)
		if kind, _ := s.p.texts.Read([]byte(a.reason), nil); kind != "" && o.Kind != verdict.Incompatible {
			o.Kind = kind
		}
		o.RetryAfter = login.Wait([]byte(a.reason))
	}
	s.unnamed = a.code == 2 || a.code == 0x85
}

// subscribe asks for the topic.
func (s *speaker) subscribe(c *stream.Conn) error {
	s.number++
	body := []byte{byte(s.number >> 8), byte(s.number)}
	if s.five() {
		body = append(body, 0) // no properties
	}
	body = append(appendText(body, s.p.cfg.Topic), 0) // at most once
	if _, err := c.Write(packet{kind: subscribe, flags: 2, body: body}.bytes()); err != nil {
		return fmt.Errorf("send a SUBSCRIBE: %w", err)
	}
	return nil
}

// Prove subscribes the topic, which the broker has to grant, and where a message
// is declared, waits for it.
func (s *speaker) Prove(c *stream.Conn, o *login.Outcome) error {
	if err := s.subscribe(c); err != nil {
		return err
	}
	granted, early := false, false
	defer c.Shorten(c.Left() / 3)()
	for {
		got, err := readPacket(c.R)
		switch {
		case granted && login.TimedOut(err):
			o.Set(verdict.Unproven, "connected and subscribed to %s, and no message came that shows access", s.p.cfg.Topic)
			return nil
		case errors.Is(err, io.EOF):
			// 3.1.1 has no other way to say that a subscription is not allowed.
			s.denied(o, "closed the connection in place of an answer to the subscription of "+s.p.cfg.Topic)
			return nil
		case err != nil:
			return err
		}
		switch got.kind {
		case suback:
			a, err := parseSuback(got.body, s.five())
			if err != nil {
				return err
			}
			if a.code > 2 {
				s.denied(o, fmt.Sprintf("does not grant the subscription of %s (code %d)", s.p.cfg.Topic, a.code))
				return nil
			}
			if granted = true; s.p.cfg.Proof == nil || early {
				s.opened(o, "granted the subscription of "+s.p.cfg.Topic)
				return nil
			}
		case publish:
			topic, payload, err := parsePublish(got, s.five())
			if err != nil {
				return err
			}
			if s.p.cfg.Proof == nil || !s.p.cfg.Proof.Match(payload) {
				continue
			}
			if granted {
				s.opened(o, fmt.Sprintf("sent a message of %.100q", topic))
				return nil
			}
			// A message may come before the grant (3.1.1, section 3.8.4). In a session
			// that was open before, it may be one that nobody had read.
			early = s.number == 1
		case disconnect:
			a, err := parseDisconnect(got.body)
			if err != nil {
				return err
			}
			s.denied(o, fmt.Sprintf("disconnected in place of an answer to the subscription of %s (code %d)", s.p.cfg.Topic, a.code))
			return nil
		case pingresp:
		default:
			return stream.Foreign("a packet of the type %d in place of a SUBACK", got.kind)
		}
	}
}

// denied is for a login that was taken and a topic that was not given. Who offered
// nothing is refused with that; a login may still be a valid one.
func (s *speaker) denied(o *login.Outcome, how string) {
	if s.cred.Anonymous() {
		o.Set(verdict.Refused, "the broker lets anybody connect, and %s", how)
		return
	}
	o.Set(verdict.Unproven, "the broker took the login, and %s", how)
}

func (s *speaker) opened(o *login.Outcome, how string) {
	o.Fact(login.FactProof, s.p.cfg.Topic)
	o.Set(verdict.Accepted, "the broker took the login, and %s", how)
	if s.cred.Anonymous() {
		o.Detail = "the broker lets anybody connect, and " + how
	}
}

// Leave disconnects (section 3.14).
func (s *speaker) Leave(c *stream.Conn) {
	_, _ = c.Write(packet{kind: disconnect}.bytes()) // a connection that is gone needs no goodbye
}
