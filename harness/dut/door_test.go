package dut

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// webDoor gives the door of a web service, as it is declared.
func webDoor(t *testing.T, h http.Handler, decl profile.Login) *Door {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	require.NoError(t, err)
	decl.Port, err = strconv.Atoi(port)
	require.NoError(t, err)
	p := &profile.Profile{}
	p.Logins.Items = map[string]*profile.Login{"web": &decl}
	return New(p, Unit{}, &Bench{Link: &cable{}, Address: "127.0.0.1"}).With(NewSession(t.Context(), nil)).Login("web")
}

// byAddress is a service whose sessions are of the address that logged in.
type byAddress struct {
	mu   sync.Mutex
	in   bool // who comes from our address
	open bool // for everybody
}

func (b *byAddress) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch r.URL.Path {
	case "/login":
		var in struct{ Username, Password string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		if in.Username != "owner" || in.Password != "right" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		b.in = true
	case "/logout":
		b.in = false
	default:
		if !b.in && !b.open {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, "uptime 5")
	}
}

// TestDoorByAddress: nobody who is let in right behind the owner, from his address, is no
// proof that everybody is.
func TestDoorByAddress(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, logout string
		open         bool
		nobody       verdict.Kind
	}{
		{"logged out", "POST /logout", false, verdict.Refused},
		{"no logout is declared", "", false, verdict.Unproven},
		{"open to all, with a logout", "/logout", true, verdict.Accepted},
		{"open to all, without", "", true, verdict.Accepted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			door := webDoor(t, &byAddress{open: tc.open}, profile.Login{Protocol: "http-json", Page: "/login", Logout: tc.logout,
				Owner: profile.Account{User: "owner"}, Proof: profile.Proof{Get: "/status", Match: profile.Pattern{Literal: "uptime"}}})
			for range 2 {
				a, err := door.Try(t.Context(), login.Credential{User: "owner", Password: "right"})
				require.NoError(t, err)
				assert.Equal(t, verdict.Unproven, a.Kind, a.Detail)
				a, err = door.Try(t.Context(), login.Nobody)
				require.NoError(t, err)
				assert.Equal(t, tc.nobody, a.Kind, a.Detail)
			}
		})
	}
}

// TestDoorOfLesserAccount: a lesser account of somebody else that a web service lets in
// opens the door; the owner's name is judged by the proof alone.
func TestDoorOfLesserAccount(t *testing.T) {
	t.Parallel()
	door := webDoor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Username, Password string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		switch {
		case r.URL.Path == "/login" && in.Password == in.Username:
			_, _ = io.WriteString(w, `{"token":"lesser"}`)
		case r.Header.Get("Authorization") == "Bearer lesser":
			w.WriteHeader(http.StatusForbidden)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}), profile.Login{Protocol: "http-json", Page: "/login", Token: "$.token", Owner: profile.Account{User: "owner"}, Proof: profile.Proof{Get: "/status"}})
	for user, want := range map[string]verdict.Kind{"guest": verdict.Accepted, "owner": verdict.Unproven} {
		a, err := door.Try(t.Context(), login.Credential{User: user, Password: user})
		require.NoError(t, err)
		assert.Equal(t, want, a.Kind, a.Detail)
		a, err = door.Try(t.Context(), login.Credential{User: user, Password: "wrong"})
		require.NoError(t, err)
		assert.Equal(t, verdict.Refused, a.Kind, a.Detail)
	}
}
