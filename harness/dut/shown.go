package dut

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"rigor/harness/login"
	"rigor/harness/login/pubkey"
	"rigor/harness/login/ssh"
	"rigor/harness/login/sshkex"
	"rigor/harness/login/tlshello"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// What a service shows before any login: what it takes, and its keys.

// helloTime is how long an answer to a first message may take: small processors sign
// for some seconds.
const helloTime = 10 * time.Second

// connect opens a connection to a port. Where the DUT does not take it, why says so;
// the error is the rig's own.
func (d *Device) connect(ctx context.Context, port int) (c net.Conn, why error, err error) { //nolint:staticcheck // two kinds of errors
	addr, err := d.Address(ctx, port)
	if err != nil {
		return nil, nil, err
	}
	dial, err := d.Dialer()
	if err != nil {
		return nil, nil, err
	}
	c, err = dial.DialContext(ctx, "tcp", addr)
	if err == nil {
		return c, nil, nil
	}
	if rig := login.Rig(ctx, err); rig != nil || errors.Is(err, ErrRevoked) || errors.Is(err, ErrLost) {
		return nil, nil, fmt.Errorf("connect to port %d: %w", port, err)
	}
	return nil, fmt.Errorf("connect to port %d: %w", port, err), nil
}

// TLSHello asks a TLS server with one hello. A port that takes no connection is
// Unreachable.
func (d *Device) TLSHello(ctx context.Context, port int, h tlshello.Hello) (tlshello.Answer, error) {
	c, why, err := d.connect(ctx, port)
	if err != nil || why != nil {
		return tlshello.Answer{Kind: verdict.Unreachable}, err
	}
	defer func() { _ = c.Close() }() // the answer was all that was wanted
	defer d.waiting("the answer of a TLS server")()
	return tlshello.Ask(ctx, c, h, helloTime)
}

// Certificates gives what a TLS server shows, the first of each chain being its own:
// to a client that leaves the kind to it, and to those that take one kind alone. Err
// says why there is none, or why the first one was not proven: the server has no key
// for it that a handshake shows. Ours is the rig's own trouble.
func (d *Device) Certificates(ctx context.Context, port int) (chains [][]*x509.Certificate, err, ours error) { //nolint:staticcheck // two kinds of errors
	for i, suites := range [][]uint16{nil,
		{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384},
		{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384},
	} {
		chain, e, ours := d.chain(ctx, port, suites)
		if ours != nil {
			return nil, nil, ours
		}
		if i == 0 {
			err = e
		}
		if len(chain) == 0 || slices.ContainsFunc(chains, func(c []*x509.Certificate) bool { return c[0].Equal(chain[0]) }) {
			continue
		}
		chains = append(chains, chain)
	}
	return chains, err, nil
}

func (d *Device) chain(ctx context.Context, port int, suites []uint16) (chain []*x509.Certificate, why, err error) {
	c, why, err := d.connect(ctx, port)
	if err != nil || why != nil {
		return nil, why, err
	}
	defer func() { _ = c.Close() }() // the certificates were all that was wanted
	defer d.waiting("a TLS handshake")()
	conf := &tls.Config{
		// Whose the certificate is, is the question here.
		InsecureSkipVerify: true, //nolint:gosec // see above
		MinVersion:         tls.VersionTLS10,
		CipherSuites:       suites,
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error { //nolint:gosec // nothing is resumed: there is no cache
			for _, r := range raw {
				if cert, err := x509.ParseCertificate(r); err == nil {
					chain = append(chain, cert)
				}
			}
			return nil
		},
	}
	if suites == nil {
		for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
			conf.CipherSuites = append(conf.CipherSuites, s.ID)
		}
	} else {
		conf.MaxVersion = tls.VersionTLS12 // where the suite says the kind
	}
	hs, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	if err := tls.Client(c, conf).HandshakeContext(hs); err != nil {
		if ctx.Err() != nil {
			return chain, nil, context.Cause(ctx)
		}
		return chain, fmt.Errorf("TLS handshake with port %d: %w", port, err), nil
	}
	return chain, nil, nil
}

// clearAnswer is for how long the answer to a line in clear is listened to.
const clearAnswer = 150 * time.Millisecond

