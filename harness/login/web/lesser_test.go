package web_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/login/web"
	"rigor/harness/verdict"
)

var guest = login.Credential{User: "guest", Password: "guest"}

// TestLesserAccountByBasic: a login that the device takes, and whose account may not see
// the proof, is no refusal. A device that answers every wrong password so refuses.
func TestLesserAccountByBasic(t *testing.T) {
	t.Parallel()
	type status func(user, password string, ok bool) int
	lesser := func(user, password string, ok bool) int {
		switch {
		case user == "admin" && password == good:
			return 200
		case user == "guest" && password == "guest":
			return 403
		}
		return 401
	}
	forbids := func(user, password string, ok bool) int {
		switch {
		case !ok:
			return 401
		case user == "admin" && password == good:
			return 200
		}
		return 403
	}
	knows := func(user, password string, ok bool) int { // and tells so, before it looks at the password
		if s := forbids(user, password, ok); s != 403 || user == "guest" || user == "admin" {
			return s
		}
		return 401
	}
	blank := func(user, password string, ok bool) int { // is no password at all there
		if ok && password == "" {
			return 403
		}
		return lesser(user, password, ok)
	}
	for _, tc := range []struct {
		name  string
		gate  status
		front status
		cred  login.Credential
		want  verdict.Kind
		taken string
		tries int32 // with a credential
	}{
		{"guest is let in elsewhere", lesser, func(u, p string, ok bool) int {
			if s := lesser(u, p, ok); s != 403 {
				return s
			}
			return 200
		}, guest, verdict.Unproven, "/", 0},
		{"guest, and nothing else opens", lesser, lesser, guest, verdict.Unproven, "", 0},
		{"wrong password beside a guest", lesser, lesser, wrong, verdict.Refused, "", 1},
		{"nobody beside a guest", lesser, lesser, login.Nobody, verdict.Refused, "", 0},
		{"the owner beside a guest", lesser, lesser, right, verdict.Accepted, "", 1},
		{"every wrong password is forbidden", forbids, forbids, guest, verdict.Refused, "", 2},
		{"every wrong password of a known user is forbidden", knows, knows, guest, verdict.Refused, "", 3},
		{"every blank password is forbidden", blank, blank, login.Credential{User: "guest"}, verdict.Refused, "", 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var tries atomic.Int32
			answer := func(s status) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					u, p, ok := r.BasicAuth()
					if ok {
						tries.Add(1)
					}
					code := s(u, p, ok)
					if code == 401 {
						w.Header().Set("WWW-Authenticate", `Basic realm="acme"`)
					}
					w.WriteHeader(code)
					_, _ = io.WriteString(w, "uptime 5")
				}
			}
			s := serve(t, map[string]http.HandlerFunc{"/status": answer(tc.gate), "/": answer(tc.front)})
			p := prober(t, s, func(c *web.Config) { c.Scheme = web.Basic })
			o, err := p.Try(t.Context(), tc.cred)
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, "%s\n%s", o.Detail, o.Evidence)
			assert.Equal(t, tc.taken, o.Facts[login.FactTaken], o.Detail)
			if tc.tries > 0 {
				assert.Equal(t, tc.tries, tries.Load())
			}
		})
	}
}

// TestForbiddenIsAskedOnce: what a wrong password is answered with is asked for once.
func TestForbiddenIsAskedOnce(t *testing.T) {
	t.Parallel()
	var tries atomic.Int32
	s := serve(t, map[string]http.HandlerFunc{"/status": func(w http.ResponseWriter, r *http.Request) {
		user, _, ok := r.BasicAuth()
		if !ok {
			w.WriteHeader(401)
			return
		}
		tries.Add(1)
		http.Error(w, user+" may not see that", http.StatusForbidden)
	}})
	known := web.NewKnown()
	for i := range 3 {
		p := prober(t, s, func(c *web.Config) { c.Scheme, c.Known = web.Basic, known })
		o, err := p.Try(t.Context(), []login.Credential{guest, wrong, {User: "root", Password: "root"}}[i])
		require.NoError(t, err)
		assert.Equal(t, verdict.Refused, o.Kind, o.Detail)
	}
	assert.EqualValues(t, 4, tries.Load())
}

