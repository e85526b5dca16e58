package telnet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"rigor/harness/login"
	"rigor/harness/login/dialog"
	"rigor/harness/verdict"
)

// session is one connection: first a dialogue for the login, then a shell.
type session struct {
	conn  *stream
	said  *dialog.Stream
	cfg   *Config
	texts login.Texts
	facts map[string]string
	sent  bool
	doubt string // words of a no that a shell's prompt followed; what the shell does decides
}

// asked is what the DUT's words end with.
type asked int

const (
	nothingKnown asked = iota
	forUser
	forPassword
	forCommand
	statement // words of the DUT that decide by themselves
	ended     // the DUT closed the connection
)

// errNothing says that the DUT said something, and nothing that we know.
var errNothing = errors.New("no prompt that is known")

// afterRefusal is how long the prompt behind a refusal is waited for.
const afterRefusal = 500 * time.Millisecond

// next waits until the DUT has fallen quiet after words that we understand,
// and takes them. Kind and words are set for a statement, and for a refusal that a
// shell's prompt follows: a warning to strangers, perhaps.
func (s *session) next(ctx context.Context) (what asked, kind verdict.Kind, words string, err error) {
	patience, refused := s.cfg.Patience, false
	for seen := 0; ; {
		limit, cancel := ctx, context.CancelFunc(func() {})
		if seen > 0 {
			limit, cancel = context.WithTimeout(ctx, patience)
		}
		text, err := s.said.Settle(limit, s.cfg.Quiet, seen)
		cancel()
		plain := dialog.Plain(text)
		kind, words := s.texts.Read(plain, nil)
		what := s.sort(plain)
		if s.sent && kind == verdict.Refused && what == nothingKnown && Asks(text) == AsksCommand {
			what = forCommand // somebody else's shell may have another prompt than the declared one
		}
		if s.sent && kind == verdict.Refused && what == nothingKnown && err == nil && !refused {
			// What follows a refusal belongs to it: the same answer is to look
			// the same on a busy DUT.
			refused, patience, seen = true, min(patience, afterRefusal), len(text)
			continue
		}
		// Before the password went out, a greeting may talk of passwords and of
		// refusals as it likes.
		if s.sent && kind != "" && (kind != verdict.Refused || what != forCommand) || kind == verdict.LockedOut || kind == verdict.Throttled {
			what = statement
		}
		switch {
		case what != nothingKnown:
			s.said.Take()
			return what, kind, words, nil
		case dialog.Ended(err):
			return ended, "", "", err
		case err != nil && ctx.Err() != nil:
			return nothingKnown, "", "", ctx.Err()
		case err != nil:
			s.said.Take()
			return nothingKnown, "", "", errNothing
		}
		seen = len(text)
	}
}

func (s *session) sort(plain []byte) asked {
	switch {
	case news.Match(plain):
		return nothingKnown
	case s.cfg.PasswordPrompt.Match(plain):
		return forPassword
	case s.cfg.UserPrompt.Match(plain):
		return forUser
	case s.cfg.Prompt.Match(plain):
		return forCommand
	}
	return nothingKnown
}

// login leads the dialogue until the DUT has decided, and proves what it
// decided in our favour. An error is a broken exchange.
func (s *session) login(ctx context.Context, c login.Credential, o *login.Outcome) error {
	for first := true; ; first = false {
		what, kind, words, err := s.next(ctx)
		switch {
		case errors.Is(err, errNothing):
			if s.sent || first {
				// Perhaps a shell without a prompt that we know: ask it.
				return s.enter(ctx, false, o)
			}
			o.Set(verdict.Garbled, "the DUT asks nothing that is known: %s", login.Tail(s.said.All(), 120))
			return nil
		case err != nil:
			return err
		case what == statement:
			s.stated(o, kind, words)
			return nil
		case what == forCommand:
			if !s.sent {
				o.Fact(login.FactMethod, "none")
			} else if kind == verdict.Refused {
				s.doubt = words
			}
			return s.enter(ctx, true, o)
		case what == forUser && s.sent:
			o.Set(verdict.Refused, "the DUT asked for the user again")
			return nil
		case what == forUser && c.NoUser:
			o.Sent = true // nothing was all there was to offer
			o.Set(verdict.Refused, "the DUT asks for a user")
			return nil
		case what == forUser && !first:
			o.Sent = c.NoPassword
			o.Set(verdict.Refused, "the DUT asked for the user again, and for no password")
			return nil
		case what == forUser:
			if err := s.conn.line(c.User, s.cfg.Newline); err != nil {
				return err
			}
			o.Fact(login.FactMethod, "user and password")
		case what == forPassword && s.sent:
			o.Set(verdict.Refused, "the DUT asked for the password again")
			return nil
		case what == forPassword && c.NoPassword:
			o.Sent = true
			o.Set(verdict.Refused, "the DUT asks for a password")
			return nil
		case what == forPassword:
			if first {
				o.Fact(login.FactMethod, "password alone")
			}
			if err := s.conn.line(c.Password, s.cfg.Newline); err != nil {
				return err
			}
			s.sent, o.Sent = true, true
		}
	}
}

