package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/wire"
)

// standin stands in for a device of the examples: it is hardened, and behaves as its
// profile declares, on a console, over HTTP and SSH, and by lines on a TCP port for
// what the lab's programs speak.
type standin struct {
	prof     *profile.Profile
	serial   string
	user     string
	password string
	lines    string // address of the lines

	mu     sync.Mutex
	on     bool
	state  string
	wrong  map[string][]time.Time
	until  map[string]time.Time
	tokens map[string]bool
	boots  []chan bool // consoles that are told of the supply
	gates  []*gate
}

const standinPassword = "Keeper-of-7-boxes"

// lockFor is how long a stand-in locks.
const lockFor = 1500 * time.Millisecond

// windowOf is how long a stand-in counts wrong tries: long enough for five of them,
// which at a console, or with a process for each, take their time.
func windowOf(p *profile.Profile) time.Duration {
	slow := p.Name == "ip-camera" || p.Name == "nrf52-lock"
	for _, l := range p.Logins.Items {
		slow = slow || l.Protocol == "console"
	}
	if slow {
		return 3 * time.Second
	}
	return time.Second
}

func newStandin(t *testing.T, f *rig.File, p *profile.Profile) *standin {
	t.Helper()
	d := &standin{prof: p, serial: f.Unit.Serial, password: standinPassword, on: true, state: "onboarded", wrong: map[string][]time.Time{}, until: map[string]time.Time{}, tokens: map[string]bool{}}
	for _, name := range p.Logins.Order {
		if l := p.Logins.Items[name]; !l.Declared() {
			d.user = cmp.Or(d.user, l.Owner.User)
			if l.Lockout.After > 0 {
				l.Lockout.After, l.Lockout.Window, l.Lockout.Lasts = 5, windowOf(p), lockFor
			}
			l.Within = 0
		}
	}
	ln := listen(t)
	d.lines = ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background()) // not the test's, which is over before the cleanups
	var all sync.WaitGroup
	t.Cleanup(func() { cancel(); all.Wait() })
	all.Go(func() {
		accept(ctx, ln, func(c net.Conn) {
			for in := bufio.NewScanner(c); in.Scan(); {
				f := strings.Split(in.Text(), "\t")
				if !d.powered() && f[0] != "supply" {
					return
				}
				_, _ = fmt.Fprintln(c, d.line(f))
			}
		})
	})
	for name := range f.Unit.Values {
		f.Unit.Values[name] = d.lines
	}
	d.network(ctx, t, f, &all)
	for name, port := range f.Consoles {
		d.wired(ctx, t, port, p.Consoles.Items[name], &all)
	}
	return d
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return ln
}

func (d *standin) powered() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.on
}

// supply switches it.
func (d *standin) supply(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.on == on {
		return
	}
	d.on = on
	clear(d.tokens)
	d.restartLocks(on)
	for _, c := range d.boots {
		select {
		case c <- on:
		default: // nobody has looked at this console for a while
		}
	}
	for _, g := range d.gates {
		g.set(on)
	}
}

// restartLocks does to locks what the profile says that a restart does.
func (d *standin) restartLocks(on bool) {
	survives := profile.SurvivesYes
	for _, l := range d.prof.Logins.Items {
		if l.Lockout.Survives != "" {
			survives = l.Lockout.Survives
		}
	}
	for who, until := range d.until {
		switch {
		case survives == profile.SurvivesNo || !until.After(time.Now()):
			delete(d.until, who)
		case survives == profile.SurvivesAnew && !on:
			d.until[who] = time.Now().Add(time.Hour)
		case survives == profile.SurvivesAnew:
			d.until[who] = time.Now().Add(lockFor)
		}
	}
}

