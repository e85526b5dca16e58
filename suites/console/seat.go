package console

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rigor/harness/check"
	hc "rigor/harness/console"
	"rigor/harness/console/expect"
	"rigor/harness/dut"
	"rigor/harness/escape"
	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

const (
	// patience is how long a prompt may take to come. No password is offered, so
	// no refusal is held back: it is the time of a login that starts anew.
	patience = 2 * time.Second
	// glance is how long a key that need not be answered is waited for. What is
	// later comes with the Enter behind it.
	glance = 120 * time.Millisecond

	ctrlC    = "\x03"
	killLine = "\x15"
)

// seat is the console under test and what shows that it is connected: the
// owner's login on it, or a declared answer.
type seat struct {
	t    *check.T
	con  *dut.Console
	door *dut.Door // nil where no login is declared on the console
	own  login.Credential

	login, password expect.Pattern // not valid where none is declared
	inside          []expect.Pattern
}

// sit takes the case's console.
func sit(t *check.T) *seat {
	con, err := t.Device().Console(t.Case().Channel)
	t.OK(err)
	decl := con.Decl()
	s := &seat{t: t, con: con, inside: insidePrompts(decl)}
	if p, ok := dut.Pattern("the login prompt", decl.Login); ok {
		s.login = waits(p)
	}
	if p, ok := dut.Pattern("the password prompt", decl.Password); ok {
		s.password = waits(p)
	}
	if name := loginOn(t.Profile(), con.Name()); name != "" {
		s.door = t.Device().Login(name)
		s.own, err = s.door.Owner()
		t.OK(err)
	}
	return s
}

// loginOn gives the login that is declared on a console with its owner.
func loginOn(p *profile.Profile, console string) string {
	for _, name := range p.Logins.Order {
		l := p.Logins.Items[name]
		if l != nil && !l.Declared() && l.Protocol == "console" && l.Console == console && l.Owner.Password != "" {
			return name
		}
	}
	return ""
}

// Needs of the checks of this suite.
var (
	// needsWay: something shows that what we send arrives.
	needsWay check.Need = func(in check.Input, c *check.Case) *verdict.Judgement {
		con := in.Profile.Consoles.Items[c.Channel]
		if con == nil {
			return check.NotDeclared("the profile does not say what console %s is", c.Channel)
		}
		switch on := loginOn(in.Profile, c.Channel); {
		case on == "" && con.Answer.Declared():
			if con.Silent {
				return check.RigLacks("nothing shows that the wire of console %s is connected: it is declared silent, and to answer nothing", c.Channel)
			}
			return check.DeclaredNone(con.Answer.None.None)
		case on == "" && !answers(con):
			return check.NotDeclared("nothing shows that what we send reaches console %s: declare a login on it with its owner, or answer: {send, expect}, or none where it takes no input", c.Channel)
		case on != "" && (con.Login.Zero() || con.Shell.Zero()):
			return check.NotDeclared("login %s is on console %s, and the console does not declare its prompts (login, shell)", on, c.Channel)
		}
		return nil
	}
	// needsEar: something shows that what the console says is heard: a way in, or a
	// boot where it takes no input.
	needsEar check.Need = func(in check.Input, c *check.Case) *verdict.Judgement {
		con := in.Profile.Consoles.Items[c.Channel]
		if con == nil || con.Silent || !con.Answer.Declared() || loginOn(in.Profile, c.Channel) != "" {
			return needsWay(in, c)
		}
		return needsBoot(in, c)
	}
	// needsSpeech: the console is not declared silent. What is checked on one
	// that speaks, con-silent checks on the others.
	needsSpeech = check.OfConsole(func(con *profile.Console) *verdict.Judgement {
		if con.Silent {
			return check.DeclaredNone("the console is declared silent; con-silent sends it keys, in its boot too, and shows that nothing comes")
		}
		return nil
	})
	// needsBoot: the end of a boot is declared, and not declared absent.
	needsBoot = check.OfConsole(func(con *profile.Console) *verdict.Judgement {
		switch {
		case con.Boot.Declared():
			return check.DeclaredNone(con.Boot.None.None)
		case con.Boot.Done.Zero():
			return check.NotDeclared("the console does not declare the end of a boot (boot.done)")
		}
		return nil
	})
)

