package identity

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"rigor/fixtures/states"
	"rigor/harness/baseline"
	"rigor/harness/baseline/en18031"
	"rigor/harness/baseline/en303645"
	"rigor/harness/check"
	"rigor/harness/profile"
	"rigor/harness/verdict"
)

// Info: a stranger learns from the device's services no more than its maker
// declares.
var Info = check.Check{
	ID:    "net-info",
	Title: "A stranger learns no more than is declared",
	Clauses: baseline.PerChannel{
		baseline.Network: {en303645.V3("5.6-2"), en18031.Code("GEC-2")},
	},
	From:   states.Onboarded.State,
	Effect: check.Reads,
	Budget: check.Budget{Case: time.Minute},
	Cases: check.Planner(check.PerLogin).With(check.OfProfile(func(p *profile.Profile) *verdict.Judgement {
		switch {
		case p.Discloses.Declared():
			return check.DeclaredNone(p.Discloses.None.None)
		case !p.Discloses.Given:
			return check.NotDeclared("the profile does not say what a stranger may learn (discloses)")
		}
		return nil
	}), check.OfLogin(func(l *profile.Login) *verdict.Judgement {
		switch {
		case l.Protocol == "console":
			return check.DeclaredNone("con-secret-leak and con-silent look at what a console tells; it is no network service")
		case l.Aside() && l.Port == 0:
			return check.RigLacks("what a service tells by itself is heard on its port, and the login declares none")
		}
		return nil
	})),
	Run: func(ctx context.Context, t *check.T) {
		seen, err := t.Device().Disclosed(ctx, t.Case().Channel)
		t.OK(err)
		ref := t.Keep("disclosed.txt", "what the service tells before any login", seen)
		t.Claim("nothing that is told is undeclared", func(c *check.Claim) {
			c.Show(ref)
			if len(seen) == 0 {
				c.Unknown(verdict.ReasonAmbiguous, "the service told nothing at all: that it was asked is not shown")
				return
			}
			c.Expect("only what the profile allows", fmt.Sprintf("%d bytes, nothing else in them", len(seen)))
			for _, tell := range telling(t.Profile()) {
				for _, m := range tell.re.FindAll(seen, -1) {
					if !allowed(t.Profile(), m) {
						c.Fail(verdict.ReasonLeak, "it tells %s: %q", tell.what, m)
						return
					}
				}
			}
			// Who told it is shown by who gets in: a port may be somebody else's.
			door := t.Device().Login(t.Case().Channel)
			own, err := door.Owner()
			t.OK(err)
			a, err := t.Try(ctx, door, own)
			t.OK(err)
			if a.Kind != verdict.Accepted {
				c.Unknown(verdict.ReasonControlFailed, "nothing undeclared was told, but that it was this DUT is not shown: its owner does not get in: %s", a.Detail)
			}
		})
		l, r := t.Profile().Logins.Items[t.Case().Channel], t.Profile().Routes
		if strings.HasPrefix(l.Protocol, "http") && !r.Declared() && (r.Login == "" || r.Login == t.Case().Channel && len(r.Open) == 0) {
			t.Claim("each page that answers a stranger was read", func(c *check.Claim) {
				c.Unknown(verdict.ReasonProfileMissing, "only the front page was: the profile does not say which others there are (routes.open)")
			})
		}
	},
}

type tell struct {
	what string
	re   *regexp.Regexp
}

// telling gives what helps an attacker and can be recognised: versions of
// software, the kernel, the firmware's own version, names of the owner.
func telling(p *profile.Profile) []tell {
	tells := []tell{
		// "nginx/1.22", "OpenSSH_9.2p1", "busybox-1.36", "lighttpd v1.4": a bare
		// number behind a word ("room 1.4") is no version.
		{"the version of a software", regexp.MustCompile(`\b[A-Za-z][A-Za-z-]{2,}(?:[/_-]v?| v)\d+\.\d+[.\w-]*|\b[A-Za-z][A-Za-z-]{2,} \d+\.\d+\.\d+[.\w-]*`)},
		{"its kernel", regexp.MustCompile(`(?i)"?kernel"?["' :=]+[^",}]{2,40}`)},
		{"the name of a wireless network", regexp.MustCompile(`(?i)"?(?:wifi_|wlan_)?ssid"?["' :=]+[^",}]{1,40}`)},
		{"its firmware version", regexp.MustCompile(`(?i)"(?:firmware|fw|sw|software|version)[a-z_]*"\s*:\s*"[^"]+"`)},
	}
	if v := p.Firmware.Version; len(v) > 2 {
		tells = append(tells, tell{"its firmware version", regexp.MustCompile(`\b` + regexp.QuoteMeta(v) + `\b`)})
	}
	return tells
}

// allowed says whether the profile lets a stranger learn it. What every speaker
// of a protocol says (HTTP/1.1, SSH-2.0) tells nothing.
func allowed(p *profile.Profile, m []byte) bool {
	if common.Match(m) {
		return true
	}
	for _, re := range p.Discloses.Allow {
		if re.Match(m) {
			return true
		}
	}
	return false
}

var common = regexp.MustCompile(`^(?:HTTP/[123](?:\.\d)?|RTSP/[12]\.0|SSH-2\.0|SSH-2\.0-[A-Za-z0-9]*|TLS[ -]?v?1\.[23])$`)
