package profile

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/strictyaml"
)

var update = flag.Bool("update", false, "write the golden files anew")

// builtIn is the profile of the built-in device: the one that says everything.
func builtIn(t testing.TB) []byte {
	data, err := os.ReadFile("../../rigs/profiles/virtual.yaml")
	require.NoError(t, err)
	return data
}

func parse(t testing.TB, text string) (*Profile, error) {
	t.Helper()
	return Parse("p.yaml", []byte(text))
}

// Each file of testdata/bad is refused with exactly the errors beside it.
func TestBadProfilesAreRefusedWithPlaceAndRemedy(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			p, err := Parse(filepath.Base(file), data)
			require.Error(t, err)
			assert.Nil(t, p)
			assert.True(t, IsLint(err))
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(err.Error()+"\n"), 0o600))
			}
			want, rerr := os.ReadFile(golden)
			require.NoError(t, rerr)
			assert.Equal(t, string(want), err.Error()+"\n")
		})
	}
}

func TestParseReadsWhatStandsThere(t *testing.T) {
	p, err := Parse("virtual.yaml", builtIn(t))
	require.NoError(t, err)
	assert.Equal(t, "vg-1", p.Name)
	assert.Equal(t, "virtual.yaml", p.File)
	assert.Regexp(t, "^[0-9a-f]{64}$", p.Digest)
	assert.Equal(t, []string{"ssh", "telnet", "web", "api", "console"}, p.Logins.Order)
	assert.Equal(t, "vg login: ", p.Consoles.Items["main"].Login.Literal)
	assert.Positive(t, p.Consoles.Items["main"].Login.Quiet)
	assert.Equal(t, Pattern{Literal: "Login incorrect"}, p.Consoles.Items["main"].Incorrect)
	assert.Equal(t, 20, p.Logins.Items["ssh"].Lockout.After)
	assert.Positive(t, p.Logins.Items["ssh"].Lockout.Lasts)
	change := p.Password.Change[0]
	assert.Equal(t, "http", change.Verb)
	assert.Equal(t, map[string]any{"user": "operator", "password": "${old}"}, change.JSON)
	assert.Regexp(t, `^virtual\.yaml:\d+:\d+$`, change.At)
	assert.True(t, p.Logins.Items["telnet"].Transport.Declared())
}

func TestDigestIsOfTheBytes(t *testing.T) {
	a, err := parse(t, "profile: a\n")
	require.NoError(t, err)
	b, err := parse(t, "profile: a\n\n")
	require.NoError(t, err)
	assert.NotEqual(t, a.Digest, b.Digest)
	assert.Equal(t, "ec13ebe69d6ed1349dd373b6189e253d0a876b838a200390da5fcc886e901960", a.Digest)
}

func TestPatternForms(t *testing.T) {
	for text, want := range map[string]Pattern{
		`'=> '`:                         {Literal: "=> "},
		`{match: '=> ', quiet: 200ms}`:  {Literal: "=> ", Quiet: 200 * time.Millisecond},
		`{regexp: 'a+b', quiet: 1s}`:    {Regexp: regexp.MustCompile("a+b"), Quiet: time.Second},
		`{regexp: '(?m)^[\w-]+ login'}`: {Regexp: regexp.MustCompile(`(?m)^[\w-]+ login`)},
	} {
		p, err := parse(t, "profile: a\nconsoles: {main: {login: "+text+"}}\n")
		require.NoError(t, err, text)
		got := p.Consoles.Items["main"].Login
		assert.Equal(t, want.Literal, got.Literal)
		assert.Equal(t, want.Quiet, got.Quiet)
		if want.Regexp != nil {
			assert.Equal(t, want.Regexp.String(), got.Regexp.String())
		}
		assert.False(t, got.Zero())
	}
}

// A profile without one of its sections is a profile that does not say: its
// cases become inconclusive by the plan, and the file stays valid.
func TestAnySectionCanBeLeftOut(t *testing.T) {
	whole := string(builtIn(t))
	all, err := Parse("virtual.yaml", []byte(whole))
	require.NoError(t, err)
	sections := all.Source.Keys()
	require.Greater(t, len(sections), 12)
	for _, name := range sections {
		if name == "profile" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			p, err := Parse("virtual.yaml", []byte(without(whole, name)))
			require.NoError(t, err)
			assert.False(t, p.Source.Has(name))
			for _, f := range p.Feed() {
				if f.Path == name {
					assert.Equal(t, SaidNot, f.Said)
				}
			}
		})
	}
}

