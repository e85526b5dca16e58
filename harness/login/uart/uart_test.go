package uart_test

import (
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/term"

	"rigor/harness/console"
	"rigor/harness/console/expect"
	"rigor/harness/login"
	"rigor/harness/login/internal/peers"
	"rigor/harness/login/uart"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// ptyPort is a port whose other end is a program's terminal.
type ptyPort struct{ f *os.File }

func (p ptyPort) Read(b []byte) (int, error) { return p.f.Read(b) }
func (p ptyPort) Write(_ context.Context, b []byte) error {
	_, err := p.f.Write(b)
	return err
}
func (ptyPort) Break(context.Context, time.Duration) error { return wire.ErrUnsupported }
func (ptyPort) SetRate(context.Context, int) error         { return wire.ErrUnsupported }
func (p ptyPort) Close() error                             { return p.f.Close() }

// on gives the console of a device that is a program on a terminal.
func on(t *testing.T, argv ...string) *console.Console {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	f, err := pty.Start(cmd)
	require.NoError(t, err)
	c := console.Open(t.Context(), ptyPort{f}, console.Options{Part: "console.main"})
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		_ = c.Close()
	})
	return c
}

func dialect() console.Login {
	return console.Login{
		User: expect.MustRegexp(`(?m)^[\w-]* ?login: `), Password: expect.MustText("Password: "), Shell: expect.MustRegexp(`[#$] `),
		Patience: 4 * time.Second,
	}
}

func prober(t *testing.T, c console.Talker, change func(*uart.Config)) *uart.Prober {
	t.Helper()
	cfg := uart.Config{Console: c, Dialect: dialect(), Timeout: 12 * time.Second}
	if change != nil {
		change(&cfg)
	}
	p, err := uart.New(cfg)
	require.NoError(t, err)
	return p
}

// Busybox's login on a terminal, started again for each login, as a getty does.
func TestBusyboxLogin(t *testing.T) {
	t.Parallel()
	busybox := peers.Need(t, "busybox", "busybox")
	// Ctrl-C ends a login and not what starts the next one.
	c := on(t, peers.WithAccounts(t, "sh", "-c", "trap : INT; while :; do "+busybox+" login; done")...)
	p := prober(t, c, nil)
	for _, tc := range []struct {
		name string
		cred login.Credential
		want verdict.Kind
		sent bool
		slow bool
	}{
		{"right", login.Credential{User: "owner", Password: peers.Password}, verdict.Accepted, true, false},
		{"nobody", login.Nobody, verdict.Refused, true, false},
		{"right again, after a logout", login.Credential{User: "owner", Password: peers.Password}, verdict.Accepted, true, false},
		{"without a password", login.Credential{User: "owner", NoPassword: true}, verdict.Refused, true, false},
		{"blank account", login.Credential{User: "blank", NoPassword: true}, verdict.Accepted, true, false},
		{"wrong", login.Credential{User: "owner", Password: "nope"}, verdict.Refused, true, true},
		{"unknown", login.Credential{User: "ghost", Password: "nope"}, verdict.Refused, true, true},
		{"right after a refusal", login.Credential{User: "owner", Password: peers.Password}, verdict.Accepted, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.slow && testing.Short() {
				t.Skip("login(1) waits three seconds before it refuses")
			}
			o, err := p.Try(t.Context(), tc.cred)
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, "%s\n%q", o.Detail, o.Evidence)
			assert.Equal(t, tc.sent, o.Sent)
			assert.NotContains(t, o.Detail+string(o.Evidence), peers.Password)
		})
	}
	t.Run("session", func(t *testing.T) {
		declared := prober(t, c, func(c *uart.Config) { c.Command, c.Proof = "id -un", regexp.MustCompile(`(?m)^owner`) })
		access, o, err := declared.Open(t.Context(), login.Credential{User: "owner", Password: peers.Password})
		require.NoError(t, err)
		require.NotNil(t, access, "%s %q", o, o.Evidence)
		got, err := access.Do(t.Context(), login.Request{Command: "echo out; false"})
		require.NoError(t, err)
		assert.Equal(t, login.Response{Status: 1, Body: []byte("out\n")}, got)
		still, err := access.Proof(t.Context())
		require.NoError(t, err)
		assert.Equal(t, verdict.Accepted, still.Kind)
		_, err = access.Do(t.Context(), login.Request{Path: "/"})
		require.ErrorIs(t, err, login.ErrRequest)
		require.NoError(t, access.Close())
		o, err = declared.Try(t.Context(), login.Nobody)
		require.NoError(t, err)
		assert.Equal(t, verdict.Refused, o.Kind, "the session was ended: %s", o.Detail)
	})
}

