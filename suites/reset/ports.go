package reset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rigor/fixtures/states"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/portscan"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// openAgain are ports at which devices are known to offer what a developer or a service
// bench needs: a reset that brings the maker's defaults back may bring these back too.
// net-ports-factory asks all others, of a device that may never have been reset.
var openAgain = []int{21, 22, 23, 80, 443, 1023, 1883, 2000, 2222, 2323, 3000, 4444, 5000, 5555, 5900, 6379, 7547, 8000, 8080, 8081, 8443, 8883, 8888, 9000, 9090, 9999, 10000, 12345, 17185, 31337, 32764, 60001}

// openPorts is which ports answered behind a reset.
type openPorts struct {
	asked    []int
	declared []int // of the factory state
	res      *portscan.Result
	why      string // why it is not known
}

// declaredTCP gives the ports of TCP that a state declares.
func declaredTCP(p *profile.Profile, state string) (out []int) {
	if s := p.States.Items[state]; s != nil {
		for _, service := range s.Services {
			if kind, port, _ := strings.Cut(service, "/"); kind == "tcp" {
				n, _ := strconv.Atoi(port) // the profile's lint has read it
				out = append(out, n)
			}
		}
	}
	return out
}

// ports asks the device's ports in the factory state.
func (g *guide) ports(ctx context.Context, tr *tour) {
	o := &openPorts{declared: declaredTCP(g.Profile(), states.Factory.Name), asked: slices.Clone(openAgain)}
	tr.ports = o
	for _, s := range g.Profile().States.Order {
		o.asked = append(o.asked, declaredTCP(g.Profile(), s)...)
	}
	slices.Sort(o.asked)
	o.asked = slices.Compact(o.asked)
	if len(o.declared) == 0 {
		o.why = "no port is declared to be open in the factory state: nothing would show that the device is there"
		return
	}
	way, err := g.Device().Ports(ctx, false, o.declared[0])
	if errors.Is(err, dut.ErrNotWired) {
		o.why = err.Error()
		return
	}
	g.OK(err)
	o.res, err = way.TCP(ctx, o.asked)
	if errors.Is(err, portscan.ErrPath) {
		o.why = err.Error()
		return
	}
	g.OK(err)
	tr.say("before the set-up %d ports are open of %s", o.res.Count(portscan.Open), portscan.Ranges(o.asked))
}

// claimPorts claims that no port answers which is not declared for the factory state.
func (tr *tour) claimPorts(ctx context.Context, t *check.T) {
	text := tr.by() + " no port answers that is not declared for the factory state"
	o := tr.ports
	if o == nil || o.why != "" {
		ref := tr.evidence(t)
		t.Claim(text, func(c *check.Claim) {
			c.Show(ref)
			if o == nil {
				c.Unknown(verdict.ReasonPrecondition, "it was not asked: %s", tr.over)
				return
			}
			c.Unknown(verdict.ReasonCoverageGap, "%s", o.why)
		})
		return
	}
	answer := func(port int) dut.Answer {
		if o.res.States[port] == portscan.Open {
			return dut.Answer{Kind: verdict.Accepted, Detail: fmt.Sprintf("tcp/%d takes a connection", port)}
		}
		return dut.Answer{Kind: verdict.Refused, Detail: fmt.Sprintf("tcp/%d is %s", port, o.res.States[port])}
	}
	var probes []int
	shut := dut.Answer{Kind: verdict.Refused, Detail: "tcp/0 is none"}
	for _, p := range o.asked {
		if !slices.Contains(o.declared, p) {
			probes = append(probes, p)
		}
	}
	check.Refute(ctx, t, text, check.Negative[int]{
		Control: replay(answer(o.declared[0])), Anti: replay(shut), Probes: probes, Same: tr.same,
		Try:   func(_ context.Context, p int) (dut.Answer, error) { return answer(p), nil },
		Name:  func(p int) string { return fmt.Sprintf("tcp/%d", p) },
		Every: len(probes) + 1, Refusal: []verdict.Kind{verdict.Refused}, Opened: verdict.ReasonUndeclared,
	})
}
