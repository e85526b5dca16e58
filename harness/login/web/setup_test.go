package web_test

import (
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/login/web"
	"rigor/harness/verdict"
)

const setupPage = `<form method="post" action="/setup"><input name="user"><input type="password" name="password"></form>`

// unset is a device before its set-up, that takes the first user and password
// for its owner's. It counts what was posted.
type unset struct {
	mu    sync.Mutex
	posts []string
}

func (u *unset) posted() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.posts
}

func (u *unset) serve(t *testing.T, loginPage http.HandlerFunc, loginPost int) web.Config {
	post := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		u.mu.Lock()
		u.posts = append(u.posts, r.URL.Path+" "+string(body))
		u.mu.Unlock()
		_, _ = io.WriteString(w, "saved")
	}
	s := serve(t, map[string]http.HandlerFunc{
		"GET /setup":      answers(200, setupPage),
		"POST /setup":     post,
		"GET /login":      loginPage,
		"POST /api/login": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/setup", loginPost) },
		"/status":         func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/setup", http.StatusSeeOther) },
	})
	var cfg web.Config
	prober(t, s, func(c *web.Config) { c.Scheme, c.Form.Page = web.Form, "/login"; cfg = *c })
	return cfg
}

// TestNotIntoTheSetUp: credentials are tried at the declared page alone. What a
// device shows in its place may be its set-up, which would take them.
func TestNotIntoTheSetUp(t *testing.T) {
	t.Parallel()
	moved := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/setup", status) }
	}
	asks := func(field string) http.HandlerFunc {
		return answers(200, `<form method="post" action="/setup"><input name="user"><input type="password" name="password">`+field+`</form>`)
	}
	for _, tc := range []struct {
		name string
		page http.HandlerFunc
		edit func(c *web.Config)
		want verdict.Kind
	}{
		{"the login page leads to the set-up", moved(http.StatusSeeOther), nil, verdict.Refused},
		{"for good", moved(http.StatusMovedPermanently), nil, verdict.Refused},
		{"with its method", moved(http.StatusTemporaryRedirect), nil, verdict.Refused},
		{"the fields are declared", moved(http.StatusFound), func(c *web.Config) { c.Form.User, c.Form.Password = "user", "password" }, verdict.Refused},
		{"the place to send it is declared", moved(http.StatusFound), func(c *web.Config) { c.Form.Action = "/setup" }, verdict.Refused},
		{"the set-up stands at the login page, and asks twice", asks(`<input type="password" name="again">`), nil, verdict.Garbled},
		{"the set-up stands at the login page, and says that it is new", answers(200, `<form method="post" action="/setup"><input name="user"><input type="password" name="password" autocomplete="section-a new-password"></form>`), nil, verdict.Garbled},
		{"a login by JSON is sent on with its body", nil, func(c *web.Config) {
			c.Scheme, c.JSON = web.JSON, web.JSONLogin{Path: "/api/login", User: "user", Password: "password"}
		}, verdict.Refused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := &unset{}
			page := tc.page
			if page == nil {
				page = answers(404, "")
			}
			cfg := u.serve(t, page, http.StatusPermanentRedirect)
			if tc.edit != nil {
				tc.edit(&cfg)
			}
			p, err := web.New(cfg)
			require.NoError(t, err)
			o, err := p.Try(t.Context(), right)
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, o.Detail)
			assert.Empty(t, u.posted(), "the device was altered: %s", o.Detail)
		})
	}
}

// TestFormAtItsPage: the same page under a longer or a safer address is the page.
func TestFormAtItsPage(t *testing.T) {
	t.Parallel()
	const form = `<form method="post" action="/enter"><input name="u"><input type="password" name="p"><input type="password" name="code" value=""></form>`
	s := serve(t, map[string]http.HandlerFunc{
		"GET /login": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login/?from=status", http.StatusFound)
		},
		"GET /login/": answers(200, form),
		"POST /enter": func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("u") == "admin" && r.FormValue("p") == good && r.FormValue("code") == "0" {
				signIn(w)
			}
			http.Redirect(w, r, "/status", http.StatusSeeOther)
		},
		"/status": func(w http.ResponseWriter, r *http.Request) {
			if _, err := r.Cookie("sid"); err != nil {
				http.Redirect(w, r, "/login", http.StatusSeeOther)
				return
			}
			_, _ = io.WriteString(w, "uptime 5")
		},
	})
	// A second password's field that the profile fills in is part of a login.
	p := prober(t, s, func(c *web.Config) {
		c.Scheme, c.Form = web.Form, web.FormLogin{Page: "/login", Password: "p", Extra: map[string]string{"code": "0"}}
	})
	for _, tc := range []struct {
		c    login.Credential
		want verdict.Kind
	}{{right, verdict.Accepted}, {wrong, verdict.Refused}} {
		o, err := p.Try(t.Context(), tc.c)
		require.NoError(t, err)
		assert.Equal(t, tc.want, o.Kind, o.Detail)
		assert.True(t, o.Sent)
	}
}
