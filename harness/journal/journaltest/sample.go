package journaltest

import (
	"fmt"
	"strings"
	"time"

	"rigor/harness/journal"
	"rigor/harness/verdict"
)

// Nasty is text that a device may send and that must not do anything in a
// report: it breaks parsers, or is a command to a terminal, a browser, a CI.
var Nasty = map[string]string{
	"controls":      "\x00\x01\x07\x08\x0b\x0c\x0e\x1f\x7f",
	"ansi":          "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b]8;;http://x\x1b\\link\x1b[2J",
	"c1":            "\u0085\u009b31m\u009d0;t\u009c",
	"cdata":         "]]> <![CDATA[ ]]]]><![CDATA[>",
	"markup":        "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;&#x1b;<!--",
	"entity":        `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>&e;`,
	"quotes":        `" onmouseover="alert(1)" ' `,
	"template":      "{{.}} {{define \"x\"}} ${x} $(id) `id`",
	"attachment":    "\n[[ATTACHMENT|/etc/passwd]]\n[[PROPERTY|a=b]]\n",
	"commands":      "\n::error::boom\n::add-mask::x\n##[group]x\n##vso[task.complete]\nsection_start:1:x\r\x1b[0K",
	"markdown":      "| a | b |\n# h\n[x](javascript:alert(1)) ![i](http://x/i) <b>`x` @someone",
	"not xml":       "\ufffe\uffff\ufdd0\U0001ffff",
	"bidi":          "\u202egnp.exe\u2066\u2069\u200f\u061c",
	"broken utf-8":  "\xff\xfe\xc3\x28 \xed\xa0\x80 \xf8\x88",
	"separators":    "a\u2028b\u2029c\u00a0d",
	"line ends":     "a\r\nb\rc\n\nd\te",
	"javascript":    "javascript:alert(1) data:text/html,<script>",
	"emoji":         "😀 é ß 日本 👩‍👩‍👧",
	"backslashes":   `\x1b \\ \n \u{1b} C:\temp`,
	"long":          strings.Repeat("0123456789abcdef", 3_000),
	"empty":         "",
	"only space":    " \t ",
	"reserved id":   "a[b]/c?d#e%f:g|h",
	"fake end":      "</failure></testcase></testsuite></testsuites>",
	"fake sentinel": "‹secret:operator›",
}