// stated is for words that decide.
func (s *session) stated(o *login.Outcome, kind verdict.Kind, words string) {
	o.Set(kind, "the DUT said %q", words)
	if kind == verdict.LockedOut || kind == verdict.Throttled {
		o.RetryAfter = login.Wait(s.said.All())
	}
}

// broken is for an exchange that ended without an answer.
func (s *session) broken(o *login.Outcome, err error) {
	all := s.said.All()
	kind, why := login.Broken(err, true)
	switch {
	case kind == verdict.Silent && len(all) > 0:
		o.Set(verdict.Silent, "no answer in time after %s", login.Tail(dialog.Plain(all), 60))
	case kind == verdict.Silent && s.conn.answered():
		o.Set(verdict.Silent, "the DUT negotiated and never asked for anything")
	case s.sent:
		o.Set(kind, "%s, after the credential was sent; last was %s", why, login.Tail(dialog.Plain(all), 60))
	default:
		o.Set(kind, "%s; last was %s", why, login.Tail(dialog.Plain(all), 60))
	}
	if kind == verdict.Unreachable {
		if k, words := s.texts.Read(dialog.Plain(all), nil); k == verdict.LockedOut || k == verdict.Throttled {
			s.stated(o, k, words)
		}
	}
}

// enter asks the shell, if it is one, for the protected resource. Prompted says
// that a prompt was seen which is known as a shell's. Behind one, words of a no are
// about our command: who may not see the resource is in all the same. They are a
// refusal of the login only where the DUT asks for one again, or no shell shows.
func (s *session) enter(ctx context.Context, prompted bool, o *login.Outcome) error {
	marker := dialog.NewMarker()
	command := s.cfg.Command
	if command == "" {
		command = marker.Command("")
	}
	refusal := s.doubt
	s.doubt = ""
	s.said.Take()
	if err := s.conn.line(command, s.cfg.Newline); err != nil {
		return err
	}
	for seen := 0; ; {
		limit, cancel := context.WithTimeout(ctx, s.cfg.Patience)
		text, err := s.said.Settle(limit, s.cfg.Quiet, seen)
		cancel()
		plain := dialog.Plain(text)
		after := dialog.AfterEcho(plain, command)
		_, _, ran := marker.Find(plain)
		proven := s.cfg.Command == "" && ran || s.cfg.Command != "" && s.cfg.Proof.Match(after)
		kind, words := s.texts.Read(after, nil)
		asks := s.sort(after)
		if s.sent && kind == verdict.Refused && !prompted {
			refusal = words
		}
		seen = len(text)
		switch {
		case proven:
			s.said.Take()
			o.Fact(login.FactProof, "shell")
			o.Set(verdict.Accepted, "a shell ran a command")
			if !s.sent {
				o.Detail += ", and no password was asked for"
			}
			return nil
		case kind != "" && kind != verdict.Refused:
			s.stated(o, kind, words)
			return nil
		case asks == forUser, asks == forPassword:
			// What we took for a shell asks for a login: our command was
			// taken for an answer.
			switch {
			case s.sent && (kind != "" || refusal != ""):
				s.stated(o, verdict.Refused, cmp.Or(words, refusal))
			case s.sent:
				o.Set(verdict.Refused, "the DUT asked for a login again")
			default:
				o.Set(verdict.Garbled, "the DUT asks for a login in an unknown way: %s", login.Tail(plain, 120))
			}
			return nil
		case dialog.Ended(err) && refusal != "":
			s.stated(o, verdict.Refused, refusal)
			return nil
		case dialog.Ended(err) && s.sent && kind != "":
			o.Set(verdict.Unproven, "a prompt came, and on our command the DUT said %q and closed the connection", words)
			return nil
		case dialog.Ended(err):
			return err
		case err != nil, s.cfg.Prompt.Match(after) && len(after) < len(plain):
			s.shown(ctx, prompted, refusal, plain, asks == forCommand || Asks(after) == AsksCommand, o)
			return nil
		}
	}
}

