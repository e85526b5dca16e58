// Package stream leads one login over one connection, for protocols of a
// question and an answer at a time: the connection, TLS where it is declared, the
// time, what was said, and what a broken exchange is. What is said is the
// Speaker's.
package stream

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"rigor/harness/login"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// MaxSaid bounds the bytes that are read from the DUT on one connection.
const MaxSaid = 2 << 20

// Config is how to reach a service.
type Config struct {
	Dialer  wire.Dialer
	Address string        // host:port
	TLS     bool          // from the first byte on; a Speaker can begin it later
	Timeout time.Duration // of one try; login.DefaultTimeout where it is 0
}

// Check gives login.ErrConfig where the service cannot be reached.
func (c Config) Check(protocol string) error {
	if c.Dialer == nil || c.Address == "" {
		return fmt.Errorf("%s: no dialer or no address: %w", protocol, login.ErrConfig)
	}
	return nil
}

// Speaker speaks one protocol on one connection.
type Speaker interface {
	// Login offers the credential. It sets the outcome's kind where the DUT has
	// decided, and leaves it empty where the protected resource is to be asked for.
	// An error is a broken exchange.
	Login(c *Conn, cred login.Credential, o *login.Outcome) error
	// Prove asks for the protected resource and sets the outcome's kind.
	Prove(c *Conn, o *login.Outcome) error
	// Leave says goodbye. No answer is waited for.
	Leave(c *Conn)
}

// ErrForeign says that the DUT answered what the protocol does not know.
var ErrForeign = errors.New("not of the protocol")

// Line reads a line without its end. One of more than most bytes is Foreign; one that
// breaks off is an error that shows how far it came.
func Line(r *bufio.Reader, most int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > most:
			return nil, Foreign("a line of more than %d bytes", most)
		case err == nil:
			return bytes.TrimRight(line, "\r\n"), nil
		case err != bufio.ErrBufferFull: //nolint:errorlint // ReadSlice gives it as it is
			if len(line) > 0 {
				return nil, fmt.Errorf("a line that breaks off after %.80q: %w", line, err)
			}
			return nil, err
		}
	}
}

// Foreign makes an error of an answer that the protocol does not know.
func Foreign(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrForeign)
}

// Conn is the connection of one login. It is used by one goroutine at a time.
type Conn struct {
	// R reads what the DUT says.
	R *bufio.Reader

	address string
	raw     net.Conn
	conn    net.Conn // raw, or TLS over it
	said    []byte   // the last bytes that the DUT said
	total   int
	leaf    string // SHA-256 of the certificate, in hex
	win     context.Context
}

// Read reads and keeps what the DUT says.
func (c *Conn) Read(p []byte) (int, error) {
	if c.total >= MaxSaid {
		return 0, Foreign("more than %d bytes", MaxSaid)
	}
	n, err := c.conn.Read(p)
	c.total += n
	c.said = append(c.said, p[:n]...)
	if over := len(c.said) - 2*login.MaxEvidence; over > 0 {
		c.said = append(c.said[:0], c.said[over:]...)
	}
	return n, err
}

// Write sends.
func (c *Conn) Write(p []byte) (int, error) { return c.conn.Write(p) }

// Address gives host:port of the service.
func (c *Conn) Address() string { return c.address }

// Shorten has every read fail after d at the latest, or at the end of the try if
// that is sooner. The returned function takes it back.
func (c *Conn) Shorten(d time.Duration) (release func()) {
	set := func(t time.Time) {
		_ = c.raw.SetReadDeadline(t) // a connection that is gone fails at its read
		if c.win.Err() != nil {
			_ = c.raw.SetReadDeadline(time.Unix(1, 0)) // what Bind has set stays
		}
	}
	set(time.Now().Add(min(d, c.Left())))
	return func() { set(time.Time{}) }
}

// Left gives how long the try may still take.
func (c *Conn) Left() time.Duration {
	at, ok := c.win.Deadline()
	if !ok {
		return login.DefaultTimeout
	}
	return time.Until(at)
}

// Secure begins TLS on the connection. What was read ahead of it in clear is no
// part of it, and breaks the exchange.
func (c *Conn) Secure() error {
	if c.R.Buffered() > 0 {
		return Foreign("more was said in clear behind the answer that TLS may begin")
	}
	var suites []uint16
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		suites = append(suites, s.ID)
	}
	t := tls.Client(c.raw, &tls.Config{
		// A device on a bench has no public name and signs for itself: nothing could
		// verify it. Which certificate it was is recorded.
		InsecureSkipVerify: true, //nolint:gosec // see above
		MinVersion:         tls.VersionTLS10,
		CipherSuites:       suites, // old ones too: a login is judged, not the age of the device
		// Without the hybrids of ML-KEM, whose hello does not fit into one segment:
		// stacks of small devices stumble over it.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
	})
	if err := t.HandshakeContext(c.win); err != nil {
		return &tlsError{err}
	}
	if certs := t.ConnectionState().PeerCertificates; len(certs) > 0 {
		sum := sha256.Sum256(certs[0].Raw)
		c.leaf = hex.EncodeToString(sum[:])
	}
	c.conn = t
	return nil
}

// tlsError tells trouble of TLS from that of the protocol in it.
type tlsError struct{ err error }

func (e *tlsError) Error() string { return e.err.Error() }
func (e *tlsError) Unwrap() error { return e.err }

// dialError tells a connection that was never there from one that broke.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

