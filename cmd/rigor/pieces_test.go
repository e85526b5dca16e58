package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/runner"
	"rigor/harness/verdict"
)

// TestRunWithoutAPieceDoesNotPass: a piece of the profile or of the rig file is
// what a check learns of a weakness by. Taken out, the weak device must not pass
// for that.
func TestRunWithoutAPieceDoesNotPass(t *testing.T) {
	if testing.Short() {
		t.Skip("many runs")
	}
	t.Parallel()
	out := func(from, to string) func(string) string { // from's beginning up to to's
		return func(text string) string {
			i := strings.Index(text, from)
			require.Positive(t, i, "no %q", from)
			j := strings.Index(text[i+1:], to)
			require.GreaterOrEqual(t, j, 0, "no %q behind it", to)
			return text[:i] + text[i+1+j:]
		}
	}
	swap := func(from, to string) func(string) string {
		return func(text string) string {
			require.Contains(t, text, from)
			return strings.ReplaceAll(text, from, to)
		}
	}
	after := func(mark string, f func(string) string) func(string) string {
		return func(text string) string {
			i := strings.Index(text, mark)
			require.Positive(t, i, "no %q", mark)
			return text[:i] + f(text[i:])
		}
	}
	tests := []struct {
		name         string
		profile, rig func(string) string
		weakness     string
		selected     string
		want         string
	}{
		{"routes", out("\nroutes:", "\nnetwork:"), nil, "info-leaks", "net-info[api]", "inconclusive.profile-missing"},
		{"routes.open", out("  open: [GET", "  setup: [GET"), nil, "info-leaks", "net-info[api]", "inconclusive.profile-missing"},
		{"routes.protected", out("  protected:", "\nnetwork:"), nil, "factory-open-api", "cred-factory-state[api]", ""},
		{"routes.protected, of the map", out("  protected:", "\nnetwork:"), nil, "unauth-route", "net-unauth-map", "inconclusive.profile-missing"},
		{"network.ipv6", out("  ipv6:", "\nstores:"), nil, "", "net-ports[tcp6]", "inconclusive.profile-missing"},
		{"states.onboarded.services", after("  onboarded:", out("    services:", "    holds:")), nil, "undeclared-port", "net-ports[tcp]", "inconclusive.profile-missing"},
		{"logins.api.transport", after("protocol: http-json", out("    transport:", "  console:")), nil, "plain-http-login", "cred-transport[api]", "inconclusive.profile-missing"},
		{"setup.choose", out("  choose:", "  skips:"), nil, "blind-policy-setup", "cred-forced-set", "inconclusive.profile-missing"},
		{"setup.label", out("  label: {wrong", "  skips:"), nil, "", "cred-forced-set", "inconclusive.profile-missing"},
		{"the label in setup.choose", after("  choose:", func(s string) string {
			return out("  label: {wrong", "  skips:")(strings.Replace(s, "label: '${unit.label-password}', ", "", 1))
		}), nil, "setup-any-label", "cred-forced-set", "inconclusive.profile-missing"},
		{"logins.api.transport.clear", after("protocol: http-json", func(s string) string { return strings.Replace(s, "transport: {clear: [80]}", "transport: {}", 1) }), nil, "plain-http-login", "cred-transport[api]", "inconclusive.profile-missing"},
		{"lockout.shared, of the others", after("  telnet:", func(s string) string { return strings.ReplaceAll(s, ", shared: true", "") }), nil, "blind-lockout-per-channel", "cred-bruteforce[ssh]", "inconclusive.profile-missing"},
		{"logins.ssh.lockout.shared", after("  ssh:", func(s string) string { return strings.Replace(s, ", shared: true", "", 1) }), nil, "blind-lockout-per-channel", "cred-bruteforce[ssh]", "inconclusive.profile-missing"},
		{"logins.ssh.lockout", after("  ssh:", out("    lockout:", "  telnet:")), nil, "enum-ssh-timing", "cred-enum[ssh]", "inconclusive.profile-missing"},
		{"log groups: source", swap("?P<source>", "?P<src>"), nil, "log-no-source", "log-auth-events[ssh]", "inconclusive.profile-missing"},
		{"log groups: time", swap("?P<time>", "?P<when>"), nil, "blind-log-unset-clock", "log-auth-events[ssh]", "inconclusive.profile-missing"},
		{"the leave to switch the power", nil, swap("update, power, power-cut,", "update, power-cut,"), "blind-old-password-after-reboot", "cred-change[api]", "inconclusive.rig-lacks"},
		{"a case for all, that is not selected", nil, nil, "blind-old-password-after-reboot", "cred-change[ssh]", "fail.access"},
		{"a login that is declared absent, before all others", swap("\nlogins:\n", "\nlogins:\n  aaa: {none: there is no such door}\n"), nil, "blind-old-password-after-reboot", "cred-change[api]", "fail.access"},
		{"identifiers that are declared", swap("  min-length: 8\n", "  min-length: 8\n  identifiers: [vg1-setup]\n"), nil, "label-shared", "cred-derivable", "fail.access"},
		{"a label that is not the unit's", nil, swap("virtual:label,", "env:RIGOR_TEST_LABEL,"), "label-from-mac", "cred-derivable", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			same := func(s string) string { return s }
			if tt.profile == nil {
				tt.profile = same
			}
			if tt.rig == nil {
				tt.rig = same
			}
			require.NoError(t, os.Mkdir(filepath.Join(dir, "profiles"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "profiles", "virtual.yaml"), []byte(tt.profile(builtin(t, "profiles/virtual.yaml"))), 0o600))
			file := filepath.Join(dir, "piece.yaml")
			require.NoError(t, os.WriteFile(file, []byte(tt.rig(builtin(t, "virtual.yaml"))), 0o600))
			runDir := filepath.Join(dir, "run")
			cmd := exec.Command("rigor", "run", "--rig", file, "--weakness="+tt.weakness, "--out", runDir, tt.selected)
			cmd.Dir, cmd.Env = dir, append(home(dir), "RIGOR_TEST_LABEL=invented-7781")
			got := output(t, cmd)
			res, err := runner.Load(runDir)
			require.NoError(t, err, "%s", got)
			require.NotEmpty(t, res.Cases)
			for i := range res.Cases {
				j := res.Cases[i].Judgement
				assert.NotEqual(t, verdict.Pass, j.Verdict, "%s: %s", res.Cases[i].ID, j)
				if tt.want != "" {
					assert.Equal(t, tt.want, string(j.Verdict)+"."+string(j.Reason), "%s", j)
				}
			}
		})
	}
}
