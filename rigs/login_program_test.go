package rigs

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/login/program"
	"rigor/harness/verdict"
)

// The program that the reference shows does what it says, on a service that lets
// its owner in.
func TestReferenceShowsAGoodProgram(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("needs python3: apt-get install python3")
	}
	code := regexp.MustCompile("(?s)```python\n(.*?)```").FindStringSubmatch(chapters(t)["Programs"])
	require.Len(t, code, 2)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "try-app.py"), []byte(code[1]), 0o700))
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "keeper" || password != "Keeper-of-7" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`{"owner":"keeper"}`))
	}))
	at, err := url.Parse(service.URL)
	require.NoError(t, err)
	port, err := strconv.Atoi(at.Port())
	require.NoError(t, err)
	run := func(c login.Credential) verdict.Kind {
		cfg := program.Config{Part: "login.app", Name: "app", Argv: []string{"./try-app.py"}, Host: at.Hostname(), Port: port, Proof: regexp.MustCompile(`"owner"`)}
		cfg.Run = func(ctx context.Context, r program.Run) error {
			r.Dir = dir
			return Program(ctx, r)
		}
		p, err := program.New(cfg)
		require.NoError(t, err)
		o, err := p.Try(t.Context(), c)
		require.NoError(t, err)
		return o.Kind
	}
	assert.Equal(t, verdict.Accepted, run(login.Credential{User: "keeper", Password: "Keeper-of-7"}))
	assert.Equal(t, verdict.Refused, run(login.Credential{User: "keeper"}))
	assert.Equal(t, verdict.Refused, run(login.Nobody))
	service.Close()
	assert.Equal(t, verdict.Unreachable, run(login.Nobody))
}
