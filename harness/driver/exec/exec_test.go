package exec

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/wire"
)

func sh(script string) Command {
	return Command{Part: "power", Argv: []string{"/bin/sh", "-c", script}}
}

func fault(t *testing.T, err error) {
	t.Helper()
	f, ok := wire.AsFault(err)
	require.True(t, ok, "no fault: %v", err)
	assert.Equal(t, wire.Part("power"), f.Part)
}

type answer struct {
	State string `json:"state"`
	Inner *struct {
		N int `json:"n"`
	} `json:"inner,omitempty"`
	Free map[string]any `json:"free,omitempty"`
	List []answer       `json:"list,omitempty"`
}

func TestCall(t *testing.T) {
	var got struct {
		Request map[string]string `json:"request"`
		Env     string            `json:"env"`
	}
	t.Setenv("CI_TOKEN", "t0p")
	c := sh(`read line; printf '{"request":%s,"env":"%s"}\n' "$line" "$EXTRA:$CI_TOKEN:$PWD"`)
	c.Env = []string{"EXTRA=yes"}
	c.Dir = "/"
	require.NoError(t, c.Call(t.Context(), map[string]string{"secret": "s3cret"}, &got))
	assert.Equal(t, map[string]string{"secret": "s3cret"}, got.Request)
	assert.Equal(t, "yes::/", got.Env, "the program sees its own variables and none of ours")
}

func TestCallFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cmd  Command
		want string
		is   error
	}{
		"no program":      {Command{Part: "power", Argv: []string{"/no/such/program"}}, "no such file", os.ErrNotExist},
		"exit code":       {sh(`echo '{"state":"on"}'; echo no relay here >&2; exit 3`), `exit status 3; it said "no relay here"`, nil},
		"killed":          {sh(`kill -9 $$`), "signal: killed", nil},
		"nothing":         {sh(`:`), "empty", ErrAnswer},
		"lines":           {sh(`printf 'one\n\n "two"\n' >&2; exit 3`), `exit status 3; it said "one | "two""`, nil},
		"controls":        {sh(`printf 'a\033[2J\n' >&2; exit 3`), `exit status 3; it said "a\x1b[2J"`, nil},
		"text":            {sh(`echo fine`), `no JSON object; the program said "fine"`, ErrAnswer},
		"text before":     {sh(`echo hello; echo '{"state":"on"}'`), "no JSON object", ErrAnswer},
		"text after":      {sh(`echo '{"state":"on"} done'`), "more than one", ErrAnswer},
		"two answers":     {sh(`echo '{"state":"on"}{"state":"on"}'`), "more than one", ErrAnswer},
		"control bytes":   {sh(`printf '\033[2J{'`), `"\x1b[2J{"`, ErrAnswer},
		"cut":             {sh(`printf '{"state":'`), "EOF", ErrAnswer},
		"too much":        {sh(`yes '{"state":"on"}'`), "more than 1048576 bytes", ErrAnswer},
		"left behind":     {sh(`sleep 60 & echo '{"state":"on"}'`), "keeps its output open", ErrAnswer},
		"long error text": {sh(`yes noise | head -c 100000 >&2; echo last words >&2; exit 1`), `last words"`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var a answer
			err := tc.cmd.Call(t.Context(), struct{}{}, &a)
			fault(t, err)
			assert.ErrorContains(t, err, tc.want)
			assert.Less(t, len(err.Error()), 2000)
			if tc.is != nil {
				assert.ErrorIs(t, err, tc.is)
			}
		})
	}
}

// alive says whether a process runs; a killed one that nobody has reaped is none.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestTimeoutKillsTheGroup(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pid")
	c := sh(`sleep 60 & echo $! > ` + file + `; wait`)
	c.Timeout = 500 * time.Millisecond
	start := time.Now()
	err := c.Call(t.Context(), struct{}{}, &answer{})
	fault(t, err)
	require.ErrorIs(t, err, ErrTimeout)
	assert.ErrorContains(t, err, "killed after")
	assert.Less(t, time.Since(start), 3*time.Second)
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	require.NoError(t, err)
	assert.Eventually(t, func() bool { return !alive(pid) }, 2*time.Second, 10*time.Millisecond, "the child outlived the call")

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = sh("sleep 60").Call(ctx, struct{}{}, &answer{})
	fault(t, err)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	err = sh("sleep 60").Call(ctx, struct{}{}, &answer{})
	require.ErrorIs(t, err, context.Canceled)
	_, isFault := wire.AsFault(err)
	assert.False(t, isFault)
}

func TestSecretsStayOut(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-secret"
	for _, script := range []string{`cat >&2; exit 1`, `cat`, `read l; echo "$l$l$l" >&2; sleep 60`} {
		c := sh(script)
		c.Timeout = time.Second
		c.Redact = func(s string) string { return strings.ReplaceAll(s, secret, "[redacted]") }
		err := c.Call(t.Context(), map[string]string{"password": secret}, &answer{})
		fault(t, err)
		assert.NotContains(t, err.Error(), "hunter2")
		assert.Contains(t, err.Error(), "[redacted]")
	}
}

