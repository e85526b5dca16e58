package dut

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"strings"
	"time"

	"rigor/harness/console"
	"rigor/harness/console/expect"
	"rigor/harness/login"
	"rigor/harness/login/ftp"
	"rigor/harness/login/mqtt"
	"rigor/harness/login/program"
	"rigor/harness/login/redis"
	"rigor/harness/login/rtsp"
	"rigor/harness/login/snmp"
	"rigor/harness/login/ssh"
	"rigor/harness/login/telnet"
	"rigor/harness/login/uart"
	"rigor/harness/login/web"
	"rigor/harness/profile"
	"rigor/harness/steps"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// Login gives the door of a channel. One that is not declared says so at its
// first use.
func (d *Device) Login(channel string) *Door {
	o := &Door{name: channel, d: d, decl: d.Profile.Logins.Items[channel]}
	if o.decl == nil || o.decl.Declared() {
		o.err = fmt.Errorf("login %s: %w", channel, ErrNotDeclared)
		return o
	}
	o.open = func(ctx context.Context, dial wire.Dialer) (prober, error) {
		return d.prober(ctx, channel, o.decl, dial)
	}
	return o
}

// Variant gives the same login on another port, with or without TLS.
func (d *Device) Variant(channel string, port int, tls bool) *Door {
	o := d.Login(channel)
	if o.err != nil {
		return o
	}
	decl := *o.decl
	decl.Port, decl.TLS = port, tls
	o.decl = &decl
	o.open = func(ctx context.Context, dial wire.Dialer) (prober, error) {
		return d.prober(ctx, channel, &decl, dial)
	}
	return o
}

// prober makes the prober of a declared login.
func (d *Device) prober(ctx context.Context, name string, l *profile.Login, dial wire.Dialer) (prober, error) {
	switch l.Protocol {
	case "console":
		return d.uart(l)
	case "exec":
		return d.program(ctx, name, l)
	case "ask":
		return d.person(name, l)
	}
	addr, err := d.Address(ctx, l.Port)
	if err != nil {
		return nil, err
	}
	proof := compiled(l.Proof.Match)
	switch l.Protocol {
	case "ssh":
		return d.ssh(ctx, l, dial, ssh.Auto)
	case "telnet":
		return telnet.New(telnet.Config{Dialer: dial, Address: addr, Command: l.Proof.Command, Proof: proof, Quiet: l.Quiet, Timeout: l.Within, Texts: texts(l), Waiting: func() func() { return d.waiting("login " + name) }})
	case "http-basic", "http-digest", "http-form", "http-json":
		cfg := web.Config{Dialer: dial, Address: addr, TLS: l.TLS, Timeout: l.Within, Waiting: d.page(addr), Scheme: web.Scheme(strings.TrimPrefix(l.Protocol, "http-")),
			Protected: web.Page{Path: l.Proof.Get, Status: l.Proof.Status, Pattern: proof}, Texts: texts(l), Restricted: compiled(l.Restricted),
			Known: d.webs.of(fmt.Sprintf("%s %d", name, l.Port))}
		cfg.Form = web.FormLogin{Page: l.Page, User: l.Fields.User, Password: l.Fields.Password, Extra: l.Extra}
		cfg.JSON = web.JSONLogin{Path: l.Page, User: l.Fields.User, Password: l.Fields.Password, Token: l.Token, Extra: anyMap(l.Extra)}
		return web.New(cfg)
	}
	return d.service(name, l, dial, addr, proof)
}

// service makes the prober of a service that is neither a terminal nor a web page.
func (d *Device) service(name string, l *profile.Login, dial wire.Dialer, addr string, proof *regexp.Regexp) (prober, error) {
	switch l.Protocol {
	case "mqtt":
		return mqtt.New(mqtt.Config{Dialer: dial, Address: addr, TLS: l.TLS, Timeout: l.Within, Version: l.Version, ClientID: l.ClientID, Topic: l.Proof.Topic, Proof: proof, Texts: texts(l)})
	case "ftp":
		return ftp.New(ftp.Config{Dialer: dial, Address: addr, TLS: l.TLS, Timeout: l.Within, Command: l.Proof.Command, Proof: proof, Texts: texts(l)})
	case "redis":
		return redis.New(redis.Config{Dialer: dial, Address: addr, TLS: l.TLS, Timeout: l.Within, Command: l.Proof.Command, Proof: proof, Texts: texts(l)})
	case "rtsp":
		return rtsp.New(rtsp.Config{Dialer: dial, Address: addr, TLS: l.TLS, Timeout: l.Within, Path: l.Proof.Get, Proof: proof, Texts: texts(l)})
	case "snmp":
		return snmp.New(snmp.Config{Dialer: dial, Address: addr, Timeout: l.Within, Version: l.Version, Digest: l.Digest, Cipher: l.Cipher, Object: l.Proof.OID, Proof: proof,
			Waiting: func() func() { return d.waiting("login " + name) }})
	}
	return nil, fmt.Errorf("login protocol %q: %w", l.Protocol, ErrNotWired)
}

