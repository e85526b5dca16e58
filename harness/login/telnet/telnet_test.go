package telnet

import (
	"bytes"
	"context"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/verdict"
)

// listen serves each connection with serve until the test ends.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serve(c); _ = c.Close() })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String()
}

// device is a Telnet service of our own, without option negotiation: what it
// says, and what it then reads.
type device struct {
	net.Conn
	t *testing.T
}

func (d device) say(s string) { _, _ = io.WriteString(d.Conn, s) }

func (d device) hear() string {
	var line []byte
	b := make([]byte, 1)
	for {
		if _, err := d.Read(b); err != nil {
			return "\x00"
		}
		if b[0] == '\n' {
			return strings.TrimSuffix(string(line), "\r")
		}
		line = append(line, b[0])
	}
}

// shell plays a POSIX shell well enough for a marker; it echoes, as a terminal.
func (d device) shell(prompt string) {
	d.say(prompt)
	for {
		cmd := d.hear()
		if cmd == "\x00" {
			return
		}
		d.say(cmd + "\r\n")
		var out strings.Builder
		for _, part := range strings.Split(cmd, "; ") {
			word, ok := strings.CutPrefix(part, "echo ")
			if !ok {
				out.WriteString("ran " + part + "\r\n")
				continue
			}
			out.WriteString(strings.NewReplacer("''", "", "$?", "7").Replace(word) + "\r\n")
		}
		d.say(out.String() + prompt)
	}
}

func TestDialogues(t *testing.T) {
	t.Parallel()
	const good = "g00d-pass"
	ask := func(d device) (user, password string) {
		d.say("\r\nACME gateway\r\nLast login: ")
		d.say("never\r\ngw login: ")
		user = d.hear()
		d.say("Password: ")
		return user, d.hear()
	}
	type what struct {
		name  string
		serve func(device)
		cred  login.Credential
		want  verdict.Kind
		sent  bool
	}
	right := login.Credential{User: "admin", Password: good}
	gate := func(d device) {
		for range 3 {
			if u, p := ask(d); u == "admin" && p == good {
				d.say("\r\n")
				d.shell("# ")
				return
			}
			d.say("\r\nLogin incorrect\r\n")
		}
	}
	answers := func(text string) func(device) {
		return func(d device) { ask(d); d.say(text); _, _ = io.Copy(io.Discard, d) }
	}
	for _, tc := range []what{
		{"right", gate, right, verdict.Accepted, true},
		{"wrong", gate, login.Credential{User: "admin", Password: "no"}, verdict.Refused, true},
		{"blank", gate, login.Credential{User: "admin"}, verdict.Refused, true},
		{"blank user is sent", gate, login.Credential{Password: "x"}, verdict.Refused, true},
		{"nobody", gate, login.Nobody, verdict.Refused, true},
		{"the name alone", gate, login.Credential{User: "admin", NoPassword: true}, verdict.Refused, true},
		{"no login at all", func(d device) { d.say("\r\nBusyBox v1\r\n"); d.shell("~ # ") }, login.Nobody, verdict.Accepted, false},
		{"no login, tried with one", func(d device) { d.shell("\x1b[1;32mroot@gw\x1b[0m:~# ") }, right, verdict.Accepted, false},
		{"no prompt that is known, yet a shell", func(d device) { d.say("welcome\r\n"); d.shell("gw|") }, login.Nobody, verdict.Accepted, false},
		{"the name is enough", func(d device) { d.say("login: "); d.hear(); d.shell("$ ") }, login.Credential{User: "guest", NoPassword: true}, verdict.Accepted, false},
		{"only a password", func(d device) {
			d.say("Password: ")
			if d.hear() == good {
				d.shell("> ")
			}
			d.say("\r\nBad password\r\n")
		}, right, verdict.Accepted, true},
		{"asked again in place of words", func(d device) { ask(d); ask(d) }, right, verdict.Refused, true},
		{"locked", answers("\r\nThe account is locked due to 3 failed logins.\r\n"), right, verdict.LockedOut, true},
		{"locked, told with a refusal", answers("\r\nLogin incorrect\r\nYou have been temporarily locked out.\r\n"), right, verdict.LockedOut, true},
		{"a refusal that warns", answers("\r\nLogin incorrect. Your account will be locked after 2 more attempts.\r\n"), right, verdict.Refused, true},
		{"throttled", answers("\r\nToo many failed attempts, try again in 60 seconds\r\n"), right, verdict.Throttled, true},
		{"throttled before the login", func(d device) { d.say("Too many connections\r\n") }, right, verdict.Throttled, false},
		{"has to set a password", answers("\r\nYou are required to change your password immediately.\r\nNew password: "), right, verdict.Restricted, true},
		{"new password asked", answers("\r\nNew password: "), right, verdict.Restricted, true},
		{"silent", func(d device) { _, _ = io.Copy(io.Discard, d) }, right, verdict.Silent, false},
		{"silent after the password", answers(""), right, verdict.Silent, true},
		{"closed at once", func(device) {}, right, verdict.Unreachable, false},
		{"closed after the password", func(d device) { ask(d) }, right, verdict.Unreachable, true},
		{"a menu in which nothing of ours runs", func(d device) {
			ask(d)
			d.say("\r\n1) status 2) quit\r\n> ")
			for d.hear() != "\x00" {
				d.say("? \r\n> ")
			}
		}, right, verdict.Unproven, true},
		{"noise", func(d device) { d.say("\xff\xfa\x18\x01\xff\xf0\x00\x01 garbage\r\n"); _, _ = io.Copy(io.Discard, d) }, right, verdict.Garbled, false},
		{"echoes all that it hears", func(d device) {
			d.say("login: ")
			for {
				line := d.hear()
				if line == "\x00" {
					return
				}
				d.say(line + "\r\n# ")
			}
		}, right, verdict.Unproven, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			address := listen(t, func(c net.Conn) { tc.serve(device{c, t}) })
			p, err := New(Config{Dialer: &net.Dialer{}, Address: address, Timeout: 1500 * time.Millisecond, Patience: 400 * time.Millisecond})
			require.NoError(t, err)
			o, err := p.Try(t.Context(), tc.cred)
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, "%s\n%q", o.Detail, o.Evidence)
			assert.Equal(t, tc.sent, o.Sent)
			assert.NotContains(t, o.Detail, good)
		})
	}
}

