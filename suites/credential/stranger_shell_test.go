package credential_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/profile"
)

// Who gets a shell by a published login is in, also where the profile shows an access
// by what the owner alone is told: a stranger's own name is another one.
func TestShellOfSomebodyElse(t *testing.T) {
	t.Parallel()
	narrow := func(p *profile.Profile) {
		for _, l := range p.Logins.Items {
			if l.Proof.Command == "id" {
				l.Proof.Match = profile.Pattern{Literal: l.Owner.User + "@vg"}
			}
		}
	}
	for weakness, id := range map[string]string{"": "cred-known-list[telnet]", "default-telnet": "cred-known-list[telnet]", "default-ssh": "cred-known-list[ssh]", "default-console": "cred-known-list[console]"} {
		t.Run(weakness, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && weakness != "default-telnet" {
				t.Skip("a whole list for each; left out by -short")
			}
			p, want := planted{Profile: narrow}, pass
			if weakness != "" {
				p.Weaknesses, want = []string{weakness}, "fail.access"
			}
			assert.Equal(t, want, judged(t, run(t, p, id), id))
		})
	}
}
