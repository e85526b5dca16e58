package login

import (
	"bytes"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"rigor/harness/verdict"
)

// Texts are the patterns by which the DUT's own words tell one no from
// another. A pattern counts only where the words are a statement: not behind
// "if" or "until", not before "will", and not where they stood on the page
// before the try already.
type Texts struct {
	LockedOut  []*regexp.Regexp // the account or the source is locked now
	Throttled  []*regexp.Regexp // not now: too many tries, wait
	Restricted []*regexp.Regexp // let in, but a password has to be set first
	Refused    []*regexp.Regexp // a plain no
}

// DefaultTexts are the words of PAM, shadow, busybox, OpenSSH, dropbear and of
// common web interfaces, in English. What a maker words otherwise, or in
// another language, is for the profile to declare.
func DefaultTexts() Texts { return defaultTexts() }

// The many patterns are made once: a prober is made for each try.
var defaultTexts = sync.OnceValue(func() Texts {
	return Texts{
		LockedOut: compile(
			`\b(?:account|user|login|access|device|source|address|ip)\b(?:[^.\n]|\.\d){0,40}?\b(?:is|has been|have been|was|are|got)\s+(?:now\s+|currently\s+|temporarily\s+|permanently\s+|automatically\s+)*(?:locked|blocked|suspended|banned)\b`,
			`\b(?:account|user)\s+(?:now\s+|temporarily\s+)?(?:locked|blocked|suspended)\b`,
			`\byou\s+(?:are|have been)\s+(?:now\s+|currently\s+|temporarily\s+)*(?:locked out|blocked|banned)\b`,
			`\b(?:login|logins|logging in)\s+(?:is|are)\s+(?:now\s+|currently\s+|temporarily\s+)*(?:locked|blocked|disabled)\b`,
			`\btemporarily locked(?: out)?\b`,
		),
		Throttled: compile(
			`\btoo many\s+(?:\w+\s+){0,3}?(?:attempts|tries|failures|requests|connections|logins)\b`,
			`\b(?:try|retry|log ?in)\s+again\s+(?:in|after)\s+(?:about\s+)?\d+\s*(?:s|sec|m|min|h|hour)`,
			`\bwait\s+(?:for\s+)?(?:about\s+)?\d+\s*(?:s|sec|m|min)`,
			`\brate limit(?:ed)?\b`,
			`\bexceeded maxstartups\b`,
			`\bnot allowed at this time\b`,
		),
		Restricted: compile(
			`\byou\s+(?:are\s+required|must|have|need)\s+to\s+(?:change|set|choose|reset|create)\s+(?:your|the|a|an)?\s*(?:new\s+|initial\s+|default\s+|root\s+)?password\b`,
			`\byou\s+must\s+(?:change|set|choose|create)\s+(?:your|the|a|an)\s+(?:new\s+|initial\s+|default\s+)?password\b`,
			`\byour password has expired\b`,
			`\bpassword change required\b`,
			`(?m)^\s*(?:\(current\)\s*(?:unix\s+)?|enter\s+(?:a\s+)?new\s+|current\s+|new\s+)password\s*:`,
		),
		Refused: compile(
			`\b(?:login|log-in|logon|sign-?in|authentication|authorization)\s+(?:was\s+|has\s+)?(?:incorrect|failed|failure|error|denied|invalid|rejected|refused)\b`,
			`\b(?:invalid|incorrect|wrong|bad|unknown)\s+(?:login|log-in|user ?name|user|password|passwd|pass|credentials?|account)\b`,
			`\b(?:password|user ?name|credentials?)\s+(?:is|are|was|were)?\s*(?:invalid|incorrect|wrong|not correct|not valid|not recogni[sz]ed)\b`,
			`\b(?:permission|access)\s+denied\b`,
			`\bmaximum number of tries exceeded\b`,
			`\bnot authori[sz]ed\b`,
			`\bunauthori[sz]ed\b`,
		),
	}
})

func compile(patterns ...string) []*regexp.Regexp {
	out := make([]*regexp.Regexp, len(patterns))
	for i, p := range patterns {
		out[i] = regexp.MustCompile(`(?i)` + p)
	}
	return out
}

