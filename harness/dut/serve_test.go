package dut

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestServedArrives: what the kernel still has for a DUT that fetches has not arrived
// there; a DUT that has all of it has all of it, however late our end notes that.
func TestServedArrives(t *testing.T) {
	t.Parallel()
	file := bytes.Repeat([]byte("firmware"), 1<<17)
	for _, c := range []struct {
		name  string
		read  int64 // bytes of the body that the DUT reads
		whole bool
	}{{"all of it", int64(len(file)), true}, {"its beginning", 100, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := &served{first: file, path: "/firmware.bin"}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			stop := f.start(l)
			defer stop()
			conn, err := net.Dial("tcp", l.Addr().String())
			require.NoError(t, err)
			_, err = fmt.Fprintf(conn, "GET /firmware.bin HTTP/1.1\r\nHost: rig\r\n\r\n")
			require.NoError(t, err)
			resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil)
			require.NoError(t, err)
			_, err = io.CopyN(io.Discard, resp.Body, c.read)
			require.NoError(t, err)
			if !c.whole {
				<-time.After(50 * time.Millisecond) // the server has handed all of it to the kernel
			}
			require.NoError(t, conn.Close())
			stop()
			fetches, got, _ := f.got()
			require.Len(t, fetches, 1)
			assert.Equal(t, c.whole, got == len(file), "%d of %d", got, len(file))
		})
	}
}

// TestServedFlood: a DUT that asks without end is told of in few words, and what it has got
// of the file is counted all the same.
func TestServedFlood(t *testing.T) {
	t.Parallel()
	file := bytes.Repeat([]byte("firmware"), 1<<10)
	f := &served{first: file, second: bytes.Repeat([]byte("forgeries"), 1<<10), behind: 1, path: "/firmware.bin"}
	ask := func(method, path, ranged string) {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Method = method
		r.Header.Set("Range", ranged)
		f.ServeHTTP(httptest.NewRecorder(), r)
	}
	for range 3000 {
		ask(strings.Repeat("X", 8<<10), "/robots.txt", "")
	}
	for at := len(file) - 2; at > 0; at -= 2 { // two bytes at a time, from behind
		ask(http.MethodGet, f.path, fmt.Sprintf("bytes=%d-%d", at, at+1))
	}
	_, covered, _ := f.got()
	assert.Zero(t, covered, "its first bytes are lacking")
	ask(http.MethodGet, f.path, "bytes=0-1")
	before := time.Now()
	fetches, covered, last := f.got()
	assert.Equal(t, len(file), covered)
	assert.False(t, last.IsZero() || last.After(before))
	assert.False(t, fetches[len(fetches)-1].Second)
	ask(http.MethodGet, f.path, "")
	fetches, _, _ = f.got()
	assert.True(t, fetches[len(fetches)-1].Second, "who gets the other file is listed")
	listed := len(fetches)
	more := 0
	for _, x := range fetches {
		more += x.More
	}
	assert.Equal(t, 3000+len(file)/2+1, listed+more)
	line, err := json.Marshal(fetches)
	require.NoError(t, err)
	assert.Less(t, len(line), 256<<10)
}
