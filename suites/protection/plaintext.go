package protection

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/capture"
	"rigor/harness/check"
	"rigor/harness/dut"
	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/profile"
	"rigor/harness/verdict"
	"rigor/suites/secrets"
)

// Plaintext: while an owner uses the device, nothing secret crosses the network in
// clear: not his passwords, not what he has it store, not what shows that he is logged
// in. Heard is all that the unit says on the wire, to others too, where the link shows
// its frames and the rig file has its hardware address; else the rig's own connections.
var Plaintext = check.Check{
	ID:    "dat-plaintext",
	Title: "Nothing secret crosses the network in clear",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.DP1, en303645.V3("5.5-6"), en303645.V3("5.5-7"), en303645.V3("5.8-1"), en303645.V3("5.8-2"), en18031.Code("SCM-3")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.LoginTries}, // and what is stored, where config is allowed
	Budget: check.Budget{Case: 5 * time.Minute},
	Cases:  check.Planner(check.Device).With(check.NeedsNetwork, needsHeard),
	Run: func(ctx context.Context, t *check.T) {
		l := &listener{t: t, logins: heardLogins(t.Input()), rng: t.Rand()}
		l.secrets, l.gaps = secrets.OfUnit(t)
		scenes := l.scenes()
		defer func() { l.keep() }() // also of a case that ends in its middle
		check.Refute(ctx, t, "no secret is in a frame of the scenario, in any encoding", check.Negative[scene]{
			Control: l.hears,
			Anti: func(ctx context.Context) (dut.Answer, error) {
				return l.play(ctx, l.clearLine(l.marker()), []secrets.Secret{{Name: "what was never sent", Value: t.Secret("never sent", 20), Piece: secrets.DrawnPiece}}, false)
			},
			Probes:  scenes,
			Try:     func(ctx context.Context, s scene) (dut.Answer, error) { return l.play(ctx, s, l.secrets, true) },
			Name:    func(s scene) string { return s.name },
			Refusal: []verdict.Kind{verdict.Refused},
			Channel: "the network",
			Opened:  verdict.ReasonLeak,
		})
		l.claim()
	},
}

// heardLogins gives the logins whose protection is declared, and that the rig can hear.
func heardLogins(in check.Input) (out []string) {
	for _, name := range check.LoginChannels(in.Profile) {
		if l := in.Profile.Logins.Items[name]; l != nil && !l.Declared() && l.Protocol != "console" && !l.Aside() && !l.Transport.Declared() && l.Owner.User+l.Owner.Password != "" {
			out = append(out, name)
		}
	}
	return out
}

// needsHeard: there is a login by which an owner uses the device over the network, and
// that is not declared to be without protection.
func needsHeard(in check.Input, _ *check.Case) *verdict.Judgement {
	if len(heardLogins(in)) > 0 {
		return nil
	}
	none := DeclaredBare(in.Profile)
	switch {
	case in.Profile.Logins.Declared():
		return check.DeclaredNone(in.Profile.Logins.None.None)
	case none != "":
		return check.DeclaredNone("no login over the network is declared to be protected: " + none)
	case slices.ContainsFunc(check.LoginChannels(in.Profile), func(n string) bool {
		l := in.Profile.Logins.Items[n]
		return l != nil && l.Aside()
	}):
		return check.RigLacks("what a program sends does not pass by the rig's ear")
	}
	return check.NotDeclared("the profile declares no login over the network with its owner: there is nothing to listen to")
}

// DeclaredBare gives why nothing protects the logins over the network, where each is
// declared to be without; "" else.
func DeclaredBare(p *profile.Profile) string {
	var why string
	for _, name := range check.LoginChannels(p) {
		l := p.Logins.Items[name]
		switch {
		case l == nil:
			return ""
		case l.Declared(), l.Protocol == "console":
		case l.Transport.Declared():
			why = l.Transport.None.None
		default:
			return ""
		}
	}
	return why
}

// scene is a part of what an owner does.
type scene struct {
	name string
	// run does it over a device that is heard. An answer that is not accepted is the
	// device's, and leaves nothing to listen to.
	run func(ctx context.Context, d *dut.Device) (dut.Answer, error)
}

// listener is the ear of a case.
type listener struct {
	t       *check.T
	rng     *rand.Rand
	logins  []string
	secrets []secrets.Secret
	gaps    []string

	frames   []capture.Frame // of all scenes
	comments map[int]string
	scope    string
	cut      bool
	text     strings.Builder
	found    string // where the first secret stands
	kept     *journal.Ref
}

// fileName is the evidence in which frames are cited.
const fileName = "scenario.pcapng"

