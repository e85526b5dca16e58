package web

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
)

func TestFindForm(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, page string
		cfg        FormLogin
		method     string
		want       string // what is sent
	}{
		{"fields by their kinds", `<form method=post><input name=a type=text><input name=b type=password></form>`, FormLogin{}, http.MethodPost, "a=U&b=P"},
		{"a form without method is sent by GET", `<form><input name=u><input type=password name=p></form>`, FormLogin{}, http.MethodGet, "p=P&u=U"},
		{"names declared", `<form method=post><input name=a><input name=b><input type=password name=p></form>`, FormLogin{User: "a"}, http.MethodPost, "a=U&b=&p=P"},
		{"a password in a plain field", `<form method=post><input name=u><input name=p></form>`, FormLogin{User: "u", Password: "p"}, http.MethodPost, "p=P&u=U"},
		{"only a password", `<form method=post><input type=password name=p></form>`, FormLogin{}, http.MethodPost, "p=P"},
		{"unchecked, disabled and nameless are not sent", `<form method=post><input type=checkbox name=c><input type=hidden name=d value=1 disabled><input type=hidden value=2><input type=password name=p></form>`, FormLogin{}, http.MethodPost, "p=P"},
		{"extra", `<form method=post><input type=password name=p></form>`, FormLogin{Extra: map[string]string{"lang": "en"}}, http.MethodPost, "lang=en&p=P"},
		{"entities", `<form method=post><input type=hidden name=t value="a&amp;b"><input type=password name=p></form>`, FormLogin{}, http.MethodPost, "p=P&t=a%26b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, err := findForm([]byte(tc.page), &tc.cfg)
			require.NoError(t, err)
			assert.Equal(t, tc.method, f.method)
			assert.Equal(t, tc.want, f.fill(&tc.cfg, login.Credential{User: "U", Password: "P"}).Encode())
		})
	}
	f, err := findForm([]byte(`<form><input name=u><input type=password name=p></form>`), &FormLogin{})
	require.NoError(t, err)
	assert.Equal(t, "p=", f.fill(&FormLogin{}, login.Credential{NoUser: true}).Encode(), "blank is not absent")
}

func TestLookup(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ body, path, want string }{
		{`{"a":{"b":"x"}}`, "$.a.b", "x"},
		{`{"a":[{"b":12345678901234567890}]}`, "$.a[0].b", "12345678901234567890"},
		{`["x"]`, "$[0]", "x"},
		{`{"a":null}`, "$.a", ""},
		{`{"a":{}}`, "$.a", ""},
		{`{"a":""}`, "$.a", ""},
		{`{"a":"x"}`, "$.a.b", ""},
		{`[]`, "$[3]", ""},
		{`not json`, "$.a", ""},
	} {
		got, ok := lookup([]byte(tc.body), tc.path)
		assert.Equal(t, tc.want, got, "%s in %s", tc.path, tc.body)
		assert.Equal(t, tc.want != "", ok)
	}
	for _, path := range []string{"a", "$", "$.", "$..a", "$.a[", "$.a[x]", "$.a[-1]", "$x"} {
		_, err := parsePath(path)
		require.Error(t, err, path)
	}
}

func FuzzFindForm(f *testing.F) {
	f.Add([]byte(`<form method=post action=x><input name=u><input type=password name=p></form>`))
	f.Add([]byte(`<form><form><input type=password`))
	f.Fuzz(func(t *testing.T, page []byte) {
		got, err := findForm(page, &FormLogin{})
		if err == nil && got.password == "" {
			t.Fatal("a form without a password was found")
		}
		_ = hasPasswordField(page)
	})
}

func FuzzLookup(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":"x"}]}`), "$.a[1].b")
	f.Add([]byte(`[`), "$[0]")
	f.Fuzz(func(t *testing.T, body []byte, path string) {
		got, ok := lookup(body, path)
		if ok && !json.Valid(body) && got == "" {
			t.Fatal("something out of nothing")
		}
	})
}
