package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"rigor/harness/login"
	"rigor/harness/verdict"
)

// Known is what wrong logins were answered with. It spares the DUT further wrong
// logins: one Known is for all probers of one login.
type Known struct {
	mu    sync.Mutex
	wrong map[string]bool
}

// NewKnown makes an empty one.
func NewKnown() *Known { return &Known{wrong: map[string]bool{}} }

func (k *Known) has(answer string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.wrong[answer]
}

func (k *Known) add(answer string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wrong[answer] = true
}

// doubt is why a no may be none, and what the answer would be then.
type doubt struct {
	kind  verdict.Kind // Restricted or Unproven
	why   string
	given string // what came with the answer to the login: "token", "cookie"; empty for nothing
}

// refused is for a login after which the protected page was denied: whether it was the
// login that was refused is asked by settle, where something speaks against it.
func (v *visit) refused(ctx context.Context, c login.Credential, r reached, given string, o *login.Outcome) error {
	if o.Kind != verdict.Refused {
		return nil
	}
	v.place = r.answer.place()
	shown := []string{v.reply, given, v.place, fmt.Sprint(v.p.sets(r.answer.body))}
	if v.p.refusal(r.answer.status) { // its page may say what for
		shown = append(shown, sum(r.answer.body, c))
	}
	v.print = strings.ReplaceAll(strings.Join(shown, "\n"), orNone(c.User), "")
	if v.asWrong {
		return nil
	}
	d, err := v.doubts(ctx, r, c, given)
	if d != nil {
		d.given = given
	}
	v.doubt = d
	return err
}

// doubts holds a no against what somebody without a login is answered with; nil where
// nothing speaks against it.
func (v *visit) doubts(ctx context.Context, r reached, c login.Credential, given string) (*doubt, error) {
	shut := v.p.refusal(r.answer.status) && r.answer.status != http.StatusUnauthorized
	if !r.unsure && !shut && given == "" {
		return nil, nil
	}
	path := v.p.cfg.Protected.Path
	if r.unsure || shut {
		nobody, err := v.visitor().reach(ctx)
		if err != nil {
			return nil, err
		}
		sets := v.p.sets(r.answer.body)
		alike := nobody.kind == r.kind && nobody.answer.place() == r.answer.place() && v.p.sets(nobody.answer.body) == sets
		switch {
		case alike && r.unsure:
		case alike && sum(nobody.answer.body, c) == sum(r.answer.body, c):
		case r.unsure && sets:
			return &doubt{kind: verdict.Restricted, why: fmt.Sprintf("%s leads to where a password has to be set (%s), and nobody but who is logged in there", path, r.answer.url.Path)}, nil
		case r.unsure:
			return &doubt{kind: verdict.Unproven, why: fmt.Sprintf("%s leads to a page with a field for a password (%s), and nobody but who is logged in there", path, r.answer.url.Path)}, nil
		default:
			return &doubt{kind: verdict.Unproven, why: fmt.Sprintf("%s answered %d, and otherwise to who is not logged in (%s)", path, r.answer.status, nobody.why)}, nil
		}
	}
	if given == "" {
		return nil, nil
	}
	return &doubt{kind: verdict.Unproven, why: fmt.Sprintf("the login was answered with a %s, and %s", given, r.why)}, nil
}

// settle decides on a no of which something says that it is none, by a login that is
// surely wrong: at first of a user that nobody has, whose answer is kept; where that is
// another, of the same user. What is answered as they are is refused. Each of them has
// the time of a try.
func (v *visit) settle(ctx context.Context, c login.Credential, o *login.Outcome) error {
	if v.doubt == nil || v.p.known.has(shape(c)+v.print) || v.p.known.has(own(c)+v.print) {
		return nil
	}
	for _, other := range wrongs(c) {
		w, ko, err := v.p.wrongly(ctx, other.c)
		if err != nil {
			w.end()
			return err
		}
		if ko.Kind != verdict.Refused {
			w.end()
			o.Set(verdict.Unproven, "%s; a login that is surely wrong, to hold it against, was not refused: %s", v.doubt.why, ko.Detail)
			return nil
		}
		if w.print == v.print {
			w.end()
			v.p.known.add(other.key + v.print)
			o.Set(verdict.Refused, "%s, as to a login that is surely wrong", o.Detail)
			return nil
		}
		if other.last {
			err = v.taken(ctx, w, o)
		}
		w.end()
		if err != nil {
			return err
		}
	}
	o.Set(v.doubt.kind, "%s; a login that is surely wrong is answered otherwise", v.doubt.why)
	return nil
}

