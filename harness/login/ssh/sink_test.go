package ssh

import (
	"bufio"
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
)

// answers gives a server that says the same, whatever it is sent.
func answers(said []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(said)) }

// sftpSays makes the messages of a server.
func sftpSays(kinds ...[]byte) []byte {
	var out []byte
	for _, k := range kinds {
		out = append(append(out, u32(uint32(len(k)))...), k...)
	}
	return out
}

func message(kind byte, parts ...[]byte) []byte {
	out := []byte{kind}
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// TestSFTPSize: what has arrived is what the server tells of the file in the end, and not
// what it has confirmed on the way.
func TestSFTPSize(t *testing.T) {
	t.Parallel()
	ok := func(id uint32) []byte { return message(sftpStatus, u32(id), u32(0), str(nil), str(nil)) }
	p := &login.Put{Data: make([]byte, 10), To: "/x"}
	whole := [][]byte{message(sftpVersion, u32(3)), message(sftpHandle, u32(1), str([]byte("h"))), ok(2), message(sftpAttrs, u32(3), u32(sftpHasSize), u64(10)), ok(4)}
	n, err := sendSFTP(io.Discard, answers(sftpSays(whole...)), p)
	require.NoError(t, err)
	assert.Equal(t, 10, n)
	whole[3] = message(sftpAttrs, u32(3), u32(sftpHasSize), u64(7))
	n, err = sendSFTP(io.Discard, answers(sftpSays(whole...)), p)
	require.NoError(t, err)
	assert.Equal(t, 7, n, "a full disk that nobody told of")
	whole[2] = message(sftpStatus, u32(2), u32(4), str([]byte("no space")), str(nil))
	n, err = sendSFTP(io.Discard, answers(sftpSays(whole...)), p)
	var no *saidNo
	require.ErrorAs(t, err, &no)
	assert.Equal(t, "4: no space", no.Error())
	assert.Zero(t, n)
	whole[2] = ok(9)
	_, err = sendSFTP(io.Discard, answers(sftpSays(whole...)), p)
	require.ErrorIs(t, err, errSFTP, "an answer to another request")
}

// FuzzSFTP: whatever a server answers, a copy ends, and has not arrived where an error says
// so of its own.
func FuzzSFTP(f *testing.F) {
	f.Add(sftpSays(message(sftpVersion, u32(3)), message(sftpHandle, u32(1), str([]byte("h")))))
	f.Add([]byte("vg: unknown command: sftp\n"))
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, said []byte) {
		n, err := sendSFTP(io.Discard, answers(said), &login.Put{Data: make([]byte, 100_000), To: "/x"})
		assert.GreaterOrEqual(t, n, 0)
		if err == nil {
			assert.Greater(t, len(said), 30, "an answer to each of its requests")
		}
	})
}

// FuzzRCP: whatever a sink answers, a copy ends, and has arrived only with three zeros.
func FuzzRCP(f *testing.F) {
	f.Add([]byte{0, 0, 0})
	f.Add([]byte("\x00\x01scp: /x: Permission denied\n"))
	f.Add([]byte("vg: unknown command: scp\n"))
	f.Fuzz(func(t *testing.T, said []byte) {
		n, err := sendRCP(io.Discard, answers(said), &login.Put{Data: make([]byte, 1000), To: "/x"})
		if bytes.HasPrefix(said, []byte{0, 0, 0}) {
			require.NoError(t, err)
			assert.Equal(t, 1000, n)
			return
		}
		require.Error(t, err)
		assert.Less(t, n, 1000)
	})
}
