package identity

import (
	"context"
	"regexp"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/nist8259a"
	"rigor/harness/check"
	"rigor/harness/login"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// AuthEvents: a login that failed and one that worked are in the log, with
// where they came from.
var AuthEvents = check.Check{
	ID:    "log-auth-events",
	Title: "Logins, refused and let in, are in the log",
	Clauses: baseline.PerChannel{
		baseline.Network: {nist8259a.CSA1, en18031.Code("LGM-1")},
		baseline.Local:   {nist8259a.CSA1, en18031.Code("LGM-1")},
	},
	From:   states.Onboarded.State,
	Effect: check.Disturbs,
	Allow:  []check.Leave{check.LoginTries},
	Budget: check.Budget{Case: time.Minute},
	Cases: check.Planner(check.PerLogin).With(check.NeedsOwner, check.OfProfile(func(p *profile.Profile) *verdict.Judgement {
		switch {
		case p.Log.Declared():
			return check.DeclaredNone(p.Log.None.None)
		case len(p.Log.Read) == 0 || p.Log.Failed == "" || p.Log.OK == "":
			return check.NotDeclared("the profile does not say how the log is read and what a login looks like in it (log.read, log.failed, log.ok)")
		}
		return nil
	})),
	Run: func(ctx context.Context, t *check.T) {
		door := t.Device().Login(t.Case().Channel)
		own, err := door.Owner()
		t.OK(err)
		// A user name that nobody has: what the log has of it is from this try.
		stranger := "u" + strings.ToLower(t.Secret("log-stranger", 9))
		wrong, err := door.Try(ctx, login.Credential{User: stranger, Password: t.Secret("wrong", 12)})
		t.OK(err)
		if wrong.Kind != verdict.Refused {
			t.Inconclusive(verdict.ReasonAntiControl, "a login that must fail was %s: %s", wrong.Kind, wrong.Detail)
		}
		before, err := t.Device().Steps(ctx, t.Profile().Log.Read, nil)
		t.OK(err)
		right, err := door.Try(ctx, own)
		t.OK(err)
		if right.Kind != verdict.Accepted {
			t.Inconclusive(verdict.ReasonControlFailed, "the owner does not get in: %s", right.Detail)
		}
		after, err := t.Device().Steps(ctx, t.Profile().Log.Read, nil)
		t.OK(err)
		ref := t.Keep("log.txt", "the device's log after both logins", []byte(after["log"]))
		if strings.TrimSpace(after["log"]) == "" {
			t.Note("the log was read and is empty")
		}
		t.Claim("the refused login is in the log, with its source", func(c *check.Claim) {
			c.Show(ref)
			find(t, c, t.Profile().Log.Failed, stranger, after["log"], 1)
		})
		t.Claim("the login that was let in is in the log, with its source", func(c *check.Claim) {
			c.Show(ref)
			n := count(t, t.Profile().Log.OK, own.User, before["log"])
			find(t, c, t.Profile().Log.OK, own.User, after["log"], n+1)
		})
	},
}

func compile(t *check.T, expr, user string) *regexp.Regexp {
	expr = strings.NewReplacer("${user}", regexp.QuoteMeta(user), "${channel}", regexp.QuoteMeta(t.Case().Channel)).Replace(expr)
	re, err := regexp.Compile(expr)
	t.OK(err)
	return re
}

func count(t *check.T, expr, user, log string) int {
	return len(compile(t, expr, user).FindAllString(log, -1))
}

// find looks for at least n entries, and for a source in the last one where
// the profile says how it looks.
func find(t *check.T, c *check.Claim, expr, user, log string, n int) {
	re := compile(t, expr, user)
	all := re.FindAllStringSubmatch(log, -1)
	c.Expect("an entry for the login", "entries like it: "+itoa(len(all)))
	if len(all) < n {
		c.Fail(verdict.ReasonExpectation, "no entry of the log is like %q", re.String())
		return
	}
	want, ok := t.Profile().Log.Sources[t.Case().Channel]
	i := re.SubexpIndex("source")
	if !ok || i < 0 {
		return
	}
	src, err := regexp.Compile(want)
	t.OK(err)
	if got := all[len(all)-1][i]; !src.MatchString(got) {
		c.Fail(verdict.ReasonExpectation, "the entry has the source %q; it came from %s", got, want)
	}
}
