package link

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Neighbour is somebody on the declared interface.
type Neighbour struct {
	Addr netip.Addr `json:"address"` // one of IPv6 with its zone
	MAC  string     `json:"mac"`
	// Names are what it calls itself by multicast DNS: foreign bytes, made visible
	// by who shows them.
	Names []string `json:"names,omitempty"`
}

// Everybody asks each address of the interface's own small networks (as Find does)
// and gives who is there by the kernel's table, those of IPv4 first. It takes a
// second or two. Only the declared interface is used.
func (l *Link) Everybody(ctx context.Context) ([]Neighbour, error) {
	const op = "look who is there"
	if l.ctx.Err() != nil {
		return nil, l.fault(op, net.ErrClosed)
	}
	in, own, err := l.network(op)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.conf.FindTimeout)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	s := &search{l: l, in: in, begun: time.Now(), asked: map[netip.Addr]bool{}, live: map[netip.Addr]bool{}, sweep: around(own)}
	if err := s.ask(ctx); err != nil {
		return nil, fmt.Errorf("%s: %s on %s: %w", l.conf.Part, op, in.Name, err)
	}
	names := l.names(ctx, settle) // which is the time that the table needs, too
	all, err := neighbours()
	if err != nil {
		return nil, l.fault(op, err)
	}
	var out []Neighbour
	for _, n := range all {
		if n.iface != in.Index || !n.known() || n.addr.IsMulticast() || slices.ContainsFunc(own, func(p netip.Prefix) bool { return p.Addr() == n.addr }) {
			continue
		}
		if n.addr.Is6() && !n.addr.IsLinkLocalUnicast() {
			continue // another name of one that is in the list
		}
		a := n.addr
		if a.Is6() {
			a = a.WithZone(in.Name)
		}
		out = append(out, Neighbour{Addr: a, MAC: n.mac.String(), Names: names[n.addr]})
	}
	slices.SortFunc(out, func(a, b Neighbour) int { return a.Addr.Compare(b.Addr) })
	return out, nil
}

// What is asked by multicast DNS (RFC 6762) from a port of our own, so that the
// answers come to us alone (its section 6.7).
const (
	mdnsGroup    = "224.0.0.251:5353"
	mdnsServices = "_services._dns-sd._udp.local."
	mdnsWeb      = "_http._tcp.local."
)

// names gives what those who answer multicast DNS within a time call themselves.
// That nobody does, or that nobody can be asked, says nothing.
func (l *Link) names(ctx context.Context, wait time.Duration) map[netip.Addr][]string {
	out := map[netip.Addr][]string{}
	end := time.Now().Add(wait)
	defer func() { _ = pause(ctx, time.Until(end)) }() // as long as it was said, whatever comes
	lc := net.ListenConfig{Control: func(network, address string, c syscall.RawConn) error { return l.bind(ctx, network, address, c) }}
	conn, err := lc.ListenPacket(ctx, "udp4", ":0")
	if err != nil {
		return out
	}
	defer func() { _ = conn.Close() }() // it was only listened to
	group, err := netip.ParseAddrPort(mdnsGroup)
	if err != nil {
		return out
	}
	for _, q := range []string{mdnsServices, mdnsWeb} {
		msg, err := question(q)
		if err != nil {
			return out
		}
		if _, err := conn.WriteTo(msg, net.UDPAddrFromAddrPort(group)); err != nil {
			return out
		}
	}
	if conn.SetReadDeadline(end) != nil {
		return out
	}
	buf := make([]byte, 9000)
	for ctx.Err() == nil {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return out
		}
		at, ok := from.(*net.UDPAddr)
		if !ok {
			continue
		}
		who := at.AddrPort().Addr().Unmap()
		for _, name := range answerNames(buf[:n]) {
			if len(out[who]) < 8 && !slices.Contains(out[who], name) {
				out[who] = append(out[who], name)
			}
		}
	}
	return out
}

func question(name string) ([]byte, error) {
	n, err := dnsmessage.NewName(name)
	if err != nil {
		return nil, err
	}
	m := dnsmessage.Message{Questions: []dnsmessage.Question{{Name: n, Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET}}}
	return m.Pack()
}

// answerNames gives the names in an answer: those that are pointed at, and those of
// addresses. They are foreign bytes, 100 of each at most.
func answerNames(b []byte) []string {
	var p dnsmessage.Parser
	if _, err := p.Start(b); err != nil || p.SkipAllQuestions() != nil {
		return nil
	}
	var out []string
	add := func(name string) {
		name = strings.TrimSuffix(strings.TrimSuffix(name, "."), ".local")
		if name != "" && len(out) < 16 {
			out = append(out, name[:min(len(name), 100)])
		}
	}
	rest := [](func() (dnsmessage.Resource, error)){p.Answer, p.Authority, p.Additional}
	skip := [](func() error){p.SkipAllAnswers, p.SkipAllAuthorities, p.SkipAllAdditionals}
	for i, next := range rest {
		for {
			r, err := next()
			if err != nil {
				break // the section's end, or its last sound entry
			}
			switch body := r.Body.(type) {
			case *dnsmessage.PTRResource:
				add(body.PTR.String())
			case *dnsmessage.AResource, *dnsmessage.SRVResource:
				add(r.Header.Name.String())
			}
		}
		if skip[i]() != nil {
			return out
		}
	}
	return out
}
