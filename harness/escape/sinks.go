package escape

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// tag is what readers of JUnit files take for a command in a text, such as
// [[ATTACHMENT|path]] and [[PROPERTY|name=value]]. Case is not looked at.
var tag = regexp.MustCompile(`\[\[([A-Za-z_-]+\|)`)

// untag breaks such a command up, in the notation of Visible.
func untag(visible string) string {
	if !strings.Contains(visible, "[[") {
		return visible
	}
	return tag.ReplaceAllString(visible, `[\x5b$1`)
}

// XMLText gives s as the text of an XML 1.0 element. Every character outside
// the Char production (XML 1.0 fifth edition, 2.2) is written out, and tags
// that JUnit readers obey are broken up.
func XMLText(s string) string { return xmlText.Replace(untag(Visible(s))) }

var xmlText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// XMLAttr gives s as the value of an attribute in double or single quotes. A
// tab and a newline outlive the normalisation of attribute values (XML 1.0,
// 3.3.3).
func XMLAttr(s string) string { return xmlAttr.Replace(untag(Visible(s))) }

var xmlAttr = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;", "\n", "&#10;", "\t", "&#9;")

// HTML gives s as text or as a quoted attribute of an HTML page. It is no URL
// and no script.
func HTML(s string) string { return htmlText.Replace(Visible(s)) }

var htmlText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;", "`", "&#96;")

// Terminal gives s for a terminal: nothing in it moves the cursor, changes
// colours or titles, or reorders the line. Newlines and tabs stay.
func Terminal(s string) string { return Visible(s) }

// CILog gives s for the log of a CI, where some lines are commands to the
// reader: ::error and ##[group] (GitHub), ##vso[ (Azure), ##teamcity[,
// section_start: (GitLab), travis_fold:, and --- +++ ~~~ (Buildkite). The first
// or the last character of such a marker is written out, which makes it text.
// It does what Terminal does too, and Unvisible undoes it.
func CILog(s string) string {
	v := Visible(s)
	if strings.Contains(v, "##") {
		v = hashes.ReplaceAllString(v, `$1\x5b`)
	}
	if strings.Contains(v, "_") {
		v = sections.ReplaceAllString(v, `$1\x3a`)
	}
	if !atStart(v) {
		return v
	}
	lines := strings.Split(v, "\n")
	for i, l := range lines {
		text := strings.TrimLeftFunc(l, unicode.IsSpace)
		for _, mark := range []string{"::", "--- ", "+++ ", "~~~ ", "^^^ "} {
			if strings.HasPrefix(text, mark) {
				lines[i] = l[:len(l)-len(text)] + `\x` + strconv.FormatInt(int64(text[0]), 16) + text[1:]
				break
			}
		}
	}
	return strings.Join(lines, "\n")
}

var (
	hashes   = regexp.MustCompile(`(##[A-Za-z]*)\[`)
	sections = regexp.MustCompile(`(?i)(section_(?:start|end)|travis_(?:fold|time)):`)
)

// atStart says whether a line may begin with a marker, roughly.
func atStart(v string) bool {
	for _, mark := range []string{"::", "--- ", "+++ ", "~~~ ", "^^^ "} {
		if strings.Contains(v, mark) {
			return true
		}
	}
	return false
}

// Markdown gives s for a place within a line of Markdown, in a table too: no
// character of it is markup (CommonMark, with GitHub's tables and links), and a
// newline and a tab are written out as \n and \t. A name behind an @ mentions
// nobody.
func Markdown(s string) string {
	v := Visible(s)
	var b strings.Builder
	b.Grow(len(v) + len(v)/4)
	for i, r := range v {
		switch {
		case r == '\n':
			b.WriteString(`\\n`)
		case r == '\t':
			b.WriteString(`\\t`)
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case r == '@':
			b.WriteString("&#64;")
			if next, _ := utf8.DecodeRuneInString(v[i+1:]); unicode.IsLetter(next) || unicode.IsDigit(next) {
				b.WriteString("<!-- -->") // readers look for mentions after entities are gone
			}
		case r < utf8.RuneSelf && strings.ContainsRune("\\`*_{}[]()#+-.!|~:$", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// JSON gives s as a JSON string with its quotes, also fit for a script element
// of a page. A byte of broken UTF-8, which JSON cannot hold, is written as
// Visible does it; what is sound comes back as it was.
func JSON(s string) string {
	if !utf8.ValidString(s) {
		s = Visible(s)
	}
	b, err := json.Marshal(s)
	if err != nil {
		return strconv.QuoteToASCII(s) // no string is refused
	}
	return string(b)
}

// JSONLine gives JSON that is encoded already, with every character in it that a
// terminal would obey or that hides (see Visible) written as \uNNNN, which
// reads back as the same: encoders leave DEL, the C1 controls and those that
// turn the reading order as they are. Such JSON can be shown.
func JSONLine(data []byte) []byte {
	plain := func(c byte) bool { return c < 0x7f }
	i := 0
	for i < len(data) && plain(data[i]) {
		i++
	}
	if i == len(data) {
		return data
	}
	out := append(make([]byte, 0, len(data)+16), data[:i]...)
	for i < len(data) {
		r, n := utf8.DecodeRune(data[i:])
		if r == 0x7f || r >= utf8.RuneSelf && hides(r) {
			for _, u := range utf16.Encode([]rune{r}) {
				out = fmt.Appendf(out, `\u%04x`, u)
			}
		} else {
			out = append(out, data[i:i+n]...)
		}
		i += n
	}
	return out
}

// Tame says whether a text can be shown as it is: Visible would write nothing
// out but backslashes, and the returns that belong to line ends.
func Tame(s string) bool {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1, r < ' ' && r != '\n' && r != '\t', r == 0x7f, r >= utf8.RuneSelf && hides(r):
			return false
		}
		i += n
	}
	return true
}

// maxName is how long a name may be; file systems take 255 bytes, and endings
// and numbers come behind.
const maxName = 120

// Name gives s as one element of a path, for a file of evidence: letters,
// digits, - _ . and = stay, everything else becomes one dash for a run of it.
// It is never empty, hidden, "." or "..", nor a reserved name of Windows. Two
// texts may get one name: where that matters, number them.
func Name(s string) string {
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		c := s[i]
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '=' || c == '.' && len(b) > 0 && b[len(b)-1] != '.' && b[len(b)-1] != '-' {
			b = append(b, c)
		} else if len(b) > 0 && b[len(b)-1] != '-' {
			b = append(b, '-')
		}
		if len(b) == maxName {
			break
		}
	}
	name := strings.TrimRight(string(b), "-.")
	if name == "" {
		return "unnamed"
	}
	stem, _, _ := strings.Cut(strings.ToUpper(name), ".")
	if reserved.MatchString(stem) {
		name = "_" + name
	}
	return name
}

var reserved = regexp.MustCompile(`^(CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])$`)
