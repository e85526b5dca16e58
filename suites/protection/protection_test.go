package protection_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/profile"
	"rigor/harness/verdict"
	"rigor/rigs/rigtest"
	"rigor/suites/protection"
)

type planted = rigtest.Planted

func yes() *bool { b := true; return &b }
func no() *bool  { return new(bool) }

// What is judged of the built-in device, as it is and as it is declared to be.
func TestJudgements(t *testing.T) {
	t.Parallel()
	tls := func(f func(*profile.TLS)) func(*profile.Profile) { return func(p *profile.Profile) { f(&p.TLS) } }
	const server, ssh, plain = "dat-tls-server[api]", "dat-ssh-server[ssh]", "dat-plaintext"
	for _, c := range []struct {
		name string
		p    planted
		id   string
		want string
	}{
		{"1.3 is the floor", planted{Profile: tls(func(s *profile.TLS) { s.Oldest = "1.3" })}, server, "fail.expectation"},
		{"1.3 is the floor, and kept", planted{Weaknesses: []string{"harmless-tls13-only"}, Profile: tls(func(s *profile.TLS) { s.Oldest = "1.3" })}, server, "pass"},
		{"nothing is said", planted{Profile: tls(func(s *profile.TLS) { *s = profile.TLS{} })}, server, "inconclusive.profile-missing"},
		{"signed by itself, and declared not to be", planted{Profile: tls(func(s *profile.TLS) { s.SelfSigned = no() })}, server, "fail.contradiction"},
		{"old, and declared", planted{Weaknesses: []string{"tls-old"}, Profile: tls(func(s *profile.TLS) { *s = profile.TLS{Oldest: "1.0", Allow: []string{"cbc-sha1"}, SelfSigned: yes()} })}, server, "pass"},
		{"old, and declared in part", planted{Weaknesses: []string{"tls-old"}, Profile: tls(func(s *profile.TLS) { s.Oldest = "1.0" })}, server, "fail.expectation"},
		{"RC4 cannot be declared", planted{Weaknesses: []string{"tls-weak-suite"}, Profile: tls(func(s *profile.TLS) { s.Allow = []string{"cbc-sha1", "3des"} })}, server, "fail.expectation"},
		{"short MAC, and declared", planted{Weaknesses: []string{"ssh-weak-mac"}, Profile: func(p *profile.Profile) { p.SSH.Allow = []string{"hmac-sha1-96"} }}, ssh, "pass"},
		{"group 1 cannot be declared", planted{Weaknesses: []string{"ssh-weak-kex"}, Profile: func(p *profile.Profile) { p.SSH.Allow = []string{"diffie-hellman-group1-sha1"} }}, ssh, "fail.expectation"},
		{"the port is closed", planted{Faults: []string{"port-closed"}}, ssh, "inconclusive.control-failed"},
		{"somebody else is on the port", planted{Faults: []string{"port-squatted"}}, ssh, "inconclusive.control-failed"},
		{"somebody else is on a port of the scenario", planted{Faults: []string{"port-squatted"}}, plain, "inconclusive"},
		{"the key is in a header", planted{Weaknesses: []string{"plain-status-psk"}}, plain, "fail.leak"},
		{"nobody says what is stored", planted{Profile: func(p *profile.Profile) { p.Stores = profile.Section[*profile.Store]{} }}, plain, "inconclusive.coverage-gap"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			res := rigtest.Run(t, protection.Suite, c.p, c.id)
			for i := range res.Cases {
				if got := &res.Cases[i]; got.ID == c.id {
					assert.True(t, strings.HasPrefix(rigtest.Judged(got), c.want), "%s", got.Judgement)
				}
			}
		})
	}
}

// The frame that is cited is the frame that shows the secret, to other programs too;
// and no password of the owner is in the file.
func TestTheFrameThatIsCited(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("needs tshark: apt-get install tshark")
	}
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run")
	res := rigtest.Run(t, protection.Suite, planted{Weaknesses: []string{"plain-status-psk"}, Dir: dir}, "dat-plaintext")
	for i := range res.Cases {
		c := &res.Cases[i]
		if c.ID != "dat-plaintext" {
			continue
		}
		require.Equal(t, verdict.Fail, c.Judgement.Verdict)
		cited := regexp.MustCompile(`frame (\d+) of scenario\.pcapng`).FindStringSubmatch(c.Judgement.Detail)
		require.Len(t, cited, 2, c.Judgement.Detail)
		out, err := exec.Command(tshark, "-r", filepath.Join(dir, "evidence", "dat-plaintext", "scenario.pcapng"), "-Y", "frame.number == "+cited[1], "-T", "fields", "-e", "frame.comment", "-e", "tcp.payload").Output()
		require.NoError(t, err)
		comment, payload, _ := strings.Cut(strings.TrimSpace(string(out)), "\t")
		assert.Contains(t, comment, "what was put into store wifi")
		assert.Contains(t, payload, "582d4e6574776f726b") // X-Network
	}
}
