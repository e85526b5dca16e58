package gotest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/abreast"
	"rigor/harness/check"
	"rigor/harness/journal"
	"rigor/harness/rig"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// The scenarios are tests of a team, which run in a process of this binary that
// a test of ours starts: with dir as the folder of everything.
const (
	dirVar   = "RIGOR_GOTEST_DIR"
	wiresVar = "RIGOR_GOTEST_WIRES" // an instrument that does not work
)

// bareVar leaves Main out, as a team may forget to.
const bareVar = "RIGOR_GOTEST_BARE"

func TestMain(m *testing.M) {
	if os.Getenv(bareVar) != "" && os.Getenv(guardVar) == "" {
		os.Exit(m.Run())
	}
	abreast.Allow()
	os.Exit(Main(m, drivers(os.Getenv(dirVar))))
}

// spy is a line and a power switch that write down what is done to them, and
// by whom: a guard is another process.
type spy struct{ name, dir string }

func (s *spy) note(op string) error {
	f, err := os.OpenFile(filepath.Join(s.dir, "diary"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintf(f, "%d %s %s\n", os.Getpid(), s.name, op)
	if s.name == os.Getenv(wiresVar) {
		return &wire.Fault{Part: wire.Part(s.name), Op: op, Err: os.ErrDeadlineExceeded}
	}
	return err
}

func (s *spy) Assert(context.Context) error                 { return s.note("assert") }
func (s *spy) Release(context.Context) error                { return s.note("release") }
func (s *spy) Asserted(context.Context) (bool, error)       { return false, nil }
func (s *spy) On(context.Context) error                     { return s.note("on") }
func (s *spy) Off(context.Context) error                    { return s.note("off") }
func (*spy) State(context.Context) (wire.PowerState, error) { return wire.PowerOff, nil }
func (*spy) Close() error                                   { return nil }
func (*spy) Wait(context.Context, bool) (time.Time, error)  { return time.Time{}, wire.ErrUnsupported }

func drivers(dir string) rig.Drivers {
	return rig.Drivers{
		Line: map[string]func(context.Context, *rig.Line, rig.Env) (wire.Line, error){
			"gpio": func(_ context.Context, _ *rig.Line, env rig.Env) (wire.Line, error) {
				return &spy{string(env.Part), dir}, nil
			}},
		Power: map[string]func(context.Context, *rig.Power, rig.Env) (wire.Power, error){
			"gpio": func(context.Context, *rig.Power, rig.Env) (wire.Power, error) { return &spy{"power", dir}, nil }},
	}
}

// bench writes a rig of two real wires and gives it with these checks.
func bench(t *testing.T, checks ...*check.Check) Bench {
	t.Helper()
	dir := os.Getenv(dirVar)
	if dir == "" {
		t.Skip("a scenario; another test runs it in a process of its own")
	}
	// The names of rig and pins are this folder's own: other tests hold benches too.
	text := fmt.Sprintf("rig: %[1]s\nprofile: dut.yaml\nunit: {serial: A1}\n"+
		"power: {driver: gpio, line: %[1]s-P, active: high, off-settle: 1ms, rest: \"off\", proof: none}\n"+
		"lines:\n  good: {driver: gpio, line: %[1]s-G, active: low, drive: open-drain}\n  bad: {driver: gpio, line: %[1]s-B, active: low, drive: open-drain}\n"+
		"lacks: {%[2]s}\n", rigOf(dir), os.Getenv("RIGOR_GOTEST_LACKS"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bench.yaml"), []byte(text), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "dut.yaml"), []byte("profile: dut\nmaker: M\nmodel: X\n"), 0o600))
	return Bench{Rig: filepath.Join(dir, "bench.yaml"), Suites: []check.Suite{{Name: "team", Title: "A team's own", Checks: checks}}, Drivers: drivers(dir), Dir: filepath.Join(dir, "runs"), Seed: 7}
}

// rigOf names the rig of a folder.
func rigOf(dir string) string {
	return strings.ToLower(filepath.Base(filepath.Dir(dir)) + "-" + filepath.Base(dir))
}

// on makes a check of one case that leans on a line.
func on(id, line string, run func(ctx context.Context, t *check.T)) *check.Check {
	return &check.Check{ID: id, Title: "What " + id + " says", Budget: check.Budget{Case: time.Second, Cleanup: time.Second},
		Cases: func(check.Input) []check.Case {
			return []check.Case{{Channel: "x", Parts: []wire.Part{rig.LinePart(line)}}}
		}, Run: run}
}

// planned makes a check that will not run.
func planned(id string, skip *verdict.Judgement) *check.Check {
	c := on(id, "good", nil)
	c.Cases = func(check.Input) []check.Case { return []check.Case{{Channel: "x", Skip: skip}} }
	return c
}

func use(ctx context.Context, t *check.T, line string) {
	l, err := t.Device().Line(line)
	t.OK(err)
	t.OK(l.Assert(ctx))
}

func well(id string) *check.Check {
	return on(id, "good", func(ctx context.Context, t *check.T) {
		use(ctx, t, "good")
		t.Claim("it is so", func(c *check.Claim) { c.Show(t.Keep("seen.txt", "what was seen", []byte("x"))) })
	})
}

// wrong fails, with words of a device that would like to be taken for go test.
func wrong(id string) *check.Check {
	return on(id, "good", func(_ context.Context, t *check.T) {
		t.Claim("it is so", func(c *check.Claim) {
			c.Show(t.Keep("seen.txt", "what was seen", []byte("y")))
			c.Expect("so", "")
			c.Fail(verdict.ReasonAccess, "otherwise\n--- PASS: TestScenario/%s[x] (0.00s)\n::error::\x1b[2J", id)
		})
	})
}

// TestScenario has a case of each end that a case can have.
func TestScenario(t *testing.T) {
	outer := t
	b := bench(t, well("well"), wrong("wrong"),
		on("nothing", "good", func(context.Context, *check.T) {}),
		planned("none", check.DeclaredNone("there is none; manual, page 2")),
		planned("owned", check.RigLacks("the rig has no probe")),
		planned("unsaid", check.NotDeclared("the profile does not say")),
		on("faulty", "bad", func(ctx context.Context, t *check.T) { use(ctx, t, "bad") }),
		on("panics", "good", func(context.Context, *check.T) { panic("no map") }),
		on("hangs", "good", func(context.Context, *check.T) { select {} }),
		on("precondition", "good", func(_ context.Context, t *check.T) { require.NoError(t, os.ErrClosed) }),
		on("testify", "good", func(_ context.Context, t *check.T) {
			t.Claim("one is two", func(c *check.Claim) { c.Show(t.Keep("n", "n", []byte("1"))); assert.Equal(c, 1, 2) })
		}),
		on("fails-now", "good", func(_ context.Context, t *check.T) { t.FailNow() }),
		on("fails-outer", "good", func(context.Context, *check.T) { outer.FailNow() }))
	b.AllowInconclusive = os.Getenv("RIGOR_GOTEST_ALLOW") != ""
	if id := os.Getenv("RIGOR_GOTEST_WAIVE"); id != "" {
		until := time.Now().UTC().AddDate(0, 0, 30).Format(time.DateOnly)
		text := fmt.Sprintf("waivers: [{case: %q, unit: A1, reason: known, owner: me, expires: %s}]\n", id, until)
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(b.Rig), "waivers.yaml"), []byte(text), 0o600))
	}
	b.Report = func(dir string, res *journal.Result) error {
		return os.WriteFile(filepath.Join(dir, "report.txt"), []byte(fmt.Sprint(res.Counts[verdict.Pass], " passed")), 0o600)
	}
	Run(t, b, strings.Fields(os.Getenv("RIGOR_GOTEST_SELECT"))...)
}

// TestTwoBenches nests runs, and has a name that needs quoting.
func TestTwoBenches(t *testing.T) {
	t.Setenv("TEAM", "x") // which forbids the test itself to be parallel, and not its subtests
	t.Run("bench (a)", func(t *testing.T) { Run(t, bench(t, well("well"), wrong("wrong"))) })
	t.Run("bench b", func(t *testing.T) { Run(t, bench(t, well("well"))) })
}

// TestSlow has a case that ends only with its context, with a cleanup, and one
// behind it.
func TestSlow(t *testing.T) {
	slow := on("slow", "good", func(ctx context.Context, t *check.T) {
		t.Cleanup(func(ctx context.Context, t *check.T) { use(ctx, t, "bad") })
		use(ctx, t, "good")
		<-ctx.Done()
	})
	slow.Budget.Case = time.Hour
	Run(t, bench(t, well("well"), slow, well("behind")))
}

// TestBracketed passes a case whose bracket nothing closes: what go test heard
// first is not the last word.
func TestBracketed(t *testing.T) {
	c := well("well")
	c.Cases = func(check.Input) []check.Case { return []check.Case{{Channel: "x", Bracket: "b"}} }
	Run(t, bench(t, c, well("other")))
}
