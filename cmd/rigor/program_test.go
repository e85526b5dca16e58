package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/harness/rig"
	"rigor/harness/runner"
	"rigor/harness/verdict"
	"rigor/rigs"
	"rigor/suites"
)

// appDevice is a device with a login that Rigor does not speak: lines on a TCP
// port. AUTH gives a token, READ shows the owner's page to who has one, SET
// changes the password. Five wrong tries lock an account for a while.
type appDevice struct {
	weak string

	mu       sync.Mutex
	password string
	old      []string
	wrong    map[string]int
	until    map[string]time.Time
	tokens   map[string]bool
}

const (
	appOwner  = "keeper"
	appLocks  = 5
	appSecret = "Keeper-of-7-boxes"
)

func newAppDevice(t *testing.T, weak string) (port int) {
	t.Helper()
	d := &appDevice{weak: weak, password: appSecret, wrong: map[string]int{}, until: map[string]time.Time{}, tokens: map[string]bool{}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		accept(ctx, ln, func(c net.Conn) {
			for lines := bufio.NewScanner(c); lines.Scan(); {
				_, _ = fmt.Fprintln(c, d.line(strings.Split(lines.Text(), "\t")))
			}
		})
	})
	t.Cleanup(func() { cancel(); all.Wait() })
	return ln.Addr().(*net.TCPAddr).Port
}

func (d *appDevice) line(f []string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case f[0] == "WHO":
		return "AP-000042"
	case f[0] == "AUTH" && len(f) == 3:
		return d.auth(f[1], f[2])
	case f[0] == "READ" && len(f) == 2 && (d.tokens[f[1]] || d.weak == "open"):
		return "page of " + appOwner
	case f[0] == "END" && len(f) == 2:
		delete(d.tokens, f[1])
		return "BYE"
	case f[0] == "SET" && len(f) == 3 && f[1] == d.password:
		d.old, d.password = append(d.old, d.password), f[2]
		if d.weak != "keeps-sessions" {
			clear(d.tokens)
		}
		return "DONE"
	}
	return "NO"
}

func (d *appDevice) auth(user, password string) string {
	switch {
	case time.Now().Before(d.until[user]):
		return "LOCKED"
	case user == appOwner && (password == d.password || d.weak == "keeps-old" && slices.Contains(d.old, password)),
		d.weak == "known" && user == "root" && password == "xc3511", d.weak == "blank" && user == "admin" && password == "":
		d.wrong[user] = 0
		token := "tok-" + strconv.FormatInt(time.Now().UnixNano(), 36)
		d.tokens[token] = true
		return "OK\t" + token
	}
	if d.wrong[user]++; d.wrong[user] >= appLocks && d.weak != "no-lock" {
		d.wrong[user], d.until[user] = 0, time.Now().Add(appLasts(d.weak))
	}
	if d.weak == "tells" && user != appOwner {
		return "NO: unknown account"
	}
	return "NO"
}

