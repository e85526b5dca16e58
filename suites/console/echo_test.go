package console_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/profile"
	"rigor/rigs/rigtest"
)

// TestOurOwnTyping: a secret that is put in over the console comes back as the echo of what
// was typed. That is no leak; what else shows it is.
func TestOurOwnTyping(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("boots a device several times")
	}
	typed := func(p *profile.Profile) {
		s := p.Stores.Items["wifi"]
		s.Plant = append(s.Plant,
			profile.Step{Verb: "console", At: "profile:1:1", Console: "main", Send: "set ${marker}", Expect: profile.Expect{Seen: profile.Pattern{Literal: "Password: "}}},
			profile.Step{Verb: "console", At: "profile:2:1", Console: "main", Enter: true, Expect: profile.Expect{Seen: profile.Pattern{Literal: "vg login: "}}})
	}
	for want, weak := range map[string][]string{pass: nil, "fail.leak": {"secret-boot-log"}} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			got := run(t, rigtest.Planted{Weaknesses: weak, Profile: typed}, "con-secret-leak[main]")
			assert.Equal(t, want, judged(got["con-secret-leak[main]"]), "%s", got["con-secret-leak[main]"].Judgement)
		})
	}
}
