package gotest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"rigor/harness/journal"
)

const artifacts = "test.artifacts"

// flagged says whether a flag of go test is set.
func flagged(name string) bool {
	f := flag.Lookup(name)
	return f != nil && f.Value.String() == "true"
}

// filters gives what go test chose by, for the reports.
func filters() string {
	words := []string{"go test"}
	for _, name := range []string{"run", "skip"} {
		if f := flag.Lookup("test." + name); f != nil && f.Value.String() != "" {
			words = append(words, "-"+name+" "+f.Value.String())
		}
	}
	return strings.Join(words, " ")
}

// tested is the import path of the package under test; "." where the binary
// does not know it.
func tested() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "."
	}
	if pkg, ok := strings.CutSuffix(info.Path, ".test"); ok {
		return pkg
	}
	return "."
}

// writer names the program that wrote the journal.
func writer() string { return fmt.Sprintf("rigor, go test %s (%s)", tested(), runtime.Version()) }

// rerun is the command that runs one case of a test again. go test reads the
// pattern of -run as one for each level of names.
func rerun(test string) []string {
	var levels []string
	for level := range strings.SplitSeq(test, "/") {
		levels = append(levels, "^"+regexp.QuoteMeta(level)+"$")
	}
	levels = append(levels, "^"+journal.CasePattern+"$")
	return []string{"go", "test", "-run", strings.Join(levels, "/"), tested()}
}

// folder gives the folder of a run, which is not there yet.
func (b *Bench) folder(t *testing.T, run string) (string, error) {
	if flagged(artifacts) {
		return filepath.Join(t.ArtifactDir(), run), nil
	}
	if b.Dir != "" {
		return filepath.Abs(filepath.Join(b.Dir, run))
	}
	temp, err := os.MkdirTemp("", "rigor-")
	if err != nil {
		return "", fmt.Errorf("make a folder for the run: %w", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			return // what the failures point at stays
		}
		if err := os.RemoveAll(temp); err != nil {
			t.Errorf("remove the run's folder: %v", err)
		}
	})
	return filepath.Join(temp, run), nil
}