// ssh makes the prober of an SSH login by one method.
func (d *Device) ssh(ctx context.Context, l *profile.Login, dial wire.Dialer, method string) (prober, error) {
	addr, err := d.Address(ctx, l.Port)
	if err != nil {
		return nil, err
	}
	return ssh.New(ssh.Config{Dialer: dial, Address: addr, Method: method, Command: l.Proof.Command, Proof: compiled(l.Proof.Match), Quiet: l.Quiet, Timeout: l.Within, Texts: texts(l), Waiting: func() func() { return d.waiting("the SSH login") }})
}

func anyMap(m map[string]string) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range maps.All(m) {
		out[k] = v
	}
	return out
}

// compiled gives the expression of a declared pattern, nil for none.
func compiled(p profile.Pattern) *regexp.Regexp {
	switch {
	case p.Regexp != nil:
		return p.Regexp
	case p.Literal != "":
		return regexp.MustCompile(regexp.QuoteMeta(p.Literal))
	}
	return nil
}

// texts gives the maker's own words.
func texts(l *profile.Login) login.Texts {
	var t login.Texts
	for _, w := range []struct {
		p  profile.Pattern
		to *[]*regexp.Regexp
	}{{l.Locked, &t.LockedOut}, {l.Restricted, &t.Restricted}, {l.Refused, &t.Refused}} {
		if re := compiled(w.p); re != nil {
			*w.to = append(*w.to, re)
		}
	}
	return t
}

// PartProgram names the program that tries a login, in faults and results.
func PartProgram(login string) wire.Part { return wire.Part("login." + login) }

// program makes the prober of a login that a program tries. It is told where
// the DUT is as far as that is known: not every DUT has an address.
func (d *Device) program(ctx context.Context, name string, l *profile.Login) (prober, error) {
	if d.bench.Program == nil {
		return nil, fmt.Errorf("a program that tries a login: %w", ErrNotWired)
	}
	cfg := program.Config{Part: PartProgram(name), Argv: l.Exec, Name: name, Within: l.Within, Command: l.Proof.Command, Proof: compiled(l.Proof.Match), Texts: texts(l)}
	cfg.Unit = d.unit.public()
	if l.Port != 0 {
		cfg.Port = cmp.Or(d.bench.Ports[l.Port], l.Port)
	}
	switch addr, err := d.Address(ctx, l.Port); {
	case err == nil:
		cfg.Host, _, _ = net.SplitHostPort(addr) // Address has joined it
	case errors.Is(err, ErrNotDeclared), l.Port == 0 && errors.Is(err, ErrLost): // it need not be on a network
	default:
		return nil, err
	}
	cfg.Run = func(ctx context.Context, r program.Run) error {
		return d.s.Do(ctx, cfg.Part, func(ctx context.Context) error {
			defer d.waiting("the program of login " + name)()
			err := d.bench.Program(ctx, r)
			if ctx.Err() != nil && err != nil { // killed by us: no fault of the program
				return fmt.Errorf("%s: %w", cfg.Part, context.Cause(ctx))
			}
			return err
		})
	}
	return program.New(cfg)
}

// person makes the prober of a login that somebody tries by hand.
func (d *Device) person(name string, l *profile.Login) (prober, error) {
	if d.bench.AskSecret == nil {
		return nil, fmt.Errorf("login %s: %w: there is no terminal on which a credential can be shown", name, steps.ErrNeedsHuman)
	}
	secret := ""
	if l.Owner.Password != "" {
		var err error
		if secret, err = d.Secret(l.Owner.Password); err != nil {
			return nil, fmt.Errorf("login %s: %w", name, err)
		}
	}
	by := program.ByPerson(d.bench.AskSecret, l.Ask, secret)
	cfg := program.Config{Part: PartProgram(name), Argv: []string{"a person"}, Name: name, Within: cmp.Or(l.Within, byHand), Proof: compiled(l.Proof.Match), Texts: texts(l), Unit: d.unit.public()}
	cfg.Run = func(ctx context.Context, r program.Run) error {
		return d.s.Do(ctx, cfg.Part, func(ctx context.Context) error {
			defer d.waiting("somebody to try login " + name)()
			return by(ctx, r)
		})
	}
	return program.New(cfg)
}

