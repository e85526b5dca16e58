package dut

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/profile"
)

// TestServedSwaps: the second file comes from the second request on, or behind so many
// fetches from the beginning, in however many requests each of them is made.
func TestServedSwaps(t *testing.T) {
	for _, tt := range []struct {
		name   string
		behind int
		ranges []string // of each request; "" for all, "-" for a HEAD
		want   string   // which file each got
	}{
		{"in one request", 0, []string{""}, "1"},
		{"twice", 0, []string{"", ""}, "12"},
		{"a look first", 0, []string{"-", "", ""}, "112"},
		{"in pieces", 0, []string{"bytes=0-1", "bytes=2-3"}, "12"},
		{"behind two", 2, []string{"", "", "", ""}, "1122"},
		{"behind two, in pieces", 2, []string{"bytes=0-1", "bytes=2-3", "bytes=0-1", "bytes=2-3", "bytes=0-1"}, "11112"},
		{"behind two, resumed", 2, []string{"", "bytes=2-", "bytes=3-"}, "111"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &served{first: []byte("1111"), second: []byte("2222"), behind: tt.behind, path: "/f"}
			got := ""
			for _, r := range tt.ranges {
				req := httptest.NewRequest(http.MethodGet, "/f", nil)
				if r == "-" {
					req.Method = http.MethodHead
				} else if r != "" {
					req.Header.Set("Range", r)
				}
				f.ServeHTTP(httptest.NewRecorder(), req)
				got += map[bool]string{true: "2", false: "1"}[f.fetches[len(f.fetches)-1].Second]
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

// TestGuiseDresses: what somebody brings along goes with each request to a login's service,
// and with nothing else; one who is nobody keeps his cookies.
func TestGuiseDresses(t *testing.T) {
	ss := []profile.Step{
		{Verb: "serve"},
		{Verb: "http", HTTP: "GET /f", Login: "web", Header: map[string]string{"X": "y"}},
		{Verb: "repeat", Steps: []profile.Step{{Verb: "http", HTTP: "POST /f", Login: "web"}}},
	}
	out := Guise{Header: map[string]string{"Authorization": "Bearer t"}}.dressed(ss)
	assert.Empty(t, out[0].Header)
	assert.Equal(t, map[string]string{"X": "y", "Authorization": "Bearer t"}, out[1].Header)
	assert.Equal(t, "Bearer t", out[2].Steps[0].Header["Authorization"])
	assert.Equal(t, map[string]string{"X": "y"}, ss[1].Header, "the profile's own")
	assert.Equal(t, fmt.Sprint(ss), fmt.Sprint(Stranger.dressed(ss)))
}