// appClient is the program that speaks to it, as its user would write one. Its
// argument says how it is broken.
func appClient() {
	how := slices.Concat(os.Args[1:], []string{""})[0]
	if how == "dies" {
		_, _ = io.Copy(os.Stderr, os.Stdin)
		os.Exit(1)
	}
	var req struct {
		Op, Host, Session string
		Port              int
		Keep              bool
		User, Password    *string
		Values            map[string]string
	}
	if err := json.NewDecoder(os.Stdin).Decode(&req); err != nil {
		panic(err)
	}
	out := map[string]any{}
	defer func() { _ = json.NewEncoder(os.Stdout).Encode(out) }()
	switch how {
	case "chats":
		out["note"] = "all is well"
	case "boasts": // of access, and has seen nothing
		out["kind"] = "accepted"
		return
	}
	if req.Op == "step" { // app-client PORT what
		req.Host = "127.0.0.1"
		req.Port, _ = strconv.Atoi(how)
	}
	c, err := net.DialTimeout("tcp", net.JoinHostPort(req.Host, strconv.Itoa(req.Port)), 2*time.Second)
	if err != nil {
		out["kind"], out["detail"] = "unreachable", err.Error()
		if req.Op == "step" {
			out = map[string]any{"ok": false, "text": err.Error()}
		}
		return
	}
	defer func() { _ = c.Close() }()
	lines := bufio.NewScanner(c)
	ask := func(f ...string) string {
		_, _ = fmt.Fprintln(c, strings.Join(f, "\t"))
		lines.Scan()
		return lines.Text()
	}
	proof := func(token string) {
		page := ask("READ", token)
		out["kind"], out["evidence"] = "refused", page
		if strings.HasPrefix(page, "page of ") {
			out["kind"] = "accepted"
		}
	}
	switch req.Op {
	case "step":
		said := ask("WHO")
		if os.Args[2] == "change" {
			said = ask("SET", req.Values["old"], req.Values["new"])
		}
		out = map[string]any{"ok": said != "NO", "text": said}
	case "proof":
		proof(req.Session)
	case "close":
		ask("END", req.Session)
		out["closed"] = true
	case "login":
		if req.User == nil || req.Password == nil {
			proof("")
			return
		}
		said := ask("AUTH", *req.User, *req.Password)
		token, in := strings.CutPrefix(said, "OK\t")
		if !in {
			out["kind"], out["evidence"] = "refused", said
			return
		}
		proof(token)
		if req.Keep {
			out["session"] = token
		}
	}
}

// appLasts is how long the lock lasts: where a try has to come before its end, as long as a
// busy computer takes to start a program.
func appLasts(weak string) time.Duration {
	switch weak {
	case "no-lock":
		return 8 * time.Second
	case "long-lock":
		return 3 * time.Second
	}
	return 400 * time.Millisecond
}

const appRig = `
rig: app
profile: app.yaml
unit: {serial: AP-000042}
allow: [login-tries, config]
network: {address: 127.0.0.1, ports: {1883: PORT}}
secrets: {keeper: env:KEEPER}
`

const appProfile = `
profile: app
maker: Acme
model: AP-1
identity: {steps: [{exec: [app-client, PORT, who], extract: {serial: text}}], equals: unit.serial}
logins:
  app:
    protocol: exec
    port: 1883
    exec: [app-client, HOW]
    owner: {user: keeper, password: secret:keeper}
    proof: {match: page of keeper}
    refused: {regexp: '^NO'}
    locked: LOCKED
    lockout: {after: 5, window: 20s, lasts: LASTS, scope: account, answer: locked-out, success-clears: true, survives-reboot: true}
states:
  onboarded: {logins: [app], services: [tcp/1883], holds: [{exec: [app-client, PORT, who], expect: {match: AP-}}]}
password: {change: [{exec: [app-client, PORT, change], expect: {match: DONE}}]}
discloses: {none: it tells nothing}
`

func appRun(t *testing.T, weak, how string, selectors ...string) *journal.Result {
	t.Helper()
	port := newAppDevice(t, weak)
	dir := t.TempDir()
	ends := strings.NewReplacer("[app-client", "["+inRig+"app-client", "PORT", strconv.Itoa(port), "HOW", how, "LASTS", appLasts(weak).String())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rig.yaml"), []byte(ends.Replace(appRig)), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "app.yaml"), []byte(ends.Replace(appProfile)), 0o600))
	f, p, err := rigs.Load(filepath.Join(dir, "rig.yaml"))
	require.NoError(t, err)
	if how == "dead" {
		f.Network.Ports[1883] = 9 // where nobody listens
	}
	env := rig.Env{Dir: dir, Getenv: func(string) (string, bool) { return appSecret, true }}
	job := &runner.Job{File: f, Profile: p, Suites: suites.All(), Drivers: rigs.Drivers(), Env: env, Dir: filepath.Join(dir, "run"),
		RunID: "app", Selectors: selectors, Seed: 7, Writer: "test", Undo: suites.Undo(), Exec: rigs.Exec, Program: rigs.Program}
	require.NoError(t, job.Run(t.Context()))
	secrets, err := filepath.Glob(filepath.Join(job.Dir, "*"))
	require.NoError(t, err)
	for _, name := range secrets {
		if b, err := os.ReadFile(name); err == nil {
			assert.NotContains(t, string(b), appSecret, name)
			assert.NotContains(t, string(b), "tok-", name)
		}
	}
	res, err := runner.Load(job.Dir)
	require.NoError(t, err)
	return res
}

