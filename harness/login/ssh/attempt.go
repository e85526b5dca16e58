package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"rigor/harness/login"
	"rigor/harness/verdict"
)

// attempt is one connection with one try, and what was seen on the way.
type attempt struct {
	cfg   *Config
	texts login.Texts
	cred  login.Credential

	hostKey string   // fingerprint; empty until the key exchange is done
	said    []byte   // banners and instructions of the server
	offered []string // methods that the server offers
	method  string   // the method that was used
	sent    bool     // the credential left us whole
	partial bool     // taken, and a further method asked for
	again   bool     // keyboard-interactive: the password was asked for again
	further string   // keyboard-interactive: another question than for the password
	mustSet bool     // keyboard-interactive: asked for a new password
}

// Stops a keyboard-interactive dialogue that we have understood.
var errUnderstood = errors.New("the dialogue was understood")

// connect dials and logs in. The client is nil unless the server said
// success. The error is only the rig's or ctx's.
func (a *attempt) connect(ctx, win context.Context) (*ssh.Client, login.Outcome, error) {
	var o login.Outcome
	raw, err := a.cfg.Dialer.DialContext(win, "tcp", a.cfg.Address)
	if err != nil {
		if rig := login.Rig(ctx, err); rig != nil {
			return nil, o, rig
		}
		kind, why := login.Broken(err, false)
		o.Set(kind, "%s", why)
		return nil, o, nil
	}
	conn := &preface{Conn: raw}
	release := login.Bind(win, conn)
	defer release()

	client, err := a.handshake(conn)
	first := conn.bytes()
	o.Evidence = login.Cut(append(serverLines(first), a.said...))
	o.Sent = a.sent
	o.Fact(login.FactServer, version(first))
	o.Fact(login.FactHostKey, a.hostKey)
	o.Fact(login.FactMethod, a.method)
	if err == nil {
		o.Set(verdict.Unproven, "the server said success") // until a session is shown
		return client, o, nil
	}
	_ = raw.Close() // the library closes it as well; a second close harms nothing
	if rig := login.Rig(ctx, err); rig != nil {
		return nil, o, rig
	}
	a.judge(&o, err, first)
	return nil, o, nil
}

func (a *attempt) handshake(conn net.Conn) (*ssh.Client, error) {
	algorithms, hostKeys := offer()
	user := a.cred.User
	if a.cred.NoUser {
		user = ""
	}
	config := &ssh.ClientConfig{
		Config:            algorithms,
		User:              user,
		HostKeyAlgorithms: hostKeys,
		HostKeyCallback:   a.seeHostKey,
		BannerCallback:    func(text string) error { a.hear(text); return nil },
		AuthCallback:      a.next,
	}
	a.method = None
	c, channels, requests, err := ssh.NewClientConn(conn, a.cfg.Address, config)
	if err != nil {
		return nil, err
	}
	a.sent = a.sent || a.cred.NoPassword
	return ssh.NewClient(c, channels, requests), nil
}

// seeHostKey records the key. A device has no key that we could know
// beforehand unless the profile pins it: what counts is which key it was.
func (a *attempt) seeHostKey(_ string, _ net.Addr, key ssh.PublicKey) error {
	a.hostKey = ssh.FingerprintSHA256(key)
	if a.cfg.HostKey != "" && a.cfg.HostKey != a.hostKey {
		return fmt.Errorf("%w: host key %s, declared is %s", login.ErrIdentity, a.hostKey, a.cfg.HostKey)
	}
	return nil
}

func (a *attempt) hear(text string) {
	if text != "" && len(a.said) < login.MaxEvidence {
		a.said = append(append(a.said, text...), '\n')
	}
}

// next is asked after each answer of the server. The first is the one to the
// "none" request; then the credential goes out once, by one method.
func (a *attempt) next(got *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	a.offered = got.AllowedMethods
	if a.cred.NoPassword {
		a.sent = true // "none" is all there was to send, and it was answered
	}
	a.partial = len(got.PartialSuccessMethods) > 0
	if a.method != None || a.cred.NoPassword || a.cfg.Method == None {
		return nil, nil // tried: the library ends with the server's last answer
	}
	want := a.cfg.Method
	if want == Auto {
		want = Password
		if !slices.Contains(a.offered, Password) && slices.Contains(a.offered, KeyboardInteractive) {
			want = KeyboardInteractive
		}
	}
	if !slices.Contains(a.offered, want) {
		return nil, nil
	}
	a.method = want
	if want == KeyboardInteractive {
		return ssh.KeyboardInteractive(a.answer), nil
	}
	return ssh.PasswordCallback(func() (string, error) {
		a.sent = true
		return a.cred.Password, nil
	}), nil
}

