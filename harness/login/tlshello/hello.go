// Package tlshello asks a TLS server what it takes, one ClientHello at a time: old
// versions and bad cipher suites, which no library of today offers any more. It reads
// no further than the server's choice and never completes a handshake. RFC 6101 (SSL
// 3.0), 2246, 4346, 5246 and 8446.
package tlshello

import (
	"encoding/binary"
	"slices"
)

// Hello is one ClientHello.
type Hello struct {
	// Version is the highest that is offered. TLS 1.3 is offered alone: a server
	// that does not have it says no.
	Version uint16
	Suites  []uint16
	Deflate bool     // offers compression (RFC 3749) beside none
	Groups  []uint16 // curves; the usual ones where it is empty
	// Exchange reads on to the server's part of the key exchange, for the size of
	// its group.
	Exchange bool
}

// Numbers of extensions.
const (
	extGroups        = 10
	extPointFormats  = 11
	extSignatures    = 13
	extVersions      = 43
	extKeyShare      = 51
	extRenegotiation = 0xff01
)

// signatures are the algorithms that we say to verify: all that there are, SHA-1 and
// MD5 too, so that no certificate is a reason to say no.
var signatures = []uint16{0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b,
	0x0401, 0x0501, 0x0601, 0x0203, 0x0201, 0x0402, 0x0202, 0x0101}

// usualGroups are the curves that servers have: x25519, P-256, P-384, P-521, x448.
var usualGroups = []uint16{0x001d, 0x0017, 0x0018, 0x0019, 0x001e}

// WeakGroups are curves of under 224 bits: sect163 to sect193, secp160 to secp192.
func WeakGroups() []uint16 { return []uint16{1, 2, 3, 4, 5, 15, 16, 17, 18, 19} }

// Bytes gives the hello as one record. The 64 bytes of noise are its random value and
// its share of a key: any 32 bytes are a point of x25519.
func (h Hello) Bytes(noise [64]byte) []byte {
	legacy := min(h.Version, TLS12)
	var b []byte
	b = binary.BigEndian.AppendUint16(b, legacy)
	b = append(b, noise[:32]...)
	b = append(b, 0) // no session
	suites := slices.Clone(h.Suites)
	if h.Version < TLS10 { // no extensions: RFC 5746 3.3 has a suite that says it
		suites = append(suites, 0x00ff)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(2*len(suites))) //nolint:gosec // a hundred of them
	for _, s := range suites {
		b = binary.BigEndian.AppendUint16(b, s)
	}
	if h.Deflate {
		b = append(b, 2, 1, 0)
	} else {
		b = append(b, 1, 0)
	}
	if h.Version >= TLS10 {
		ext := h.extensions(noise)
		b = binary.BigEndian.AppendUint16(b, uint16(len(ext))) //nolint:gosec // some hundred bytes
		b = append(b, ext...)
	}
	n := len(b)
	msg := append([]byte{1, byte(n >> 16), byte(n >> 8), byte(n)}, b...)
	rec := []byte{recHandshake}
	rec = binary.BigEndian.AppendUint16(rec, min(legacy, TLS10)) // as RFC 5246 E.1 advises
	rec = binary.BigEndian.AppendUint16(rec, uint16(len(msg)))   //nolint:gosec // under 1 KB
	return append(rec, msg...)
}

func (h Hello) extensions(noise [64]byte) (ext []byte) {
	add := func(kind uint16, body []byte) {
		ext = binary.BigEndian.AppendUint16(ext, kind)
		ext = binary.BigEndian.AppendUint16(ext, uint16(len(body))) //nolint:gosec // under 100 bytes
		ext = append(ext, body...)
	}
	list := func(vs []uint16) []byte {
		b := binary.BigEndian.AppendUint16(nil, uint16(2*len(vs))) //nolint:gosec // under 100
		for _, v := range vs {
			b = binary.BigEndian.AppendUint16(b, v)
		}
		return b
	}
	groups := h.Groups
	if len(groups) == 0 {
		groups = usualGroups
	}
	if h.Version < TLS13 {
		add(extRenegotiation, []byte{0})
		add(extPointFormats, []byte{1, 0})
	}
	add(extGroups, list(groups))
	if h.Version >= TLS12 {
		add(extSignatures, list(signatures))
	}
	if h.Version >= TLS13 {
		add(extVersions, []byte{2, byte(h.Version >> 8), byte(h.Version)})
		share := append([]byte{0, 36, 0, 0x1d, 0, 32}, noise[32:]...)
		add(extKeyShare, share)
	}
	return ext
}

// Modern is a hello of today for one version: what a server of that version takes.
func Modern(version uint16) Hello {
	switch {
	case version >= TLS13:
		return Hello{Version: TLS13, Suites: modern13}
	case version == TLS12:
		return Hello{Version: TLS12, Suites: append(slices.Clone(modern12), suites[CBCSHA1]...)}
	}
	return Old(version)
}

// Old offers a version before 1.2 with every suite that it could have.
func Old(version uint16) Hello {
	return Hello{Version: version, Suites: Of(CBCSHA1, DES3, RC4, DES, Export, Anon, Null)}
}

// With offers the suites of a class alone.
func With(version uint16, c Class) Hello { return Hello{Version: version, Suites: suites[c]} }

// Ephemeral offers only suites whose Diffie-Hellman group the server chooses.
func Ephemeral() Hello { return Hello{Version: TLS12, Suites: ephemeral, Exchange: true} }

// WeakCurves offers only curves of under 224 bits.
func WeakCurves() Hello {
	return Hello{Version: TLS12, Suites: curved, Groups: WeakGroups(), Exchange: true}
}

// Nonsense offers one suite that nobody has and that never will be: RFC 8701 keeps
// its number free. A server that takes it takes anything.
func Nonsense() Hello { return Hello{Version: TLS12, Suites: []uint16{0x0a0a}} }

// Compressed offers DEFLATE beside no compression, with suites of today.
func Compressed() Hello {
	h := Modern(TLS12)
	h.Deflate = true
	return h
}
