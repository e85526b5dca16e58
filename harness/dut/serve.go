package dut

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"rigor/harness/escape"
	"rigor/harness/wire"
)

// Fetch is one request of the DUT for a file that the rig serves.
type Fetch struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Range  string `json:"range,omitempty"`
	From   string `json:"from"` // who asked
	Sent   int    `json:"sent"` // bytes of the file
	Second bool   `json:"second,omitempty"`
	Pass   int    `json:"pass"` // how often the file was begun by then
	start  int
}

// served is a file that the rig serves to the DUT by http, at a path that nobody can
// guess, and what was fetched of it. A second file, where there is one, is what each
// request gets behind the first that was answered with a file.
type served struct {
	first, second []byte
	behind        int // how many times the first one can be fetched from its beginning; 0: it is given once
	path          string

	mu      sync.Mutex
	fetches []Fetch
	given   bool
	passes  int // how often it was fetched from its beginning on
}

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
	srv := &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l) // it ends when it is closed
	}()
	end := sync.OnceFunc(func() {
		_ = srv.Close() // what the DUT still fetches, nobody waits for any more
		<-done
	})
	ended := context.AfterFunc(d.s.ctx, end) // of a check that lost its session
	return "http://" + l.Addr().String() + f.path, func() { ended(); end() }, nil
}

// ServeHTTP gives the file, whole or by a range.
func (f *served) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	log := Fetch{Method: r.Method, Path: escape.Excerpt(r.URL.Path, 80), Range: escape.Excerpt(r.Header.Get("Range"), 80), From: r.RemoteAddr}
	count := &counter{ResponseWriter: w}
	switch {
	case r.URL.Path != f.path:
		http.NotFound(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		http.Error(w, "GET", http.StatusMethodNotAllowed)
	default:
		data := f.next(r, &log)
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(count, r, "", time.Time{}, bytes.NewReader(data))
		log.Sent = count.n
		_, _ = fmt.Sscanf(w.Header().Get("Content-Range"), "bytes %d-", &log.start)
	}
	f.mu.Lock()
	f.fetches = append(f.fetches, log)
	f.mu.Unlock()
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

// got gives the requests, and how many bytes of the file went out at least once.
func (f *served) got() (fetches []Fetch, covered int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	parts := slices.Clone(f.fetches)
	slices.SortFunc(parts, func(a, b Fetch) int { return a.start - b.start })
	end := 0
	for _, p := range parts {
		if p.Method == http.MethodGet && p.start <= end {
			end = max(end, p.start+p.Sent)
		}
	}
	return slices.Clone(f.fetches), end
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
