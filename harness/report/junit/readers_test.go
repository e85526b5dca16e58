package junit_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/journal"
	"rigor/harness/journal/journaltest"
	"rigor/harness/report/junit"
)

// The readers that the file is held against. Each has a parser of XML of its
// own, and each is nobody's of this project.
var readers = []struct {
	name string
	// count gives what the reader finds in each file. One that does not tell
	// errors from failures gives both as failures.
	count  func(t *testing.T, paths []string) []count
	merges bool
}{
	{name: "JDK", count: byJDK},                          // Xerces, as Jenkins
	{name: "xmllint", count: byXMLLint},                  // libxml2
	{name: "go-junit", count: byGoJUnitFiles},            // encoding/xml
	{name: "junitparser", count: byJUnitParser},          // expat
	{name: "junit-to-ctrf", count: byCTRF, merges: true}, // sax-js
}

// TestReadersCountAlike: whatever a device says, every reader finds as many
// tests, failures, errors and skipped ones as the run has. RIGOR_JUNIT_FILES
// names files of real runs, split as a PATH is, to be read too.
func TestReadersCountAlike(t *testing.T) {
	files := nastyFiles(t)
	for _, path := range filepath.SplitList(os.Getenv("RIGOR_JUNIT_FILES")) {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		attrs, tree := parse(t, data).tree()
		require.Equal(t, attrs, tree, "%s: what the suites say and what they have", path)
		require.NotZero(t, tree.tests, "%s has no test", path)
		files = append(files, made{name: path, path: path, want: tree})
	}
	paths := make([]string, len(files))
	for i, f := range files {
		paths[i] = f.path
	}
	for _, r := range readers {
		t.Run(r.name, func(t *testing.T) {
			got := r.count(t, paths)
			require.Len(t, got, len(files))
			for i, f := range files {
				want := f.want
				if r.merges {
					want.failures, want.errors = want.failures+want.errors, 0
				}
				assert.Equal(t, want, got[i], f.name)
			}
			t.Logf("%d files, %v in the last", len(got), got[len(got)-1])
		})
	}
}

// jvm gives the JDK's program.
func jvm(t *testing.T) string {
	t.Helper()
	java, err := exec.LookPath("java")
	if err != nil {
		t.Skip("needs java: apt-get install default-jdk-headless")
	}
	if testing.Short() {
		t.Skip("starts a JVM: left out with -short")
	}
	return java
}

// counts runs a program that prints a line of four numbers for each file.
func counts(t *testing.T, program string, args ...string) []count {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput() //nolint:gosec // arguments are the test's own
	require.NoError(t, err, "%s", out)
	var all []count
	for line := range strings.Lines(string(out)) {
		var c count
		_, err := fmt.Sscan(line, &c.tests, &c.failures, &c.errors, &c.skipped)
		require.NoError(t, err, "%s", line)
		all = append(all, c)
	}
	return all
}

// script writes a program for a reader.
func script(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func byJDK(t *testing.T, paths []string) []count {
	t.Helper()
	return counts(t, jvm(t), append([]string{script(t, "Count.java", `import javax.xml.parsers.*; import java.io.*; import org.xml.sax.*; import org.xml.sax.helpers.*; import java.util.*;
public class Count { public static void main(String[] a) throws Exception { for (String f : a) { Map<String,Integer> n = new TreeMap<>();
 for (String k : new String[]{"testcase","failure","error","skipped"}) n.put(k, 0);
 SAXParserFactory.newInstance().newSAXParser().parse(new File(f), new DefaultHandler(){ public void startElement(String u, String l, String q, Attributes t) { n.computeIfPresent(q, (k, v) -> v + 1); } });
 System.out.println(n.get("testcase")+" "+n.get("failure")+" "+n.get("error")+" "+n.get("skipped")); } } }
`)}, paths...)...)
}

func byXMLLint(t *testing.T, paths []string) []count {
	t.Helper()
	prog, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("needs xmllint: apt-get install libxml2-utils")
	}
	var all []count
	for _, path := range paths {
		all = append(all, counts(t, prog, "--nonet", "--xpath",
			`concat(count(//testcase), " ", count(//testcase/failure), " ", count(//testcase/error), " ", count(//testcase/skipped))`, path)...)
	}
	return all
}