// lesserAPI gives tokens to the owner and to a guest, who may not see the proof.
func lesserAPI(t *testing.T, always bool) *httptest.Server {
	return serve(t, map[string]http.HandlerFunc{
		"/api/login": func(w http.ResponseWriter, r *http.Request) {
			var in struct{ Username, Password string }
			_ = json.NewDecoder(r.Body).Decode(&in)
			switch {
			case in.Username == "admin" && in.Password == good:
				_, _ = io.WriteString(w, `{"token":"0wner"}`)
			case in.Username == "guest" && in.Password == "guest" || always:
				_, _ = io.WriteString(w, `{"token":"gu3st"}`)
			default:
				w.WriteHeader(401)
			}
		},
		"/status": func(w http.ResponseWriter, r *http.Request) {
			switch r.Header.Get("Authorization") {
			case "Bearer 0wner":
				_, _ = io.WriteString(w, "uptime 5")
			case "Bearer gu3st":
				w.WriteHeader(403)
			default:
				w.WriteHeader(401)
			}
		},
	})
}

func TestLesserAccountByJSON(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		always bool
		cred   login.Credential
		want   verdict.Kind
		taken  bool
	}{
		{"owner", false, right, verdict.Accepted, false},
		{"guest", false, guest, verdict.Unproven, true},
		{"wrong", false, wrong, verdict.Refused, false},
		{"a token for everybody", true, wrong, verdict.Refused, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := prober(t, lesserAPI(t, tc.always), func(c *web.Config) {
				c.Scheme, c.JSON = web.JSON, web.JSONLogin{Path: "/api/login", Token: "$.token"}
			})
			o, err := p.Try(t.Context(), tc.cred)
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, "%s\n%s", o.Detail, o.Evidence)
			assert.Equal(t, tc.taken, o.Facts[login.FactTaken] != "", o.Detail)
			assert.NotContains(t, o.Detail+string(o.Evidence), "gu3st")
		})
	}
}

// TestMadeToSetAPassword: whose every page leads to where a password is set, is let in.
func TestMadeToSetAPassword(t *testing.T) {
	t.Parallel()
	const one = `<form method=post><input type=password name=a></form>`
	const two = `<form method=post>Neues Kennwort <input type=password name=a><input type=password name=b></form>`
	for _, tc := range []struct {
		name    string
		place   string // of the page; "" for in place of the proof
		page    string
		guest   bool // gets a session
		nobody  string
		nobodys string
		want    verdict.Kind
	}{
		{"leads to where one is set", "/setpwd.html", two, true, "/ui/login", loginPage, verdict.Restricted},
		{"leads to another page with one field", "/again.html", one, true, "/ui/login", loginPage, verdict.Unproven},
		{"shows it in place", "", two, true, "/ui/login", loginPage, verdict.Restricted},
		{"a wrong password leads to another page", "/again.html", one, false, "/ui/login", loginPage, verdict.Refused},
		{"a login page that was not declared, for a visitor too", "/other.html", one, false, "/other.html", one, verdict.Refused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := serve(t, map[string]http.HandlerFunc{
				"GET /ui/login": answers(200, loginPage),
				"POST /ui/session": func(w http.ResponseWriter, r *http.Request) {
					value := "wrong"
					if tc.guest && r.FormValue("login") == "guest" && r.FormValue("secret") == "guest" {
						value = "s3ss10n"
						http.SetCookie(w, &http.Cookie{Name: "sid", Value: value, Path: "/"})
					} else if !tc.guest {
						http.SetCookie(w, &http.Cookie{Name: "sid", Value: value, Path: "/"})
					}
					_, _ = io.WriteString(w, "<p>Weiter</p>")
				},
				"/status": func(w http.ResponseWriter, r *http.Request) {
					switch _, err := r.Cookie("sid"); {
					case err != nil:
						http.Redirect(w, r, tc.nobody, http.StatusFound)
					case tc.place == "":
						_, _ = io.WriteString(w, tc.page)
					default:
						http.Redirect(w, r, tc.place, http.StatusFound)
					}
				},
				"/setpwd.html": answers(200, tc.page),
				"/again.html":  answers(200, tc.page),
				"/other.html":  answers(200, tc.page),
			})
			o, err := prober(t, s, isForm).Try(t.Context(), guest)
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, "%s\n%s", o.Detail, o.Evidence)
		})
	}
}

