package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nasty is what a device may say to whoever reads its console or its answers:
// terminal controls, markup, orders to CI systems, broken UTF-8, letters that
// turn the reading order.
const nasty = "\x1b[31mred\x1b[0m \x1b]2;title\x07 \u009b31m NUL\x00 DEL\x7f \x08\x08 ]]> <script>alert(1)</script> &amp; <!-- " +
	"[[ATTACHMENT|/etc/passwd]] [[PROPERTY|a=b]] \xff\xfe\xc3 \u202egnp.exe\u2066 \ufeff `x` [a](javascript:alert(1)) | ![p](http://192.0.2.1/x)\r\n" +
	"::error::x\r\n##[error]x\r\n##vso[task.complete result=Succeeded;]\r\nsection_end:1:x\r\n##teamcity[testFailed name='x']\r\n"

// hostile is a device that says nasty things wherever it is asked. Its supply
// is a file that a program of the rig writes.
type hostile struct {
	dir            string
	console, pages string // addresses
	serial         string
}

func newHostile(t *testing.T, serial string) *hostile {
	t.Helper()
	h := &hostile{dir: t.TempDir(), serial: serial}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	t.Cleanup(func() { cancel(); all.Wait() })
	listen := func(address string) net.Listener {
		ln, err := net.Listen("tcp", address)
		require.NoError(t, err)
		return ln
	}
	console, pages := listen("127.0.0.1:0"), listen("127.0.0.1:0")
	h.console, h.pages = console.Addr().String(), pages.Addr().String()
	require.NoError(t, pages.Close()) // it has no power yet
	all.Go(func() { accept(ctx, console, h.talk) })
	all.Go(func() { h.supply(ctx) })
	return h
}

// accept serves connections until ctx ends.
func accept(ctx context.Context, ln net.Listener, serve func(net.Conn)) {
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = c.Close() }()
			end := context.AfterFunc(ctx, func() { _ = c.Close() })
			defer end()
			serve(c)
		}()
	}
}

// supply has the pages served while the supply is on.
func (h *hostile) supply(ctx context.Context) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	down := func() {}
	defer func() { down() }()
	for on := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if h.on() == on {
			continue
		}
		if on = !on; !on {
			down()
			continue
		}
		ln, err := net.Listen("tcp", h.pages)
		if err != nil {
			continue // the test sees a device that does not answer
		}
		up, cancel := context.WithCancel(ctx)
		down = cancel
		go accept(up, ln, h.page)
	}
}

func (h *hostile) on() bool {
	data, err := os.ReadFile(filepath.Join(h.dir, "supply"))
	return err == nil && strings.TrimSpace(string(data)) == "on"
}

// talk answers each byte with something nasty, and the presence check as the
// profile declares.
func (h *hostile) talk(c net.Conn) {
	b := make([]byte, 1)
	for {
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		switch {
		case !h.on():
		case b[0] == 0x05:
			_, _ = c.Write([]byte("\x06"))
		default:
			_, _ = io.WriteString(c, nasty)
		}
	}
}

// page answers each request.
func (h *hostile) page(c net.Conn) {
	r := bufio.NewReader(c)
	first, err := r.ReadString('\n')
	for line := first; err == nil && strings.TrimSpace(line) != ""; {
		line, err = r.ReadString('\n')
	}
	if err != nil || !h.on() {
		return
	}
	body := []byte("Server: nginx/1.2.3 " + nasty + "\nadmin password: x " + nasty)
	if strings.Contains(first, "/id") {
		id, err := json.Marshal(map[string]string{"serial": h.serial})
		if err != nil {
			return
		}
		body = id
	}
	_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nServer: Apache/2.4.1 <script>alert(1)</script> [[ATTACHMENT|/etc/passwd]] ]]> ::error::x ##[error]x \xff\u202e\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// files writes the rig and its profile.