// device plays a login in shell script: said is what follows the password.
func device(said string) []string {
	return []string{"sh", "-c", `while :; do printf 'gw login: '; read u; [ -n "$u" ] || continue
printf 'Password: '; stty -echo; read p; stty echo; printf '\n'; ` + said + `; done`}
}

// The shell of somebody else may have another prompt than the declared one of the owner:
// what it greets with is no refusal.
func TestUndeclaredPrompt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		said string
		want verdict.Kind
	}{
		"a guest's shell":                   {`while :; do printf 'You are not authorized to configure.\ngw> '; read c; done`, verdict.Garbled},
		"a refusal, and no prompt any more": {`printf 'Authentication failed.\n'; cat >/dev/null`, verdict.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := prober(t, on(t, device(tc.said)...), func(c *uart.Config) {
				c.Timeout, c.Dialect.Patience = 4*time.Second, time.Second
			})
			o, err := p.Try(t.Context(), login.Credential{User: "guest", Password: "guest"})
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, "%s\n%q", o.Detail, o.Evidence)
			assert.True(t, o.Sent)
		})
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	cred := login.Credential{User: "admin", Password: "p4ssw0rd-x"}
	for _, tc := range []struct {
		name string
		argv []string
		cred login.Credential
		want verdict.Kind
		sent bool
	}{
		{"refused", device(`echo Login incorrect`), cred, verdict.Refused, true},
		{"locked", device(`echo 'The account is locked due to 3 failed logins.'`), cred, verdict.LockedOut, true},
		{"warned", device(`echo 'Login incorrect, the account will be locked after 2 more.'`), cred, verdict.Refused, true},
		{"throttled", device(`echo 'Too many failed attempts, wait 20 seconds'; sleep 60`), cred, verdict.Throttled, true},
		{"has to set a password", device(`printf 'New password: '; read n`), cred, verdict.Restricted, true},
		{"silent after the password", device(`sleep 60`), cred, verdict.Garbled, true},
		{"silent after a password that it echoes", []string{"sh", "-c", `while :; do printf 'gw login: '; read u; [ -n "$u" ] || continue; printf 'Password: '; read p; sleep 60; done`}, cred, verdict.Garbled, true},
		{"stands open", []string{"sh", "-c", "PS1='~ # ' exec sh -i"}, login.Nobody, verdict.Accepted, true},
		{"stands open, tried with a login", []string{"sh", "-c", "PS1='~ # ' exec sh -i"}, cred, verdict.Accepted, false},
		{"a prompt behind which nothing runs", []string{"sh", "-c", `while :; do printf '\n# '; read u; done`}, login.Nobody, verdict.Unproven, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := prober(t, on(t, tc.argv...), func(c *uart.Config) {
				c.Timeout, c.Dialect.Patience, c.Dialect.Logout = 1500*time.Millisecond, 400*time.Millisecond, ":"
			})
			o, err := p.Try(t.Context(), tc.cred)
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, "%s\n%q", o.Detail, o.Evidence)
			assert.Equal(t, tc.sent, o.Sent)
			assert.NotContains(t, o.Detail+string(o.Evidence), cred.Password)
		})
	}
}

func TestSilent(t *testing.T) {
	t.Parallel()
	dut, rig, err := pty.Open()
	require.NoError(t, err)
	_, err = term.MakeRaw(int(rig.Fd())) // nobody echoes
	require.NoError(t, err)
	c := console.Open(t.Context(), ptyPort{dut}, console.Options{Part: "console.main"})
	defer c.Close()
	defer rig.Close() // first: a read of a terminal ends with its other end
	p := prober(t, c, func(c *uart.Config) { c.Timeout, c.Dialect.Patience = 500*time.Millisecond, 200*time.Millisecond })
	o, err := p.Try(t.Context(), login.Nobody)
	require.NoError(t, err)
	assert.Equal(t, verdict.Silent, o.Kind, o.Detail)
	assert.False(t, o.Sent)
}

// TestLeftSession: a session that could not be ended is not taken for an open
// console, by another prober neither.
func TestLeftSession(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for what does not come, in real time")
	}
	t.Parallel()
	c := on(t, device(`PS1='~ # ' exec sh -i`)...)
	var trace uart.Trace
	try := func(cred login.Credential) login.Outcome {
		p := prober(t, c, func(c *uart.Config) {
			c.Timeout, c.Dialect.Patience, c.Trace = time.Second, 300*time.Millisecond, &trace
			c.Dialect.Logout = ":"
		})
		o, err := p.Try(t.Context(), cred)
		require.NoError(t, err)
		return o
	}
	o := try(login.Credential{User: "admin", Password: "p4ssw0rd-x"})
	assert.Equal(t, verdict.Accepted, o.Kind, o.Detail)
	o = try(login.Nobody)
	assert.Equal(t, verdict.Unproven, o.Kind, o.Detail)
}

