// Package sshkex reads which algorithms an SSH server offers, from its own first
// packet (RFC 4253 section 7.1), before any login and without agreeing on one of them:
// so a server can be read that offers only what no library of today takes.
package sshkex

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"rigor/harness/verdict"
)

// Offer is what a server offers.
type Offer struct {
	// Kind is Accepted where the server offered something, Garbled where it does not
	// speak SSH 2, Silent, and Incompatible where it closed before that.
	Kind         verdict.Kind
	Version      string // its version line
	KeyExchanges []string
	HostKeys     []string
	Ciphers      []string // of both ways, each once
	MACs         []string
	Compressions []string
	Raw          []byte // what came, cut to 8 KB
}

// String says it in lines.
func (o Offer) String() string {
	if o.Kind != verdict.Accepted {
		return fmt.Sprintf("no offer (%s): %.80q", o.Kind, o.Raw)
	}
	return fmt.Sprintf("version: %s\nkey exchange: %s\nhost key: %s\ncipher: %s\nMAC: %s\ncompression: %s\n", o.Version, strings.Join(o.KeyExchanges, " "),
		strings.Join(o.HostKeys, " "), strings.Join(o.Ciphers, " "), strings.Join(o.MACs, " "), strings.Join(o.Compressions, " "))
}

const (
	msgKexInit = 20
	// maxLine and maxPacket are those of RFC 4253, sections 4.2 and 6.1; servers may
	// say some lines before their version.
	maxLine   = 1 << 10
	maxBefore = 32
	maxPacket = 35000
	maxNames  = 500 // of one kind; servers have some twenty
	ours      = "SSH-2.0-Rigor\r\n"
)

// Ask reads a server's offer. The error is the end of ctx alone.
func Ask(ctx context.Context, c net.Conn, within time.Duration) (Offer, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	err := c.SetDeadline(time.Now().Add(within))
	if err == nil { // some servers wait for both before they say anything
		_, err = c.Write(append([]byte(ours), ourInit()...))
	}
	var seen []byte
	buf := make([]byte, 4<<10)
	for err == nil {
		var n int
		n, err = c.Read(buf)
		seen = append(seen, buf[:n]...)
		if o, done := Parse(seen); done {
			return o, nil
		}
	}
	if ctx.Err() != nil {
		return Offer{}, fmt.Errorf("ask for the algorithms: %w", context.Cause(ctx))
	}
	o, _ := Parse(seen)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		o.Kind = verdict.Silent
	case len(seen) == 0 || o.Version != "":
		o.Kind = verdict.Incompatible
	default:
		o.Kind = verdict.Garbled
	}
	return o, nil
}

// ourInit is a KEXINIT that agrees with nearly everybody: it is never acted upon.
func ourInit() []byte {
	payload := []byte{msgKexInit}
	var cookie [16]byte
	_, _ = rand.Read(cookie[:]) // it never fails, by its documentation
	payload = append(payload, cookie[:]...)
	for _, l := range []string{
		"curve25519-sha256,ecdh-sha2-nistp256,diffie-hellman-group14-sha256,diffie-hellman-group14-sha1,diffie-hellman-group1-sha1",
		"ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256,ssh-rsa,ssh-dss",
		"aes128-ctr,aes256-ctr,aes128-cbc,3des-cbc", "aes128-ctr,aes256-ctr,aes128-cbc,3des-cbc",
		"hmac-sha2-256,hmac-sha1,hmac-md5", "hmac-sha2-256,hmac-sha1,hmac-md5", "none", "none", "", "",
	} {
		payload = binary.BigEndian.AppendUint32(payload, uint32(len(l))) //nolint:gosec // short texts
		payload = append(payload, l...)
	}
	payload = append(payload, 0, 0, 0, 0, 0)
	pad := 8 - (5+len(payload))%8
	if pad < 4 {
		pad += 8
	}
	out := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+pad)) //nolint:gosec // under 1 KB
	out = append(out, byte(pad))
	return append(append(out, payload...), make([]byte, pad)...)
}

// Parse reads the beginning of what a server says, and whether it is enough.
func Parse(b []byte) (o Offer, done bool) {
	o.Raw = bytes.Clone(b[:min(len(b), 8<<10)])
	garbled := func() (Offer, bool) {
		o.Kind = verdict.Garbled
		return o, true
	}
	for lines := 0; o.Version == ""; lines++ {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		switch {
		case len(line) > maxLine || lines > maxBefore:
			return garbled()
		case !whole:
			return o, false
		}
		b = rest
		if v := strings.TrimRight(string(line), "\r"); strings.HasPrefix(v, "SSH-") {
			if !strings.HasPrefix(v, "SSH-2.") && !strings.HasPrefix(v, "SSH-1.99-") {
				return garbled()
			}
			o.Version = v
		}
	}
	if len(b) < 6 {
		return o, false
	}
	n, pad := int(binary.BigEndian.Uint32(b)), int(b[4])
	if n > maxPacket || n < 2+pad || b[5] != msgKexInit {
		return garbled()
	}
	if len(b) < 4+n {
		return o, false
	}
	p := b[5 : 4+n-pad]
	if len(p) < 17 {
		return garbled()
	}
	p = p[17:]
	var lists [10][]string
	for i := range lists {
		if len(p) < 4 {
			return garbled()
		}
		l := int(binary.BigEndian.Uint32(p))
		if l > len(p)-4 {
			return garbled()
		}
		if l > 0 {
			lists[i] = strings.Split(string(p[4:4+l]), ",")
		}
		if len(lists[i]) > maxNames {
			return garbled()
		}
		p = p[4+l:]
	}
	o.KeyExchanges, o.HostKeys = lists[0], lists[1]
	o.Ciphers, o.MACs, o.Compressions = both(lists[2], lists[3]), both(lists[4], lists[5]), both(lists[6], lists[7])
	if len(o.KeyExchanges) == 0 || len(o.HostKeys) == 0 || len(o.Ciphers) == 0 {
		return garbled()
	}
	o.Kind = verdict.Accepted
	return o, true
}

// both gives the names of two lists, each once.
func both(a, b []string) []string {
	out := slices.Clone(a)
	for _, n := range b {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}
