package console

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"rigor/harness/console/expect"
	"rigor/harness/wire"
)

// Login is how a DUT asks for a login on its console, as its maker declares it.
// User and Shell are needed. Prompts hold only at the end of what the DUT sent:
// one without a quiet of its own gets PromptQuiet.
type Login struct {
	User     expect.Pattern // prompt for the user name
	Password expect.Pattern // prompt for the password
	Shell    expect.Pattern // prompt of who is in

	Refused    []expect.Pattern // words for a plain no
	Locked     []expect.Pattern // words for an account or line that is locked
	Throttled  []expect.Pattern // words for "not now"
	Restricted []expect.Pattern // words for one who is let in to set a password only

	// Abort leaves a password prompt without a try; Ctrl-C where it is empty.
	Abort []byte
	// Patience is how long a prompt may take until Enter asks for it again: the
	// kernel may have written over it. 5 s where it is not positive, since
	// login(1) holds a refusal back for 3 s. Never at a password prompt, where
	// Enter would be a try.
	Patience time.Duration
	// Logout ends a session; "exit" where it is empty.
	Logout string
}

// Identity is what one try offers. A blank password is one that is sent, empty.
type Identity struct {
	User, Password string
	NoUser         bool // look only whether the console is open
	NoPassword     bool // stop where a password is asked for
	// AtPrompt says that the DUT has just answered with the login prompt, as
	// after a try whose reply was Again, so that Enter need not ask for it. It
	// counts only if the prompt is still the last that came.
	AtPrompt bool
}

// Reply is what a DUT answers to a try.
type Reply string

// The replies.
const (
	// LoggedIn: the shell's prompt came, and came again when asked.
	LoggedIn Reply = "logged in"
	// StoodOpen: the shell's prompt was there before anything was offered.
	StoodOpen Reply = "stood open"
	// Again: the DUT asks for a login again, or says no in declared words.
	Again Reply = "asked again"
	// IsLocked, IsThrottled, MustSet: declared words came.
	IsLocked    Reply = "locked"
	IsThrottled Reply = "throttled"
	MustSet     Reply = "must set a password"
	// Unclear: something came that no declared pattern knows.
	Unclear Reply = "unclear"
	// Nothing: not a byte came.
	Nothing Reply = "silent"
)

// Outcome is what came of one try. The bytes that back it are [From, To) of the
// transcript; they hold what the DUT echoes, and so perhaps the password.
type Outcome struct {
	Reply    Reply
	Offered  bool   // the last thing that was to be offered was sent
	Asked    bool   // the DUT asked for a password
	Words    string // what the DUT said that decided, as text
	From, To Cursor
}

const (
	defaultPatience = 5 * time.Second
	ctrlC           = "\x03"
)

func (l Login) patience() time.Duration {
	if l.Patience > 0 {
		return l.Patience
	}
	return defaultPatience
}

// Try offers id once and says what the DUT answered. That the DUT falls silent,
// or says what nobody declared, until ctx ends is an Outcome, so give each try a
// deadline of its own. The error is trouble of the rig (a *wire.Fault), the end
// of the console, or a ctx that was cancelled.
func (l Login) Try(ctx context.Context, t Talker, id Identity) (Outcome, error) {
	if !l.User.Valid() || !l.Shell.Valid() {
		return Outcome{}, errors.New("console login: the prompts for user and shell are not declared")
	}
	o := Outcome{From: t.Mark()}
	err := l.try(ctx, t, id, &o)
	o.To = t.Mark()
	if _, rig := wire.AsFault(err); err == nil || rig || !errors.Is(err, context.DeadlineExceeded) {
		return o, err
	}
	text, err := t.Excerpt(o.From, o.To)
	if err != nil {
		return o, err
	}
	o.Reply = Unclear
	if len(text) == 0 {
		o.Reply = Nothing
	}
	for _, p := range l.Refused {
		if o.Offered && holds(t, o.From, p) {
			o.Reply, o.Words = Again, p.Name()
		}
	}
	return o, nil
}

func (l Login) try(ctx context.Context, t Talker, id Identity, o *Outcome) error {
	if id.NoUser || !id.AtPrompt || !atPrompt(t, l.User) {
		if over, err := l.greet(ctx, t, id, o); over || err != nil {
			return err
		}
	}
	at, err := t.SendLine(ctx, id.User)
	if err != nil {
		return err
	}
	o.From = at // how the prompt was got is no part of the answer
	o.Offered = id.NoPassword
	m, err := l.named(ctx, t, at, id.User)
	if err != nil {
		return err
	}
	if l.role(m) == rolePassword {
		o.Asked = true
		if id.NoPassword {
			o.Reply = Again
			return l.leave(ctx, t)
		}
		if at, err = t.SendLine(ctx, id.Password, Secret()); err != nil {
			return err
		}
		o.Offered = true
		if m, err = l.answer(ctx, t, at); err != nil {
			return err
		}
	}
	o.Words = string(m.Text)
	if o.Reply = l.reply(l.role(m)); o.Reply != LoggedIn {
		return nil
	}
	// A message of the day can end like a prompt.
	sure, cancel := context.WithTimeout(ctx, l.patience())
	defer cancel()
	if _, err := Confirm(sure, t, l.Shell); err != nil {
		if !errors.Is(err, ErrTimeout) {
			return err
		}
		o.Reply = Unclear
	}
	return nil
}

