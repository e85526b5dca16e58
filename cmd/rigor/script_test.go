package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"rigor/harness/rig"
)

// TestScripts runs the program as a user does: words in, words, files and exit
// codes out.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "state"))
			env.Setenv("NO_COLOR", "1")
			env.Setenv("GORACE", os.Getenv("GORACE")) // scripts begin with an environment of their own
			// A file with control characters, and a waiver that holds today:
			// neither can stand in a script.
			good := "waivers:\n  - case: net-info[web]\n    model: VG-1\n    version: 1.4.2\n    reason: known\n    owner: me\n    expires: " +
				time.Now().UTC().AddDate(0, 0, 30).Format(time.DateOnly) + "\n"
			return errors.Join(os.WriteFile(filepath.Join(env.WorkDir, "binary.yaml"), []byte("rig: \"\x1b]2;x\x07\"\n"), 0o600),
				os.WriteFile(filepath.Join(env.WorkDir, "good.yaml"), []byte(good), 0o600))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": code, "json": isJSON, "cut": cut, "damage": damage, "hold": hold,
		},
	})
}

// code: code N PROGRAM ARG… runs a program that is to end with this code.
func code(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s ended with %d, not %d", strings.Join(args[1:], " "), got, want)
	}
}

// isJSON: json FILE says that a file is one JSON value.
func isJSON(ts *testscript.TestScript, _ bool, args []string) {
	if !json.Valid([]byte(ts.ReadFile(args[0]))) {
		ts.Fatalf("%s is no JSON", args[0])
	}
}

// cut: cut FILE N takes N bytes, or all, off a file's end.
func cut(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	n := len(data)
	if args[1] != "all" {
		n, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	ts.Check(os.Truncate(path, int64(len(data)-n)))
}

// damage: damage FILE changes a byte in the middle of a file.
func damage(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	at := bytes.Index(data, []byte(`"kind":"plan"`))
	data[at+1] = 'K'
	ts.Check(os.WriteFile(path, data, 0o600))
}

// hold: hold RIG takes the lease on a rig until the script's end.
func hold(ts *testscript.TestScript, _ bool, args []string) {
	f, err := rig.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	lease, err := rig.Acquire(f.Name, rig.Resources(f), rig.LeaseConfig{})
	ts.Check(err)
	ts.Defer(func() { ts.Check(lease.Release()) })
}
