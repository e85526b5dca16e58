package credential_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/profile"
)

// keypad is somebody who tries logins at the keypad of a device, and the device: it
// lets its owner in, and who knows the default.
type keypad struct {
	opens string // the default; none where it is empty

	mu     sync.Mutex
	owner  string
	showed int
	last   bool
}

var password = regexp.MustCompile(`password ("(?:[^"\\]|\\.)*")`)

func (k *keypad) answer(_ context.Context, question string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch m := password.FindStringSubmatch(question); {
	case strings.HasPrefix(question, "Write what"):
		if k.last {
			return "Welcome to your device", nil
		}
		return "Wrong PIN", nil
	case strings.Contains(question, "the owner's password"):
		k.showed++
		return "show", nil
	case m == nil:
		k.last = false
	case k.showed > 0 && k.owner == "":
		k.owner = m[1] // what was just shown
		k.last = true
	default:
		k.last = m[1] == k.owner || k.opens != "" && m[1] == `"`+k.opens+`"`
	}
	if k.last {
		return "in", nil
	}
	return "no", nil
}

// TestLoginByHand: somebody tries the credentials where no program can. The verdicts
// are those of other logins, and no file of the run holds the owner's password.
func TestLoginByHand(t *testing.T) {
	t.Parallel()
	app := func(p *profile.Profile) {
		p.Logins.Order = append(p.Logins.Order, "keypad")
		l := &profile.Login{Protocol: "ask", Ask: "the keypad beside the door", Owner: p.Logins.Items["api"].Owner}
		l.Proof.Match = profile.Pattern{Literal: "Welcome"}
		l.Lockout.None.None = "it has none"
		p.Logins.Items["keypad"] = l
		p.States.Items["onboarded"].Logins = append(p.States.Items["onboarded"].Logins, "keypad")
	}
	ids := []string{"cred-blank[keypad]", "cred-known-list[keypad]", "cred-enum[keypad]"}
	for _, c := range []struct {
		name string
		who  *keypad
		want []string
	}{
		{"hardened", &keypad{}, []string{pass, "inconclusive.coverage-gap", pass}},
		{"a default", &keypad{opens: "admin"}, []string{pass, "fail.access", pass}},
		{"nobody is there", nil, []string{"inconclusive.needs-human", "inconclusive.needs-human", "inconclusive.needs-human"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := planted{Profile: app, Dir: filepath.Join(t.TempDir(), "run")}
			if c.who != nil {
				p.AskSecret = c.who.answer
			}
			res := run(t, p, ids...)
			for i, id := range ids {
				assert.Equal(t, c.want[i], judged(t, res, id), id)
			}
			if c.who == nil {
				return
			}
			secret := strings.Trim(c.who.owner, `"`)
			require.Greater(t, len(secret), 6)
			require.NoError(t, filepath.WalkDir(p.Dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				data, err := os.ReadFile(path)
				assert.NotContains(t, string(data), secret, path)
				return err
			}))
		})
	}
}