// named waits for what the DUT answers to a user's name. A login prompt in front
// of the name's echo is an older one that was still on its way: it says nothing
// of the name, and where nothing else comes the try was not answered.
func (l Login) named(ctx context.Context, t Talker, at Cursor, user string) (Match, error) {
	m, err := l.answer(ctx, t, at)
	for err == nil && l.role(m) == roleUser && l.Password.Valid() && user != "" {
		text, terr := t.Since(at)
		if terr != nil {
			return m, terr
		}
		if before := text[:min(int(max(m.From-at, 0)), len(text))]; bytes.Contains(expect.Plain(before), []byte(user)) {
			return m, nil
		}
		turn, cancel := context.WithTimeout(ctx, l.patience())
		next, nerr := t.Expect(turn, m.To, l.patterns(true)...)
		cancel()
		m, err = next, nerr
	}
	return m, err
}

// leave gets away from a password prompt without a try, and waits for the
// prompt that comes of it, so that the next try does not take it for its own.
func (l Login) leave(ctx context.Context, t Talker) error {
	at, err := t.Send(ctx, l.abort())
	if err != nil {
		return err
	}
	turn, cancel := context.WithTimeout(ctx, min(l.patience(), abortPatience))
	defer cancel()
	_, err = t.Expect(turn, at, prompt(l.User, "the login prompt"))
	if ctx.Err() == nil && errors.Is(err, ErrTimeout) { // the next try asks for it
		return nil
	}
	return err
}

// abortPatience is how long the prompt behind an abort is waited for.
const abortPatience = time.Second

// greet asks for the login prompt, and says whether the try is over with what
// came.
func (l Login) greet(ctx context.Context, t Talker, id Identity, o *Outcome) (bool, error) {
	m, err := l.Ready(ctx, t)
	if err != nil {
		return true, err
	}
	switch role := l.role(m); {
	case role == roleShell:
		o.Reply, o.Offered = StoodOpen, id.NoUser
	case role != roleUser:
		o.Reply, o.Words = l.reply(role), string(m.Text)
	case id.NoUser:
		o.Reply, o.Offered = Again, true
	default:
		return false, nil
	}
	return true, nil
}

// Ready brings the console to a prompt: the user's, or the shell's if it stands
// open. Words that tell of a lock end it too. The error is as Expect's.
//
// A DUT that answers each Enter alike, and by no prompt that is known, is not
// waited for to the end: ErrTimeout, after maxAlike of them. One of which not a byte
// came may be held by flow control: it is let go once, by XON.
func (l Login) Ready(ctx context.Context, t Talker) (Match, error) {
	var last string
	alike, patience := 0, l.patience()
	begin, held := t.Mark(), true
	for n := 0; ; n++ {
		if held && n > 0 && t.Mark() == begin {
			m, err := l.letGo(ctx, t, n)
			if err == nil && l.role(m) != rolePassword || ctx.Err() != nil || err != nil && !errors.Is(err, ErrTimeout) {
				return m, err
			}
			held = false
		}
		send := func() (Cursor, error) { return t.SendLine(ctx, "") }
		if atPrompt(t, l.Password) {
			// Somebody left it there. Enter would be a try with a blank password.
			send = func() (Cursor, error) { return t.Send(ctx, l.abort()) }
		}
		at, err := send()
		if err != nil {
			return Match{}, err
		}
		turn, cancel := context.WithTimeout(ctx, patience)
		// Some logins take the Enter for a user without a name, and ask for a
		// password at once.
		m, err := t.Expect(turn, at, l.patterns(n < maxAborts)...)
		cancel()
		if err == nil && l.role(m) == rolePassword {
			continue
		}
		if err == nil || ctx.Err() != nil || !errors.Is(err, ErrTimeout) {
			return m, err
		}
		text, terr := t.Since(at)
		if terr != nil {
			return m, terr
		}
		if said := strings.TrimSpace(string(expect.Plain(text))); said != last {
			last, alike = said, 0
			if said != "" { // whoever answers, answers soon
				patience = min(patience, answersWithin)
			}
		} else if alike++; alike >= maxAlike && said != "" {
			return m, err
		}
	}
}

