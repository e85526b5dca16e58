package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"
	"strings"
)

// gcPercent is how much the heap grows between two collections. A run has a few
// megabytes of it: at Go's 100 it is collected several times a second, in between
// the tries, for memory that nobody lacks.
const gcPercent = 200

// ownShare is how much of the computer's memory the heap may have before it is collected
// sooner, in percent. A maker's images are held whole, 300 MB of them are nothing special,
// and on a board of 1 GB three times as much is not there: the kernel kills the run then.
const ownShare = 55

// boundMemory has the heap be collected as often as this computer needs it. Whoever says
// otherwise (GOGC, GOMEMLIMIT) knows why.
func boundMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return // no Linux
	}
	defer func() { _ = f.Close() }() // it was only read
	if n := memory(f); n > 0 {
		debug.SetMemoryLimit(n / 100 * ownShare)
	}
}

// memory reads how many bytes of memory there are from the kernel's table (proc(5),
// meminfo); 0 where it does not say.
func memory(table io.Reader) int64 {
	for in := bufio.NewScanner(table); in.Scan(); {
		rest, ok := strings.CutPrefix(in.Text(), "MemTotal:")
		if !ok {
			continue
		}
		var kib int64
		var unit string
		if n, _ := fmt.Sscan(rest, &kib, &unit); n == 2 && unit == "kB" && kib > 0 && kib < math.MaxInt64>>10 {
			return kib << 10
		}
	}
	return 0
}
