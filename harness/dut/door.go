package dut

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"rigor/harness/beside"
	"rigor/harness/login"
	"rigor/harness/login/ssh"
	"rigor/harness/login/tap"
	"rigor/harness/profile"
	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// Errors on which a caller decides.
var (
	// ErrNotWired says that the rig has no such instrument.
	ErrNotWired = errors.New("the rig has none")
	// ErrNotDeclared says that the profile does not say.
	ErrNotDeclared = errors.New("the profile does not say")
	// ErrLost says that the DUT does not show itself as it must.
	ErrLost = errors.New("the DUT is lost")
	// ErrOtherUnit says that another unit is on the rig.
	ErrOtherUnit = errors.New("another unit is on the rig")
)

// IsFault says whether err is trouble of a part of the rig.
func IsFault(err error) bool {
	_, ok := wire.AsFault(err)
	return ok
}

// Door is one login of the DUT: a channel with its prober.
type Door struct {
	name string
	d    *Device
	decl *profile.Login
	err  error // why there is none; given by every use
	open func(ctx context.Context, dialer wire.Dialer) (prober, error)
}

// prober is what every protocol's prober can do.
type prober interface {
	login.Prober
	login.Opener
}

// Name gives the channel's name: "ssh".
func (o *Door) Name() string { return o.name }

// Decl gives what the profile declares of the login; never nil.
func (o *Door) Decl() *profile.Login {
	if o.decl == nil {
		return &profile.Login{}
	}
	return o.decl
}

// Protocol gives "ssh", "telnet", "http-form" …
func (o *Door) Protocol() string { return o.Decl().Protocol }

// Owner gives the owner's credential.
func (o *Door) Owner() (login.Credential, error) {
	if o.err != nil {
		return login.Credential{}, o.err
	}
	pw, err := o.d.Secret(o.decl.Owner.Password)
	if err != nil {
		return login.Credential{}, fmt.Errorf("login %s: the owner's password: %w", o.name, err)
	}
	return login.Credential{User: o.decl.Owner.User, Password: pw}, nil
}

// With gives the attempt to open the door with a credential.
func (o *Door) With(c login.Credential) func(ctx context.Context) (Answer, error) {
	return func(ctx context.Context) (Answer, error) { return o.Try(ctx, c) }
}

// Try makes one attempt. The error is the rig's own trouble.
func (o *Door) Try(ctx context.Context, c login.Credential) (Answer, error) {
	out, err := o.Outcome(ctx, c)
	if err != nil {
		return Answer{}, err
	}
	return answer(out), nil
}

// Outcome makes one attempt and gives all that the prober learned.
func (o *Door) Outcome(ctx context.Context, c login.Credential) (login.Outcome, error) {
	p, err := o.prober(ctx, nil)
	if errors.Is(err, wire.ErrNobody) {
		return login.Outcome{Kind: verdict.Unreachable, Detail: err.Error()}, nil
	}
	if err != nil {
		return login.Outcome{}, err
	}
	if !c.Anonymous() {
		if err := o.askFirst(ctx, p); err != nil {
			return login.Outcome{}, err
		}
	}
	out, err := p.Try(ctx, c)
	if err != nil {
		return out, fmt.Errorf("login %s as %s: %w", o.name, c, err)
	}
	if c.Anonymous() {
		o.d.webs.first(o.webPlace(), out.Kind)
		err = o.alone(ctx, p, &out)
		return out, err
	}
	if out.Sent {
		o.d.webs.first(o.webPlace(), verdict.Unproven) // from now on nobody knows
	}
	o.another(&out, c)
	return out, nil
}

// another judges the shell of somebody else: what shows the owner's access, often the
// owner's own name, need not be told to root. That a command of ours ran is enough.
// So it is with the login of a lesser account that a web service lets in.
// The owner's own try is judged by what is declared alone.
func (o *Door) another(out *login.Outcome, c login.Credential) {
	in := out.Facts[login.FactRan] != "" || out.Facts[login.FactTaken] != ""
	if out.Kind == verdict.Unproven && in && c.User != o.decl.Owner.User {
		out.Set(verdict.Accepted, "for somebody else than the owner %s", out.Detail)
	}
}

