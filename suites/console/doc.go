// Package console checks what a serial console gives to whoever wires
// themselves to it: no shell, menu or boot prompt without a login, no secret,
// and no way around the restricted command line.
package console

import (
	"rigor/harness/check"
)

// Suite is the console suite.
var Suite = check.Suite{
	Name:  "console",
	Title: "Consoles let nobody in",
	Checks: []*check.Check{
		&ShellNoAuth, &Silent, &BootInterrupt, &BootFailPrompt, &SysRq, &SecretLeak, &CmdInject,
	},
}
