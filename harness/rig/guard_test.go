package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/abreast"
)

// roleEnv makes the test binary play another process.
const roleEnv = "RIG_TEST_ROLE"

func TestMain(m *testing.M) {
	var err error
	switch role := os.Getenv(roleEnv); role {
	case "":
		os.Exit(abreast.Main(m))
	case "lease":
		if _, err = Acquire("bench-a", res("k"), LeaseConfig{Dir: os.Getenv("RIG_TEST_DIR")}); err == nil {
			fmt.Println("held")
			<-time.After(time.Minute)
		}
	case "guard":
		err = RunGuard(context.Background(), fileDrivers(), Env{})
	case "deaf":
		<-time.After(time.Minute) // for ever would be a deadlock, which the runtime ends where there is no cgo
		return
	case "run", "run-done", "run-unsafe":
		err = playRun(os.Getenv("RIG_TEST_DIR"), role)
	default:
		err = fmt.Errorf("role %q", role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// guardedFile is a rig whose pins are files in dir.
func guardedFile(dir string) *File {
	f := &File{
		Name:    "bench-a",
		Power:   &Power{Driver: "file", Line: filepath.Join(dir, "power"), Rest: "off", Password: "secret:switch"},
		Lines:   map[string]*Line{"reset": {Driver: "file", Line: filepath.Join(dir, "reset")}, "button": {Driver: "file", Line: filepath.Join(dir, "button")}},
		Secrets: map[string]string{"switch": "env:RIG_TEST_PW"},
	}
	switch os.Getenv("RIG_TEST_BENCH") {
	case "broken":
		f.Lines["button"].Chip = "broken"
	case "hang":
		f.Lines["button"].Driver = "hang"
	case "memory":
		f.Pads = &Pads{Driver: "file", Memory: true, At: map[string]string{"J1": filepath.Join(dir, "swdio"), "J2": filepath.Join(dir, "swclk")}}
	case "remote-bitbang":
		f.Pads = &Pads{Driver: "remote-bitbang", At: map[string]string{"J1": filepath.Join(dir, "swdio"), "J2": filepath.Join(dir, "swclk")}}
	}
	return f
}

// playRun is a run that has all lines asserted and the power on.
func playRun(dir, role string) error {
	ctx, f := context.Background(), guardedFile(dir)
	store, err := OpenStore(filepath.Join(dir, "state"))
	if err != nil {
		return err
	}
	lease, err := Acquire(f.Name, res("k"), LeaseConfig{Dir: dir})
	if err != nil {
		return err
	}
	guard, err := StartGuard(ctx, GuardSpec{File: f, Dir: dir, Store: store, Lease: lease, Within: time.Second,
		Argv: []string{os.Args[0]}, Environ: []string{roleEnv + "=guard"}})
	if err != nil {
		return err
	}
	if f.Pads != nil {
		for _, pin := range f.Pads.At {
			if err := record(pin, "driven"); err != nil {
				return err
			}
		}
	}
	for _, do := range []error{
		fileLine{f.Lines["reset"].Line}.Assert(ctx), fileLine{f.Lines["button"].Line}.Assert(ctx), filePower{f.Power.Line}.On(ctx),
	} {
		if do != nil {
			return do
		}
	}
	fmt.Println(guard.PID())
	switch role {
	case "run":
		<-time.After(time.Minute)
	case "run-unsafe":
		if err := errors.Join(guard.StandIn(), guard.StandIn(), guard.Dismiss(ctx)); err != nil {
			return err
		}
	}
	if err := guard.Dismiss(ctx); err != nil {
		return err
	}
	return lease.Release()
}

type played struct {
	dir   string
	cmd   *exec.Cmd
	guard int
	out   *bufio.Reader
}

func play(t *testing.T, role, bench string) *played {
	t.Helper()
	p := &played{dir: t.TempDir()}
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), roleEnv+"="+role, "RIG_TEST_DIR="+p.dir, "RIG_TEST_BENCH="+bench, "RIG_TEST_PW=pw")
	p.cmd.Stderr = os.Stderr
	// A group of its own, so that a signal to the whole group can be tried.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() })
	p.out = bufio.NewReader(out)
	line, err := p.out.ReadString('\n')
	require.NoError(t, err)
	p.guard, err = strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)
	return p
}

func (p *played) pin(name string) string {
	b, _ := os.ReadFile(filepath.Join(p.dir, name))
	return string(b)
}

