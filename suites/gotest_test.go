package suites_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/gotest"
	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/report"
	"rigor/harness/rig"
	"rigor/rigs"
	"rigor/rigs/rigtest"
	"rigor/suites"
)

// Checks under go test, on the built-in device: what a firmware team writes.
// The device is hardened, unless a test below plants something in a process of
// its own.
func TestGateway(t *testing.T) {
	gotest.Run(t, gotest.Bench{
		Rig:     "virtual",
		Load:    planted,
		Suites:  suites.All(),
		Drivers: rigs.Drivers(),
		Undo:    suites.Undo(),
		Exec:    rigs.Exec,
		Program: rigs.Program,
		Report: func(dir string, res *journal.Result) error {
			return report.Write(dir, res, nil, report.Options{})
		},
	}, "idn-*", "con-shell-noauth")
}

// planted loads a built-in rig with what the environment plants into it.
func planted(name string) (*rig.File, *profile.Profile, error) {
	f, p, err := rigs.Load(name)
	if err == nil {
		f.Virtual = &rig.Virtual{Weaknesses: strings.Fields(os.Getenv(weaknessVar)), Faults: strings.Fields(os.Getenv(faultVar))}
		if len(f.Virtual.Faults) > 0 {
			rigtest.Hurried(p)
		}
	}
	return f, p, err
}

const (
	weaknessVar = "RIGOR_GOTEST_WEAKNESS"
	faultVar    = "RIGOR_GOTEST_FAULT"
)

// What is planted is seen by go test as the command sees it.
func TestGatewayWithPlants(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, planted string
		args          []string
		want          map[string]string // without TestGateway
		says          []string
	}{
		{"weakness", weaknessVar + "=version-wrong", nil,
			map[string]string{"": "FAIL", "/idn-logical": "PASS", "/idn-model-fw": "FAIL", "/con-shell-noauth[main]": "PASS", "/con-shell-noauth[aux]": "PASS"},
			[]string{"FAIL, in ", "why       expectation: ", "again     go test -run '^TestGateway$/^idn-model-fw$' rigor/suites"}},
		{"a shell without a login", weaknessVar + "=aux-shell", []string{"-test.run", "^TestGateway$/con-.*aux"},
			map[string]string{"": "FAIL", "/con-shell-noauth[aux]": "FAIL"}, []string{"why       access: "}},
		{"bench fault", faultVar + "=console-other-device", []string{"-test.run", `^TestGateway$/(con-shell-noauth\[main\]|idn-model-fw)`},
			map[string]string{"": "FAIL", "/con-shell-noauth[main]": "FAIL", "/idn-model-fw": "PASS"}, []string{"INCONCLUSIVE (nothing is shown, neither way)"}},
		{"a rig that is not as it says", faultVar + "=wrong-unit", []string{"-test.run", "^TestGateway$/idn"},
			map[string]string{"": "FAIL", "/idn-model-fw": "FAIL", "/idn-logical": "FAIL"}, []string{"RIG ERROR (nothing is said of the device)", "wrong-unit"}},
		{"a weakness that there is not", weaknessVar + "=no-such", []string{"-test.run", "^TestGateway$/idn-logical"},
			map[string]string{"": "FAIL", "/idn-logical": "FAIL"}, []string{"RIG ERROR", `"no-such"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() {
				t.Skip("runs on the built-in device; left out by -short")
			}
			dir := t.TempDir()
			self, err := os.Executable()
			require.NoError(t, err)
			args := append([]string{"-test.v", "-test.run=^TestGateway$"}, c.args...) // the last one holds
			cmd := exec.CommandContext(t.Context(), self, args...)
			cmd.Env = append(os.Environ(), c.planted, "TMPDIR="+dir, "CI=")
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "%s", out)
			got := map[string]string{}
			for _, m := range regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): TestGateway(\S*)`).FindAllStringSubmatch(string(out), -1) {
				got[m[2]] = m[1]
			}
			assert.Equal(t, c.want, got, "%s", out)
			for _, want := range c.says {
				assert.Contains(t, string(out), want)
			}
			// What the failures point at stays.
			runs, err := filepath.Glob(filepath.Join(dir, "rigor-*", "*-virtual-*", "report.html"))
			require.NoError(t, err)
			assert.Equal(t, !strings.Contains(c.planted, "no-such"), len(runs) == 1, "%v", runs)
		})
	}
}
