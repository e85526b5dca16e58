package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/crypto/ssh"

	"rigor/harness/login"
)

// errSeen ends a handshake whose only purpose was the key.
var errSeen = errors.New("the host key was seen")

// HostKey gives the key that a server proves to have when it is asked for this host
// key algorithm alone. Nothing is sent of a login. An error is the server's, unless
// login.Rig knows it.
func HostKey(ctx context.Context, conn net.Conn, algorithm string, within time.Duration) (ssh.PublicKey, error) {
	algorithms, _ := offer()
	defer login.Bind(ctx, conn)()
	if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
		return nil, fmt.Errorf("ask for the host key %s: %w", algorithm, err)
	}
	var seen ssh.PublicKey
	_, _, _, err := ssh.NewClientConn(conn, "the device", &ssh.ClientConfig{
		Config:            algorithms,
		HostKeyAlgorithms: []string{algorithm},
		// The library has checked the signature before it asks.
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			seen = key
			return errSeen
		},
	})
	if seen != nil {
		return seen, nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return nil, fmt.Errorf("ask for the host key %s: %w", algorithm, err)
}
