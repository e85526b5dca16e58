package main

import (
	"context"
	"fmt"

	"rigor/fixtures/traps"
	"rigor/fixtures/virtual/chip"
	"rigor/harness/matrix"
)

// trapsWord is what --only names them by.
const trapsWord = "traps"

// lookInto has every trap looked at and judged: what the checks of debug ports stand on,
// against models of chips in which a port is easily taken for what it is not.
func lookInto(ctx context.Context) (out []matrix.Trap) {
	for _, c := range traps.All() {
		r := traps.Run(ctx, c)
		out = append(out, matrix.Trap{Name: c.Name, Said: c.Line(&r), Wrong: c.Wrong(&r)})
	}
	for _, m := range chip.Traps() {
		r := traps.Modelled(ctx, m)
		c := traps.Cell{}
		out = append(out, matrix.Trap{Name: fmt.Sprintf("%s (%s)", m.Name, m.Truth), Said: c.Line(&r), Wrong: traps.Untrue(m, &r)})
	}
	return out
}
