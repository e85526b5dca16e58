package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"rigor/harness/login"
	"rigor/harness/verdict"
)

// reached is what the protected page answered. Its kind is Accepted (it
// opened; whether it needs a login is asked elsewhere), Refused (it was
// denied), another no, or Garbled (neither opened nor denied).
type reached struct {
	kind   verdict.Kind
	why    string
	unsure bool // Refused by a page with a password's field, of which nobody says that it is the login page
	answer *answer
	wait   time.Duration
}

func (r reached) tell(o *login.Outcome) {
	o.Set(r.kind, "%s", r.why)
	o.RetryAfter = r.wait
	o.Fact(login.FactElsewhere, r.answer.elsewhere)
}

// reach asks for the protected page with what the visit has.
func (v *visit) reach(ctx context.Context) (reached, error) {
	a, err := v.send(ctx, v.protected())
	if err != nil {
		return reached{answer: &answer{}}, err
	}
	return v.read(a), nil
}

func (v *visit) protected() request {
	page := v.p.cfg.Protected
	target, err := v.p.base.Parse(page.Path)
	if err != nil {
		target = v.p.base // New has parsed it; a path cannot change
	}
	return request{method: page.Method, url: target, follow: page.Status < 300 || page.Status > 399}
}

// read judges an answer to the request for the protected page.
func (v *visit) read(a *answer) reached {
	cfg := &v.p.cfg
	page := cfg.Protected
	r := reached{answer: a}
	set := func(k verdict.Kind, format string, args ...any) reached {
		r.kind, r.why = k, fmt.Sprintf(format, args...)
		return r
	}
	moved, asks := !samePage(v.protected().url, a.url), hasPasswordField(a.body)
	if k, why, wait := v.busy(a); k != "" {
		r.wait = wait
		return set(k, "%s: %s", page.Path, why)
	}
	if v.restricted(a) {
		return set(verdict.Restricted, "%s leads to where a password has to be set (%s)", page.Path, a.url.Path)
	}
	matched := page.Pattern == nil && !moved && !asks || page.Pattern != nil && page.Pattern.Match(a.body)
	denied := cfg.Denied != nil && cfg.Denied.Match(a.body)
	words, said := v.p.texts.Read(a.body, v.before)
	switch {
	case a.elsewhere != "":
		return set(verdict.Garbled, "%s leads to another host, %q, which is not followed", page.Path, a.elsewhere)
	case a.status == page.Status && matched && !denied:
		return set(verdict.Accepted, "%s opened", page.Path)
	case words == verdict.LockedOut || words == verdict.Throttled:
		r.wait = login.Wait(a.body)
		return set(words, "%s said %q (status %d)", page.Path, said, a.status)
	case v.p.refusal(a.status):
		return set(verdict.Refused, "%s answered %d", page.Path, a.status)
	case denied:
		return set(verdict.Refused, "%s says that one is not logged in (status %d)", page.Path, a.status)
	case moved && v.p.loginPage(a.url) && !v.p.sets(a.body):
		return set(verdict.Refused, "%s leads to the login page %s", page.Path, a.url.Path)
	case moved && asks:
		r.unsure = true
		return set(verdict.Refused, "%s leads to the login page %s", page.Path, a.url.Path)
	case cfg.Scheme == Form && !moved && page.Pattern != nil && asks:
		r.unsure = true
		return set(verdict.Refused, "%s shows a login form", page.Path)
	case a.status == page.Status && page.Pattern == nil && !moved && asks:
		return set(verdict.Garbled, "%s asks for a password, and the profile does not say what it shows to who is logged in", page.Path)
	case a.status == page.Status && page.Pattern != nil:
		return set(verdict.Garbled, "%s answered %d without what it has to show", page.Path, a.status)
	}
	return set(verdict.Garbled, "%s answered %d from %s: neither open nor denied", page.Path, a.status, a.url.Path)
}

// loginPage says whether an address is the declared page with the form.
func (p *Prober) loginPage(u *url.URL) bool {
	at, err := p.base.Parse(p.cfg.Form.Page)
	return p.cfg.Form.Page != "" && err == nil && samePage(at, u)
}

