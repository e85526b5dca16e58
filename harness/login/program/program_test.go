package program_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/driver/exec"
	"rigor/harness/login"
	"rigor/harness/login/program"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

const part wire.Part = "login.app"

// run runs a real program, as a rig does.
func run(ctx context.Context, r program.Run) error {
	c := exec.Command{Part: r.Part, Argv: r.Argv, Dir: r.Dir, Timeout: r.Timeout, Redact: r.Redact}
	return c.Call(ctx, r.Request, r.Answer)
}

// sh makes a prober of a shell script.
func sh(t testing.TB, script string, change ...func(*program.Config)) *program.Prober {
	t.Helper()
	cfg := program.Config{Run: run, Part: part, Argv: []string{"/bin/sh", "-c", script}, Name: "app", Host: "192.0.2.7", Port: 1883}
	for _, c := range change {
		c(&cfg)
	}
	p, err := program.New(cfg)
	require.NoError(t, err)
	return p
}

// says makes a prober of a program that gives one answer whatever it is asked.
func says(t testing.TB, answer string, change ...func(*program.Config)) *program.Prober {
	t.Helper()
	return sh(t, "cat >/dev/null; cat <<'END'\n"+answer+"\nEND", change...)
}

var owner = login.Credential{User: "operator", Password: "0wner-s3cret"}

func proof(re string) func(*program.Config) {
	return func(c *program.Config) { c.Proof = regexp.MustCompile(re) }
}

func words(t login.Texts) func(*program.Config) {
	return func(c *program.Config) { c.Texts = t }
}

func TestKinds(t *testing.T) {
	locked := words(login.Texts{LockedOut: []*regexp.Regexp{regexp.MustCompile("gesperrt")}})
	refused := words(login.Texts{Refused: []*regexp.Regexp{regexp.MustCompile("Login incorrect")}})
	restricted := words(login.Texts{Restricted: []*regexp.Regexp{regexp.MustCompile("set a password")}})
	for name, tc := range map[string]struct {
		answer string
		change func(*program.Config)
		want   verdict.Kind
		detail string
	}{
		"access":                        {`{"kind":"accepted","evidence":"uid=0(root)","detail":"a command ran"}`, nil, verdict.Accepted, "a command ran"},
		"access with the proof":         {`{"kind":"accepted","evidence":"uid=0(root)"}`, proof("uid="), verdict.Accepted, "the program says so"},
		"access and another proof":      {`{"kind":"accepted","evidence":"welcome"}`, proof("uid="), verdict.Unproven, "not the declared proof"},
		"access without evidence":       {`{"kind":"accepted","detail":"trust me"}`, nil, verdict.Unproven, "shows nothing that the DUT said"},
		"access, and the DUT said no":   {`{"kind":"accepted","evidence":"Login incorrect"}`, refused, verdict.Unproven, "the DUT said"},
		"restricted":                    {`{"kind":"restricted","evidence":"choose a password"}`, nil, verdict.Restricted, ""},
		"restricted without evidence":   {`{"kind":"restricted"}`, nil, verdict.Unproven, ""},
		"restricted, and a no":          {`{"kind":"restricted","evidence":"Login incorrect"}`, refused, verdict.Unproven, ""},
		"refused":                       {`{"kind":"refused","evidence":"CONNACK 5"}`, nil, verdict.Refused, ""},
		"refused without evidence":      {`{"kind":"refused","detail":"it hung up"}`, nil, verdict.Unproven, ""},
		"refused, and it is a lock":     {`{"kind":"refused","evidence":"Konto gesperrt"}`, locked, verdict.LockedOut, `the DUT said "gesperrt"`},
		"refused, and it let in":        {`{"kind":"refused","evidence":"please set a password"}`, restricted, verdict.Restricted, ""},
		"locked out":                    {`{"kind":"locked-out","evidence":"locked"}`, nil, verdict.LockedOut, ""},
		"locked out without evidence":   {`{"kind":"locked-out"}`, nil, verdict.Unproven, ""},
		"throttled":                     {`{"kind":"throttled","evidence":"wait","retry-after":"3s"}`, nil, verdict.Throttled, ""},
		"unreachable":                   {`{"kind":"unreachable","detail":"no advertisement"}`, nil, verdict.Unreachable, "no advertisement"},
		"incompatible":                  {`{"kind":"incompatible"}`, nil, verdict.Incompatible, ""},
		"garbled":                       {`{"kind":"garbled","evidence":"??"}`, nil, verdict.Garbled, ""},
		"silent":                        {`{"kind":"silent"}`, nil, verdict.Silent, ""},
		"unproven":                      {`{"kind":"unproven"}`, nil, verdict.Unproven, ""},
		"a detail that turns a reader":  {`{"kind":"silent","detail":"x\u001b[2J::error::\u202e"}`, nil, verdict.Silent, `x\x1b[2J`},
		"evidence that repeats secrets": {`{"kind":"refused","evidence":"no 0wner-s3cret","detail":"MHduZXItczNjcmV0"}`, nil, verdict.Refused, "‹secret:password›"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var change []func(*program.Config)
			if tc.change != nil {
				change = append(change, tc.change)
			}
			o, err := says(t, tc.answer, change...).Try(t.Context(), owner)
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, o.Detail)
			assert.Contains(t, o.Detail, tc.detail)
			assert.NotEmpty(t, o.Detail)
			assert.Positive(t, o.Took)
			assert.NotContains(t, string(o.Evidence)+o.Detail, "s3cret")
			assert.Equal(t, tc.want == verdict.Accepted, o.Facts[login.FactProof] != "", "a proof is a fact of an access alone")
		})
	}
}

