// Package harness holds the concepts; its folders hold the code. Read this page
// first, then package check, which a suite author writes with.
//
// # What is looked at
//
// A DUT is the device under test: one unit of a model, with a serial number. Its
// profile is what the maker declares of the model. A rig is a bench: one DUT, its
// wires, and the computer that drives them. A part is any instrument of the rig
// that can break: a line (one GPIO wire), a console (a UART with its transcript),
// the power switch, the network link.
//
// # What is said
//
// A check is one statement about the DUT, with a stable id: cred-known-list. On
// one channel it is a case: cred-known-list[ssh]. All cases are planned before
// the run, as a pure function of what was declared, and all of them are in the
// report.
//
// A case makes claims and shows evidence; it never says "pass". A negative claim
// ("refused", "locked", "gone") needs a control, the same path shown to work
// before and after, and an anti-control, the same oracle shown to say no. Silence
// proves nothing.
//
// # What it amounts to
//
// Everything is written to the journal as it happens. The fold, one pure
// function, turns the journal into verdicts: pass, fail, inconclusive, error,
// not-applicable. A proven access is a failure for good. Trouble of the rig is an
// error, neither the DUT's fault nor its excuse. What is unclear is inconclusive,
// with the reason.
//
// # Who may do what
//
// A check reaches the DUT through a session that the runner can take back, so
// that one that hangs never touches the rig again. What alters the DUT is done
// only where the rig allows it for this unit, and once the unit's identity was
// read. The state that the DUT is in (factory, onboarded) and the ways between
// states are declared; the runner walks them as seldom as can be.
//
// # Where things are
//
// From the bottom: late tells how late the rig's computer was, and beside runs work beside a
// caller, whose end a panic there is; verdict, baseline, escape and strictyaml are words and texts.
// wire says what an instrument is, driver/… are the instruments; dap has the words of a
// debug port and the few writes to one, debugport/… are the engines that speak with it; powercut chooses where
// in a piece of work the supply goes; portscan asks over a link which ports answer. firmware/… are formats of images, and mutants of
// genuine ones with the proof that they are what they claim. journal is the record and its fold. profile is the
// maker's declaration. console and login/… speak with the DUT; steps is the one
// grammar of actions that a user writes. dut puts these together behind a session,
// state moves the DUT, check is what suites are written with. rig is the bench with
// its lease, doctor and safe state; runner plans and runs, gotest does so under go
// test; report/… shows a journal and nothing else. A package imports only from those before it: the test
// beside this page keeps that.
package harness
