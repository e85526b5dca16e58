package dut

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rigor/harness/escape"
	"rigor/harness/wire"
)

// Fetch is one request of the DUT for a file that the rig serves.
type Fetch struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Range  string `json:"range,omitempty"`
	From   string `json:"from"` // who asked
	Sent   int    `json:"sent"` // bytes of the file that arrived there, as its end has acknowledged
	Second bool   `json:"second,omitempty"`
	Pass   int    `json:"pass"`           // how often the file was begun by then
	More   int    `json:"more,omitempty"` // of the last that is listed: how many more there were that are not
	file   bool   // it was for the file
	start  int
	ended  time.Time
}

// served is a file that the rig serves to the DUT by http, at a path that nobody can
// guess, and what was fetched of it. A second file, where there is one, is what each
// request gets behind the first that was answered with a file.
type served struct {
	first, second []byte
	behind        int // how many times the first one can be fetched from its beginning; 0: it is given once
	path          string

	mu      sync.Mutex
	fetches []Fetch   // those that are listed
	unasked int       // of these, that were for no file
	more    int       // that are not listed
	seconds bool      // one of the listed got the second file
	parts   []extent  // of the file that went out, in their order, with gaps between
	last    time.Time // when the last bytes of it had
	given   bool
	running int           // requests that are answered
	idle    chan struct{} // closed when none is; nil while nobody waits
	passes  int           // how often it was fetched from its beginning on
}

// mostFetches and mostUnasked are how many requests for the file, and how many others, are
// listed at most: a DUT may ask without end.
const (
	mostFetches = 1000
	mostUnasked = 100
)

// extent is bytes of a file: from one on, to before another.
type extent struct{ from, to int }

// serve begins to serve on our end of the link.
func (d *Device) serve(ctx context.Context, f *served) (url string, stop func(), err error) {
	toward, err := d.Address(ctx, discardPort)
	if err != nil {
		return "", nil, err
	}
	on, ok := d.bench.Link.(wire.Listener)
	if !ok {
		return "", nil, fmt.Errorf("a way from the DUT to this computer: %w", ErrNotWired)
	}
	var l net.Listener
	err = d.s.Do(ctx, PartLink, func(ctx context.Context) error {
		l, err = on.Listen(ctx, toward)
		return err
	})
	if errors.Is(err, wire.ErrUnsupported) {
		return "", nil, fmt.Errorf("a way from the DUT to this computer: %w: %w", ErrNotWired, err)
	}
	if err != nil {
		return "", nil, err
	}
	end := f.start(l)
	ended := context.AfterFunc(d.s.ctx, end) // of a check that lost its session
	return "http://" + l.Addr().String() + f.path, func() { ended(); end() }, nil
}

// start serves on a listener until end is called.
func (f *served) start(l net.Listener) (end func()) {
	srv := &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connOf{}, c) }}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l) // it ends when it is closed
	}()
	return sync.OnceFunc(func() {
		f.settle(ackWithin) // who has all of it may be quicker than we note that
		_ = srv.Close()     // what the DUT still fetches, nobody waits for any more
		<-done
	})
}

// connOf is the key of a request's connection in its context.
type connOf struct{}

// ackWithin is how long the DUT is given to acknowledge the last bytes; a delayed
// acknowledgement takes up to 500 ms (RFC 9293 section 3.8.6.3).
const ackWithin = time.Second

// arrives waits until the DUT has acknowledged what was written to it, and gives how many
// bytes it has not. Where the connection does not tell, it is all that can be lost.
func arrives(ctx context.Context, c net.Conn) (missing int, told bool) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(ackWithin); ; {
		n, err := unacked(c)
		if err != nil {
			return 0, false
		}
		if n == 0 || time.Now().After(end) {
			return n, true
		}
		select {
		case <-tick.C:
		case <-ctx.Done(): // it has hung up: what it has not acknowledged it will not
			n, err := unacked(c)
			return n, err == nil
		}
	}
}

// unacked asks how many bytes that were written to a connection its other end has not
// acknowledged.
func unacked(c net.Conn) (n int, err error) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0, err
	}
	var inner error
	err = raw.Control(func(fd uintptr) { n, inner = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) })
	return n, errors.Join(err, inner)
}

