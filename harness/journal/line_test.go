package journal

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/verdict"
)

// sameAsJSON holds both directions of a line against encoding/json.
func sameAsJSON(t *testing.T, line []byte) {
	t.Helper()
	var got, want Event
	gotErr, wantErr := unmarshal(line, &got), json.Unmarshal(line, &want)
	require.Equal(t, wantErr, gotErr, "%s", line)
	if wantErr != nil {
		return
	}
	require.Equal(t, want, got, "%s", line)
	sameEncoding(t, &want)
}

func sameEncoding(t *testing.T, e *Event) {
	t.Helper()
	want, wantErr := json.Marshal(e)
	got, gotErr := appendLine([]byte("before"), e)
	require.Equal(t, wantErr, gotErr)
	if wantErr == nil {
		require.Equal(t, "before"+string(want), string(got))
	}
}

const prefix = `{"seq":12,"at":"2026-11-23T02:00:00.25Z","off":-7,"prev":"` + "ab" + `","kind":"note","case":"a[b]"`

var lineForms = []string{
	strings.Replace(prefix, "-7", "7", 1) + `,"note":{"text":"x"}}`,
	prefix + `,"note":{"text":"x"}}`,
	strings.Replace(prefix, "-7", "007", 1) + `,"note":{"text":"x"}}`,
	strings.Replace(prefix, "-7", "7.0", 1) + `,"note":{"text":"x"}}`,
	strings.Replace(prefix, "-7", "999999999999999999", 1) + `,"note":{"text":"x"}}`,
	strings.Replace(prefix, "-7", "9223372036854775808", 1) + `,"note":{"text":"x"}}`,
	`{"seq":1,"at":"2026-11-23T02:00:00Z","off":0,"prev":"","kind":"end","end":{"how":"finished","safe":true}}`,
	`{"seq":1,"at":"2026-11-23T02:00:00+01:00","off":0,"prev":"","kind":"end","end":{"how":"finished","safe":true}}`,
	`{"seq":1,"at":"2026-11-23 02:00:00Z","off":0,"prev":"","kind":"end","end":{}}`,
	`{"seq":1,"at":"2026-11-23T02:00:00,5Z","off":0,"prev":"","kind":"end","end":{}}`,
	`{"seq":1,"at":"2026-11-23T02:00:00Z","off":0,"prev":"","kind":"end","end":{},"end":{"safe":true}}`,
	`{"seq":1,"at":"2026-11-23T02:00:00Z","off":0,"prev":"","kind":"end","end":{},"note":{"text":"x"}}`,
	`{"seq":1,"at":"2026-11-23T02:00:00Z","off":0,"prev":"","kind":"end","end":{}}}`,
	`{"seq":1,"at":"2026-11-23T02:00:00Z","off":0,"prev":"","kind":"end","end":{}} `,
	`{"seq":1,"at":"2026-11-23T02:00:00Z","off":0,"prev":"","kind":"end","end": {"safe": true} }`,
	`{"seq":1,"at":"2026-11-23T02:00:00Z","off":0,"prev":"","kind":"end","end":null}`,
	`{"seq":1,"at":"2026-11-23T02:00:00Z","off":0,"prev":"","kind":"end","End":{"safe":true}}`,
	`{"seq":1,"at":"2026-11-23T02:00:00Z","off":0,"prev":"","kind":"end","case":"x"}`,
	`{"seq":1,"at":"2026-11-23T02:00:00Z","off":0,"prev":"","kind":"end","":{"safe":true}}`,
	`{"seq":1,"at":"2026-11-23T02:00:00Z","off":0,"prev":"","kind":"end","end":{"safe":"yes"}}`,
	`{"seq":1,"at":"2026-11-23T02:00:00Z","off":0,"prev":"","kind":"end","end":}`,
	`{"seq":1,"at":"2026-11-23T02:00:00Z","off":0,"prev":"","kind":"case","case":"a\u003cb\"c","begin":{}}`,
	`{"seq":1,"at":"2026-11-23T02:00:00Z","off":0,"prev":"","kind":"new kind","case":"é <&>","begin":{"try":2,"more":1}}`,
	`{"seq":1,"at":"2026-11-23T02:00:00Z","off":0,"prev":"","kind":"case","case":"a","rig":"bench-b","begin":{}}`,
	`{"seq":1,"at":"2026-11-23T02:00:00Z","off":0,"prev":"","kind":"case","rig":"\u003c","begin":{}}`,
	`{"seq":1,"at":"2026-11-23T02:00:00Z","off":0,"prev":"","kind":"case","rig":"b","case":"a","begin":{}}`,
	`{"seq":1,"kind":"start","start":{"format":1}}`, `{}`, `null`, `[]`, ``, `{"seq":`, "{\"seq\":1,\"at\":\"\xff\"}", `{"seq":1,"at":"2026-11-23T02:00:00Z","off":0,"prev":"x`,
}