// auth says "", "NO" or "LOCKED", by the policy that the login declares.
func (d *standin) auth(l *profile.Login, user, password string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	who := user
	if l.Lockout.Scope == "source" {
		who = ""
	}
	switch {
	case d.state != "onboarded":
		return "NO"
	case time.Now().Before(d.until[who]):
		return "LOCKED"
	case user == l.Owner.User && password == d.password:
		delete(d.wrong, who)
		return ""
	}
	d.wrong[who] = append(slices.DeleteFunc(d.wrong[who], func(t time.Time) bool { return time.Since(t) > l.Lockout.Window }), time.Now())
	if l.Lockout.After > 0 && len(d.wrong[who]) >= l.Lockout.After {
		d.until[who] = time.Now().Add(lockFor)
		delete(d.wrong, who)
	}
	return "NO"
}

func (d *standin) token() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := "tok-" + rand.Text()
	d.tokens[t] = true
	return t
}

func (d *standin) knows(token string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tokens[token]
}

// line answers one line of a program of the lab's.
func (d *standin) line(f []string) string {
	switch {
	case f[0] == "online":
		return "online"
	case f[0] == "who":
		return "sn=" + d.serial
	case f[0] == "version":
		return "fw=" + d.prof.Firmware.Version + " model=" + d.prof.Model
	case f[0] == "auth" && len(f) == 4:
		if no := d.auth(d.prof.Logins.Items[f[1]], f[2], f[3]); no != "" {
			return no
		}
		return "OK\t" + d.token()
	case f[0] == "read" && len(f) == 2 && d.knows(f[1]):
		return "owner-page"
	case f[0] == "supply" && len(f) == 2:
		d.supply(f[1] == "on")
		return "DONE"
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case f[0] == "state":
		return d.state
	case f[0] == "end" && len(f) == 2:
		delete(d.tokens, f[1])
		return "BYE"
	case f[0] == "setup" && len(f) == 2 && d.state == "factory":
		d.state, d.password = "onboarded", f[1]
		return "DONE"
	case f[0] == "change" && len(f) == 3 && f[1] == d.password:
		d.password = f[2]
		clear(d.tokens)
		return "DONE"
	}
	return "NO"
}

// answer does what a person at the bench is asked to.
func (d *standin) answer(_ context.Context, question string) (string, error) {
	switch {
	case strings.HasPrefix(question, "Switch the supply") && strings.Contains(question, ") on"):
		d.supply(true)
	case strings.HasPrefix(question, "Switch the supply") && strings.Contains(question, ") off"):
		d.supply(false)
	case strings.HasPrefix(question, "Hold the button inside of the lock"):
		d.mu.Lock()
		d.state, d.password = "factory", ""
		d.mu.Unlock()
	case strings.HasPrefix(question, "Press the button inside of the lock"):
	case strings.HasPrefix(question, "Take the batteries out"), strings.HasPrefix(question, "Unplug the plug"):
		d.supply(false)
		d.supply(true)
	default:
		return "", fmt.Errorf("nobody here knows what to do: %q", question)
	}
	return "", nil
}

// standinTool is a program of the lab's, as the examples name them: TOOL ADDRESS WHAT
// for a step, and for a login what stands in the request.
func standinTool() { toolAnswers(os.Args[1:], os.Stdin, os.Stdout) }

