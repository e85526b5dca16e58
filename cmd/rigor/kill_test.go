package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"rigor/harness/abreast"
	"rigor/harness/journal"
)

// A moment is when a run is killed: some time after a sign was seen.
type moment struct {
	name      string
	selectors []string
	// sign says that the moment is near; nil: the run has begun.
	sign func(t testing.TB, b *bench) bool
	upTo time.Duration // the kill comes at random within this after the sign
}

func intentOf(kind string) func(testing.TB, *bench) bool {
	return func(t testing.TB, b *bench) bool {
		return slices.ContainsFunc(b.intents(t), func(name string) bool { return strings.HasSuffix(name, "-"+kind+".json") })
	}
}

var moments = []moment{
	{name: "change", selectors: []string{"cred-change[api]", "cred-change[ssh]", "cred-change[console]"}, sign: intentOf("password"), upTo: 60 * time.Millisecond},
	{name: "press", selectors: []string{"cred-factory-state[api]", "cred-forced-set"}, upTo: 900 * time.Millisecond,
		sign: func(t testing.TB, b *bench) bool { return b.asserted(t, "button") }},
	{name: "any", selectors: []string{"cred-blank[*", "cred-policy", "cred-persist[ssh]", "cred-change*"}, upTo: 3 * time.Second},
	{name: "boot", selectors: []string{"con-boot-fail-prompt"}, upTo: 700 * time.Millisecond,
		sign: func(t testing.TB, b *bench) bool { return b.asserted(t, "flash") }},
	{name: "reset", selectors: []string{"cred-factory-state[web]", "cred-forced-set"}, sign: intentOf("state"), upTo: 2 * time.Second},
	{name: "set-up", selectors: []string{"cred-forced-set"}, sign: intentOf("setup"), upTo: 1800 * time.Millisecond},
	{name: "start", selectors: []string{"idn-logical"}, upTo: 300 * time.Millisecond},
}

// A run that is killed leaves a rig that is safe within a second, a report in
// which nothing unfinished passes, and a device that the next run puts right.
func TestKilledRunLeavesASafeRigAndATrueReport(t *testing.T) {
	if testing.Short() {
		t.Skip("fifty runs of a device in a process of its own")
	}
	t.Parallel()
	heavy(t)
	const kills, benches = 50, 4
	var changed atomic.Int64
	next := make(chan int, kills)
	for i := range kills {
		next <- i
	}
	close(next)
	var all [benches]string
	for i := range all {
		all[i] = fmt.Sprintf("bench-%d", i)
	}
	abreast.All(t, all[:], func(name string) string { return name }, func(t *testing.T, _ string) {
		b := newBench(t)
		b.plain(t)
		warm(t, b)
		for i := range next {
			m := moments[i%len(moments)]
			rng := rand.New(rand.NewPCG(uint64(i), 7))
			t.Run(fmt.Sprintf("%d-%s", i, m.name), func(t *testing.T) {
				if killOnce(t, b, m, rng) {
					changed.Add(1)
				}
			})
		}
	})
	assert.Positive(t, changed.Load(), "no kill fell between the change of a password and its restoring")
}

// plain takes what none of the moments needs out of the rig: each part of it is a program
// that is started several times in a run.
func (b *bench) plain(t testing.TB) {
	t.Helper()
	text, err := os.ReadFile(b.rig)
	require.NoError(t, err)
	cut := string(text)
	for _, path := range [][]string{{"storages"}, {"pads"}, {"lines", "boot0"}, {"lines", "led"}} {
		cut = without(t, cut, path)
	}
	require.NoError(t, os.WriteFile(b.rig, []byte(cut), 0o600))
	b.lean(t)
}

// leanProgram builds the program that works power and lines in less time than ours, and gives
// its path. It goes with the folder of ours.
var leanProgram = sync.OnceValues(func() (string, error) {
	rigor, err := exec.LookPath("rigor")
	if err != nil {
		return "", err
	}
	to := filepath.Join(filepath.Dir(rigor), "wires")
	out, err := exec.Command("go", "build", "-o", to, "./testdata/wires").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build wires: %w: %s", err, out)
	}
	return to, nil
})

