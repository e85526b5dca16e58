// Package login says what a try to log in to the DUT is: a credential, the
// outcome that the DUT gave, and the prober that makes the try over one
// protocol and proves access by a protected resource. One package below it
// speaks each protocol.
package login

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"rigor/harness/verdict"
)

// DefaultTimeout is how long one try may take when a prober's configuration
// does not say. Devices hold a refusal back for some seconds (login(1) waits
// three), so it is well above that.
const DefaultTimeout = 15 * time.Second

// MaxEvidence is how many bytes of a DUT's answer an Outcome keeps.
const MaxEvidence = 4 << 10

// Credential is what one try offers. A blank user or password is one that is
// sent, empty; an absent one is not sent at all.
type Credential struct {
	User       string
	Password   string
	NoUser     bool // no user name is given
	NoPassword bool // no password is given: SSH's "none", a shell without login
}

// Nobody offers nothing: what it opens is open to everybody.
var Nobody = Credential{NoUser: true, NoPassword: true}

// Anonymous says whether the credential offers nothing at all.
func (c Credential) Anonymous() bool { return c.NoUser && c.NoPassword }

// String names the user and says whether there is a password, and never what
// it is, nor how long.
func (c Credential) String() string {
	if c.Anonymous() {
		return "nobody"
	}
	user := fmt.Sprintf("%q", c.User)
	if c.NoUser {
		user = "no user"
	}
	switch {
	case c.NoPassword:
		return user + " without a password"
	case c.Password == "":
		return user + " with a blank password"
	}
	return user + " with a password"
}

// Format keeps the password out of every verb of fmt, %+v and %#v included.
func (c Credential) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, c.String()) }

// LogValue keeps the password out of slog.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Keys of Outcome.Facts.
const (
	FactMethod    = "method"      // how the DUT was asked: "password", "keyboard-interactive", "none", "basic", …
	FactServer    = "server"      // how the service names itself, such as SSH's version line
	FactHostKey   = "host-key"    // SSH: fingerprint, SHA256:…
	FactTLS       = "tls-sha256"  // SHA-256 of the certificate that the service showed, in hex
	FactProof     = "proof"       // what proved the access
	FactOpen      = "open-to-all" // "yes": the protected resource opens without any login
	FactRan       = "ran"         // "yes": a shell took a command of ours, and the protected resource did not show
	FactReply     = "reply"       // HTTP: the answer to the very request with the credential: its status, where it leads, and what it gives
	FactTaken     = "taken"       // HTTP: what shows that a login was let in, to which the protected resource stays shut: "token", "cookie", or the page that opened
	FactElsewhere = "redirect-to" // another host that the DUT pointed to; never followed
)

// Outcome is what the DUT made of one try.
type Outcome struct {
	Kind       verdict.Kind
	Detail     string            // one sentence for a reader, escaped, without any secret of ours
	Evidence   []byte            // what the DUT said, raw, cut to MaxEvidence from its end
	Facts      map[string]string // what was learned on the way, by the Fact keys
	Took       time.Duration
	Sent       bool          // the credential reached the DUT; a try that was not sent shows nothing about it
	RetryAfter time.Duration // how long the DUT said to wait; 0 where it did not say
}

// Fact notes one thing that was learned.
func (o *Outcome) Fact(key, value string) {
	if value == "" {
		return
	}
	if o.Facts == nil {
		o.Facts = make(map[string]string)
	}
	o.Facts[key] = value
}

// Set gives the outcome its kind and its sentence.
func (o *Outcome) Set(k verdict.Kind, format string, args ...any) {
	o.Kind, o.Detail = k, fmt.Sprintf(format, args...)
}

// String gives "refused: the DUT said …".
func (o Outcome) String() string { return string(o.Kind) + ": " + o.Detail }

// Cut gives the last MaxEvidence bytes of b, in memory of its own.
func Cut(b []byte) []byte {
	if len(b) > MaxEvidence {
		b = b[len(b)-MaxEvidence:]
	}
	return append([]byte(nil), b...)
}