// XON lets a console go that holds its output back, for an XOFF that somebody typed or
// that a wire made of noise. A console without flow control takes it for a key, so it is
// sent only where nothing else gives an answer. In a boot it goes right behind XOFF (Ctrl-S),
// for which some boot ROMs listen: that is never sent alone.
const (
	XON  = "\x11"
	XOFF = "\x13"
)

// letGo sends XON, and waits for what was held.
func (l Login) letGo(ctx context.Context, t Talker, n int) (Match, error) {
	at, err := t.Send(ctx, []byte(XON))
	if err != nil {
		return Match{}, err
	}
	turn, cancel := context.WithTimeout(ctx, HeldWithin)
	defer cancel()
	return t.Expect(turn, at, l.patterns(n < maxAborts)...)
}

// HeldWithin is how long a console is waited for that XON may have let go: what it held
// comes at once.
const HeldWithin = 500 * time.Millisecond

// maxAlike is how often the same answer to Enter, which no pattern knows, comes
// again before it is taken for all that will come.
const maxAlike = 2

// answersWithin is how long a DUT is waited for that has answered an Enter already.
const answersWithin = 1500 * time.Millisecond

// maxAborts is how often a password prompt that comes up unasked is left at
// once; one that comes back whatever is sent gets the patience of any other.
const maxAborts = 3

// LogOut ends the session and waits for the user's prompt. The error is as
// Expect's.
func (l Login) LogOut(ctx context.Context, t Talker) error {
	line := l.Logout
	if line == "" {
		line = "exit"
	}
	at, err := t.SendLine(ctx, line)
	if err != nil {
		return err
	}
	for {
		turn, cancel := context.WithTimeout(ctx, l.patience())
		_, err = t.Expect(turn, at, prompt(l.User, "the login prompt"))
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, ErrTimeout) {
			return err
		}
		// Some consoles wait for a key ("Please press Enter to activate").
		if _, err := t.SendLine(ctx, ""); err != nil {
			return err
		}
	}
}

// answer waits for what the DUT answers from at on. Where nothing is known by
// the end of the patience, a password prompt that was written over counts, and
// otherwise Enter asks once for a prompt that was.
func (l Login) answer(ctx context.Context, t Talker, at Cursor) (Match, error) {
	turn, cancel := context.WithTimeout(ctx, l.patience())
	m, err := t.Expect(turn, at, l.patterns(true)...)
	cancel()
	if err == nil || ctx.Err() != nil || !errors.Is(err, ErrTimeout) {
		return m, err
	}
	asks := l.Password.Prompt(0) // anywhere in the text
	if holds(t, at, asks) {
		m, err := t.Expect(ctx, at, asks.Wanted())
		m.Index = len(l.patterns(true)) - 1
		return m, err
	}
	if t.Mark() > at {
		if _, err := t.SendLine(ctx, ""); err != nil {
			return Match{}, err
		}
	}
	return t.Expect(ctx, at, l.patterns(true)...)
}

func (l Login) abort() []byte {
	if len(l.Abort) > 0 {
		return l.Abort
	}
	return []byte(ctrlC)
}

// role is what a pattern of the dialogue stands for.
type role int

const (
	roleNone role = iota
	roleLocked
	roleThrottled
	roleMustSet
	roleShell
	rolePassword
	roleUser
)

// script gives the patterns of the dialogue with their roles: words before
// prompts.
func (l Login) script() (patterns []expect.Pattern, roles []role) {
	add := func(r role, ps ...expect.Pattern) {
		for _, p := range ps {
			patterns, roles = append(patterns, p.Wanted()), append(roles, r)
		}
	}
	add(roleLocked, l.Locked...)
	add(roleThrottled, l.Throttled...)
	add(roleMustSet, l.Restricted...)
	add(roleShell, prompt(l.Shell, "the shell's prompt"))
	add(roleUser, prompt(l.User, "the login prompt"))
	add(rolePassword, prompt(l.Password, "the password prompt"))
	return patterns, roles
}

// patterns gives the patterns of the dialogue; the password prompt, the last
// of them, only where it can come.
func (l Login) patterns(password bool) []expect.Pattern {
	ps, _ := l.script()
	if !password {
		ps = ps[:len(ps)-1]
	}
	return ps
}

func (l Login) role(m Match) role {
	_, roles := l.script()
	return roles[m.Index]
}

func (l Login) reply(r role) Reply {
	switch r {
	case roleLocked:
		return IsLocked
	case roleThrottled:
		return IsThrottled
	case roleMustSet:
		return MustSet
	case roleShell:
		return LoggedIn
	case roleUser, rolePassword:
		return Again
	}
	return Unclear
}