// byHand is how long somebody may take to try a login.
const byHand = 3 * time.Minute

// uart makes the prober of a login on a console.
func (d *Device) uart(l *profile.Login) (prober, error) {
	con, err := d.Console(l.Console)
	if err != nil {
		return nil, err
	}
	dialect, err := con.Dialect(l)
	if err != nil {
		return nil, err
	}
	shell := console.Shell{Prompt: dialect.Shell, Plain: l.Proof.Command != ""}
	return uart.New(uart.Config{Console: con, Dialect: dialect, Shell: shell, Timeout: l.Within, Command: l.Proof.Command, Proof: compiled(l.Proof.Match), Texts: texts(l), Trace: d.traces[l.Console]})
}

// patienceShare is the part of a try's time that each of its answers is waited for
// before Enter asks again.
const patienceShare = 3

// Dialect gives how the console asks for a login, as declared for it.
func (c *Console) Dialect(l *profile.Login) (console.Login, error) {
	decl := c.Decl()
	out := console.Login{Logout: decl.Logout}
	if l != nil {
		out.Patience = l.Within / patienceShare
	}
	var ok [3]bool
	out.User, ok[0] = Pattern("the login prompt", decl.Login)
	out.Password, ok[1] = Pattern("the password prompt", decl.Password)
	out.Shell, ok[2] = Pattern("the shell's prompt", decl.Shell)
	if !ok[0] || !ok[2] {
		return out, fmt.Errorf("how console %s asks for a login: %w (login, password, shell)", c.name, ErrNotDeclared)
	}
	add := func(to *[]expect.Pattern, name string, ps ...profile.Pattern) {
		for _, p := range ps {
			if e, ok := Pattern(name, p); ok {
				*to = append(*to, e)
			}
		}
	}
	add(&out.Refused, "a refusal", decl.Incorrect)
	add(&out.Locked, "a lock", decl.Locked)
	if l != nil {
		add(&out.Refused, "a refusal", l.Refused)
		add(&out.Locked, "a lock", l.Locked)
		add(&out.Restricted, "a password to be set", l.Restricted)
	}
	return out, nil
}

// knockTime is how long a console is given to answer an Enter.
const knockTime = 3 * time.Second

// Knock looks what a console offers whoever sends an Enter: Accepted for a
// prompt of somebody who is in, Refused for a prompt that asks who it is, or
// for what the console is declared to say where it offers no login.
func (o *Door) Knock(ctx context.Context) (Answer, error) { return o.knock(ctx, false) }

// KnockClosed is Knock in a state in which the console is declared to offer no
// login: Refused only for what it is declared to say then (closed). A prompt that
// asks who it is is Garbled: it is not this DUT in this state.
func (o *Door) KnockClosed(ctx context.Context) (Answer, error) { return o.knock(ctx, true) }

func (o *Door) knock(ctx context.Context, closedOnly bool) (Answer, error) {
	if o.err != nil {
		return Answer{}, o.err
	}
	con, err := o.d.Console(o.decl.Console)
	if err != nil {
		return Answer{}, err
	}
	dialect, err := con.Dialect(o.decl)
	if err != nil {
		return Answer{}, err
	}
	patterns := []expect.Pattern{dialect.Shell, dialect.User}
	if closed, ok := Pattern("that no login is offered", con.Decl().Closed); ok {
		patterns = append(patterns, closed)
	} else if closedOnly {
		return Answer{}, fmt.Errorf("what console %s says where it offers no login (closed): %w", con.Name(), ErrNotDeclared)
	}
	start := time.Now()
	from, err := con.SendLine(ctx, "")
	if err != nil {
		return Answer{}, err
	}
	m, err := con.Await(ctx, from, knockTime, patterns...)
	a := Answer{Took: time.Since(start)}
	a.Raw, _ = con.Since(from) // what came is evidence; without it the answer stands
	var silent *console.TimeoutError
	switch {
	case errors.As(err, &silent) && ctx.Err() == nil:
		a.Kind, a.Detail = verdict.Silent, err.Error()
		if len(a.Raw) > 0 {
			a.Kind = verdict.Garbled
		}
		return a, nil
	case err != nil:
		return a, err
	}
	a.Kind, a.Detail = verdict.Refused, "Enter gives "+m.Pattern.Name()
	switch {
	case m.Index == 0:
		a.Kind = verdict.Accepted
	case m.Index == 1 && closedOnly:
		a.Kind, a.Detail = verdict.Garbled, a.Detail+", where no login is declared to be offered"
	}
	return a, nil
}
