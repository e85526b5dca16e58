package credential

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// TestFactoryAnswer: what a route gives before the set-up is told by what it says.
// A yes without the owner's page is one only where nothing is said at all.
func TestFactoryAnswer(t *testing.T) {
	t.Parallel()
	page := func(status int, body string) login.Response {
		return login.Response{Status: status, Body: []byte(body)}
	}
	known := []login.Response{page(200, `{"error":"not set up"}`), page(200, "<h1>Set up</h1>")}
	boot := profile.Pattern{Literal: `"boot_id"`}
	for _, c := range []struct {
		name  string
		route profile.Route
		res   login.Response
		want  verdict.Kind
	}{
		{"the owner's page", profile.Route{Request: "GET /s", Match: boot}, page(200, `{"boot_id":1}`), verdict.Accepted},
		{"the same behind a no", profile.Route{Request: "GET /s", Match: boot}, page(403, `{"boot_id":1}`), verdict.Accepted},
		{"the set-up page", profile.Route{Request: "GET /"}, page(200, "<h1>Set up</h1>"), verdict.Refused},
		{"the way to it", profile.Route{Request: "GET /"}, page(303, ""), verdict.Refused},
		{"an error that says 200", profile.Route{Request: "PUT /c"}, page(200, `{"error":"not set up"}`), verdict.Refused},
		{"another page", profile.Route{Request: "GET /s", Match: boot}, page(200, "<h1>Welcome</h1>"), verdict.Refused},
		{"another page, and nobody says what decides", profile.Route{Request: "GET /s"}, page(200, "<h1>Welcome</h1>"), verdict.Unproven},
		{"another error, and nobody says what decides", profile.Route{Request: "PUT /c"}, page(200, `{"error":"want a name"}`), verdict.Unproven},
		{"done", profile.Route{Request: "POST /reboot"}, page(204, ""), verdict.Accepted},
		{"forbidden", profile.Route{Request: "POST /reboot"}, page(403, ""), verdict.Refused},
		{"broken", profile.Route{Request: "GET /s", Match: boot}, page(500, ""), verdict.Garbled},
	} {
		kind, why := factoryAnswer(&c.route, c.res, known)
		assert.Equal(t, c.want, kind, "%s: %s", c.name, why)
	}
	assert.Equal(t, "/", beside("/"))
	assert.Equal(t, "/api/", beside("/api/log?n=1"))
}
