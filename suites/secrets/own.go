package secrets

import (
	"context"

	"rigor/harness/check"
	"rigor/harness/journal"
	"rigor/harness/login"
	"rigor/harness/verdict"
)

// Own shows that the service of a login is the DUT's own, and not somebody else's on
// its port: it lets the owner in. What else it shows is then the DUT's. A service with
// which no login can be tried, since it has nothing in common with us, is looked at all
// the same, and ok is false: nothing of it can pass. Every other ends the case.
func Own(ctx context.Context, t *check.T, channel string) (o login.Outcome, ref journal.Ref, ok bool) {
	door := t.Device().Login(channel)
	own, err := door.Owner()
	t.OK(err)
	o, err = door.Outcome(ctx, own)
	t.OK(err)
	ref = t.Keep("owner-"+channel+".txt", "the owner's login to the service", []byte(o.String()+"\n"+o.Facts[login.FactServer]+"\n"+o.Facts[login.FactHostKey]+o.Facts[login.FactTLS]+"\n"))
	switch o.Kind {
	case verdict.Accepted:
		return o, ref, true
	case verdict.Incompatible:
		return o, ref, false
	}
	t.Inconclusive(verdict.ReasonControlFailed, "that it is the DUT's own service is not shown: the owner's login to %s was answered with %s", channel, o)
	return o, ref, false
}

// ClaimOwn claims it, of a service that showed what the owner's login met, too.
func ClaimOwn(t *check.T, o login.Outcome, ref journal.Ref, ok bool, same func(facts map[string]string) bool) {
	t.Claim("it is the service that lets the owner in", func(c *check.Claim) {
		c.Show(ref)
		c.Expect("the owner's login opens, and meets what was looked at", o.String())
		switch {
		case !ok:
			c.Unknown(verdict.ReasonControlFailed, "no login can be tried: %s", o)
		case same != nil && !same(o.Facts):
			c.Unknown(verdict.ReasonControlFailed, "the owner's login met another service than the one that was looked at")
		}
	})
}
