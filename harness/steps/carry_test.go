package steps

import (
	"context"
	"os"
	"path/filepath"
	"testing"

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
		r.Carried(int64(len(r.Body)))
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
