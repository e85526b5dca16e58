package profile

import (
	"slices"
	"strconv"
	"strings"

	"rigor/harness/strictyaml"
)

// Routes lists the requests that the DUT answers, and to whom.
type Routes struct {
	None      `yaml:",inline"`
	Login     string   `yaml:"login"`     // the channel whose port and session they use
	Open      []string `yaml:"open"`      // "GET /api/info": without login
	Setup     []string `yaml:"setup"`     // without login, in the factory state only
	Protected []Route  `yaml:"protected"` // only with a login
}

// Route is a request that is answered only with a login. In YAML it is a plain
// text, "GET /api/log", or a mapping.
type Route struct {
	Request string // "GET /api/log"
	// Match is what only who is logged in gets to see. Without it, it is found out by
	// comparing what the owner gets with what strangers get elsewhere.
	Match Pattern
	// Header and one of JSON, Form and Body are what the request needs; ${marker} in
	// them is what it writes.
	Header map[string]string
	JSON   any
	Form   map[string]string
	Body   string
	// Shows is a request of the owner's that extracts "marker": what the route wrote.
	// Nil: what it does cannot be read.
	Shows *Step
	// Needs are words of the rig's allow, where it alters; config if it does not say.
	Needs []string
	At    string // where it stands: "file:line:column"
}

// UnmarshalStrict reads a text or a mapping.
func (r *Route) UnmarshalStrict(n *strictyaml.Node) {
	r.At = n.Pos().String()
	if text, ok := n.Scalar(); ok {
		r.Request = text
		return
	}
	var plain struct {
		Request string            `yaml:"request"`
		Match   Pattern           `yaml:"match"`
		Header  map[string]string `yaml:"header"`
		JSON    any               `yaml:"json"`
		Form    map[string]string `yaml:"form"`
		Body    string            `yaml:"body"`
		Shows   *Step             `yaml:"shows"`
		Needs   []string          `yaml:"needs"`
	}
	if n.Decode(&plain, "the route") {
		r.Request, r.Match, r.Header, r.JSON, r.Form, r.Body = plain.Request, plain.Match, plain.Header, plain.JSON, plain.Form, plain.Body
		r.Shows, r.Needs = plain.Shows, plain.Needs
	}
}

// Method gives the request's method and Path its path, query included.
func (r *Route) Method() string {
	method, _, _ := strings.Cut(r.Request, " ")
	return method
}

// Path gives the request's path.
func (r *Route) Path() string {
	_, path, _ := strings.Cut(r.Request, " ")
	return path
}

// Alters says whether the request may alter something, by its method (RFC 9110
// section 9.2.1).
func (r *Route) Alters() bool {
	return !slices.Contains([]string{"GET", "HEAD", "OPTIONS", "TRACE"}, r.Method())
}

// Leaves gives the words of the rig's allow that a try of the route needs.
func (r *Route) Leaves() []string {
	if len(r.Needs) == 0 && r.Alters() {
		return []string{"config"}
	}
	return r.Needs
}

// Step gives the route as the request of a step, the owner's or a stranger's.
func (r *Route) Step(login, as string) Step {
	return Step{HTTP: r.Request, Login: login, As: as, Header: r.Header, JSON: r.JSON, Form: r.Form, Body: r.Body, Verb: "http", At: r.At}
}

// Requests gives the requests of routes, as text.
func Requests(routes []Route) []string {
	out := make([]string, len(routes))
	for i := range routes {
		out[i] = routes[i].Request
	}
	return out
}

// routes looks at the routes, and where they are.
func (l *linter) routes() {
	p := l.p
	if r := p.Routes.Login; r != "" {
		l.login([]string{"routes", "login"}, r)
	}
	for key, routes := range map[string][]string{"open": p.Routes.Open, "setup": p.Routes.Setup, "protected": Requests(p.Routes.Protected)} {
		for i, r := range routes {
			if !request.MatchString(r) {
				l.errorf([]string{"routes", key, strconv.Itoa(i)}, "write it as GET /path", "the route is %q", r)
			}
		}
		if len(routes) > 0 && p.Routes.Login == "" {
			l.errorf([]string{"routes", key}, "give login: the channel whose port and session they use", "the routes do not say where they are")
		}
	}
	for i := range p.Routes.Protected {
		r, at := &p.Routes.Protected[i], []string{"routes", "protected", strconv.Itoa(i)}
		for j, need := range r.Needs {
			if !slices.Contains(Leaves(), need) {
				l.errorf(append(slices.Clone(at), "needs", strconv.Itoa(j)), near(need, Leaves()), "nothing is called %q that a rig could allow", need)
			}
		}
		if r.Shows == nil {
			continue
		}
		if !r.Alters() {
			l.errorf(append(slices.Clone(at), "shows"), "take it out, or name what only the owner sees: match: …", "%s writes nothing that could be shown", r.Request)
		}
		if r.Shows.Verb != "http" || r.Shows.As != "owner" || r.Shows.Extract["marker"] == "" {
			l.errorf(append(slices.Clone(at), "shows"), "write {http: GET /path, login: NAME, as: owner, extract: {marker: $.path}}", "shows is no request of the owner's that extracts marker")
		}
		if !l.writesMarker(r) {
			l.errorf(at, "put ${marker} into json, form or body", "what %s writes is read back, and it writes no ${marker}", r.Request)
		}
	}
}

// writesMarker says whether a route's request has the marker in it.
func (l *linter) writesMarker(r *Route) bool {
	s := r.Step("", "")
	return slices.ContainsFunc(s.Texts(), func(t string) bool {
		names, err := References(t)
		return err == nil && slices.Contains(names, "marker")
	})
}

// network looks at what the network is said to bear.
func (l *linter) network() {
	n := l.p.Network
	if n.Declared() {
		for _, name := range l.p.States.Order {
			if len(l.p.States.Items[name].Services) > 0 {
				l.errorf([]string{"network", "none"}, "keep one of the two", "the device is on no network, and state %s has services", name)
				return
			}
		}
		for _, name := range l.p.Logins.Order {
			if o := l.p.Logins.Items[name]; !o.Declared() && o.Protocol != "console" && !o.Aside() {
				l.errorf([]string{"network", "none"}, "keep one of the two", "the device is on no network, and login %s is by %s", name, o.Protocol)
				return
			}
		}
		return
	}
	for _, k := range []struct {
		key    string
		v, top int
	}{{"connections", n.Connections, maxConnections}, {"rate", n.Rate, maxRate}} {
		if at := []string{"network", k.key}; l.p.Source.Has(at...) && (k.v < 1 || k.v > k.top) {
			l.errorf(at, "write a number from 1 to "+strconv.Itoa(k.top), "%s is %d", k.key, k.v)
		}
	}
	if at := []string{"network", "ipv6"}; l.p.Source.Has(at...) && !n.IPv6.Declared() && n.IPv6.Host == "" {
		l.errorf(at, `write host: and its address, or none: "why there is none"`, "where it is on IPv6 is not said")
	}
	if h := n.IPv6.Host; h != "" && !strings.Contains(h, ":") && !unitValue.MatchString(h) {
		l.errorf([]string{"network", "ipv6", "host"}, "write an address as fe80::1%eth1, or unit.NAME of the rig's values", "%q is no address of IPv6", h)
	}
}

// Bounds of what the network is said to bear.
const (
	maxConnections = 500
	maxRate        = 1_000_000
)
