package main

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"rigor/harness/abreast"
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
var places = make(chan struct{}, 2)

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