// SayClear sends a line to a port without any protection, and reads what comes of it, as
// a control of who listens: the service makes nothing of it. A port that takes no
// connection is Unreachable.
func (d *Device) SayClear(ctx context.Context, port int, text string) (Answer, error) {
	c, why, err := d.connect(ctx, port)
	if err != nil {
		return Answer{}, err
	}
	if why != nil {
		return Answer{Kind: verdict.Unreachable, Detail: why.Error()}, nil
	}
	defer func() { _ = c.Close() }() // nothing is to come of it
	defer login.Bind(ctx, c)()
	if err := c.SetDeadline(time.Now().Add(clearAnswer)); err != nil {
		return Answer{Kind: verdict.Unreachable, Detail: err.Error()}, nil
	}
	if _, err := io.WriteString(c, text+"\r\n"); err != nil {
		return Answer{Kind: verdict.Unreachable, Detail: err.Error()}, nil
	}
	defer d.waiting("what a service makes of a line in clear")()
	raw := make([]byte, 1<<10)
	n, _ := c.Read(raw) // its end or silence: it has taken the line, or not
	return Answer{Kind: verdict.Accepted, Detail: "the line was sent", Raw: raw[:n]}, nil
}

// RequestClear asks a port without TLS for a path, without a login. The kinds are
// Request's.
func (d *Device) RequestClear(ctx context.Context, port int, method, path string) (Answer, error) {
	return d.request(ctx, &profile.Step{Port: port}, method, path)
}

// SSHOffer reads which algorithms an SSH server offers. A port that takes no
// connection is Unreachable.
func (d *Device) SSHOffer(ctx context.Context, port int) (sshkex.Offer, error) {
	c, why, err := d.connect(ctx, port)
	if err != nil || why != nil {
		return sshkex.Offer{Kind: verdict.Unreachable}, err
	}
	defer func() { _ = c.Close() }() // the offer was all that was wanted
	defer d.waiting("the offer of an SSH server")()
	return sshkex.Ask(ctx, c, helloTime)
}

