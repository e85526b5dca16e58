package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/escape"
	"rigor/harness/portscan"
	"rigor/harness/verdict"
)

// seat is where one case looks at the DUT's ports from.
type seat struct {
	t       *check.T
	state   string
	channel string
	ports   *dut.Ports
	canary  int
	open    []int // declared
	// seen is what was found of all ports so far.
	seen *portscan.Result
	// whose are the undeclared ports that answer, once it was looked at.
	whose map[int]owner
	// answers is a port of UDP that answers or refuses: datagrams arrive, and come
	// back.
	answers int
	// first is what the DUT was before the probes, restarted what it was after we have
	// taken its supply away.
	first, restarted string
}

// sit takes the case's place: the DUT is in the state.
func sit(ctx context.Context, t *check.T, state, channel string) (*seat, error) {
	s := &seat{t: t, state: state, channel: channel, canary: canary(t.Profile(), state), open: declared(t.Profile(), state, protocol(channel)),
		seen: &portscan.Result{}, whose: map[int]owner{}}
	var err error
	s.ports, err = t.Device().Ports(ctx, ipv6(channel), s.canary)
	return s, err
}

func (s *seat) name(port int) string { return fmt.Sprintf("%s/%d", protocol(s.channel), port) }

// ask gives ports their states.
func (s *seat) ask(ctx context.Context, ports []int) (*portscan.Result, error) {
	if protocol(s.channel) == udp {
		return s.ports.UDP(ctx, ports, 0)
	}
	return s.ports.TCP(ctx, ports)
}

// alive is the control: the DUT shows itself in its state, at a port that is
// declared to be open. Over IPv6 that port has to take a connection there too.
func (s *seat) alive(ctx context.Context) (dut.Answer, error) {
	start := time.Now()
	a, err := s.shows(ctx)
	if err != nil || a.Kind != verdict.Accepted {
		return a, err
	}
	if ipv6(s.channel) {
		res, err := s.ports.TCP(ctx, []int{s.canary})
		switch {
		case errors.Is(err, portscan.ErrPath):
			return dut.Answer{Kind: verdict.Unreachable, Detail: err.Error()}, nil
		case err != nil:
			return a, err
		case res.States[s.canary] != portscan.Open:
			return dut.Answer{Kind: verdict.Unreachable, Detail: fmt.Sprintf("tcp/%d at %s is %v", s.canary, s.ports.Host(), res.States[s.canary])}, nil
		}
	}
	if protocol(s.channel) == udp {
		return s.datagrams(ctx, a)
	}
	a.Took = time.Since(start)
	return a, nil
}

// shows has the DUT show itself in its state.
func (s *seat) shows(ctx context.Context) (dut.Answer, error) {
	p, st := s.t.Profile(), s.t.Profile().States.Items[s.state]
	if slices.Contains(askedPorts(p, st.Holds), s.canary) {
		if _, err := s.t.Device().Steps(ctx, st.Holds, nil); err != nil {
			if dut.IsFault(err) || errors.Is(err, dut.ErrRevoked) || ctx.Err() != nil {
				return dut.Answer{}, err
			}
			return dut.Answer{Kind: verdict.Unreachable, Detail: err.Error()}, nil
		}
		return dut.Answer{Kind: verdict.Accepted, Detail: fmt.Sprintf("the DUT shows itself in state %s, at tcp/%d", s.state, s.canary)}, nil
	}
	for _, name := range loginsOf(p, s.state) {
		if p.Logins.Items[name].Port == s.canary {
			return s.enters(ctx, name)
		}
	}
	return dut.Answer{Kind: verdict.Unreachable, Detail: "no declared service shows that the DUT is there"}, nil
}

// enters has the owner log in.
func (s *seat) enters(ctx context.Context, name string) (dut.Answer, error) {
	door := s.t.Device().Login(name)
	own, err := door.Owner()
	if err != nil {
		return dut.Answer{}, err
	}
	return s.t.Try(ctx, door, own)
}