// TestLoginPageInPlace: that a page came is no proof where it asks for a password, or is
// what an app shows to everybody, and nothing says what the proof shows.
func TestLoginPageInPlace(t *testing.T) {
	t.Parallel()
	const form = `<form method=post action=/in><input name=u><input type=password name=p></form>`
	for _, tc := range []struct {
		name   string
		scheme web.Scheme
		path   string
		serve  http.HandlerFunc
		want   verdict.Kind
	}{
		{"the login page", web.Form, "/status", answers(200, form), verdict.Garbled},
		{"the login page, by basic", web.Basic, "/status", answers(200, form), verdict.Garbled},
		{"the shell of an app", web.JSON, "/status", answers(200, `<!doctype html><div id=root></div>`), verdict.Unproven},
		{"a page for everybody, by basic", web.Basic, "/status", answers(200, `<html>uptime 5</html>`), verdict.Accepted},
		{"values for everybody", web.JSON, "/status", answers(200, `{"uptime":5}`), verdict.Accepted},
		{"moved by its query", web.Basic, "/status?page=status", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("page") == "status" {
				http.Redirect(w, r, "/status?page=login", http.StatusFound)
				return
			}
			_, _ = io.WriteString(w, "come in")
		}, verdict.Garbled},
		{"with more in its query", web.Basic, "/status", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery == "" {
				http.Redirect(w, r, "/status?lang=en", http.StatusFound)
				return
			}
			_, _ = io.WriteString(w, "uptime")
		}, verdict.Accepted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := serve(t, map[string]http.HandlerFunc{"/status": tc.serve})
			p := prober(t, s, func(c *web.Config) {
				c.Scheme, c.Protected = tc.scheme, web.Page{Path: tc.path}
				c.Form.Page, c.JSON.Path = "/login", "/login"
			})
			o, err := p.Try(t.Context(), login.Nobody)
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, o.Detail)
		})
	}
}

// TestLesserAccountByForm: the page to which a login leads is not the answer to it.
func TestLesserAccountByForm(t *testing.T) {
	t.Parallel()
	s := func(preset bool, proof http.HandlerFunc) *httptest.Server {
		return serve(t, map[string]http.HandlerFunc{
			"GET /ui/login": func(w http.ResponseWriter, _ *http.Request) {
				if preset {
					http.SetCookie(w, &http.Cookie{Name: "sid", Value: "anyone", Path: "/"})
				}
				_, _ = io.WriteString(w, loginPage)
			},
			"POST /ui/session": func(w http.ResponseWriter, r *http.Request) {
				if r.FormValue("login") != "guest" || r.FormValue("secret") != "guest" {
					http.Redirect(w, r, "/ui/wrong", http.StatusSeeOther)
					return
				}
				http.SetCookie(w, &http.Cookie{Name: "sid", Value: "gu3st", Path: "/"})
				http.Redirect(w, r, "/status", http.StatusSeeOther)
			},
			"/ui/wrong": answers(200, loginPage+"Wrong password"),
			"/status": func(w http.ResponseWriter, r *http.Request) {
				if c, err := r.Cookie("sid"); err == nil && c.Value == "gu3st" {
					proof(w, r)
					return
				}
				http.Redirect(w, r, "/ui/login", http.StatusSeeOther)
			},
		})
	}
	for name, server := range map[string]*httptest.Server{
		"403":                        s(false, answers(403, "Access denied")),
		"403 in a session of before": s(true, answers(403, "Access denied")),
		"another page":               s(false, answers(200, "Access denied")),
	} {
		t.Run(name, func(t *testing.T) {
			o, err := prober(t, server, isForm).Try(t.Context(), guest)
			require.NoError(t, err)
			assert.Equal(t, verdict.Unproven, o.Kind, "%s\n%s", o.Detail, o.Evidence)
			assert.Equal(t, "cookie", o.Facts[login.FactTaken])
			o, err = prober(t, server, isForm).Try(t.Context(), wrong)
			require.NoError(t, err)
			assert.Equal(t, verdict.Refused, o.Kind, o.Detail)
		})
	}
}