func (h *hostile) files(t *testing.T, name string) string {
	t.Helper()
	write := func(path, text string, mode os.FileMode) string {
		at := filepath.Join(h.dir, path)
		require.NoError(t, os.WriteFile(at, []byte(text), mode))
		return at
	}
	write("switch", `#!/bin/sh
read -r request
case $request in
*'"on"'*) echo on >supply ;;
*'"off"'*) echo off >supply ;;
esac
printf '{"state":"%s"}\n' "$(cat supply)"
`, 0o700)
	write("supply", "off", 0o600)
	write("profile.yaml", `profile: hostile
model: H1
identity: {steps: [{http: GET /id, login: web, extract: {serial: $.serial}}], equals: unit.serial}
consoles:
  main: {silent: true, answer: {send: "\x05", expect: "\x06"}}
logins:
  web: {protocol: http-basic, port: 80, owner: {user: admin, password: secret:owner}, proof: {get: /, status: 200, match: never-there}}
states:
  onboarded: {holds: [{http: GET /, login: web, expect: {status: 200}}]}
discloses: {allow: [nothing]}
`, 0o600)
	_, port, err := net.SplitHostPort(h.pages)
	require.NoError(t, err)
	write("owner", "Owners-Secret-1", 0o600)
	return write(name+".yaml", fmt.Sprintf(`rig: %s
profile: profile.yaml
unit: {serial: H-1}
allow: [login-tries, config, power, power-cut]
power: {driver: exec, exec: [./switch], rest: "off", proof: none}
consoles:
  main: {driver: tcp, address: %q}
network: {address: 127.0.0.1, ports: {80: %s}}
secrets: {owner: "file:%s"}
`, name, h.console, port, filepath.Join(h.dir, "owner")), 0o600)
}

// Whatever the device says, no file of a run and no line of its output has it
// unescaped.
func TestHostileDeviceIsEscapedEverywhere(t *testing.T) {
	t.Parallel()
	for name, serial := range map[string]string{"speaks": "H-1", "other-unit": nasty} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && name == "speaks" {
				t.Skip("waits for what the device has to say; left out by -short")
			}
			h := newHostile(t, serial)
			rigFile := h.files(t, "hostile-"+name)
			out := filepath.Join(h.dir, "run")
			b := &bench{dir: h.dir, env: append(home(h.dir), "CI=1")}
			r := output(t, b.command("--verbose", "run", "--rig", rigFile, "--out", out, "con-silent", "net-info", "cred-blank"))
			want := map[string]int{"speaks": 1, "other-unit": 75}[name]
			require.Equal(t, want, r.code, "%v", r)
			all := r.stdout + r.stderr
			assert.Contains(t, all, "31mred", "the device's words are shown, or the test shows nothing")
			harmless(t, "standard output", []byte(r.stdout))
			harmless(t, "standard error", []byte(r.stderr))
			for _, text := range []string{r.stdout, r.stderr} {
				for line := range strings.Lines(text) {
					assert.False(t, strings.HasPrefix(strings.TrimSpace(line), "::"), "an order to a CI system: %q", line)
					for _, mark := range []string{"##[", "##vso[", "##teamcity[", "section_end:"} {
						assert.NotContains(t, line, mark, "an order to a CI system")
					}
				}
			}
			harmlessFolder(t, out)
			if name == "speaks" {
				shown := output(t, interactive(b.command("console", "--rig", rigFile, "main"), "x\n"))
				harmless(t, "rigor console", bytes.ReplaceAll([]byte(shown.stdout), []byte("\r"), nil))
			}
		})
	}
}

// harmlessFolder looks through everything that a run wrote for others to read.
func harmlessFolder(t *testing.T, out string) {
	t.Helper()
	seen := 0
	require.NoError(t, filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == "private" {
				return fs.SkipDir
			}
			return nil
		}
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		seen++
		rel, err := filepath.Rel(out, path)
		require.NoError(t, err)
		harmless(t, rel, bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")))
		if ext := filepath.Ext(path); ext == ".xml" || ext == ".html" {
			assert.False(t, strings.Contains(string(data), `\x0d`+"\n"), "%s: a line's end is shown as one", rel)
		}
		switch filepath.Ext(path) {
		case ".xml":
			dec := xml.NewDecoder(bytes.NewReader(data))
			for {
				_, err := dec.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				require.NoError(t, err, "%s is no XML", rel)
			}
			assert.Contains(t, string(data), "31mred", "%s: the device's words are in it", rel)
			assert.NotContains(t, string(data), "[[ATTACHMENT|/etc", rel)
			assert.NotContains(t, string(data), "[[PROPERTY|", rel)
		case ".html":
			assert.NotContains(t, string(data), "<script>alert", rel)
		case ".md":
			for _, active := range []string{"<script", "](javascript", "](http://192", "<!--"} {
				assert.NotContains(t, string(data), active, rel)
			}
		}
		return nil
	}))
	assert.Greater(t, seen, 5)
}

// harmless says that a text has nothing in it that a terminal would obey, or
// that no reader would see.
func harmless(t *testing.T, what string, text []byte) {
	t.Helper()
	if !assert.True(t, utf8.Valid(text), "%s is no UTF-8", what) {
		return
	}
	for i, r := range string(text) {
		bad := r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 ||
			r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff
		if bad {
			from := max(0, i-40)
			t.Errorf("%s has %U at %d: %q", what, r, i, text[from:min(len(text), i+40)])
			return
		}
	}
}
