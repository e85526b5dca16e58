// Package tap records what passes over the connections that a dialer opens, so
// that a check can ask whether a credential crosses the wire in the clear.
package tap

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"rigor/harness/wire"
)

// DefaultLimit is how many bytes each way of a connection are kept.
const DefaultLimit = 256 << 10

// Dialer opens connections through another dialer and keeps the bytes that
// they carry. What is kept holds every secret that was sent: it is for
// searching in, not for a report.
type Dialer struct {
	inner wire.Dialer
	limit int

	mu    sync.Mutex
	conns []*Record
}

// New wraps inner. Limit bounds the bytes kept for each way of each
// connection; DefaultLimit where it is not positive.
func New(inner wire.Dialer, limit int) *Dialer {
	if limit <= 0 {
		limit = DefaultLimit
	}
	return &Dialer{inner: inner, limit: limit}
}

// Over gives the same ear over another dialer.
func (d *Dialer) Over(inner wire.Dialer) wire.Dialer { return &over{d, inner} }

type over struct {
	ear   *Dialer
	inner wire.Dialer
}

// DialContext dials through the other dialer.
func (o *over) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return o.ear.dial(ctx, o.inner, network, address)
}

// DialContext dials through the inner dialer.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d.dial(ctx, d.inner, network, address)
}

func (d *Dialer) dial(ctx context.Context, inner wire.Dialer, network, address string) (net.Conn, error) {
	c, err := inner.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	r := &Record{Address: address, Opened: time.Now(), limit: d.limit, client: addrPort(c.LocalAddr()), server: addrPort(c.RemoteAddr())}
	d.mu.Lock()
	d.conns = append(d.conns, r)
	d.mu.Unlock()
	return &conn{Conn: c, record: r}, nil
}

// Records gives what was recorded, one for each connection, in their order.
func (d *Dialer) Records() []*Record {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]*Record(nil), d.conns...)
}

// Forget drops what was recorded. Connections that are open go on into
// records that nobody sees.
func (d *Dialer) Forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns = nil
}

// Sent says whether any connection carried b towards the DUT, whole. Cut is
// true where bytes were dropped for the limit, so that a no says nothing.
func (d *Dialer) Sent(b []byte) (found, cut bool) {
	for _, r := range d.Records() {
		sent, _, c := r.Bytes()
		cut = cut || c
		if len(b) > 0 && bytes.Contains(sent, b) {
			found = true
		}
	}
	return found, cut
}

// Record is what one connection carried, as it was on the wire.
type Record struct {
	Address string
	Opened  time.Time

	client, server netip.AddrPort

	mu       sync.Mutex
	limit    int
	sent     []byte
	received []byte
	chunks   []chunk
	cut      bool
}

// chunk is when how much of a way was carried.
type chunk struct {
	at   time.Time
	sent bool
	n    int
}

// Bytes gives copies of what was sent to the DUT and received from it. Cut
// says that one of them is not complete: the limit was reached.
func (r *Record) Bytes() (sent, received []byte, cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.sent), bytes.Clone(r.received), r.cut
}

func (r *Record) add(to *[]byte, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	room := r.limit - len(*to)
	if len(b) > room {
		b, r.cut = b[:max(room, 0)], true
	}
	*to = append(*to, b...)
	if len(b) > 0 {
		r.chunks = append(r.chunks, chunk{time.Now(), to == &r.sent, len(b)})
	}
}

type conn struct {
	net.Conn
	record *Record
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.record.add(&c.record.received, p[:n])
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.record.add(&c.record.sent, p[:n])
	return n, err
}