var asksNew = regexp.MustCompile(`(?i)\b(?:new|current|old|retype|re-enter)\b[^\n]*\bpass(?:word|wd|phrase)?\b`)

// answer gives the password to the first hidden question, the user's name to a
// shown one. What is asked afterwards tells what became of it.
func (a *attempt) answer(name, instruction string, questions []string, echos []bool) ([]string, error) {
	a.hear(name)
	a.hear(instruction)
	for _, q := range questions {
		a.hear(q)
	}
	answers := make([]string, len(questions))
	for i, q := range questions {
		switch {
		case a.sent && asksNew.MatchString(q):
			a.mustSet = true
			return nil, errUnderstood
		case a.sent && strings.Contains(strings.ToLower(q), "pass"):
			a.again = true
			return nil, errUnderstood
		case a.sent:
			a.further = q
			return nil, errUnderstood
		case echos[i]:
			answers[i] = a.cred.User
		default:
			answers[i] = a.cred.Password
			defer func() { a.sent = true }()
		}
	}
	return answers, nil
}

var (
	disconnect = regexp.MustCompile(`ssh: disconnect, reason (\d+): ([^\n]*)`)
	tooWeak    = regexp.MustCompile(`insecure|too small|too short|out of bounds|unsupported|not supported|unknown (?:key )?algorithm`)
)

// judge turns a login that did not succeed into a kind of answer. The order
// matters: what the server said about itself comes before what it broke off.
func (a *attempt) judge(o *login.Outcome, err error, first []byte) {
	text := err.Error()
	var mismatch *ssh.AlgorithmNegotiationError
	kind, words := a.texts.Read(a.said, nil)
	switch {
	case a.hostKey == "" && !bytes.Contains(first, []byte("SSH-")):
		a.judgePreface(o, err, first)
	case a.hostKey == "" && !bytes.Contains(first, []byte("SSH-2.")) && !bytes.Contains(first, []byte("SSH-1.99")):
		o.Set(verdict.Incompatible, "the server speaks %q, not SSH 2", version(first))
	case errors.As(err, &mismatch):
		o.Set(verdict.Incompatible, "no common algorithm for %s: the server offers %q", mismatch.What, mismatch.RequestedAlgorithms)
	case a.mustSet:
		o.Set(verdict.Restricted, "the server took the password and asks for a new one")
	case a.method == Password && strings.Contains(text, "unexpected message type 60"):
		// SSH_MSG_USERAUTH_PASSWD_CHANGEREQ, RFC 4252 section 8
		o.Set(verdict.Restricted, "the server asks for a change of the password before it lets anyone in")
	case a.again:
		o.Set(verdict.Refused, "the server asked for the password again")
		a.prefer(o, kind, words)
	case a.further != "":
		o.Set(verdict.Unproven, "the server asks a further question, %q; whether the password was right is not shown", a.further)
	case a.partial:
		o.Set(verdict.Unproven, "the server took the %s and asks for a further method out of %q", a.method, a.offered)
	case strings.Contains(text, "unable to authenticate"):
		a.judgeFailure(o, kind, words)
	case a.method == KeyboardInteractive && strings.Contains(text, "unexpected message type 51"):
		// USERAUTH_FAILURE in place of a question: a no, but not to the password.
		o.Set(verdict.Refused, "the server refused keyboard-interactive without asking for a password")
		a.prefer(o, kind, words)
	case disconnect.MatchString(text):
		m := disconnect.FindStringSubmatch(text)
		a.judgeDisconnect(o, m[1], m[2])
	case a.hostKey == "" && tooWeak.MatchString(text):
		o.Set(verdict.Incompatible, "the key exchange needs what the library refuses: %s", strings.TrimPrefix(text, "ssh: handshake failed: "))
	default:
		kind, why := login.Broken(err, true)
		switch {
		case kind == verdict.Garbled:
			why = fmt.Sprintf("the answer is not SSH: %.200q", text)
		case a.sent:
			why += ", after the credential was sent"
		case a.hostKey == "":
			why += ", during the key exchange"
		}
		o.Set(kind, "%s", why)
		if kind == verdict.Unreachable {
			a.prefer(o, firstOf(a.texts.Read(first, nil)), "")
		}
	}
	if o.Kind == verdict.LockedOut || o.Kind == verdict.Throttled {
		o.RetryAfter = login.Wait(append(first, a.said...))
	}
}