// shown judges what does not show the protected resource. Refusal is what may have been
// said to the login; again says that a shell's prompt stands behind our command.
func (s *session) shown(ctx context.Context, prompted bool, refusal string, plain []byte, again bool, o *login.Outcome) {
	silent := len(plain) == 0 && (prompted || s.sent)
	switch {
	case silent && refusal == "":
		o.Set(verdict.Silent, "the DUT fell silent")
		return
	case !prompted && !s.sent:
		o.Set(verdict.Garbled, "the DUT asks nothing that is known: %s", login.Tail(dialog.Plain(s.said.All()), 120))
		return
	}
	o.Set(verdict.Unproven, "the DUT did not ask for a login any more, but no command of ours ran: %s", login.Tail(plain, 120))
	switch {
	case s.cfg.Command != "" && !silent && s.ran(ctx):
		o.Fact(login.FactRan, "yes")
		o.Set(verdict.Unproven, "a shell ran a command, but the protected resource did not show: %s", login.Tail(plain, 120))
	case refusal != "" && !again:
		s.stated(o, verdict.Refused, refusal)
	}
}

// ran says whether a shell runs commands at all, whoever it takes us for.
func (s *session) ran(ctx context.Context) bool {
	marker := dialog.NewMarker()
	s.said.Take()
	if err := s.conn.line(marker.Command(""), s.cfg.Newline); err != nil {
		return false
	}
	limit, cancel := context.WithTimeout(ctx, s.cfg.Patience)
	defer cancel()
	for seen := 0; ; {
		text, err := s.said.Settle(limit, s.cfg.Quiet, seen)
		if _, _, ok := marker.Find(dialog.Plain(text)); ok {
			return true
		}
		if err != nil {
			return false
		}
		seen = len(text)
	}
}

// Proof asks the shell for the protected resource again.
func (s *session) Proof(ctx context.Context) (login.Outcome, error) {
	begun := time.Now()
	win, cancel := login.Window(ctx, s.cfg.Timeout)
	defer cancel()
	o := login.Outcome{Sent: true}
	for k, v := range s.facts {
		o.Fact(k, v)
	}
	err := s.enter(win, true, &o)
	o.Evidence = login.Cut(s.said.All())
	if err != nil {
		if rig := login.Rig(ctx, err); rig != nil {
			return o, rig
		}
		s.broken(&o, err)
	}
	o.Took = time.Since(begun)
	return o, nil
}

// Do runs a command line in the shell and reads its exit status.
func (s *session) Do(ctx context.Context, r login.Request) (login.Response, error) {
	if r.Command == "" {
		return login.Response{}, fmt.Errorf("telnet: %w", login.ErrRequest)
	}
	win, cancel := r.Window(ctx, s.cfg.Timeout)
	defer cancel()
	marker := dialog.NewMarker()
	s.said.Take()
	if err := s.conn.line(marker.Command(r.Command), s.cfg.Newline); err != nil {
		return login.Response{Status: -1}, fmt.Errorf("telnet: send a command: %w", err)
	}
	for seen := 0; ; {
		text, err := s.said.Settle(win, s.cfg.Quiet, seen)
		if out, status, ok := marker.Find(dialog.Plain(text)); ok {
			return login.Response{Status: status, Body: out}, nil
		}
		if err != nil {
			if rig := login.Rig(ctx, err); rig != nil {
				err = rig
			}
			return login.Response{Status: -1, Body: text}, fmt.Errorf("telnet: wait for the end of a command, last was %s: %w", login.Tail(text, 80), err)
		}
		seen = len(text)
	}
}

// Close ends the connection.
func (s *session) Close() error {
	err := s.conn.Close()
	s.said.Wait()
	return err
}