// datagrams shows that datagrams arrive and that answers come back: a port
// answers, or says that nobody is there.
func (s *seat) datagrams(ctx context.Context, a dut.Answer) (dut.Answer, error) {
	candidates := []int{s.answers}
	if s.answers == 0 {
		candidates = append(slices.Clone(s.open), s.strange(2)...)
	}
	for _, port := range candidates {
		// A device may say "nobody is there" once a second.
		res, err := s.ports.UDP(ctx, []int{port}, refusalTries)
		if err != nil {
			return a, err
		}
		switch res.States[port] {
		case portscan.Open, portscan.Closed:
			s.answers = port
			a.Detail = fmt.Sprintf("%s; udp/%d is %v", a.Detail, port, res.States[port])
			return a, nil
		}
	}
	return dut.Answer{Kind: verdict.Silent, Detail: "no port of udp answers or refuses, so that nothing shows that datagrams arrive at all"}, nil
}

const refusalTries = 6

// strange gives ports that nobody declares, and that no service is known for.
func (s *seat) strange(n int) (out []int) {
	r := s.t.Rand()
	for len(out) < n {
		if p := 20000 + r.IntN(40000); !slices.Contains(s.open, p) && !slices.Contains(portscan.CommonUDP(), p) && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

// nobody is the anti-control: of some ports that nobody declares, one at least is
// not open. Where all are, somebody on the way answers for every port.
func (s *seat) nobody(ctx context.Context) (dut.Answer, error) {
	start := time.Now()
	ports := s.strange(5)
	res, err := s.ask(ctx, ports)
	if errors.Is(err, portscan.ErrPath) {
		return dut.Answer{Kind: verdict.Silent, Detail: err.Error()}, nil
	}
	if err != nil {
		return dut.Answer{}, err
	}
	a := dut.Answer{Kind: verdict.Refused, Took: time.Since(start), Detail: fmt.Sprintf("of ports %s, chosen at random, %d are open", portscan.Ranges(ports), res.Count(portscan.Open))}
	if res.Count(portscan.Open) == len(ports) {
		a.Kind, a.Detail = verdict.Garbled, a.Detail+": every port seems to be, as where somebody on the way takes all connections"
	}
	return a, nil
}

// owner is whose a port is.
type owner struct {
	own, known bool
	why        string
	said       string // what the port said, escaped
}

// own says whose ports are that answer and are not declared: where the rig may
// switch the supply, those that go with it and come back are the DUT's; else the
// hardware address decides.
func (s *seat) own(ctx context.Context, ports []int) error {
	said := map[int]string{}
	for _, port := range ports {
		if _, ok := s.whose[port]; ok {
			continue
		}
		text, err := s.says(ctx, port)
		if err != nil {
			return err
		}
		said[port] = text
	}
	if len(said) == 0 {
		return nil
	}
	in := s.t.Input()
	if in.Power && slices.Contains(in.Allow, check.Supply) {
		return s.bySupply(ctx, said)
	}
	own, known, who, err := s.ports.Hardware(ctx)
	if err != nil {
		return err
	}
	for port, text := range said {
		o := owner{own: own, known: known, said: text, why: "it answers from the unit's hardware address, " + who}
		switch {
		case !known:
			o.why = "whose it is is not shown: " + who + "; give the unit's mac and an interface, or a switch of its supply"
		case !own:
			o.why = "it answers from " + who + ", which is not the unit's hardware address"
		}
		s.whose[port] = o
	}
	return nil
}

// says reads what a port tells, for the report.
func (s *seat) says(ctx context.Context, port int) (string, error) {
	if protocol(s.channel) == udp {
		for _, f := range s.seen.Found {
			if f.Port == port {
				return fmt.Sprintf("%d bytes to %s: %s", len(f.Said), f.Why, escape.Excerpt(string(f.Said), 120)), nil
			}
		}
		return "", nil
	}
	said, to, err := s.ports.Greeting(ctx, port)
	switch {
	case err != nil:
		return "", err
	case len(said) == 0:
		return "it says nothing", nil
	}
	return fmt.Sprintf("%s it says: %s", to, escape.Excerpt(string(bytes.TrimSpace(said)), 120)), nil
}

// bySupply takes the DUT's supply away, looks which ports go with it, and gives it
// back.
func (s *seat) bySupply(ctx context.Context, said map[int]string) error {
	d := s.t.Device()
	s.t.Note("whose the undeclared ports are is looked at with the supply off")
	restored := false
	s.t.Cleanup(func(ctx context.Context, t *check.T) {
		if !restored {
			t.OK(t.Device().PowerOn(ctx))
			t.OK(t.Device().Reachable(ctx))
		}
	})
	if err := d.PowerOff(ctx); err != nil {
		return err
	}
	off, err := s.stillOpen(ctx, said)
	if err != nil {
		return err
	}
	// That the supply is off shows in a port that is the DUT's.
	fed := off[s.canary]
	if protocol(s.channel) == udp {
		if fed, err = s.taken(ctx, s.canary); err != nil {
			return err
		}
	}
	if err := d.PowerOn(ctx); err != nil {
		return err
	}
	if err := d.Reachable(ctx); err != nil {
		return err
	}
	restored = true
	if s.restarted, err = d.Fingerprint(ctx); err != nil {
		return err
	}
	again, err := s.comeBack(ctx, said)
	if err != nil {
		return err
	}
	for port, text := range said {
		o := owner{said: text}
		switch {
		case fed:
			o.why = "whose it is is not shown: the DUT itself answers with its supply off"
		case off[port]:
			o.known, o.why = true, "it answers while the DUT has no power: it is somebody else's"
		case again[port]:
			o.own, o.known, o.why = true, true, "it goes with the DUT's supply and comes back with it"
		default:
			o.why = "whose it is is not shown: it did not come back with the DUT's supply"
		}
		s.whose[port] = o
	}
	return nil
}

// backWithin is how long a service may take behind the others to start.
const backWithin = 5 * time.Second

// comeBack waits for ports to answer again.
func (s *seat) comeBack(ctx context.Context, said map[int]string) (map[int]bool, error) {
	for begun := time.Now(); ; {
		again, err := s.stillOpen(ctx, said)
		if err != nil || time.Since(begun) > backWithin {
			return again, err
		}
		all := true
		for port := range said {
			all = all && again[port]
		}
		if all {
			return again, nil
		}
		if err := s.t.Device().Wait(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// stillOpen gives which of the ports, and the canary, answer now.
func (s *seat) stillOpen(ctx context.Context, said map[int]string) (map[int]bool, error) {
	out := map[int]bool{}
	for port := range said {
		var err error
		if out[port], err = s.answersNow(ctx, port); err != nil {
			return nil, err
		}
	}
	if protocol(s.channel) == udp {
		return out, nil
	}
	var err error
	out[s.canary], err = s.taken(ctx, s.canary)
	return out, err
}

func (s *seat) answersNow(ctx context.Context, port int) (bool, error) {
	if protocol(s.channel) == tcp {
		return s.taken(ctx, port)
	}
	res, err := s.ports.UDP(ctx, []int{port}, 2)
	return err == nil && res.States[port] == portscan.Open, err
}

// taken says whether a port of TCP takes a connection now. Silence is a no.
func (s *seat) taken(ctx context.Context, port int) (bool, error) {
	res, err := s.ports.TCP(ctx, []int{port})
	if errors.Is(err, portscan.ErrPath) {
		return false, nil
	}
	return err == nil && res.States[port] == portscan.Open, err
}

// proven says whether a declared port that is open is the DUT's: its owner gets in
// there, its identity is read there, or it answers from its hardware address. A
// port with a login is nobody's whose owner does not get in.
func (s *seat) proven(ctx context.Context, port int) (bool, string) {
	p := s.t.Profile()
	if protocol(s.channel) == tcp && !ipv6(s.channel) {
		why := ""
		for _, name := range loginsOf(p, s.state) {
			if p.Logins.Items[name].Port != port {
				continue
			}
			a, err := s.enters(ctx, name)
			s.t.OK(err)
			if a.Kind == verdict.Accepted {
				return true, "its owner gets in by " + name
			}
			why = fmt.Sprintf("the owner does not get in by %s: %s", name, a.Detail)
		}
		if why != "" {
			return false, why
		}
		if ports := askedPorts(p, p.Identity.Steps); len(ports) > 0 && !slices.ContainsFunc(ports, func(o int) bool { return o != port }) {
			id, err := s.t.Device().Identify(ctx)
			s.t.OK(err)
			if id.Want != "" && id.Want == id.Got {
				return true, "the unit's identity is read there"
			}
		}
	}
	own, known, who, err := s.ports.Hardware(ctx)
	s.t.OK(err)
	switch {
	case own:
		return true, "it answers from the unit's hardware address, " + who
	case known:
		return false, "it answers from another hardware address, " + who
	}
	return false, "nobody logs in there, and " + who
}