func answers(con *profile.Console) bool { return con.Answer.Send != "" && !con.Answer.Expect.Zero() }

// identity says which unit it is. How often it was booted does not count here:
// these checks boot it themselves.
func identity(t *check.T) func(context.Context) (string, error) { return t.Device().ReadIdentity }

// owner is the control: the owner is let in on this very console, which shows
// both of its directions, and leaves. Where it has no login, the declared
// answer comes.
func (s *seat) owner(ctx context.Context) (dut.Answer, error) {
	if s.door == nil {
		return s.answer(ctx)
	}
	if a, err := s.ready(ctx); err != nil || a.Kind != verdict.Accepted {
		return a, err
	}
	return s.door.Try(ctx, s.own)
}

// ready brings the console to its login prompt, over a wire that is clean:
// Accepted then.
func (s *seat) ready(ctx context.Context) (dut.Answer, error) {
	if !s.at(s.login) {
		if a, err := s.settle(ctx); err != nil || a.Kind != verdict.Refused {
			a.Kind = closed(a.Kind)
			return a, err
		}
	}
	return s.clean(ctx)
}

const (
	cleanRounds  = 2
	cleanLetters = 100 // getty's of small devices take 128
)

// clean shows that the wire loses and changes nothing: letters that are typed at
// the login prompt come back as they were, and are taken back. Somebody else's
// words may stand between. On a wire that garbles, a login opens by chance now
// and then, and what else is seen or not seen says nothing. A console without an
// echo cannot show it.
func (s *seat) clean(ctx context.Context) (dut.Answer, error) {
	ok := dut.Answer{Kind: verdict.Accepted}
	rng := s.t.Rand()
	for range cleanRounds {
		word := make([]byte, cleanLetters)
		for i := range word {
			word[i] = byte('a' + rng.IntN(26))
		}
		p, err := expect.Text(string(word))
		if err != nil {
			return ok, err
		}
		at, err := s.con.Send(ctx, word)
		if err != nil {
			return ok, err
		}
		if _, err := s.con.Await(ctx, at, 4*glance, p); err != nil && !late(ctx, err) {
			return ok, err
		}
		raw, err := s.con.Since(at)
		if err != nil {
			return ok, err
		}
		if a, err := s.settle(ctx); err != nil || a.Kind != verdict.Refused {
			a.Kind = closed(a.Kind)
			return a, err
		}
		if kept := inOrder(word, raw); len(raw) > cleanLetters/2 && kept < len(word) {
			return dut.Answer{Kind: verdict.Garbled, Detail: fmt.Sprintf("of %d letters that were typed at the login prompt only %d came back as they were: the wire is not clean", len(word), kept), Raw: login.Cut(raw)}, nil
		}
	}
	return ok, nil
}

// inOrder gives how many bytes of word stand in text, in their order.
func inOrder(word, text []byte) int {
	n := 0
	for _, b := range text {
		if n < len(word) && word[n] == b {
			n++
		}
	}
	return n
}

// closed is how an answer counts for a control that was to get in by its login
// and found something else.
func closed(k verdict.Kind) verdict.Kind {
	if k.Opens() || k == verdict.Refused {
		return verdict.Unproven
	}
	return k
}

// answerRounds is how often the declared answer has to come, each time: a wire
// that loses a byte now and then can lose the one that would have told.
const answerRounds = 8

// answer asks for the declared answer.
func (s *seat) answer(ctx context.Context) (dut.Answer, error) {
	start := time.Now()
	decl := s.con.Decl().Answer
	want, ok := dut.Pattern("the declared answer", decl.Expect)
	if !ok {
		return dut.Answer{}, fmt.Errorf("how console %s answers: %w", s.con.Name(), dut.ErrNotDeclared)
	}
	for n := range answerRounds {
		at, err := s.con.Send(ctx, []byte(decl.Send))
		if err != nil {
			return dut.Answer{}, err
		}
		_, err = s.con.Await(ctx, at, time.Second, want)
		if late(ctx, err) && s.con.Mark() == at {
			_, err = s.letGo(ctx, want)
		}
		if late(ctx, err) {
			a, err := s.said(at, verdict.Silent, "the declared answer did not come, after %d times that it did", n)
			return a, err
		}
		if err != nil {
			return dut.Answer{}, err
		}
	}
	return dut.Answer{Kind: verdict.Accepted, Detail: fmt.Sprintf("the declared answer came %d times of %d", answerRounds, answerRounds), Took: time.Since(start)}, nil
}

