package console_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
	"rigor/harness/wire"
	"rigor/rigs"
	"rigor/rigs/rigtest"
	"rigor/suites/console"
)

// run checks the built-in device with the console suite.
func run(t *testing.T, p rigtest.Planted, selectors ...string) map[string]journal.Case {
	t.Helper()
	cases := map[string]journal.Case{}
	for _, c := range rigtest.Run(t, console.Suite, p, selectors...).Cases {
		cases[c.ID] = c
	}
	return cases
}

func judged(c journal.Case) string { return rigtest.Judged(&c) }

const (
	pass = string(verdict.Pass)
	none = "not-applicable.declared-none"
)

func TestHardenedDevice(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("boots a device many times")
	}
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
	for id, c := range run(t, rigtest.Planted{}) {
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
		{"console-root-shell", "con-shell-noauth[main]", "fail.open-to-all", false},
		{"console-magic-word", "con-shell-noauth[main]", "fail.access", true},
		{"console-menu-noauth", "con-shell-noauth[main]", "fail.access", false},
		{"aux-shell", "con-shell-noauth[aux]", "fail.access", false},
		{"aux-shell", "con-silent[aux]", "fail.access", false},
		{"aux-chatty", "con-silent[aux]", "fail.access", false},
		{"boot-interrupt-any-key", "con-boot-interrupt[main]", "fail.access", false},
		{"boot-interrupt-narrow", "con-boot-interrupt[main]", "fail.access", false},
		{"boot-interrupt-kernel", "con-boot-interrupt[main]", "fail.access", false},
		{"boot-fail-prompt", "con-boot-fail-prompt[main]", "fail.access", false},
		{"boot-interrupt-odd-key", "con-boot-interrupt[main]", "fail.access", false},
		{"boot-interrupt-xoff", "con-boot-interrupt[main]", "fail.access", false},
		{"boot-fail-prompt-late", "con-boot-fail-prompt[main]", "fail.access", false},
		{"boot-fail-odd-prompt", "con-boot-fail-prompt[main]", "fail.access", false},
		{"aux-boot-key", "con-silent[aux]", "fail.access", false},
		{"secret-hexdump", "con-secret-leak[main]", "fail.leak", false},
		{"harmless-boot-progress", "con-boot-interrupt[main]", pass, false},
		{"harmless-boot-progress", "con-boot-fail-prompt[main]", pass, false},
		{"harmless-aux-power-glitch", "con-silent[aux]", pass, false},
		{"sysrq-break", "con-sysrq[main]", "fail.access", true},
		{"secret-boot-log", "con-secret-leak[main]", "fail.leak", false},
		{"secret-base64-log", "con-secret-leak[main]", "fail.leak", false},
		{"secret-owner-password-log", "con-secret-leak[main]", "fail.leak", false},
		{"cmd-inject-ping", "con-cmd-inject[main]", "fail.access", true},
		{"cmd-inject-subst", "con-cmd-inject[main]", "fail.access", false},
		{"cmd-inject-word", "con-cmd-inject[main]", "fail.access", true},
	} {
		t.Run(c.weakness+" "+c.id, func(t *testing.T) {
			if testing.Short() && !c.quick {
				t.Skip("boots a device several times")
			}
			t.Parallel()
			assert.Equal(t, c.want, judged(run(t, rigtest.Planted{Weaknesses: []string{c.weakness}}, c.id)[c.id]))
		})
	}
}

// TestQuickPass is what -short looks at of the hardened device.
func TestQuickPass(t *testing.T) {
	t.Parallel()
	ids := []string{"con-shell-noauth[main]", "con-sysrq[main]", "con-cmd-inject[main]"}
	cases := run(t, rigtest.Planted{}, ids...)
	for _, id := range ids {
		assert.Equal(t, pass, judged(cases[id]), id)
	}
}

