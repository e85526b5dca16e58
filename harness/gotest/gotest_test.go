package gotest

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/harness/runner"
	"rigor/harness/verdict"
)

// child is what a test of a team came to.
type child struct {
	t      *testing.T
	dir    string
	out    string
	code   int
	ends   map[string]string // "TestScenario/well[x]": "PASS", "FAIL", "SKIP"
	result []*journal.Result // of each run
}

// command starts the test binary on one of the scenarios.
func command(t *testing.T, dir string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, append([]string{"-test.v"}, args...)...)
	cmd.Dir = dir
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "CI=") && !strings.HasPrefix(kv, "GOCOVERDIR=") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(append(cmd.Env, dirVar+"="+dir, "XDG_STATE_HOME="+filepath.Join(dir, "state"), "TMPDIR="+dir, "GORACE=atexit_sleep_ms=0"), env...)
	return cmd
}

// start runs scenarios to their end.
func start(t *testing.T, env []string, args ...string) *child {
	t.Helper()
	c := &child{t: t, dir: t.TempDir()}
	cmd := command(t, c.dir, env, args...)
	out, _ := cmd.CombinedOutput() // the code says it
	c.read(cmd, out)
	return c
}

func (c *child) read(cmd *exec.Cmd, out []byte) {
	c.t.Helper()
	c.out, c.code, c.ends = string(out), cmd.ProcessState.ExitCode(), map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): (\S+)`).FindAllStringSubmatch(c.out, -1) {
		require.NotContains(c.t, c.ends, m[2], c.out)
		c.ends[m[2]] = m[1]
	}
	dirs, err := filepath.Glob(filepath.Join(c.dir, "runs", "*"))
	require.NoError(c.t, err)
	for _, d := range dirs {
		res, err := runner.Load(d)
		require.NoError(c.t, err)
		c.result = append(c.result, res)
	}
	c.t.Logf("%s\n%s", strings.Join(cmd.Args[1:], " "), out)
}

// diary is what was done to the wires, without who did it.
func (c *child) diary() []string {
	data, err := os.ReadFile(filepath.Join(c.dir, "diary"))
	if err != nil {
		return nil
	}
	var out []string
	for line := range strings.Lines(string(data)) {
		_, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		out = append(out, what)
	}
	return out
}

// byOne says whether all was done by one process.
func (c *child) byOne() bool {
	data, err := os.ReadFile(filepath.Join(c.dir, "diary"))
	require.NoError(c.t, err)
	who := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		pid, _, _ := strings.Cut(line, " ")
		who[pid] = true
	}
	return len(who) == 1
}

// safe says that the last that the wires heard was to be at rest.
func (c *child) safe() {
	c.t.Helper()
	got := c.diary()
	require.GreaterOrEqual(c.t, len(got), 3)
	assert.ElementsMatch(c.t, []string{"line.good release", "line.bad release", "power off"}, got[len(got)-3:])
}

var scenario = map[string]string{
	"": "FAIL", "/well[x]": "PASS", "/wrong[x]": "FAIL", "/nothing[x]": "FAIL", "/none[x]": "SKIP", "/owned[x]": "SKIP", "/unsaid[x]": "FAIL",
	"/faulty[x]": "FAIL", "/panics[x]": "FAIL", "/hangs[x]": "FAIL", "/precondition[x]": "FAIL", "/testify[x]": "FAIL", "/fails-now[x]": "FAIL", "/fails-outer[x]": "FAIL",
}

func named(test string, ends map[string]string, other ...string) map[string]string {
	out := map[string]string{}
	for name, end := range ends {
		out[test+name] = end
	}
	for i := 0; i < len(other); i += 2 {
		out[test+other[i]] = other[i+1]
	}
	return out
}

// Each verdict is what it is to be to go test, and its text says which it is.
func TestVerdicts(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a case that hangs; left out by -short")
	}
	t.Parallel()
	c := start(t, []string{wiresVar + "=line.bad", "RIGOR_GOTEST_LACKS=owned: no probe on this bench"}, "-test.run=^TestScenario$")
	assert.Equal(t, 1, c.code)
	assert.Equal(t, named("TestScenario", scenario), c.ends)
	c.text("wrong[x]", "FAIL, in ", "why       access: otherwise --- PASS: TestScenario/wrong[x] (0.00s) ::error::\\x1b[2J", "claim     it is so", "expected  so",
		"evidence  "+filepath.Join(c.dir, "runs"), `again     go test -run '^TestScenario$/^wrong\[x\]$' rigor/harness/gotest`)
	c.text("testify[x]", "FAIL", "why       expectation: Not equal")
	c.text("nothing[x]", "INCONCLUSIVE", "no-claim")
	c.text("unsaid[x]", "INCONCLUSIVE", "profile-missing: the profile does not say")
	c.text("precondition[x]", "INCONCLUSIVE", "precondition: Received unexpected error")
	c.text("fails-now[x]", "INCONCLUSIVE", "precondition")
	c.text("faulty[x]", "RIG ERROR", "i/o timeout")
	c.text("panics[x]", "RIG ERROR", "panic: the check panicked: no map")
	c.text("hangs[x]", "RIG ERROR", "budget")
	c.text("fails-outer[x]", "RIG ERROR", "bug: the check ended its goroutine and did not say why")
	c.text("none[x]", "n/a: declared-none: there is none; manual, page 2")
	c.text("owned[x]", "n/a: lacks: no probe on this bench")
	for _, line := range strings.Split(c.out, "\n") {
		assert.NotRegexp(t, `^\s*::error`, line)
		assert.NotContains(t, line, "\x1b")
	}
	require.Len(t, c.result, 1)
	assert.Len(t, c.result[0].Cases, len(scenario)-1)
	for _, cs := range c.result[0].Cases { // the fold's verdict, and no other
		assert.Equal(t, (&Bench{}).meaning(cs.Verdict()), map[string]meaning{"PASS": passes, "SKIP": skips, "FAIL": fails}[c.ends["TestScenario/"+cs.ID]], cs.ID)
	}
	files, err := filepath.Glob(filepath.Join(c.dir, "runs", "*", "report.txt"))
	require.NoError(t, err)
	assert.Len(t, files, 1)
	assert.NotEmpty(t, c.diary())
	assert.NoDirExists(t, filepath.Join(c.dir, "_artifacts"))
}

// text looks at what a subtest said.
func (c *child) text(id string, wants ...string) {
	c.t.Helper()
	var said strings.Builder
	mine := false
	for line := range strings.SplitSeq(c.out, "\n") {
		if strings.HasPrefix(line, "=== ") {
			words := strings.Fields(line)
			mine = strings.HasSuffix(words[2], "/"+id)
			continue
		}
		if mine {
			said.WriteString(line + "\n")
		}
	}
	for _, want := range wants {
		assert.Contains(c.t, said.String(), want, id)
	}
}

// What is not said is green only where that was asked for, and never what failed.
func TestAllowInconclusive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cases, ends string
		code        int
	}{
		{"well[x] nothing[x] unsaid[x]", "PASS PASS SKIP SKIP", 0},
		{"nothing[x]", "PASS SKIP", 0},
		{"wrong[x] nothing[x]", "FAIL FAIL SKIP", 1},
		{"panics[x] nothing[x]", "FAIL FAIL SKIP", 1},
	} {
		got := start(t, []string{"RIGOR_GOTEST_ALLOW=1", "RIGOR_GOTEST_SELECT=" + c.cases}, "-test.run=^TestScenario$")
		assert.Equal(t, c.code, got.code, c.cases)
		ends := []string{got.ends["TestScenario"]}
		for _, id := range strings.Fields(c.cases) {
			ends = append(ends, got.ends["TestScenario/"+id])
		}
		assert.Equal(t, c.ends, strings.Join(ends, " "), c.cases)
		got.safe()
	}
}

// A waiver beside the rig file counts as it does for the command: what it is not
// needed for any more fails.
func TestWaiver(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{"wrong[x]": "PASS", "well[x]": "FAIL"} {
		c := start(t, []string{"RIGOR_GOTEST_WAIVE=" + id, "RIGOR_GOTEST_SELECT=" + id}, "-test.run=^TestScenario$")
		assert.Equal(t, want, c.ends["TestScenario"], id)
		if id == "wrong[x]" {
			assert.Equal(t, "SKIP", c.ends["TestScenario/wrong[x]"])
			c.text(id, "n/a: waived", "access: otherwise")
		}
	}
}

// What go test's own filters leave out is not run on the rig.
func TestFilters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, selectors string
		args            []string
		want            map[string]string
		runs            int
		touched         bool
	}{
		{"one", "", []string{"-test.run=TestScenario/^well"}, map[string]string{"": "PASS", "/well[x]": "PASS"}, 1, true},
		{"quoted", "", []string{`-test.run=^TestScenario$/^well\[x\]$`}, map[string]string{"": "PASS", "/well[x]": "PASS"}, 1, true},
		{"skip", "well wrong nothing", []string{"-test.run=TestScenario", "-test.skip=TestScenario/(wrong|nothing)"}, map[string]string{"": "PASS", "/well[x]": "PASS"}, 1, true},
		{"within the selectors", "well wrong", []string{"-test.run=TestScenario/(well|none)"}, map[string]string{"": "PASS", "/well[x]": "PASS"}, 1, true},
		{"only what does not run", "", []string{"-test.run=TestScenario/none"}, map[string]string{"": "PASS", "/none[x]": "SKIP"}, 1, true},
		{"nothing", "", []string{"-test.run=TestScenario/zzz"}, map[string]string{"": "SKIP"}, 0, false},
		{"no such selector", "wel", []string{"-test.run=TestScenario"}, map[string]string{"": "FAIL"}, 0, false},
		{"selectors alone", "well none", []string{"-test.run=TestScenario"}, map[string]string{"": "PASS", "/well[x]": "PASS", "/none[x]": "SKIP"}, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := start(t, []string{"RIGOR_GOTEST_SELECT=" + c.selectors}, c.args...)
			assert.Equal(t, named("TestScenario", c.want), got.ends)
			require.Len(t, got.result, c.runs)
			assert.Equal(t, c.touched, got.diary() != nil)
			for _, res := range got.result {
				assert.Len(t, res.Cases, len(c.want)-1)
				assert.Equal(t, len(scenario)-1, len(res.Cases)+len(res.Left), "what is left out is still planned")
				for _, l := range res.Left {
					assert.False(t, l.Ran, l.ID)
				}
			}
			if c.name == "one" {
				assert.Equal(t, []string{"go test -run TestScenario/^well"}, got.result[0].Start.Selectors)
			}
		})
	}
}

func TestTwiceAndNested(t *testing.T) {
	t.Parallel()
	c := start(t, nil, "-test.run=^TestTwoBenches$", "-test.parallel=1")
	assert.Equal(t, map[string]string{"TestTwoBenches": "FAIL", "TestTwoBenches/bench_(a)": "FAIL", "TestTwoBenches/bench_(a)/well[x]": "PASS", "TestTwoBenches/bench_(a)/wrong[x]": "FAIL",
		"TestTwoBenches/bench_b": "PASS", "TestTwoBenches/bench_b/well[x]": "PASS"}, c.ends)
	m := regexp.MustCompile(`go test -run '([^']*)'`).FindStringSubmatch(c.out)
	require.NotNil(t, m)
	again := start(t, nil, "-test.run="+m[1])
	assert.Equal(t, map[string]string{"TestTwoBenches": "FAIL", "TestTwoBenches/bench_(a)": "FAIL", "TestTwoBenches/bench_(a)/wrong[x]": "FAIL"}, again.ends, "the command runs that case alone")

	twice := start(t, []string{"RIGOR_GOTEST_SELECT=well"}, "-test.run=^TestTwoBenches$/bench_b", "-test.count=2", "-test.v=false")
	assert.Equal(t, 0, twice.code)
	assert.Len(t, twice.result, 2)
}

