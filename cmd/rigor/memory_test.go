package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"MemTotal:         997360 kB\nMemFree: 1 kB\n": 997360 << 10,
		"MemFree: 1 kB\nMemTotal:  2 kB\n":             2 << 10,
		"":                                             0,
		"MemTotal:\n":                                  0,
		"MemTotal: 5\n":                                0,
		"MemTotal: 5 MB\n":                             0,
		"MemTotal: -5 kB\n":                            0,
		"MemTotal: 99999999999999999999999999999 kB\n":   0,
		"MemTotal: 9223372036854775807 kB\nSwap: 0 kB\n": 0,
	} {
		assert.Equal(t, want, memory(strings.NewReader(text)), text)
	}
}
