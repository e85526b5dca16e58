package identity

import (
	"bytes"
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
		if what, _ := undeclared(t.Profile(), seen); what == "" { // what it has told it has told, whatever came behind it
			t.OK(err)
		}
		ref := t.Keep("disclosed.txt", "what the service tells before any login", seen)
		t.Claim("nothing that is told is undeclared", func(c *check.Claim) {
			c.Show(ref)
			if len(seen) == 0 {
				c.Unknown(verdict.ReasonAmbiguous, "the service told nothing at all: that it was asked is not shown")
				return
			}
			c.Expect("only what the profile allows", fmt.Sprintf("%d bytes, nothing else in them", len(seen)))
			if what, m := undeclared(t.Profile(), seen); m != nil {
				c.Fail(verdict.ReasonLeak, "it tells %s: %q", what, m)
				return
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

// undeclared gives the first of what was seen that a stranger should not learn, and what
// it is; nil where there is none.
func undeclared(p *profile.Profile, seen []byte) (what string, m []byte) {
	for _, tell := range telling(p) {
		for _, m := range tell.re.FindAll(seen, -1) {
			if !allowed(p, m) {
				return tell.what, m
			}
		}
	}
	return "", nil
}

type tell struct {
	what string
	re   *regexp.Regexp
}

// telling gives what helps an attacker and can be recognised: versions of
// software, the kernel, the firmware's own version, names of the owner.
func telling(p *profile.Profile) []tell {
	tells := []tell{
		// "nginx/1.22", "mini_httpd/1.19", "h2o/2.2.6", "OpenSSH_9.2p1", "busybox-1.36", "RomPager/ 4.34",
		// "lighttpd v1.4", "uc-httpd 1.0.0": a bare number behind a word ("room 1.4") is no version.
		{"the version of a software", regexp.MustCompile(`\b[A-Za-z][\w-]{2,}(?:/ ?[vV]?|[_-][vV]?| [vV])\d+\.\d+[.\w-]*|\b[A-Za-z][\w-]{2,} \d+\.\d+\.\d+[.\w-]*`)},
		// "Jetty(9.4.z-SNAPSHOT"; a style's "scale(1.5)" has one dot.
		{"the version of a software", regexp.MustCompile(`\b[A-Za-z][\w-]{2,}\(\d+\.\d+\.[\dz][.\w-]*`)},
		// "Server: Virata-EmWeb/R6_2_1", "X-AspNet-Version: 4.0.30319".
		{"the version of a software", regexp.MustCompile(`(?mi)^server: [^\r\n]*?/[rv]\d+_\w+|^x-[\w-]*version: *v?\d[.\w-]*`)},
		{"its kernel", regexp.MustCompile(`(?i)"?kernel"?["' :=]+[^",}]{2,40}`)},
		{"the name of a wireless network", regexp.MustCompile(`(?i)"?(?:wifi_|wlan_)?ssid"?["' :=]+[^",}]{1,40}`)},
		{"its firmware version", regexp.MustCompile(`(?i)"(?:firmware|fw|sw|software|version)[a-z_]*"\s*:\s*"[^"]+"`)},
	}
	tells = append(tells, tell{"its firmware version", regexp.MustCompile(`(?i)\b(?:firmware|fw|software)(?:[ _-]version)?[ :=]+v?\d+\.\d+[.\w-]*`)})
	if v := p.Firmware.Version; len(v) > 2 { // "v1.4.2" and "box_1.4.2_eu" too, but no "11.4.2"
		tells = append(tells, tell{"its firmware version", regexp.MustCompile(`(?:\b|[A-Za-z_])` + regexp.QuoteMeta(v) + `(?:\b|_)`)})
	}
	return tells
}

// allowed says whether the profile lets a stranger learn it, or it tells nothing.
func allowed(p *profile.Profile, m []byte) bool {
	if common.Match(m) || address(m) || opaque(m) {
		return true
	}
	for _, re := range p.Discloses.Allow {
		if re.Match(m) {
			return true
		}
	}
	return false
}

// common is what looks like a version of a software and is none: of a protocol (RFC 9110,
// RFC 7826, RFC 3261, RFC 8446; UPnP Device Architecture 1.2.2), the SSH line of a software
// without a number (RFC 4253, sections 4.2 and 5.1), a curve that is named by its object
// identifier (RFC 5656, section 6.1), a licence as SPDX names it, a day.
var common = regexp.MustCompile(`^(?:HTTP/[123](?:\.\d)?|RTSP/[12]\.0|SIP/2\.0|UPnP/[12]\.[01]|TLS[ -]?v?1\.[23]` +
	`|SSH-(?:2\.0|1\.99)(?:-[A-Za-z0-9]*(?:-[A-Za-z]+)*)?|(?:ecdh|ecdsa|ecmqv)-sha2-[012](?:\.\d+)+` +
	`|(?:[AL]?GPL|Apache|MPL|EPL)-\d\.\d(?:-only|-or-later)?\.?|\w+ [0-3]?\d\.[01]?\d\.(?:19|20)\d\d\.?)$`)

var (
	quad      = regexp.MustCompile(`^(\w[\w-]*)[ _-]((?:\d{1,3}\.){3}\d{1,3})\.?$`)
	announces = regexp.MustCompile(`(?i)^(?:address|addr|ip4|from|dns|host|gateway|router|server|netmask|mask|subnet)$`)                // IP4: SDP, RFC 8866, 5.7
	private   = regexp.MustCompile(`^(?:0\.|10\.|127\.|169\.254\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|2(?:2[4-9]|[34]\d|5[0-5])\.)`) // RFC 1918, 3927, 5735; and multicast, masks
	versioned = regexp.MustCompile(`(?i)(?:version|release|build|firmware|software|kernel)$`)
)

// address says whether it is an IP address behind a word ("from 203.0.113.7"): the word says
// so, or it is of no public network. Makers number their firmware like it ("Version 1.0.9.88").
func address(m []byte) bool {
	w := quad.FindSubmatch(m)
	if w == nil || versioned.Match(w[1]) {
		return false
	}
	return announces.Match(w[1]) || private.Match(w[2])
}

// opaque says whether it is a piece of a token, of which a dot parts the signature: what
// stands behind the last dot is longer than a version, of small and capital letters and digits.
func opaque(m []byte) bool {
	dot := bytes.LastIndexByte(m, '.')
	last := m[dot+1:]
	return dot >= 0 && len(last) >= 24 && bytes.ContainsAny(last, "0123456789") && !bytes.Equal(last, bytes.ToLower(last)) && !bytes.Equal(last, bytes.ToUpper(last))
}