func dial(win context.Context, cfg Config) (*Conn, error) {
	raw, err := cfg.Dialer.DialContext(win, "tcp", cfg.Address)
	if err != nil {
		return nil, &dialError{err}
	}
	c := &Conn{raw: raw, conn: raw, win: win, address: cfg.Address}
	c.R = bufio.NewReader(c)
	return c, nil
}

// Once makes of what Open gave a try: whoever is in leaves.
func Once(access login.Access, o login.Outcome, err error) (login.Outcome, error) {
	if access != nil {
		_ = access.Close() // the try is judged; how the connection ends changes nothing
	}
	return o, err
}

// Open makes one login attempt and proves access by the protected resource. The
// access is nil unless the outcome is Accepted. The error is the rig's own
// trouble, or ctx's end.
func Open(ctx context.Context, protocol string, cfg Config, cred login.Credential, sp Speaker) (login.Access, login.Outcome, error) {
	begun := time.Now()
	win, cancel := login.Window(ctx, cfg.Timeout)
	defer cancel()
	o := login.Outcome{}
	c, err := dial(win, cfg)
	if err == nil {
		release := login.Bind(win, c.raw)
		err = lead(c, cfg, cred, sp, &o)
		release()
		o.Evidence = login.Cut(c.said)
		o.Fact(login.FactTLS, c.leaf)
	}
	o.Took = time.Since(begun)
	if err == nil && o.Kind == verdict.Accepted {
		if cred.Anonymous() {
			o.Fact(login.FactOpen, "yes")
		}
		return &session{c: c, cfg: cfg, sp: sp, protocol: protocol, facts: o.Facts}, o, nil
	}
	if c != nil {
		if err == nil {
			_ = c.raw.SetDeadline(time.Now().Add(leaveTime)) // one that is gone needs no goodbye
			sp.Leave(c)
		}
		_ = c.conn.Close() // nothing of it is used any more
	}
	if err == nil {
		return nil, o, nil
	}
	if rig := login.Rig(ctx, err); rig != nil {
		return nil, o, fmt.Errorf("%s %s: %s: %w", protocol, cfg.Address, cred, rig)
	}
	broken(&o, protocol, err)
	return nil, o, nil
}

func lead(c *Conn, cfg Config, cred login.Credential, sp Speaker, o *login.Outcome) error {
	if cfg.TLS {
		if err := c.Secure(); err != nil {
			return err
		}
	}
	if err := sp.Login(c, cred, o); err != nil || o.Kind != "" {
		return err
	}
	return sp.Prove(c, o)
}

// broken gives the outcome of an exchange that came to no answer.
func broken(o *login.Outcome, protocol string, err error) {
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var dialled *dialError
	var secured *tlsError
	switch {
	case errors.As(err, &dialled):
		kind, why := login.Broken(dialled.err, false)
		o.Set(kind, "%s", why)
		return
	case errors.As(err, &record):
		o.Set(verdict.Incompatible, "the port does not speak TLS")
		return
	case errors.As(err, &secured) && (errors.As(err, &alert) || strings.Contains(err.Error(), "tls: ") || strings.Contains(err.Error(), "x509: ")):
		o.Set(verdict.Incompatible, "no common TLS: %.200q", err)
		return
	case errors.Is(err, ErrForeign):
		o.Set(verdict.Garbled, "the answer is not %s: %.200s", protocol, strings.TrimSuffix(err.Error(), ": "+ErrForeign.Error()))
		return
	}
	kind, why := login.Broken(err, true)
	if kind == verdict.Garbled {
		why = fmt.Sprintf("the exchange broke: %.200q", err)
	}
	if o.Sent {
		why += ", after the credential was sent"
	}
	o.Set(kind, "%s", why)
}

// session is a login that stays.
type session struct {
	c        *Conn
	cfg      Config
	sp       Speaker
	protocol string
	facts    map[string]string
}

// Proof asks for the protected resource again, on the same connection.
func (s *session) Proof(ctx context.Context) (login.Outcome, error) {
	begun := time.Now()
	win, cancel := login.Window(ctx, s.cfg.Timeout)
	defer cancel()
	o := login.Outcome{Sent: true}
	for k, v := range s.facts {
		o.Fact(k, v)
	}
	s.c.win, s.c.total, s.c.said = win, 0, nil
	_ = s.c.raw.SetDeadline(time.Time{}) // a connection that is gone fails at its use
	release := login.Bind(win, s.c.raw)
	err := s.sp.Prove(s.c, &o)
	release()
	o.Took, o.Evidence = time.Since(begun), login.Cut(s.c.said)
	if err != nil {
		if rig := login.Rig(ctx, err); rig != nil {
			return o, fmt.Errorf("%s %s: the session's proof: %w", s.protocol, s.cfg.Address, rig)
		}
		broken(&o, s.protocol, err)
	}
	return o, nil
}

// Do carries nothing: such a session has neither a shell nor pages.
func (s *session) Do(context.Context, login.Request) (login.Response, error) {
	return login.Response{}, fmt.Errorf("%s: %w", s.protocol, login.ErrRequest)
}

// leaveTime bounds a goodbye that the DUT does not take.
const leaveTime = time.Second

// Close says goodbye and ends the connection.
func (s *session) Close() error {
	_ = s.c.raw.SetDeadline(time.Now().Add(leaveTime)) // one that is gone needs no goodbye
	s.sp.Leave(s.c)
	return s.c.conn.Close()
}