func TestFactsAndTimes(t *testing.T) {
	o, err := sh(t, `sleep 0.1; echo '{"kind":"throttled","evidence":"slow down","took":"7ms","retry-after":"3s","facts":{"method":"mqtt","server":"x/1.0","open-to-all":"yes"}}'`).Try(t.Context(), owner)
	require.NoError(t, err)
	assert.Equal(t, 7*time.Millisecond, o.Took, "the time of the DUT, without the program's start")
	assert.Equal(t, 3*time.Second, o.RetryAfter)
	assert.Equal(t, map[string]string{login.FactMethod: "mqtt", login.FactServer: "x/1.0", login.FactOpen: "yes"}, o.Facts)
	assert.True(t, o.Sent)
	o, err = says(t, `{"kind":"unreachable"}`).Try(t.Context(), owner)
	require.NoError(t, err)
	assert.False(t, o.Sent)
}

// What is not an answer in the seam's words is trouble of the rig, and names
// neither the password nor the session.
func TestFaults(t *testing.T) {
	for name, tc := range map[string]struct{ script, want string }{
		"no answer":           {`cat >/dev/null`, "empty"},
		"another word":        {`echo '{"kind":"refused","evidence":"no","result":1}'`, `unknown field "result"`},
		"another fact":        {`echo '{"kind":"refused","evidence":"no","facts":{"colour":"blue"}}'`, `unknown field "colour"`},
		"another kind":        {`echo '{"kind":"yes","evidence":"in"}'`, `kind is "yes"`},
		"no kind":             {`echo '{"evidence":"in"}'`, `kind is ""`},
		"two answers":         {`echo '{"kind":"silent"}{"kind":"silent"}'`, "more than one"},
		"code":                {`cat >&2; exit 3`, "exit status 3"},
		"a time that is none": {`echo '{"kind":"silent","took":"soon"}'`, `took is "soon"`},
		"a time before":       {`echo '{"kind":"silent","took":"-1s"}'`, `took is "-1s"`},
		"a time after":        {`echo '{"kind":"silent","took":"1h"}'`, `took is "1h"`},
		"a wait that is none": {`echo '{"kind":"throttled","evidence":"x","retry-after":"9999h"}'`, "retry-after"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := sh(t, tc.script).Try(t.Context(), owner)
			f, ok := wire.AsFault(err)
			require.True(t, ok, "no fault: %v", err)
			assert.Equal(t, part, f.Part)
			assert.ErrorContains(t, err, tc.want)
			assert.NotContains(t, err.Error(), "s3cret")
		})
	}
	gone, err := program.New(program.Config{Run: run, Part: part, Argv: []string{"/no/such/program"}, Name: "app"})
	require.NoError(t, err)
	_, err = gone.Try(t.Context(), owner)
	_, ok := wire.AsFault(err)
	assert.True(t, ok)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = program.New(program.Config{Run: run, Part: part, Name: "app"})
	require.ErrorIs(t, err, login.ErrConfig)
	_, err = program.New(program.Config{Part: part, Name: "app", Argv: []string{"x"}})
	require.ErrorIs(t, err, login.ErrConfig)
}

