package rigs

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/profile"
	"rigor/harness/rig"
)

// chapters gives the text under each heading of the reference.
func chapters(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("README.md")
	require.NoError(t, err)
	out := map[string]string{}
	for part := range strings.SplitSeq(string(data), "\n## ") {
		title, text, _ := strings.Cut(part, "\n")
		out[title] = text
	}
	return out
}

// keys gives every key that a type can have in YAML, those of inner types too.
func keys(t reflect.Type, seen map[reflect.Type]bool, into map[string]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		keys(t.Elem(), seen, into)
		return
	case reflect.Struct:
	default:
		return
	}
	if seen[t] || strings.HasPrefix(t.PkgPath(), "regexp") {
		return
	}
	seen[t] = true
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case f.Name == "Items" || opts == "inline":
			keys(f.Type, seen, into)
		case name != "" && name != "-":
			into[name] = true
			keys(f.Type, seen, into)
		}
	}
}

// Every key that a file can have is explained in the chapter of its file.
func TestReferenceHasEveryKey(t *testing.T) {
	text := chapters(t)
	step := map[string]bool{}
	keys(reflect.TypeFor[profile.Step](), map[reflect.Type]bool{}, step)
	require.Greater(t, len(step), 25)
	rigKeys := map[string]bool{}
	keys(reflect.TypeFor[rig.File](), map[reflect.Type]bool{}, rigKeys)
	require.Greater(t, len(rigKeys), 40)
	profKeys := map[string]bool{}
	// Steps have a chapter of their own.
	keys(reflect.TypeFor[profile.Profile](), map[reflect.Type]bool{reflect.TypeFor[profile.Step](): true}, profKeys)
	require.Greater(t, len(profKeys), 70)
	for chapter, ks := range map[string]map[string]bool{"Steps": step, "Rig file": rigKeys, "Profile": profKeys} {
		for k := range ks {
			if k == "none" { // has a chapter of its own
				continue
			}
			mentioned := regexp.MustCompile("`(?:\\{)?" + regexp.QuoteMeta(k) + "(?:`|:)|[ {]" + regexp.QuoteMeta(k) + ": ")
			where := text[chapter]
			if k == "match" || k == "regexp" || k == "quiet" {
				where += text["Profile"]
			}
			assert.True(t, mentioned.MatchString(where), "chapter %q does not explain %q", chapter, k)
		}
	}
}

// The words that a rig can allow are all in the reference.
func TestReferenceHasEveryLeave(t *testing.T) {
	for _, leave := range profile.Leaves() {
		assert.Contains(t, chapters(t)["Rig file"], "`"+leave+"`")
	}
}

// The files that the reference shows are good ones, and fit each other.
func TestReferenceShowsGoodFiles(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(chapters(t)["A first bench"], -1)
	require.Len(t, blocks, 2)
	f, err := rig.Parse("README.md", []byte(blocks[0][1]))
	require.NoError(t, err)
	p, err := profile.Parse("README.md", []byte(blocks[1][1]))
	require.NoError(t, err)
	require.NoError(t, rig.Check(f, p))
	assert.Empty(t, rig.Lacking(f, p))
	// A console with prompts and no login on it shows nothing of what is typed there.
	for name := range p.Consoles.Items {
		assert.True(t, slices.ContainsFunc(p.States.Items["onboarded"].Logins, func(l string) bool { return p.Logins.Items[l].Console == name }), "no login on console %s", name)
	}
}

// TestShownBenchesRestWhileAPiStarts: what the pages show is not reported broken on a
// Raspberry Pi, whose pins are pulled one way or the other until a program asks for them.
func TestShownBenchesRestWhileAPiStarts(t *testing.T) {
	pi := fstest.MapFS{"proc/device-tree/model": {Data: []byte("Raspberry Pi 4 Model B Rev 1.5\x00")}}
	for _, name := range []string{"README.md", "../README.md"} {
		page, err := os.ReadFile(filepath.FromSlash(name))
		require.NoError(t, err)
		pins := 0
		for _, m := range regexp.MustCompile(`\{driver: gpio, line: (GPIO\d+), active: (\w+)`).FindAllStringSubmatch(string(page), -1) {
			pins++
			want := map[string]string{"low": "up", "high": "down"}[m[2]]
			assert.Equal(t, want, rig.BootPull(pi, "", m[1]), "%s: %s, active %s", name, m[1], m[2])
		}
		assert.NotZero(t, pins, name)
	}
}

