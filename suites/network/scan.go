package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/portscan"
	"rigor/harness/verdict"
)

// Probes of TCP: that many ports each.
const (
	chunk    = 4096
	lastPort = 65535
)

// portsIn is the run of a check of ports in a state.
func portsIn(state string) func(ctx context.Context, t *check.T) {
	return func(ctx context.Context, t *check.T) {
		s, err := sit(ctx, t, state, t.Case().Channel)
		t.OK(err)
		probes := s.probes()
		check.Refute(ctx, t, s.claim(probes), check.Negative[[]int]{
			Control: s.alive,
			Anti:    s.nobody,
			Probes:  probes,
			Try:     func(ctx context.Context, ports []int) (dut.Answer, error) { return s.try(ctx, ports, probes) },
			Name:    func(ports []int) string { return "asking " + protocol(s.channel) + " " + portscan.Ranges(ports) },
			Every:   len(probes)/4 + 1,
			Same:    s.same,
			// Neither a refusal nor silence is an answer: which of them a port gives is
			// the device's choice, and that the path is alive is shown around it.
			Refusal: []verdict.Kind{verdict.Refused, verdict.Unreachable},
			Opened:  verdict.ReasonUndeclared,
		})
		s.judge(ctx, probes)
	}
}

// probes are the ports to ask, in pieces: all of TCP; of UDP those that are
// declared, in any state, and those on which devices are known to serve something.
func (s *seat) probes() [][]int {
	var all []int
	if protocol(s.channel) == tcp {
		for p := 1; p <= lastPort; p++ {
			all = append(all, p)
		}
		return slices.Collect(slices.Chunk(all, chunk))
	}
	all = append(portscan.CommonUDP(), s.open...)
	for _, other := range s.t.Profile().States.Order {
		all = append(all, declared(s.t.Profile(), other, udp)...)
	}
	slices.Sort(all)
	return slices.Collect(slices.Chunk(slices.Compact(all), 1))
}

func (s *seat) claim(probes [][]int) string {
	if protocol(s.channel) == udp {
		return fmt.Sprintf("of %d ports of %s, each asked in its protocol's own words, none answers that is not declared for state %s", len(probes), s.channel, s.state)
	}
	return fmt.Sprintf("no port of %s takes a connection that is not declared for state %s", s.channel, s.state)
}

// try asks some ports. Where one answers that is not declared, all others are asked
// too, so that the report has each.
func (s *seat) try(ctx context.Context, ports []int, all [][]int) (dut.Answer, error) {
	start := time.Now()
	piece := ports
	if protocol(s.channel) == udp { // all at once: each may be silent for long
		piece = slices.Concat(all...)
	}
	err := s.once(ctx, piece)
	if errors.Is(err, portscan.ErrPath) {
		return dut.Answer{Kind: verdict.Silent, Detail: err.Error(), Took: time.Since(start)}, nil
	}
	if err != nil {
		return dut.Answer{}, err
	}
	res := only(s.seen, ports)
	a := dut.Answer{Kind: verdict.Refused, Took: time.Since(start), Detail: fmt.Sprintf("%d open, all of them declared; %d closed, %d filtered",
		res.Count(portscan.Open), res.Count(portscan.Closed), res.Count(portscan.Filtered))}
	if res.Count(portscan.Filtered) > 0 {
		a.Kind = verdict.Unreachable
	}
	if len(s.undeclared(ports)) == 0 {
		return a, nil
	}
	for _, rest := range all {
		if err := s.once(ctx, rest); err != nil && !errors.Is(err, portscan.ErrPath) {
			return a, err
		}
	}
	return s.found(ctx)
}

// same says what the DUT is, to be equal before and after: its own restart, by which
// it was looked whose a port is, does not count.
func (s *seat) same(ctx context.Context) (string, error) {
	is, err := s.t.Device().Fingerprint(ctx)
	switch {
	case s.first == "":
		s.first = is
	case is == s.restarted:
		is = s.first
	}
	return is, err
}

// once gives ports their states, and remembers them: a port that answered once has
// answered.
func (s *seat) once(ctx context.Context, ports []int) error {
	if s.seen.States != nil && !slices.ContainsFunc(ports, func(p int) bool { return s.seen.States[p] == portscan.Unasked }) {
		return nil
	}
	res, err := s.ask(ctx, ports)
	if err != nil {
		return err
	}
	s.seen.Add(res)
	return nil
}

// only gives the part of a result that is about some ports.
func only(res *portscan.Result, ports []int) *portscan.Result {
	out := *res
	out.Ports = ports
	return &out
}

