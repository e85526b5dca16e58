// Package snmp tries the communities of SNMP 1 and 2c, and the users of SNMP 3
// (the user-based security model), and proves access by an object that is read.
//
// The messages are our own: the library that there is for Go cannot be given a
// connection, and takes an agent's word that the password was wrong for no answer
// at all, since such a report has no digest.
package snmp

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"regexp"
	"slices"
	"time"

	"rigor/harness/login"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// Versions of the protocol.
const (
	V1  = "1"
	V2c = "2c"
	V3  = "3"
)

// DefaultTimeout is how long one try may take where it is not said: an agent
// answers at once, and to a wrong community not at all.
const DefaultTimeout = 3 * time.Second

// SysDescr is the object that is read where none is declared: sysDescr.0.
const SysDescr = "1.3.6.1.2.1.1.1.0"

// Config is how to reach the agent and what proves access to it.
type Config struct {
	Dialer  wire.Dialer
	Address string        // host:port, UDP
	Timeout time.Duration // of one try; DefaultTimeout where it is 0
	Version string        // V2c where it is empty
	// Digest and Cipher are those of version 3: SHA where it is empty; none where it
	// is empty. A password is the secret of both.
	Digest string
	Cipher string

	Object string         // that is read, SysDescr where it is empty
	Proof  *regexp.Regexp // what its value has to show; any value where it is nil

	// Waiting, which may be nil, is told when the DUT is waited for.
	Waiting func() (done func())
}

// Prober makes tries at one agent. It holds no socket.
type Prober struct {
	cfg    Config
	object []uint32
}

// New checks the configuration.
func New(cfg Config) (*Prober, error) {
	bad := func(format string, args ...any) (*Prober, error) {
		return nil, fmt.Errorf("snmp: %s: %w", fmt.Sprintf(format, args...), login.ErrConfig)
	}
	cfg.Version, cfg.Digest, cfg.Object = cmp.Or(cfg.Version, V2c), cmp.Or(cfg.Digest, SHA), cmp.Or(cfg.Object, SysDescr)
	cfg.Timeout = cmp.Or(cfg.Timeout, DefaultTimeout)
	object, err := ParseOID(cfg.Object)
	switch {
	case cfg.Dialer == nil || cfg.Address == "":
		return bad("no dialer or no address")
	case !slices.Contains([]string{V1, V2c, V3}, cfg.Version):
		return bad("unknown version %q", cfg.Version)
	case !slices.Contains(Digests(), cfg.Digest):
		return bad("unknown digest %q", cfg.Digest)
	case cfg.Cipher != "" && !slices.Contains(Ciphers(), cfg.Cipher):
		return bad("unknown cipher %q", cfg.Cipher)
	case err != nil:
		return bad("%v", err)
	}
	if cfg.Waiting == nil {
		cfg.Waiting = func() func() { return func() {} }
	}
	return &Prober{cfg: cfg, object: object}, nil
}

// Try makes one attempt with one credential. In versions 1 and 2c the password is
// the community and there are no users: whatever has no password offers an empty
// community. In version 3 a user without a password, or with a blank one, which the
// protocol cannot carry, asks without a digest.
func (p *Prober) Try(ctx context.Context, c login.Credential) (login.Outcome, error) {
	access, o, err := p.Open(ctx, c)
	if access != nil {
		_ = access.Close() // the try is judged
	}
	return o, err
}

// Open reads the object and keeps the socket. Only an Accepted outcome has an
// Access.
func (p *Prober) Open(ctx context.Context, c login.Credential) (login.Access, login.Outcome, error) {
	s := &session{p: p, cred: c}
	o, err := s.read(ctx)
	if err == nil && o.Kind == verdict.Accepted {
		return s, o, nil
	}
	_ = s.Close() // nothing of it is used any more
	return nil, o, err
}

// session is a socket with what is known of the agent's engine.
type session struct {
	p    *Prober
	cred login.Credential
	conn net.Conn

	engine []byte // of version 3, with its keys and its clock
	boots  int
	clock  int
	set    time.Time // when the clock was
	auth   []byte
	priv   []byte
	salt   uint64
}

// Proof reads the object again. SNMP has no sessions: each reading shows anew who
// asks.
func (s *session) Proof(ctx context.Context) (login.Outcome, error) { return s.read(ctx) }

// Do carries nothing.
func (s *session) Do(context.Context, login.Request) (login.Response, error) {
	return login.Response{}, fmt.Errorf("snmp: %w", login.ErrRequest)
}

// Close closes the socket.
func (s *session) Close() error {
	if s.conn == nil {
		return nil
	}
	return s.conn.Close()
}

// read asks for the object and judges the answer.
func (s *session) read(ctx context.Context) (login.Outcome, error) {
	begun := time.Now()
	win, cancel := login.Window(ctx, s.p.cfg.Timeout)
	defer cancel()
	var o login.Outcome
	o.Fact(login.FactMethod, s.method())
	var err error
	dialled := s.conn != nil
	if !dialled {
		if s.conn, err = s.p.cfg.Dialer.DialContext(win, "udp", s.p.cfg.Address); err != nil {
			s.conn = nil
		}
		dialled = err == nil
	}
	x := &exchange{s: s, win: win, o: &o}
	if err == nil {
		defer s.p.cfg.Waiting()()
		defer x.bind()()
		if s.p.cfg.Version == V3 {
			err = x.version3()
		} else {
			err = x.community()
		}
	}
	o.Took, o.Evidence = time.Since(begun), login.Cut(x.said)
	if err != nil {
		if rig := login.Rig(ctx, err); rig != nil {
			return o, fmt.Errorf("snmp %s: %s: %w", s.p.cfg.Address, s.cred, rig)
		}
		kind, why := login.Broken(err, dialled)
		if kind == verdict.Silent {
			why = fmt.Sprintf("asked %d times, and no answer came in %v", x.sent, s.p.cfg.Timeout)
			switch {
			case x.broken > 0:
				kind, why = verdict.Garbled, fmt.Sprintf("%d answers, and none that is known", x.broken)
			case !o.Sent: // no engine: silence is no answer to what was not asked
				kind, why = verdict.Unreachable, "for its engine "+why
			}
		}
		o.Set(kind, "%s", why)
	}
	if o.Kind == verdict.Accepted {
		o.Fact(login.FactProof, s.p.cfg.Object)
		if s.cred.Anonymous() {
			o.Fact(login.FactOpen, "yes")
		}
	}
	return o, nil
}

// quiet says whether the credential has no password that could be sent.
func (s *session) quiet() bool { return s.cred.NoPassword || s.cred.Password == "" }

func (s *session) method() string {
	switch {
	case s.p.cfg.Version != V3:
		return "community"
	case s.quiet():
		return "user alone"
	case s.p.cfg.Cipher == "":
		return s.p.cfg.Digest
	}
	return s.p.cfg.Digest + " and " + s.p.cfg.Cipher
}
