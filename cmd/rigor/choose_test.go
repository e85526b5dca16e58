package main

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/matrix"
)

// A name that is given twice makes one run.
func TestChooseTakesEachOnce(t *testing.T) {
	runs, err := (&validateCmd{Only: []string{"default-ssh", "hardened", "default-ssh", "hardened"}}).choose()
	require.NoError(t, err)
	assert.Equal(t, []matrix.Run{{Kind: matrix.Weakness, Name: "default-ssh"}, {Kind: matrix.Hardened}}, runs)
}

// A table that cannot be written to its file is shown nevertheless.
func TestTableIsShownWhateverBecomesOfItsFile(t *testing.T) {
	for _, format := range []string{"text", "json", "markdown"} {
		var out bytes.Buffer
		c := validateCmd{Format: format, Out: filepath.Join(t.TempDir(), "gone", "table.md")}
		require.ErrorContains(t, c.write(&app{out: &out}, &matrix.Result{OK: true}), "write the table")
		assert.NotEmpty(t, out.String(), format)
	}
	out := filepath.Join(t.TempDir(), "table.md")
	c := validateCmd{Format: "text", Out: out}
	require.Error(t, c.write(&app{out: broken{}}, &matrix.Result{OK: true}))
	assert.FileExists(t, out)
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no") }
