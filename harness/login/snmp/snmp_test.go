package snmp

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"net"
	"regexp"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/login/internal/peers"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// serve answers each datagram; none where the answer is nil.
func serve(t *testing.T, answer func(n int, asked []byte) [][]byte) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 64<<10)
		for n := 1; ; n++ {
			size, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, a := range answer(n, buf[:size]) {
				_, _ = c.WriteTo(a, from)
			}
		}
	})
	t.Cleanup(func() { _ = c.Close(); wg.Wait() })
	return c.LocalAddr().String()
}

// response answers a question in version 2c.
func response(t *testing.T, asked []byte, status int, name []uint32, value []byte) []byte {
	t.Helper()
	m := reader{rest: asked}
	in := m.in(tagSequence)
	version, word := in.integer(), in.want(tagOctets)
	p := in.in(pduGet)
	number31 := p.integer()
	require.False(t, m.bad || in.bad || p.bad)
	return community(version, string(word), tlv(pduResponse, number(number31), number(status), number(0), tlv(tagSequence, tlv(tagSequence, oid(name), value))))
}

func sysDescr(t *testing.T) []uint32 {
	t.Helper()
	ids, err := ParseOID(SysDescr)
	require.NoError(t, err)
	return ids
}

// What the agent at hand does not say, and what is lost on the way.
func TestAnswers(t *testing.T) {
	t.Parallel()
	name := sysDescr(t)
	text := tlv(tagOctets, []byte("switch"))
	for _, tc := range []struct {
		what   string
		answer func(n int, asked []byte) [][]byte
		want   verdict.Kind
	}{
		{"an answer", func(_ int, q []byte) [][]byte { return [][]byte{response(t, q, 0, name, text)} }, verdict.Accepted},
		{"two datagrams are lost", func(n int, q []byte) [][]byte {
			if n < 3 {
				return nil
			}
			return [][]byte{response(t, q, 0, name, text)}
		}, verdict.Accepted},
		{"another's answer first", func(_ int, q []byte) [][]byte {
			return [][]byte{community(1, "x", tlv(pduResponse, number(7), number(0), number(0), tlv(tagSequence))), []byte("noise"), response(t, q, 0, name, text)}
		}, verdict.Accepted},
		{"silence", func(int, []byte) [][]byte { return nil }, verdict.Silent},
		{"noise", func(int, []byte) [][]byte { return [][]byte{[]byte("noise")} }, verdict.Garbled},
		{"not allowed", func(_ int, q []byte) [][]byte { return [][]byte{response(t, q, 16, name, tlv(tagNull))} }, verdict.Refused},
		{"no such name", func(_ int, q []byte) [][]byte { return [][]byte{response(t, q, 2, name, tlv(tagNull))} }, verdict.Unproven},
		{"no such object", func(_ int, q []byte) [][]byte { return [][]byte{response(t, q, 0, name, tlv(noObject))} }, verdict.Unproven},
		{"a general error", func(_ int, q []byte) [][]byte { return [][]byte{response(t, q, 5, name, tlv(tagNull))} }, verdict.Unproven},
		{"another object", func(_ int, q []byte) [][]byte { return [][]byte{response(t, q, 0, name[:8], text)} }, verdict.Garbled},
		{"another value", func(_ int, q []byte) [][]byte { return [][]byte{response(t, q, 0, name, number(7))} }, verdict.Unproven},
	} {
		t.Run(tc.what, func(t *testing.T) {
			t.Parallel()
			p := prober(t, serve(t, tc.answer), V2c, func(c *Config) { c.Proof = regexp.MustCompile("switch") })
			o, err := p.Try(t.Context(), login.Credential{Password: "public"})
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, o.Detail)
		})
	}
}

// An answer that anybody could have made opens nothing in version 3, and a report
// of another clock is believed once.
func TestVersion3(t *testing.T) {
	t.Parallel()
	engine := []byte("an engine")
	for what, tc := range map[string]struct {
		report string
		flags  byte
		want   verdict.Kind
	}{
		"unknown user":               {statUser, 0, verdict.Refused},
		"wrong digest":               {statDigest, 0, verdict.Refused},
		"level":                      {statSecLevel, 0, verdict.Incompatible},
		"decryption":                 {statDecryption, 0, verdict.Unproven},
		"a clock that nobody signed": {statTimeWindow, 0, verdict.Unproven},
		"something else":             {"1.3.6.1.6.3.11.2.1.3.0", 0, verdict.Incompatible},
		"a response without digest":  {"", 0, verdict.Garbled},
		"a broken digest":            {"", flagAuth, verdict.Garbled},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			address := serve(t, func(_ int, asked []byte) [][]byte {
				m, err := parse(asked)
				if err != nil {
					return nil
				}
				u := usm{id: m.usm.id, flags: tc.flags, engine: engine, boots: 1, time: 1, auth: make([]byte, 12)}
				report := tc.report
				if len(m.usm.user) == 0 {
					report, u.flags, u.auth = statEngine, 0, nil
				}
				kind, name, value := byte(pduReport), report, tlv(tagCounter, []byte{1})
				if name == "" {
					kind, name, value = pduResponse, SysDescr, tlv(tagOctets, []byte("x"))
				}
				ids, _ := ParseOID(name)
				u.scoped = scopedPDU(engine, tlv(kind, number(m.usm.id), number(0), number(0), tlv(tagSequence, tlv(tagSequence, oid(ids), value))))
				return [][]byte{u.bytes()}
			})
			o, err := prober(t, address, V3, nil).Try(t.Context(), login.Credential{User: "owner", Password: "password"})
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, o.Detail)
			assert.True(t, o.Sent)
		})
	}
}