// Sample is a run with something of everything, as a bench would see it.
func Sample() *Builder {
	b := New(func(s *journal.Start) {
		s.Planted = []string{"ssh-default-login", "boot-shell"}
		s.Waivers = []journal.Waiver{{Case: "cred-enum[web]", Model: "AG-1", Reason: "answered differently by 40 ms; fixed in 1.5", Owner: "kim", Expires: "2027-01-15"}}
		s.Digests["credentials"] = Hash("credentials")
	})
	clauses := func(c ...string) func(*journal.Plan) { return func(p *journal.Plan) { p.Clauses = c } }
	title := func(t string) func(*journal.Plan) { return func(p *journal.Plan) { p.Title = t } }
	b.Plan("console", "con-shell-noauth", "main", title("The console asks for a login"), clauses("NISTIR 8259A LA-1", "EN 303 645 V3.1.3 5.6-4 (unverified)"))
	b.Plan("console", "con-boot-interrupt", "main", title("The boot cannot be interrupted without a password"), clauses("NISTIR 8259A LA-1"))
	b.Plan("console", "con-sysrq", "main", title("Magic keys do nothing"), clauses("NISTIR 8259A LA-3"))
	b.Plan("credential", "cred-known-list", "ssh", title("Published logins open nothing"), clauses("NISTIR 8259A LA-2", "EN 303 645 V3.1.3 5.1-1"))
	b.Plan("credential", "cred-known-list", "web", title("Published logins open nothing"), clauses("NISTIR 8259A LA-2", "EN 303 645 V3.1.3 5.1-1"))
	b.Plan("credential", "cred-enum", "web", title("Answers do not tell which users there are"), clauses("NISTIR 8259A LA-2"))
	b.Plan("credential", "cred-unique", "ssh", title("Two units have two passwords"), clauses("EN 303 645 V3.1.3 5.1-2"),
		Skip(verdict.Inconclusive, verdict.ReasonTwoUnits, "one unit cannot show it; give a second one with --second"))
	b.Plan("credential", "cred-blank", "telnet", title("A blank password opens nothing"), clauses("NISTIR 8259A LA-2"), Skip(verdict.NotApplicable, verdict.ReasonDeclaredNone, "the profile declares no telnet: removed in 1.2"))
	b.Plan("interfaces", "net-info", "eth1", title("What answers without a login"), clauses("NISTIR 8259A LA-2"), func(p *journal.Plan) { p.Unselected = true })
	b.Plan("interfaces", "log-auth-events", "", title("Failed logins are logged"), clauses("NISTIR 8259A CSA-1"))

	b.Add(journal.Event{Kind: journal.KindDoctor, Doctor: &journal.Doctor{Phase: "before", Item: "port opens", Part: "console.main", Status: "ok", Detail: "/dev/serial/by-id/usb-FTDI_A1"}},
		journal.Event{Kind: journal.KindDoctor, Doctor: &journal.Doctor{Phase: "before", Item: "loopback", Status: "skipped", Detail: "none is declared"}},
		journal.Event{Kind: journal.KindUnit, Unit: &journal.Unit{Want: "AG-000123", Got: "AG-000123", OK: true}},
		journal.Event{Kind: journal.KindState, State: &journal.State{From: "off", To: "onboarded", Way: "setup", OK: true, TookUS: 8_200_000}})

	id := "con-shell-noauth[main]"
	b.Begin(id).Add(journal.Event{Kind: journal.KindNote, Case: id, Note: &journal.Note{Text: "sent 3 newlines, 200 ms apart"}})
	b.Add(journal.Event{Kind: journal.KindExcerpt, Case: id, Excerpt: &journal.Excerpt{Source: "console.main", Offset: 4096, Length: 88, Text: "acme-gateway 1.4.2 ttyS0\n\nacme login: \\x1b[0m"}})
	b.Holds(id, 1).Keep(id).Done(id)

	id = "con-boot-interrupt[main]"
	b.Begin(id).Wait(3100 * time.Millisecond)
	b.Add(journal.Event{Kind: journal.KindExcerpt, Case: id, Excerpt: &journal.Excerpt{Source: "console.main", Offset: 812, Length: 190,
		Text: "U-Boot 2024.01 (Mar 03 2025)\nHit any key to stop autoboot:  2 \\x08\\x08\\x08 1\n=> \\x1b[Kprintenv\nbootcmd=run distro_bootcmd\nbootdelay=2\n[[ATTACHMENT|/etc/shadow]]\n<script>alert(1)</script>\n=> "}})
	b.Claim(id, journal.Claim{Claim: 1, Text: "no key opens the boot loader's prompt", Holds: journal.No, Reason: verdict.ReasonAccess, Expected: "the boot goes on, whatever is sent",
		Got: "a space sent 1.2 s after power-on opened the prompt \"=> \"; printenv was obeyed", Evidence: []journal.Ref{{Path: Path(id), Offset: 812, Length: 190}}}).Keep(id).Done(id)

	id = "con-sysrq[main]"
	b.Begin(id).Add(journal.Event{Kind: journal.KindFault, Case: id, Fault: &journal.Fault{Part: "lines.reset", Op: "pulse", Error: "line is held by gpio-keys"}})
	b.Done(id, verdict.Judgement{Verdict: verdict.Error, Reason: verdict.ReasonFault, Detail: "lines.reset: pulse: line is held by gpio-keys"})

	id = "cred-known-list[ssh]"
	n := Whole(id, 1)
	n.Probes.Planned, n.Probes.Tried, n.Probes.Effective = 63, 63, 63
	n.Probes.Kinds = map[verdict.Kind]int{verdict.Refused: 63}
	n.Claim.Expected, n.Claim.Got = "each of 63 logins is refused", "63 refused"
	b.Begin(id).Wait(41*time.Second).Refute(id, n).Keep(id).Done(id)

	id = "cred-known-list[web]"
	n = Whole(id, 1)
	n.Controls[2].OK, n.Controls[2].Kind, n.Controls[2].Detail = false, verdict.LockedOut, "the owner's account is locked: 423 Locked"
	n.Claim.Holds, n.Claim.Reason, n.Claim.Got = journal.Unknown, verdict.ReasonControlFailed, "after 12 tries the owner's own login was locked out"
	b.Begin(id).Wait(9*time.Second).Refute(id, n).Keep(id).Done(id)

	id = "cred-enum[web]"
	b.Begin(id).Claim(id, journal.Claim{Claim: 1, Text: "unknown and known users get the same answer", Holds: journal.No, Expected: "equal within 5 ms", Got: "41 ms apart over 50 pairs", Evidence: Refs(id)}).Keep(id).Done(id)

	id = "log-auth-events"
	b.Begin(id).Retry(id).Begin(id).Holds(id, 1).Keep(id).Done(id)

	b.Add(journal.Event{Kind: journal.KindDoctor, Doctor: &journal.Doctor{Phase: "after", Item: "port opens", Part: "console.main", Status: "ok"}},
		journal.Event{Kind: journal.KindEvidence, Evidence: &journal.Evidence{Path: "evidence/console-main.cast", What: "the whole console, timed", Size: 48211, SHA256: Hash("cast"), MIME: "application/x-asciicast"}})
	return b.End()
}

