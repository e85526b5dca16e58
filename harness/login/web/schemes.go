package web

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/icholy/digest"

	"rigor/harness/login"
	"rigor/harness/verdict"
)

// basic sends user and password with the request for the protected page, as
// RFC 7617 has it.
func (v *visit) basic(ctx context.Context, c login.Credential, o *login.Outcome) error {
	if strings.Contains(c.User, ":") {
		o.Set(verdict.Incompatible, "HTTP basic cannot carry a user with a colon")
		return nil
	}
	v.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.User+":"+c.Password)))
	r := v.protected()
	r.credential = true
	a, err := v.send(ctx, r)
	if err != nil {
		return err
	}
	got := v.read(a)
	switch {
	case got.kind == verdict.Accepted:
		return v.opened(ctx, o)
	case got.kind == verdict.Refused && a.status == http.StatusUnauthorized && !offers(a.header, "basic"):
		o.Set(verdict.Incompatible, "the device does not take HTTP basic here: it asks for %.120q", a.header.Values("WWW-Authenticate"))
	default:
		got.tell(o)
		return v.refused(ctx, c, got, "", o)
	}
	return nil
}

// offers says whether a 401 asks for a scheme. Devices that ask for nothing at
// all break RFC 9110 section 15.5.2 and refuse all the same.
func offers(h http.Header, scheme string) bool {
	values := h.Values("WWW-Authenticate")
	for _, v := range values {
		// Several challenges may stand in one line, RFC 9110 section 11.6.1.
		for _, part := range strings.Split(v, ",") {
			name, _, _ := strings.Cut(strings.TrimSpace(part), " ")
			if strings.EqualFold(name, scheme) {
				return true
			}
		}
	}
	return len(values) == 0
}

// errNoDigest says that the device does not ask for a digest that we know.
var errNoDigest = errors.New("no digest challenge that is known")

// digest answers the challenge of the protected page, RFC 7616.
func (v *visit) digest(ctx context.Context, c login.Credential, o *login.Outcome) error {
	v.credential = &c
	r := v.protected()
	r.follow = false // the answer to a challenge is bound to its path
	first, err := v.send(ctx, r)
	if err != nil {
		return err
	}
	if first.status != http.StatusUnauthorized {
		got := v.read(first)
		got.tell(o)
		switch got.kind {
		case verdict.Accepted:
			o.Fact(login.FactOpen, "yes")
			o.Set(verdict.Unproven, "%s opens without a login: nothing is shown", v.p.cfg.Protected.Path)
		case verdict.Refused: // without ever asking for a credential
			o.Set(verdict.Incompatible, "%s, and asks for no digest", got.why)
		}
		return nil
	}
	a, err := v.respond(ctx, r, first)
	if errors.Is(err, errNoDigest) {
		o.Set(verdict.Incompatible, "the device asks for %.120q, not for a digest that is known", first.header.Values("WWW-Authenticate"))
		return nil
	}
	if err != nil {
		return err
	}
	got := v.read(a)
	if got.kind == verdict.Accepted {
		// It was asked for without a credential just now, and did not open.
		o.Fact(login.FactProof, v.p.cfg.Protected.Path)
		o.Set(verdict.Accepted, "%s opened, and does not open without the login (status %d)", v.p.cfg.Protected.Path, first.status)
		return nil
	}
	got.tell(o)
	return v.refused(ctx, c, got, "", o)
}

// digestSend makes a request in a digest session: it is challenged and answers.
func (v *visit) digestSend(ctx context.Context, r request) (*answer, error) {
	first, err := v.send(ctx, r)
	if err != nil || first.status != http.StatusUnauthorized {
		return first, err
	}
	a, err := v.respond(ctx, r, first)
	if errors.Is(err, errNoDigest) {
		return first, nil
	}
	return a, err
}

// respond answers a challenge; once more where the device says that the nonce
// was stale, which is no word about the credential (RFC 7616 section 3.3).
func (v *visit) respond(ctx context.Context, r request, challenged *answer) (*answer, error) {
	for again := false; ; again = true {
		challenge, err := digest.FindChallenge(challenged.header)
		if err != nil {
			return nil, errNoDigest
		}
		for i := range challenge.QOP { // the list may have blanks
			challenge.QOP[i] = strings.TrimSpace(challenge.QOP[i])
		}
		answerTo, err := digest.Digest(challenge, digest.Options{
			Method: r.method, URI: r.url.RequestURI(), Count: 1,
			Username: v.credential.User, Password: v.credential.Password,
		})
		if err != nil {
			return nil, errNoDigest
		}
		r.header = maps.Clone(r.header)
		if r.header == nil {
			r.header = http.Header{}
		}
		r.header.Set("Authorization", answerTo.String())
		r.credential = true
		a, err := v.send(ctx, r)
		if err != nil || again || a.status != http.StatusUnauthorized {
			return a, err
		}
		next, err := digest.FindChallenge(a.header)
		if err != nil || !next.Stale {
			return a, nil
		}
		challenged = a
	}
}