// The keys of RFC 3414, section A.3.
func TestLocalKey(t *testing.T) {
	t.Parallel()
	engine, err := hex.DecodeString("000000000000000000000002")
	require.NoError(t, err)
	assert.Equal(t, "526f5eed9fcce26f8964c2930787d82b", hex.EncodeToString(localKey(MD5, "maplesyrup", engine)))
	assert.Equal(t, "6695febc9288e36282235fc7151f128497b38f3f", hex.EncodeToString(localKey(SHA, "maplesyrup", engine)))
}

func TestCrypt(t *testing.T) {
	t.Parallel()
	for _, method := range Ciphers() {
		u := usm{boots: 3, time: 4, priv: []byte("saltsalt")}
		key := localKey(SHA, "password", []byte("engine"))
		for _, n := range []int{1, 8, 16, 17, 100} {
			text := bytes.Repeat([]byte{7}, n)
			sealed := u.crypt(method, key, text, false)
			require.NotEqual(t, text, sealed[:n])
			assert.Equal(t, text, u.crypt(method, key, sealed, true)[:n], "%s of %d", method, n)
		}
		u.priv = nil
		assert.Nil(t, u.crypt(method, key, []byte("12345678"), true))
	}
}

func TestOID(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"1.3.6.1.2.1.1.1.0", "2.999.4294967295", "0.0", ".1.3"} {
		ids, err := ParseOID(text)
		require.NoError(t, err, text)
		got, ok := dotted(oid(ids)[2:])
		assert.True(t, ok)
		assert.Equal(t, text[len(text)-len(got):], got)
	}
	for _, text := range []string{"", "1", "3.1", "1.40", "1.x", "1..2", "1.3.99999999999", "-1.2"} {
		_, err := ParseOID(text)
		assert.Error(t, err, text)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	dial := &net.Dialer{}
	for name, cfg := range map[string]Config{
		"no dialer": {Address: "x:1"}, "version": {Dialer: dial, Address: "x:1", Version: "2"},
		"digest": {Dialer: dial, Address: "x:1", Digest: "crc"}, "cipher": {Dialer: dial, Address: "x:1", Cipher: "rot13"}, "object": {Dialer: dial, Address: "x:1", Object: "sysDescr"},
	} {
		_, err := New(cfg)
		require.ErrorIs(t, err, login.ErrConfig, name)
	}
}

func TestFault(t *testing.T) {
	p := prober(t, "127.0.0.1:1", V2c, func(c *Config) { c.Dialer = peers.Broken(&wire.Fault{Part: "link", Op: "dial", Err: syscall.ENODEV}) })
	_, err := p.Try(t.Context(), login.Nobody)
	_, ok := wire.AsFault(err)
	assert.True(t, ok, "%v", err)
	ctx, cancel := context.WithCancelCause(t.Context())
	given := errors.New("given up")
	time.AfterFunc(50*time.Millisecond, func() { cancel(given) })
	var waits atomic.Int32
	p = prober(t, serve(t, func(int, []byte) [][]byte { return nil }), V2c, func(c *Config) {
		c.Waiting = func() func() { waits.Add(1); return func() { waits.Add(1) } }
	})
	_, err = p.Try(ctx, login.Nobody)
	require.ErrorIs(t, err, given)
	assert.EqualValues(t, 2, waits.Load())
}

func FuzzParse(f *testing.F) {
	ids, _ := ParseOID(SysDescr)
	f.Add(community(1, "public", tlv(pduResponse, number(7), number(0), number(0), tlv(tagSequence, tlv(tagSequence, oid(ids), tlv(tagOctets, []byte("x")))))))
	u := usm{id: 7, flags: flagAuth, engine: []byte("engine"), user: []byte("owner"), scoped: scopedPDU([]byte("engine"), getPDU(7, ids))}
	f.Add(u.sign(SHA, localKey(SHA, "password", u.engine)))
	u.flags, u.priv = flagAuth|flagPriv, []byte("saltsalt")
	u.sealed = u.crypt(AES, localKey(SHA, "password", u.engine), u.scoped, false)
	f.Add(u.sign(SHA, localKey(SHA, "password", u.engine)))
	key := localKey(SHA, "x", []byte("engine"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parse(b)
		if err != nil {
			return
		}
		if m.version == 3 {
			x := exchange{s: &session{p: &Prober{cfg: Config{Digest: SHA, Cipher: AES}}, auth: key, priv: key}}
			if p, err := x.open(b, &m.usm); err == nil && p.kind == pduResponse {
				t.Fatal("a response that nobody signed")
			}
			_, _ = parseScoped(m.usm.crypt(DES, key, m.usm.sealed, true))
			return
		}
		_ = shown(m.pdu.tag, m.pdu.value)
	})
}
