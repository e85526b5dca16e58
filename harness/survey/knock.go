package survey

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"rigor/harness/wire"
)

// Times of a knock.
const (
	knockers   = 12 // ports at once: a small device takes few connections
	knockFor   = 2 * time.Second
	greetFor   = 800 * time.Millisecond // for a service that speaks first
	pageFor    = 3 * time.Second
	knockAgain = 1 // a port that does not answer is asked once more
)

// Knocked is what became of a look at some ports.
type Knocked struct {
	Open    []Service `json:"open,omitempty"`
	Refused int       `json:"refused"` // ports that said no
	Silent  []int     `json:"silent,omitempty"`
}

// Answers says whether anybody was there.
func (k Knocked) Answers() bool { return len(k.Open) > 0 || k.Refused > 0 }

// Knock connects to ports of a host and takes down what those that are open say.
// Through gives the port at host behind which a port of the DUT is, where a
// forwarder stands before it. Trouble of our own is an error, a *wire.Fault; that
// the host does not answer is none.
func Knock(ctx context.Context, d wire.Dialer, host string, ports []int, through map[int]int) (Knocked, error) {
	var (
		mu    sync.Mutex
		out   Knocked
		trble error
		all   sync.WaitGroup
		turn  = make(chan struct{}, knockers)
	)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for _, port := range ports {
		turn <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		all.Go(func() {
			defer func() { <-turn }()
			at := port
			if to, ok := through[port]; ok {
				at = to
			}
			k := knocker{d: d, address: net.JoinHostPort(host, strconv.Itoa(at)), port: port}
			s, state, err := k.knock(ctx)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				if trble == nil {
					trble = err
				}
				stop()
			case state == open:
				out.Open = append(out.Open, s)
			case state == refused:
				out.Refused++
			default:
				out.Silent = append(out.Silent, port)
			}
		})
	}
	all.Wait()
	slices.SortFunc(out.Open, func(a, b Service) int { return a.Port - b.Port })
	slices.Sort(out.Silent)
	if trble == nil && ctx.Err() != nil {
		trble = context.Cause(ctx)
	}
	return out, trble
}

type portState int

const (
	silent portState = iota
	refused
	open
)

type knocker struct {
	d       wire.Dialer
	address string
	port    int
}

// dial connects. Whatever the DUT does is a state, and no error.
func (k *knocker) dial(ctx context.Context) (net.Conn, portState, error) {
	for try := 0; ; try++ {
		within, cancel := context.WithTimeout(ctx, knockFor)
		c, err := k.d.DialContext(within, "tcp", k.address)
		cancel()
		switch {
		case err == nil:
			return c, open, nil
		case ctx.Err() != nil:
			return nil, silent, context.Cause(ctx)
		case errors.Is(err, syscall.ECONNREFUSED):
			return nil, refused, nil
		}
		if _, ours := wire.AsFault(err); ours {
			return nil, silent, fmt.Errorf("connect to %s: %w", k.address, err)
		}
		if try == knockAgain {
			return nil, silent, nil
		}
	}
}

func (k *knocker) knock(ctx context.Context) (Service, portState, error) {
	s := Service{Port: k.port}
	c, state, err := k.dial(ctx)
	if err != nil || state != open {
		return s, state, err
	}
	raw := said(ctx, c, greetFor)
	_ = c.Close() // it was only listened to
	s.Kind, s.Says = Greeting(raw), FirstLine(raw)
	if s.Kind != "" || len(raw) > 0 {
		return s, open, nil
	}
	if mayBeTLS(k.port) {
		if err := k.overTLS(ctx, &s); err != nil || s.TLS {
			return s, open, err
		}
	}
	if !mayBeWeb(k.port) {
		return s, open, nil
	}
	c, state, err = k.dial(ctx)
	if err != nil || state != open {
		return s, open, err
	}
	k.page(ctx, c, &s)
	return s, open, nil
}

// overTLS shakes hands, and asks a web server for its page.
func (k *knocker) overTLS(ctx context.Context, s *Service) error {
	c, state, err := k.dial(ctx)
	if err != nil || state != open {
		return err
	}
	t := tls.Client(c, anyTLS)
	within, cancel := context.WithTimeout(ctx, pageFor)
	defer cancel()
	if t.HandshakeContext(within) != nil {
		_ = c.Close() // no TLS, or none that is spoken here
		return ctx.Err()
	}
	s.TLS = true
	if certs := t.ConnectionState().PeerCertificates; len(certs) > 0 {
		sum := sha256.Sum256(certs[0].Raw)
		s.Cert = fmt.Sprintf("%s, until %s, sha256 %s", cut(certs[0].Subject.String()), certs[0].NotAfter.UTC().Format(time.DateOnly), hex.EncodeToString(sum[:]))
	}
	if mayBeWeb(k.port) {
		k.page(ctx, t, s)
		return nil
	}
	_ = c.Close() // it was only looked at
	return nil
}

// page asks for the front page over a connection, which it closes, and once for the
// page of the same service that it leads to.
func (k *knocker) page(ctx context.Context, c net.Conn, s *Service) {
	raw := k.get(ctx, c, "/")
	if s.Page = ReadPage("/", raw); s.Page == nil {
		s.Kind, s.Says = Greeting(raw), FirstLine(raw)
		return
	}
	s.Kind = "http"
	to := s.Page.Goes
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || to == "/" || strings.ContainsFunc(to, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return
	}
	c, state, err := k.dial(ctx)
	if err != nil || state != open {
		return
	}
	if s.TLS {
		c = tls.Client(c, anyTLS)
	}
	if p := ReadPage(to, k.get(ctx, c, to)); p != nil {
		s.Page = p
	}
}

// anyTLS speaks with any server: it is looked at, and nothing is believed or sent.
var anyTLS = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10} //nolint:gosec // see above

// get asks for a page.
func (k *knocker) get(ctx context.Context, c net.Conn, path string) []byte {
	defer func() { _ = c.Close() }() // what was to be read is
	host, _, err := net.SplitHostPort(k.address)
	if err != nil || c.SetWriteDeadline(time.Now().Add(pageFor)) != nil {
		return nil
	}
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: rigor\r\nConnection: close\r\n\r\n", path, host); err != nil {
		return nil
	}
	return said(ctx, c, pageFor)
}

// said gives what comes over a connection until it ends, or is quiet for a while
// behind what came, or so much time has passed.
func said(ctx context.Context, c net.Conn, d time.Duration) []byte {
	const behind = 250 * time.Millisecond
	defer context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })()
	end := time.Now().Add(d)
	var raw []byte
	b := make([]byte, 4096)
	for len(raw) < most {
		until := end
		if soon := time.Now().Add(behind); len(raw) > 0 && d <= greetFor && soon.Before(end) {
			until = soon
		}
		if ctx.Err() != nil || c.SetReadDeadline(until) != nil {
			return raw
		}
		n, err := c.Read(b)
		raw = append(raw, b[:n]...)
		if err != nil || errors.Is(err, io.EOF) {
			return raw
		}
	}
	return raw
}