func firstOf(k verdict.Kind, _ string) verdict.Kind { return k }

// prefer takes the kind that the server's own words state, where it is one of
// being locked out or throttled.
func (a *attempt) prefer(o *login.Outcome, kind verdict.Kind, words string) {
	if kind == verdict.LockedOut || kind == verdict.Throttled {
		o.Set(kind, "the server said %q", words)
	}
}

// judgePreface is for a server that did not come to its version line.
func (a *attempt) judgePreface(o *login.Outcome, err error, first []byte) {
	kind, words := a.texts.Read(first, nil)
	switch {
	case kind == verdict.Throttled || kind == verdict.LockedOut:
		o.Set(kind, "the server said %q before its version", words)
	case len(bytes.TrimSpace(first)) > 0:
		o.Set(verdict.Garbled, "what answers is not SSH: %s", login.Tail(first[:min(len(first), 80)], 80))
	default:
		kind, why := login.Broken(err, true)
		if kind == verdict.Garbled {
			kind = verdict.Unreachable
		}
		o.Set(kind, "%s, before the version line", why)
	}
}

// judgeFailure is for SSH_MSG_USERAUTH_FAILURE: the server said no.
func (a *attempt) judgeFailure(o *login.Outcome, kind verdict.Kind, words string) {
	switch {
	case a.cred.NoPassword || a.cfg.Method == None:
		o.Set(verdict.Refused, "the server asks for more than a name: it offers %q", a.offered)
		a.prefer(o, kind, words)
	case a.sent:
		o.Set(verdict.Refused, "the server refused the %s", a.method)
		a.prefer(o, kind, words)
	default:
		want := a.cfg.Method
		if want == Auto {
			want = "password or keyboard-interactive"
		}
		o.Set(verdict.Incompatible, "the server does not offer %s, only %q", want, a.offered)
	}
}

// judgeDisconnect is for SSH_MSG_DISCONNECT, RFC 4253 section 11.1.
func (a *attempt) judgeDisconnect(o *login.Outcome, reason, words string) {
	a.hear(words)
	o.Evidence = login.Cut(append(o.Evidence, words...))
	kind, _ := a.texts.Read([]byte(words), nil)
	tooMany := strings.Contains(strings.ToLower(words), "too many authentication failures")
	switch {
	case a.sent && (tooMany || reason == "14"):
		// OpenSSH disconnects in place of the last refusal (MaxAuthTries);
		// reason 14 is "no more auth methods available".
		o.Set(verdict.Refused, "the server refused the %s and disconnected: %.200q", a.method, words)
	case kind == verdict.LockedOut || kind == verdict.Throttled:
		o.Set(kind, "the server disconnected: %.200q", words)
	case reason == "12": // too many connections
		o.Set(verdict.Throttled, "the server disconnected: %.200q", words)
	case reason == "2" && a.hostKey == "", reason == "3", reason == "8":
		// protocol error, key exchange failed, protocol version not supported
		o.Set(verdict.Incompatible, "the server disconnected, reason %s: %.200q", reason, words)
	case a.sent && kind == verdict.Refused:
		o.Set(verdict.Refused, "the server disconnected: %.200q", words)
	default:
		o.Set(verdict.Unreachable, "the server disconnected before an answer, reason %s: %.200q", reason, words)
	}
}

// version gives the server's version line (RFC 4253 section 4.2).
func version(first []byte) string {
	at := bytes.Index(first, []byte("SSH-"))
	if at < 0 {
		return ""
	}
	line, _, _ := bytes.Cut(first[at:], []byte("\n"))
	return strings.ToValidUTF8(string(bytes.TrimRight(line[:min(len(line), 255)], "\r")), "?")
}

// serverLines gives the plain text before the key exchange.
func serverLines(first []byte) []byte {
	at := bytes.Index(first, []byte("SSH-"))
	if at < 0 {
		return slices.Clone(first)
	}
	if end := bytes.IndexByte(first[at:], '\n'); end >= 0 {
		return slices.Clone(first[:at+end+1])
	}
	return slices.Clone(first)
}

// soon gives a context that ends after d, or half of what is left of win.
func soon(win context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if deadline, ok := win.Deadline(); ok {
		d = min(d, time.Until(deadline)/2)
	}
	return context.WithTimeout(win, d)
}
