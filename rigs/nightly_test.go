package rigs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// installed is where the units expect the command.
const installed = "/usr/local/bin/rigor"

// The units for a nightly run are such as systemd takes, as a template and for
// one rig.
func TestUnitsVerify(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze: apt-get install systemd")
	}
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	var units []string
	for _, name := range []string{"rigor@.service", "rigor@.timer"} {
		text, err := os.ReadFile(filepath.Join("examples", "systemd", name))
		require.NoError(t, err)
		// systemd looks whether the program is there, so that one stands in for it.
		out := strings.ReplaceAll(string(text), installed, self)
		// What stands behind a # for who needs it is taken too.
		all := regexp.MustCompile(`(?m)^#([A-Z][A-Za-z]+=)`).ReplaceAllString(out, "$1")
		full := strings.Replace(name, "@", "@full", 1)
		require.NoError(t, os.WriteFile(filepath.Join(dir, full), []byte(strings.ReplaceAll(all, "OnFailure=notify@%n.service", "")), 0o600))
		units = append(units, filepath.Join(dir, full))
		for _, as := range []string{name, strings.Replace(name, "@", "@bench-a", 1)} {
			path := filepath.Join(dir, as)
			require.NoError(t, os.WriteFile(path, []byte(out), 0o600))
			units = append(units, path)
		}
	}
	out, err := exec.CommandContext(t.Context(), analyze, append([]string{"verify", "--man=no"}, units...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Empty(t, string(out), "a warning")

	// That the tool sees a mistake at all.
	wrong := filepath.Join(dir, "wrong.service")
	require.NoError(t, os.WriteFile(wrong, []byte("[Service]\nType=oneshot\nExecStart=/not/there\n"), 0o600))
	require.Error(t, exec.CommandContext(t.Context(), analyze, "verify", "--man=no", wrong).Run())
}

// What the unit promises in words of its own: the run alone gets the first
// signal, and gets longer than checks have to unwind.
func TestUnitLeavesTimeToEndSafe(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("examples", "systemd", "rigor@.service"))
	require.NoError(t, err)
	for _, line := range []string{"Type=oneshot", "KillMode=mixed", "KillSignal=SIGTERM", "TimeoutStopSec=60s", "StateDirectory=rigor"} {
		assert.Contains(t, strings.Split(string(text), "\n"), line)
	}
	assert.Regexp(t, `(?m)^ExecStopPost=-`+installed+` safe `, string(text))
}

// With the file system read only, images and memories still have a folder for a while;
// and hearing a network is the unit's to give, since a program gets no rights of its
// file's where it may get no new ones.
func TestUnitHasWhatARunNeeds(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("examples", "systemd", "rigor@.service"))
	require.NoError(t, err)
	lines := strings.Split(string(text), "\n")
	require.Contains(t, lines, "ProtectSystem=strict")
	assert.Contains(t, lines, "PrivateTmp=yes")
	require.Contains(t, lines, "NoNewPrivileges=yes")
	assert.Contains(t, lines, "#AmbientCapabilities=CAP_NET_RAW")
}

// The recipes for CI use the same rig file and never publish private bytes; the
// YAML ones can be read.
func TestRecipes(t *testing.T) {
	for _, tt := range []struct {
		name    string
		private string
	}{
		{"gitlab-ci.yml", "out/private/**/*"},
		{"github-workflow.yml", "!out/private/"},
		{"Jenkinsfile", "excludes: 'out/private/**'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("examples", "ci", tt.name))
			require.NoError(t, err)
			assert.Contains(t, string(text), tt.private)
			assert.Regexp(t, `rigor run --rig /etc/rigor/bench-a\.yaml --out out`, string(text))
			// A run is compared with those in the folders beside its own.
			assert.NotContains(t, string(text), "rm -rf out")
			assert.Contains(t, string(text), `mv out "before-`)
			if strings.HasSuffix(tt.name, ".yml") {
				var doc map[string]any
				require.NoError(t, yaml.Unmarshal(text, &doc))
				assert.NotEmpty(t, doc)
			}
			if tt.name == "gitlab-ci.yml" {
				// Else each job begins with all removed that git does not know.
				assert.Contains(t, string(text), "GIT_STRATEGY: none")
			}
		})
	}
}