func TestFailFast(t *testing.T) {
	t.Parallel()
	c := start(t, []string{"RIGOR_GOTEST_SELECT=well wrong testify"}, "-test.run=^TestScenario$", "-test.failfast")
	assert.Equal(t, map[string]string{"TestScenario": "FAIL", "TestScenario/well[x]": "PASS", "TestScenario/wrong[x]": "FAIL", "TestScenario/testify[x]": "FAIL"}, c.ends)
	c.text("testify[x]", "INCONCLUSIVE", "not run: stopped at the first failure")
}

// A pass that the end of the run takes back is none.
func TestTheFoldHasTheLastWord(t *testing.T) {
	t.Parallel()
	c := start(t, nil, "-test.run=^TestBracketed$")
	assert.Equal(t, map[string]string{"TestBracketed": "FAIL", "TestBracketed/well[x]": "FAIL", "TestBracketed/other[x]": "PASS"}, c.ends)
	c.text("well[x]", "INCONCLUSIVE", "bracket b was not closed")
}

// Before the test binary ends for lack of time the rig is safe, the cleanups are
// done, and each case has a verdict.
func TestTimeout(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for what does not come, in real time")
	}
	t.Parallel()
	c := start(t, nil, "-test.run=^TestSlow$", "-test.timeout=4s")
	assert.Equal(t, 1, c.code)
	assert.NotContains(t, c.out, "panic: test timed out")
	assert.Equal(t, map[string]string{"TestSlow": "FAIL", "TestSlow/well[x]": "PASS", "TestSlow/slow[x]": "FAIL", "TestSlow/behind[x]": "FAIL"}, c.ends)
	assert.Contains(t, c.out, "INTERRUPTED")
	assert.Contains(t, c.out, "the end of go test's -timeout, which is 2s away")
	c.text("slow[x]", "RIG ERROR", "interrupted while it ran")
	c.text("behind[x]", "RIG ERROR", "interrupted")
	assert.Contains(t, c.diary(), "line.bad assert", "the cleanup ran")
	c.safe()
}