// The request has what is to be sent and nothing else; neither arguments nor
// environment have a secret.
func TestRequest(t *testing.T) {
	dir := t.TempDir()
	script := `cat >` + dir + `/request; tr '\0' '\n' </proc/$$/cmdline >` + dir + `/argv; env >` + dir + `/env; echo '{"kind":"silent"}'`
	var unit map[string]string
	ask := func(c login.Credential) map[string]any {
		_, err := sh(t, script, func(c *program.Config) { c.Command, c.Unit = "id", unit }).Try(t.Context(), c)
		require.NoError(t, err)
		for _, f := range []string{"argv", "env"} {
			b, err := os.ReadFile(filepath.Join(dir, f))
			require.NoError(t, err)
			require.NotEmpty(t, b)
			assert.NotContains(t, string(b), "s3cret", f)
		}
		b, err := os.ReadFile(filepath.Join(dir, "request"))
		require.NoError(t, err)
		var got map[string]any
		require.NoError(t, json.Unmarshal(b, &got))
		return got
	}
	all := map[string]any{"op": "login", "login": "app", "host": "192.0.2.7", "port": 1883.0, "within": "25s", "proof": "id", "user": "operator", "password": "0wner-s3cret"}
	assert.Equal(t, all, ask(owner))
	all["user"], all["password"] = "", ""
	assert.Equal(t, all, ask(login.Credential{}), "blank is sent, empty")
	delete(all, "password")
	assert.Equal(t, all, ask(login.Credential{NoPassword: true}))
	delete(all, "user")
	assert.Equal(t, all, ask(login.Nobody))
	unit = map[string]string{"serial": "AP-1", "ble": "02:00:00:00:00:01"}
	all["unit"] = map[string]any{"serial": "AP-1", "ble": "02:00:00:00:00:01"}
	assert.Equal(t, all, ask(login.Nobody), "a device on the air is found by what the rig file says of it")
}

// alive says whether a process runs; a killed one that nobody has reaped is none.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && syscall.Kill(pid, 0) == nil && !strings.Contains(string(stat), ") Z ")
}

func TestDeadlineKillsTheGroup(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the session was taken back")
	timer := time.AfterFunc(300*time.Millisecond, func() { cancel(gone) })
	defer timer.Stop()
	start := time.Now()
	_, err := sh(t, `sleep 60 & echo $! >`+file+`; wait`).Try(ctx, owner)
	require.ErrorIs(t, err, gone)
	_, fault := wire.AsFault(err)
	assert.False(t, fault, "that we ended it is no fault of the program")
	assert.Less(t, time.Since(start), 5*time.Second)
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	require.NoError(t, err)
	assert.Eventually(t, func() bool { return !alive(pid) }, 5*time.Second, 10*time.Millisecond, "what it started outlived it")

	var given time.Duration
	p := sh(t, "", func(c *program.Config) {
		c.Within = time.Second
		c.Run = func(_ context.Context, r program.Run) error { given = r.Timeout; return exec.ErrTimeout }
	})
	_, err = p.Try(t.Context(), owner)
	require.ErrorIs(t, err, exec.ErrTimeout)
	assert.Greater(t, given, time.Second, "it is told an earlier end than the one at which it is killed")
}

// A program with sessions: it knows them again by what it gave.
const keeper = `
read req
case "$req" in
  *'"op":"login"'*'"password":"0wner-s3cret"'*'"keep":true'*) echo tok-31415 >"$0"; echo '{"kind":"accepted","evidence":"uid=0","session":"tok-31415"}' ;;
  *'"op":"login"'*'"password":"0wner-s3cret"'*) echo '{"kind":"accepted","evidence":"uid=0"}' ;;
  *'"op":"login"'*) echo '{"kind":"refused","evidence":"CONNACK 5"}' ;;
  *'"password"'*'"op":"proof"'*|*'"op":"proof"'*'"password"'*) exit 9 ;;
  *'"op":"proof"'*tok-31415*) if [ -s "$0" ]; then echo '{"kind":"accepted","evidence":"uid=0"}'; else echo '{"kind":"refused","evidence":"401 for tok-31415"}'; fi ;;
  *'"op":"run"'*tok-31415*'"command":"id"'*) echo '{"kind":"accepted","status":3,"text":"uid=0 tok"}' ;;
  *'"op":"run"'*'"command":"gone"'*) echo '{"kind":"refused","detail":"no tok-31415 here"}' ;;
  *'"op":"run"'*'"command":"half"'*) echo '{"kind":"accepted","text":"x"}' ;;
  *'"op":"run"'*) echo '{"kind":"done"}' ;;
  *'"op":"close"'*tok-31415*) : >"$0"; echo '{"closed":true}' ;;
  *) echo "what is $req" >&2; exit 2 ;;
esac`

