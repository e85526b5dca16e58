package profile

import (
	"slices"
	"strconv"
	"strings"
)

// versions of a protocol that has several.
var versions = map[string][]string{"mqtt": {"3.1.1", "5"}, "snmp": {"1", "2c", "3"}}

// loginService is what the protocols of a service have by themselves.
func (l *linter) loginService(at []string, name string, lg *Login) {
	key := func(k ...string) []string { return append(slices.Clone(at), k...) }
	if known := versions[lg.Protocol]; known != nil {
		l.oneOf(key("version"), lg.Version, known...)
	}
	if lg.Protocol != "snmp" {
		return
	}
	l.oneOf(key("digest"), lg.Digest, "md5", "sha", "sha224", "sha256", "sha384", "sha512")
	l.oneOf(key("cipher"), lg.Cipher, "aes", "des")
	l.oneOf(key("refusal"), string(lg.Refusal), "silent")
	for _, k := range []string{"digest", "cipher"} {
		if lg.Version != "3" && l.p.Source.Has(key(k)...) {
			l.errorf(key(k), "take it out, or write version: 3", "login %s has a %s, and SNMP has one from version 3 on", name, k)
		}
	}
	for _, k := range []string{"locked", "restricted", "refused"} {
		if l.p.Source.Has(key(k)...) {
			l.errorf(key(k), "take it out", "an agent of SNMP says nothing in words")
		}
	}
	switch user := l.p.Source.Has(key("owner", "user")...); {
	case lg.Version == "3" && lg.Owner.Password != "" && !user:
		l.errorf(key("owner"), "give user", "the owner of login %s has no name, and SNMP 3 asks for one", name)
	case lg.Version != "3" && user:
		l.errorf(key("owner", "user"), "take it out; the community is the password", "a community of SNMP has no user")
	}
	if len(lg.Transport.Clear) > 0 {
		l.errorf(key("transport", "clear"), "write clear: []", "SNMP has no port for what goes in clear")
	}
}

// isObject says whether a text is an object identifier in digits (X.660: the
// first number is 2 at most; SMI: 128 numbers of 32 bits).
func isObject(text string) bool {
	parts := strings.Split(strings.TrimPrefix(text, "."), ".")
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil || i == 0 && n > 2 || i == 1 && (n > 39 && parts[0] != "2" || n > 1<<30) {
			return false
		}
	}
	return len(parts) >= 2 && len(parts) <= 128
}

// serviceProof is the proof of the protocols that have neither pages nor commands,
// and keeps their keys from those that do.
func (l *linter) serviceProof(at []string, name string, lg *Login) {
	key := func(k string) []string { return append(slices.Clone(at), "proof", k) }
	own := map[string][]string{"mqtt": {"topic"}, "snmp": {"oid"}, "rtsp": {"get"}}[lg.Protocol]
	for _, k := range []string{"topic", "oid"} {
		if l.p.Source.Has(key(k)...) && !slices.Contains(own, k) {
			l.errorf(key(k), "take it out", "the proof of a login by %s has no %s", lg.Protocol, k)
		}
	}
	if own == nil {
		return
	}
	for _, k := range []string{"get", "command"} {
		if l.p.Source.Has(key(k)...) && !slices.Contains(own, k) {
			l.errorf(key(k), "write "+own[0]+" in its place", "the proof of a login by %s has no %s", lg.Protocol, k)
		}
	}
	switch lg.Protocol {
	case "mqtt":
		if lg.Proof.Topic == "" {
			l.errorf(append(slices.Clone(at), "proof"), "name a topic that only who is logged in can read: proof: {topic: site/status, match: …}", "login %s does not say what shows that one is in", name)
		}
	case "rtsp":
		if lg.Proof.Get == "" {
			l.errorf(append(slices.Clone(at), "proof"), "name a stream that only who is logged in can have described: proof: {get: /live}", "login %s does not say what shows that one is in", name)
		} else if !strings.HasPrefix(lg.Proof.Get, "/") {
			l.errorf(key("get"), "write it as /live", "%q is no path", lg.Proof.Get)
		}
	case "snmp":
		if o := lg.Proof.OID; o != "" && !isObject(o) {
			l.errorf(key("oid"), "write it in digits: 1.3.6.1.2.1.1.1.0", "%q is no object", o)
		}
	}
}

// proof is what shows that one is in.
func (l *linter) proof(at []string, name string, lg *Login) {
	web := strings.HasPrefix(lg.Protocol, "http")
	l.serviceProof(at, name, lg)
	switch {
	case slices.Contains([]string{"mqtt", "snmp", "rtsp"}, lg.Protocol):
	case web && lg.Proof.Get == "":
		l.errorf(append(at, "proof"), "name a page that only who is logged in can read: proof: {get: /status, match: …}", "login %s does not say what shows that one is in", name)
	case web && !strings.HasPrefix(lg.Proof.Get, "/"):
		l.errorf(append(at, "proof", "get"), "write it as /status", "%q is no path", lg.Proof.Get)
	case web && lg.Proof.Command != "":
		l.errorf(append(at, "proof", "command"), "name a page: get: /status", "a login by %s runs no commands", lg.Protocol)
	case !web && lg.Proof.Get != "":
		l.errorf(append(at, "proof", "get"), "name a command: command: id", "a login by %s reads no pages", lg.Protocol)
	}
	if s := lg.Proof.Status; s != 0 && (s < 100 || s > 599 || !web) {
		l.errorf(append(slices.Clone(at), "proof", "status"), "write a status of HTTP, from 100 to 599", "the status is %d", s)
	}
	if (lg.Protocol == "http-form" || lg.Protocol == "http-json") && !strings.HasPrefix(lg.Page, "/") {
		l.errorf(append(at, "page"), "write the path that takes the login", "login %s does not say where one logs in", name)
	}
	if lg.Token != "" && !jsonPath.MatchString(lg.Token) {
		l.errorf(append(at, "token"), "write it as $.token", "%q is no path in the answer", lg.Token)
	}
}
