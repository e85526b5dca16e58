package dut

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
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
			fetches, got := f.got()
			require.Len(t, fetches, 1)
			assert.Equal(t, c.whole, got == len(file), "%d of %d", got, len(file))
		})
	}
}