// play runs a scene and looks through what was heard meanwhile: for secrets, and for
// heads that say who is logged in, which the device may send to others at any time.
func (l *listener) play(ctx context.Context, s scene, list []secrets.Secret, heads bool) (dut.Answer, error) {
	begun := time.Now()
	d, ear, err := l.t.Device().Heard(ctx)
	if err != nil {
		return dut.Answer{}, err
	}
	defer func() { l.t.OK(ear.Close()) }()
	a, err := s.run(ctx, d)
	frames, cut := ear.Frames()
	first := len(l.frames)
	l.frames, l.cut, l.scope = append(l.frames, frames...), l.cut || cut, ear.Scope()
	fmt.Fprintf(&l.text, "%s: frames %d to %d\n", s.name, first+1, first+len(frames))
	if err != nil {
		return a, err
	}
	streams := capture.Streams(frames)
	total := 0
	for _, st := range streams {
		total += len(st.Data)
		if what, at, found := leak(st, list, heads); found {
			n := first + st.Frame(at)
			l.comment(n, "here: "+what)
			a.Kind, a.Detail = verdict.Accepted, fmt.Sprintf("frame %d of %s, from %s to %s: %s", n, fileName, st.From, st.To, what)
			return a, nil
		}
	}
	a.Took = time.Since(begun)
	switch {
	case a.Kind != verdict.Accepted:
		a.Kind, a.Detail = verdict.Incompatible, "it could not be done, so nothing was to be heard: "+a.Detail
	case cut:
		a.Kind, a.Detail = verdict.Silent, "more went over the network than was kept"
	case total == 0:
		a.Kind, a.Detail = verdict.Silent, "nothing was heard at all"
	default:
		a.Kind, a.Detail = verdict.Refused, fmt.Sprintf("none of %d secrets in %d bytes of %d streams", len(list), total, len(streams))
	}
	return a, nil
}

// loggedIn is what shows a web service who is logged in, in a request in clear.
var loggedIn = regexp.MustCompile(`(?im)^(?:authorization|proxy-authorization|cookie):[^\r\n]*`)

// leak looks for secrets in a stream, and says where the first stands.
func leak(s *capture.Stream, list []secrets.Secret, heads bool) (what string, at int, found bool) {
	if what, found = secrets.Find(s.Data, list); found {
		for _, sec := range list {
			for _, enc := range escape.Encodings(sec.Value) {
				if i := bytes.Index(s.Data, enc.Bytes); i >= 0 {
					return what, i, true
				}
			}
		}
		return what, 0, true
	}
	if m := loggedIn.FindIndex(s.Data); heads && m != nil {
		name, _, _ := bytes.Cut(s.Data[m[0]:m[1]], []byte(":"))
		return fmt.Sprintf("a request in clear has the head %q, which says who is logged in", name), m[0], true
	}
	return "", 0, false
}

func (l *listener) comment(frame int, text string) {
	if l.comments == nil {
		l.comments = map[int]string{}
	}
	l.comments[frame] = text
	if l.found == "" {
		l.found = fmt.Sprintf("frame %d", frame)
	}
}

// clearLine is a line in clear to a service of the DUT.
func (l *listener) clearLine(text string) scene {
	port := l.t.Device().Login(l.logins[0]).Decl().Port
	return scene{fmt.Sprintf("a line of the rig's in clear to port %d", port), func(ctx context.Context, d *dut.Device) (dut.Answer, error) {
		return d.SayClear(ctx, port, "rigor "+base64.StdEncoding.EncodeToString([]byte(text)))
	}}
}

// marker is a text that nobody else says. It is no secret, so that a record shows it.
func (l *listener) marker() string {
	m, _, _ := secrets.Marker(l.rng, &profile.Store{})
	return m
}

// hears is the control: a marker that is sent to the DUT in clear, in base64, is found
// by the same search in the same capture.
func (l *listener) hears(ctx context.Context) (dut.Answer, error) {
	m := l.marker()
	found := l.found
	a, err := l.play(ctx, l.clearLine(m), []secrets.Secret{{Name: "the marker of the control", Value: m, Piece: secrets.DrawnPiece}}, false)
	l.found = found
	if err == nil && a.Kind == verdict.Refused {
		a.Kind, a.Detail = verdict.Silent, "a marker that was sent in clear is not found in what was heard"
	}
	return a, err
}

