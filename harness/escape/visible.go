// Package escape makes foreign bytes harmless for each place that text goes
// to, and takes secrets out by value. What a device says is hostile: it may
// hold control characters, broken UTF-8, markup, commands for a terminal or
// for a CI's log reader.
//
// No escaper drops a byte in silence: what cannot be shown is written out.
package escape

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible writes s so that every byte can be seen and none does anything:
// control characters, broken UTF-8 and characters that hide or reorder text as
// \xNN or \u{N}, a backslash as two. A tab and a newline stay. Unvisible is its
// inverse.
func Visible(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\\':
			b.WriteString(`\\`)
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		case hides(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// plain says that Visible has nothing to do.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= 0x7f || c == '\\' || c < 0x20 && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}

// hides says that a character cannot be shown as itself: C1 controls,
// characters that reorder or join text (Trojan Source, CVE-2021-42574), the
// byte order mark, private and unassigned ones, and what XML has not.
func hides(r rune) bool {
	switch {
	case r >= 0x80 && r < 0xa0, r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r == 0xfeff, r == 0xfffe, r == 0xffff, r == 0xad:
		return true
	}
	return !unicode.IsPrint(r) && !unicode.IsSpace(r)
}

// Unvisible gives the text from which Visible made v. What Visible cannot have
// made is an error.
func Unvisible(v string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(v); {
		if v[i] != '\\' {
			b.WriteByte(v[i])
			i++
			continue
		}
		rest := v[i+1:]
		switch {
		case strings.HasPrefix(rest, `\`):
			b.WriteByte('\\')
			i += 2
		case strings.HasPrefix(rest, "x") && len(rest) >= 3:
			n, err := strconv.ParseUint(rest[1:3], 16, 8)
			if err != nil {
				return "", fmt.Errorf("unvisible: at %d: %w", i, err)
			}
			b.WriteByte(byte(n))
			i += 4
		case strings.HasPrefix(rest, "u{"):
			end := strings.IndexByte(rest, '}')
			if end < 0 {
				return "", fmt.Errorf("unvisible: at %d: an open brace", i)
			}
			n, err := strconv.ParseUint(rest[2:end], 16, 21)
			if err != nil {
				return "", fmt.Errorf("unvisible: at %d: %w", i, err)
			}
			b.WriteRune(rune(n))
			i += end + 2
		default:
			return "", fmt.Errorf("unvisible: at %d: no escape of ours", i)
		}
	}
	return b.String(), nil
}

// tags are what readers of JUnit files take for commands in a text: a word
// joiner behind the brackets stops them and changes nothing for a person.
var tags = strings.NewReplacer("[[ATTACHMENT|", "[\\u{2060}[ATTACHMENT|", "[[PROPERTY|", "[\\u{2060}[PROPERTY|")

// XMLText gives s as the text of an XML 1.0 element. Every character outside
// the Char production is written out, and tags that JUnit readers obey are
// broken up.
func XMLText(s string) string { return xmlText.Replace(tags.Replace(Visible(s))) }

var xmlText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// XMLAttr gives s as the value of an attribute in double quotes.
func XMLAttr(s string) string { return xmlAttr.Replace(tags.Replace(Visible(s))) }

var xmlAttr = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;", "\n", "&#10;", "\t", "&#9;")

// HTML gives s as text or as a quoted attribute of an HTML page.
func HTML(s string) string { return htmlText.Replace(Visible(s)) }

var htmlText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;")

// Terminal gives s for a terminal: nothing in it moves the cursor, changes
// colours or titles, or reorders the line.
func Terminal(s string) string { return Visible(s) }

// CILog gives s for the log of a CI, where lines that begin with a marker are
// commands to the reader (::error, ##[group], ##teamcity[, section_start:).
// A guard before the marker makes them text. It does what Terminal does too.
func CILog(s string) string {
	lines := strings.Split(Visible(s), "\n")
	for i, l := range lines {
		trimmed := strings.TrimLeft(l, " \t")
		for _, mark := range []string{"::", "##", "section_start:", "section_end:", "#vso"} {
			if strings.HasPrefix(trimmed, mark) {
				lines[i] = `\` + l
				break
			}
		}
		// GitLab's markers and workflow commands count in mid-line too.
		lines[i] = inline.Replace(lines[i])
	}
	return strings.Join(lines, "\n")
}

var inline = strings.NewReplacer("section_start:", "section_start\\:", "section_end:", "section_end\\:", "##vso[", "##vso\\[", "##teamcity[", "##teamcity\\[", "##[", "##\\[")

// Markdown gives s for a place within a line of Markdown, in a table too: no
// character of it is markup, and a newline becomes a space.
func Markdown(s string) string {
	var b strings.Builder
	for _, r := range Visible(s) {
		switch {
		case r == '\n' || r == '\t':
			b.WriteByte(' ')
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case r == '@': // mentions
			b.WriteString("&#64;")
		case strings.ContainsRune("\\`*_{}[]()#+-.!|~:", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Excerpt is Visible, cut in the middle to about limit bytes, saying how much
// is left out.
func Excerpt(s string, limit int) string {
	v := Visible(s)
	if limit <= 0 || len(v) <= limit {
		return v
	}
	head, tail := cutRune(v[:limit/2]), v[len(v)-limit/2:]
	for len(tail) > 0 && !utf8.RuneStart(tail[0]) {
		tail = tail[1:]
	}
	return fmt.Sprintf("%s\n… %d bytes left out …\n%s", head, len(v)-len(head)-len(tail), tail)
}

// cutRune drops an unfinished character from the end.
func cutRune(s string) string {
	for i := 0; i < utf8.UTFMax && len(s) > 0; i++ {
		if r, n := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || n != 1 {
			break
		}
		s = s[:len(s)-1]
	}
	return s
}