// A login that a program tries is judged as any other: it passes on a hardened
// device, each weakness is found, and a broken program or a dead service is no
// verdict about the device.
func TestLoginByProgram(t *testing.T) {
	t.Parallel()
	can := []string{"cred-blank[app]", "cred-bruteforce[app]", "cred-change[app]", "cred-enum[app]", "cred-known-list[app]", "cred-lock-recover[app]"}
	for _, tc := range []struct {
		name, weak, how string
		selectors       []string
		want            verdict.Verdict // of the selected cases
		reason          verdict.Reason
		also            []string // cases that do the same beside those that are looked for
	}{
		{name: "hardened", selectors: slices.DeleteFunc(slices.Clone(can), func(id string) bool { return id == "cred-change[app]" || id == "cred-lock-recover[app]" }), want: verdict.Pass},
		{name: "hardened, and its lock ends", weak: "long-lock", selectors: []string{"cred-lock-recover[app]"}, want: verdict.Pass},
		// All of it but the look after a cold boot, for which this bench has no switch.
		{name: "hardened, without a switch", selectors: []string{"cred-change[app]"}, want: verdict.Inconclusive, reason: verdict.ReasonRigLacks},
		{name: "published", weak: "known", selectors: []string{"cred-known-list[app]"}, want: verdict.Fail, reason: verdict.ReasonAccess},
		{name: "blank", weak: "blank", selectors: []string{"cred-blank[app]"}, want: verdict.Fail, reason: verdict.ReasonAccess},
		{name: "no lock", weak: "no-lock", selectors: []string{"cred-bruteforce[app]"}, want: verdict.Fail, reason: verdict.ReasonAccess},
		{name: "tells", weak: "tells", selectors: []string{"cred-enum[app]"}, want: verdict.Fail, reason: verdict.ReasonExpectation},
		{name: "keeps sessions", weak: "keeps-sessions", selectors: []string{"cred-change[app]"}, want: verdict.Fail, reason: verdict.ReasonAccess},
		{name: "keeps the old password", weak: "keeps-old", selectors: []string{"cred-change[app]"}, want: verdict.Fail, reason: verdict.ReasonAccess},
		{name: "open to all", weak: "open", selectors: []string{"cred-known-list[app]"}, want: verdict.Fail, reason: verdict.ReasonOpenToAll},
		{name: "the program dies", how: "dies", selectors: can, want: verdict.Error},
		{name: "the program chats", how: "chats", selectors: can, want: verdict.Error},
		{name: "the program boasts", how: "boasts", selectors: can, want: verdict.Inconclusive},
		{name: "the service is dead", how: "dead", selectors: can, want: verdict.Inconclusive},
		{name: "not by a program", selectors: []string{"cred-transport[app]"}, want: verdict.Inconclusive, reason: verdict.ReasonRigLacks},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && !slices.Contains([]string{"published", "the program dies", "the service is dead", "not by a program"}, tc.name) {
				t.Skip("one of each kind is enough for -short")
			}
			res := appRun(t, tc.weak, orDefault(tc.how, "well"), tc.selectors...)
			assert.Empty(t, res.Damage)
			for _, id := range tc.selectors {
				c := caseOf(res, id)
				require.NotNil(t, c, id)
				assert.Equal(t, tc.want, c.Verdict(), "%s: %s", id, c.Judgement)
				if tc.reason != "" {
					assert.Equal(t, tc.reason, c.Judgement.Reason, "%s: %s", id, c.Judgement)
				}
			}
		})
	}
}

func orDefault(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
