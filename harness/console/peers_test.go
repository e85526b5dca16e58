package console

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"rigor/harness/console/expect"
	"rigor/harness/wire"

	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ptyPort is the master side of a pty: the DUT is what runs on the other.
type ptyPort struct{ f *os.File }

func (p ptyPort) Read(b []byte) (int, error) {
	n, err := p.f.Read(b)
	// A pty whose other side is closed gives EIO. The next getty opens it again.
	for errors.Is(err, syscall.EIO) {
		t := time.NewTimer(5 * time.Millisecond)
		<-t.C
		n, err = p.f.Read(b)
	}
	if errors.Is(err, os.ErrClosed) {
		err = io.EOF
	}
	return n, err
}

func (p ptyPort) Write(_ context.Context, b []byte) error {
	if _, err := p.f.Write(b); err != nil {
		return &wire.Fault{Part: "console.main", Op: "write", Err: err}
	}
	return nil
}

func (p ptyPort) Break(context.Context, time.Duration) error { return wire.ErrUnsupported }
func (p ptyPort) SetRate(context.Context, int) error         { return wire.ErrUnsupported }
func (p ptyPort) Close() error                               { return p.f.Close() }

// onPty runs a program on a pty and gives the console in front of it.
func onPty(t *testing.T, cmd *exec.Cmd) *Console {
	t.Helper()
	f, err := pty.Start(cmd)
	require.NoError(t, err)
	c := Open(t.Context(), ptyPort{f}, Options{Part: "console.main"})
	t.Cleanup(func() {
		// With all that it started: a hang-up, which the end of the first one is to
		// them, may be ignored where the tests run.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // pty.Start has made it the leader of a session
		_ = cmd.Wait()
		require.NoError(t, c.Close())
	})
	return c
}

func need(t *testing.T, program, pkg string) string {
	t.Helper()
	if testing.Short() {
		t.Skipf("%s is tried without -short", program)
	}
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("needs %s: apt-get install %s", program, pkg)
	}
	return path
}

func TestRealShells(t *testing.T) {
	for _, tc := range []struct {
		program, pkg string
		args         []string
	}{
		{"busybox", "busybox", []string{"sh", "-i"}},
		{"bash", "bash", []string{"--norc", "-i"}}, // readline: bracketed paste, wrapped lines
		{"dash", "dash", []string{"-i"}},
	} {
		t.Run(tc.program, func(t *testing.T) {
			cmd := exec.Command(need(t, tc.program, tc.pkg), tc.args...)
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PS1=vg# ", "TERM=vt100", "HISTFILE=/dev/null"}
			c := onPty(t, cmd)
			_, err := Confirm(within(t, 10*time.Second), c, expect.MustText("vg# "))
			require.NoError(t, err)
			for _, sh := range []Shell{{Prompt: expect.MustText("vg# ")}, {}} {
				for _, r := range []struct {
					cmd, out string
					status   int
				}{
					{"echo it\\'s", "it's\n", 0},
					{"false", "", 1},
					{"printf 'no newline'", "no newline", 0},
					{"(exit 42)", "", 42},
					{"printf 'a\\r\\n[    1.234567] noise\\nb # c\\n'; sleep 0.1 &", "a\nb # c\n", 0},
					{"echo $((6 * 7)) # the answer", "42\n", 0},
					{"seq 1 3", "1\n2\n3\n", 0},
					{"printf '\\033[31mred\\033[0m\\n'", "red\n", 0},
				} {
					got, err := sh.Run(within(t, 10*time.Second), c, r.cmd)
					require.NoError(t, err, r.cmd)
					assert.Equal(t, r.status, got.Status, r.cmd)
					assert.Equal(t, r.out, dropJobs(got.Output), r.cmd)
				}
			}
		})
	}
}

// jobs are the lines that an interactive shell prints about background jobs.
var jobs = regexp.MustCompile(`(?m)^\[\d+\].*\n`)

func dropJobs(out []byte) string { return string(jobs.ReplaceAll(out, nil)) }

// TestScriptedLogin speaks to a login of an embedded kind on a real terminal:
// its own prompts, a shell behind it, a new login after each session.
func TestScriptedLogin(t *testing.T) {
	busybox := need(t, "busybox", "busybox")
	login := t.TempDir() + "/login"
	require.NoError(t, os.WriteFile(login, []byte(`#!/bin/sh
tries=0
while [ $tries -lt 3 ]; do
	tries=$((tries + 1))
	printf 'vg login: '
	read -r user || exit
	[ -n "$user" ] || { tries=$((tries - 1)); continue; }
	stty -echo
	printf 'Password: '
	read -r password
	stty echo
	echo
	if [ "$user:$password" = root:right ]; then
		echo 'Last login: Mon Nov 23 on ttyS0'
		PS1='vg# ' ENV= exec `+busybox+` sh -i
	fi
	sleep 0.2
	echo 'Login incorrect'
done
`), 0o700))
	cmd := exec.Command("/bin/sh", "-c", `while :; do "$1"; done`, "getty", login)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	c := onPty(t, cmd)
	l := vg
	l.Shell = expect.MustRegexp(`(?m)^vg# `)
	for _, id := range []struct {
		pw   string
		want Reply
	}{{"wrong", Again}, {"", Again}, {"right", LoggedIn}} {
		o, err := l.Try(within(t, 20*time.Second), c, Identity{User: "root", Password: id.pw})
		require.NoError(t, err)
		assert.Equal(t, id.want, o.Reply)
		assert.True(t, o.Asked)
	}
	r, err := Shell{Prompt: l.Shell}.Run(within(t, 10*time.Second), c, "echo in; exit_status() { return 7; }; exit_status")
	require.NoError(t, err)
	assert.Equal(t, "in\n", strings.TrimPrefix(string(r.Output), "\n"))
	assert.Equal(t, 7, r.Status)
	require.NoError(t, l.LogOut(within(t, 10*time.Second), c))
}

// TestRealGetty speaks to busybox's getty and login, with an account that does
// not exist: a real refusal, and the prompt again.
func TestRealGetty(t *testing.T) {
	if testing.Short() {
		t.Skip("a refusal takes 3 s")
	}
	busybox := need(t, "busybox", "busybox")
	if applets, err := exec.Command(busybox, "--list").Output(); err != nil || !bytes.Contains(applets, []byte("\ngetty\n")) {
		t.Skip("needs a busybox with getty: apt-get install busybox")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root: getty and login own their terminal")
	}
	cmd := exec.Command(busybox, "getty", "-L", "-l", loginWith(t, busybox), "115200", "-", "vt100")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	c := onPty(t, cmd)
	l := Login{
		User: expect.MustRegexp(`\S+ login: `), Password: expect.MustText("Password: "), Shell: expect.MustRegexp(`(?m)^[^\n]*[#$] `),
		Refused: []expect.Pattern{expect.MustText("Login incorrect")},
	}
	for range 2 {
		o, err := l.Try(within(t, 20*time.Second), c, Identity{User: "rigor-nobody", Password: "wrong"})
		require.NoError(t, err)
		assert.Equal(t, Again, o.Reply)
		assert.True(t, o.Asked)
		text, err := c.Excerpt(o.From, o.To)
		require.NoError(t, err)
		assert.Contains(t, string(text), "Login incorrect")
	}
}

// loginWith gives a program that runs busybox's login, whatever login this
// computer has.
func loginWith(t *testing.T, busybox string) string {
	t.Helper()
	path := t.TempDir() + "/login"
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\nexec "+busybox+" login \"$@\"\n"), 0o700))
	return path
}
