package redis

import (
	"bufio"
	"bytes"
	"net"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/login/internal/peers"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// What no server at hand says, older ones among them.
func TestAnswers(t *testing.T) {
	right := login.Credential{User: "owner", Password: "x"}
	for _, tc := range []struct {
		name    string
		cred    login.Credential
		proof   string
		close   bool
		answers []string
		want    verdict.Kind
	}{
		{"5: no users", right, "", false, []string{"-ERR wrong number of arguments for 'auth' command\r\n", "+OK\r\n", "$2\r\nhi\r\n"}, verdict.Accepted},
		{"5: no users, wrong", right, "", false, []string{"-ERR wrong number of arguments for 'auth' command\r\n", "-ERR invalid password\r\n"}, verdict.Refused},
		{"5: no password set", right, "", false, []string{"-ERR Client sent AUTH, but no password is set\r\n", "$2\r\nhi\r\n"}, verdict.Accepted},
		{"2.6: nobody", login.Nobody, "", false, []string{"-ERR operation not permitted\r\n"}, verdict.Refused},
		{"protected mode", login.Nobody, "", true, []string{"-DENIED Redis is running in protected mode\r\n"}, verdict.Refused},
		{"loading", right, "", false, []string{"-LOADING Redis is loading the dataset in memory\r\n"}, verdict.Throttled},
		{"rate", right, "", false, []string{"-ERR too many failed logins, try again in 30 seconds\r\n"}, verdict.Throttled},
		{"locked", right, "", false, []string{"-ERR account is locked\r\n"}, verdict.LockedOut},
		{"no AUTH", right, "", false, []string{"-ERR unknown command 'AUTH'\r\n"}, verdict.Incompatible},
		{"an error nobody knows", right, "", false, []string{"-ERR what\r\n"}, verdict.Unproven},
		{"proves nothing", right, "x", false, []string{"+OK\r\n", "$2\r\nhi\r\n"}, verdict.Unproven},
		{"nothing there", right, "", false, []string{"+OK\r\n", "$-1\r\n"}, verdict.Unproven},
		{"an array", right, "b", false, []string{"+OK\r\n", "*2\r\n$1\r\na\r\n*1\r\n:7b\r\n"}, verdict.Accepted},
		{"taken, and asked again", right, "", false, []string{"+OK\r\n", "-NOAUTH Authentication required.\r\n"}, verdict.Refused},
		{"closed", right, "", true, []string{""}, verdict.Unreachable},
		{"silent", right, "", false, nil, verdict.Silent},
		{"not RESP", right, "", false, []string{"HTTP/1.1 400 Bad Request\r\n"}, verdict.Garbled},
		{"too long", right, "", false, []string{"$99999999\r\n"}, verdict.Garbled},
		{"too deep", right, "", false, []string{strings.Repeat("*1\r\n", 20)}, verdict.Garbled},
		{"too many", right, "", false, []string{"*5000\r\n" + strings.Repeat(":1\r\n", 5000)}, verdict.Garbled},
		{"an endless line", right, "", false, []string{strings.Repeat("+", 10000)}, verdict.Garbled},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := prober(t, peers.Serve(t, peers.Reading(tc.close, "", tc.answers...)), func(c *Config) {
				c.Timeout = 600 * time.Millisecond
				if tc.proof != "" {
					c.Proof = regexp.MustCompile(tc.proof)
				}
			})
			o, err := p.Try(t.Context(), tc.cred)
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, o.Detail)
			assert.True(t, o.Sent)
		})
	}
}

func TestNew(t *testing.T) {
	_, err := New(Config{Address: "x:1"})
	require.ErrorIs(t, err, login.ErrConfig)
	_, err = New(Config{Dialer: &net.Dialer{}, Address: "x:1", Command: " "})
	require.ErrorIs(t, err, login.ErrConfig)
	assert.Equal(t, "*2\r\n$4\r\nAUTH\r\n$4\r\na\r\nb\r\n", string(command("AUTH", "a\r\nb")), "no end of a line ends a command")
}

func TestFault(t *testing.T) {
	p := prober(t, "127.0.0.1:1", func(c *Config) { c.Dialer = peers.Broken(&wire.Fault{Part: "link", Op: "dial", Err: syscall.ENODEV}) })
	_, err := p.Try(t.Context(), login.Nobody)
	_, ok := wire.AsFault(err)
	assert.True(t, ok, "%v", err)
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("*2\r\n$1\r\na\r\n*1\r\n:7\r\n-ERR x\r\n$-1\r\n"))
	f.Add([]byte("$5\r\nab"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReader(bytes.NewReader(b))
		for {
			a, err := readAnswer(r)
			if err != nil {
				return
			}
			if len(a.text) > max(len(b)*2, maxBulk) {
				t.Fatal("more than there was")
			}
		}
	})
}
