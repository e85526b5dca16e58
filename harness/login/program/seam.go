package program

import (
	"context"
	"time"

	"rigor/harness/verdict"
	"rigor/harness/wire"
)

// Run is one run of a program: one request, one answer.
type Run struct {
	// Part is the program as a part of the rig.
	Part wire.Part
	// Argv is the program and its arguments; no shell reads them, and no secret
	// is among them.
	Argv []string
	// Dir is the working directory. Empty is our own.
	Dir string
	// Timeout is when the program is killed with all that it started.
	Timeout time.Duration
	// Request is handed over as JSON; Answer points to a struct, in whose words
	// alone the answer has to be.
	Request, Answer any
	// Redact takes the secrets of the request out of what the program wrote
	// before that goes into an error.
	Redact func(string) string
}

// Runner runs a program. Its error is the rig's own trouble, a *wire.Fault, or
// ctx's end: that the program is not there, ends with another code than 0, takes
// too long, or answers in other words.
type Runner func(ctx context.Context, r Run) error

// What a program is asked to do.
const (
	opLogin = "login" // one try; with keep, the session is asked for more
	opProof = "proof" // is the protected resource still reachable in the session?
	opRun   = "run"   // run a command in the session
	opClose = "close" // end the session
)

// request is what a program is given. What is absent is not to be sent to the
// DUT; what is empty is to be sent, empty.
type request struct {
	Op    string `json:"op"`
	Login string `json:"login"`          // name of the login in the profile
	Host  string `json:"host,omitempty"` // of the DUT, where it is known
	Port  int    `json:"port,omitempty"` // at which the rig reaches the service, where one is declared
	// Unit has serial, mac and the rig's values of the unit, as far as they are given.
	Unit map[string]string `json:"unit,omitempty"`
	// Within is how long the program may take; then it is killed.
	Within   string  `json:"within"`
	User     *string `json:"user,omitempty"`
	Password *string `json:"password,omitempty"`
	Proof    string  `json:"proof,omitempty"`   // command that shows the protected resource
	Keep     bool    `json:"keep,omitempty"`    // more is asked of the session
	Session  string  `json:"session,omitempty"` // as the program gave it
	Command  string  `json:"command,omitempty"` // to run in the session
}

// answer is what the DUT made of a try, or of the question for the proof.
type answer struct {
	Kind     verdict.Kind `json:"kind"`
	Evidence string       `json:"evidence"` // what the DUT said
	Detail   string       `json:"detail"`   // one sentence for a reader
	Facts    facts        `json:"facts"`
	Session  string       `json:"session"`     // by which the program knows the session again
	Took     string       `json:"took"`        // from the password's sending to the DUT's answer
	Retry    string       `json:"retry-after"` // how long the DUT said to wait
}

// facts are what a program can learn on the way, by the Fact keys of package
// login.
type facts struct {
	Method   string `json:"method"`
	Server   string `json:"server"`
	HostKey  string `json:"host-key"`
	TLS      string `json:"tls-sha256"`
	Open     string `json:"open-to-all"`
	Redirect string `json:"redirect-to"`
}

// output is what a command gave. Another kind than accepted says that it did
// not run.
type output struct {
	Kind   verdict.Kind `json:"kind"`
	Detail string       `json:"detail"`
	Status *int         `json:"status"`
	Text   string       `json:"text"`
}

// closed says that a session is over.
type closed struct {
	Closed *bool `json:"closed"`
}