// TestBrokenWires: a wire that is cut or that garbles passes nothing and fails
// nothing.
func TestBrokenWires(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for a console that says nothing")
	}
	for _, c := range []struct{ fault, id string }{
		{"console-tx-cut", "con-sysrq[main]"}, {"console-rx-cut", "con-cmd-inject[main]"}, {"console-other-device", "con-shell-noauth[main]"},
		{"garbage", "con-shell-noauth[main]"}, {"garbage", "con-sysrq[main]"}, {"garbage", "con-secret-leak[main]"}, {"garbage", "con-silent[aux]"},
	} {
		t.Run(c.fault+" "+c.id, func(t *testing.T) {
			t.Parallel()
			p := rigtest.Planted{Faults: []string{c.fault}}
			if c.fault != "garbage" {
				p.Profile = rigtest.Hurried
			}
			got := run(t, p, c.id)[c.id]
			assert.Contains(t, []verdict.Verdict{verdict.Inconclusive, verdict.Error}, got.Judgement.Verdict, "%s", got.Judgement)
		})
	}
}

// noBreak is a port over a network, which cannot carry a BREAK.
type noBreak struct{ wire.Port }

// Break is what such a port cannot do.
func (noBreak) Break(context.Context, time.Duration) error { return wire.ErrUnsupported }

func TestPortWithoutBreak(t *testing.T) {
	t.Parallel()
	without := func(d rig.Drivers) {
		open := d.Port["virtual"]
		d.Port["virtual"] = func(ctx context.Context, p *rig.Port, e rig.Env) (wire.Port, error) {
			port, err := open(ctx, p, e)
			return noBreak{port}, err
		}
	}
	c := run(t, rigtest.Planted{Drivers: without}, "con-sysrq[main]")["con-sysrq[main]"]
	assert.Equal(t, "inconclusive.rig-lacks", judged(c), "%s", c.Judgement)
}

// TestPlanWithoutSections: what the profile does not say makes its cases
// inconclusive, and takes none away.
func TestPlanWithoutSections(t *testing.T) {
	plan := func(edit func(*profile.Profile, *check.Input)) map[string]string {
		_, prof, err := rigs.Load("virtual")
		require.NoError(t, err)
		in := check.Input{Profile: prof, Consoles: []string{"aux", "main"}, Power: true, Network: true, Units: 1,
			Allow: []check.Leave{check.LoginTries, check.Configure, check.Supply}}
		edit(prof, &in)
		planned, err := runner.Plan([]check.Suite{console.Suite}, in, nil)
		require.NoError(t, err)
		out := map[string]string{}
		for _, p := range planned {
			out[p.ID] = "runs"
			if p.Skip != nil {
				out[p.ID] = fmt.Sprintf("%s.%s", p.Skip.Verdict, p.Skip.Reason)
			}
		}
		return out
	}
	const missing, lacks = "inconclusive.profile-missing", "inconclusive.rig-lacks"
	whole := plan(func(*profile.Profile, *check.Input) {})
	require.Len(t, whole, 14)
	for name, c := range map[string]struct {
		edit func(*profile.Profile, *check.Input)
		want map[string]string // what differs from the whole
	}{
		"no consoles section": {func(p *profile.Profile, _ *check.Input) { p.Consoles = profile.Section[*profile.Console]{} },
			every(whole, func(string) string { return missing })},
		"no logins": {func(p *profile.Profile, _ *check.Input) { p.Logins = profile.Section[*profile.Login]{} },
			every(whole, func(id string) string {
				if strings.HasSuffix(id, "[main]") && id != "con-silent[main]" {
					return missing
				}
				return whole[id]
			})},
		"aux answers nothing": {func(p *profile.Profile, _ *check.Input) { p.Consoles.Items["aux"].Answer = profile.Answer{} },
			map[string]string{"con-shell-noauth[aux]": missing, "con-silent[aux]": missing, "con-secret-leak[aux]": missing}},
		"aux not declared silent": {func(p *profile.Profile, _ *check.Input) {
			p.Consoles.Items["aux"].Silent, p.Consoles.Items["aux"].Answer = false, profile.Answer{}
		}, every(whole, func(id string) string {
			if strings.HasSuffix(id, "[aux]") {
				return missing
			}
			return whole[id]
		})},
		"no boot": {func(p *profile.Profile, _ *check.Input) { p.Consoles.Items["main"].Boot = profile.Boot{} },
			map[string]string{"con-boot-interrupt[main]": missing, "con-boot-fail-prompt[main]": missing}},
		"no failed boot": {func(p *profile.Profile, _ *check.Input) { p.Consoles.Items["main"].Boot.Fail = profile.BootFail{} },
			map[string]string{"con-boot-fail-prompt[main]": missing}},
		"no injection": {func(p *profile.Profile, _ *check.Input) { p.Consoles.Items["main"].Injection = profile.Injection{} },
			map[string]string{"con-cmd-inject[main]": missing}},
		"no prompts": {func(p *profile.Profile, _ *check.Input) { p.Consoles.Items["main"].Login = profile.Pattern{} },
			every(whole, func(id string) string {
				if strings.HasSuffix(id, "[main]") && id != "con-silent[main]" {
					return missing
				}
				return whole[id]
			})},
		"no power": {func(_ *profile.Profile, in *check.Input) { in.Power = false },
			map[string]string{"con-boot-interrupt[main]": lacks, "con-boot-fail-prompt[main]": lacks, "con-silent[aux]": lacks, "con-secret-leak[main]": lacks, "con-secret-leak[aux]": lacks}},
		"reading only": {func(_ *profile.Profile, in *check.Input) { in.Allow = nil },
			every(whole, func(id string) string {
				if whole[id] == "runs" {
					return lacks
				}
				return whole[id]
			})},
	} {
		want := every(whole, func(id string) string { return whole[id] })
		for id, v := range c.want {
			want[id] = v
		}
		assert.Equal(t, want, plan(c.edit), name)
	}
}