// TestReferenceShowsGoodParts: each part of a file that the reference shows alone is one
// that the parser takes.
func TestReferenceShowsGoodParts(t *testing.T) {
	parts := map[string]int{}
	for chapter, text := range chapters(t) {
		for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(text, -1) {
			var err error
			switch key, _, _ := strings.Cut(block[1], ":"); {
			case key == "rig" || key == "profile" || key == "waivers" || key == "cut": // a whole file, or of an inner key
				continue
			case chapter == "Profile" || chapter == "Steps":
				_, err = profile.Parse("README.md", []byte("profile: p\nmodel: P1\n"+block[1]))
			default:
				_, err = rig.Parse("README.md", []byte("rig: a\nprofile: p.yaml\n"+block[1]))
			}
			parts[chapter]++
			// A part does not declare what it names of others.
			if err != nil && !strings.Contains(err.Error(), "is declared") {
				assert.NoError(t, err, "%s", block[1])
			}
		}
	}
	assert.GreaterOrEqual(t, parts["Rig file"], 3, parts)
	assert.GreaterOrEqual(t, parts["Profile"], 2, parts)
}

// TestEveryDriverCanBeNamed: what is bound to a name, a rig file can ask for.
func TestEveryDriverCanBeNamed(t *testing.T) {
	d := Drivers()
	for section, names := range map[string][]string{
		"power: {driver: %s}":         slices.Collect(maps.Keys(d.Power)),
		"lines: {a: {driver: %s}}":    slices.Collect(maps.Keys(d.Line)),
		"consoles: {a: {driver: %s}}": slices.Collect(maps.Keys(d.Port)),
		"network: {driver: %s}":       slices.Collect(maps.Keys(d.Link)),
		"storages: {a: {driver: %s}}": slices.Collect(maps.Keys(d.Storage)),
		"pads: {driver: %s}":          slices.Collect(maps.Keys(d.Pads)),
	} {
		require.NotEmpty(t, names, section)
		for _, name := range names {
			_, err := rig.Parse("r.yaml", fmt.Appendf(nil, "rig: a\nprofile: p.yaml\n"+section+"\n", name))
			if err != nil { // of other keys that the driver needs
				assert.NotContains(t, err.Error(), "driver is ", section)
			}
		}
	}
}

// The rig of an emulated device that the reference shows goes with the profile that
// it shows; the examples to copy are good ones.
func TestReferenceShowsAGoodMachine(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(rig: emulated\n.*?)```").FindStringSubmatch(chapters(t)["Rig file"])
	require.Len(t, block, 2)
	f, err := rig.Parse("README.md", []byte(block[1]))
	require.NoError(t, err)
	shown := regexp.MustCompile("(?s)```yaml\n(profile: .*?)```").FindStringSubmatch(chapters(t)["A first bench"])
	require.Len(t, shown, 2)
	p, err := profile.Parse("README.md", []byte(shown[1]))
	require.NoError(t, err)
	require.NoError(t, rig.Check(f, p))
	assert.Empty(t, rig.Lacking(f, p))

	f, p, err = Load("examples/emulated.yaml")
	require.NoError(t, err)
	assert.Empty(t, rig.Lacking(f, p))
}

// A machine's own file is held against the rig's lines as soon as it is there.
func TestMachineFileIsRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	write("p.yaml", "profile: p\n")
	file := write("rig.yaml", `rig: r
profile: p.yaml
machines: {dut: {driver: qemu, file: machine.json}}
power: {driver: qemu, machine: dut}
lines: {led: {driver: qemu, machine: dut, line: lde}}
`)
	_, _, err := Load(file)
	require.NoError(t, err, "a device that is not built yet can be planned for")
	write("machine.json", `{"qemu": "qemu-system-aarch64", "pl061": {"lines": {"led": 7}}}`)
	_, _, err = Load(file)
	assert.ErrorContains(t, err, `rig.yaml:5:43: no line of machine dut is called "lde"; did you mean "led"?`)
	write("machine.json", `{"qemu": "qemu-system-aarch64", "colour": 1}`)
	_, _, err = Load(file)
	assert.ErrorContains(t, err, `machine.json:1:33: the file has no key "colour"`)
}
