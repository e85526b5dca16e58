package html_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	nethtml "golang.org/x/net/html"

	"rigor/harness/journal"
	"rigor/harness/journal/journaltest"
	"rigor/harness/report/html"
)

func render(t testing.TB, res, before *journal.Result) string {
	t.Helper()
	var buf bytes.Buffer
	require.NoError(t, html.Write(&buf, res, before))
	return buf.String()
}

// walk parses the page as a browser does and visits each element.
func walk(t testing.TB, page string, visit func(n *nethtml.Node, attr map[string]string)) {
	t.Helper()
	root, err := nethtml.Parse(strings.NewReader(page))
	require.NoError(t, err)
	for n := range root.Descendants() {
		if n.Type != nethtml.ElementNode {
			continue
		}
		attr := map[string]string{}
		for _, a := range n.Attr {
			attr[a.Key] = a.Val
		}
		visit(n, attr)
	}
}

// text gives what a reader sees with scripts and styles off.
func text(t testing.TB, page string) string {
	t.Helper()
	root, err := nethtml.Parse(strings.NewReader(page))
	require.NoError(t, err)
	var b strings.Builder
	for n := range root.Descendants() {
		if n.Type == nethtml.TextNode && n.Parent.Data != "style" {
			b.WriteString(n.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func TestReadsWithoutScriptsAndStyles(t *testing.T) {
	res := journaltest.Sample().Fold()
	page := render(t, res, nil)
	seen := text(t, page)
	for _, want := range []string{
		"acme-gateway 1.4.2 on bench-a FAILED con-boot-interrupt[main]: access: ", "9 of 10 planned", "1 not selected", // banner
		"a space sent 1.2 s after power-on opened the prompt", "expected the boot goes on, whatever is sent", // claim
		"finding", "no finding in what was tested", "partly tested", "not tested", // law 4's words
		"control before login on ssh, accepted, as it must", "anti-control", "63 planned, 63 tried, 63 effective: 63 refused", "device unchanged yes",
		"NOT as it must, the owner's account is locked",
		"Hit any key to stop autoboot: 2 \\x08\\x08\\x08 1", "<script>alert(1)</script>", // transcript
		"sha256 " + journaltest.Hash(journaltest.Path("con-boot-interrupt[main]")), "rigor run --rig rigs/bench-a.yaml --seed 7 'con-boot-interrupt[main]'",
		"Planted weaknesses ssh-default-login, boot-shell", "Clock synchronised", "Unit AG-000123", "SHA-256 of profile", "Waived by kim until 2027-01-15",
		"before the run port opens", "net-info[eth1]", res.Hash, "sent 3 newlines, 200 ms apart", "+0.250 s", "line is held by gpio-keys", "Tried 2 times",
	} {
		assert.Contains(t, seen, want)
	}
	assert.NotContains(t, seen, " met ", "a clause is never met")
	assert.NotContains(t, seen, "run before")
	assert.NotContains(t, page, "<script")
	assert.NotContains(t, page, "http://")
	assert.NotContains(t, page, "https://")
	assert.Less(t, len(page), 60_000, "the frame is small")
}

func TestBefore(t *testing.T) {
	before := journaltest.New(func(s *journal.Start) { s.Run, s.Firmware = "the-run-before", "1.4.1" }).
		Plan("console", "con-boot-interrupt", "main").Plan("credential", "cred-known-list", "ssh").Plan("console", "con-gone", "main").
		Pass("con-boot-interrupt[main]").Fail("cred-known-list[ssh]").Pass("con-gone[main]").End().Fold()
	seen := text(t, render(t, journaltest.Sample().Fold(), before))
	assert.Contains(t, seen, "4 new, 1 fixed, 1 missing, against the-run-before .")
	assert.Contains(t, seen, "con-boot-interrupt[main] (pass before)")
	assert.Contains(t, seen, "fixed cred-known-list[ssh] (fail before)")
	assert.Contains(t, seen, "missing con-gone[main]")
	assert.Contains(t, seen, `Mind that the run before was of firmware "1.4.1", now "1.4.2"`)
}

// movedRuns are two runs on two benches in which a case failed on one of them, and passed
// on the other.
func movedRuns() (now, before *journal.Result) {
	two := func(s *journal.Start) {
		s.Rig, s.Serial = "bench", "A-1"
		s.Beside = []journal.Place{{Rig: "bench-2", File: "two.yaml", Serial: "A-2"}}
	}
	before = journaltest.New(two).Plan("credential", "cred-blank[ssh]", "").Fail("cred-blank[ssh]").End().Fold()
	now = journaltest.New(two).Plan("credential", "cred-blank[ssh]", "").Pass("cred-blank[ssh]").End().Fold()
	now.Cases[0].Rig = "bench-2"
	return now, before
}

func TestOnAnotherUnit(t *testing.T) {
	now, before := movedRuns()
	seen := text(t, render(t, now, before))
	assert.Contains(t, seen, "1 fixed (1 on another unit than before)")
	assert.Contains(t, seen, "fail before; on A-2, before A-1")
}

func TestPolicyAllowsItsOwnStyleAlone(t *testing.T) {
	page := render(t, journaltest.Sample().Fold(), nil)
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(page)
	require.Len(t, style, 2)
	sum := sha256.Sum256([]byte(style[1]))
	found := false
	walk(t, page, func(n *nethtml.Node, attr map[string]string) {
		if n.Data == "meta" && attr["http-equiv"] == "Content-Security-Policy" {
			found = true
			assert.Equal(t, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; base-uri 'none'; form-action 'none'", attr["content"])
		}
		assert.Empty(t, attr["style"], "an inline style would be refused")
	})
	assert.True(t, found)
}

func TestLinksLeadSomewhere(t *testing.T) {
	page := render(t, journaltest.Sample().Fold(), journaltest.Sample().Fold())
	ids := map[string]int{}
	walk(t, page, func(_ *nethtml.Node, attr map[string]string) {
		if attr["id"] != "" {
			ids[attr["id"]]++
		}
	})
	for id, n := range ids {
		assert.Equal(t, 1, n, "id %s", id)
	}
	assert.Contains(t, ids, "case-cred-known-list-ssh", "a permalink that is the same in each run")
	walk(t, page, func(n *nethtml.Node, attr map[string]string) {
		if n.Data != "a" {
			return
		}
		if place, ok := strings.CutPrefix(attr["href"], "#"); ok {
			assert.Contains(t, ids, place)
			return
		}
		u, err := url.Parse(attr["href"])
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(u.Path, "./evidence/"), "%s", attr["href"])
	})
}

func TestIDsThatDifferInSignsOnly(t *testing.T) {
	b := journaltest.New().Plan("s", "a", "b").Plan("s", "a-b", "").Plan("s", "a", "b]")
	page := render(t, b.Pass("a[b]").Pass("a-b").Pass("a[b]]").End().Fold(), nil)
	for _, id := range []string{"case-a-b", "case-a-b-2", "case-a-b-3"} {
		assert.Equal(t, 1, strings.Count(page, `id="`+id+`"`), id)
	}
}

func TestEvidenceLinksStayInTheRun(t *testing.T) {
	for _, path := range []string{"../../etc/passwd", "/etc/passwd", "javascript:alert(1)", "evidence/../../x", `evidence\..\x`, "//host/x", "private/raw.bin"} {
		b := journaltest.New().Plan("s", "a", "")
		b.Begin("a").Claim("a", journal.Claim{Claim: 1, Text: "t", Holds: journal.No, Evidence: []journal.Ref{{Path: path}}}).Done("a")
		page := render(t, b.End().Fold(), nil)
		walk(t, page, func(n *nethtml.Node, attr map[string]string) {
			if n.Data == "a" {
				assert.True(t, strings.HasPrefix(attr["href"], "#"), "%s became %s", path, attr["href"])
			}
		})
		assert.Contains(t, text(t, page), "never closed and hashed")
	}
}

// TestHostileBytes: whatever a device says, the page has the same elements as
// with plain text, and nothing that runs or loads.
func TestHostileBytes(t *testing.T) {
	shape := func(page string) map[string]int {
		n := map[string]int{}
		walk(t, page, func(e *nethtml.Node, attr map[string]string) {
			n[e.Data]++
			for k := range attr {
				n["@"+k]++
			}
		})
		for _, optional := range []string{"p", "h4", "dt", "dd", "@class"} { // left out where a text is empty
			delete(n, optional)
		}
		return n
	}
	want := shape(render(t, journaltest.Hostile("plain").Fold(), nil))
	for _, name := range slices.Sorted(maps.Keys(journaltest.Nasty)) {
		t.Run(name, func(t *testing.T) {
			page := render(t, journaltest.Hostile(journaltest.Nasty[name]).Fold(), nil)
			assert.True(t, utf8.ValidString(page))
			got := shape(page)
			for k, n := range got {
				assert.LessOrEqual(t, n, want[k], "%s", k)
			}
			for _, k := range []string{"script", "img", "iframe", "b", "@onerror", "@onmouseover", "@src"} {
				assert.LessOrEqual(t, got[k], want[k], "%s", k)
			}
			for _, c := range page {
				if good := c == '\n' || c == '\t' || c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0) && !(c >= 0x202a && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069); !good { // Helper, which each assertion calls, costs more than the look
					t.Fatalf("%U", c)
				}
			}
		})
	}
}

// Journals of old hold line ends as what they are made of; a report of them
// stays as it was.
func TestExcerptIsShownAsWritten(t *testing.T) {
	for _, written := range []string{`login: \x0d` + "\nPassword: ", "login: \nPassword: ", `50 %\x0d100 %`} {
		b := journaltest.New().Plan("s", "a", "")
		b.Begin("a").Add(journal.Event{Kind: journal.KindExcerpt, Case: "a", Excerpt: &journal.Excerpt{Source: "console.main", Text: written}}).Holds("a", 1).Done("a")
		assert.Contains(t, render(t, b.End().Fold(), nil), "<pre>"+written+"</pre>")
	}
}

func TestManyCases(t *testing.T) {
	b := journaltest.New()
	for i := range 3000 {
		b.Plan("s", fmt.Sprintf("check-%d", i), "")
	}
	for i := range 3000 {
		b.Pass(fmt.Sprintf("check-%d", i))
	}
	res := b.End().Fold()
	page := render(t, res, nil)
	assert.Equal(t, 2000, strings.Count(page, `<details class="case"`))
	assert.Contains(t, text(t, page), "1000 further cases in short", "what is left out is said")
	for _, id := range []string{"case-check-0", "case-check-2999"} {
		assert.Contains(t, page, `id="`+id+`"`)
	}
}

func TestTrouble(t *testing.T) {
	seen := text(t, render(t, journaltest.New().Plan("s", "a", "").Pass("a").Fold(), nil))
	assert.Contains(t, seen, "ERROR OF THE RIG")
	assert.Contains(t, seen, "error.unfinished: the run was cut short: the journal has no end")
	seen = text(t, render(t, journaltest.New().End().Fold(), nil))
	assert.Contains(t, seen, "NOTHING RUN")
	assert.Contains(t, seen, "0 of 0 planned")
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestWriteError(t *testing.T) {
	require.ErrorIs(t, html.Write(full{}, journaltest.Sample().Fold(), nil), io.ErrShortWrite)
}

// A rig that was left as it was is not said to be safe.
func TestHowTheRigWasLeft(t *testing.T) {
	for _, c := range []struct {
		end  journal.End
		want string
	}{
		{journal.End{Safe: true}, "finished, rig put safe"},
		{journal.End{}, "finished, rig NOT shown to be safe"},
		{journal.End{Left: journal.LeftHeld}, "finished, rig left as it is: it was to be held"},
		{journal.End{Left: journal.LeftUnbound}, "finished, rig never bound, and left as it was"},
		{journal.End{Safe: true, Left: journal.LeftUnbound}, "finished, rig put safe, but for one that was never bound"},
		{journal.End{Left: "odd"}, "finished, rig NOT shown to be safe"},
	} {
		c.end.How = journal.EndFinished
		page := text(t, render(t, journaltest.New().Plan("s", "a", "").Add(journal.Event{Kind: journal.KindEnd, End: &c.end}).Fold(), nil))
		assert.Contains(t, page, " "+c.want+" ")
	}
}
