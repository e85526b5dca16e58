package protection

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/login"
	"rigor/harness/login/tlshello"
	"rigor/harness/profile"
	"rigor/harness/verdict"
	"rigor/suites/secrets"
)

// TLSServer: a TLS server takes no version and no suite under the floor that its maker
// declares, compresses nothing, and shows a certificate that holds.
var TLSServer = check.Check{
	ID:    "dat-tls-server",
	Title: "TLS servers take nothing under the floor",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.DP1, en303645.V3("5.5-1"), en18031.Code("CRY-1")},
	},
	From:   states.Onboarded.State,
	Effect: check.Reads,
	Allow:  []check.Leave{check.LoginTries},
	Budget: check.Budget{Case: 5 * time.Minute},
	Cases:  check.Planner(check.PerLogin).With(check.NeedsTLS, check.NeedsOwner),
	Run: func(ctx context.Context, t *check.T) {
		s := &tlsServer{t: t, port: t.Device().Login(t.Case().Channel).Decl().Port}
		o, ref, own := secrets.Own(ctx, t, t.Case().Channel)
		check.Refute(ctx, t, "the server takes no version, suite, group or compression under the floor", check.Negative[offer]{
			Control: s.takes,
			// A server that takes a suite that nobody has would take anything.
			Anti: func(ctx context.Context) (dut.Answer, error) {
				return s.try(ctx, offer{what: "a suite that nobody has", hello: tlshello.Nonsense()})
			},
			Probes: offers(t.Profile().TLS),
			Try:    s.try,
			Name:   func(o offer) string { return o.what },
			// A port of several logins opens no login here.
			Channel: fmt.Sprintf("TLS on port %d", s.port),
			// An alert; or the connection ended in place of one, by the server that the
			// controls before and behind it show alive.
			Refusal: []verdict.Kind{verdict.Refused, verdict.Incompatible},
			Every:   6,
			Opened:  verdict.ReasonExpectation,
		})
		s.renegotiation(ctx)
		shown := s.certificates(ctx)
		secrets.ClaimOwn(t, o, ref, own, func(facts map[string]string) bool { return slices.Contains(shown, facts[login.FactTLS]) })
	},
}

// offer is one hello that must not be taken, or not in this way.
type offer struct {
	what  string
	hello tlshello.Hello
	// taken says of a server that answered with its choice what it took; nil where
	// each choice is one too many.
	taken func(a tlshello.Answer) dut.Answer
}

// versions are those of the protocol, the newest first.
var versions = []uint16{tlshello.TLS13, tlshello.TLS12, tlshello.TLS11, tlshello.TLS10, tlshello.SSL30}

// oldest gives the version that a server may still take.
func oldest(p profile.TLS) uint16 {
	if i := slices.Index(profile.TLSVersions, p.Oldest); i >= 0 {
		return tlshello.TLS10 + uint16(i) //nolint:gosec // four versions
	}
	return tlshello.TLS12
}

// offers gives what a server must not take by the declared floor.
func offers(p profile.TLS) (out []offer) {
	floor := oldest(p)
	for _, v := range versions {
		if v < floor {
			out = append(out, offer{what: tlshello.Version(v), hello: tlshello.Modern(v)})
		}
	}
	// In each version that may be taken; TLS 1.3 has none of these.
	for _, v := range versions {
		if v > tlshello.TLS12 || v < floor && v != tlshello.TLS12 {
			continue
		}
		for _, c := range tlshello.Classes() {
			if !slices.Contains(p.Allow, string(c)) {
				out = append(out, offer{what: fmt.Sprintf("%s with a suite of class %s", tlshello.Version(v), c), hello: tlshello.With(v, c)})
			}
		}
	}
	return append(out,
		offer{"a Diffie-Hellman group of under 2048 bits", tlshello.Ephemeral(), group},
		offer{"a curve of under 224 bits", tlshello.WeakCurves(), curve},
		offer{"compression", tlshello.Compressed(), compression})
}

// minGroup is the least size of a group in bits: RFC 9325 section 4.5.
const minGroup = 2048

func group(a tlshello.Answer) dut.Answer {
	switch {
	case a.GroupBits == 0:
		return dut.Answer{Kind: verdict.Unproven, Detail: a.String() + ", and shows no group"}
	case a.GroupBits < minGroup:
		return dut.Answer{Kind: verdict.Accepted, Detail: a.String()}
	}
	return dut.Answer{Kind: verdict.Refused, Detail: a.String()}
}

