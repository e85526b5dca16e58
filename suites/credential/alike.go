package credential

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"rigor/harness/dut"
	"rigor/harness/escape"
)

// faces gives the answers to tries on known and on unknown accounts as they are
// compared: what the device said, in its own words, without the names that were
// tried and without what differs between two tries of one kind. All else stays,
// punctuation and every script: a code or a full stop tells accounts apart too.
func faces(names []string, known, unknown []dut.Answer) (k, u []string) {
	nameless, said := spellings(names), [2][]string{}
	for i, as := range [][]dut.Answer{known, unknown} {
		for _, a := range as {
			said[i] = append(said[i], string(a.Kind)+" "+nameless.ReplaceAllString(string(a.Raw), "USER"))
		}
	}
	if len(known) == 1 && len(unknown) == 1 { // no second one that would show what varies
		return []string{masked(said[0][0])}, []string{masked(said[1][0])}
	}
	rows := words(said, false)
	if uneven(rows[0]) || uneven(rows[1]) { // by the signs in a random token, perhaps
		rows = words(said, true)
	}
	for _, n := range lengths(rows) {
		level(ofLength(rows[0], n), ofLength(rows[1], n))
	}
	return joined(rows[0]), joined(rows[1])
}

// spellings finds the tried names in whatever way an answer spells them, and not
// in the middle of a longer word.
func spellings(names []string) *regexp.Regexp {
	var forms []string
	for _, n := range names {
		quoted, _ := json.Marshal(n) // a string always is one
		for _, f := range []string{n, url.QueryEscape(n), url.PathEscape(n), html.EscapeString(n), strings.Trim(string(quoted), `"`)} {
			if f != "" {
				forms = append(forms, edge(f[0])+regexp.QuoteMeta(f)+edge(f[len(f)-1]))
			}
		}
	}
	slices.Sort(forms)
	slices.SortStableFunc(forms, func(a, b string) int { return len(b) - len(a) }) // the longest first
	return regexp.MustCompile(`(?i)(?:` + strings.Join(slices.Compact(forms), "|") + `)`)
}

// edge is where a word begins or ends, if it does so with this letter.
func edge(b byte) string {
	if b == '_' || isWord(rune(b)) {
		return `\b`
	}
	return ""
}

func isWord(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// words splits each text into words, white space and single other characters;
// coarse takes the signs of base64 for letters.
func words(said [2][]string, coarse bool) (rows [2][][]string) {
	class := func(r rune) int {
		switch {
		case isWord(r), coarse && strings.ContainsRune("+/=_-", r):
			return 1
		case unicode.IsSpace(r):
			return 2
		}
		return 0
	}
	for i, texts := range said {
		for _, s := range texts {
			var row []string
			last := 0
			for _, r := range strings.TrimSpace(s) {
				c := class(r)
				switch {
				case c == 2 && last == 2: // how much of it is a matter of the line
				case c == 2:
					row = append(row, " ")
				case c == 1 && last == 1:
					row[len(row)-1] += string(r)
				default:
					row = append(row, string(r))
				}
				last = c
			}
			rows[i] = append(rows[i], row)
		}
	}
	return rows
}

func uneven(rows [][]string) bool {
	return slices.ContainsFunc(rows, func(r []string) bool { return len(r) != len(rows[0]) })
}

func lengths(rows [2][][]string) (out []int) {
	for _, r := range slices.Concat(rows[0], rows[1]) {
		out = append(out, len(r))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func ofLength(rows [][]string, n int) (out [][]string) {
	for _, r := range rows {
		if len(r) == n {
			out = append(out, r)
		}
	}
	return out
}

// level takes out of texts of the same length the words that differ between two
// of one kind: tokens, clocks and counts, which have digits. A word that is the
// same to all of one kind, and never comes to the other, stays: what differs
// there may be what tells them apart.
func level(k, u [][]string) {
	for col := range len(slices.Concat(k, u)[0]) {
		ks, us := column(k, col), column(u, col)
		if len(ks) < 2 && len(us) < 2 || !slices.ContainsFunc(slices.Concat(ks, us), func(w string) bool { return strings.ContainsAny(w, "0123456789") }) {
			continue
		}
		if tells(k, ks, us) || tells(u, us, ks) {
			continue
		}
		for _, row := range slices.Concat(k, u) {
			row[col] = "#"
		}
	}
}

// column gives the different words at one place.
func column(rows [][]string, col int) (out []string) {
	for _, r := range rows {
		if !slices.Contains(out, r[col]) {
			out = append(out, r[col])
		}
	}
	return out
}

func tells(rows [][]string, own, other []string) bool {
	return len(rows) > 1 && len(own) == 1 && !slices.Contains(other, own[0])
}

func joined(rows [][]string) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = strings.Join(r, "")
	}
	return out
}

// What masked takes out.
var (
	longToken = regexp.MustCompile(`[A-Za-z0-9+/=_-]{16,}`)
	remaining = regexp.MustCompile(`(?i)\d+([.:]\d+)*\s*((ms|s|secs?|seconds?|m|mins?|minutes?|h|hours?)\b|秒|分|小时)`)
	waiting   = regexp.MustCompile(`(?i)((retry|wait|remain|left|second|minute|until|expire)[a-z_-]*["']?\s*[:=]?\s*["']?)\d+`)
)

// masked takes out of a single answer what is known to differ between any two:
// long tokens, and how long is left of a lock.
func masked(s string) string {
	s = longToken.ReplaceAllStringFunc(s, func(w string) string {
		if strings.ContainsAny(w, "0123456789") {
			return "#"
		}
		return w
	})
	s = remaining.ReplaceAllString(s, "TIME")
	return strings.Join(strings.Fields(waiting.ReplaceAllString(s, "$1#")), " ")
}

// apart shows two texts around the first place where they differ.
func apart(a, b string) (string, string) {
	const before, most = 40, 100
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	cut := func(s string) string {
		return fmt.Sprintf(`"%s"`, escape.Visible(strings.ToValidUTF8(s[max(0, at-before):min(len(s), at+most)], "")))
	}
	return cut(a), cut(b)
}