// lean has power and lines be worked by a program that starts quickly: most of what a
// short run of such a bench costs is the start of these. Other tests start ours for it.
func (b *bench) lean(t testing.TB) {
	t.Helper()
	quick, err := leanProgram()
	require.NoError(t, err)
	text, err := os.ReadFile(b.rig)
	require.NoError(t, err)
	var doc yaml.Node
	require.NoError(t, yaml.Unmarshal(text, &doc))
	ours := append(strings.Split(inRig+"rigor", ", "), "virtual", "--control", b.socket)
	n := 0
	var walk func(*yaml.Node)
	walk = func(at *yaml.Node) {
		var words []string
		if at.Kind == yaml.SequenceNode && at.Decode(&words) == nil && slices.Equal(words, ours) {
			require.NoError(t, at.Encode([]string{quick, b.socket}))
			n++
		}
		for _, c := range at.Content {
			walk(c)
		}
	}
	walk(&doc)
	require.GreaterOrEqual(t, n, 1+len(lines), "the supply and the lines")
	text, err = yaml.Marshal(&doc)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(b.rig, text, 0o600))
}

// warm brings the device to where its owner can log in. A computer that is
// busy with other tests may need another try for that; no test is about it.
func warm(t *testing.T, b *bench) {
	t.Helper()
	var r result
	for range 3 {
		if r = output(t, b.command("run", "--rig", b.rig, "--out", b.folder(), "cred-blank[api]")); r.code == 0 {
			return
		}
	}
	t.Fatalf("the first run: %v", r)
}

// killOnce kills a run at a moment and looks at what is left. It says whether
// the owner's password was found changed.
func killOnce(t *testing.T, b *bench, m moment, rng *rand.Rand) (changed bool) {
	dir := b.folder()
	cmd := b.command(append([]string{"run", "--rig", b.rig, "--out", dir}, m.selectors...)...)
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	require.NoError(t, cmd.Start())
	awaitSign(t, b, m, dir)
	wait := time.Duration(rng.Int64N(int64(m.upTo)))
	pause(t, wait)
	at := b.unsafe(t)
	_ = cmd.Process.Signal(syscall.SIGKILL) // it may be over
	killed := time.Now()
	_ = cmd.Wait() // the state says it
	awaitSafe(t, b, killed)
	t.Logf("%v after the sign: %v, %v, intents %v; safe %v after", wait, cmd.ProcessState, at, b.intents(t), time.Since(killed)-steady)
	unfinished(t, b, dir)
	if m.name == "change" {
		awaitGuard(t, b, killed) // it would cut the power
		changed = !b.opens(t)
	}

	again := b.folder()
	r := output(t, b.command("run", "--rig", b.rig, "--out", again, "cred-blank[api]", "cred-blank[ssh]"))
	require.Equal(t, 0, r.code, "the next run, after a kill %v after the sign: %v", wait, r)
	assert.Empty(t, b.intents(t), "what the killed run had left is undone")
	assert.Empty(t, b.unsafe(t), "the rig after the next run")
	assert.True(t, b.opens(t), "the owner's password opens the device again")
	return changed
}

func pause(t testing.TB, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal("the test was ended")
	}
}

// awaitSign waits for a moment's sign, or for the run to be over without it.
func awaitSign(t *testing.T, b *bench, m moment, dir string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		if m.sign == nil {
			if _, err := os.Stat(filepath.Join(dir, "journal.jsonl")); err == nil {
				return
			}
		} else if m.sign(t, b) {
			return
		}
		pause(t, 4*time.Millisecond) // each look is a connection: eight benches that look all the time leave nothing to the device
	}
	t.Fatalf("the sign of moment %q did not come", m.name)
}

// steady is for how long a rig that is safe is watched.
const steady = 400 * time.Millisecond

