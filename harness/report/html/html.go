// Package html renders a run as one HTML file that reads without scripts,
// without styles and without a network.
package html

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"sync"

	"rigor/harness/journal"
)

//go:embed style.css
var style string

//go:embed report.html.tmpl
var page string

// The page runs no script and loads nothing; the one style sheet that it
// carries is allowed by its hash.
var csp = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}()

var tmpl = sync.OnceValue(func() *template.Template { return template.Must(template.New("report").Parse(page)) })

// Limits of a page. What is left out is said in its place, and is in run.json.
const (
	maxQuiet    = 2_000   // cases in full that need no attention; others get a line
	maxLoud     = 5_000   // cases in full that do
	maxRows     = 1_000   // of any other list
	maxLinks    = 40      // of cases in one cell
	maxTimeline = 200     // lines of one case
	maxText     = 100_000 // bytes of one excerpt
)

// Write renders the page. Before is the run to compare with, or nil. Equal
// results give equal bytes.
func Write(w io.Writer, res, before *journal.Result) error {
	bw := bufio.NewWriterSize(w, 1<<16)
	if err := tmpl().Execute(bw, newView(res, before)); err != nil {
		return fmt.Errorf("report.html: %w", err)
	}
	if err := bw.Flush(); err != nil {
		return fmt.Errorf("report.html: %w", err)
	}
	return nil
}