// Signals: the first ends the run in good order; whatever ends the process
// leaves a safe rig and a true journal.
func TestSignals(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			c := &child{t: t, dir: t.TempDir()}
			cmd := command(t, c.dir, nil, "-test.run=^TestSlow$")
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			require.NoError(t, cmd.Start())
			require.Eventually(t, func() bool {
				files, _ := filepath.Glob(filepath.Join(c.dir, "runs", "*", runner.JournalName))
				if len(files) == 0 {
					return false
				}
				data, _ := os.ReadFile(files[0])
				n := strings.Count(strings.Join(c.diary(), "\n"), "line.good assert")
				return n == 2 && bytes.Contains(data, []byte(`"case":"slow[x]","begin"`))
			}, 20*time.Second, 5*time.Millisecond)
			require.NoError(t, cmd.Process.Signal(sig))
			_ = cmd.Wait() // the state says it
			if sig == syscall.SIGKILL {
				guarded := filepath.Join(c.dir, "state", "rigor", rigOf(c.dir), "guard.json")
				require.Eventually(t, func() bool { _, err := os.Stat(guarded); return err == nil }, 10*time.Second, 5*time.Millisecond, "the guard does not say what it did")
				c.safe()
				assert.False(t, c.byOne(), "by another process")
				files, err := filepath.Glob(filepath.Join(c.dir, "runs", "*"))
				require.NoError(t, err)
				res, err := runner.Load(files[0])
				require.NoError(t, err)
				assert.Equal(t, verdict.Error, res.Worst)
				return
			}
			c.read(cmd, out.Bytes())
			assert.Equal(t, 1, c.code)
			assert.Equal(t, map[string]string{"TestSlow": "FAIL", "TestSlow/well[x]": "PASS", "TestSlow/slow[x]": "FAIL", "TestSlow/behind[x]": "FAIL"}, c.ends)
			assert.Contains(t, c.out, sig.String())
			c.safe()
			assert.NoFileExists(t, filepath.Join(c.dir, "state", "rigor", rigOf(c.dir), "guard.json"), "there was nothing for the guard to do")
		})
	}
}

