package main

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/abreast"
	"rigor/harness/verdict"
	"rigor/rigs"
)

var update = flag.Bool("update", false, "write the golden parts of the scripts anew")

// TestMain makes the test binary the program, under its own name in PATH: the
// tests run it as a user does, in processes that can be killed.
func TestMain(m *testing.M) {
	abreast.Allow() // and a few places for those that are heavy
	programs := maps.Clone(standinPrograms)
	programs["rigor"], programs["app-client"] = main, appClient
	testscript.Main(m, programs)
}

// places are for tests that keep a processor busy.
var places = make(chan struct{}, 3)

// heavy has a test wait for one of a few places, so that those that keep a processor busy
// leave what the others need to show something in time. It is given back at the test's end.
func heavy(t testing.TB) {
	t.Helper()
	select {
	case places <- struct{}{}:
		t.Cleanup(func() { <-places })
	case <-t.Context().Done():
		t.Fatal("the test was ended")
	}
}

// home gives the environment of a program with state, temporary files and
// home of its own.
func home(dir string) []string {
	env := []string{"HOME=" + dir, "XDG_STATE_HOME=" + filepath.Join(dir, "state"), "TMPDIR=" + dir, "NO_COLOR=1"}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case "HOME", "XDG_STATE_HOME", "TMPDIR", "NO_COLOR", "CI":
		default:
			env = append(env, kv)
		}
	}
	return env
}

// builtin gives a file of the built-in rigs.
func builtin(t testing.TB, name string) string {
	t.Helper()
	data, err := rigs.Files.ReadFile(name)
	require.NoError(t, err)
	return string(data)
}

// bad is a writer with a bug.
type bad struct{}

func (bad) Write([]byte) (int, error) { panic("odd") }

// A bug of ours ends the program as one, with its place, and never as a pass.
func TestPanicIsABug(t *testing.T) {
	var stderr bytes.Buffer
	assert.Equal(t, verdict.ExitBug, run([]string{"version"}, bad{}, &stderr))
	assert.Contains(t, stderr.String(), "rigor: a bug of rigor's own: odd\n")
	assert.Contains(t, stderr.String(), "main_test.go:")
}