// awaitSafe looks at the device itself until it is at rest, in time (see safeWithin),
// and that it stays so. A computer that is busy with other tests gets as many times that as
// the like of the guard's work takes there at this very moment longer than by itself.
func awaitSafe(t *testing.T, b *bench, killed time.Time) {
	t.Helper()
	within := time.Duration(safeWithin)
	var like <-chan time.Duration
	asked := false
	for {
		what := b.unsafe(t)
		if len(what) == 0 {
			break
		}
		if !asked && time.Since(killed) > within/2 { // it may be late: how busy the computer is now counts
			like, asked = likeTheGuard(t, b), true
		}
		if like != nil && time.Since(killed) > within {
			within = max(within, time.Duration(float64(within)*float64(<-like)/float64(likeAlone)))
			like = nil
		}
		if time.Since(killed) > within {
			t.Fatalf("%v after the kill, where %v were due: %v", time.Since(killed).Round(time.Millisecond), within, what)
		}
		pause(t, 5*time.Millisecond)
	}
	until := time.Now().Add(steady)
	for time.Now().Before(until) {
		require.Empty(t, b.unsafe(t), "%v after the kill it was safe, and then no more", time.Since(killed).Round(time.Millisecond))
		pause(t, 20*time.Millisecond)
	}
}

// likeAlone is how long the like of the guard's work takes where nothing else runs.
const likeAlone = 50 * time.Millisecond

// likeTheGuard does what the guard of a bench does, with our program and without an
// effect: it starts one for each line at once, and one for the supply behind them. It
// gives how long that took: likeAlone where nothing else runs.
func likeTheGuard(t *testing.T, b *bench) <-chan time.Duration {
	t.Helper()
	took := make(chan time.Duration, 1)
	begun := time.Now()
	var atOnce sync.WaitGroup
	for range lines {
		cmd := b.command("version")
		atOnce.Go(func() { _ = cmd.Run() }) // how long it takes is all that is asked
	}
	last := b.command("version")
	done := make(chan struct{})
	go func() {
		defer close(done)
		atOnce.Wait()
		_ = last.Run()
		took <- time.Since(begun)
	}()
	t.Cleanup(func() { <-done })
	return took
}

// awaitGuard waits until the guard of a killed run has ended.
func awaitGuard(t *testing.T, b *bench, killed time.Time) {
	t.Helper()
	require.Eventually(t, func() bool {
		info, err := os.Stat(filepath.Join(b.dir, "state", "rigor", b.name, "guard.json"))
		return err == nil && info.ModTime().After(killed)
	}, 5*time.Second, 10*time.Millisecond, "the guard does not say what it did")
}

type testSuites struct {
	Suites []struct {
		Cases []testCase `xml:"testcase"`
	} `xml:"testsuite"`
}

type testCase struct {
	Name    string    `xml:"name,attr"`
	Failure *struct{} `xml:"failure"`
	Error   *struct{} `xml:"error"`
	Skipped *struct{} `xml:"skipped"`
}

func (c testCase) passes() bool { return c.Failure == nil && c.Error == nil && c.Skipped == nil }

// readJUnit reads a run's JUnit file.
func readJUnit(t testing.TB, dir string) []testCase {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "junit.xml"))
	require.NoError(t, err)
	var all testSuites
	require.NoError(t, xml.Unmarshal(data, &all))
	var cases []testCase
	for _, s := range all.Suites {
		cases = append(cases, s.Cases...)
	}
	return cases
}

// unfinished makes the report of a killed run and looks that nothing in it
// passes that its journal does not show ended.
func unfinished(t *testing.T, b *bench, dir string) {
	t.Helper()
	r := output(t, b.command("report", dir))
	data, err := os.ReadFile(filepath.Join(dir, "journal.jsonl"))
	require.NoError(t, err)
	if !strings.Contains(string(data), "\n") {
		require.Equal(t, 2, r.code, "a journal without a line: %v", r)
		return
	}
	planned, ended, whole := readJournal(t, data)
	if whole { // it was over before the kill
		return
	}
	require.Equal(t, 75, r.code, "the report of a run cut short: %v", r)
	cases := readJUnit(t, dir)
	seen := 0
	for _, c := range cases {
		if slices.Contains(planned, c.Name) {
			seen++
		}
		if c.passes() {
			assert.Contains(t, ended, c.Name, "it passes, and had not ended")
		}
	}
	assert.Equal(t, len(planned), seen, "planned cases in the report; all of it: %v", cases)
}

