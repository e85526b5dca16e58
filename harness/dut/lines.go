package dut

import "rigor/harness/wire"

// PartLine names a line in faults and results.
func PartLine(name string) wire.Part { return wire.Part("line." + name) }
