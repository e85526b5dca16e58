package link

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

func mdnsAnswer(t testing.TB) []byte {
	m := dnsmessage.Message{Header: dnsmessage.Header{Response: true},
		Answers: []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(mdnsWeb), Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET},
			Body: &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName("Acme\x1b._http._tcp.local.")}}},
		Additionals: []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("acme.local."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
			Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 7}}}}}
	b, err := m.Pack()
	require.NoError(t, err)
	return b
}

func TestAnswerNames(t *testing.T) {
	t.Parallel()
	b := mdnsAnswer(t)
	assert.Equal(t, []string{"Acme\x1b._http._tcp", "acme"}, answerNames(b))
	for i := range b {
		_ = answerNames(b[:i])
	}
	assert.Empty(t, answerNames(nil))
}

func FuzzAnswerNames(f *testing.F) {
	f.Add(mdnsAnswer(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := answerNames(b)
		assert.LessOrEqual(t, len(got), 16)
		for _, n := range got {
			assert.LessOrEqual(t, len(n), 100)
		}
	})
}

// Without a declared interface nobody is asked: the answer might be anybody's.
func TestEverybodyNeedsAnInterface(t *testing.T) {
	t.Parallel()
	l, err := New(t.Context(), Config{Part: "link"})
	require.NoError(t, err)
	_, err = l.Everybody(t.Context())
	assert.ErrorIs(t, err, ErrNoInterface)
}

// Who hangs on the cable is found, and we are not among them.
func TestEverybody(t *testing.T) {
	t.Parallel()
	c := newCable(t, "198.51.100.65/28")
	c.dut("address add 198.51.100.70/28 dev eth0")
	l := c.link()
	got, err := l.Everybody(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, got)
	assert.Equal(t, "198.51.100.70", got[0].Addr.String())
	assert.Equal(t, dutMAC.String(), got[0].MAC)
	for _, n := range got {
		assert.NotEqual(t, "198.51.100.65", n.Addr.String())
	}
}