// late says whether a wait ended by its own time, and not by the case's. A very
// short one may be over before it reaches the console.
func late(ctx context.Context, err error) bool {
	return (errors.Is(err, hc.ErrTimeout) || errors.Is(err, context.DeadlineExceeded)) && ctx.Err() == nil
}

// said makes an answer of what came since a cursor.
func (s *seat) said(from hc.Cursor, k verdict.Kind, format string, args ...any) (dut.Answer, error) {
	raw, err := s.con.Since(from)
	return dut.Answer{Kind: k, Detail: fmt.Sprintf(format, args...), Raw: login.Cut(raw)}, err
}

// settle brings the console to its login prompt, whatever was typed before:
// Refused when it is there, Accepted when something else answers.
func (s *seat) settle(ctx context.Context) (dut.Answer, error) {
	from := s.con.Mark()
	if !s.at(s.password) {
		if _, err := s.con.Send(ctx, []byte(killLine)); err != nil {
			return dut.Answer{}, err
		}
	}
	if _, err := s.enter(ctx); err != nil {
		return dut.Answer{}, err
	}
	return s.outcome(ctx, from, patience)
}

// at says whether what came last ends with a prompt.
func (s *seat) at(p expect.Pattern) bool {
	if !p.Valid() {
		return false
	}
	tail, err := s.con.Since(max(0, s.con.Mark()-1024))
	if err != nil {
		return false
	}
	set := expect.NewSet(0, 0, p)
	if _, ok := set.Feed(tail); ok {
		return true
	}
	_, ok := set.End()
	return ok
}

// enter asks for a prompt. At a password prompt Enter would be a try: that one
// is left.
func (s *seat) enter(ctx context.Context) (hc.Cursor, error) {
	if s.at(s.password) {
		return s.con.Send(ctx, []byte(ctrlC))
	}
	return s.con.SendLine(ctx, "")
}

// key is what is typed at a console, and how long an answer may take until
// Enter asks for one.
type key struct {
	name  string
	bytes string
	enter bool // behind the bytes, in the console's own newline
	wait  time.Duration
}

// try types a key and says what comes of it. Accepted: something answers
// without a login. Refused: the login prompt comes back.
func (s *seat) try(ctx context.Context, k key) (dut.Answer, error) {
	start := time.Now()
	if !s.at(s.login) { // each key is typed at a known prompt
		if a, err := s.settle(ctx); err != nil || a.Kind != verdict.Refused {
			return a, err
		}
	}
	from, err := s.typed(ctx, k)
	if err != nil {
		return dut.Answer{}, err
	}
	a, err := s.outcome(ctx, from, k.wait)
	a.Took = time.Since(start)
	return a, err
}

func (s *seat) typed(ctx context.Context, k key) (hc.Cursor, error) {
	if k.enter {
		return s.con.SendLine(ctx, k.bytes)
	}
	return s.con.Send(ctx, []byte(k.bytes))
}

// turns is how often the console is asked again before it is given up.
const turns = 4