// undeclared gives the ports that answer and are not declared, as far as was asked.
func (s *seat) undeclared(among []int) []int {
	return slices.DeleteFunc(only(s.seen, among).In(portscan.Open), func(p int) bool { return slices.Contains(s.open, p) })
}

// found judges undeclared ports that answer: those of the DUT open what must be
// shut; those of nobody known, or of somebody else, say nothing about it.
func (s *seat) found(ctx context.Context) (dut.Answer, error) {
	ports := s.undeclared(s.seen.Ports)
	if err := s.own(ctx, ports); err != nil {
		return dut.Answer{}, err
	}
	var mine, other []string
	for _, port := range ports {
		o := s.whose[port]
		text := fmt.Sprintf("%s (%s; %s)", s.name(port), o.said, o.why)
		if o.own {
			mine = append(mine, text)
		} else {
			other = append(other, text)
		}
	}
	if len(mine) > 0 {
		return dut.Answer{Kind: verdict.Accepted, Detail: strings.Join(mine, ", ")}, nil
	}
	return dut.Answer{Kind: verdict.Garbled, Detail: strings.Join(other, ", ")}, nil
}

// judge makes the claims about what must be there: each port has its final state,
// and each declared service answers and is the DUT's.
func (s *seat) judge(ctx context.Context, probes [][]int) {
	ref := s.t.Keep("ports.txt", "the final state of each port", s.report())
	asked := 0
	for _, p := range probes {
		asked += len(p)
	}
	s.t.Claim("each port that was asked has its final state", func(c *check.Claim) {
		c.Show(ref)
		done := s.seen.Count(portscan.Open) + s.seen.Count(portscan.Closed) + s.seen.Count(portscan.Filtered)
		c.Expect(fmt.Sprintf("%d ports with a state", asked), fmt.Sprintf("%d", done))
		if done != asked {
			c.Unknown(verdict.ReasonCoverageGap, "%d of %d ports have one", done, asked)
		}
	})
	if ipv6(s.channel) || len(s.open) == 0 || s.seen.States == nil { // which services are on IPv6 too nobody declares
		return
	}
	s.t.Claim(fmt.Sprintf("each service of %s that is declared for state %s answers, and is this DUT's", s.channel, s.state), func(c *check.Claim) {
		c.Show(ref)
		if a, err := s.shows(ctx); err != nil || a.Kind != verdict.Accepted {
			s.t.OK(err)
			c.Unknown(verdict.ReasonControlFailed, "the DUT does not show itself any more: %s", a.Detail)
			return
		}
		var got []string
		for _, port := range s.open {
			if st := s.seen.States[port]; st != portscan.Open {
				// The DUT, or a filter on the way: nobody can tell them apart from here.
				c.Unknown(verdict.ReasonAmbiguous, "%s is declared and %v, while the DUT shows itself at tcp/%d: it does not serve it, or a filter on the way keeps it", s.name(port), st, s.canary)
				continue
			}
			own, why := s.proven(ctx, port)
			got = append(got, fmt.Sprintf("%s: %s", s.name(port), why))
			if !own {
				c.Unknown(verdict.ReasonControlFailed, "%s answers, and that it is this DUT's is not shown: %s", s.name(port), why)
			}
		}
		c.Expect("each of "+portscan.Ranges(s.open), strings.Join(got, "; "))
		if !c.Failed() && !c.Undecided() {
			s.t.Shown(reached(s.state, s.channel))
		}
	})
}

// report writes down what was found.
func (s *seat) report() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s, in state %s, %v for the ports alone\n", s.channel, s.ports.Host(), s.state, s.seen.Took.Round(time.Millisecond))
	fmt.Fprintf(&b, "declared  %s; the port that is known to be open was asked %d times in between, and the pace was taken back %d times\n", orNone(s.open), s.seen.Canaries, s.seen.Backoffs)
	for _, st := range []portscan.State{portscan.Open, portscan.Closed, portscan.Filtered, portscan.Unasked} {
		fmt.Fprintf(&b, "%-9s %5d: %s\n", st, s.seen.Count(st), orNone(s.seen.In(st)))
	}
	for _, f := range s.seen.Found {
		fmt.Fprintf(&b, "%s %v after %d tries, %v %s\n", s.name(f.Port), f.State, f.Tries, f.Took.Round(time.Microsecond), f.Why)
	}
	for _, port := range s.undeclared(s.seen.Ports) {
		fmt.Fprintf(&b, "%s is not declared: %s; %s\n", s.name(port), s.whose[port].said, s.whose[port].why)
	}
	return []byte(b.String())
}

func orNone(ports []int) string {
	if len(ports) == 0 {
		return "none"
	}
	return portscan.Ranges(ports)
}
