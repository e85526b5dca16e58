package report_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/escape"
	"rigor/harness/journal"
	"rigor/harness/journal/journaltest"
	"rigor/harness/report"
	"rigor/harness/report/terminal"
)

var update = flag.Bool("update", false, "write the golden files anew")

// folder makes a run's folder with the evidence that the result speaks of.
func folder(t testing.TB, b *journaltest.Builder) (string, *journal.Result) {
	t.Helper()
	dir := t.TempDir()
	for i := range b.Events {
		if e := b.Events[i].Evidence; e != nil {
			path := filepath.Join(dir, e.Path)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(t, os.WriteFile(path, []byte(e.Path), 0o600))
			e.SHA256 = journaltest.Hash(e.Path)
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "journal.jsonl"), b.Bytes(), 0o600))
	return dir, b.Fold()
}

func read(t testing.TB, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return string(data)
}

var files = []string{report.JUnit, report.HTML, report.Markdown, report.JSON, report.Sums}

func TestWrite(t *testing.T) {
	dir, res := folder(t, journaltest.Sample())
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "private"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "private", "raw.bin"), []byte("raw"), 0o600))
	require.NoError(t, report.Write(dir, res, nil, report.Options{}))
	first := map[string]string{}
	for _, f := range files {
		first[f] = read(t, dir, f)
		assert.NotEmpty(t, first[f], f)
	}
	require.NoError(t, report.Write(dir, res, nil, report.Options{}))
	for _, f := range files {
		assert.Equal(t, first[f], read(t, dir, f), "%s is written alike again", f)
	}
	assert.NotContains(t, first[report.Sums], "private", "raw bytes stay where they are")
	assert.Contains(t, first[report.Sums], "  evidence/console-main.cast\n")
	assert.Contains(t, first[report.Sums], "  journal.jsonl\n")
	assert.Contains(t, first[report.Sums], "  junit.xml\n")
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	require.NoError(t, err)
	assert.Empty(t, left, "no unfinished file is left")
	info, err := os.Stat(filepath.Join(dir, report.HTML))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o644), info.Mode().Perm())
}

func TestSumsAreReadBySha256sum(t *testing.T) {
	prog, err := exec.LookPath("sha256sum")
	if err != nil {
		t.Skip("needs sha256sum: apt-get install coreutils")
	}
	dir, res := folder(t, journaltest.Sample())
	for _, name := range []string{"a b", `back\slash`, "new\nline", "-dash", "*star"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "evidence", name), []byte(name), 0o600))
	}
	require.NoError(t, report.Write(dir, res, nil, report.Options{}))
	cmd := exec.CommandContext(t.Context(), prog, "--check", "--strict", report.Sums)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "evidence", "a b"), []byte("changed"), 0o600))
	cmd = exec.CommandContext(t.Context(), prog, "--check", "--strict", report.Sums)
	cmd.Dir = dir
	require.Error(t, cmd.Run())
}

func TestEvidenceIsVerified(t *testing.T) {
	dir, res := folder(t, journaltest.Sample())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "evidence", "console-main.cast"), []byte("changed"), 0o600))
	err := report.Write(dir, res, nil, report.Options{})
	require.ErrorIs(t, err, report.ErrEvidence)
	require.ErrorContains(t, err, `"evidence/console-main.cast" has changed`)
	require.NoError(t, os.Remove(filepath.Join(dir, "evidence", "console-main.cast")))
	err = report.Write(dir, res, nil, report.Options{})
	require.ErrorContains(t, err, "is missing")
	for _, f := range files {
		assert.NotEmpty(t, read(t, dir, f), "the reports are there nevertheless")
	}
}

func TestFileIsWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "junit.xml")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	boom := errors.New("no space left on device")
	err := report.File(path, func(w io.Writer) error {
		_, _ = w.Write([]byte("half"))
		return boom
	})
	require.ErrorIs(t, err, boom)
	assert.ErrorContains(t, err, path)
	assert.Equal(t, "old", read(t, dir, "junit.xml"))
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, list, 1)
	require.Error(t, report.Write(filepath.Join(dir, "nowhere"), journaltest.Sample().Fold(), nil, report.Options{}))
}