func TestSession(t *testing.T) {
	file := filepath.Join(t.TempDir(), "session")
	p := sh(t, keeper, func(c *program.Config) { c.Argv = append(c.Argv, file) })
	a, o, err := p.Open(t.Context(), login.Credential{User: "operator", Password: "no"})
	require.NoError(t, err)
	assert.Nil(t, a)
	assert.Equal(t, verdict.Refused, o.Kind)

	a, o, err = p.Open(t.Context(), owner)
	require.NoError(t, err)
	require.NotNil(t, a)
	assert.Equal(t, verdict.Accepted, o.Kind)
	o, err = a.Proof(t.Context())
	require.NoError(t, err)
	assert.Equal(t, verdict.Accepted, o.Kind, o.Detail)
	resp, err := a.Do(t.Context(), login.Request{Command: "id"})
	require.NoError(t, err)
	assert.Equal(t, login.Response{Status: 3, Body: []byte("uid=0 tok")}, resp)
	_, err = a.Do(t.Context(), login.Request{Path: "/"})
	require.ErrorIs(t, err, login.ErrRequest)
	_, err = a.Do(t.Context(), login.Request{Command: "gone"})
	require.ErrorContains(t, err, "refused: no ‹secret:session› here")
	_, fault := wire.AsFault(err)
	assert.False(t, fault, "what the DUT does is no fault")
	for _, command := range []string{"half", "other"} {
		_, err = a.Do(t.Context(), login.Request{Command: command})
		_, fault = wire.AsFault(err)
		assert.True(t, fault, command)
	}
	require.NoError(t, a.Close())
	require.NoError(t, a.Close())
	o, err = a.Proof(t.Context())
	require.NoError(t, err)
	assert.Equal(t, verdict.Refused, o.Kind, "the session is over")
	assert.NotContains(t, string(o.Evidence), "31415")
}

// A program that keeps no session is not asked for one: what would need it is
// not shown.
func TestNoSession(t *testing.T) {
	a, o, err := says(t, `{"kind":"accepted","evidence":"uid=0"}`).Open(t.Context(), owner)
	require.NoError(t, err)
	require.NotNil(t, a)
	assert.Equal(t, verdict.Accepted, o.Kind)
	o, err = a.Proof(t.Context())
	require.NoError(t, err)
	assert.Equal(t, verdict.Unproven, o.Kind)
	require.NoError(t, a.Close())
	bad, _, err := says(t, `{"kind":"accepted","evidence":"uid=0","session":"s-1234"}`).Open(t.Context(), owner)
	require.NoError(t, err)
	_, fault := wire.AsFault(bad.Close())
	assert.True(t, fault, "a session that is not said to be closed")
}

// Whatever a program writes, an answer that opens or refuses carries what the
// DUT said, and neither password nor control characters come through.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{`{"kind":"accepted","evidence":"uid=0"}`, `{"kind":"refused"}`, `{"kind":"silent","took":"1ns"}`, `{"kind":"locked-out","evidence":"\u001b","facts":{"server":"0wner-s3cret"}}`, `{}`, `null`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		p := sh(t, "", func(c *program.Config) {
			c.Run = func(_ context.Context, r program.Run) error { return exec.Decode(out, r.Answer) }
		})
		o, err := p.Try(t.Context(), owner)
		if err != nil {
			return
		}
		assert.Contains(t, verdict.Kinds, o.Kind)
		if o.Kind.Opens() || o.Kind == verdict.Refused || o.Kind == verdict.LockedOut || o.Kind == verdict.Throttled {
			assert.NotEmpty(t, o.Evidence)
		}
		all := o.Detail
		for _, v := range o.Facts {
			all += v
		}
		assert.NotContains(t, all+string(o.Evidence), owner.Password)
		assert.NotContains(t, all, "\x1b")
	})
}
