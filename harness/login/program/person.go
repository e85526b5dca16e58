package program

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// Ask puts a question to a person and gives the line that they answer. What it is
// asked holds a credential: it is shown on a terminal and nowhere else.
type Ask func(ctx context.Context, question string) (string, error)

// ByPerson makes a runner of somebody who tries a login by hand: in an app, at a
// keypad. What tells them where. The word says what the DUT did, and as of a program it
// counts for nothing without what the DUT showed, which they write down.
//
// The password that is secret is not shown before they ask for it: whoever owns the
// unit knows it. Its errors hold no question, and so no credential.
func ByPerson(ask Ask, what, secret string) Runner {
	return func(ctx context.Context, r Run) error {
		ctx, cancel := context.WithTimeout(ctx, r.Timeout)
		defer cancel()
		q, ok := r.Request.(request)
		if !ok {
			return fmt.Errorf("a person is asked for %T", r.Request)
		}
		switch to := r.Answer.(type) {
		case *answer:
			if q.Op != opLogin { // nobody keeps a session open at a keypad
				*to = answer{Kind: verdict.Unproven, Detail: errNoSession.Error()}
				return nil
			}
			a, err := tryByHand(ctx, ask, what, secret, q)
			if err != nil {
				return &hushed{part: r.Part, err: err}
			}
			*to = a
		case *output:
			*to = output{Kind: verdict.Incompatible, Detail: "a person runs no commands"}
		case *closed:
			yes := true
			to.Closed = &yes
		}
		return nil
	}
}

// words are how somebody says what the DUT did.
var words = map[string]verdict.Kind{
	"in": verdict.Accepted, "set": verdict.Restricted, "no": verdict.Refused, "locked": verdict.LockedOut, "wait": verdict.Throttled,
	"nothing": verdict.Silent, "gone": verdict.Unreachable, "cannot": verdict.Incompatible,
}

// oftenAsked is how often somebody is asked again whose word nobody knows.
const oftenAsked = 3

const choices = "in, set (only to set a password), no, locked, wait (not now), nothing (no answer), gone (not there), cannot (it takes no such thing)"

func tryByHand(ctx context.Context, ask Ask, what, secret string, q request) (answer, error) {
	shown := q.Password == nil || *q.Password != secret || secret == ""
	for range oftenAsked {
		text, err := ask(ctx, question(what, q, shown))
		if err != nil {
			return answer{}, err
		}
		word := strings.ToLower(strings.TrimSpace(text))
		if word == "show" && !shown {
			shown = true
			if text, err = ask(ctx, question(what, q, shown)); err != nil {
				return answer{}, err
			}
			word = strings.ToLower(strings.TrimSpace(text))
		}
		kind, ok := words[word]
		if !ok {
			continue
		}
		a := answer{Kind: kind, Detail: "the person at the bench says: " + word}
		if kind == verdict.Silent || kind == verdict.Unreachable || kind == verdict.Incompatible {
			return a, nil
		}
		if a.Evidence, err = ask(ctx, "Write what the DUT shows now, word for word:"); err != nil {
			return answer{}, err
		}
		a.Evidence = strings.TrimSpace(a.Evidence)
		return a, nil
	}
	return answer{}, fmt.Errorf("answered %d times with none of the words that were asked for", oftenAsked)
}

// question says what to try. A credential is quoted, so that a blank at its end shows.
func question(what string, q request, shown bool) string {
	var with []string
	if q.User != nil {
		with = append(with, fmt.Sprintf("user %q", *q.User))
	}
	switch {
	case q.Password == nil:
	case !shown:
		with = append(with, "the owner's password (write show to see it)")
	default:
		with = append(with, fmt.Sprintf("password %q", *q.Password))
	}
	return fmt.Sprintf("Log in by %s, %s. What does the DUT do? %s:", cmp.Or(what, q.Login), cmp.Or(strings.Join(with, ", "), "without any login: is it open to anybody"), choices)
}

// hushed is an error of asking, without the question.
type hushed struct {
	part wire.Part
	err  error
}

func (h *hushed) Error() string {
	switch {
	case errors.Is(h.err, context.DeadlineExceeded):
		return string(h.part) + ": nobody answered in time"
	case errors.Is(h.err, context.Canceled):
		return string(h.part) + ": the question was taken back"
	}
	return string(h.part) + ": the person at the bench gave no answer that counts"
}

func (h *hushed) Unwrap() error { return h.err }
