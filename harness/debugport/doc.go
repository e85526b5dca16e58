// Package debugport is what the engines of debug ports stand on: the wires to the pads,
// with a count of what went over them, a bounded trace of it, and the faults of the
// bench told from the answers of the DUT.
//
// The engines are in the packages swd and jtag; what both can reach through an Arm debug
// port is in adi. Their API has no general write: see package dap.
package debugport
