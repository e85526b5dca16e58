package rtsp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"

	"rigor/harness/login/internal/stream"
)

// maxBody bounds the description of a stream, in bytes.
const maxBody = 256 << 10

// response is an answer of the server (RFC 2326, section 7; RFC 7826 the same).
type response struct {
	version string // "1.0"
	status  int
	header  http.Header // RTSP's headers are those of HTTP in form
	body    []byte
}

var statusLine = regexp.MustCompile(`^RTSP/(\d\.\d) (\d{3})(?: .*)?$`)

// readResponse reads one answer. Requests and media that a server sends on the
// same connection are no answer to ours, and break the exchange.
func readResponse(r *bufio.Reader) (response, error) {
	var out response
	text := textproto.NewReader(r)
	line, err := text.ReadLine()
	if err != nil {
		return out, err
	}
	m := statusLine.FindStringSubmatch(strings.TrimRight(line, " "))
	if m == nil {
		return out, stream.Foreign("%.80q in place of an answer", line)
	}
	out.version = m[1]
	out.status, _ = strconv.Atoi(m[2]) // three digits
	h, err := text.ReadMIMEHeader()
	out.header = http.Header(h)
	if err != nil {
		var bad textproto.ProtocolError
		if errors.As(err, &bad) {
			return out, stream.Foreign("a broken header: %.80q", err)
		}
		return out, fmt.Errorf("the header of an answer: %w", err)
	}
	size := 0
	if l := strings.TrimSpace(out.header.Get("Content-Length")); l != "" {
		if size, err = strconv.Atoi(l); err != nil || size < 0 || size > maxBody {
			return out, stream.Foreign("a body of the length %.40q", l)
		}
	}
	out.body = make([]byte, size)
	if _, err := io.ReadFull(r, out.body); err != nil {
		return out, fmt.Errorf("the rest of a body of %d bytes: %w", size, err)
	}
	return out, nil
}

// describes says whether an answer holds the description of a stream (SDP, RFC
// 8866: its first line is the version).
func (r response) describes() bool {
	return r.status == 200 && bytes.HasPrefix(bytes.TrimLeft(r.body, "\r\n \ufeff"), []byte("v=0"))
}

// offers says whether a 401 asks for a scheme.
func (r response) offers(scheme string) bool {
	for _, v := range r.header.Values("WWW-Authenticate") {
		// Several challenges may stand in one line, RFC 9110 section 11.6.1.
		for _, part := range strings.Split(v, ",") {
			name, _, _ := strings.Cut(strings.TrimSpace(part), " ")
			if strings.EqualFold(name, scheme) {
				return true
			}
		}
	}
	return false
}
