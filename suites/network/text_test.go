package network

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/check"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// Each way to write a path is one that goes out, is none of the others, and is not
// the path itself.
func TestPaths(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/", "/status", "/api/status", "/api/v1/log?since=1"} {
		seen := map[string]bool{path: true}
		for _, p := range paths(path, "/api/info") {
			assert.NotEmpty(t, p.what)
			assert.True(t, strings.HasPrefix(p.path, "/"), p.path)
			plain, _, _ := strings.Cut(p.path, "?")
			_, err := url.PathUnescape(plain)
			require.NoError(t, err, p.path)
			if path != "/" { // its end is its beginning
				assert.False(t, seen[p.path], "%s twice", p.path)
			}
			seen[p.path] = true
		}
	}
	var all []string
	for _, p := range paths("/api/status", "/api/info") {
		all = append(all, p.path)
	}
	assert.Subset(t, all, []string{"/api/status/", "//api/status", "/api//status", "/./api/status", "/api/info/../../api/status", "/%61pi/status", "/%2561pi/status", "/API/STATUS", "/api%2fstatus", "/api/status;x=1"})
}

// What only the owner gets to see decides, and not the status: an error page has
// words too.
func TestSight(t *testing.T) {
	t.Parallel()
	byWords := &sight{words: []string{"boot_id", "firmware", "uptime_ms", "1.4.2"}}
	byMatch := &sight{match: profile.Pattern{Literal: `"boot_id"`}}
	for _, c := range []struct {
		body           string
		words, matched verdict.Kind
	}{
		{`{"boot_id":"x","firmware":"1.4.2","uptime_ms":3}`, verdict.Accepted, verdict.Accepted},
		{`{"firmware":"1.4.2"}`, verdict.Accepted, verdict.Refused},
		{`firmware update needed: sign in`, verdict.Unproven, verdict.Refused},
		{`<h1>Page not found</h1>`, verdict.Refused, verdict.Refused},
		{``, verdict.Refused, verdict.Refused},
	} {
		kind, why := byWords.in([]byte(c.body))
		assert.Equal(t, c.words, kind, "%s: %s", c.body, why)
		kind, why = byMatch.in([]byte(c.body))
		assert.Equal(t, c.matched, kind, "%s: %s", c.body, why)
	}
}

func TestCookieNames(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"vgpre", "sid"}, cookieNames("vgpre=1; Path=/; HttpOnly, sid=2; Expires=Thu, 01 Jan 2026 00:00:00 GMT"))
	assert.Empty(t, cookieNames(""))
	assert.Empty(t, cookieNames("a b=1, =2"))
}

const declaredPorts = `profile: acme
logins:
  ssh: {protocol: ssh, port: 22, owner: {user: a, password: secret:o}, proof: {command: id}}
  web: {protocol: http-basic, port: 443, tls: true, owner: {user: a, password: secret:o}, proof: {get: /}}
states:
  factory: {services: [tcp/80], holds: [{http: GET /setup, port: 80}]}
  onboarded: {logins: [ssh, web], services: [tcp/443, tcp/22, udp/5353], holds: [{http: GET /setup, port: 8080}]}
  bare: {services: [tcp/9]}
`

func TestDeclared(t *testing.T) {
	t.Parallel()
	p, err := profile.Parse("p.yaml", []byte(declaredPorts))
	require.NoError(t, err)
	assert.Equal(t, []int{22, 443}, declared(p, "onboarded", tcp))
	assert.Equal(t, []int{5353}, declared(p, "onboarded", udp))
	assert.Empty(t, declared(p, "none", tcp))
	assert.Equal(t, 80, canary(p, "factory"), "by its holds")
	assert.Equal(t, 443, canary(p, "onboarded"), "the quicker login, since holds goes to no declared port")
	assert.Zero(t, canary(p, "bare"))
	assert.Equal(t, []portAt{{"onboarded", 22}, {"onboarded", 443}}, onlyElsewhere(p, "factory", tcp))
	assert.Equal(t, []portAt{{"factory", 80}}, onlyElsewhere(p, "onboarded", tcp))
}

func TestPortCases(t *testing.T) {
	t.Parallel()
	p, err := profile.Parse("p.yaml", []byte(declaredPorts))
	require.NoError(t, err)
	skips := func(state string, in check.Input) map[string]string {
		out := map[string]string{}
		in.Profile = p
		for _, c := range portCases(state)(in) {
			out[c.Channel] = ""
			if c.Skip != nil {
				out[c.Channel] = string(c.Skip.Reason)
			}
		}
		return out
	}
	missing, lacks := "profile-missing", "rig-lacks"
	assert.Equal(t, map[string]string{tcp: "", udp: "", tcp6: missing, udp6: missing}, skips("onboarded", check.Input{Network: true}))
	assert.Equal(t, map[string]string{tcp: lacks, udp: lacks, tcp6: lacks, udp6: lacks}, skips("onboarded", check.Input{Network: true, Forwarded: []int{22}}))
	assert.Equal(t, map[string]string{tcp: lacks, udp: lacks, tcp6: lacks, udp6: lacks}, skips("factory", check.Input{}))
	assert.Equal(t, map[string]string{tcp: lacks, udp: lacks, tcp6: missing, udp6: missing}, skips("bare", check.Input{Network: true}), "nothing speaks to its one port")
	assert.Equal(t, map[string]string{tcp: missing, udp: missing, tcp6: missing, udp6: missing}, skips("updated", check.Input{Network: true}))
}

// What a device sends is foreign: nothing of it stops us.
func FuzzForeignPages(f *testing.F) {
	f.Add([]byte(`{"boot_id":"x"}`), "sid=1; Path=/")
	f.Add([]byte("\xff\xfe<p>"), ", =;")
	s := &sight{words: []string{"boot_id", "firmware"}}
	f.Fuzz(func(t *testing.T, body []byte, header string) {
		kind, _ := s.in(body)
		assert.Contains(t, []verdict.Kind{verdict.Accepted, verdict.Refused, verdict.Unproven}, kind)
		for _, name := range cookieNames(header) {
			assert.Regexp(t, `^[\w.-]{1,64}$`, name)
		}
	})
}