// TestUnclearSession: a session that was opened by a try whose answer nobody could
// read is not taken for an open console.
func TestUnclearSession(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for what does not come, in real time")
	}
	t.Parallel()
	c := on(t, device(`echo '@@@@'; read lost; read lost; PS1='~ # ' sh -i`)...)
	var trace uart.Trace
	fresh := func() *uart.Prober {
		return prober(t, c, func(c *uart.Config) {
			c.Timeout, c.Dialect.Patience, c.Trace = 1500*time.Millisecond, 400*time.Millisecond, &trace
		})
	}
	o, err := fresh().Try(t.Context(), login.Credential{User: "admin", Password: "p4ssw0rd-x"})
	require.NoError(t, err)
	require.Equal(t, verdict.Garbled, o.Kind, o.Detail)
	o, err = fresh().Try(t.Context(), login.Nobody)
	require.NoError(t, err)
	assert.Equal(t, verdict.Refused, o.Kind, "%s\n%q", o.Detail, o.Evidence)
}

// TestHeldSession: a session that was opened and left is known to every prober of
// the console. It is not taken for an open console, and once somebody else has
// logged in, that one's shell is not taken for it.
func TestHeldSession(t *testing.T) {
	t.Parallel()
	// Each session says whose it is.
	c := on(t, device(`n=$((n+1)); N=$n PS1='~ # ' sh -i`)...)
	var trace uart.Trace
	fresh := func() *uart.Prober {
		return prober(t, c, func(c *uart.Config) {
			c.Timeout, c.Dialect.Patience, c.Trace = 1500*time.Millisecond, 400*time.Millisecond, &trace
		})
	}
	cred := login.Credential{User: "admin", Password: "p4ssw0rd-x"}
	open := func() login.Access {
		a, o, err := fresh().Open(t.Context(), cred)
		require.NoError(t, err)
		require.NotNil(t, a, "%s\n%q", o.Detail, o.Evidence)
		return a
	}
	whose := func(a login.Access) string {
		got, err := a.Do(t.Context(), login.Request{Command: "echo $N"})
		require.NoError(t, err)
		return strings.TrimSpace(string(got.Body))
	}
	first := open()
	alive, err := first.Proof(t.Context())
	require.NoError(t, err)
	assert.Equal(t, verdict.Accepted, alive.Kind, alive.Detail)
	assert.Equal(t, "1", whose(first))

	// It was left open: by a check that was given up, for one.
	o, err := fresh().Try(t.Context(), login.Nobody)
	require.NoError(t, err)
	assert.Equal(t, verdict.Refused, o.Kind, "it is ours, and not open to all: %s\n%q", o.Detail, o.Evidence)

	second := open()
	assert.Equal(t, "2", whose(second))
	alive, err = first.Proof(t.Context())
	require.NoError(t, err)
	assert.Equal(t, verdict.Garbled, alive.Kind, "the second session answers for the first: %s", alive.Detail)
	_, err = first.Do(t.Context(), login.Request{Command: "echo $N"})
	require.Error(t, err)
	require.NoError(t, first.Close(), "it has nothing to end")
	assert.Equal(t, "2", whose(second), "the second session is there still")
	require.NoError(t, second.Close())
	third := open()
	assert.Equal(t, "3", whose(third))
	require.NoError(t, third.Close())
}

type brokenPort struct{ ptyPort }

func (brokenPort) Read([]byte) (int, error) {
	return 0, &wire.Fault{Part: "console.main", Op: "read", Err: io.ErrClosedPipe}
}
func (brokenPort) Write(context.Context, []byte) error { return nil }
func (brokenPort) Close() error                        { return nil }

func TestTroubleOfTheRig(t *testing.T) {
	t.Parallel()
	c := console.Open(t.Context(), brokenPort{}, console.Options{Part: "console.main"})
	defer c.Close()
	_, err := prober(t, c, nil).Try(t.Context(), login.Credential{User: "u", Password: "p4ssw0rd-x"})
	_, ok := wire.AsFault(err)
	require.True(t, ok, err)
	assert.False(t, strings.Contains(err.Error(), "p4ssw0rd-x"))

	o, err := prober(t, c, nil).Try(t.Context(), login.Credential{User: "a\x03"})
	require.NoError(t, err)
	assert.Equal(t, verdict.Incompatible, o.Kind)
	for _, cfg := range []uart.Config{{}, {Console: c}, {Console: c, Dialect: dialect(), Command: "id"}} {
		_, err := uart.New(cfg)
		require.ErrorIs(t, err, login.ErrConfig)
	}
}
