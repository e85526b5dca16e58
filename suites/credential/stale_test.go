package credential_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/rig"
	"rigor/harness/wire"
)

// A login that goes by the password that it remembers refuses the new one and takes the
// old: that it was changed is shown by another login, which the new one opens.
func TestStalePassword(t *testing.T) {
	t.Parallel()
	const id = "cred-change[ssh]"
	assert.Equal(t, "fail.access", judged(t, run(t, planted{Weaknesses: []string{"change-stale-ssh"}}, id), id))
	if !testing.Short() {
		assert.Equal(t, pass, judged(t, run(t, planted{}, id), id))
	}
}

// liarPort makes a login prompt of the shell's, once the DUT has let the owner in before
// the change and behind it: three times a command has shown that.
type liarPort struct {
	wire.Port
	proofs int
	lies   bool
}

func (p *liarPort) Read(b []byte) (int, error) {
	n, err := p.Port.Read(b[:len(b)/4]) // a login's prompt is longer
	said := bytes.Clone(b[:n])
	if p.lies {
		said = bytes.ReplaceAll(said, []byte("vg>"), []byte("vg login:"))
	}
	p.proofs += bytes.Count(said, []byte("@vg"))
	p.lies = p.proofs >= 3 && bytes.HasSuffix(said, []byte("vg> ")) || p.lies
	return copy(b, said), err
}

// TestPasswordComesBackBesideABadConsole: a console whose wire makes a refusal of each
// answer does not keep the owner's password changed, which the cases behind lean on.
func TestPasswordComesBackBesideABadConsole(t *testing.T) {
	t.Parallel()
	const id, behind = "cred-change[console]", "cred-policy"
	res := run(t, planted{Drivers: func(d rig.Drivers) {
		open := d.Port["virtual"]
		d.Port["virtual"] = func(ctx context.Context, p *rig.Port, e rig.Env) (wire.Port, error) {
			port, err := open(ctx, p, e)
			return &liarPort{Port: port}, err
		}
	}}, id, behind)
	require.Regexp(t, `^(inconclusive|error)\.`, judged(t, res, id))
	assert.Equal(t, pass, judged(t, res, behind))
}