// A secret is found also where what is shown of a long text begins in its midst.
func TestSecretsStayOutOfWhatIsCut(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-secret"
	redact := func(c *Command) {
		c.Redact = func(s string) string { return strings.ReplaceAll(s, secret, "[redacted]") }
	}
	fill := strings.Repeat("x", keptErrors-len("secret\n"))
	say := "echo '" + strings.Repeat("y", keptErrors) + secret + fill + "'"
	for name, script := range map[string]string{"errors": say + " >&2; exit 1", "output": say + "; exit 1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := Command{Part: "power", Argv: []string{"sh", "-c", script, FileArg}}
			redact(&c)
			s, err := NewStorage(c, Command{}, 0)
			require.NoError(t, err)
			err = s.Read(t.Context(), io.Discard)
			fault(t, err)
			assert.NotContains(t, err.Error(), "secret")
			assert.Contains(t, err.Error(), "xxx")
			assert.NotContains(t, err.Error(), "yyy", "the last of it is shown")
		})
	}
	for name, before := range map[string]int{"line of the log": maxLogLine - len("hunter2"), "long line": maxLogHeld - len("hunter2"), "very long line": maxLogHeld + maxLogLine} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, h := openPort(t, fmt.Sprintf(`head -c %d /dev/zero | tr '\0' y >&2; echo %s >&2; printf 'behind it' >&2`, before, secret), redact)
			_, err := p.Read(make([]byte, 1))
			fault(t, err)
			h.mu.Lock()
			defer h.mu.Unlock()
			all := strings.Join(h.lines, "")
			assert.NotContains(t, all, "hunter2")
			assert.NotContains(t, all, "secret")
			assert.True(t, strings.HasPrefix(all, "yyy"))
			assert.Equal(t, "behind it", h.lines[len(h.lines)-1])
			assert.Equal(t, before+len(secret) <= maxLogHeld, strings.Contains(all, "[redacted]"), "where the line is not too long to be kept whole")
			for _, l := range h.lines {
				assert.LessOrEqual(t, len(l), maxLogLine)
			}
		})
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"state":"on"}`:                            "",
		" \n{\"state\":\"on\"}\r\n":                 "",
		`{"state":"on","inner":{"n":1}}`:            "",
		`{"free":{"any":[1,{"x":null}],"STATE":1}}`: "",
		`{"list":[{"state":"on"},{"state":"off"}]}`: "",
		`{"list":[{"state":"on"},{"State":"off"}]}`: `unknown field "State"`,
		`{"State":"on"}`:                            `unknown field "State"`,
		`{"state":"on","extra":1}`:                  `unknown field "extra"`,
		`{"inner":{"N":1}}`:                         `unknown field "N"`,
		`{"state":"off","state":"on"}`:              `key "state" twice`,
		`{"free":{"a":1,"a":2}}`:                    `key "a" twice`,
		`{"state":1}`:                               "cannot unmarshal",
		`null`:                                      "no JSON object",
		`[{"state":"on"}]`:                          "no JSON object",
		"{\"state\":\"\xff\"}":                      "broken UTF-8",
		`{"state":"on"`:                             "EOF",
		`{"free":` + strings.Repeat(`{"a":`, 100):   "nested deeper",
		`{"free":` + strings.Repeat(`[`, 1_000_000): "nested deeper",
	} {
		err := Decode([]byte(in), &answer{})
		if want == "" {
			assert.NoError(t, err, in)
			continue
		}
		require.ErrorIs(t, err, ErrAnswer)
		assert.ErrorContains(t, err, want)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"state":"on"}`, `{"state":"on"}x`, `{"inner":{"n":1}}`, `{"free":{"a":[{}]}}`, `{`, `[]`, "\xff", `{"a":1e999}`, `{"list":[null]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var a answer
		if Decode(in, &a) != nil {
			return
		}
		// What was let in is one object of our words, and survives a round trip.
		out, err := json.Marshal(a)
		require.NoError(t, err)
		var b answer
		require.NoError(t, Decode(out, &b))
		again, err := json.Marshal(b)
		require.NoError(t, err)
		assert.JSONEq(t, string(out), string(again))
	})
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		cmd  Command
		want string
	}{
		{Command{}, "no part name"},
		{Command{Part: "power"}, "argv is empty"},
		{Command{Part: "power", Argv: []string{"a\x00b"}}, "NUL"},
		{Command{Part: "power", Argv: []string{"a"}, Env: []string{"=x"}}, "NAME=value"},
		{Command{Part: "power", Argv: []string{"a"}, Timeout: -1}, "timeout"},
		{Command{Part: "power", Argv: []string{"a"}, MaxOutput: 1 << 40}, "output limit"},
	} {
		_, err := NewPower(tc.cmd)
		require.ErrorContains(t, err, tc.want)
		require.ErrorContains(t, tc.cmd.Call(t.Context(), 1, &answer{}), tc.want)
	}
	_, err := NewLine(sh(":"), "", time.Hour)
	require.ErrorContains(t, err, "no name")
	require.ErrorContains(t, err, "poll")
}
