package runner

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/console"
	"rigor/harness/console/expect"
	"rigor/harness/escape"
	"rigor/harness/profile"
	"rigor/harness/rig"
	"rigor/harness/wire"
)

// TestCastHasNoHalfSecret: the public recording of a console has neither half of a secret
// of which the DUT says the rest behind something that we send.
func TestCastHasNoHalfSecret(t *testing.T) {
	red := escape.NewRedactor()
	red.Add("key", "hunter2secret")
	j := &Job{Dir: filepath.Join(t.TempDir(), "run"), File: &rig.File{Consoles: map[string]*rig.Port{"main": {}}}, Profile: &profile.Profile{}}
	rec, err := j.record(red)
	require.NoError(t, err)
	defer func() { assert.NoError(t, rec.close()) }()
	port := &talking{says: make(chan string), gone: make(chan struct{})}
	cons, err := j.consoles(t.Context(), &rig.Bench{Consoles: map[string]wire.Port{"main": port}}, rec, red)
	require.NoError(t, err)
	con := cons["main"]
	require.Len(t, rec.casts, 1)
	come := func(text string) {
		p, err := expect.Text(text)
		require.NoError(t, err)
		port.says <- text
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, err = con.Expect(ctx, 0, p)
		require.NoError(t, err)
	}
	come("key=hunter2")
	_, err = con.Send(t.Context(), []byte("x"), console.Blind())
	require.NoError(t, err)
	come("secret. ")
	require.NoError(t, con.Close())
	require.NoError(t, rec.casts[0].Close())
	cast, err := os.ReadFile(filepath.Join(j.Dir, "evidence", "console-main.cast"))
	require.NoError(t, err)
	_, events, _ := bytes.Cut(cast, []byte("\n"))
	assert.NotContains(t, string(events), "hunter2")
	assert.NotContains(t, string(events), "secret.")
	assert.Contains(t, string(events), "‹secret:key›. ")
}
