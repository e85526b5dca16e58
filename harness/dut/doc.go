// Package dut is the device under test as a check sees it, and the session
// through which it is reached: one that the runner can take back.
//
// A check that hangs, spins or ignores its context keeps its Device, but every
// call on it fails once the session is revoked, connections that it dialled
// are closed, and Quiesce tells when nobody is inside a driver any more. So a
// check that was given up never touches the rig again.
package dut