// With gives the texts with more put before them, as the profile declares
// them: a declared pattern is asked first.
func (t Texts) With(more Texts) Texts {
	join := func(a, b []*regexp.Regexp) []*regexp.Regexp { return append(append([]*regexp.Regexp(nil), a...), b...) }
	return Texts{
		LockedOut:  join(more.LockedOut, t.LockedOut),
		Throttled:  join(more.Throttled, t.Throttled),
		Restricted: join(more.Restricted, t.Restricted),
		Refused:    join(more.Refused, t.Refused),
	}
}

var (
	// What makes a sentence a condition or an announcement: the login page
	// that says "if your account is locked, call us" locks nobody.
	conditional = regexp.MustCompile(`(?i)\b(?:if|when|whenever|once|until|before|unless|case|after|should|avoid|prevent)\b[^.!?\n]*$`)
	announced   = regexp.MustCompile(`(?i)^[^.!?\n]{0,20}?\b(?:will|may|can|could|would|might|lead|leads|cause|causes|result|results)\b`)
	// "unauthorized access is prohibited" warns whoever is let in as well.
	forbids = regexp.MustCompile(`(?i)^\s+(?:access|use|usage|users?|entry|logins?|connections?|persons?)\b[^.!?\n]{0,60}?\b(?:prohibited|forbidden|illegal|unlawful|prosecuted)\b`)
	unauth  = regexp.MustCompile(`(?i)^unauthori[sz]ed$`)
	// "is locked after 5 tries" is a rule, "has been locked after 5 tries" is news.
	rule    = regexp.MustCompile(`(?i)\b(?:is|are)\s`)
	ruled   = regexp.MustCompile(`(?i)^\s*(?:after|for each|every|as soon as)\b`)
	seconds = regexp.MustCompile(`(?i)\b(?:in|after|wait|for)\s+(?:for\s+)?(?:about\s+)?(\d{1,6})\s*(s|m|h)`)
)

// Read gives the kind that the DUT's words state, and the words; the empty
// kind where they state none. Before is what the DUT had shown before the try,
// such as the login page: words that stand there say nothing about the try.
// What is locked is asked for before what is refused, since a lock is often
// told together with a refusal.
func (t Texts) Read(said, before []byte) (verdict.Kind, string) {
	screen := fold(said)
	for _, g := range []struct {
		kind     verdict.Kind
		patterns []*regexp.Regexp
	}{
		{verdict.LockedOut, t.LockedOut}, {verdict.Throttled, t.Throttled},
		{verdict.Restricted, t.Restricted}, {verdict.Refused, t.Refused},
	} {
		for _, re := range g.patterns {
			if !screen.may(re) {
				continue
			}
			if words, ok := stated(re, said, before); ok {
				return g.kind, words
			}
		}
	}
	return "", ""
}

// stated gives the first words in said that match and are a statement, and
// that before did not state as well.
func stated(re *regexp.Regexp, said, before []byte) (string, bool) {
	var old [][]byte
	looked := false
	for words := range statements(re, said) {
		if !looked { // most texts state nothing
			looked = true
			old = slices.Collect(statements(re, before))
		}
		if !slices.ContainsFunc(old, func(w []byte) bool { return bytes.Equal(w, words) }) {
			return string(words), true
		}
	}
	return "", false
}

// statements goes through the words in text that match and are said to be so.
func statements(re *regexp.Regexp, text []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, at := range re.FindAllIndex(text, 32) {
			words := text[at[0]:at[1]]
			switch {
			case len(words) == 0,
				conditional.Match(text[max(0, at[0]-120):at[0]]),
				announced.Match(text[at[1]:min(len(text), at[1]+60)]),
				unauth.Match(words) && forbids.Match(text[at[1]:min(len(text), at[1]+120)]),
				rule.Match(words) && ruled.Match(text[at[1]:]):
				continue
			}
			if !yield(words) {
				return
			}
		}
	}
}

// Wait gives the time that the DUT's words ask to wait, 0 where they name none.
func Wait(said []byte) time.Duration {
	m := seconds.FindSubmatch(said)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		return 0
	}
	unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour}[m[2][0]|0x20]
	return time.Duration(n) * unit
}
