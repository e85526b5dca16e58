package protection_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/rig"
	"rigor/harness/wire"
	"rigor/rigs/rigtest"
	"rigor/suites/protection"
)

// stone is a network on which port 22 is a server that offers nothing of today.
type stone struct {
	wire.Link
	offer []string // in the order of a KEXINIT
}

// DialContext gives port 22 of the stone age, and all others of the device.
func (s *stone) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if !strings.HasSuffix(address, ":22") {
		return s.Link.DialContext(ctx, network, address)
	}
	client, server := net.Pipe()
	go func() {
		defer func() { _ = server.Close() }()
		go func() { _, _ = io.Copy(io.Discard, server) }() // ends with the connection
		payload := append([]byte{20}, make([]byte, 16)...)
		for _, l := range s.offer {
			payload = binary.BigEndian.AppendUint32(payload, uint32(len(l)))
			payload = append(payload, l...)
		}
		payload = append(payload, 0, 0, 0, 0, 0)
		pad := 16 - (5+len(payload))%8
		packet := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+pad))
		packet = append(append(append(packet, byte(pad)), payload...), make([]byte, pad)...)
		_, _ = server.Write(append([]byte("SSH-2.0-stone\r\n"), packet...))
		_, _ = server.Read(make([]byte, 1)) // until the other side goes
	}()
	return client, nil
}

// What a server offers is read where no login can be tried with it: what is broken
// fails, and what is only unknown here passes nothing.
func TestServerOfTheStoneAge(t *testing.T) {
	t.Parallel()
	for want, offer := range map[string][]string{
		"fail.expectation":            {"diffie-hellman-group1-sha1", "ssh-dss", "des-cbc", "des-cbc", "hmac-md5", "hmac-md5", "none", "none", "", ""},
		"inconclusive.control-failed": {"curve448-sha512", "ssh-ed448", "aes256-ctr", "aes256-ctr", "hmac-sha2-256", "hmac-sha2-256", "none", "none", "", ""},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			res := rigtest.Run(t, protection.Suite, planted{Drivers: func(d rig.Drivers) {
				open := d.Link["virtual"]
				d.Link["virtual"] = func(ctx context.Context, n *rig.Network, e rig.Env) (wire.Link, error) {
					l, err := open(ctx, n, e)
					return &stone{l, offer}, err
				}
			}}, "dat-ssh-server[ssh]")
			for i := range res.Cases {
				if c := &res.Cases[i]; c.ID == "dat-ssh-server[ssh]" {
					require.True(t, c.Ran)
					assert.Equal(t, want, rigtest.Judged(c), "%s", c.Judgement)
				}
			}
		})
	}
}
