package identity

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
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
		first, err := t.Device().Steps(ctx, t.Profile().Log.Read, nil)
		t.OK(err)
		// A user name that nobody has: what the log has of it is from this try.
		stranger := nobody(time.Now())
		refused := span{from: time.Now()}
		wrong, err := t.Try(ctx, door, login.Credential{User: stranger, Password: t.Secret("wrong", 12)})
		refused.to = time.Now()
		t.OK(err)
		if wrong.Kind.Opens() { // not what this looks for, and a finding for good
			t.Claim("a login that nobody has is refused", func(c *check.Claim) {
				c.Show(t.Keep("login.txt", "the answer to a login that nobody has", wrong.Raw))
				c.Fail(verdict.ReasonAccess, "it opened: %s", wrong.Detail)
			})
		}
		if wrong.Kind != verdict.Refused {
			t.Inconclusive(verdict.ReasonAntiControl, "a login that must fail was %s: %s", wrong.Kind, wrong.Detail)
		}
		failed, ok := compile(t, t.Profile().Log.Failed, stranger), compile(t, t.Profile().Log.OK, own.User)
		before := written(ctx, t, failed, first["log"])
		let := span{from: time.Now()}
		right, err := t.Try(ctx, door, own)
		let.to = time.Now()
		t.OK(err)
		if right.Kind != verdict.Accepted {
			t.Inconclusive(verdict.ReasonControlFailed, "the owner does not get in: %s", right.Detail)
		}
		after := written(ctx, t, ok, before)
		ref := t.Keep("log.txt", "the device's log after both logins", []byte(after))
		if strings.TrimSpace(after) == "" {
			t.Note("the log was read and is empty")
		}
		t.Claim("the refused login is in the log, with its source and time", func(c *check.Claim) {
			c.Show(ref)
			judgeRefused(c, failed, source(t), refused, Lines(t, first["log"]), Lines(t, before))
		})
		t.Claim("the login that was let in is in the log, with its source and time", func(c *check.Claim) {
			c.Show(ref)
			judgeLetIn(c, failed, ok, source(t), let, Lines(t, before), Lines(t, after))
		})
		if source(t) == nil {
			t.Claim("the entries say where the logins came from", func(c *check.Claim) {
				c.Show(ref)
				c.Unknown(verdict.ReasonProfileMissing, "the profile does not say how the source of a login by %s looks in the log (log.sources)", t.Case().Channel)
			})
		}
	},
}

// nobody gives a user name that nobody has, and that no run before has tried: what the
// log has of it is from this try. It is not derived as secrets are, which are the same
// on a rig each night.
func nobody(now time.Time) string { return "u" + strconv.FormatInt(now.UnixMicro(), 36) }

func compile(t *check.T, expr, user string) *regexp.Regexp {
	expr = strings.NewReplacer("${user}", regexp.QuoteMeta(user), "${channel}", regexp.QuoteMeta(t.Case().Channel)).Replace(expr)
	re, err := regexp.Compile(expr)
	t.OK(err)
	return re
}

// source gives how the source of the case's channel looks in the log, nil where
// nobody declares it.
func source(t *check.T) *regexp.Regexp {
	want, ok := t.Profile().Log.Sources[t.Case().Channel]
	if !ok {
		return nil
	}
	src, err := regexp.Compile(want)
	t.OK(err)
	return src
}

// judgeRefused decides about the entry of a user name that nobody else tried. A device
// may not write such a name down, and then its entries are like those of others: one
// has to be there that was not there before.
func judgeRefused(c *check.Claim, failed, src *regexp.Regexp, made span, first, before string) {
	all := fresh(failed, first, before)
	c.Expect("an entry for the login", fmt.Sprintf("new entries like it: %d, and %d from before", len(all), len(failed.FindAllString(first, -1))))
	if len(all) == 0 {
		c.Fail(verdict.ReasonExpectation, "no new entry of the log is like %q", failed.String())
		return
	}
	judgeEntry(c, failed, src, made, all[len(all)-1])
}

// fresh gives the entries of a log that it did not have before, in their order. Of
// entries that read alike the last are the new ones.
func fresh(entry *regexp.Regexp, was, is string) (out [][]string) {
	old := map[string]int{}
	for _, e := range entry.FindAllString(was, -1) {
		old[e]++
	}
	for _, e := range entry.FindAllStringSubmatch(is, -1) {
		if old[e[0]]--; old[e[0]] < 0 {
			out = append(out, e)
		}
	}
	return out
}

// A device may write its log a little behind what it does: a new entry is looked for
// so long, and so often.
const (
	writtenWithin = 3 * time.Second
	writtenEvery  = 250 * time.Millisecond
)

// written gives the log once it has an entry that it did not have before, or as it is
// when that was waited for.
func written(ctx context.Context, t *check.T, entry *regexp.Regexp, was string) string {
	for end := time.Now().Add(writtenWithin); ; {
		is, err := t.Device().Steps(ctx, t.Profile().Log.Read, nil)
		t.OK(err)
		if len(fresh(entry, Lines(t, was), Lines(t, is["log"]))) > 0 || time.Now().After(end) {
			return is["log"]
		}
		t.OK(t.Device().Wait(ctx, writtenEvery))
	}
}

// judgeLetIn decides about the owner's entry, of which the log has others. It
// may hold only so many entries, so their number can stay the same: they are
// counted on each side of the refused login's, which nobody else tried. On the
// side of what is newer one has come, on the other some may have gone.
func judgeLetIn(c *check.Claim, failed, ok, src *regexp.Regexp, made span, before, after string) {
	was, now := sides(failed, ok, before), sides(failed, ok, after)
	c.Expect("one more entry for the login", fmt.Sprintf("entries like it on either side of the refused login's: before %d and %d, after it %d and %d",
		len(was[0]), len(was[1]), len(now[0]), len(now[1])))
	switch {
	case len(now[1]) > len(was[1]): // the newest is the last one
		judgeEntry(c, ok, src, made, now[1][len(now[1])-1])
	case len(now[0]) > len(was[0]): // the newest is the first one
		judgeEntry(c, ok, src, made, now[0][0])
	case !failed.MatchString(after) && len(now[0]) > 0:
		c.Unknown(verdict.ReasonAmbiguous, "the log has %d entries like %q, and nothing shows which is of this login", len(now[0]), ok.String())
	default:
		c.Fail(verdict.ReasonExpectation, "no new entry of the log is like %q", ok.String())
	}
}

// sides gives the entries before and behind the marker; all of them before it
// where there is none.
func sides(marker, entry *regexp.Regexp, log string) [2][][]string {
	head, tail := log, ""
	if all := marker.FindAllStringIndex(log, -1); len(all) > 0 {
		head, tail = log[:all[0][0]], log[all[len(all)-1][1]:]
	}
	return [2][][]string{entry.FindAllStringSubmatch(head, -1), entry.FindAllStringSubmatch(tail, -1)}
}

// judgeEntry looks for the source in an entry, where the profile says how it
// looks, and at its time.
func judgeEntry(c *check.Claim, re, src *regexp.Regexp, made span, entry []string) {
	switch i := re.SubexpIndex("source"); {
	case src == nil: // a claim of its own says so
	case i < 0:
		c.Unknown(verdict.ReasonProfileMissing, "the profile does not say where the source stands in an entry: log.failed and log.ok need a group (?P<source>…)")
	case !src.MatchString(entry[i]):
		c.Fail(verdict.ReasonExpectation, "the entry has the source %q; it came from %s", entry[i], src)
	}
	clock(c, re, made, entry)
}
