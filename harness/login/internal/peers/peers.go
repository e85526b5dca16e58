// Package peers starts servers that others wrote, for the tests of the
// probers: on loopback, with accounts of their own, and gone with the test.
package peers

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rigor/harness/wire"
)

// Password opens the accounts "owner" and "expired" (which must set a new one
// first) and "nologin" (whose shell lets nobody in). "locked" has no password that
// could be right, "blank" has an empty one.
const Password = "Owner-pass 1"

// The SHA-512 crypt hash of Password.
const hash = "$6$rigorpeer$o6gryKuq2jU73zzZzzwg1wcuri29bDG26YNlJ0lifC.icP69fv8iOe5t5mWyF/5/eeViPH7h9IcHbD6mxnZdA."

const accounts = `root:x:0:0:root:/root:/bin/sh
sshd:x:100:65534::/run/sshd:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
owner:x:1777:1777::/:/bin/sh
expired:x:1778:1778::/:/bin/sh
nologin:x:1779:1779::/:/usr/sbin/nologin
locked:x:1780:1780::/:/bin/sh
blank:x:1781:1781::/:/bin/sh
`

// Need looks programs up and skips the test when one is missing, and in a short
// run: they take seconds to start and to refuse. The hint is the package that has
// it.
func Need(t testing.TB, program, hint string) string {
	t.Helper()
	if testing.Short() {
		t.Skipf("%s is tried without -short", program)
	}
	path, err := exec.LookPath(program)
	if err != nil {
		for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
			if p := filepath.Join(dir, program); exec.Command("test", "-x", p).Run() == nil {
				return p
			}
		}
		t.Skipf("needs %s: apt-get install %s", program, hint)
	}
	return path
}

// Port gives a loopback address that was free a moment ago.
func Port(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// PortOf gives the port of an address.
func PortOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// WithAccounts gives argv so that it runs with the accounts of this package in
// place of the system's, which stay as they are: in a mount namespace of its
// own, where the password files are others. It skips where that is not allowed.
func WithAccounts(t testing.TB, argv ...string) []string {
	t.Helper()
	Need(t, "unshare", "util-linux")
	dir := t.TempDir()
	shadow := new(strings.Builder)
	for _, line := range []string{"root:*", "sshd:*", "nobody:*", "owner:" + hash, "nologin:" + hash, "locked:!" + hash, "blank:"} {
		fmt.Fprintf(shadow, "%s:20000:0:99999:7:::\n", line)
	}
	fmt.Fprintf(shadow, "expired:%s:0:0:99999:7:::\n", hash)
	Write(t, filepath.Join(dir, "passwd"), accounts)
	Write(t, filepath.Join(dir, "shadow"), shadow.String())
	Write(t, filepath.Join(dir, "shells"), "/bin/sh\n/usr/sbin/nologin\n")
	script := fmt.Sprintf(`set -e
for f in passwd shadow shells; do mount --bind %s/$f /etc/$f; done
mkdir -p /run/sshd 2>/dev/null || :
exec "$@"`, dir)
	flags := "-m"
	if os.Geteuid() != 0 {
		flags = "-rm"
	}
	if out, err := exec.Command("unshare", flags, "sh", "-c", script, "sh", "true").CombinedOutput(); err != nil {
		t.Skipf("needs leave to make a mount namespace (root, or user namespaces): %v: %s", err, out)
	}
	return append([]string{"unshare", flags, "sh", "-c", script, "sh"}, argv...)
}

// Write writes a file for a peer.
func Write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Start runs a server until the test ends and waits until it listens on
// address. All that it prints is shown when the test fails.
func Start(t testing.TB, address string, argv ...string) {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	// A group of its own, so that its children end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out := &safeBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", argv[0], err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(300 * time.Millisecond): // some end only when their idle connections do
		}
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%s", argv[0], out)
		}
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(10 * time.Second)
	for {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-tick.C:
		case <-ended:
			t.Fatalf("%s ended: %s", argv[0], out)
		case <-limit:
			t.Fatalf("%s does not listen on %s: %s", argv[0], address, out)
		}
	}
}

// PerConnection serves each connection on loopback by a program that has the
// socket as its standard streams, as inetd does, and gives the address.
func PerConnection(t testing.TB, argv ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	running := map[int]bool{}
	closed := false
	serve := func(c net.Conn) {
		defer c.Close()
		f, err := c.(*net.TCPConn).File()
		if err != nil {
			return
		}
		defer f.Close()
		_ = c.Close() // the program has its own
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = f, f, f
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		mu.Lock()
		if closed || cmd.Start() != nil {
			mu.Unlock()
			return
		}
		pid := cmd.Process.Pid
		running[pid] = true
		mu.Unlock()
		_ = f.Close()
		_ = cmd.Wait()
		mu.Lock()
		delete(running, pid)
		mu.Unlock()
	}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		closed = true
		for pid := range running {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// Serve serves each connection on loopback with serve until the test ends: a fake
// for what no server of others says.
func Serve(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serve(c); _ = c.Close() })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String()
}

// Reading gives what serves a connection by a script: it sends first, and to each
// piece that it reads the next of the answers. Behind the last it reads until the
// other side has gone, or closes the connection where close says so.
func Reading(close bool, first string, answers ...string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Write([]byte(first))
		buf := make([]byte, 8<<10)
		for _, a := range answers {
			if _, err := c.Read(buf); err != nil {
				return
			}
			_, _ = c.Write([]byte(a))
		}
		for !close {
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	}
}

type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Applet says whether the busybox here was built with an applet.
func Applet(t testing.TB, name string) bool {
	t.Helper()
	out, err := exec.Command("busybox", "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(append([]byte("\n"), out...), []byte("\n"+name+"\n"))
}

// Certificate makes a certificate that signs for itself, with its key, in files.
func Certificate(t testing.TB) (cert, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "peer"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, about, about, secret.Public(), secret)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert = Write(t, filepath.Join(dir, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return cert, Write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

// Broken is a dialer that always fails with an error.
func Broken(err error) wire.Dialer { return broken{err} }

type broken struct{ err error }

func (b broken) DialContext(context.Context, string, string) (net.Conn, error) { return nil, b.err }