// scenes gives what the owner does: he writes and reads what the device stores, logs in
// everywhere, and looks at the ports that are not protected.
func (l *listener) scenes() (out []scene) {
	p := l.t.Profile()
	if !p.Stores.Declared() && len(p.Stores.Order) == 0 {
		l.gaps = append(l.gaps, "the profile does not say what the device stores (stores)")
	}
	for _, name := range p.Stores.Order {
		s := p.Stores.Items[name]
		if s.Declared() || !s.IsSecret() {
			continue
		}
		if !slices.Contains(l.t.Input().Allow, check.Configure) {
			l.gaps = append(l.gaps, fmt.Sprintf("store %s is not written: the rig file does not allow config", name))
			continue
		}
		m, piece, ok := secrets.Marker(l.rng, s)
		if !ok || len(s.Plant) == 0 {
			l.gaps = append(l.gaps, fmt.Sprintf("store %s takes no marker that could be told from chance", name))
			continue
		}
		l.secrets = append(l.secrets, secrets.Secret{Name: "what was put into store " + name, Value: m, Piece: piece})
		out = append(out, scene{"store " + name + " is written and read", func(ctx context.Context, d *dut.Device) (dut.Answer, error) {
			l.t.Note("store %s holds a marker from now on", name)
			vars, err := d.Steps(ctx, s.Plant, map[string]string{"marker": m})
			if err == nil && len(s.Read) > 0 {
				vars["marker"] = m
				_, err = d.Steps(ctx, s.Read, vars)
			}
			return dut.Answer{Kind: verdict.Accepted, Detail: "it was written"}, err
		}})
	}
	for _, name := range l.logins {
		out = append(out, scene{"the owner logs in to " + name, func(ctx context.Context, d *dut.Device) (dut.Answer, error) {
			own, err := d.Login(name).Owner()
			if err != nil {
				return dut.Answer{}, err
			}
			return l.t.Try(ctx, d.Login(name), own)
		}})
		for _, port := range p.Logins.Items[name].Transport.Clear {
			sc := scene{fmt.Sprintf("what port %d says in clear", port), func(ctx context.Context, d *dut.Device) (dut.Answer, error) { return l.looks(ctx, d, port) }}
			if strings.HasPrefix(p.Logins.Items[name].Protocol, "http") && !slices.ContainsFunc(out, func(o scene) bool { return o.name == sc.name }) {
				out = append(out, sc)
			}
		}
	}
	return out
}

// looks reads what a port without protection says to whoever asks. A closed one says
// nothing.
func (l *listener) looks(ctx context.Context, d *dut.Device, port int) (a dut.Answer, err error) {
	paths := []string{"/"}
	requests := slices.Clone(l.t.Profile().Routes.Open)
	for _, r := range l.t.Profile().Routes.Protected {
		requests = append(requests, r.Request)
	}
	for _, r := range requests {
		if method, path, ok := strings.Cut(r, " "); ok && method == "GET" && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	for _, path := range paths {
		if a, err = d.RequestClear(ctx, port, "GET", path); err != nil {
			return a, err
		}
		if a.Kind == verdict.Unreachable {
			break
		}
	}
	if a.Kind == verdict.Unreachable {
		// That the DUT is there is shown by the controls: a line that it took.
		a.Detail = "the port takes no connection"
		return dut.Answer{Kind: verdict.Accepted, Detail: a.Detail}, l.shut(ctx, d)
	}
	return dut.Answer{Kind: verdict.Accepted, Detail: a.Detail}, nil
}

// shut says something to the DUT beside a port that is closed, so that the scene has
// something in it that was heard.
func (l *listener) shut(ctx context.Context, d *dut.Device) error {
	_, err := l.clearLine("the port beside is closed").run(ctx, d)
	return err
}

// keep writes what was heard, without the rig's own passwords.
func (l *listener) keep() journal.Ref {
	if l.kept != nil {
		return *l.kept
	}
	for _, st := range capture.Streams(l.frames) {
		for _, s := range l.secrets {
			if strings.HasPrefix(s.Name, "what was put") { // a marker: it is what a finding shows
				continue
			}
			for _, enc := range escape.Encodings(s.Value) {
				for from := 0; ; from += len(enc.Bytes) {
					i := bytes.Index(st.Data[from:], enc.Bytes)
					if i < 0 {
						break
					}
					from += i
					st.Blank(l.frames, from, len(enc.Bytes))
				}
			}
		}
	}
	f := l.t.File(fileName, "what was heard while the owner used the device; his passwords are blanked", "application/x-pcapng")
	l.t.OK(capture.Write(f, "rig", l.scope, l.frames, l.comments))
	l.t.OK(f.Close())
	ref := f.Ref()
	l.kept = &ref
	return ref
}

// claim says what was heard, and what was not.
func (l *listener) claim() {
	ref := l.t.Keep("scenes.txt", "which frames of "+fileName+" are of which scene, and what is heard", []byte(l.text.String()+l.scope+"\n"))
	l.t.Claim("the whole scenario was heard", func(c *check.Claim) {
		c.Show(ref, l.keep())
		got := fmt.Sprintf("%d frames: %s", len(l.frames), l.scope)
		if l.found != "" {
			got = l.found + " shows a secret; " + got
		}
		c.Expect("all frames of the scenario that the rig can hear", got)
		switch {
		case l.cut:
			c.Unknown(verdict.ReasonCoverageGap, "more went over the network than was kept")
		case len(l.frames) == 0:
			c.Unknown(verdict.ReasonNoEvidence, "nothing was heard")
		case len(l.gaps) > 0:
			c.Unknown(verdict.ReasonCoverageGap, "%s", strings.Join(l.gaps, "; "))
		}
	})
}
