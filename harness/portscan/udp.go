package portscan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"rigor/harness/wire"
)

// ScanUDP asks ports of UDP, each with what its protocol answers to (see
// Question), and gives every one its final state: Open where it answered, Closed
// where the device said "port unreachable", Filtered where nothing came to any
// try. A device may hold "port unreachable" back: Linux sends some, and then one a
// second. So Filtered means of UDP that nothing was answered, and no more.
//
// The error is the rig's own trouble (a *wire.Fault) or the end of ctx.
func ScanUDP(ctx context.Context, d wire.Dialer, host string, ports []int, l Limits) (*Result, error) {
	l = l.Normal()
	s := &udpScan{dialer: d, host: host, limits: l, pace: newPacer(l), res: newResult(ports)}
	begun := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, s.pace.wake)()
	var wg sync.WaitGroup
	next := make(chan int, len(ports))
	for _, p := range ports {
		next <- p
	}
	close(next)
	for range min(l.Connections, len(ports)) {
		wg.Go(func() {
			for p := range next {
				if err := s.port(ctx, p); err != nil {
					s.fail(err)
					cancel()
					return
				}
			}
		})
	}
	wg.Wait()
	s.res.Took = time.Since(begun)
	slices.SortFunc(s.res.Found, func(a, b Found) int { return a.Port - b.Port })
	return s.res, s.err
}

type udpScan struct {
	dialer wire.Dialer
	host   string
	limits Limits
	pace   *pacer
	mu     sync.Mutex
	res    *Result
	err    error
}

func (s *udpScan) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil || errors.Is(s.err, context.Canceled) {
		s.err = err
	}
}

// port asks one port until it answers, or all tries are made.
func (s *udpScan) port(ctx context.Context, port int) error {
	f := Found{Port: port, State: Filtered, Why: "no answer"}
	questions := Questions(port)
	// Each question is asked at least once.
	for f.State == Filtered && f.Tries < max(s.limits.Tries, len(questions)) {
		q := questions[f.Tries%len(questions)]
		if err := s.pace.enter(ctx); err != nil {
			return err
		}
		ask := s.ask
		if f.Tries > 0 { // silence may be an answer from another port
			ask = s.askAny
		}
		a, said := ask(ctx, port, q)
		s.pace.leave()
		if a.err != nil {
			return a.err
		}
		f.Tries++
		f.Took = a.took
		switch {
		case a.state != Unasked:
			s.pace.answered(a.took)
			f.State, f.Said, f.Why = a.state, said, q.Name
		case a.why != "":
			f.Why = a.why
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.res.States[port] = f.State
	if f.State != Closed {
		s.res.Found = append(s.res.Found, f)
	}
	return nil
}

// askAny sends one datagram and takes an answer from whatever port of the host: TFTP
// answers from a new one (RFC 1350 section 4), and others do. A refusal is not to be
// heard that way. Where the link cannot, it asks as usual.
func (s *udpScan) askAny(ctx context.Context, port int, q Question) (answer, []byte) {
	p, ok := s.dialer.(wire.Packeter)
	at, err := net.ResolveUDPAddr("udp", join(s.host, port))
	if !ok || err != nil {
		return s.ask(ctx, port, q)
	}
	network := "udp4"
	if at.IP.To4() == nil {
		network = "udp6"
	}
	begun := time.Now()
	c, err := p.ListenPacket(ctx, network)
	if errors.Is(err, wire.ErrUnsupported) {
		return s.ask(ctx, port, q)
	}
	if err != nil {
		return answer{err: fmt.Errorf("ask udp %v: %w", at, err)}, nil
	}
	defer func() { _ = c.Close() }() // it was only asked
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	if err := c.SetDeadline(begun.Add(max(s.pace.wait(), udpWait))); err != nil {
		return answer{err: fmt.Errorf("ask udp %v: %w", at, err)}, nil
	}
	if _, err := c.WriteTo(q.Bytes, at); err != nil {
		a := classify(ctx, err)
		a.took = time.Since(begun)
		return a, nil
	}
	buf := make([]byte, 2048)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			a := classify(ctx, err)
			a.took = time.Since(begun)
			return a, nil
		}
		if u, ok := from.(*net.UDPAddr); ok && u.IP.Equal(at.IP) {
			return answer{state: Open, took: time.Since(begun)}, buf[:n]
		}
	}
}

// udpWait is how long an answer is waited for at least: what answers is a
// program, and not a stack.
const udpWait = 300 * time.Millisecond

// ask sends one datagram and waits for an answer.
func (s *udpScan) ask(ctx context.Context, port int, q Question) (answer, []byte) {
	address := join(s.host, port)
	begun := time.Now()
	timed := func(a answer) answer {
		a.took = time.Since(begun)
		if a.err != nil {
			a.err = fmt.Errorf("ask udp %s: %w", address, a.err)
		}
		return a
	}
	c, err := s.dialer.DialContext(ctx, "udp", address)
	if err != nil {
		return timed(classify(ctx, err)), nil
	}
	defer func() { _ = c.Close() }() // it was only asked
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	if err := c.SetDeadline(begun.Add(max(s.pace.wait(), udpWait))); err != nil {
		return timed(answer{err: err}), nil
	}
	if _, err := c.Write(q.Bytes); err != nil {
		return timed(classify(ctx, err)), nil
	}
	buf := make([]byte, 2048)
	n, err := c.Read(buf)
	if err == nil || n > 0 {
		return timed(answer{state: Open}), buf[:n]
	}
	if errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.EHOSTDOWN) {
		return timed(answer{why: "no answer"}), nil
	}
	return timed(classify(ctx, err)), nil
}
