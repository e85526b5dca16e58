package ssh_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/login/internal/peers"
)

// noise is a file that is no multiple of anything.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

// put copies files to a peer in one way, and looks there what has arrived.
func put(t *testing.T, address, by string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o777))               //nolint:gosec // the peer's account writes there
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) //nolint:gosec // and passes here
	access, o, err := prober(t, address, nil).Open(t.Context(), owner())
	require.NoError(t, err)
	require.NotNil(t, access, o)
	defer func() { require.NoError(t, access.Close()) }()
	for _, n := range []int{0, 1, 100_001} {
		data := noise(n)
		to := filepath.Join(dir, "an image.bin")
		got, err := access.Do(t.Context(), login.Request{Put: &login.Put{Data: data, To: to, By: by}})
		require.NoError(t, err)
		assert.Zero(t, got.Status, "%s", got.Body)
		assert.Equal(t, n, got.Arrived)
		sum, err := access.Do(t.Context(), login.Request{Command: "sha256sum '" + to + "'"})
		require.NoError(t, err)
		want := sha256.Sum256(data)
		assert.True(t, bytes.HasPrefix(sum.Body, []byte(hex.EncodeToString(want[:]))), "%d bytes: %s", n, sum.Body)
	}
	// What cannot be written is the peer's no, with its words, and nothing has arrived.
	got, err := access.Do(t.Context(), login.Request{Put: &login.Put{Data: noise(1000), To: filepath.Join(dir, "none", "x"), By: by}})
	require.NoError(t, err)
	assert.NotZero(t, got.Status)
	assert.Zero(t, got.Arrived)
	assert.Regexp(t, "o such file|nonexistent", string(got.Body))
}

// TestPutOpenSSH: a file goes over to OpenSSH's server by its shell, by scp and by sftp.
func TestPutOpenSSH(t *testing.T) {
	peers.Need(t, "scp", "openssh-client")
	address := openSSH(t, "PasswordAuthentication yes\nKbdInteractiveAuthentication no\nLogLevel ERROR\nSubsystem sftp internal-sftp")
	for _, by := range []string{"", login.PutByRCP, login.PutBySFTP} {
		t.Run("by "+by, func(t *testing.T) { put(t, address, by) })
	}
}

// TestPutDropbear: and to dropbear's, which has no sftp of its own.
func TestPutDropbear(t *testing.T) {
	peers.Need(t, "scp", "openssh-client")
	address := dropbear(t, "-B")
	for _, by := range []string{login.PutByShell, login.PutByRCP} {
		t.Run("by "+by, func(t *testing.T) { put(t, address, by) })
	}
}

// TestPutNowhere: a server that has no such subsystem, and one whose command ends in the
// middle, have taken nothing.
func TestPutNowhere(t *testing.T) {
	address := openSSH(t, `PasswordAuthentication yes
KbdInteractiveAuthentication no
LogLevel ERROR
ForceCommand case "$SSH_ORIGINAL_COMMAND" in scp*|cat*) head -c 100 >/dev/null; echo enough; exit 3;; *) eval "$SSH_ORIGINAL_COMMAND";; esac`)
	access, o, err := prober(t, address, nil).Open(t.Context(), owner())
	require.NoError(t, err)
	require.NotNil(t, access, o)
	defer func() { require.NoError(t, access.Close()) }()
	for _, by := range []string{"", login.PutByRCP, login.PutBySFTP} {
		got, err := access.Do(t.Context(), login.Request{Put: &login.Put{Data: noise(300_000), To: "/tmp/x", By: by}})
		assert.True(t, err != nil || got.Status != 0, "by %q: %+v", by, got)
		assert.Less(t, got.Arrived, 300_000, "by %q", by)
		t.Logf("by %q: %v, status %d, %d bytes: %q", by, err, got.Status, got.Arrived, got.Body)
	}
	_, err = access.Do(t.Context(), login.Request{Put: &login.Put{By: "pigeon"}})
	require.ErrorIs(t, err, login.ErrRequest)
}