func every(whole map[string]string, f func(id string) string) map[string]string {
	out := map[string]string{}
	for id := range whole {
		out[id] = f(id)
	}
	return out
}

// slowPort takes a time for each write, as a port far away does.
type slowPort struct{ wire.Port }

// Write sends p late.
func (s slowPort) Write(ctx context.Context, p []byte) error {
	select {
	case <-time.After(15 * time.Millisecond):
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.Port.Write(ctx, p)
}

// TestKeysThatWereNotSent: a boot that is over before each of its keys has gone out
// shows nothing of those that had not.
func TestKeysThatWereNotSent(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("boots a device ten times")
	}
	slow := func(d rig.Drivers) {
		open := d.Port["virtual"]
		d.Port["virtual"] = func(ctx context.Context, p *rig.Port, e rig.Env) (wire.Port, error) {
			port, err := open(ctx, p, e)
			return slowPort{port}, err
		}
	}
	for _, id := range []string{"con-boot-interrupt[main]", "con-silent[aux]"} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			c := run(t, rigtest.Planted{Drivers: slow}, id)[id]
			assert.Equal(t, "inconclusive.ineffective", judged(c), "%s", c.Judgement)
		})
	}
}

// TestWordAtTheLogin: a word that is still on its way when the boot ends lands at
// the login. What it opens there is no interrupted boot; con-shell-noauth has it.
func TestWordAtTheLogin(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("boots a device ten times")
	}
	p := rigtest.Planted{Weaknesses: []string{"console-menu-noauth"}, Profile: func(p *profile.Profile) {
		p.Consoles.Items["main"].Magic = slices.Repeat([]string{"?"}, 40) // one of them is always on its way
	}}
	cases := run(t, p, "con-boot-interrupt[main]", "con-shell-noauth[main]")
	assert.Equal(t, pass, judged(cases["con-boot-interrupt[main]"]), "%s", cases["con-boot-interrupt[main]"].Judgement)
	assert.Equal(t, "fail.access", judged(cases["con-shell-noauth[main]"]))
}