// form gets the page, fills its form in and sends it.
func (v *visit) form(ctx context.Context, c login.Credential, o *login.Outcome) error {
	cfg := &v.p.cfg.Form
	at, err := v.p.base.Parse(cfg.Page)
	if err != nil {
		return fmt.Errorf("login page %q: %w", cfg.Page, login.ErrConfig)
	}
	page, err := v.send(ctx, request{method: http.MethodGet, url: at, follow: true})
	if err != nil {
		return err
	}
	if k, why, wait := v.busy(page); k != "" {
		o.Set(k, "the login page: %s", why)
		o.RetryAfter = wait
		return nil
	}
	if page.elsewhere != "" {
		o.Fact(login.FactElsewhere, page.elsewhere)
		o.Set(verdict.Garbled, "the login page leads to another host, %q, which is not followed", page.elsewhere)
		return nil
	}
	v.before, v.shown = page.body, v.cookies()
	if !samePage(at, page.url) {
		return v.notOffered(ctx, page, o)
	}
	f, err := findForm(page.body, cfg)
	if err != nil {
		if k, said := v.p.texts.Read(page.body, nil); k == verdict.LockedOut || k == verdict.Throttled {
			o.Set(k, "the login page said %q", said)
			o.RetryAfter = login.Wait(page.body)
			return nil
		}
		o.Set(verdict.Garbled, "the login page (status %d): %v", page.status, err)
		return nil
	}
	target, err := page.url.Parse(f.action)
	if err != nil || !sameHost(page.url, target) {
		o.Set(verdict.Garbled, "the login form leads to another host, which is not followed: %.100q", f.action)
		return nil
	}
	values := f.fill(cfg, c)
	r := request{method: f.method, url: target, header: http.Header{}, credential: true, follow: true}
	if cfg.TokenHeader != "" && f.token != "" {
		r.header.Set(cfg.TokenHeader, f.token)
	}
	r.header.Set("Referer", page.url.String()) // what CSRF filters ask for
	if f.method == http.MethodGet {
		with := *target
		with.RawQuery = values.Encode()
		r.url = &with
	} else {
		r.header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.header.Set("Origin", (&url.URL{Scheme: page.url.Scheme, Host: page.url.Host}).String())
		r.body = []byte(values.Encode())
	}
	a, err := v.send(ctx, r)
	if err != nil {
		return err
	}
	return v.after(ctx, c, a, o)
}

// notOffered judges a device that leads from the declared login page to another
// one. A form there may be its set-up, which would take what is posted for its
// owner's: nothing is. Whether the declared page is the right one has to be shown
// by a login that opens.
func (v *visit) notOffered(ctx context.Context, page *answer, o *login.Outcome) error {
	r, err := v.reach(ctx)
	if err != nil {
		return err
	}
	switch r.kind {
	case verdict.Accepted:
		o.Fact(login.FactOpen, "yes")
		o.Set(verdict.Unproven, "%s opens without a login: nothing is shown", v.p.cfg.Protected.Path)
	case verdict.Refused, verdict.Restricted: // nobody was let in
		o.Set(verdict.Refused, "the login page leads to %s, which is not the declared page, so that nothing was sent; %s", page.url.Path, r.why)
	default:
		r.tell(o)
	}
	return nil
}

// json sends user and password as an object and takes the token.
func (v *visit) json(ctx context.Context, c login.Credential, o *login.Outcome) error {
	cfg := &v.p.cfg.JSON
	at, err := v.p.base.Parse(cfg.Path)
	if err != nil {
		return fmt.Errorf("login path %q: %w", cfg.Path, login.ErrConfig)
	}
	object := map[string]any{}
	maps.Copy(object, cfg.Extra)
	if !c.NoUser {
		object[cfg.User] = c.User
	}
	if !c.NoPassword {
		object[cfg.Password] = c.Password
	}
	body, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("extra fields of the login: %w: %w", login.ErrConfig, err)
	}
	r := request{method: http.MethodPost, url: at, body: body, credential: true, follow: true, header: http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json"},
	}}
	a, err := v.send(ctx, r)
	if err != nil {
		return err
	}
	if cfg.Token != "" {
		v.token, _ = lookup(a.body, cfg.Token) // none is what a refusal has
		v.hide(v.token)
	}
	if v.token != "" {
		v.header.Set(cfg.Header, cfg.Prefix+v.token)
	}
	return v.after(ctx, c, a, o)
}