// taken notes what shows that the login was let in: what it was given opens another
// answer than a wrong login has, or another page.
func (v *visit) taken(ctx context.Context, w *visit, o *login.Outcome) error {
	switch v.p.cfg.Scheme {
	case Form, JSON:
		if v.doubt.given != "" && v.place != w.place {
			o.Fact(login.FactTaken, v.doubt.given)
		}
		return nil
	}
	win, cancel := login.Window(ctx, v.p.cfg.Timeout)
	defer cancel()
	front := request{method: http.MethodGet, url: v.p.base, follow: false}
	for i, as := range []*visit{v, w} {
		var a *answer
		var err error
		if as.credential != nil {
			a, err = as.digestSend(win, front)
		} else {
			a, err = as.send(win, front)
		}
		if err != nil {
			return login.Rig(ctx, err) // what the DUT does not answer shows nothing
		}
		if opens := a.status >= 200 && a.status < 300; opens != (i == 0) || !opens && !v.p.refusal(a.status) {
			return nil
		}
	}
	o.Fact(login.FactTaken, front.url.Path)
	return nil
}

// wrongly makes a login that is surely wrong; its visit is for the caller to end.
func (p *Prober) wrongly(ctx context.Context, c login.Credential) (*visit, login.Outcome, error) {
	win, cancel := login.Window(ctx, p.cfg.Timeout)
	defer cancel()
	v, o := p.newVisit(), login.Outcome{}
	v.asWrong = true
	if err := v.try(win, c, &o); err != nil {
		if rig := login.Rig(ctx, err); rig != nil {
			return v, o, fmt.Errorf("web %s: a login that is surely wrong: %w", p.cfg.Address, rig)
		}
		v.broken(&o, err)
	}
	return v, o, nil
}

// wrong is a login that is surely wrong, and the key under which its answer is kept.
type wrong struct {
	c    login.Credential
	key  string
	last bool
}

// wrongs gives the logins that one is held against. A blank password stays one: many
// devices look it up nowhere, and answer in a way of its own.
func wrongs(c login.Credential) []wrong {
	same := c
	same.Password, same.NoPassword = rand.Text(), false
	if c.NoUser {
		return []wrong{{same, shape(c), true}}
	}
	other := c
	other.User = "u" + strings.ToLower(rand.Text()[:12])
	if c.Password != "" {
		other.Password = rand.Text()
	}
	return []wrong{{other, shape(c), false}, {same, own(c), true}}
}

// shape tells apart the logins that a device may answer in ways of their own.
func shape(c login.Credential) string {
	return fmt.Sprintf("%t %t %t %t\n", c.NoUser, c.NoPassword, c.User == "", c.Password == "")
}

func own(c login.Credential) string { return fmt.Sprintf("%q\n", c.User) }

// visitor is somebody without a login, on the same connections.
func (v *visit) visitor() *visit { return v.p.visitOn(v.track, v.transport) }

// cookies gives what the visit would send with the request for the protected page.
func (v *visit) cookies() string {
	var out []string
	for _, c := range v.jar.Cookies(v.protected().url) {
		if c.Value != "" {
			out = append(out, c.String())
		}
	}
	return strings.Join(out, "; ")
}

// sets says whether a page has a form that sets a password, and none to log in with.
func (p *Prober) sets(page []byte) bool {
	_, err := findForm(page, &FormLogin{Extra: p.cfg.Form.Extra})
	return errors.Is(err, errNewForm)
}

// place gives where an answer came from, and its status.
func (a *answer) place() string { return fmt.Sprintf("%d %s", a.status, a.url.Path) }

// sum sums a page up by what does not differ between two answers of a kind, and
// without the name that was tried.
func sum(page []byte, c login.Credential) string {
	page = bytes.ReplaceAll(page, []byte(orNone(c.User)), nil)
	return fmt.Sprintf("%x", sha256.Sum256(differing().ReplaceAll(page, nil)))
}

// orNone gives a name that is long enough to be told from other text, and else a text
// that no page has.
func orNone(name string) string {
	if len(name) < 3 {
		return "\x00\x00\x00"
	}
	return name
}