func TestDeclaredProofAndSession(t *testing.T) {
	t.Parallel()
	address := listen(t, func(c net.Conn) {
		d := device{c, t}
		d.say("User> ")
		d.hear()
		d.say("Pin: ")
		d.hear()
		d.shell("acme(config)# ")
	})
	cfg := Config{Dialer: &net.Dialer{}, Address: address, Command: "show id", Proof: regexp.MustCompile(`ran show`)}
	p, err := New(cfg)
	require.NoError(t, err)
	access, o, err := p.Open(t.Context(), login.Credential{User: "u", Password: "p"})
	require.NoError(t, err)
	require.NotNil(t, access, "%s", o)
	got, err := access.Do(t.Context(), login.Request{Command: "uptime"})
	require.NoError(t, err)
	assert.Equal(t, login.Response{Status: 7, Body: []byte("ran uptime\n")}, got)
	still, err := access.Proof(t.Context())
	require.NoError(t, err)
	assert.Equal(t, verdict.Accepted, still.Kind)
	require.NoError(t, access.Close())

	// The proof stands in the command, so that an echo would match it.
	cfg.Proof = regexp.MustCompile(`^\s*show id`)
	p, err = New(cfg)
	require.NoError(t, err)
	o, err = p.Try(t.Context(), login.Credential{User: "u", Password: "p"})
	require.NoError(t, err)
	assert.Equal(t, verdict.Unproven, o.Kind, o.Detail)
}