// without takes a section of the first level out of a file.
func without(text, section string) string {
	var out []string
	skip := false
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" && line[0] != ' ' && line[0] != '#' {
			skip = strings.HasPrefix(line, section+":")
		}
		if !skip {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

func TestFeedTellsGivenFromNoneFromMissing(t *testing.T) {
	p, err := parse(t, `
profile: a
identity: {none: the unit has no identifier}
consoles:
  main:
    boot: {banner: ROM}
    sysrq: {none: no kernel}
logins: {none: nobody can log in}
`)
	require.NoError(t, err)
	said := map[string]Fed{}
	for _, f := range p.Feed() {
		said[f.Path] = f
	}
	assert.Equal(t, SaidNone, said["identity"].Said)
	assert.Equal(t, "the unit has no identifier", said["identity"].Reason)
	assert.Equal(t, SaidNone, said["logins"].Said)
	assert.Equal(t, SaidGiven, said["consoles"].Said)
	assert.Equal(t, SaidGiven, said["consoles.main"].Said)
	assert.Equal(t, SaidGiven, said["consoles.main.boot"].Said)
	assert.Equal(t, SaidNot, said["consoles.main.boot.fail"].Said)
	assert.Equal(t, SaidNone, said["consoles.main.sysrq"].Said)
	assert.Equal(t, SaidNot, said["states"].Said)
	assert.Equal(t, SaidNot, said["discloses"].Said)
	assert.Equal(t, "p.yaml:3:1", said["identity"].Pos.String())
}

func TestStepListsCoverEveryListOfSteps(t *testing.T) {
	p, err := Parse("virtual.yaml", builtIn(t))
	require.NoError(t, err)
	var paths []string
	for _, l := range p.StepLists() {
		paths = append(paths, strings.Join(l.Path, "."))
		assert.True(t, p.Source.Has(l.Path...), "%v", l.Path)
	}
	assert.Subset(t, paths, []string{"firmware.read", "identity.steps", "consoles.main.boot.fail.provoke", "consoles.main.boot.fail.restore",
		"states.factory.holds", "ways.0.steps", "ways.1.steps", "ways.1.done", "password.change", "setup.skips.2.steps", "stores.wifi.plant", "log.read", "recovery.steps"})
	n := 0
	p.EachStep(func(s *Step) {
		n++
		assert.NotEmpty(t, s.Verb)
	})
	for i := range p.Routes.Protected {
		if p.Routes.Protected[i].Shows != nil {
			n-- // the route itself is looked at as a step, and is none
		}
	}
	// Every step that was decoded has a place; none may be outside of the lists. Signs are
	// no steps.
	serial := strings.Count(string(builtIn(t)), "transfer: {console:") + strings.Count(string(builtIn(t)), "smp: {console:")
	assert.Equal(t, strings.Count(string(builtIn(t)), "serve:")+strings.Count(string(builtIn(t)), "http:")+strings.Count(string(builtIn(t)), "assert:")+strings.Count(string(builtIn(t)), "release:")+
		strings.Count(string(builtIn(t)), "power:")+strings.Count(string(builtIn(t)), "{console:")+strings.Count(string(builtIn(t)), "{run:")+strings.Count(string(builtIn(t)), "{copy:")-
		strings.Count(string(builtIn(t)), "{console: main, seen:"), n, "%d of them over a serial protocol", serial)
}

func TestLoadSaysThatTheFileCannotBeRead(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.False(t, IsLint(err))
	path := filepath.Join(t.TempDir(), "p.yaml")
	require.NoError(t, os.WriteFile(path, []byte("profile: a\n"), 0o600))
	p, err := Load(path)
	require.NoError(t, err)
	assert.Equal(t, path, p.File)
}

func TestErrorsAreBounded(t *testing.T) {
	_, err := parse(t, "profile: a\nroutes: {login: web, open: ["+strings.Repeat("x, ", 50)+"x]}\n")
	var errs strictyaml.Errors
	require.ErrorAs(t, err, &errs)
	assert.Len(t, errs, maxErrors)
}

// FuzzParse: no bytes make it panic, and what it takes is well-formed.
func FuzzParse(f *testing.F) {
	f.Add(builtIn(f))
	files, err := filepath.Glob("testdata/bad/*.yaml")
	require.NoError(f, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse("p.yaml", data)
		if err != nil {
			var errs strictyaml.Errors
			require.ErrorAs(t, err, &errs)
			require.NotEmpty(t, errs)
			require.LessOrEqual(t, len(errs), maxErrors)
			for _, e := range errs {
				require.Positive(t, e.Pos.Line, "%v", e)
				require.Equal(t, "p.yaml", e.Pos.File)
			}
			return
		}
		p.Feed()
		p.EachStep(func(s *Step) {
			require.NotEmpty(t, s.Verb)
			for _, text := range s.Texts() {
				_, err := References(text)
				require.NoError(t, err)
			}
		})
	})
}
