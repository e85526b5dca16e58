package rigs

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/late"
	"rigor/harness/wire"
)

// TestExecIsNotAtFaultForTheTime: a program that is begun a moment before the time is over is
// no fault of the rig; one that hangs, or says what nobody understands, is.
func TestExecIsNotAtFaultForTheTime(t *testing.T) {
	program := func(text string) []string {
		file := filepath.Join(t.TempDir(), "ask-it")
		require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\n"+text+"\n"), 0o700))
		return []string{file}
	}
	meter := late.With(t.Context(), nil)
	for name, within := range map[string]func() (context.Context, context.CancelFunc){
		"the time": func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), 50*time.Millisecond)
		},
		"less what the rig is late": func() (context.Context, context.CancelFunc) {
			return meter.Within(t.Context(), 50*time.Millisecond, nil)
		},
	} {
		ctx, cancel := within()
		_, _, err := Exec(ctx, program("exec sleep 30"), nil)
		cancel()
		_, fault := wire.AsFault(err)
		assert.False(t, fault, "%s: %v", name, err)
		require.ErrorIs(t, err, context.DeadlineExceeded, name)
		assert.Contains(t, err.Error(), "ask-it", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), fairTime+200*time.Millisecond)
	defer cancel()
	_, _, err := Exec(ctx, program("exec sleep 30"), nil)
	var fault *wire.Fault
	require.ErrorAs(t, err, &fault, "it hangs, and that is nothing that the DUT says")
	_, _, err = Exec(t.Context(), program("echo what"), nil)
	require.ErrorAs(t, err, &fault)
}
