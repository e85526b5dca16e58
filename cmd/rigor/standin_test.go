package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

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
	ctx, cancel := context.WithCancel(context.Background())
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

// network serves the logins over the network, each behind a port of this computer.
func (d *standin) network(ctx context.Context, t *testing.T, f *rig.File, all *sync.WaitGroup) {
	if f.Network == nil {
		return
	}
	f.Network.Interface, f.Network.Address, f.Network.Ports = "", "127.0.0.1", map[int]int{}
	for _, name := range d.prof.Logins.Order {
		l := d.prof.Logins.Items[name]
		switch {
		case l.Protocol == "ssh":
			conf := d.sshConfig(t)
			f.Network.Ports[l.Port] = d.gated(ctx, t, all, func(c net.Conn) { d.ssh(c, conf, l) })
		case strings.HasPrefix(l.Protocol, "http"):
			s := httptest.NewTLSServer(d.web(l))
			t.Cleanup(s.Close)
			f.Network.Ports[l.Port] = d.gated(ctx, t, all, func(c net.Conn) { relay(c, s.Listener.Addr().String()) })
		case l.Protocol == "exec" && l.Port != 0:
			f.Network.Ports[l.Port] = d.gated(ctx, t, all, func(c net.Conn) { relay(c, d.lines) })
		}
	}
}

// gate is a port that takes connections while the supply is on.
type gate struct {
	address string
	serve   func(net.Conn)
	ctx     context.Context
	all     *sync.WaitGroup
	close   func()
}

// gated opens a port of the device, and gives its number.
func (d *standin) gated(ctx context.Context, t *testing.T, all *sync.WaitGroup, serve func(net.Conn)) int {
	// A socket that is bound and does not listen keeps the port for the device while
	// that is off: whoever knocks is refused.
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	require.NoError(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	at, err := unix.Getsockname(fd)
	require.NoError(t, err)
	port := at.(*unix.SockaddrInet4).Port
	g := &gate{address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), serve: serve, ctx: ctx, all: all, close: func() {}}
	g.set(true)
	d.gates = append(d.gates, g)
	return port
}

func (g *gate) set(on bool) {
	g.close()
	g.close = func() {}
	if !on {
		return
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		_ = c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return err
	}}
	ln, err := lc.Listen(g.ctx, "tcp", g.address)
	if g.ctx.Err() != nil { // the test is over
		return
	}
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(g.ctx)
	ended := make(chan struct{})
	g.all.Go(func() {
		defer close(ended)
		accept(ctx, ln, g.serve)
	})
	g.close = func() {
		cancel()
		<-ended
	}
}

// relay passes bytes on, both ways, until either end closes.
func relay(c net.Conn, to string) {
	there, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(there, c)
		_ = there.Close()
	}()
	_, _ = io.Copy(c, there)
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
	for _, c := range d.boots {
		c <- on
	}
	for _, g := range d.gates {
		g.set(on)
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

// web serves the pages of a login, to who is in.
func (d *standin) web(l *profile.Login) http.Handler {
	page := func(w http.ResponseWriter, status int, text string) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
	inside := func(r *http.Request) bool {
		if user, password, ok := r.BasicAuth(); ok && l.Protocol == "http-basic" {
			return d.auth(l, user, password) == ""
		}
		if c, err := r.Cookie("session"); err == nil && d.knows(c.Value) {
			return true
		}
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		return ok && d.knows(token)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !d.powered() {
			panic(http.ErrAbortHandler)
		}
		route := r.Method + " " + r.URL.Path
		switch {
		case r.Method == http.MethodPost && r.URL.Path == l.Page && l.Protocol == "http-form":
			if d.auth(l, r.PostFormValue(l.Fields.User), r.PostFormValue(l.Fields.Password)) != "" {
				page(w, http.StatusForbidden, "<p>"+l.Refused.Literal+"</p>")
				return
			}
			http.SetCookie(w, &http.Cookie{Name: "session", Value: d.token(), Path: "/", Secure: true, HttpOnly: true})
			http.Redirect(w, r, l.Proof.Get, http.StatusSeeOther)
		case r.Method == http.MethodPost && r.URL.Path == l.Page && l.Protocol == "http-json":
			var in map[string]string
			if json.NewDecoder(r.Body).Decode(&in) != nil || d.auth(l, in[l.Fields.User], in[l.Fields.Password]) != "" {
				page(w, http.StatusUnauthorized, `{"error":"no"}`)
				return
			}
			page(w, http.StatusOK, `{"token":"`+d.token()+`"}`)
		case r.URL.Path == l.Proof.Get:
			if !inside(r) {
				if l.Protocol == "http-basic" {
					w.Header().Set("WWW-Authenticate", `Basic realm="device"`)
				}
				page(w, http.StatusUnauthorized, "no")
				return
			}
			page(w, http.StatusOK, `{"version":"`+d.prof.Firmware.Version+`","model":"`+d.prof.Model+`","page":"Signed in"}`)
		case r.Method == http.MethodGet && r.URL.Path == l.Page && l.Page != "" && l.Protocol == "http-form":
			page(w, http.StatusOK, `<form method="post" action="`+l.Page+`"><input name="`+l.Fields.User+`"><input type="password" name="`+l.Fields.Password+`"></form>`)
		case slices.Contains(d.prof.Routes.Open, route):
			page(w, http.StatusOK, `{"serial":"`+d.serial+`"}`)
		default:
			page(w, http.StatusNotFound, "no such page")
		}
	})
}