// readJournal gives the cases that a journal plans and ends, as its lines say,
// and whether it has an end.
func readJournal(t testing.TB, data []byte) (planned []string, ended map[string]bool, whole bool) {
	t.Helper()
	ended = map[string]bool{}
	for line := range strings.SplitSeq(string(data), "\n") {
		var e journal.Event
		if json.Unmarshal([]byte(line), &e) != nil {
			continue // torn
		}
		switch {
		case e.Plan != nil && !e.Plan.Unselected:
			planned = append(planned, e.Case)
		case e.CaseEnd != nil && !e.CaseEnd.Retry:
			ended[e.Case] = true
		case e.End != nil:
			whole = true
		}
	}
	return planned, ended, whole
}

// start starts a run in a process group of its own, as a terminal does, and
// waits for its first case.
func start(t *testing.T, b *bench, dir string, selectors ...string) *exec.Cmd {
	t.Helper()
	cmd := b.command(append([]string{"run", "--rig", b.rig, "--out", dir}, selectors...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	require.Eventually(t, func() bool {
		data, err := os.ReadFile(filepath.Join(dir, "journal.jsonl"))
		return err == nil && strings.Contains(string(data), `"kind":"case"`)
	}, 20*time.Second, 5*time.Millisecond, "no case began")
	return cmd
}

// waitFor waits for a process to end.
func waitFor(t *testing.T, cmd *exec.Cmd, within time.Duration) time.Duration {
	t.Helper()
	begun := time.Now()
	timer := time.AfterFunc(within, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait() // the state says it
	require.True(t, timer.Stop(), "it did not end within %v", within)
	return time.Since(begun)
}

// Ctrl-C once: the check under way unwinds, the device is put right, the
// reports are written.
func TestOneInterruptUnwinds(t *testing.T) {
	if testing.Short() && !raceDetector {
		t.Skip("two runs of a device in a process of its own; with the race detector -short has it too")
	}
	t.Parallel()
	b := newBench(t)
	warm(t, b)
	dir := b.folder()
	cmd := start(t, b, dir, "cred-change*", "cred-persist*", "cred-known-list[telnet]")
	for !intentOf("password")(t, b) {
		pause(t, time.Millisecond)
	}
	require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
	waitFor(t, cmd, endsWithin)
	assert.Equal(t, 130, cmd.ProcessState.ExitCode())
	assert.Empty(t, b.unsafe(t))
	assert.Empty(t, b.intents(t), "the check under way has put the password back")
	assert.True(t, b.opens(t), "the owner's password opens the device")
	data, err := os.ReadFile(filepath.Join(dir, "journal.jsonl"))
	require.NoError(t, err)
	planned, ended, whole := readJournal(t, data)
	assert.True(t, whole, "the journal has an end")
	passes := 0
	for _, c := range readJUnit(t, dir) {
		if c.passes() {
			passes++
			assert.True(t, ended[c.Name], "%s passes, and had not ended", c.Name)
		}
	}
	assert.Less(t, passes, len(planned))
	for _, name := range []string{"report.html", "summary.md", "run.json"} {
		assert.FileExists(t, filepath.Join(dir, name))
	}
}

// Ctrl-C twice: at once, and safe.
func TestTwoInterruptsEndAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("a run and an interrupt; one interrupt shows it with the race detector")
	}
	t.Parallel()
	b := newBench(t)
	dir := b.folder()
	// The button is down for a second.
	cmd := start(t, b, dir, "cred-blank[api]", "cred-factory-state[api]", "cred-forced-set")
	require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
	pause(t, 20*time.Millisecond)
	require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
	took := waitFor(t, cmd, 5*time.Second)
	assert.Less(t, took, 3*time.Second)
	assert.Equal(t, 130, cmd.ProcessState.ExitCode())
	awaitSafe(t, b, time.Now())
	r := output(t, b.command("run", "--rig", b.rig, "--out", b.folder(), "cred-blank[api]"))
	assert.Equal(t, 0, r.code, "the next run: %v", r)
}

// TestKilledPressLetsGo: a button is not held by nobody.
func TestKilledPressLetsGo(t *testing.T) {
	b := newBench(t)
	cmd := b.command("press", "--rig", b.rig, "--hold", "1m", "button")
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return b.asserted(t, "button") }, 10*time.Second, 20*time.Millisecond)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	require.Eventually(t, func() bool { return !b.asserted(t, "button") }, 5*time.Second, 20*time.Millisecond)
}