func byGoJUnitFiles(t *testing.T, paths []string) []count {
	t.Helper()
	var all []count
	for _, path := range paths {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		all = append(all, byGoJUnit(t, data))
	}
	return all
}

func byJUnitParser(t *testing.T, paths []string) []count {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} { // a python3 of one's own may come first
		if exec.CommandContext(t.Context(), python, "-c", "import junitparser").Run() == nil {
			return counts(t, python, append([]string{"-c", `
import sys
from junitparser import JUnitXml, Failure, Error, Skipped
for path in sys.argv[1:]:
    n = [0, 0, 0, 0]
    for suite in JUnitXml.fromfile(path):
        for case in suite:
            n[0] += 1
            for r in case.result:
                n[1 + [Failure, Error, Skipped].index(type(r))] += 1
    print(*n)
`}, paths...)...)
		}
	}
	t.Skip("needs junitparser: apt-get install python3-junitparser")
	return nil
}

// byCTRF asks the converter's own library, which lies beside its program.
func byCTRF(t *testing.T, paths []string) []count {
	t.Helper()
	prog, err := exec.LookPath("junit-to-ctrf")
	if err != nil {
		t.Skip("needs junit-to-ctrf: npm install junit-to-ctrf, and its node_modules/.bin on the PATH")
	}
	if prog, err = filepath.EvalSymlinks(prog); err == nil {
		prog, err = filepath.Abs(prog)
	}
	require.NoError(t, err)
	return counts(t, "node", append([]string{script(t, "count.mjs", `
const { convertJUnitToCTRFReport } = await import('file://' + process.argv[2]);
for (const path of process.argv.slice(3)) {
  const s = (await convertJUnitToCTRFReport(path)).results.summary;
  console.log(s.tests, s.failed, 0, s.skipped);
}
`), filepath.Join(filepath.Dir(prog), "index.js")}, paths...)...)
}

// schemas gives the folder with the two schemas, which is no part of the
// project.
func schemas(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("RIGOR_SCHEMAS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "schemas")
	}
	dir, err := filepath.Abs(dir)
	require.NoError(t, err)
	if _, err := os.Stat(filepath.Join(dir, "windyroad-junit.xsd")); err != nil {
		t.Skip("needs the JUnit schemas: set RIGOR_SCHEMAS to a folder with windyroad-junit.xsd, jenkins-junit-10.xsd and ValidateJUnit.java")
	}
	return dir
}

// made is a file with what a reader has to find in it.
type made struct {
	name, path string
	profile    junit.Profile
	want       count
}

// nastyFiles writes a file in each profile for each nasty text, for a run with
// all of them in every field, for the sample, for a run that was cut short and
// for one without a case.
func nastyFiles(t *testing.T) []made {
	t.Helper()
	dir := t.TempDir()
	runs := map[string]*journal.Result{"sample": journaltest.Sample().Fold(), "cut": (&journaltest.Builder{Events: journaltest.Sample().Events[:25]}).Fold(),
		"none": journaltest.New().End().Fold(), "nasty everywhere": everywhere(t)}
	for name, text := range journaltest.Nasty {
		runs["nasty "+name] = journaltest.Hostile(text).Fold()
	}
	var out []made
	for i, name := range slices.Sorted(maps.Keys(runs)) {
		for _, profile := range []junit.Profile{junit.Rich, junit.Strict} {
			path := filepath.Join(dir, fmt.Sprintf("%02d-%s.xml", i, profile))
			require.NoError(t, os.WriteFile(path, render(t, runs[name], junit.Options{Profile: profile}), 0o600))
			trouble := len(runs[name].Trouble) > 0 || len(runs[name].Cases) == 0
			out = append(out, made{name + " " + string(profile), path, profile, want(runs[name], trouble)})
		}
	}
	return out
}

