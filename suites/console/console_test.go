package console_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/check"
	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/runner"
	"rigor/harness/verdict"
	"rigor/rigs"
	"rigor/suites/console"
)

// planted is what is wrong with the built-in device and its bench.
type planted struct {
	weaknesses, faults []string
	profile            func(*profile.Profile)
	bench              func(*rigs.Virtual)
}

// run checks the built-in device and gives the folded result.
func run(t *testing.T, p planted, selectors ...string) map[string]journal.Case {
	t.Helper()
	file, prof, err := rigs.Load("virtual")
	require.NoError(t, err)
	if p.profile != nil {
		p.profile(prof)
	}
	file.Virtual = &rig.Virtual{Weaknesses: p.weaknesses, Faults: p.faults}
	v, err := rigs.NewVirtual(file, 7)
	require.NoError(t, err)
	defer func() { assert.NoError(t, v.Close()) }()
	if p.bench != nil {
		p.bench(v)
	}
	job := &runner.Job{File: file, Profile: prof, Suites: []check.Suite{console.Suite}, Drivers: v.Drivers(), Env: rig.Env{Given: map[string]func(string) (string, error){"virtual": v.Given}},
		Selectors: selectors, Dir: filepath.Join(t.TempDir(), "run"), RunID: "test", Seed: 7, Exec: rigs.Exec}
	begin := time.Now()
	require.NoError(t, job.Run(t.Context()))
	res, err := runner.Load(job.Dir)
	require.NoError(t, err)
	cases := map[string]journal.Case{}
	for _, c := range res.Cases {
		cases[c.ID] = c
		if !c.Unselected {
			t.Logf("%-28s %6d ms  %s", c.ID, c.Took.Milliseconds(), c.Judgement)
		}
	}
	t.Logf("all of it took %v", time.Since(begin).Round(time.Millisecond))
	return cases
}

func judged(c journal.Case) string {
	if c.Judgement.Reason == "" {
		return string(c.Judgement.Verdict)
	}
	return fmt.Sprintf("%s.%s", c.Judgement.Verdict, c.Judgement.Reason)
}

const (
	pass = string(verdict.Pass)
	none = "not-applicable.declared-none"
)

func TestHardenedDevice(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"con-shell-noauth[main]": pass, "con-shell-noauth[aux]": pass,
		"con-silent[main]": none, "con-silent[aux]": pass,
		"con-boot-interrupt[main]": pass, "con-boot-interrupt[aux]": none,
		"con-boot-fail-prompt[main]": pass, "con-boot-fail-prompt[aux]": none,
		"con-sysrq[main]": pass, "con-sysrq[aux]": none,
		"con-secret-leak[main]": pass, "con-secret-leak[aux]": pass,
		"con-cmd-inject[main]": pass, "con-cmd-inject[aux]": none,
	}
	got := map[string]string{}
	for id, c := range run(t, planted{}) {
		got[id] = judged(c)
	}
	assert.Equal(t, want, got)
}

// TestWeaknesses plants each weakness of consoles and looks at the checks that
// are about it.
func TestWeaknesses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		weakness, id, want string
		quick              bool // also with -short
	}{
		{"console-root-shell", "con-shell-noauth[main]", "fail.open-to-all", true},
		{"console-magic-word", "con-shell-noauth[main]", "fail.access", true},
		{"console-menu-noauth", "con-shell-noauth[main]", "fail.access", false},
		{"aux-shell", "con-shell-noauth[aux]", "fail.access", true},
		{"aux-shell", "con-silent[aux]", "fail.access", false},
		{"aux-chatty", "con-silent[aux]", "fail.access", false},
		{"boot-interrupt-any-key", "con-boot-interrupt[main]", "fail.access", false},
		{"boot-interrupt-narrow", "con-boot-interrupt[main]", "fail.access", false},
		{"boot-interrupt-kernel", "con-boot-interrupt[main]", "fail.access", false},
		{"boot-fail-prompt", "con-boot-fail-prompt[main]", "fail.access", false},
		{"sysrq-break", "con-sysrq[main]", "fail.access", true},
		{"secret-boot-log", "con-secret-leak[main]", "fail.access", false},
		{"secret-base64-log", "con-secret-leak[main]", "fail.access", false},
		{"secret-owner-password-log", "con-secret-leak[main]", "fail.access", false},
		{"cmd-inject-ping", "con-cmd-inject[main]", "fail.access", true},
		{"cmd-inject-subst", "con-cmd-inject[main]", "fail.access", false},
	} {
		t.Run(c.weakness+" "+c.id, func(t *testing.T) {
			if testing.Short() && !c.quick {
				t.Skip("boots a device several times")
			}
			t.Parallel()
			assert.Equal(t, c.want, judged(run(t, planted{weaknesses: []string{c.weakness}}, c.id)[c.id]))
		})
	}
}
