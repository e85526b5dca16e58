package link

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// attribute is one attribute of a message, with its padding.
func attribute(kind uint16, value ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(attributeLen+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
	return append(b, make([]byte, align(len(b))-len(b))...)
}

// message is one message of the kernel's answer.
func message(kind uint16, body []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(headerLen+len(body)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, make([]byte, headerLen-len(b))...)
	b = append(b, body...)
	return append(b, make([]byte, align(len(b))-len(b))...)
}

func entry(iface int32, state uint16, attributes ...[]byte) []byte {
	b := append([]byte{2, 0, 0, 0}, binary.NativeEndian.AppendUint32(nil, uint32(iface))...)
	b = append(binary.NativeEndian.AppendUint16(b, state), 0, 1)
	for _, a := range attributes {
		b = append(b, a...)
	}
	return message(newNeighbour, b)
}

func ticks(n uint32) []byte {
	return attribute(attrCacheInfo, append(binary.NativeEndian.AppendUint32(nil, n), make([]byte, 12)...)...)
}

var dutMAC = net.HardwareAddr{2, 0, 0, 0, 0, 1}

func TestParseNeighbours(t *testing.T) {
	t.Parallel()
	v4, mac := attribute(attrAddress, 192, 0, 2, 7), attribute(attrHardware, dutMAC...)
	v6 := netip.MustParseAddr("fe80::ff:fe00:1").As16()
	for name, tc := range map[string]struct {
		in   []byte
		want []neighbour
	}{
		"nothing": {nil, nil},
		"one": {entry(3, nudReachable, v4, mac, ticks(150)),
			[]neighbour{{3, netip.MustParseAddr("192.0.2.7"), dutMAC, nudReachable, 1500 * time.Millisecond}}},
		"two families": {append(entry(3, nudStale, v4, mac), entry(4, nudDelay, attribute(attrAddress, v6[:]...), mac)...),
			[]neighbour{{3, netip.MustParseAddr("192.0.2.7"), dutMAC, nudStale, -1}, {4, netip.MustParseAddr("fe80::ff:fe00:1"), dutMAC, nudDelay, -1}}},
		"nobody has answered":     {entry(3, nudFailed, v4), []neighbour{{3, netip.MustParseAddr("192.0.2.7"), nil, nudFailed, -1}}},
		"of a bridge":             {entry(3, nudReachable, mac), nil},
		"a word that is new":      {entry(3, nudReachable, attribute(99, 1, 2, 3), v4, mac), []neighbour{{3, netip.MustParseAddr("192.0.2.7"), dutMAC, nudReachable, -1}}},
		"another message":         {append(message(16, []byte{1, 2, 3, 4}), entry(3, nudStale, v4, mac)...), []neighbour{{3, netip.MustParseAddr("192.0.2.7"), dutMAC, nudStale, -1}}},
		"nothing behind the end":  {append(message(messageDone, nil), 1, 2, 3), nil},
		"an address of 3 bytes":   {entry(3, nudStale, attribute(attrAddress, 1, 2, 3), mac), nil},
		"a time that is too long": {entry(3, nudStale, v4, attribute(attrCacheInfo, 1)), []neighbour{{3, netip.MustParseAddr("192.0.2.7"), nil, nudStale, -1}}},
	} {
		got, err := parseNeighbours(tc.in)
		require.NoError(t, err, name)
		assert.Equal(t, tc.want, got, name)
	}
	whole := entry(3, nudReachable, v4, mac)
	for cut := 1; cut < len(whole); cut++ {
		_, err := parseNeighbours(whole[:cut])
		assert.ErrorIs(t, err, errTable, "cut to %d bytes", cut)
	}
	for name, in := range map[string][]byte{
		"an error":                  message(messageError, []byte{1, 0, 0, 0}),
		"an entry without its head": message(newNeighbour, []byte{2, 0}),
		"a message longer than all": {255, 0, 0, 0, 28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"a message of no length":    make([]byte, 16),
		"an attribute of no length": entry(3, nudStale, []byte{0, 0, 1, 0}),
	} {
		_, err := parseNeighbours(in)
		assert.ErrorIs(t, err, errTable, name)
	}
	all, err := neighbours()
	require.NoError(t, err)
	for _, n := range all {
		assert.True(t, n.addr.IsValid())
	}
}

func FuzzParseNeighbours(f *testing.F) {
	f.Add(entry(3, nudReachable, attribute(attrAddress, 192, 0, 2, 7), attribute(attrHardware, dutMAC...), ticks(1)))
	f.Add(append(message(messageDone, nil), 1))
	f.Add(entry(-1, 0xffff, attribute(attrAddress), attribute(attrHardware)))
	f.Fuzz(func(t *testing.T, b []byte) {
		ns, err := parseNeighbours(b)
		if err != nil {
			assert.ErrorIs(t, err, errTable)
			return
		}
		for _, n := range ns {
			assert.True(t, n.addr.IsValid())
			assert.GreaterOrEqual(t, n.confirmed, time.Duration(-1))
			if n.known() {
				assert.NotEmpty(t, n.mac)
			}
		}
	})
}

func TestKnown(t *testing.T) {
	t.Parallel()
	for state, want := range map[uint16]bool{nudReachable: true, nudStale: true, nudDelay: true, nudProbe: true, 0x80: true, nudIncomplete: false, nudFailed: false, nudNoARP: false} {
		assert.Equal(t, want, neighbour{mac: dutMAC, state: state}.known(), "%#x", state)
	}
	assert.False(t, neighbour{state: nudReachable}.known())
}

func TestAround(t *testing.T) {
	t.Parallel()
	prefix := func(texts ...string) (out []netip.Prefix) {
		for _, s := range texts {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	text := func(as []netip.Addr) (out []string) {
		for _, a := range as {
			out = append(out, a.String())
		}
		return out
	}
	assert.Equal(t, []string{"192.0.2.2"}, text(around(prefix("192.0.2.1/30"))))
	assert.Equal(t, []string{"192.0.2.1"}, text(around(prefix("192.0.2.0/31"))), "in a /31 both are addresses")
	assert.Empty(t, around(prefix("192.0.2.1/32", "127.0.0.1/8", "fe80::1/64")))
	assert.Len(t, around(prefix("192.0.2.1/24", "192.0.2.2/24")), 254, "each once")
	large := around(prefix("10.1.2.3/8"))
	assert.Len(t, large, 1021, "a /22 around our own address at most")
	assert.Equal(t, "10.1.0.1", large[0].String())
	assert.Equal(t, "10.1.3.254", large[len(large)-1].String())
	assert.Len(t, around(prefix("255.255.255.254/24")), 253, "the last network ends too")

	made, ok := fromMAC(dutMAC)
	assert.True(t, ok)
	assert.Equal(t, "fe80::ff:fe00:1", made.String())
	_, ok = fromMAC(net.HardwareAddr{1, 2, 3, 4, 5, 6, 7, 8})
	assert.False(t, ok)
}
