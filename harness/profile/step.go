package profile

import (
	"time"

	"rigor/harness/strictyaml"
)

// Step is one action of the one grammar that serves ways, versions, markers,
// identity and setups. Exactly one verb is set. Texts may hold ${unit.serial},
// ${unit.mac}, ${secret.NAME}, ${NAME} of an earlier extraction, and what the
// caller gives (${old}, ${new}, ${marker}).
type Step struct {
	// http: "METHOD /path", over the port of Login (or Port and TLS), with the
	// session of that login when As is "owner".
	HTTP  string `yaml:"http"`
	Login string `yaml:"login"`
	As    string `yaml:"as"` // "" or "owner"; "stranger" keeps cookies, and is nobody
	// Password is what the owner logs in with in place of the declared secret:
	// for the steps that change it.
	Password string            `yaml:"password"`
	Port     int               `yaml:"port"`
	TLS      bool              `yaml:"tls"`
	Header   map[string]string `yaml:"header"`
	JSON     any               `yaml:"json"`
	Form     map[string]string `yaml:"form"`
	Body     string            `yaml:"body"`
	// Upload sends a file of the rig as the body, or as a field of a form beside those
	// of Form. Every asks again at this pace until what is expected is seen, or what must
	// not be.
	Upload Upload        `yaml:"upload"`
	Every  time.Duration `yaml:"every"`

	// run: a command over Login (ssh, telnet, console), as the owner.
	Run string `yaml:"run"`

	// console: send a line and wait.
	Console string `yaml:"console"`
	Send    string `yaml:"send"`
	Enter   bool   `yaml:"enter"` // sends Enter alone
	Break   bool   `yaml:"break"`

	File string `yaml:"file"` // reads a file of the rig

	// Serve has the rig serve a file by http from now on to the end of the list of
	// steps, and gives ${url}.
	Serve string `yaml:"serve"`
	// Copy copies a file of the rig to the path To of the DUT, over Login: By its shell,
	// scp or sftp; by its shell where nothing is said.
	Copy string `yaml:"copy"`
	To   string `yaml:"to"`
	By   string `yaml:"by"`

	Transfer Transfer `yaml:"transfer"`
	SMP      SMP      `yaml:"smp"`

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

// Upload is a file that goes into a request.
type Upload struct {
	File  string `yaml:"file"`
	Field string `yaml:"field"` // of a form of multipart/form-data; the body itself where it is empty
	Name  string `yaml:"name"`  // that the form tells; firmware.bin where it is empty
	Type  string `yaml:"type"`  // of the content; application/octet-stream where it is empty
}

// UnmarshalStrict reads a path, or {file: …, field: …}.
func (u *Upload) UnmarshalStrict(n *strictyaml.Node) {
	if text, ok := n.Scalar(); ok {
		u.File = text
		return
	}
	type plain Upload
	var p plain
	if n.Decode(&p, "upload") {
		*u = Upload(p)
	}
}

// Transfer sends a file over a console by a protocol of serial lines.
type Transfer struct {
	Console  string `yaml:"console"`
	Protocol string `yaml:"protocol"` // xmodem, xmodem-1k, ymodem
	File     string `yaml:"file"`
	Name     string `yaml:"name"` // that ymodem tells; firmware.bin where it is empty
	// Settle is the silence behind which no more of an answer comes; 100 ms where it
	// is 0. A receiver on a slow bus needs more, one that answers at once less.
	Settle time.Duration `yaml:"settle"`
}

// SMP is what MCUboot's serial recovery is asked over a console. What is set of File,
// Echo, Confirm and Reset is done, in this order.
type SMP struct {
	Console string `yaml:"console"`
	Echo    string `yaml:"echo"` // a text that has to come back
	File    string `yaml:"upload"`
	Slot    int    `yaml:"slot"`    // the image's number that an upload names
	Test    bool   `yaml:"test"`    // has what was uploaded tried at the next start
	Confirm bool   `yaml:"confirm"` // has what was uploaded kept
	Reset   bool   `yaml:"reset"`
	MTU     int    `yaml:"mtu"` // the device's buffer in bytes; 512 where it is 0
}
