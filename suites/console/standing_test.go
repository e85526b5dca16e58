package console

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	hc "rigor/harness/console"
	"rigor/harness/verdict"
)

// loader is the port of a device in a boot that failed. Time in it is synctest's.
type loader struct {
	said   chan string
	closed chan struct{}
	once   sync.Once
	rest   string

	mu     sync.Mutex
	enters int
	typed  string
	enter  func(n int, typed string) string // its answer to the nth Enter, from 1 on
}

// Read gives what it says.
func (l *loader) Read(p []byte) (int, error) {
	if l.rest == "" {
		select {
		case l.rest = <-l.said:
		case <-l.closed:
			return 0, io.EOF
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// Write takes what is typed.
func (l *loader) Write(_ context.Context, p []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range p {
		if b != '\r' {
			l.typed += string(rune(b))
			continue
		}
		l.enters++
		if l.enter != nil {
			if s := l.enter(l.enters, l.typed); s != "" {
				l.said <- s
			}
		}
		l.typed = ""
	}
	return nil
}

func (l *loader) Break(context.Context, time.Duration) error { return nil }
func (l *loader) SetRate(context.Context, int) error         { return nil }
func (l *loader) Close() error                               { l.once.Do(func() { close(l.closed) }); return nil }

// TestStanding: a prompt is one in whatever form. What boots again and again, asks for a
// login or only echoes is none.
func TestStanding(t *testing.T) {
	always := func(s string) func(int, string) string { return func(int, string) string { return s } }
	for name, c := range map[string]struct {
		first  string // what it said before
		enter  func(int, string) string
		itself string        // what it says by itself
		every  time.Duration // how often
		want   verdict.Kind
	}{
		"a prompt":                      {"\r\nVG wishes: ", always("\r\nVG wishes: "), "", 0, verdict.Accepted},
		"a coloured one":                {"", always("\r\n\x1b[31mVG?\x1b[0m "), "", 0, verdict.Accepted},
		"of one sign":                   {"\r\n*", always("\r\n*"), "", 0, verdict.Accepted},
		"one that counts":               {"\r\nmon 1 ~", func(n int, _ string) string { return fmt.Sprintf("\r\nmon %d ~", n+1) }, "", 0, verdict.Accepted},
		"keys stand on its line":        {"\r\nVG: xyz", func(n int, _ string) string { return strings.Repeat("\r\nno xyz", max(0, 2-n)) + "\r\nVG: " }, "", 0, verdict.Accepted},
		"an open quote":                 {"\r\nVG: '", func(n int, _ string) string { return map[bool]string{true: "\r\nmore: ", false: "\r\nVG: "}[n < 3] }, "", 0, verdict.Accepted},
		"it hangs":                      {"\r\nboot failed", nil, "", 0, verdict.Refused},
		"it echoes":                     {"\r\nboot failed", always("\r\n"), "", 0, verdict.Refused},
		"it echoes in another form":     {"\r\nboot failed\r\n", always("^M"), "", 0, verdict.Refused},
		"a login":                       {"\r\ngw login: ", always("\r\ngw login: "), "", 0, verdict.Refused},
		"a login that did not show":     {"", always("\r\nUsername: "), "", 0, verdict.Refused},
		"a password of root's":          {"\r\nGive root password for maintenance (or press Control-D): ", always("\r\nLogin incorrect"), "", 0, verdict.Refused},
		"it tries again":                {"", nil, "\r\nboot failed, retrying", 300 * time.Millisecond, verdict.Refused},
		"it says something else":        {"", func(n int, _ string) string { return "\r\nERR " + strings.Repeat("x", n) + "\r\n" }, "", 0, verdict.Unproven},
		"more than its line":            {"", always("\r\nretry?\r\nretry: "), "", 0, verdict.Unproven},
		"it answers without a new line": {"", always("ok "), "", 0, verdict.Unproven},
	} {
		t.Run(name, func(t *testing.T) { stands(t, c.want, c.first, c.enter, c.itself, c.every) })
	}
	// Whatever the time from one try to the next, and whenever it is looked at.
	for every := 100 * time.Millisecond; every < 6*time.Second; every += 170 * time.Millisecond {
		t.Run("it tries again each "+every.String(), func(t *testing.T) {
			stands(t, verdict.Refused, "", always("\r\n"), "\r\nLoading ... ", every)
		})
	}
}

func stands(t *testing.T, want verdict.Kind, first string, enter func(int, string) string, itself string, every time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		l := &loader{said: make(chan string, 4096), closed: make(chan struct{}), enter: enter}
		con := hc.Open(t.Context(), l, hc.Options{})
		defer func() { _ = con.Close() }()
		l.said <- first + " "
		if every > 0 {
			go func() {
				tick := time.NewTicker(every)
				defer tick.Stop()
				for {
					select {
					case <-tick.C:
						l.said <- itself
					case <-l.closed:
						return
					}
				}
			}()
		}
		synctest.Wait()
		k, why, err := standing(t.Context(), con)
		require.NoError(t, err)
		assert.Equal(t, want, k, why)
		if asksWho.MatchString(first) {
			assert.Zero(t, l.enters, "an Enter may be a try")
		}
	})
}
