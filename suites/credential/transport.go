package credential

import (
	"bytes"
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
	"rigor/harness/escape"
	"rigor/harness/login"
	"rigor/harness/login/tap"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// transportDeclared is the need of the check of the wire: a console has none.
var transportDeclared = check.OfLogin(func(l *profile.Login) *verdict.Judgement {
	switch {
	case l.Protocol == "console":
		return check.DeclaredNone("a console is a wire of its own; nothing of it crosses a network")
	case l.Transport.Declared():
		return check.DeclaredNone(l.Transport.None.None)
	case l.Aside():
		return check.RigLacks("what a program or a person sends does not pass by the rig's ear")
	}
	return nil
})

// crossing is one way in which the owner's password may cross the wire.
type crossing struct {
	what string
	port int // a further port, in clear; 0: the login as declared
}

// Transport: whoever listens on the wire does not learn the password.
var Transport = check.Check{
	ID:    "cred-transport",
	Title: "The password does not cross the wire in clear",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.DP1, en303645.V3("5.5-6"), en303645.V3("5.5-7"), en18031.Code("SCM-3")},
		baseline.Local:   {nist8259a.DP1},
	},
	From:   states.Onboarded.State,
	Effect: check.Reads,
	Allow:  []check.Leave{check.LoginTries},
	Budget: check.Budget{Case: time.Minute},
	Cases:  check.Planner(check.PerLogin).With(check.NeedsOwner, transportDeclared),
	Run: func(ctx context.Context, t *check.T) {
		door := t.Device().Login(t.Case().Channel)
		own := owner(t, door)
		probes := []crossing{{what: "the owner's login, as declared"}}
		for _, port := range door.Decl().Transport.Clear {
			probes = append(probes, crossing{fmt.Sprintf("the same login in clear on port %d", port), port})
		}
		// listen logs in and looks whether a text was among the bytes.
		listen := func(ctx context.Context, d *dut.Door, text string) (dut.Answer, error) {
			d, ear, err := d.Overheard()
			if err != nil {
				return dut.Answer{}, err
			}
			a, err := d.Try(ctx, own)
			if err != nil {
				return a, err
			}
			return heard(ear, a, text), nil
		}
		check.Refute(ctx, t, "the owner's password is not among the bytes on the wire", check.Negative[crossing]{
			// The ear is shown to hear: the login opens, and what the protocol
			// itself says in clear is found by the same search.
			Control: func(ctx context.Context) (dut.Answer, error) {
				return hears(ctx, door, own.User, listen)
			},
			Anti:   func(ctx context.Context) (dut.Answer, error) { return listen(ctx, door, t.Secret("never sent", 16)) },
			Probes: probes,
			Try: func(ctx context.Context, c crossing) (dut.Answer, error) {
				if c.port == 0 {
					return listen(ctx, door, own.Password)
				}
				return clear(ctx, t, door, c.port)
			},
			Name:    func(c crossing) string { return c.what },
			Refusal: []verdict.Kind{verdict.Refused},
			Opened:  verdict.ReasonLeak,
		})
		if d := door.Decl(); d.Protocol != "ssh" && d.Protocol != "snmp" && !d.Transport.Given { // these have no clear twin
			t.Claim("the login is not taken in clear on another port", func(c *check.Claim) {
				c.Unknown(verdict.ReasonProfileMissing, "the profile does not say on which further ports it could be (transport: {clear: []} where there are none)")
			})
		}
	},
}

// greetings is what each protocol says in clear, whatever comes after: it
// shows that the ear hears.
var greetings = map[string][][]byte{
	"ssh":    {[]byte("SSH-2.0-")},
	"telnet": {[]byte{0xff}, []byte("ogin")},
	"tls":    {{0x16, 0x03}}, // a handshake record, RFC 8446 5.1
	"http":   {[]byte("HTTP/1.")},
	"mqtt":   {[]byte("MQTT")},
	"ftp":    {[]byte("220")},
	"redis":  {[]byte("\r\nAUTH\r\n")},
	"rtsp":   {[]byte("RTSP/1.")},
	// The version of the message, and behind it the community or a head (RFC 1157,
	// RFC 3412).
	"snmp": {{0x02, 0x01, 0x01, 0x04}, {0x02, 0x01, 0x00, 0x04}, {0x02, 0x01, 0x03, 0x30}},
}