// Tail gives the last n bytes of b, quoted for an error text or a Detail.
func Tail(b []byte, n int) string {
	if len(b) > n {
		b = b[len(b)-n:]
	}
	return fmt.Sprintf("%q", b)
}

// Prober makes tries over one protocol.
type Prober interface {
	// Try makes one login attempt on a connection of its own and proves
	// access by a protected resource. The error is for the rig's own trouble
	// (*wire.Fault), for ctx's end, for ErrConfig and for ErrIdentity; all
	// that the DUT does or does not do is an Outcome. Try may be called from
	// several goroutines, but where the DUT has one console.
	Try(ctx context.Context, c Credential) (Outcome, error)
}

// Batcher is a Prober that can make many tries more cheaply, by using
// connections again where that changes no answer. The batch is ended by end,
// which closes what it still holds.
type Batcher interface {
	Batch() (p Prober, end func())
}

// Opener logs in and stays.
type Opener interface {
	// Open logs in as Try does and gives the session. Access is nil unless
	// the outcome's kind opens; for Restricted it may be nil too, where the
	// protocol leaves nothing to do but to answer a dialogue.
	Open(ctx context.Context, c Credential) (Access, Outcome, error)
}

// Access is an open, logged-in way in.
type Access interface {
	// Proof asks whether the protected resource is still reachable in this
	// session: Accepted, or what came instead. It never logs in anew.
	Proof(ctx context.Context) (Outcome, error)
	// Do makes a request in the session. ErrRequest says that the session
	// cannot carry this kind of request; an error that is not a *wire.Fault
	// and not ctx's end is the DUT's.
	Do(ctx context.Context, r Request) (Response, error)
	// Close ends the session.
	Close() error
}

// Request is a command for a shell, or an HTTP request: one or the other.
type Request struct {
	Command string // a command line, for SSH, Telnet and UART

	Method string // HTTP method; GET where it is empty
	Path   string // path and query on the DUT
	Header map[string]string
	Body   []byte
	// Carried, where set, is told how many bytes of the body have gone out, and when the
	// last of them did, when the request is over.
	Carried func(n int64, last time.Time)

	Input []byte // what the command reads, for SSH; nothing where it is nil

	Put *Put // a file that goes to the DUT, for SSH: in place of a command

	// Within is how long the answer may take; what the prober gives one try where it
	// is 0.
	Within time.Duration
}

// Ways in which a file goes over SSH.
const (
	PutByShell = "shell" // cat(1) and wc(1) of a shell
	PutByRCP   = "scp"   // scp -t, the protocol of rcp(1)
	PutBySFTP  = "sftp"  // the subsystem sftp
)

// Put is a file that goes to the DUT.
type Put struct {
	Data []byte
	To   string // its path on the DUT
	By   string // one of the ways; PutByShell where it is empty
}

// Window gives the context of one request: ctx, ended when the request has had its
// time, or else that of a try.
func (r Request) Window(ctx context.Context, try time.Duration) (context.Context, context.CancelFunc) {
	return Window(ctx, cmp.Or(r.Within, try))
}

// Response is what came back.
type Response struct {
	Status int // exit status of the command, or HTTP status; -1 where the DUT did not say
	Header map[string]string
	Body   []byte // output, or body, cut to MaxBody
	// Arrived is how many bytes of what was put the DUT shows that it has got.
	Arrived int
}

// MaxBody is how much of an output or of a page is read.
const MaxBody = 1 << 20

// Errors on which a caller decides.
var (
	// ErrConfig says that a prober cannot be made or used as declared.
	ErrConfig = errors.New("login is not configured")
	// ErrIdentity says that the service showed another key or certificate
	// than the declared one. Nothing was sent to it.
	ErrIdentity = errors.New("another device answers")
	// ErrRequest says that a session cannot carry this kind of request.
	ErrRequest = errors.New("this session cannot carry the request")
)