// busy is for statuses that say "not now", whatever was asked.
func (v *visit) busy(a *answer) (verdict.Kind, string, time.Duration) {
	wait := retryAfter(a.header, time.Now())
	switch a.status {
	case http.StatusLocked: // RFC 4918 section 11.3
		return verdict.LockedOut, "status 423", wait
	case http.StatusTooManyRequests: // RFC 6585 section 4
		if k, said := v.p.texts.Read(a.body, v.before); k == verdict.LockedOut {
			return k, fmt.Sprintf("status 429, %q", said), wait
		}
		return verdict.Throttled, "status 429", wait
	case http.StatusServiceUnavailable: // RFC 9110 section 15.6.4
		return verdict.Throttled, "status 503", wait
	}
	return "", "", 0
}

func (v *visit) restricted(a *answer) bool {
	cfg := &v.p.cfg
	switch {
	case cfg.RestrictedPath != "" && strings.HasPrefix(a.url.Path, cfg.RestrictedPath):
		return true
	case cfg.Restricted != nil && cfg.Restricted.Match(a.body):
		return !cfg.Restricted.Match(v.before)
	}
	return false
}

// anonymous asks for the protected page with nothing.
func (v *visit) anonymous(ctx context.Context, o *login.Outcome) error {
	o.Fact(login.FactMethod, "none")
	o.Sent = true // nothing was all there was to offer
	r, err := v.reach(ctx)
	if err != nil {
		return err
	}
	r.tell(o)
	if r.kind == verdict.Accepted {
		o.Fact(login.FactOpen, "yes")
		o.Detail = v.p.cfg.Protected.Path + " opens without a login"
		if s := v.p.cfg.Scheme; v.p.cfg.Protected.Pattern == nil && (s == Form || s == JSON) && isHTML(r.answer) {
			// An app shows its shell to everybody, and asks for what it shows in it later.
			o.Set(verdict.Unproven, "%s answers who is not logged in with a page, and the profile does not say what it shows to who is", v.p.cfg.Protected.Path)
		}
	}
	return nil
}

// after judges a login of which the answer is known, by asking for the
// protected page in its session.
func (v *visit) after(ctx context.Context, c login.Credential, a *answer, o *login.Outcome) error {
	given := ""
	switch {
	case v.token != "":
		given = "token"
	case v.cookies() != v.shown:
		given = "cookie"
	}
	said, words := v.p.texts.Read(a.body, v.before)
	busy, why, wait := v.busy(a)
	if a.elsewhere != "" {
		o.Fact(login.FactElsewhere, a.elsewhere)
	}
	r, err := v.reach(ctx)
	if err != nil {
		return err
	}
	v.hide(v.token)
	switch {
	case r.kind == verdict.Accepted:
		return v.opened(ctx, o)
	case r.kind == verdict.Restricted || v.restricted(a):
		o.Set(verdict.Restricted, "the login leads to where a password has to be set (%s)", a.url.Path)
	case busy != "":
		o.Set(busy, "the login was answered with %s", why)
		o.RetryAfter = wait
	case said == verdict.LockedOut || said == verdict.Throttled:
		o.Set(said, "the login was answered with %q (status %d)", words, a.status)
		o.RetryAfter = login.Wait(a.body)
	case said == verdict.Restricted && r.kind != verdict.Accepted && v.changedSession(a):
		o.Set(verdict.Restricted, "the login was answered with %q", words)
	case r.kind == verdict.Refused && a.status < 500:
		o.Set(verdict.Refused, "the login was answered with %d, and %s", a.status, r.why)
		plain := said == verdict.Refused && given == "" && v.replied < 300 // it was said to the login itself
		if !plain && !v.p.refusal(v.replied) {
			return v.refused(ctx, c, r, given, o)
		}
	case r.kind == verdict.Garbled && (v.p.refusal(a.status) || said == verdict.Refused):
		o.Set(verdict.Refused, "the login was answered with %d %q, and %s", a.status, words, r.why)
		if given != "" && !v.p.refusal(v.replied) { // where it led may not be for this account
			return v.refused(ctx, c, r, given, o)
		}
	case r.kind == verdict.Refused:
		o.Set(verdict.Garbled, "the login was answered with %d: nothing is said about the credential", a.status)
	default:
		r.tell(o)
	}
	return nil
}

func isHTML(a *answer) bool {
	return strings.Contains(a.header.Get("Content-Type"), "html") || bytes.HasPrefix(bytes.TrimSpace(a.body), []byte("<"))
}

// changedSession says whether the answer to the login began a session: a cookie
// or a token came with it.
func (v *visit) changedSession(a *answer) bool {
	return v.token != "" || len(a.header.Values("Set-Cookie")) > 0 || !bytes.Equal(a.body, v.before) && a.status < 400
}
