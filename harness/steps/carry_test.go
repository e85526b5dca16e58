package steps

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
)

// TestUpload: a file goes as the body, or as a field beside the others of a form; what
// the DUT answers is in the error, and what is asked for again ends with what must not be
// seen.
func TestUpload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "firmware.bin")
	require.NoError(t, os.WriteFile(path, []byte("an image"), 0o600))
	var got login.Request
	b := &bench{web: func(_ context.Context, r login.Request) (login.Response, error) {
		got = r
		r.Carried(int64(len(r.Body)), time.Now())
		return login.Response{Status: 422, Body: []byte("refused: signature")}, nil
	}}
	vars := map[string]string{"old": path, "new": "x"}
	_, err := Run(t.Context(), b, stepsOf(t, "    - {http: POST /u, port: 80, upload: '${old}'}\n"), vars)
	var se *StepError
	require.ErrorAs(t, err, &se)
	assert.Equal(t, 422, se.Status)
	assert.Equal(t, "refused: signature", string(se.Answer))
	assert.False(t, se.Unanswered)
	assert.Equal(t, "an image", string(got.Body))
	assert.Contains(t, b.did, "carried 8 of 8")

	_, err = Run(t.Context(), b, stepsOf(t, "    - {http: POST /u, port: 80, form: {csrf: t}, upload: {file: '${old}', field: image}, expect: {status: 422}}\n"), vars)
	require.NoError(t, err)
	assert.Contains(t, string(got.Body), `name="csrf"`)
	assert.Contains(t, string(got.Body), `name="image"; filename="firmware.bin"`)
	assert.Contains(t, got.Header["Content-Type"], "multipart/form-data; boundary=")

	n := 0
	b.web = func(context.Context, login.Request) (login.Response, error) {
		if n++; n < 3 {
			return login.Response{Status: 200, Body: []byte("fetching")}, nil
		}
		return login.Response{Status: 200, Body: []byte("refused")}, nil
	}
	_, err = Run(t.Context(), b, stepsOf(t, "    - {http: GET /u, port: 80, every: 1ms, expect: {match: installed, not: refused}}\n"), vars)
	require.ErrorAs(t, err, &se)
	assert.Equal(t, 3, n, "asked again while neither was seen")
	assert.Equal(t, "refused", string(se.Answer))
}

// TestServe: what is served is there to the end of the steps, and no longer.
func TestServe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "firmware.bin")
	require.NoError(t, os.WriteFile(path, []byte("an image"), 0o600))
	b := &bench{web: func(_ context.Context, r login.Request) (login.Response, error) {
		return login.Response{Status: 202, Body: r.Body}, nil
	}}
	_, err := Run(t.Context(), b, stepsOf(t, "    - serve: '${old}'\n    - {http: POST /f, port: 80, json: {url: '${url}'}}\n"), map[string]string{"old": path})
	require.NoError(t, err)
	assert.Equal(t, []string{"serve 8 bytes", `POST /f {"url":"http://192.0.2.1/f"}`, "serve no more"}, b.did)
}

// TestCopy: a file goes in the way that is declared, and only what the DUT shows that it
// has got has gone over.
func TestCopy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "firmware.bin")
	require.NoError(t, os.WriteFile(path, []byte("an image"), 0o600))
	for _, c := range []struct {
		name    string
		resp    login.Response
		carried string
		fails   string
	}{
		{"all of it", login.Response{Arrived: 8}, "carried 8 of 8", ""},
		{"a piece of it, and well done", login.Response{Arrived: 5}, "carried 5 of 8", "5 bytes, status 0: "},
		{"a no", login.Response{Status: 1, Body: []byte("no space left")}, "carried 0 of 8", "0 bytes, status 1: no space left"},
		{"all of it, and a no", login.Response{Status: 1, Arrived: 8}, "carried 7 of 8", "8 bytes, status 1: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got login.Request
			b := &bench{do: func(_ context.Context, r login.Request) (login.Response, error) {
				got = r
				return c.resp, nil
			}}
			_, err := Run(t.Context(), b, stepsOf(t, "    - {copy: '${old}', to: /tmp/x, by: sftp, login: shell}\n"), map[string]string{"old": path})
			require.NotNil(t, got.Put)
			assert.Equal(t, login.Put{Data: []byte("an image"), To: "/tmp/x", By: login.PutBySFTP}, *got.Put)
			assert.Contains(t, b.did, c.carried)
			if c.fails == "" {
				require.NoError(t, err)
				return
			}
			var se *StepError
			require.ErrorAs(t, err, &se)
			assert.Equal(t, c.fails, string(se.Answer))
		})
	}
}