func (d *standin) sshConfig(t *testing.T) func(l *profile.Login) *ssh.ServerConfig {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	require.NoError(t, err)
	return func(l *profile.Login) *ssh.ServerConfig {
		c := &ssh.ServerConfig{ServerVersion: "SSH-2.0-dropbear", PasswordCallback: func(m ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			if no := d.auth(l, m.User(), string(password)); no != "" {
				return nil, fmt.Errorf("%s", no)
			}
			return nil, nil
		}}
		c.AddHostKey(signer)
		return c
	}
}

func (d *standin) ssh(c net.Conn, conf func(*profile.Login) *ssh.ServerConfig, l *profile.Login) {
	if !d.powered() {
		return
	}
	conn, channels, requests, err := ssh.NewServerConn(c, conf(l))
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	go ssh.DiscardRequests(requests)
	for n := range channels {
		ch, reqs, err := n.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range reqs {
				ok := r.Type == "exec"
				_ = r.Reply(ok, nil)
				if ok {
					text, status := d.command(string(r.Payload[4:]), l)
					_, _ = io.WriteString(ch, text+"\n")
					_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
					_ = ch.Close()
				}
			}
		}()
	}
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

// wired puts the end of a console where the rig file says: a pseudo terminal, or a
// port of a terminal server.
func (d *standin) wired(ctx context.Context, t *testing.T, port *rig.Port, decl *profile.Console, all *sync.WaitGroup) {
	t.Helper()
	boots := make(chan bool, 16)
	d.boots = append(d.boots, boots)
	var door *profile.Login
	for _, l := range d.prof.Logins.Items {
		if l.Protocol == "console" {
			door = l
		}
	}
	if port.Driver == "tcp" {
		ln := listen(t)
		port.Address = ln.Addr().String()
		all.Go(func() {
			accept(ctx, ln, func(c net.Conn) { (&seat{d: d, w: c, decl: decl, door: door}).serve(ctx, c, boots) })
		})
		return
	}
	master, slave, err := pty.Open()
	require.NoError(t, err)
	port.Port = slave.Name()
	t.Cleanup(func() { _ = slave.Close() }) // open until then, so that the other end is never gone
	all.Go(func() { (&seat{d: d, w: master, decl: decl, door: door}).serve(ctx, master, boots) })
	context.AfterFunc(ctx, func() { _ = master.Close() })
}

// seat is a console as its profile declares it.
type seat struct {
	d    *standin
	w    io.Writer
	decl *profile.Console
	door *profile.Login
	mode string // "", user, password, shell
	buf  []byte
	user string
	last byte
}

func (s *seat) serve(ctx context.Context, r io.Reader, boots <-chan bool) {
	keys := make(chan byte)
	go func() {
		defer close(keys)
		for b := make([]byte, 256); ; {
			n, err := r.Read(b)
			for _, c := range b[:n] {
				select {
				case keys <- c:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	if s.d.powered() {
		s.mode = s.first()
	}
	for {
		select {
		case on := <-boots:
			s.mode, s.buf = "", nil
			if on {
				s.boot(ctx)
			}
		case c, ok := <-keys:
			if !ok {
				return
			}
			if s.d.powered() {
				s.key(c)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (s *seat) say(text string) { _, _ = io.WriteString(s.w, text) }

func (s *seat) first() string {
	if s.decl.Login.Zero() {
		return ""
	}
	return "user"
}

// boot shows a boot, and then the login.
func (s *seat) boot(ctx context.Context) {
	if s.decl.Silent {
		return
	}
	b := s.decl.Boot
	for i, p := range []profile.Pattern{b.Banner, b.Loader, b.Done} {
		timer := time.NewTimer([]time.Duration{100, 10, 600}[i] * time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if !p.Zero() {
			s.say(p.Literal + "\r\n")
		}
	}
	if s.mode = s.first(); s.mode != "" {
		s.say("\r\n" + s.decl.Login.Literal)
	}
}

func (s *seat) key(c byte) {
	if s.decl.Answer.Send != "" {
		if s.buf = append(s.buf, c); strings.HasSuffix(string(s.buf), s.decl.Answer.Send) {
			s.say(s.decl.Answer.Expect.Literal)
			s.buf = nil
		}
		return
	}
	if s.mode == "" {
		return
	}
	enter := c == '\r' || c == '\n' && s.last != '\r'
	s.last = c
	switch {
	case enter:
		line := string(s.buf)
		s.buf = nil
		s.say("\r\n")
		s.entered(line)
	case c == 0x15: // Ctrl-U
		if s.mode != "password" {
			s.say(strings.Repeat("\b \b", len(s.buf)))
		}
		s.buf = nil
	case c == 0x03: // Ctrl-C
		s.buf = nil
		s.say("\r\n")
		s.prompt()
	case c < ' ' || c > '~' || len(s.buf) > 500:
	default:
		s.buf = append(s.buf, c)
		if s.mode != "password" {
			s.say(string([]byte{c}))
		}
	}
}

func (s *seat) prompt() {
	if s.mode == "shell" {
		s.say(s.decl.Shell.Literal)
		return
	}
	s.mode = "user"
	s.say(s.decl.Login.Literal)
}

func (s *seat) entered(line string) {
	switch s.mode {
	case "user":
		if line != "" {
			s.user, s.mode = line, "password"
			s.say(s.decl.Password.Literal)
			return
		}
	case "password":
		s.mode = "shell"
		if s.d.auth(s.door, s.user, line) != "" {
			s.mode = "user"
			s.say(s.decl.Incorrect.Literal + "\r\n")
		}
	case "shell":
		if line == cmp.Or(s.decl.Logout, "exit") {
			s.mode = "user"
			break
		}
		if line != "" {
			text, _ := s.d.command(line, s.door)
			s.say(text + "\r\n")
		}
	}
	s.prompt()
}