// TryAtOnce makes one attempt with each credential, all of them at the same time
// and each with a prober of its own, and gives the answers in their order. It
// returns when none is left running. The error is the rig's own trouble, of the
// first that met some; a console has one wire, and takes no two at a time.
func (o *Door) TryAtOnce(ctx context.Context, cs []login.Credential) ([]Answer, error) {
	answers := make([]Answer, len(cs))
	errs := beside.All(len(cs), func(i int) (err error) {
		answers[i], err = o.Try(ctx, cs[i])
		return err
	})
	for i, err := range errs {
		if err != nil {
			return answers, fmt.Errorf("%d of %d tries at once: %w", i+1, len(cs), err)
		}
	}
	return answers, nil
}

// Open logs in and stays. Access is nil unless the answer opens.
func (o *Door) Open(ctx context.Context, c login.Credential) (login.Access, Answer, error) {
	p, err := o.prober(ctx, nil)
	if errors.Is(err, wire.ErrNobody) {
		return nil, Answer{Kind: verdict.Unreachable, Detail: err.Error()}, nil
	}
	if err != nil {
		return nil, Answer{}, err
	}
	if err := o.askFirst(ctx, p); err != nil {
		return nil, Answer{}, err
	}
	a, out, err := p.Open(ctx, c)
	if err != nil {
		return nil, Answer{}, fmt.Errorf("login %s as %s: %w", o.name, c, err)
	}
	return a, answer(out), nil
}

// Overheard gives the same door, and the ear that hears every byte that goes
// over the network through it. A console has no network.
func (o *Door) Overheard() (*Door, *tap.Dialer, error) {
	if o.err != nil {
		return nil, nil, o.err
	}
	d, err := o.d.Dialer()
	if err != nil {
		return nil, nil, err
	}
	cp, ear, inner := *o, tap.New(d, 0), o.open
	cp.open = func(ctx context.Context, _ wire.Dialer) (prober, error) { return inner(ctx, ear) }
	return &cp, ear, nil
}

func (o *Door) prober(ctx context.Context, d wire.Dialer) (prober, error) {
	if o.err != nil {
		return nil, o.err
	}
	if d == nil {
		var err error
		if d, err = o.d.Dialer(); err != nil && o.decl.Protocol != "console" && !o.decl.Aside() {
			return nil, err
		}
	}
	return o.open(ctx, d)
}

// answer is the judgement of an outcome, for a claim.
func answer(o login.Outcome) Answer {
	return Answer{Kind: o.Kind, Detail: o.Detail, Raw: o.Evidence, Took: o.Took, Unsent: !o.Sent}
}

// Methods gives the ways in which the door takes a password: for SSH the
// methods that the server offers to this user, for everything else one. The
// first is the one that Try uses.
func (o *Door) Methods(ctx context.Context, user string) ([]string, error) {
	if o.Protocol() != "ssh" {
		return []string{o.Protocol()}, nil
	}
	p, err := o.prober(ctx, nil)
	if err != nil {
		return nil, err
	}
	offered, _, err := p.(*ssh.Prober).Methods(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("login %s: which methods there are: %w", o.name, err)
	}
	var out []string
	for _, m := range []string{ssh.Password, ssh.KeyboardInteractive} {
		if slices.Contains(offered, m) {
			out = append(out, m)
		}
	}
	return out, nil
}

// OtherMethods gives the ways in which the door takes a password beside the one
// that Try uses: a server that takes it in two ways may check it in two ways.
func (o *Door) OtherMethods(ctx context.Context, user string) ([]string, error) {
	all, err := o.Methods(ctx, user)
	return all[min(len(all), 1):], err
}

// By gives the same door by one of its methods.
func (o *Door) By(method string) *Door {
	if o.err != nil || o.Protocol() != "ssh" {
		return o
	}
	cp := *o
	cp.open = func(ctx context.Context, dial wire.Dialer) (prober, error) { return o.d.ssh(ctx, o.decl, dial, method) }
	return &cp
}

// Refusals gives the kinds of answer that are a refusal on this door, as
// declared: a refusal by the protocol, and silence where the protocol has no other.
func (o *Door) Refusals() []verdict.Kind {
	if r := o.Decl().Refusal; r != "" {
		return []verdict.Kind{verdict.Refused, r}
	}
	return []verdict.Kind{verdict.Refused}
}