// ServeHTTP gives the file, whole or by a range.
func (f *served) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.begin()
	log := Fetch{Method: escape.Excerpt(r.Method, 20), Path: escape.Excerpt(r.URL.Path, 80), Range: escape.Excerpt(r.Header.Get("Range"), 80), From: r.RemoteAddr}
	count := &counter{ResponseWriter: w}
	switch {
	case r.URL.Path != f.path:
		http.NotFound(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		http.Error(w, "GET", http.StatusMethodNotAllowed)
	default:
		log.file = true
		data := f.next(r, &log)
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(count, r, "", time.Time{}, bytes.NewReader(data))
		log.Sent = f.arrived(r, w, count.n)
		_, _ = fmt.Sscanf(w.Header().Get("Content-Range"), "bytes %d-", &log.start)
	}
	f.ends(log)
}

// arrived gives how many of the bytes of an answer have arrived at the DUT.
func (f *served) arrived(r *http.Request, w http.ResponseWriter, sent int) int {
	c, ok := r.Context().Value(connOf{}).(net.Conn)
	if !ok || sent == 0 {
		return sent
	}
	if http.NewResponseController(w).Flush() != nil {
		return 0 // the connection is gone, and what it took with it nobody knows
	}
	missing, told := arrives(r.Context(), c)
	if !told {
		return 0
	}
	return max(0, sent-missing)
}

func (f *served) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running++
}

func (f *served) ends(log Fetch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	log.ended = time.Now()
	f.note(log)
	if f.running--; f.running == 0 && f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
}

// note lists a request, as long as there is room, and counts what went out by it.
func (f *served) note(log Fetch) {
	if log.Method == http.MethodGet && log.Sent > 0 {
		f.cover(extent{log.start, log.start + log.Sent})
		f.last = log.ended
	}
	switch {
	case !log.file && f.unasked == mostUnasked, log.file && len(f.fetches)-f.unasked >= mostFetches && (!log.Second || f.seconds):
		f.more++
		return
	case !log.file:
		f.unasked++
	}
	f.seconds = f.seconds || log.Second
	f.fetches = append(f.fetches, log)
}

// cover adds a part to those that went out.
func (f *served) cover(p extent) {
	i, _ := slices.BinarySearchFunc(f.parts, p.from, func(q extent, from int) int { return cmp.Compare(q.to, from) })
	end := i
	for ; end < len(f.parts) && f.parts[end].from <= p.to; end++ {
		p = extent{min(p.from, f.parts[end].from), max(p.to, f.parts[end].to)}
	}
	f.parts = slices.Replace(f.parts, i, end, p)
}

// settle waits until no request is answered any more, as long as d.
func (f *served) settle(d time.Duration) {
	f.mu.Lock()
	if f.running == 0 {
		f.mu.Unlock()
		return
	}
	if f.idle == nil {
		f.idle = make(chan struct{})
	}
	idle := f.idle
	f.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	}
}

// next chooses what a request gets.
func (f *served) next(r *http.Request, log *Fetch) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	get := r.Method == http.MethodGet
	if get && fromBeginning(r.Header.Get("Range")) {
		f.passes++
	}
	log.Pass = f.passes
	late := f.given
	if f.behind > 0 {
		late = f.passes > f.behind
	}
	if late && f.second != nil {
		log.Second = true
		return f.second
	}
	f.given = f.given || get
	return f.first
}

// fromBeginning says whether a request for a range, or for all, begins with the first byte.
func fromBeginning(ranged string) bool {
	return ranged == "" || strings.HasPrefix(strings.ReplaceAll(ranged, " ", ""), "bytes=0-")
}

// got gives the requests, as far as they are listed, how many bytes of the file went out at
// least once, from its first one on, and when the last of any did.
func (f *served) got() (fetches []Fetch, covered int, last time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fetches = slices.Clone(f.fetches)
	if f.more > 0 {
		fetches[len(fetches)-1].More = f.more
	}
	if len(f.parts) > 0 && f.parts[0].from == 0 {
		covered = f.parts[0].to
	}
	return fetches, covered, f.last
}

// counter counts what of a body went out.
type counter struct {
	http.ResponseWriter
	n int
}

// Write writes on.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n += n
	return n, err
}