func (p *played) pins() []string { return []string{p.pin("reset"), p.pin("button"), p.pin("power")} }

// kill ends the run with SIGKILL and waits until all pins are as wanted.
func (p *played) kill(t *testing.T, want ...string) time.Duration {
	t.Helper()
	require.Equal(t, []string{"asserted", "asserted", "on"}, p.pins())
	start := time.Now()
	require.NoError(t, syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL))
	require.Eventually(t, func() bool { return assert.ObjectsAreEqual(want, p.pins()) }, 5*time.Second, time.Millisecond,
		"pins stay at %v", p.pins())
	return time.Since(start)
}

// ended waits for the guard's end; it is not our child.
func (p *played) ended(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.guard))
		return err != nil || strings.Contains(string(stat), ") Z ")
	}, 10*time.Second, 5*time.Millisecond, "the guard does not end")
}

// free waits until the lease has gone with the guard: of a process with many
// threads, the first may be seen to end before the last lets go of the files.
func (p *played) free(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		l, err := Acquire("next", res("k"), LeaseConfig{Dir: p.dir})
		return err == nil && l.Release() == nil
	}, 5*time.Second, 5*time.Millisecond)
}

func TestGuardMakesSafeAfterKill(t *testing.T) {
	p := play(t, "run", "")
	_, err := Acquire("other", res("k"), LeaseConfig{Dir: p.dir})
	require.ErrorIs(t, err, ErrLeased)
	took := p.kill(t, "released", "released", "off")
	assert.Less(t, took, time.Second)
	p.ended(t)

	store, err := OpenStore(filepath.Join(p.dir, "state"))
	require.NoError(t, err)
	r, err := store.GuardReport()
	require.NoError(t, err)
	require.NotNil(t, r)
	assert.True(t, r.Safe)
	assert.Equal(t, "bench-a", r.Rig)
	require.Len(t, r.Acts, 3)
	assert.Equal(t, PowerPart, r.Acts[2].Part, "the power comes after the lines")
	require.NoError(t, store.Noticed())
	r, err = store.GuardReport()
	require.NoError(t, err)
	assert.Nil(t, r, "told once")
	p.free(t)
}

// What drives pads past the kernel, or at the other end of a connection, does not let go
// of them when the run is killed.
func TestGuardLetsGoOfPads(t *testing.T) {
	t.Parallel()
	for _, bench := range []string{"memory", "remote-bitbang"} {
		t.Run(bench, func(t *testing.T) {
			t.Parallel()
			p := play(t, "run", bench)
			require.Equal(t, "driven", p.pin("swdio"))
			p.kill(t, "released", "released", "off")
			p.ended(t)
			assert.Equal(t, []string{"let go", "let go"}, []string{p.pin("swdio"), p.pin("swclk")})
			store, err := OpenStore(filepath.Join(p.dir, "state"))
			require.NoError(t, err)
			r, err := store.GuardReport()
			require.NoError(t, err)
			require.NotNil(t, r)
			assert.True(t, r.Safe, r.Acts)
			require.Len(t, r.Acts, 4)
			assert.Equal(t, []any{PadsPart, "release"}, []any{r.Acts[2].Part, r.Acts[2].Do})
			p.free(t)
		})
	}
}

func TestGuardOutlivesSignals(t *testing.T) {
	p := play(t, "run", "")
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		require.NoError(t, syscall.Kill(p.guard, sig))
	}
	session, _, errno := syscall.Syscall(syscall.SYS_GETSID, uintptr(p.guard), 0, 0)
	require.Zero(t, errno)
	assert.Equal(t, p.guard, int(session), "it has a session of its own")
	p.kill(t, "released", "released", "off")
	p.ended(t)
}

func TestGuardMakesSafeWhatItCan(t *testing.T) {
	t.Parallel()
	for _, bench := range []string{"broken", "hang"} {
		t.Run(bench, func(t *testing.T) {
			t.Parallel()
			p := play(t, "run", bench)
			took := p.kill(t, "released", "asserted", "off")
			assert.Less(t, took, 1500*time.Millisecond, "a line in trouble does not keep the power on")
			_, err := Acquire("next", res("k"), LeaseConfig{Dir: p.dir})
			require.ErrorIs(t, err, ErrLeased, "the guard has the lease as long as it tries")
			p.ended(t)
			p.free(t)
			store, err := OpenStore(filepath.Join(p.dir, "state"))
			require.NoError(t, err)
			r, err := store.GuardReport()
			require.NoError(t, err)
			require.NotNil(t, r)
			assert.False(t, r.Safe)
			assert.NotEmpty(t, r.Acts[0].Error)
			assert.Empty(t, r.Acts[1].Error)
			assert.Empty(t, r.Acts[2].Error)
			log, err := os.ReadFile(filepath.Join(p.dir, "state", guardLog))
			require.NoError(t, err)
			assert.Contains(t, string(log), "guard of rig bench-a: not safe after")
		})
	}
}

