// Package report writes the files of a run's folder from its result: JUnit,
// HTML, the summary for CI pages, run.json and the hashes of all of it. It sees
// the result alone, so that the reports of a run that a crash cut short are
// made in the same way.
package report

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"rigor/harness/journal"
	"rigor/harness/report/html"
	"rigor/harness/report/json"
	"rigor/harness/report/junit"
	"rigor/harness/report/markdown"
)

// The files that Write makes in a run's folder.
const (
	JUnit    = "junit.xml"
	HTML     = "report.html"
	Markdown = "summary.md"
	JSON     = "run.json"
	Sums     = "SHA256SUMS"
)

// private holds raw bytes that are not to leave the rig; its files are not
// listed.
const private = "private"

// ErrEvidence says that evidence in the folder is not what the journal
// recorded: missing, or another content. All reports are written nevertheless.
var ErrEvidence = errors.New("evidence is not as recorded")

// Options of the reports.
type Options struct {
	JUnit junit.Options
}

// Write makes all reports in dir, each whole or not at all. Before is the run
// to compare with, or nil. Equal results and evidence give equal bytes.
func Write(dir string, res, before *journal.Result, o Options) error {
	all := []struct {
		name  string
		write func(io.Writer) error
	}{
		{JUnit, func(w io.Writer) error { return junit.Write(w, res, o.JUnit) }},
		{HTML, func(w io.Writer) error { return html.Write(w, res, before) }},
		{Markdown, func(w io.Writer) error { return markdown.Write(w, res, before) }},
		{JSON, func(w io.Writer) error { return json.Write(w, res) }},
	}
	// Side by side: all only read the result. One that cannot be written does
	// not keep the others from being there.
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, f := range all {
		wg.Go(func() { errs[i] = File(filepath.Join(dir, f.name), f.write) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	sums, err := hashes(dir)
	if err != nil {
		return err
	}
	err = File(filepath.Join(dir, Sums), func(w io.Writer) error {
		for _, name := range slices.Sorted(maps.Keys(sums)) {
			if _, err := io.WriteString(w, sumLine(name, sums[name])); err != nil {
				return fmt.Errorf("write %s: %w", Sums, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return verify(res, sums)
}

// File writes a file so that a reader sees it whole or not at all: next to its
// place under a name that no reader of reports looks for, synced, then renamed.
func File(path string, write func(io.Writer) error) (err error) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	f, err := os.CreateTemp(dir, "."+base+".tmp*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir) //nolint:gosec // the caller's own folder
	if err != nil {
		return err
	}
	// Some file systems cannot sync a folder; the file itself is safe.
	_ = d.Sync()
	return d.Close()
}

// hashes gives the SHA-256 of every file of the folder that may be handed on,
// by its path with slashes.
func hashes(dir string) (map[string]string, error) {
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && rel == private:
			return fs.SkipDir
		case !d.Type().IsRegular(), rel == Sums, strings.HasPrefix(d.Name(), "."):
			return nil
		}
		sum, err := hash(path)
		out[filepath.ToSlash(rel)] = sum
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("hash the files of %s: %w", dir, err)
	}
	return out, nil
}

func hash(path string) (string, error) {
	f, err := os.Open(path) //nolint:gosec // a file of the run's own folder
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// sumLine is a line as sha256sum reads it; it marks a name that it had to
// escape by a backslash in front.
func sumLine(name, sum string) string {
	esc := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(name)
	if esc != name {
		return `\` + sum + "  " + esc + "\n"
	}
	return sum + "  " + name + "\n"
}

// verify holds the evidence in the folder against the journal.
func verify(res *journal.Result, sums map[string]string) error {
	var bad []string
	for i := range res.Files {
		f := &res.Files[i]
		got, ok := sums[filepath.ToSlash(f.Path)]
		switch {
		case strings.HasPrefix(f.Path, private+"/"):
		case !ok:
			bad = append(bad, fmt.Sprintf("%q is missing", f.Path))
		case got != f.SHA256:
			bad = append(bad, fmt.Sprintf("%q has changed", f.Path))
		}
	}
	if len(bad) == 0 {
		return nil
	}
	more := ""
	if n := len(bad); n > 5 {
		bad, more = bad[:5], fmt.Sprintf(" and %d more", n-5)
	}
	return fmt.Errorf("%w: %s%s", ErrEvidence, strings.Join(bad, ", "), more)
}
