// Package peers lets tests ask other people's verifiers.
package peers

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// What swupdate says of a package. Anything else is trouble, in its own words.
const (
	Taken   = "taken"
	Refused = "refused"
)

// Swupdate is the program swupdate.
type Swupdate struct {
	argv []string
	at   int // how many at a time
}

// NewSwupdate finds the program; without it the test is skipped. swupdate listens on an
// abstract socket of one name: each gets a network of its own, where
// that is allowed, and processes of its own, so that none outlives it.
func NewSwupdate(tb testing.TB) *Swupdate {
	tb.Helper()
	prog, err := exec.LookPath("swupdate")
	if err != nil {
		tb.Skip("needs swupdate: apt-get install swupdate")
	}
	if err := exec.CommandContext(tb.Context(), "unshare", "-rnpf", "--kill-child", "true").Run(); err != nil {
		return &Swupdate{[]string{prog}, 1}
	}
	return &Swupdate{[]string{"unshare", "-rnpf", "--kill-child", prog}, 16}
}

// Judge asks about files, several at a time: swupdate waits most of the time. args are
// what the device is told besides the certificate that it trusts.
func (s *Swupdate) Judge(ctx context.Context, cert *x509.Certificate, files [][]byte, args ...string) []string {
	said := make([]string, len(files))
	next := make(chan int)
	var wg sync.WaitGroup
	for range s.at {
		wg.Go(func() {
			for i := range next {
				said[i] = s.one(ctx, cert, files[i], args)
			}
		})
	}
	for i := range files {
		next <- i
	}
	close(next)
	wg.Wait()
	return said
}

// one asks about one file, again where another swupdate has the socket.
func (s *Swupdate) one(ctx context.Context, cert *x509.Certificate, b []byte, args []string) string {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "swu") // its sockets are there: the path must be short
	if err != nil {
		return err.Error()
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for name, data := range map[string][]byte{"cert": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), "u.swu": b} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err.Error()
		}
	}
	argv := append(append(s.argv[:len(s.argv):len(s.argv)], "-c", "-i", "u.swu", "-k", "cert"), args...)
	for {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+dir)
		out, err := cmd.CombinedOutput()
		if bytes.Contains(out, []byte("Address already in use")) {
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
				continue
			}
		}
		// Its exit code is now and then 1 after a success.
		switch yes, no := bytes.Contains(out, []byte("SWUPDATE successful !")), bytes.Contains(out, []byte("SWUPDATE failed")); {
		case yes && !no:
			return Taken
		case no && !yes:
			return Refused
		}
		return fmt.Sprintf("neither or both: %v: %s", err, out)
	}
}