// outcome says where the console is, by what comes from a cursor on. A password
// prompt is left without a try; where nothing comes, Enter asks for a prompt.
func (s *seat) outcome(ctx context.Context, from hc.Cursor, wait time.Duration) (dut.Answer, error) {
	at, asked := from, false
	for range turns {
		m, err := s.con.Await(ctx, at, wait, s.prompts()...)
		if late(ctx, err) && asked && s.con.Mark() == from {
			// A wire that carries nothing is not asked again and again, but that
			// its end may be held by flow control.
			if m, err = s.letGo(ctx, s.prompts()...); late(ctx, err) && s.con.Mark() == from {
				return dut.Answer{Kind: verdict.Silent, Detail: "not a byte came"}, nil
			}
		}
		asked = asked || wait >= patience
		wait = patience
		switch {
		case late(ctx, err):
			at, err = s.enter(ctx)
		case err != nil:
		case m.Pattern.Name() == s.login.Name():
			return s.said(from, verdict.Refused, "the login prompt comes back")
		case m.Pattern.Name() == s.password.Name():
			at, err = s.con.Send(ctx, []byte(ctrlC))
		default:
			a, sure, cerr := s.confirmed(ctx, from, m)
			if sure || cerr != nil {
				return a, cerr
			}
			at, err = s.enter(ctx)
		}
		if err != nil {
			return dut.Answer{}, err
		}
	}
	if s.con.Mark() == from {
		return dut.Answer{Kind: verdict.Silent, Detail: "not a byte came"}, nil
	}
	return s.said(from, verdict.Garbled, "no prompt came that is declared or known")
}

// letGo lets a console go that holds its output back, and waits for what it held.
func (s *seat) letGo(ctx context.Context, ps ...expect.Pattern) (hc.Match, error) {
	at, err := s.con.Send(ctx, []byte(hc.XON))
	if err != nil {
		return hc.Match{}, err
	}
	m, err := s.con.Await(ctx, at, hc.HeldWithin, ps...)
	if s.con.Mark() != at {
		s.t.Note("console %s held its output back, and was let go by XON", s.con.Name())
	}
	return m, err
}

// prompts gives what can come: the declared ways to be asked who one is first.
func (s *seat) prompts() []expect.Pattern {
	var ps []expect.Pattern
	for _, p := range []expect.Pattern{s.login, s.password} {
		if p.Valid() {
			ps = append(ps, p)
		}
	}
	return append(ps, s.inside...)
}

// confirmed says whether what looks like a prompt is one: Enter, of which the
// echo is none, makes it come again. A shell is asked to join two words
// besides; a menu is not, since each letter may be a choice.
func (s *seat) confirmed(ctx context.Context, from hc.Cursor, m hc.Match) (dut.Answer, bool, error) {
	at, err := s.con.SendLine(ctx, "")
	if err != nil {
		return dut.Answer{}, false, err
	}
	again, err := s.con.Await(ctx, at, patience, append([]expect.Pattern{m.Pattern}, s.prompts()...)...)
	if late(ctx, err) || err == nil && again.Index != 0 {
		return dut.Answer{}, false, nil
	}
	if err != nil {
		return dut.Answer{}, false, err
	}
	what := fmt.Sprintf("%s answers without a login: %s came, and came again at Enter", m.Pattern.Name(), escape.Excerpt(string(m.Text), 60))
	if m.Pattern.Name() != anyMenu.Name() && s.joins(ctx) {
		what += "; it ran a command of ours"
	}
	if e, err := s.con.Excerpted(max(0, from), again.To, visible); err == nil {
		s.t.Excerpt(e)
	}
	a, err := s.said(from, verdict.Accepted, "%s", what)
	return a, true, err
}

// joins says whether a command of ours runs: what it prints stands nowhere in
// what was typed.
func (s *seat) joins(ctx context.Context) bool {
	word := s.t.Secret("joined", 12)
	at, err := s.con.SendLine(ctx, "echo "+word[:6]+"''"+word[6:])
	if err != nil {
		return false
	}
	p, err := expect.Text(word)
	if err != nil {
		return false
	}
	_, err = s.con.Await(ctx, at, time.Second, p)
	return err == nil
}

// visible makes a piece of the transcript readable.
func visible(b []byte) string { return escape.Transcript(string(b)) }

// leave brings the console back to its login after a case, by its own means
// first, and by a cold boot where they do not help.
func leave(ctx context.Context, t *check.T) {
	s := sit(t)
	if !s.login.Valid() {
		return
	}
	for range 3 {
		a, err := s.settle(ctx)
		t.OK(err)
		if a.Kind == verdict.Refused {
			return
		}
		if a.Kind == verdict.Silent {
			break
		}
		_, err = s.con.SendLine(ctx, "exit")
		t.OK(err)
	}
	t.Note("the console does not come back to its login; switching the power off and on")
	t.OK(t.Device().PowerCycle(ctx))
}
