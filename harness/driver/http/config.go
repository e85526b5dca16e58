// Package http switches the DUT's supply through a network switch: one that
// speaks as Tasmota or as Shelly, or any other whose requests and answers the
// rig file spells out.
package http

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"rigor/harness/wire"
)

// Style is the dialect of a switch.
type Style string

// The dialects.
const (
	// Tasmota: GET /cm?cmnd=Power1%20On, answered by {"POWER1":"ON"}, or
	// {"POWER":"ON"} from a switch with one relay (Tasmota documentation, Commands).
	Tasmota Style = "tasmota"
	// Shelly1 is the first generation: GET /relay/0?turn=on, answered by
	// {"ison":true} (Shelly API documentation, generation 1).
	Shelly1 Style = "shelly-gen1"
	// Shelly2 is the second generation and later: GET /rpc/Switch.Set?id=0&on=true and
	// /rpc/Switch.GetStatus?id=0, answered by {"output":true} (Shelly RPC).
	Shelly2 Style = "shelly-gen2"
	// Template takes the requests from Config.Template.
	Template Style = "template"
)

// Auth is how we show who we are.
type Auth string

// The ways to authenticate.
const (
	NoAuth     Auth = ""
	BasicAuth  Auth = "basic"  // RFC 7617
	DigestAuth Auth = "digest" // RFC 7616
	QueryAuth  Auth = "query"  // user= and password= in the query, Tasmota only
)

// Limits of a configuration and of an answer.
const (
	defaultTimeout = 5 * time.Second
	maxTimeout     = time.Minute
	defaultConfirm = 3 * time.Second
	maxChannel     = 64
	maxBody        = 64 << 10
	maxHeader      = 16 << 10
)

// Request is one request of a template.
type Request struct {
	Method string            // "" is GET
	Path   string            // path and query, such as "/outlet?n=3&do=on"
	Header map[string]string // Content-Type, for one
	Body   string
}

// Templates say how to speak with a switch of no known style.
type Templates struct {
	On, Off Request
	// State reads the state, and OnWhen or OffWhen is found in what it answers. A
	// switch without State tells its state to nobody.
	State   Request
	OnWhen  *regexp.Regexp
	OffWhen *regexp.Regexp
}

// Config describes a switch.
type Config struct {
	// Part is the switch's name in results. Required.
	Part wire.Part
	// Base is where the switch is, such as "http://192.168.7.2". It holds neither
	// user nor password, query nor fragment. Required.
	Base string
	// Style is the dialect. Required.
	Style Style
	// Channel is the relay: from 1 with Tasmota, where 0 means the only one; from
	// 0 with Shelly. At most 64.
	Channel int
	// Template goes with the style of that name.
	Template *Templates
	// Auth, User and Password are what the switch wants to know.
	Auth           Auth
	User, Password string
	// Timeout bounds one request, up to 1 min. Zero is 5 s.
	Timeout time.Duration
	// Confirm is how long the switch may take until the state that it reports is
	// the one that it was told, up to 1 min. Zero is 3 s.
	Confirm time.Duration
	// Dialer makes the connections. Nil is this computer's network.
	Dialer wire.Dialer
}

// Validate says what is wrong with the configuration, all at once. The
// password shows in no error.
func (c Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Part == "" {
		add("the switch has no part name")
	}
	if u, err := url.Parse(c.Base); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		add("base: want http://HOST or https://HOST")
	} else if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		add("base: want no user, password, query or fragment in it")
	}
	switch c.Style {
	case Tasmota, Shelly1, Shelly2:
		if c.Template != nil {
			add("style %s takes no template", c.Style)
		}
	case Template:
		errs = append(errs, c.Template.validate())
	default:
		add("style %q: want %s, %s, %s or %s", c.Style, Tasmota, Shelly1, Shelly2, Template)
	}
	if c.Channel < 0 || c.Channel > maxChannel {
		add("channel %d: want 0 to %d", c.Channel, maxChannel)
	}
	switch c.Auth {
	case NoAuth:
		if c.User != "" || c.Password != "" {
			add("auth is missing: want basic, digest or query with a user and password")
		}
	case BasicAuth, DigestAuth:
	case QueryAuth:
		if c.Style != Tasmota {
			add("auth query is Tasmota's alone: want basic or digest")
		}
	default:
		add("auth %q: want basic, digest or query", c.Auth)
	}
	if c.Auth != NoAuth && c.User == "" {
		add("auth %s needs a user", c.Auth)
	}
	if c.Timeout < 0 || c.Timeout > maxTimeout || c.Confirm < 0 || c.Confirm > maxTimeout {
		add("timeout %v, confirm %v: want up to %v", c.Timeout, c.Confirm, maxTimeout)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("switch %q: %w", c.Part, err)
	}
	return nil
}

func (t *Templates) validate() error {
	if t == nil {
		return errors.New("style template needs a template")
	}
	var errs []error
	for name, r := range map[string]Request{"on": t.On, "off": t.Off, "state": t.State} {
		if r.Path == "" && name == "state" {
			if t.OnWhen != nil || t.OffWhen != nil {
				errs = append(errs, errors.New("template: on-when and off-when need a state request"))
			}
			continue
		}
		if u, err := url.Parse(r.Path); err != nil || !strings.HasPrefix(r.Path, "/") || u.Host != "" || u.Fragment != "" {
			errs = append(errs, fmt.Errorf("template: %s: want a path that begins with /", name))
		}
		switch r.Method {
		case "", "GET", "POST", "PUT", "PATCH":
		default:
			errs = append(errs, fmt.Errorf("template: %s: method %q: want GET, POST, PUT or PATCH", name, r.Method))
		}
	}
	if t.State.Path != "" && (t.OnWhen == nil || t.OffWhen == nil) {
		errs = append(errs, errors.New("template: a state request needs both on-when and off-when"))
	}
	return errors.Join(errs...)
}