func curve(a tlshello.Answer) dut.Answer {
	if a.Curve == 0 || !slices.Contains(tlshello.WeakGroups(), a.Curve) {
		return dut.Answer{Kind: verdict.Garbled, Detail: fmt.Sprintf("%s, and curve %d, which was not offered", a, a.Curve)}
	}
	return dut.Answer{Kind: verdict.Accepted, Detail: fmt.Sprintf("%s and curve %d of IANA's list", a, a.Curve)}
}

func compression(a tlshello.Answer) dut.Answer {
	if a.Deflate {
		return dut.Answer{Kind: verdict.Accepted, Detail: a.String() + " and compresses (CRIME)"}
	}
	return dut.Answer{Kind: verdict.Refused, Detail: a.String() + " without compression"}
}

// tlsServer is the server of a case.
type tlsServer struct {
	t    *check.T
	port int
	last uint16 // version that the control found taken
}

// takes is the control: the server takes a hello of today, or else the newest that it
// has: that this is too old is for a probe to say.
func (s *tlsServer) takes(ctx context.Context) (dut.Answer, error) {
	var no []string
	var kind verdict.Kind
	for _, v := range slices.Concat([]uint16{s.last, tlshello.TLS12}, versions) {
		if v == 0 {
			continue
		}
		a, err := s.t.Device().TLSHello(ctx, s.port, tlshello.Modern(v))
		if err != nil {
			return dut.Answer{}, err
		}
		if a.Kind == verdict.Accepted && a.Version == v {
			s.last = v
			return dut.Answer{Kind: verdict.Accepted, Detail: a.String(), Raw: a.Raw}, nil
		}
		no, kind = append(no, fmt.Sprintf("%s: %s", tlshello.Version(v), a)), a.Kind
		if a.Kind == verdict.Unreachable || a.Kind == verdict.Silent {
			break // the others would only take as long
		}
	}
	if kind == verdict.Accepted {
		kind = verdict.Garbled
	}
	return dut.Answer{Kind: kind, Detail: "the server takes no version: " + strings.Join(no, "; ")}, nil
}

// try sends a hello that must not be taken.
func (s *tlsServer) try(ctx context.Context, o offer) (dut.Answer, error) {
	begun := time.Now()
	a, err := s.t.Device().TLSHello(ctx, s.port, o.hello)
	if err != nil {
		return dut.Answer{}, err
	}
	out := dut.Answer{Kind: a.Kind, Detail: a.String()}
	switch {
	case a.Kind != verdict.Accepted:
	case a.Version > o.hello.Version || !slices.Contains(o.hello.Suites, a.Suite):
		out.Kind, out.Detail = verdict.Garbled, out.Detail+", which was not offered"
	case o.taken != nil:
		out = o.taken(a)
	}
	out.Raw, out.Took = a.Raw, time.Since(begun)
	return out, nil
}

// renegotiation claims that nobody can put a beginning of his own before a connection
// (RFC 5746): the server says that it knows how to, or has TLS 1.3 alone.
func (s *tlsServer) renegotiation(ctx context.Context) {
	a, err := s.t.Device().TLSHello(ctx, s.port, tlshello.Modern(tlshello.TLS12))
	s.t.OK(err)
	ref := s.t.Keep("renegotiation.txt", "the answer to a hello of TLS 1.2 that asks for secure renegotiation", fmt.Appendf(nil, "%s\nrenegotiation_info: %v\n", a, a.Renegotiation))
	s.t.Claim("the server renegotiates securely, or never", func(c *check.Claim) {
		c.Show(ref)
		c.Expect("renegotiation_info in its hello, or no TLS below 1.3", fmt.Sprintf("%s; renegotiation_info: %v", a, a.Renegotiation))
		switch {
		case a.Kind == verdict.Accepted && a.Renegotiation:
		case (a.Kind == verdict.Refused || a.Kind == verdict.Incompatible) && s.last == tlshello.TLS13:
		case a.Kind == verdict.Accepted:
			c.Unknown(verdict.ReasonAmbiguous, "the server does not say how it renegotiates (RFC 5746); whether it does at all is not shown")
		default:
			c.Unknown(verdict.ReasonAmbiguous, "it could not be asked: %s", a)
		}
	})
}