// everywhere is the sample with every nasty text in every field that is not of
// a fixed set of words, written and read as a run's journal is.
func everywhere(t *testing.T) *journal.Result {
	t.Helper()
	all := ""
	for _, name := range slices.Sorted(maps.Keys(journaltest.Nasty)) {
		all += journaltest.Nasty[name][:min(len(journaltest.Nasty[name]), 500)]
	}
	sample := journaltest.Sample()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	file, err := os.Create(path)
	require.NoError(t, err)
	w := journal.NewWriter(file, nil, nil)
	fields := 0
	for i := range sample.Events {
		e := sample.Events[i]
		data, err := json.Marshal(&e)
		require.NoError(t, err)
		var copied journal.Event // payloads are shared
		require.NoError(t, json.Unmarshal(data, &copied))
		fields += spoil(reflect.ValueOf(&copied), "", all)
		require.NoError(t, w.Append(&copied))
	}
	require.NoError(t, w.Close())
	assert.Greater(t, fields, 200, "the text is in many fields")
	_, err = file.Seek(0, io.SeekStart)
	require.NoError(t, err)
	res, err := journal.Load(file)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.Empty(t, res.Damage)
	require.Equal(t, sample.Fold().Counts, res.Counts, "what is nasty turns no verdict")
	return res
}

// spoil appends text to every string behind v that is free to hold any, and
// gives how many it were.
func spoil(v reflect.Value, field, text string) (n int) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			n = spoil(v.Elem(), field, text)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				n += spoil(v.Field(i), v.Type().Field(i).Name, text)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			n += spoil(v.Index(i), field, text)
		}
	case reflect.Map:
		if v.Type().Elem().Kind() == reflect.String {
			for _, k := range v.MapKeys() {
				v.SetMapIndex(k, reflect.ValueOf(v.MapIndex(k).String()+text))
				n++
			}
		}
	case reflect.String:
		// The journal's own words and hashes are what the fold goes by.
		fixed := []string{"Role", "Phase", "Status", "How", "Prev", "SHA256", "Expires", "WaiversNow"}
		if v.Type() == reflect.TypeFor[string]() && v.CanSet() && v.String() != "" && !slices.Contains(fixed, field) {
			v.SetString(v.String() + text)
			n = 1
		}
	}
	return n
}

// of gives the paths of the files of a profile.
func of(files []made, p junit.Profile) []string {
	var out []string
	for _, f := range files {
		if f.profile == p {
			out = append(out, f.path)
		}
	}
	return out
}

func TestSchemasByXMLLint(t *testing.T) {
	prog, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("needs xmllint: apt-get install libxml2-utils")
	}
	files := nastyFiles(t)
	dir := schemas(t)
	for _, xsd := range []string{"windyroad-junit.xsd", "jenkins-junit-10.xsd"} {
		args := append([]string{"--noout", "--nonet", "--schema", filepath.Join(dir, xsd)}, of(files, junit.Strict)...)
		out, err := exec.CommandContext(t.Context(), prog, args...).CombinedOutput() //nolint:gosec // arguments are the test's own
		require.NoError(t, err, "%s", out)
	}
}

func TestSchemasByJDK(t *testing.T) {
	java := jvm(t)
	dir := schemas(t)
	files := nastyFiles(t)
	for _, tt := range []struct {
		xsd   string
		files []string
	}{
		{"-", of(files, junit.Rich)},
		{filepath.Join(dir, "windyroad-junit.xsd"), of(files, junit.Strict)},
		{filepath.Join(dir, "jenkins-junit-10.xsd"), of(files, junit.Strict)},
	} {
		args := append([]string{filepath.Join(dir, "ValidateJUnit.java"), tt.xsd}, tt.files...)
		out, err := exec.CommandContext(t.Context(), java, args...).CombinedOutput() //nolint:gosec // arguments are the test's own
		require.NoError(t, err, "%s", out)
		verdict := ": well-formed\n"
		if tt.xsd != "-" {
			verdict = ": well-formed VALID\n"
		}
		assert.Equal(t, len(tt.files), strings.Count(string(out), verdict), "%s", out)
	}
}
