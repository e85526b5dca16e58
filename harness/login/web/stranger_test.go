package web

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/wire"
)

// A stranger's path goes out as it stands, its cookies do not come back, and what
// it is sent to is an answer.
func TestStranger(t *testing.T) {
	t.Parallel()
	type seen struct{ target, host, cookie, method string }
	var last seen
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		last = seen{r.RequestURI, r.Host, r.Header.Get("Cookie"), r.Method}
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: "1"})
		if strings.HasPrefix(r.URL.Path, "/away") {
			http.Redirect(w, r, "/login", http.StatusSeeOther)
		}
	}))
	t.Cleanup(srv.Close)
	s, err := NewStranger(Config{Dialer: &net.Dialer{}, Address: srv.Listener.Addr().String()})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	for _, path := range []string{"/a", "//a/b", "/./a", "/x/../a", "/%61", "/a%2fb", "/%2561", "/a;x=1", "/a%20", "/a?b=/c", "/A/", "/a/..;/b"} {
		res, err := s.Do(t.Context(), login.Request{Path: path})
		require.NoError(t, err, path)
		assert.Equal(t, 200, res.Status)
		assert.Equal(t, path, last.target)
		assert.Empty(t, last.cookie)
	}
	res, err := s.Do(t.Context(), login.Request{Method: "HEAD", Path: "/away", Header: map[string]string{"Host": "localhost"}})
	require.NoError(t, err)
	assert.Equal(t, 303, res.Status)
	assert.Equal(t, seen{"/away", "localhost", "", "HEAD"}, last)

	for _, path := range []string{"a", "/%zz", ""} {
		_, err = s.Do(t.Context(), login.Request{Path: path})
		require.ErrorIs(t, err, login.ErrRequest, path)
	}
	srv.Close()
	_, err = s.Do(t.Context(), login.Request{Path: "/a"})
	require.Error(t, err)
	_, is := wire.AsFault(err)
	assert.False(t, is)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Do(ctx, login.Request{Path: "/a"})
	require.ErrorIs(t, err, context.Canceled)
}

// TestAlike: a page is known again by what it says, not by what differs each time.
func TestAlike(t *testing.T) {
	t.Parallel()
	page := func(status int, path, id string) login.Response {
		return login.Response{Status: status, Body: []byte("<p>" + path + " is not here, request " + id + "</p>")}
	}
	assert.True(t, Alike(page(200, "/aAbBcCdDeEfF", "17"), page(200, "/zZyYxXwWvVuU", "99")))
	assert.False(t, Alike(page(200, "/x", "1"), page(404, "/x", "1")))
	assert.False(t, Alike(login.Response{Status: 200, Body: []byte(`{"rebooting":true}`)}, page(200, "/x", "1")))
}
