package rigs

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

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
}
