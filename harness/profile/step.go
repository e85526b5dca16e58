package profile

import "time"

// Step is one action of the one grammar that serves ways, versions, markers,
// identity and setups. Exactly one verb is set. Texts may hold ${unit.serial},
// ${unit.mac}, ${secret.NAME}, ${NAME} of an earlier extraction, and what the
// caller gives (${old}, ${new}, ${marker}).
type Step struct {
	// http: "METHOD /path", over the port of Login (or Port and TLS), with the
	// session of that login when As is "owner".
	HTTP  string `yaml:"http"`
	Login string `yaml:"login"`
	As    string `yaml:"as"` // "" or "owner"
	// Password is what the owner logs in with in place of the declared secret:
	// for the steps that change it.
	Password string            `yaml:"password"`
	Port     int               `yaml:"port"`
	TLS      bool              `yaml:"tls"`
	Header   map[string]string `yaml:"header"`
	JSON     any               `yaml:"json"`
	Form     map[string]string `yaml:"form"`
	Body     string            `yaml:"body"`

	// run: a command over Login (ssh, telnet, console), as the owner.
	Run string `yaml:"run"`

	// console: send a line and wait.
	Console string `yaml:"console"`
	Send    string `yaml:"send"`
	Break   bool   `yaml:"break"`

	File string `yaml:"file"` // reads a file of the rig

	Assert  string `yaml:"assert"`  // a line
	Release string `yaml:"release"` // a line
	Read    string `yaml:"line"`    // a line; with expect.asserted

	Power string        `yaml:"power"` // on, off, cycle
	Wait  time.Duration `yaml:"wait"`
	Exec  []string      `yaml:"exec"`
	// Give are further values that the program of Exec is given on its input,
	// secrets too.
	Give map[string]string `yaml:"give"`
	Ask  string            `yaml:"ask"` // a person; the answer is yes, no or a text

	Repeat int    `yaml:"repeat"`
	Steps  []Step `yaml:"steps"` // of repeat

	Expect  Expect            `yaml:"expect"`
	Extract map[string]string `yaml:"extract"` // name → $.json.path, or /regexp/ with one group, or "text"
	Within  time.Duration     `yaml:"within"`

	// Interrupt gives a request up after this time, which is then no failure: for
	// what has to happen while the DUT is busy.
	Interrupt time.Duration `yaml:"interrupt"`

	Verb string `yaml:"-"` // which of the actions it is: "http", "power" …
	// At is where the step stands: "file:line:column".
	At string `yaml:"-"`
}

// Expect is what must be seen for a step to have worked.
type Expect struct {
	Status   int     `yaml:"status"`
	Match    Pattern `yaml:"match"`
	Not      Pattern `yaml:"not"` // must not be seen
	Exit     *int    `yaml:"exit"`
	Asserted *bool   `yaml:"asserted"`
	// Seen is what a console must show, from the step's own sending on.
	Seen Pattern `yaml:"seen"`
}