func TestControlCharactersAndConfig(t *testing.T) {
	t.Parallel()
	p, err := New(Config{Dialer: &net.Dialer{}, Address: "127.0.0.1:1"})
	require.NoError(t, err)
	o, err := p.Try(t.Context(), login.Credential{User: "a\nb", Password: "x"})
	require.NoError(t, err)
	assert.Equal(t, verdict.Incompatible, o.Kind)
	o, err = p.Try(t.Context(), login.Credential{User: "a", Password: "x"})
	require.NoError(t, err)
	assert.Equal(t, verdict.Unreachable, o.Kind)
	for _, cfg := range []Config{{}, {Dialer: &net.Dialer{}}, {Dialer: &net.Dialer{}, Address: "x:1", Command: "id"}} {
		_, err := New(cfg)
		require.ErrorIs(t, err, login.ErrConfig)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	p.cfg.Address = listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	_, err = p.Try(ctx, login.Credential{User: "u"})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestCodec(t *testing.T) {
	t.Parallel()
	const iac = "\xff"
	for _, tc := range []struct{ name, in, text, reply string }{
		{"text", "hello\r\n", "hello\r\n", ""},
		{"a doubled IAC is a byte", "a\xff\xffb", "a\xffb", ""},
		{"CR NUL", "a\r\x00b", "a\rb", ""},
		{"echo is welcome, once", iac + "\xfb\x01" + iac + "\xfb\x01", "", iac + "\xfd\x01"},
		{"echo ends", iac + "\xfb\x01" + iac + "\xfc\x01", "", iac + "\xfd\x01" + iac + "\xfe\x01"},
		{"an ended option is not ended again", iac + "\xfc\x01", "", ""},
		{"an unknown option", iac + "\xfb\x25" + iac + "\xfd\x25", "", iac + "\xfe\x25" + iac + "\xfc\x25"},
		{"window size", iac + "\xfd\x1f", "", iac + "\xfb\x1f" + iac + "\xfa\x1f\x00\xfa\x00\x18" + iac + "\xf0"},
		{"terminal type", iac + "\xfd\x18" + iac + "\xfa\x18\x01" + iac + "\xf0", "", iac + "\xfb\x18" + iac + "\xfa\x18\x00dumb" + iac + "\xf0"},
		{"a command without option", "a" + iac + "\xf1b", "ab", ""},
		{"an unfinished subnegotiation swallows", "a" + iac + "\xfa\x18bcd", "a", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for cut := range len(tc.in) + 1 {
				var c codec
				text, reply := c.feed([]byte(tc.in[:cut]), nil, nil)
				text, reply = c.feed([]byte(tc.in[cut:]), text, reply)
				require.Equal(t, tc.text, string(text), "cut at %d", cut)
				require.Equal(t, tc.reply, string(reply), "cut at %d", cut)
			}
		})
	}
	assert.Equal(t, []byte("a\xff\xffb"), escape("a\xffb"))
}

// However a stream is cut, text and answers are the same; and two of our own
// ends never answer each other for ever.
func FuzzCodec(f *testing.F) {
	for _, seed := range []string{"", "\xff", "\xff\xfb\x01login: ", "\xff\xfa\x18\x01\xff\xf0", "\xff\xfa\xff\xff\xff", "\r\x00\r\n\xff\xff"} {
		f.Add([]byte(seed), 1)
	}
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		var whole, parts codec
		text, reply := whole.feed(in, nil, nil)
		cut = max(1, cut%64)
		var text2, reply2 []byte
		for rest := in; len(rest) > 0; {
			n := min(cut, len(rest))
			text2, reply2 = parts.feed(rest[:n], text2, reply2)
			rest = rest[n:]
		}
		if !bytes.Equal(text, text2) || !bytes.Equal(reply, reply2) {
			t.Fatalf("cut by %d: %q %q, whole: %q %q", cut, text2, reply2, text, reply)
		}
		var other codec
		for range 8 {
			_, reply = other.feed(reply, nil, nil)
			_, reply = whole.feed(reply, nil, nil)
		}
		if len(reply) > 0 {
			t.Fatalf("a loop of answers: %q", reply)
		}
	})
}

// What a service greets with often stands behind its options: nothing of it
// comes until they are answered.
func TestTextBehindNegotiation(t *testing.T) {
	t.Parallel()
	address := listen(t, func(c net.Conn) {
		_, _ = c.Write([]byte{cmdIAC, cmdDo, optTermType})
		answer := make([]byte, 3)
		if _, err := io.ReadFull(c, answer); err == nil && bytes.Equal(answer, []byte{cmdIAC, cmdWill, optTermType}) {
			_, _ = io.WriteString(c, "ACME 1.2.3\r\n")
		}
	})
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(5*time.Second)))
	got, err := io.ReadAll(Text(c))
	require.NoError(t, err)
	assert.Equal(t, "ACME 1.2.3\r\n", string(got))
}

// The prompt behind a refusal is part of it, at once or a moment later: equal
// answers look alike.
func TestPromptBehindARefusal(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]time.Duration{"at once": 0, "later": 250 * time.Millisecond, "never": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := listen(t, func(c net.Conn) {
				d := device{c, t}
				d.say("gw login: ")
				d.hear()
				d.say("Password: ")
				d.hear()
				d.say("\r\nLogin incorrect\r\n")
				if late < 0 {
					d.hear() // until we hang up
					return
				}
				pause(t, late)
				d.say("gw login: ")
				d.hear()
			})
			p, err := New(Config{Dialer: &net.Dialer{}, Address: address})
			require.NoError(t, err)
			begun := time.Now()
			o, err := p.Try(t.Context(), login.Credential{User: "root", Password: "wrong"})
			require.NoError(t, err)
			assert.Equal(t, verdict.Refused, o.Kind)
			assert.Equal(t, late >= 0, strings.HasSuffix(string(o.Evidence), "gw login: "), "%q", o.Evidence)
			assert.Less(t, time.Since(begun), 2*time.Second)
		})
	}
}

func pause(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}