// hears is the control: the login opens, and its greeting is heard.
func hears(ctx context.Context, door *dut.Door, _ string, listen func(context.Context, *dut.Door, string) (dut.Answer, error)) (dut.Answer, error) {
	kind := door.Protocol()
	if door.Decl().TLS {
		kind = "tls"
	} else if greetings[kind] == nil {
		kind = "http"
	}
	var last dut.Answer
	for _, g := range greetings[kind] {
		a, err := listen(ctx, door, string(g))
		if err != nil || a.Kind == verdict.Accepted {
			return a, err
		}
		last = a
	}
	last.Detail = "the ear on the wire does not hear the protocol's own greeting: " + last.Detail
	return last, nil
}

// heard gives Accepted when the text was among the bytes in any encoding,
// Refused when it was not, and the login's own answer when that did not open:
// then nothing was sent that could have been heard.
func heard(ear *tap.Dialer, login dut.Answer, text string) dut.Answer {
	if login.Kind != verdict.Accepted {
		return dut.Answer{Kind: verdict.Incompatible, Detail: "the owner did not get in, so nothing was to be heard: " + login.Detail, Raw: login.Raw}
	}
	total := 0
	for _, r := range ear.Records() {
		sent, received, cut := r.Bytes()
		total += len(sent) + len(received)
		for _, enc := range escape.Encodings(text) {
			for _, stream := range [][]byte{sent, received} {
				if bytes.Contains(stream, enc.Bytes) {
					return dut.Answer{Kind: verdict.Accepted, Detail: "heard on the wire, as " + enc.Name}
				}
			}
		}
		if cut {
			return dut.Answer{Kind: verdict.Silent, Detail: "more went over the wire than was kept"}
		}
	}
	if total == 0 {
		return dut.Answer{Kind: verdict.Silent, Detail: "nothing was heard on the wire at all"}
	}
	return dut.Answer{Kind: verdict.Refused, Detail: fmt.Sprintf("not among %d bytes on the wire", total), Took: login.Took}
}

// clear tries the same login in clear on another port. A port that takes no
// password keeps it off the wire, and so does a closed one, where the state's
// services do not name it: one that has to be open and is not was closed by
// somebody else.
func clear(ctx context.Context, t *check.T, door *dut.Door, port int) (dut.Answer, error) {
	own, door := owner(t, door), t.Device().Variant(door.Name(), port, false)
	o, err := door.Outcome(ctx, own)
	a := dut.Answer{Kind: o.Kind, Detail: o.Detail, Raw: o.Evidence, Took: o.Took}
	switch {
	case err != nil:
		return a, err
	case a.Kind.Opens():
		a.Detail = "the login is taken in clear: " + a.Detail
		return a, nil
	case o.Sent:
		return looked(ctx, door, own, stranger(t), o, a)
	}
	switch a.Kind {
	case verdict.Incompatible:
		a.Kind = verdict.Refused
	case verdict.Unreachable:
		if s := t.Profile().States.Items[states.Onboarded.Name]; s != nil && len(s.Services) > 0 && !slices.Contains(s.Services, fmt.Sprintf("tcp/%d", port)) {
			a.Kind, a.Detail = verdict.Refused, "no service is declared there, and none answers: "+a.Detail
		}
	}
	return a, nil
}

// looked judges an owner's password that went over the wire in clear and opened
// nothing there. A port that leads everybody to the safe one answers everybody
// alike. One that answers the owner otherwise than a stranger has looked at the
// password: it takes the login, whatever that opens and where.
func looked(ctx context.Context, door *dut.Door, own, nobody login.Credential, o login.Outcome, a dut.Answer) (dut.Answer, error) {
	if o.Facts[login.FactReply] == "" { // no answer came, or the protocol has none of its own
		return a, nil
	}
	other, err := door.Outcome(ctx, nobody)
	if err != nil {
		return a, err
	}
	mine, theirs := withoutNames(own.User, nobody.User, o.Facts[login.FactReply]), withoutNames(own.User, nobody.User, other.Facts[login.FactReply])
	switch {
	case theirs == "":
		a.Kind, a.Detail = verdict.Incompatible, fmt.Sprintf("the owner's login in clear was answered with %s; a stranger's, to compare it with, was not: %s", mine, other.Detail)
	case mine != theirs:
		a.Kind, a.Detail = verdict.Accepted, fmt.Sprintf("the login is taken in clear: the owner's was answered with %s, a stranger's with %s", mine, theirs)
	case a.Kind == verdict.Incompatible && !strings.HasPrefix(mine, "2"): // 2xx to everybody: nobody knows what it took
		a.Kind, a.Detail = verdict.Refused, fmt.Sprintf("owner and stranger were answered with %s: %s", mine, a.Detail)
	}
	return a, nil
}

// withoutNames takes the names that were tried out of an answer, both of them out of
// each: the page itself may be called as the owner is.
func withoutNames(own, nobody, reply string) string {
	return strings.NewReplacer(own, "USER", nobody, "USER").Replace(reply)
}
