// Package protection checks what protects data on the wire: the TLS and SSH servers,
// and that nothing secret crosses in clear.
package protection

import "rigor/harness/check"

// Suite is the protection suite.
var Suite = check.Suite{
	Name:   "protection",
	Title:  "Data is protected on the wire",
	Checks: []*check.Check{&TLSServer, &SSHServer, &Plaintext},
}
