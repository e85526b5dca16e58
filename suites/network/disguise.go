package network

import (
	"fmt"
	"strings"

	"rigor/harness/profile"
)

// disguise is a stranger's request for a route, in one of the forms by which
// servers and what stands before them are known to disagree on what is asked.
type disguise struct {
	what   string
	method string
	path   string // as it goes out
	header map[string]string
	body   []byte
}

// String gives "GET /api/status/ (a slash at its end)".
func (d disguise) String() string { return fmt.Sprintf("%s %s (%s)", d.method, d.path, d.what) }

// Cookies by which sessions are known.
var usualCookies = []string{"session", "sessionid", "sid", "PHPSESSID", "JSESSIONID", "token", "auth"}

// disguises are the tries at a route that tells something.
func (g *gate) disguises(r *profile.Route) []disguise {
	out := g.forged(r)
	for _, p := range paths(r.Path(), g.openPath()) {
		out = append(out, disguise{what: p.what, method: r.Method(), path: p.path})
	}
	out = append(out, disguise{what: "for its head alone", method: "HEAD", path: r.Path()})
	for _, h := range trusted {
		out = append(out, disguise{what: h.what, method: r.Method(), path: r.Path(), header: map[string]string{h.key: h.value}})
	}
	for _, key := range []string{"X-Original-URL", "X-Rewrite-URL"} {
		out = append(out, disguise{what: "an open path, led elsewhere by " + key, method: r.Method(), path: g.openPath(), header: map[string]string{key: r.Path()}})
	}
	return append(out, disguise{what: "a method that a header overrides", method: r.Method(), path: r.Path(), header: map[string]string{"X-HTTP-Method-Override": "HEAD"}})
}

// writing are the tries at a route that writes.
func (g *gate) writing(r *profile.Route) []disguise {
	out := g.forged(r)
	for _, p := range paths(r.Path(), g.openPath()) {
		if p.common {
			out = append(out, disguise{what: p.what, method: r.Method(), path: p.path})
		}
	}
	for _, h := range trusted {
		out = append(out, disguise{what: h.what, method: r.Method(), path: r.Path(), header: map[string]string{h.key: h.value}})
	}
	for _, method := range []string{"POST", "GET"} {
		if method == r.Method() {
			continue
		}
		for _, key := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
			out = append(out, disguise{what: key + " makes it another method", method: method, path: r.Path(), header: map[string]string{key: r.Method()}})
		}
	}
	return out
}

// acting are the tries at a route of which nobody can see what it did: few, since
// one that works may end the rest.
func (g *gate) acting(r *profile.Route) []disguise {
	return append(g.forged(r), disguise{what: "by GET", method: "GET", path: r.Path()})
}

// forged are the tries with nothing, and with what is no login.
func (g *gate) forged(r *profile.Route) []disguise {
	forged := g.t.Secret("forged", 24)
	var cookies []string
	for _, name := range append(usualCookies, g.cookies...) {
		cookies = append(cookies, name+"="+forged)
	}
	header := func(k, v string) map[string]string { return map[string]string{k: v} }
	return []disguise{
		{what: "with nothing", method: r.Method(), path: r.Path()},
		{what: "with cookies of nobody's session", method: r.Method(), path: r.Path(), header: header("Cookie", strings.Join(cookies, "; "))},
		{what: "with a token of nobody's", method: r.Method(), path: r.Path(), header: header("Authorization", "Bearer "+forged)},
		{what: "with an empty token", method: r.Method(), path: r.Path(), header: header("Authorization", "Bearer ")},
		{what: "with the token null", method: r.Method(), path: r.Path(), header: header("Authorization", "Bearer null")},
		{what: "with a token that signs nothing", method: r.Method(), path: r.Path(), header: header("Authorization", "Bearer "+unsigned)},
	}
}

// unsigned is a JSON web token of algorithm none for admin (RFC 7519 section 6).
const unsigned = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInJvbGUiOiJhZG1pbiJ9."

// trusted are headers by which some servers believe that a request is their own.
var trusted = []struct{ what, key, value string }{
	{"as if from the device itself, by X-Forwarded-For", "X-Forwarded-For", "127.0.0.1"},
	{"as if from the device itself, by X-Real-IP", "X-Real-IP", "127.0.0.1"},
	{"as if from the device itself, by Forwarded", "Forwarded", "for=127.0.0.1;host=localhost"},
	{"to the host localhost", "Host", "localhost"},
	{"to the host 127.0.0.1", "Host", "127.0.0.1"},
	{"to another host, by X-Forwarded-Host", "X-Forwarded-Host", "localhost"},
}

// openPath gives a path that any stranger may ask for.
func (g *gate) openPath() string {
	for _, open := range g.t.Profile().Routes.Open {
		if r := (profile.Route{Request: open}); r.Method() == "GET" {
			return strings.SplitN(r.Path(), "?", 2)[0]
		}
	}
	return "/"
}

// spelled is one way to write a path.
type spelled struct {
	what, path string
	common     bool // tried where each try costs something too
}

// paths gives ways to write a path that some part of a server takes for another
// path, and another part for this one. Open is a path that needs no login.
func paths(path, open string) []spelled {
	path, query, _ := strings.Cut(path, "?")
	if query != "" {
		query = "?" + query
	}
	rest := strings.TrimPrefix(path, "/")
	first, more, deep := strings.Cut(rest, "/")
	out := []spelled{
		{"a slash at its end", path + "/", true},
		{"two slashes before it", "/" + path, true},
		{"a dot before it", "/." + path, true},
		{"a folder and back before it", "/rigor/.." + path, true},
		{"an open path and back before it", strings.TrimSuffix(open, "/") + "/.." + strings.Repeat("/..", strings.Count(strings.Trim(open, "/"), "/")) + path, true},
		{"an encoded way back behind an open path", strings.TrimSuffix(open, "/") + "/%2e%2e" + strings.Repeat("/%2e%2e", strings.Count(strings.Trim(open, "/"), "/")) + path, false},
		{"a parameter at its end", path + ";x=1", false},
		{"a blank at its end", path + "%20", false},
		{"a NUL at its end", path + "%00", false},
		{"a question mark at its end", path + "?", false},
		{"a query that looks like a picture", path + "?x=.png", false},
		{"a fragment, encoded", path + "%23", false},
	}
	if rest != "" {
		out = append(out,
			spelled{"an encoded letter", fmt.Sprintf("/%%%02x%s", rest[0], rest[1:]), true},
			spelled{"a letter encoded twice", fmt.Sprintf("/%%25%02x%s", rest[0], rest[1:]), false},
			spelled{"an ending", path + ".json", false},
			spelled{"a picture behind it", path + "/x.png", false},
			spelled{"another ending behind a parameter", path + ";.css", false},
		)
		if upper := strings.ToUpper(path); upper != path {
			out = append(out, spelled{"capital letters", upper, true}, spelled{"one capital letter", "/" + strings.ToUpper(rest[:1]) + rest[1:], false})
		}
	}
	if deep {
		out = append(out,
			spelled{"two slashes in it", "/" + first + "//" + more, true},
			spelled{"a dot in it", "/" + first + "/./" + more, false},
			spelled{"an encoded slash", "/" + first + "%2f" + more, true},
			spelled{"a parameter in it", "/" + first + ";x=1/" + more, false},
		)
	}
	for i := range out {
		if !strings.Contains(out[i].path, "?") {
			out[i].path += query
		}
	}
	return out
}