func toolAnswers(args []string, stdin io.Reader, stdout io.Writer) {
	var req struct {
		Op, Login, Host, Session, Do string
		Port                         int
		Keep                         bool
		User, Password               *string
		Unit, Values                 map[string]string
	}
	if err := json.NewDecoder(stdin).Decode(&req); err != nil {
		panic(err)
	}
	out := map[string]any{}
	defer func() { _ = json.NewEncoder(stdout).Encode(out) }()
	at := net.JoinHostPort(req.Host, strconv.Itoa(req.Port))
	if req.Port == 0 {
		for _, v := range req.Unit {
			if strings.Contains(v, ":") {
				at = v
			}
		}
	}
	if len(args) > 0 {
		at = args[0]
	}
	c, err := net.DialTimeout("tcp", at, 2*time.Second)
	if err != nil {
		out["kind"], out["detail"] = "unreachable", err.Error()
		return
	}
	defer func() { _ = c.Close() }()
	in := bufio.NewScanner(c)
	ask := func(f ...string) string {
		_, _ = fmt.Fprintln(c, strings.Join(f, "\t"))
		in.Scan()
		return in.Text()
	}
	proof := func(token string) {
		page := ask("read", token)
		out["kind"], out["evidence"] = "refused", page
		switch page {
		case "owner-page":
			out["kind"] = "accepted"
		case "": // it has no power
			out = map[string]any{"kind": "unreachable", "detail": "no answer"}
		}
	}
	switch req.Op {
	case "step":
		said := ""
		switch what := args[1]; what {
		case "change":
			said = ask(what, req.Values["old"], req.Values["new"])
		case "setup":
			said = ask(what, req.Values["pin"])
		default:
			said = ask(what)
		}
		out = map[string]any{"ok": said != "NO" && said != "", "text": said}
	case "proof":
		proof(req.Session)
	case "close":
		ask("end", req.Session)
		out["closed"] = true
	case "login":
		if req.User == nil || req.Password == nil {
			proof("")
			return
		}
		said := ask("auth", req.Login, *req.User, *req.Password)
		token, in := strings.CutPrefix(said, "OK\t")
		switch {
		case said == "":
			out["kind"], out["detail"] = "unreachable", "no answer"
			return
		case !in:
			out["kind"], out["evidence"] = "refused", said
			return
		}
		proof(token)
		if req.Keep {
			out["session"] = token
		}
	}
}

// standinSwitch is the lab's program for a supply: SWITCH ADDRESS.
func standinSwitch() {
	var req struct{ Do string }
	if err := json.NewDecoder(os.Stdin).Decode(&req); err != nil {
		panic(err)
	}
	state := req.Do
	if state != "state" {
		c, err := net.DialTimeout("tcp", os.Args[1], 2*time.Second)
		if err != nil {
			panic(err)
		}
		_, _ = fmt.Fprintln(c, "supply\t"+req.Do)
		_, _ = bufio.NewReader(c).ReadString('\n')
		_ = c.Close()
	} else {
		state = "unknown"
	}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]string{"state": state})
}

// command is what a shell does.
func (d *standin) command(line string, l *profile.Login) (string, uint32) {
	text, isEcho := strings.CutPrefix(line, "echo ")
	switch {
	case line == l.Proof.Command:
		return l.Proof.Match.Literal + "(owner)", 0
	case line == "serial", line == "cat /etc/serial":
		return "sn=" + d.serial, 0
	case line == "version", line == "cat /etc/version":
		return "fw=" + d.prof.Firmware.Version + " release=" + d.prof.Firmware.Version + " model=" + d.prof.Model, 0
	case isEcho:
		return text, 0
	}
	return "not found", 127
}

// power is its supply, where a relay or a switch on the network has it.
type standinPower struct{ d *standin }

func (p standinPower) On(context.Context) error  { p.d.supply(true); return nil }
func (p standinPower) Off(context.Context) error { p.d.supply(false); return nil }
func (p standinPower) Close() error              { return nil }
func (p standinPower) State(context.Context) (wire.PowerState, error) {
	if p.d.powered() {
		return wire.PowerOn, nil
	}
	return wire.PowerOff, nil
}

// standinLine is a wire that nothing on the stand-in listens to.
type standinLine struct {
	mu sync.Mutex
	on bool
}

func (l *standinLine) set(on bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.on = on
	return nil
}
func (l *standinLine) Assert(context.Context) error  { return l.set(true) }
func (l *standinLine) Release(context.Context) error { return l.set(false) }
func (l *standinLine) Close() error                  { return l.set(false) }
func (l *standinLine) Asserted(context.Context) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.on, nil
}
func (l *standinLine) Wait(ctx context.Context, _ bool) (time.Time, error) {
	<-ctx.Done()
	return time.Time{}, context.Cause(ctx)
}