// Hostile is a run in which every text that can come from a device is nasty.
func Hostile(text string) *Builder {
	b := New(func(s *journal.Start) {
		s.Firmware, s.Model, s.Serial, s.Host, s.Clock = text, text, text, text, text
		s.Planted, s.Selectors = []string{text}, []string{text}
	})
	for i, v := range []verdict.Verdict{verdict.Pass, verdict.Fail, verdict.Inconclusive, verdict.Error, verdict.NotApplicable} {
		skip := func(*journal.Plan) {}
		if v == verdict.NotApplicable {
			skip = Skip(v, verdict.ReasonDeclaredNone, "reason: "+text)
		}
		b.Plan("console", fmt.Sprintf("check-%d", i), "main", skip, func(p *journal.Plan) { p.Title = text; p.Parts = nil })
	}
	for i, v := range []verdict.Verdict{verdict.Pass, verdict.Fail, verdict.Inconclusive, verdict.Error} {
		id := ID(fmt.Sprintf("check-%d", i), "main")
		b.Begin(id)
		b.Add(journal.Event{Kind: journal.KindNote, Case: id, Note: &journal.Note{Text: text}},
			journal.Event{Kind: journal.KindExcerpt, Case: id, Excerpt: &journal.Excerpt{Source: text, Text: text}},
			journal.Event{Kind: journal.KindFault, Case: id, Fault: &journal.Fault{Part: text, Op: text, Error: text}},
			journal.Event{Kind: journal.KindLost, Case: id, Lost: &journal.Lost{Diagnosis: text, Detail: text}},
			journal.Event{Kind: journal.KindObserve, Case: id, Observe: &journal.Observe{Topic: text, Text: text}})
		n := Whole(id, 1)
		for k := range n.Controls {
			n.Controls[k].Text, n.Controls[k].Detail = text, text
		}
		n.Claim.Text, n.Claim.Expected, n.Claim.Got = text, text, text
		n.Claim.Holds = map[verdict.Verdict]journal.Holds{verdict.Fail: journal.No, verdict.Inconclusive: journal.Unknown}[v]
		if n.Claim.Holds == "" {
			n.Claim.Holds = journal.Yes
		}
		b.Refute(id, n).Keep(id)
		if v == verdict.Error {
			b.Done(id, verdict.Judgement{Verdict: v, Reason: verdict.ReasonFault, Detail: text})
		} else {
			b.Done(id)
		}
	}
	b.Add(journal.Event{Kind: journal.KindIntent, Intent: &journal.Intent{ID: "i", What: text}},
		journal.Event{Kind: journal.KindDoctor, Doctor: &journal.Doctor{Phase: "after", Item: text, Part: text, Status: "broken", Detail: text}})
	return b.End()
}
