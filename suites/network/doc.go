// Package network checks what the device offers on the network: which ports
// answer, and what they give to whoever has not logged in.
package network

import "rigor/harness/check"

// Suite is the network suite.
var Suite = check.Suite{
	Name:   "network",
	Title:  "The network offers what is declared, and to whom",
	Checks: []*check.Check{&PortsFactory, &Ports, &UnauthMap},
}