func TestLineIsAsJSONHasIt(t *testing.T) {
	for _, line := range lineForms {
		sameAsJSON(t, []byte(line))
	}
	at := time.Date(2026, 11, 23, 2, 0, 0, 250e6, time.UTC)
	for name, e := range map[string]Event{
		"nothing":           {},
		"two payloads":      {Seq: 1, At: at, Kind: KindNote, Note: &Note{"x"}, End: &End{}},
		"hostile":           {Seq: 1, At: at, Prev: "<", Kind: "\x00", Case: "\u2028é\"\\", Note: &Note{"\u2029<>&\x7f"}},
		"hostile case":      {Seq: 1, At: at, Kind: KindNote, Case: "a&b", Note: &Note{"x"}},
		"a rig":             {Seq: 1, At: at, Kind: KindNote, Case: "c", Rig: "bench-b", Note: &Note{"x"}},
		"hostile rig":       {Seq: 1, At: at, Kind: KindNote, Rig: "a&b", Note: &Note{"x"}},
		"negative":          {Seq: -1, Off: -5, At: at, Kind: KindNote, Note: &Note{"x"}},
		"a time that fails": {At: time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC), Kind: KindNote, Note: &Note{"x"}},
		"another zone":      {At: at.In(time.FixedZone("", 3600)), Kind: KindNote, Note: &Note{"x"}},
		"a map":             {At: at, Kind: KindProbes, Case: "c", Probes: &Probes{Kinds: map[verdict.Kind]int{"refused": 2, "<": 1}}},
	} {
		t.Run(name, func(t *testing.T) { sameEncoding(t, &e) })
	}
}

// What the writer writes goes the short way back, or that would be for nothing.
func TestWrittenLinesAreShort(t *testing.T) {
	var buf bytes.Buffer
	w := NewWriter(nopSync{&buf}, nil, nil)
	require.NoError(t, w.Append(&Event{Kind: KindStart, Start: &Start{Format: 1, Run: "é<>"}}))
	require.NoError(t, w.Append(&Event{Kind: KindNote, Case: "a[b]", Note: &Note{"x\x00"}}))
	require.NoError(t, w.On("bench-b").Append(&Event{Kind: KindNote, Case: "a[b]", Note: &Note{"x"}}))
	for line := range bytes.Lines(buf.Bytes()) {
		var e Event
		assert.True(t, short(bytes.TrimSuffix(line, []byte("\n")), &e), "%s", line)
	}
}

type nopSync struct{ *bytes.Buffer }

func (nopSync) Sync() error { return nil }

func FuzzLine(f *testing.F) {
	for _, line := range lineForms {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) { sameAsJSON(t, line) })
}

// What is left alone is told without a regular expression; this is the one.
var ownShape = regexp.MustCompile(`^([0-9a-f]{64}|\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?Z)?)$`)

func FuzzOwnShape(f *testing.F) {
	for _, s := range []string{"", strings.Repeat("0a", 32), strings.Repeat("0A", 32), strings.Repeat("0a", 31), "2026-11-23", "2026-11-23T02:00:00Z", "2026-11-23T02:00:00.Z",
		"2026-11-23T02:00:00.1Z", "2026-11-23T02:00:00.12345678901Z", "2026-11-23T02:00:00.1.2Z", "2026-11-23T02:00:00", "2026-11-23T02:00:00ZZ", "2026-11-23T", "2026-11-23T02:00:0",
		"2026-11-2x", "2026/11/23", "2026-11-23\n", "2026-11-23T02:00:00+Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		assert.Equal(t, ownShape.MatchString(s), isHash(s) || isTime(s), "%q", s)
	})
}