// Without Main there is nobody to be the guard, and nothing is done on wires.
func TestWithoutMain(t *testing.T) {
	t.Parallel()
	c := start(t, []string{bareVar + "=1", "RIGOR_GOTEST_SELECT=well"}, "-test.run=^TestScenario$")
	assert.Equal(t, map[string]string{"TestScenario": "FAIL", "TestScenario/well[x]": "FAIL"}, c.ends)
	assert.Contains(t, c.out, "TestMain that calls gotest.Main")
	assert.Nil(t, c.diary())
	assert.Equal(t, 1, strings.Count(c.out, "=== RUN   TestScenario\n"), "no process of the tests was started")
}

// A rig that another run has is not touched, and no case is green.
func TestLeased(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := command(t, dir, nil, "-test.run=^TestSlow$")
	require.NoError(t, first.Start())
	require.Eventually(t, func() bool {
		return strings.Contains(strings.Join((&child{dir: dir}).diary(), "\n"), "line.good assert")
	}, 20*time.Second, 5*time.Millisecond)
	second := command(t, dir, []string{"RIGOR_GOTEST_SELECT=well"}, "-test.run=^TestScenario$")
	out, err := second.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "RIG ERROR")
	assert.Contains(t, string(out), "in use")
	assert.Contains(t, string(out), "--- FAIL: TestScenario/well[x]")
	require.NoError(t, first.Process.Signal(syscall.SIGINT))
	_ = first.Wait() // how it ends is another test's
}

// Where the run's folder is.
func TestFolder(t *testing.T) {
	t.Parallel()
	self := start(t, nil, "-test.run=^TestTwoBenches$/bench_b", "-test.artifacts", "-test.outputdir=.")
	assert.Equal(t, 0, self.code)
	assert.Empty(t, self.result, "not in Bench.Dir")
	var found []string
	require.NoError(t, filepath.WalkDir(filepath.Join(self.dir, "_artifacts"), func(path string, _ fs.DirEntry, err error) error {
		if filepath.Base(path) == runner.JournalName {
			found = append(found, path)
		}
		return err
	}))
	assert.Len(t, found, 1)
}

func TestRerunNamesEachLevel(t *testing.T) {
	assert.Equal(t, []string{"go", "test", "-run", `^TestX$/^a\.b$/^{case}$`, "rigor/harness/gotest"}, rerun("TestX/a.b"))
}
