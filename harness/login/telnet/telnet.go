// Package telnet tries logins over Telnet (RFC 854) and proves access by a
// command that a shell runs: a prompt alone is not access, and neither is a
// DUT that falls silent.
package telnet

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"rigor/harness/login"
	"rigor/harness/login/dialog"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// Config is how to reach the service, how it asks, and what proves access.
type Config struct {
	Dialer  wire.Dialer
	Address string        // host:port
	Timeout time.Duration // of one try; login.DefaultTimeout where it is 0

	// How the DUT asks for user and password, at the end of what it says. By
	// default "login:", "user name:", "password:" and their kin.
	UserPrompt     *regexp.Regexp
	PasswordPrompt *regexp.Regexp
	// Prompt is how a shell's prompt ends. By default a line that ends with one
	// of # $ > %, and a space at most.
	Prompt *regexp.Regexp

	// Command and Proof declare the protected resource: what the command
	// prints has to match. Without them a shell has to run a marker of ours.
	Command string
	Proof   *regexp.Regexp

	Newline string        // what ends a line of ours; CR LF (RFC 854) where it is empty
	Quiet   time.Duration // for how long nothing may follow a prompt; 100 ms where it is 0
	// Patience is for how long the DUT may be quiet after words that are not
	// understood before we ask by ourselves whether there is a shell, and for
	// how long that may go unanswered; 2 s where it is 0.
	Patience time.Duration
	Texts    login.Texts // the maker's words, asked before the built-in ones
	// Waiting, which may be nil, is told when the DUT is waited for.
	Waiting func() (done func())
}

var (
	userPrompt = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)(?:^|\n)[^\n]{0,60}?\b(?:login|log in|username|user name|user|user id|account)(?: as)?\s?[:>] ?$`)
	})
	passwordPrompt = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)(?:^|\n)[^\n]{0,60}?\b(?:password|passwd|passphrase|pass|pin)(?: for [^\n:]{1,40})?\s?[:>] ?$`)
	})
	shellPrompt = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?:^|\n)[^\n]{0,120}[#$>%] ?$`) })
	// What ends like a prompt and is the beginning of a line of news.
	news = regexp.MustCompile(`(?i)\blast (?:failed )?login: ?$`)
)

// Asking is what a text asks for at its end.
type Asking int

// What there is to be asked for.
const (
	AsksNothing Asking = iota // that is known
	AsksLogin                 // a user or a password
	AsksCommand               // as a shell does: perhaps, since other lines end so too
)

// Asks says what the DUT asks for at the end of a text, as far as it can be told without what
// a profile declares.
func Asks(text []byte) Asking {
	plain := dialog.Plain(text)
	switch {
	case news.Match(plain):
		return AsksNothing
	case passwordPrompt().Match(plain), userPrompt().Match(plain):
		return AsksLogin
	case shellPrompt().Match(plain):
		return AsksCommand
	}
	return AsksNothing
}

// Prober makes tries at one Telnet service. It holds no connection.
type Prober struct {
	cfg   Config
	texts login.Texts
}

// New checks the configuration.
func New(cfg Config) (*Prober, error) {
	if cfg.Dialer == nil || cfg.Address == "" {
		return nil, fmt.Errorf("telnet: no dialer or no address: %w", login.ErrConfig)
	}
	if (cfg.Command == "") != (cfg.Proof == nil) {
		return nil, fmt.Errorf("telnet: a proof needs a command and a pattern: %w", login.ErrConfig)
	}
	if cfg.UserPrompt == nil {
		cfg.UserPrompt = userPrompt()
	}
	if cfg.PasswordPrompt == nil {
		cfg.PasswordPrompt = passwordPrompt()
	}
	if cfg.Prompt == nil {
		cfg.Prompt = shellPrompt()
	}
	cfg.Newline = cmp.Or(cfg.Newline, "\r\n")
	cfg.Quiet = cmp.Or(cfg.Quiet, 100*time.Millisecond)
	cfg.Patience = cmp.Or(cfg.Patience, 2*time.Second)
	return &Prober{cfg: cfg, texts: login.DefaultTexts().With(cfg.Texts)}, nil
}

// Try makes one attempt with one credential. With login.Nobody it asks whether
// the service gives a shell to everybody; without a password, whether the name
// is enough.
func (p *Prober) Try(ctx context.Context, c login.Credential) (login.Outcome, error) {
	access, o, err := p.Open(ctx, c)
	if access != nil {
		_ = access.Close() // the try is judged
	}
	return o, err
}

// Open logs in and stays. Only an Accepted outcome has an Access.
func (p *Prober) Open(ctx context.Context, c login.Credential) (login.Access, login.Outcome, error) {
	begun := time.Now()
	win, cancel := login.Window(ctx, p.cfg.Timeout)
	defer cancel()
	var o login.Outcome
	if strings.ContainsFunc(c.User+c.Password, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		o.Set(verdict.Incompatible, "a credential with control characters cannot be typed")
		return nil, o, nil
	}
	raw, err := p.cfg.Dialer.DialContext(win, "tcp", p.cfg.Address)
	if err != nil {
		o.Took = time.Since(begun)
		if rig := login.Rig(ctx, err); rig != nil {
			return nil, o, fmt.Errorf("telnet %s: %w", p.cfg.Address, rig)
		}
		kind, why := login.Broken(err, false)
		o.Set(kind, "%s", why)
		return nil, o, nil
	}
	conn := &stream{Conn: raw}
	s := &session{conn: conn, said: dialog.New(conn, p.cfg.Waiting), cfg: &p.cfg, texts: p.texts}
	err = s.login(win, c, &o)
	o.Took = time.Since(begun)
	o.Evidence = login.Cut(s.said.All())
	if o.Kind == verdict.Accepted && err == nil {
		s.facts = o.Facts
		return s, o, nil
	}
	_ = s.Close() // nothing of it is used any more
	if err != nil {
		if rig := login.Rig(ctx, err); rig != nil {
			return nil, o, fmt.Errorf("telnet %s: %s: %w", p.cfg.Address, c, rig)
		}
		s.broken(&o, err)
	}
	return nil, o, nil
}