// TestGolden renders a journal of each format that ever was: the bytes are the
// same in every later version.
func TestGolden(t *testing.T) {
	dir := filepath.Join("testdata", "format-1")
	path := filepath.Join(dir, "journal.jsonl")
	if *update {
		if _, err := os.Stat(path); err != nil { // the journal itself is never written anew
			require.NoError(t, os.MkdirAll(dir, 0o755))
			require.NoError(t, os.WriteFile(path, journaltest.Sample().Bytes(), 0o600))
		}
	}
	file, err := os.Open(path)
	require.NoError(t, err)
	res, err := journal.Load(file)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.Empty(t, res.Damage)
	out := t.TempDir()
	require.ErrorIs(t, report.Write(out, res, before().Fold(), report.Options{}), report.ErrEvidence, "there is none in this folder")
	var buf bytes.Buffer
	require.NoError(t, terminal.Summary(&buf, res, before().Fold(), "runs/x/report.html", terminal.Options{}))
	require.NoError(t, os.WriteFile(filepath.Join(out, "terminal.txt"), buf.Bytes(), 0o600))
	for _, f := range []string{report.JUnit, report.HTML, report.Markdown, report.JSON, "terminal.txt"} {
		got, golden := read(t, out, f), filepath.Join(dir, f)
		if *update {
			require.NoError(t, os.WriteFile(golden, []byte(got), 0o644)) //nolint:gosec // golden files are for everybody
		}
		assert.True(t, got == read(t, dir, f), "%s differs from %s; if that is meant, write it anew with -update", f, golden)
	}
}

// before is the run before the sample: one case failed that passes now, one
// passed that fails now, one is gone.
func before() *journaltest.Builder {
	b := journaltest.New(func(s *journal.Start) { s.Run, s.Firmware = "2026-11-22T02-00-00Z-bench-a", "1.4.1" })
	b.Plan("console", "con-boot-interrupt", "main").Plan("credential", "cred-known-list", "ssh").Plan("console", "con-gone", "main")
	b.Plan("credential", "cred-enum", "web")
	b.Pass("con-boot-interrupt[main]").Fail("cred-known-list[ssh]").Pass("con-gone[main]").Fail("cred-enum[web]")
	return b.End()
}

// TestNoSecretInAnyOutput plants a secret in every encoding in every text of a
// run, written through the redactor as a run writes it, and looks for it in all
// that comes out.
func TestNoSecretInAnyOutput(t *testing.T) {
	const secret = "S3cr+t/p\"w<é>&z"
	red := escape.NewRedactor()
	red.Add("operator", secret)
	encodings := escape.Encodings(secret)
	require.NotEmpty(t, encodings)
	for _, enc := range encodings {
		t.Run(enc.Name, func(t *testing.T) {
			dir := t.TempDir()
			file, err := os.Create(filepath.Join(dir, "journal.jsonl"))
			require.NoError(t, err)
			var term bytes.Buffer
			ob := terminal.NewObserver(&term, terminal.Options{Live: true, Color: true})
			w := journal.NewWriter(file, red, ob.Event)
			for _, e := range journaltest.Hostile("before " + string(enc.Bytes) + " after").Events {
				require.NoError(t, w.Append(&e))
			}
			require.NoError(t, w.Close())
			require.NoError(t, ob.Close())
			_, err = file.Seek(0, 0)
			require.NoError(t, err)
			res, err := journal.Load(file)
			require.NoError(t, err)
			require.NoError(t, file.Close())
			require.Empty(t, res.Damage)
			require.ErrorIs(t, report.Write(dir, res, res, report.Options{}), report.ErrEvidence)
			require.NoError(t, terminal.Summary(&term, res, res, "", terminal.Options{}))
			outputs := map[string]string{"terminal": term.String(), "journal.jsonl": read(t, dir, "journal.jsonl")}
			for _, f := range files {
				outputs[f] = read(t, dir, f)
			}
			for name, text := range outputs {
				for _, look := range encodings {
					assert.False(t, strings.Contains(text, string(look.Bytes)), "%s holds the secret in %s", name, look.Name)
				}
			}
			assert.Contains(t, outputs["run.json"], "secret:operator", "what was there is named")
		})
	}
}
