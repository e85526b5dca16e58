package network

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rigor/harness/baseline"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/portscan"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// Channels of the checks of ports.
const (
	tcp  = "tcp"
	udp  = "udp"
	tcp6 = "tcp6"
	udp6 = "udp6"
)

// portCases plans the cases of a state: TCP and UDP, over IPv4 and IPv6. All are
// planned always.
func portCases(state string) check.Planner {
	return check.Planner(func(in check.Input) []check.Case {
		var cases []check.Case
		for _, channel := range []string{tcp, udp, tcp6, udp6} {
			c := check.Case{Channel: channel, Kind: baseline.Network}
			if elsewhere := onlyElsewhere(in.Profile, state, protocol(channel)); len(elsewhere) > 0 && !ipv6(channel) {
				c.Bracket = reached(elsewhere[0].state, protocol(channel))
				c.Closer = &check.Closer{State: elsewhere[0].state, Show: func(ctx context.Context, t *check.T) dut.Answer {
					return allReached(ctx, t, elsewhere[0].state, channel)
				}}
			}
			cases = append(cases, c)
		}
		return cases
	}).With(check.NeedsState(state), check.NeedsNetwork, wholeWay, ofIPv6, func(in check.Input, c *check.Case) *verdict.Judgement {
		s := in.Profile.States.Items[state]
		switch {
		case len(s.Services) == 0 && !in.Profile.Source.Has("states", state, "services"):
			return check.NotDeclared("the profile does not say which services there are (states.%s.services)", state)
		case canary(in.Profile, state) == 0:
			return check.RigLacks("nothing that the rig speaks shows at a declared port that the DUT is there: give state %s a login on a port of its services, or in holds a request to one", state)
		}
		return nil
	})
}

// wholeWay: nothing between rig and DUT carries some of its ports alone.
func wholeWay(in check.Input, _ *check.Case) *verdict.Judgement {
	if n := len(in.Forwarded); n > 0 {
		return check.RigLacks("a forwarder carries %d ports of the DUT (network.ports in the rig file); the others cannot be asked", n)
	}
	return nil
}

// ofIPv6: for the cases of IPv6, where the DUT is.
func ofIPv6(in check.Input, c *check.Case) *verdict.Judgement {
	at := in.Profile.Network.IPv6
	switch {
	case !ipv6(c.Channel):
		return nil
	case at.Declared():
		return check.DeclaredNone(at.None.None)
	case at.Host == "":
		return check.NotDeclared("the profile does not say where the DUT is on IPv6 (network.ipv6, with none: where it is not)")
	}
	return nil
}

func ipv6(channel string) bool { return strings.HasSuffix(channel, "6") }

// protocol gives the channel's protocol, "tcp" or "udp".
func protocol(channel string) string { return strings.TrimSuffix(channel, "6") }

// declared gives the ports that a state's services name, of one protocol.
func declared(p *profile.Profile, state, protocol string) []int {
	var out []int
	if s := p.States.Items[state]; s != nil {
		for _, service := range s.Services {
			if kind, port, _ := strings.Cut(service, "/"); kind == protocol {
				n, _ := strconv.Atoi(port) // the profile's lint has read it
				out = append(out, n)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// canary gives a port of TCP at which the DUT shows itself in a state: one that is
// declared to be open, and to which a request of the state's holds or an identity
// goes, or a login. 0 for none.
func canary(p *profile.Profile, state string) int {
	open := declared(p, state, tcp)
	for _, port := range append(askedPorts(p, p.States.Items[state].Holds), loginPorts(p, state)...) {
		if slices.Contains(open, port) {
			return port
		}
	}
	return 0
}

// askedPorts gives the ports to which steps make requests.
func askedPorts(p *profile.Profile, ss []profile.Step) (out []int) {
	for i := range ss {
		if s := &ss[i]; s.Verb == "http" {
			port := s.Port
			if l := p.Logins.Items[s.Login]; l != nil {
				port = l.Port
			}
			out = append(out, port)
		}
	}
	return out
}

// loginPorts gives the ports of the logins that a state offers, the web's first.
func loginPorts(p *profile.Profile, state string) (out []int) {
	for _, name := range loginsOf(p, state) {
		out = append(out, p.Logins.Items[name].Port)
	}
	return out
}

// loginsOf gives the logins that a state offers on a port, with an owner; those
// that are quickly asked first.
func loginsOf(p *profile.Profile, state string) (out []string) {
	for _, name := range p.States.Items[state].Logins {
		if l := p.Logins.Items[name]; l != nil && l.Port > 0 && !l.Aside() && (l.Owner.User != "" || l.Owner.Password != "") {
			out = append(out, name)
		}
	}
	rank := map[string]int{"http-json": 0, "http-basic": 1, "http-digest": 2, "http-form": 3, "ssh": 4}
	slices.SortStableFunc(out, func(a, b string) int {
		of := func(name string) int {
			if r, ok := rank[p.Logins.Items[name].Protocol]; ok {
				return r
			}
			return len(rank)
		}
		return of(a) - of(b)
	})
	return out
}

// portAt is a port that a state declares.
type portAt struct {
	state string
	port  int
}

// onlyElsewhere gives the ports that another state declares and this one does not:
// that they are closed here says something if they are reached there.
func onlyElsewhere(p *profile.Profile, state, protocol string) (out []portAt) {
	here := declared(p, state, protocol)
	for _, name := range p.States.Order {
		if name == state {
			continue
		}
		for _, port := range declared(p, name, protocol) {
			if !slices.Contains(here, port) {
				out = append(out, portAt{name, port})
			}
		}
		if len(out) > 0 { // one state is enough to show the way
			return out
		}
	}
	return nil
}

// reached is the bracket of a state's ports: each is shown to be reached, and to
// be the DUT's.
func reached(state, protocol string) string {
	return fmt.Sprintf("the %s services of state %s are reached", protocol, state)
}

// allReached shows it, for cases that were run without the one that does.
func allReached(ctx context.Context, t *check.T, state, channel string) dut.Answer {
	s, err := sit(ctx, t, state, channel)
	t.OK(err)
	ports := declared(t.Profile(), state, protocol(channel))
	res, err := s.ask(ctx, ports)
	t.OK(err)
	for _, port := range ports {
		if res.States[port] != portscan.Open {
			return dut.Answer{Kind: verdict.Unproven, Detail: fmt.Sprintf("%s is %v in state %s, which declares it", s.name(port), res.States[port], state)}
		}
		if own, why := s.proven(ctx, port); !own {
			return dut.Answer{Kind: verdict.Unproven, Detail: fmt.Sprintf("that %s is this DUT's is not shown: %s", s.name(port), why)}
		}
	}
	return dut.Answer{Kind: verdict.Accepted, Detail: fmt.Sprintf("each of %s is open in state %s, and the DUT's", portscan.Ranges(ports), state)}
}
