// Package jep106 names the makers of chips by their JEDEC codes, as they stand in the
// IDCODE of a TAP and the DPIDR of a debug port.
//
// The codes are those of JEDEC's publication JEP106, "Standard Manufacturer's
// Identification Code", as far as it had gone in 2022, and of what came after it those
// makers whose chips have debug ports. A code that is not here may have been given since.
package jep106

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

//go:embed makers.tsv
var table string

// Code is a maker's code as IDCODE [11:1] and DPIDR [11:1] have it: [10:7] is how many
// continuation codes go before (the bank, counted from 0), [6:0] the code without its
// parity bit.
type Code uint16

// Of gives the code that stands in an IDCODE or a DPIDR.
func Of(id uint32) Code { return Code(id >> 1 & 0x7FF) }

// Valid says whether it can be a maker's code at all: 0 is none, and 127 continues.
func (c Code) Valid() bool { return c < 1<<11 && c&0x7F != 0 && c&0x7F != 0x7F }

// Maker gives the maker's name, "" for a code that is not known.
func (c Code) Maker() string { return makers()[c] }

// String gives the maker's name, or the code where there is none.
func (c Code) String() string {
	if name := c.Maker(); name != "" {
		return name
	}
	return fmt.Sprintf("maker %d/%#02x", c>>7, uint16(c&0x7F))
}

var makers = sync.OnceValue(func() map[Code]string {
	all := make(map[Code]string, 1600)
	for line := range strings.Lines(table) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 3)
		if len(f) != 3 {
			panic(fmt.Sprintf("jep106: line %q of the embedded table", line))
		}
		bank, err1 := strconv.ParseUint(f[0], 10, 4)
		code, err2 := strconv.ParseUint(f[1], 10, 7)
		if err1 != nil || err2 != nil {
			panic(fmt.Sprintf("jep106: line %q of the embedded table", line))
		}
		all[Code(bank<<7|code)] = f[2]
	}
	return all
})
