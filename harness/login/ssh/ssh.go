// Package ssh tries logins over SSH (RFC 4251 to 4254, keyboard-interactive of
// RFC 4256) and proves access by a session that runs a command or shows a
// prompt: that the server said "success" is not yet access.
package ssh

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"regexp"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"rigor/harness/login"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// Methods of a try, as RFC 4252 and RFC 4256 call them. Auto takes "password"
// where the server offers it, else "keyboard-interactive".
const (
	Auto                = ""
	Password            = "password"
	KeyboardInteractive = "keyboard-interactive"
	None                = "none"
)

// Config is how to reach the service and what proves access to it.
type Config struct {
	Dialer  wire.Dialer
	Address string        // host:port
	Timeout time.Duration // of one try; login.DefaultTimeout where it is 0
	Method  string        // one of the methods above

	// HostKey, where it is not empty, is the fingerprint ("SHA256:…") that the
	// server must show; with another one the try ends with
	// login.ErrIdentity before any credential is sent.
	HostKey string

	// Command and Proof declare the protected resource: what the command
	// prints has to match. Without a Command, a session has to run a marker
	// of ours, or to show Prompt.
	Command string
	Proof   *regexp.Regexp
	// Prompt is how a shell's prompt ends. By default a line that ends with
	// one of # $ > %, and a space at most.
	Prompt *regexp.Regexp
	// Quiet is for how long nothing may follow a prompt; 300 ms where it is 0.
	Quiet time.Duration

	Texts login.Texts // the maker's words, asked before the built-in ones
	// Waiting, which may be nil, is told when the DUT is waited for.
	Waiting func() (done func())
}

var shellPrompt = regexp.MustCompile(`(?:^|\n)[^\n]{0,120}[#$>%] ?$`)

// Prober makes tries at one SSH service. It holds no connection.
type Prober struct {
	cfg   Config
	texts login.Texts
}

// New checks the configuration.
func New(cfg Config) (*Prober, error) {
	if cfg.Dialer == nil || cfg.Address == "" {
		return nil, fmt.Errorf("ssh: no dialer or no address: %w", login.ErrConfig)
	}
	if !slices.Contains([]string{Auto, Password, KeyboardInteractive, None}, cfg.Method) {
		return nil, fmt.Errorf("ssh: unknown method %q: %w", cfg.Method, login.ErrConfig)
	}
	if (cfg.Command == "") != (cfg.Proof == nil) {
		return nil, fmt.Errorf("ssh: a proof needs a command and a pattern: %w", login.ErrConfig)
	}
	if cfg.Prompt == nil {
		cfg.Prompt = shellPrompt
	}
	cfg.Quiet = cmp.Or(cfg.Quiet, 300*time.Millisecond)
	return &Prober{cfg: cfg, texts: login.DefaultTexts().With(cfg.Texts)}, nil
}

// Try makes one attempt with one credential, by one method.
func (p *Prober) Try(ctx context.Context, c login.Credential) (login.Outcome, error) {
	access, o, err := p.Open(ctx, c)
	if access != nil {
		_ = access.Close() // the try is judged; how the connection ends changes nothing
	}
	return o, err
}

// Open logs in and stays. Only an Accepted outcome has an Access.
func (p *Prober) Open(ctx context.Context, c login.Credential) (login.Access, login.Outcome, error) {
	begun := time.Now()
	win, cancel := login.Window(ctx, p.cfg.Timeout)
	defer cancel()
	a := &attempt{cfg: &p.cfg, texts: p.texts, cred: c}
	client, o, err := a.connect(ctx, win)
	if err == nil && client != nil {
		s := &session{client: client, cfg: &p.cfg, texts: p.texts, facts: o.Facts}
		var proof login.Outcome
		proof, err = s.prove(ctx, win)
		o.Kind, o.Detail = proof.Kind, proof.Detail
		o.Evidence = login.Cut(append(o.Evidence, proof.Evidence...))
		o.Fact(login.FactProof, proof.Facts[login.FactProof])
		o.Fact(login.FactRan, proof.Facts[login.FactRan])
		o.Took = time.Since(begun)
		if err == nil && o.Kind == verdict.Accepted {
			return s, o, nil
		}
		_ = s.Close() // not accepted: nothing of it is used any more
	}
	o.Took = time.Since(begun)
	if err != nil {
		return nil, o, fmt.Errorf("ssh %s: %s: %w", p.cfg.Address, c, err)
	}
	return nil, o, nil
}

// Methods asks which methods the server offers to user, by the "none" request
// that begins every login (RFC 4252 section 5.2), so that each can be tried
// for itself. The outcome is that of the request; Accepted means that no
// password is asked for at all.
func (p *Prober) Methods(ctx context.Context, user string) ([]string, login.Outcome, error) {
	q := *p
	q.cfg.Method = None
	win, cancel := login.Window(ctx, p.cfg.Timeout)
	defer cancel()
	a := &attempt{cfg: &q.cfg, texts: q.texts, cred: login.Credential{User: user, NoPassword: true}}
	client, o, err := a.connect(ctx, win)
	if client != nil {
		_ = client.Close() // only the answer was wanted
		o.Set(verdict.Unproven, "the server let %q in without a password; access was not asked for", user)
	}
	return a.offered, o, err
}

// offer gives the algorithms that we accept: all that the library has, the
// insecure ones last, so that an old device is judged by its logins and not by
// its age.
func offer() (ssh.Config, []string) {
	good, old := ssh.SupportedAlgorithms(), ssh.InsecureAlgorithms()
	return ssh.Config{
		KeyExchanges: slices.Concat(good.KeyExchanges, old.KeyExchanges),
		Ciphers:      slices.Concat(good.Ciphers, old.Ciphers),
		MACs:         slices.Concat(good.MACs, old.MACs),
	}, slices.Concat(hostKeysFirst, without(good.HostKeys, hostKeysFirst), without(old.HostKeys, hostKeysFirst))
}

// The host keys to ask for first, in the order of OpenSSH's client, which is
// what devices are tried with: dropbear 2022.83 with only an Ed25519 key offers
// rsa-sha2-256 all the same, and dies when a client takes it at its word.
var hostKeysFirst = []string{
	ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
	ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA,
}

func without(all, these []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(a string) bool { return slices.Contains(these, a) })
}

// preface keeps the first bytes that the server sent: what comes before the
// key exchange is plain text, and says more than the library's error.
type preface struct {
	net.Conn
	mu    sync.Mutex
	first []byte
}

func (p *preface) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	p.mu.Lock()
	if room := 2<<10 - len(p.first); room > 0 {
		p.first = append(p.first, b[:min(n, room)]...)
	}
	p.mu.Unlock()
	return n, err
}

func (p *preface) bytes() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.first)
}