func TestGuardDismissedDoesNothing(t *testing.T) {
	p := play(t, "run-done", "")
	rest, err := io.ReadAll(p.out)
	require.NoError(t, err, "nobody keeps the run's standard output open")
	assert.Empty(t, rest)
	require.NoError(t, p.cmd.Wait())
	p.ended(t)
	assert.Equal(t, []string{"asserted", "asserted", "on"}, p.pins())
	store, err := OpenStore(filepath.Join(p.dir, "state"))
	require.NoError(t, err)
	r, err := store.GuardReport()
	require.NoError(t, err)
	assert.Nil(t, r)
}

// A run that could not make the rig safe leaves it to the guard, and ends before it.
func TestGuardStandsInForARunThatGoesOn(t *testing.T) {
	p := play(t, "run-unsafe", "")
	require.NoError(t, p.cmd.Wait())
	p.ended(t)
	assert.Equal(t, []string{"released", "released", "off"}, p.pins())
	store, err := OpenStore(filepath.Join(p.dir, "state"))
	require.NoError(t, err)
	r, err := store.GuardReport()
	require.NoError(t, err)
	require.NotNil(t, r)
	assert.True(t, r.Safe)
	p.free(t)
}

func TestGuardThatDoesNotStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	spec := GuardSpec{File: guardedFile(dir), Dir: dir, Store: newStore(t)}
	ctx := t.Context()

	spec.Argv = []string{filepath.Join(dir, "gone")}
	_, err := StartGuard(ctx, spec)
	require.ErrorIs(t, err, os.ErrNotExist)

	spec.Argv = []string{os.Args[0]}
	spec.Environ = []string{roleEnv + "=none of these"}
	_, err = StartGuard(ctx, spec)
	require.ErrorContains(t, err, "start the guard: ")

	spec.Environ = []string{roleEnv + "=deaf"}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	_, err = StartGuard(short, spec)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestGuardThatEndsIsNoticed(t *testing.T) {
	dir := t.TempDir()
	g, err := StartGuard(t.Context(), GuardSpec{File: guardedFile(dir), Dir: dir, Store: newStore(t),
		Argv: []string{os.Args[0]}, Environ: []string{roleEnv + "=guard"}})
	require.NoError(t, err)
	select {
	case <-g.Gone():
		t.Fatal("it has ended by itself")
	default:
	}
	require.NoError(t, syscall.Kill(g.PID(), syscall.SIGKILL))
	select {
	case <-g.Gone():
	case <-time.After(5 * time.Second):
		t.Fatal("its end is not seen")
	}
	require.ErrorContains(t, g.Dismiss(t.Context()), "dismiss the guard")
	require.NoError(t, g.Dismiss(t.Context()), "dismissing again does nothing")
}

func TestGuardByHandIsRefused(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"=guard")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Contains(t, string(out), "this command is for a run's own use")
}

func TestGuardReportDamaged(t *testing.T) {
	s := newStore(t)
	require.NoError(t, os.WriteFile(filepath.Join(s.Dir(), guardFile), []byte("{"), 0o600))
	_, err := s.GuardReport()
	require.ErrorContains(t, err, "guard.json: not valid")
}

func TestReadLine(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	tests := []struct {
		in   string
		max  int
		want string
		err  string
	}{
		{"done\n", 64, "done", ""},
		{"done", 64, "", "unexpected EOF"}, // a run that died in mid-word was not done
		{"", 64, "", "unexpected EOF"},
		{long + "\n", 20_000, long, ""},
		{long + "\n", 64, "", "a line of over 64 bytes"},
	}
	for _, tt := range tests {
		got, err := readLine(bufio.NewReaderSize(strings.NewReader(tt.in), 16), tt.max)
		if tt.err != "" {
			assert.EqualError(t, err, tt.err)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, tt.want, string(got))
	}
}