// CertDigest is the digest by which a login's facts name a certificate.
func CertDigest(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// Shown is what a service shows of its keys.
type Shown struct {
	Keys []pubkey.Key
	// Facts are what a login over the same service has in its facts.
	Facts []string
	// Missing names the kinds that a server offers and for which it breaks the
	// handshake off: so it has no such key that could be shared with anybody.
	Missing []string
	// Unread says of which kinds it is not known which key there is, and why.
	Unread []string
}

// Text gives the keys, one a line, as a rig file takes them.
func (s Shown) Text() string {
	var out strings.Builder
	for _, k := range s.Keys {
		fmt.Fprintf(&out, "%s\n  %s\n", k.Line, k)
	}
	for _, m := range s.Missing {
		fmt.Fprintf(&out, "offered, and no key shown: %s\n", m)
	}
	for _, u := range s.Unread {
		fmt.Fprintf(&out, "not read: %s\n", u)
	}
	return out.String()
}

func (s *Shown) add(k pubkey.Key) {
	if !slices.ContainsFunc(s.Keys, func(o pubkey.Key) bool { return o.Fingerprint == k.Fingerprint }) {
		s.Keys = append(s.Keys, k)
	}
}

// ShownKeys gives the keys that the service of a login shows: its SSH host keys of
// each kind that it offers, or those of its certificates. It notes them in the run's
// book of keys. The error is the rig's own; a service that shows none has none.
func (d *Device) ShownKeys(ctx context.Context, channel string) (Shown, error) {
	l := d.Profile.Logins.Items[channel]
	if l == nil || l.Declared() {
		return Shown{}, fmt.Errorf("login %s: %w", channel, ErrNotDeclared)
	}
	var s Shown
	var err error
	if l.Protocol == "ssh" {
		s, err = d.hostKeys(ctx, l)
	} else {
		s, err = d.certKeys(ctx, l)
	}
	if err == nil {
		d.book.saw(channel, s.Keys)
	}
	return s, err
}

func (d *Device) certKeys(ctx context.Context, l *profile.Login) (s Shown, err error) {
	chains, why, err := d.Certificates(ctx, l.Port)
	if err != nil {
		return s, err
	}
	if why != nil { // that the server has the key to the certificate is not shown
		s.Unread = append(s.Unread, why.Error())
	}
	for _, chain := range chains {
		s.Facts = append(s.Facts, CertDigest(chain[0]))
		k, err := pubkey.Of(chain[0].PublicKey, fmt.Sprintf("certificate of port %d", l.Port))
		if err != nil {
			s.Unread = append(s.Unread, err.Error())
			continue
		}
		s.add(k)
	}
	return s, nil
}

// kinds are the host key algorithms by the kind of key that they sign with: several
// sign with the same.
var kinds = map[string]string{"rsa-sha2-256": "ssh-rsa", "rsa-sha2-512": "ssh-rsa", "ssh-rsa": "ssh-rsa"}

func (d *Device) hostKeys(ctx context.Context, l *profile.Login) (s Shown, err error) {
	offer, err := d.SSHOffer(ctx, l.Port)
	if err != nil {
		return s, err
	}
	if offer.Kind != verdict.Accepted {
		s.Unread = append(s.Unread, offer.String())
		return s, nil
	}
	shown, failed := map[string]bool{}, map[string]string{} // by kind
	first := ""                                             // that was shown
	for _, name := range offer.HostKeys {
		kind := cmp.Or(kinds[name], name)
		if shown[kind] {
			continue
		}
		key, why, err := d.hostKey(ctx, l.Port, name)
		switch {
		case err != nil:
			return s, err
		case why == nil:
			shown[kind], first = true, cmp.Or(first, name)
			k := pubkey.OfSSH(key, fmt.Sprintf("SSH host key of port %d by %s", l.Port, name))
			s.Facts = append(s.Facts, k.Fingerprint)
			s.add(k)
		case brokenOff(why):
			s.Missing = append(s.Missing, name)
		default:
			failed[kind] = why.Error()
		}
	}
	if len(s.Missing) > 0 && len(s.Keys) > 0 { // a connection that the rig lost looks the same
		if _, why, err := d.hostKey(ctx, l.Port, first); err != nil {
			return s, err
		} else if why != nil {
			s.Unread, s.Missing = append(s.Unread, fmt.Sprintf("%s, and then %s: %v", strings.Join(s.Missing, ", "), first, why)), nil
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(failed)) {
		if !shown[kind] {
			s.Unread = append(s.Unread, failed[kind])
		}
	}
	if len(s.Keys) == 0 { // no kind works, so none is known to be missing
		s.Unread, s.Missing = append(s.Unread, s.Missing...), nil
	}
	return s, nil
}

// hostKey asks for one kind of host key. Where the server breaks the handshake off, it
// is asked once more.
func (d *Device) hostKey(ctx context.Context, port int, name string) (key gossh.PublicKey, why, err error) { //nolint:staticcheck // two kinds of errors
	defer d.waiting("an SSH key exchange")()
	for range 2 {
		c, no, err := d.connect(ctx, port)
		if err != nil || no != nil {
			return nil, no, err
		}
		key, why = ssh.HostKey(ctx, c, name, helloTime)
		_ = c.Close() // the key was all that was wanted
		if rig := login.Rig(ctx, why); rig != nil {
			return nil, nil, rig
		}
		if why == nil || !brokenOff(why) {
			break
		}
	}
	return key, why, nil
}

// brokenOff says whether a server ended the connection in the middle of a handshake.
func brokenOff(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// keyBook is which keys the DUT has shown in a run, and between which resets.
type keyBook struct {
	mu                 sync.Mutex
	resets, recoveries int
	seen               map[string][]pageOfKeys
}

type pageOfKeys struct {
	reset int
	keys  []pubkey.Key
}

func (b *keyBook) saw(channel string, keys []pubkey.Key) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(keys) == 0 {
		return
	}
	if b.seen == nil {
		b.seen = map[string][]pageOfKeys{}
	}
	b.seen[channel] = append(b.seen[channel], pageOfKeys{b.resets, keys})
}

// WasReset notes that the DUT is shown to have been brought to its factory state: what
// keys it shows from now on are those of behind a reset.
func (d *Device) WasReset() {
	d.book.mu.Lock()
	defer d.book.mu.Unlock()
	d.book.resets++
}

// Upheavals gives how often the DUT was shown to have been brought to its factory state,
// or was recovered: either may change what runs on it.
func (d *Device) Upheavals() int {
	d.book.mu.Lock()
	defer d.book.mu.Unlock()
	return d.book.resets + d.book.recoveries
}

// KeysBeforeReset gives the keys that a login's service showed last before the last
// reset that this run made; none where there was no reset, or none was seen.
func (d *Device) KeysBeforeReset(channel string) []pubkey.Key {
	d.book.mu.Lock()
	defer d.book.mu.Unlock()
	pages := d.book.seen[channel]
	for i := len(pages) - 1; i >= 0; i-- {
		if pages[i].reset < d.book.resets {
			return pages[i].keys
		}
	}
	return nil
}
