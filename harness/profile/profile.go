// Package profile is the device profile: what its maker declares of a model.
// It is read from strict YAML, linted, and never holds anything of a bench.
//
// Each section can say "none" with a reason where the model has no such thing
// (its cases are then not applicable), and can be left out where nothing is
// known (its cases are then inconclusive: profile-missing).
package profile

import (
	"regexp"
	"slices"
	"strconv"
	"time"

	"rigor/harness/strictyaml"
	"rigor/harness/verdict"
)

type duration = time.Duration

// Profile is one model as declared.
type Profile struct {
	Name     string `yaml:"profile"`
	Maker    string `yaml:"maker"`
	Model    string `yaml:"model"`
	Hardware string `yaml:"hardware"`

	Firmware  Firmware          `yaml:"firmware"`
	Identity  Identity          `yaml:"identity"`
	Consoles  Section[*Console] `yaml:"consoles"`
	Logins    Section[*Login]   `yaml:"logins"`
	States    Section[*State]   `yaml:"states"`
	Ways      []Way             `yaml:"ways"`
	Password  Password          `yaml:"password"`
	Setup     Setup             `yaml:"setup"`
	Routes    Routes            `yaml:"routes"`
	Stores    Section[*Store]   `yaml:"stores"`
	Discloses Discloses         `yaml:"discloses"`
	TLS       TLS               `yaml:"tls"`
	SSH       SSH               `yaml:"ssh"`
	Keys      Keys              `yaml:"keys"`
	Log       Log               `yaml:"log"`
	Images    Images            `yaml:"images"`
	Updates   Section[*Update]  `yaml:"updates"`
	Recovery  Recovery          `yaml:"recovery"`
	Network   Network           `yaml:"network"`
	Alive     Alive             `yaml:"alive"`
	Presses   Presses           `yaml:"presses"`
	Reset     Reset             `yaml:"reset"`
	Debug     Debug             `yaml:"debug"`

	// Digest is the sha256 of the file as read, in hex.
	Digest string `yaml:"-"`
	// File is the path under which it was read.
	File string `yaml:"-"`
	// Source knows where everything stands in the file.
	Source *strictyaml.Source `yaml:"-"`
}

// None is a declared absence with its reason. It is part of every section.
type None struct {
	None string `yaml:"none"`
}

// Declared says whether the absence is declared.
func (n None) Declared() bool { return n.None != "" }

// Section is a mapping of named things, or {none: "reason"}. Given is false
// when the section does not stand in the file at all.
type Section[T any] struct {
	None
	Given bool
	Items map[string]T
	Order []string // names as they stand in the file
}

// Pattern matches bytes of the DUT. In YAML it is a plain string (literal) or
// {match: literal} or {regexp: expression}, with quiet for prompts: how long
// nothing may follow.
type Pattern struct {
	Literal string
	Regexp  *regexp.Regexp
	Quiet   time.Duration
}

// Zero says that nothing was declared.
func (p Pattern) Zero() bool { return p.Literal == "" && p.Regexp == nil }

// Firmware says which version the unit is declared to run and how to read it.
type Firmware struct {
	None    `yaml:",inline"`
	Version string `yaml:"version"`
	// Read extracts "version", and where they can be read "model", and of what runs
	// "digest" (in hex, the image's hash as its format has it), "pending" (the version
	// that waits for a restart, "" for none) and "boot" (another one after each start).
	Read []Step `yaml:"read"`
	// Boot is what a boot says of the image that it starts.
	Boot BootSays `yaml:"boot"`
}

// Identity says how the unit's own identifier is read, and to which value of
// the rig's unit it must be equal.
type Identity struct {
	None   `yaml:",inline"`
	Steps  []Step `yaml:"steps"`  // extracts "serial"
	Equals string `yaml:"equals"` // "unit.serial" or "unit.mac"
}

// Console is one UART of the DUT.
type Console struct {
	None `yaml:",inline"`
	// Silent declares that it emits nothing in any phase.
	Silent bool `yaml:"silent"`

	Newline string `yaml:"newline"` // cr, lf, crlf: what the DUT takes for Enter
	// Rates are those of a start's phases, from power-on; behind the last of them
	// the rig's own rate holds.
	Rates []Rate `yaml:"rates"`

	Boot      Boot    `yaml:"boot"`
	Login     Pattern `yaml:"login"`    // prompt for the user name
	Password  Pattern `yaml:"password"` // prompt for the password
	Shell     Pattern `yaml:"shell"`    // prompt after a login
	Incorrect Pattern `yaml:"incorrect"`
	Locked    Pattern `yaml:"locked"`
	Logout    string  `yaml:"logout"` // command that ends a session
	Proof     Proof   `yaml:"proof"`  // what shows that one is in
	// Closed is what Enter gives where the console offers no login: in the
	// factory state, for one.
	Closed    Pattern   `yaml:"closed"`
	Answer    Answer    `yaml:"answer"` // a reaction that needs no login, where there is no login at all
	Magic     []string  `yaml:"magic"`  // words that makers are known to hide, tried too
	SysRq     SysRq     `yaml:"sysrq"`
	Injection Injection `yaml:"injection"`
}

// Rate is the rate of a phase of the DUT's start.
type Rate struct {
	Baud  int           `yaml:"baud"`  // bit/s
	Until Pattern       `yaml:"until"` // what ends the phase; or else
	For   time.Duration `yaml:"for"`   // how long it lasts
}

// Answer is a declared reaction to bytes sent, which shows that our
// transmitter reaches the DUT.
//
// None says that the console takes no input at all: that nothing can be typed at
// it. What it says is listened to all the same.
type Answer struct {
	None   `yaml:",inline"`
	Send   string  `yaml:"send"`
	Expect Pattern `yaml:"expect"`
}

// Boot is what a console shows while the DUT starts.
type Boot struct {
	None   `yaml:",inline"`
	Banner Pattern       `yaml:"banner"` // first sign of a cold boot
	Loader Pattern       `yaml:"loader"` // the boot loader's own sign
	Prompt Pattern       `yaml:"prompt"` // of the boot loader; must never be reachable unless declared open
	Window time.Duration `yaml:"window"` // how long the loader listens, if it does
	Done   Pattern       `yaml:"done"`   // the declared end of a boot
	Within time.Duration `yaml:"within"` // from power-on to done, at most
	Never  NeverSend     `yaml:"never-send"`
	// Fail is how to make one boot fail, what is then seen, and how the DUT
	// is brought back.
	Fail BootFail `yaml:"fail"`
}

// BootFail provokes a failed boot.
type BootFail struct {
	None    `yaml:",inline"`
	Provoke []Step  `yaml:"provoke"`
	Sign    Pattern `yaml:"sign"` // shows that the boot failed
	// Watch is how long the console is watched behind the sign, since a loader may
	// try again and give up later; 0 for as long as a boot may take.
	Watch   time.Duration `yaml:"watch"`
	ComesUp ComesUp       `yaml:"comes-up"` // in the boot that failed
	Restore []Step        `yaml:"restore"`  // afterwards
}

// Given says whether it is said how a boot is made to fail, and what is then seen.
func (f BootFail) Given() bool { return len(f.Provoke) > 0 && !f.Sign.Zero() }

// ComesUp says how the DUT comes up in the very boot that failed: without a
// restart from outside, from another slot or by trying again.
type ComesUp struct {
	None   `yaml:",inline"`
	Itself bool   `yaml:"itself"` // with the cause still there
	After  []Step `yaml:"after"`  // once these have taken the cause away
}

// SysRq says how a BREAK on the console is answered when it is not locked.
type SysRq struct {
	None `yaml:",inline"`
	Help Pattern `yaml:"help"` // what an open SysRq answers to "h"; has a default
}

// Injection names commands of a restricted CLI that take an argument.
type Injection struct {
	None     `yaml:",inline"`
	Commands []string `yaml:"commands"` // with %s where the argument goes
}

// Login is one way to log in: one channel.
type Login struct {
	None     `yaml:",inline"`
	Protocol string  `yaml:"protocol"` // ssh, telnet, http-basic, http-digest, http-form, http-json, mqtt, ftp, snmp, rtsp, redis, console, exec, ask
	Port     int     `yaml:"port"`     // TCP, but of snmp
	TLS      bool    `yaml:"tls"`
	Console  string  `yaml:"console"`
	Owner    Account `yaml:"owner"`
	Proof    Proof   `yaml:"proof"`

	// For http-form and http-json.
	Page   string            `yaml:"page"` // form: the page with the form; json: the path that takes the login
	Fields Fields            `yaml:"fields"`
	Extra  map[string]string `yaml:"extra"` // further fields to send
	Token  string            `yaml:"token"` // json: path of the token in the answer, as $.token
	Logout string            `yaml:"logout"`

	Version  string `yaml:"version"`   // of mqtt (3.1.1, 5) or snmp (1, 2c, 3)
	ClientID string `yaml:"client-id"` // mqtt: of the client; one of its own for each try where it is not said
	Digest   string `yaml:"digest"`    // snmp 3: md5, sha, sha224, sha256, sha384, sha512
	Cipher   string `yaml:"cipher"`    // snmp 3: aes, des; none where it is not said
	// Refusal is the kind of answer that is a no besides a no of the protocol:
	// silent, where the protocol has none.
	Refusal verdict.Kind `yaml:"refusal"`

	Locked     Pattern `yaml:"locked"`     // text that says locked out
	Restricted Pattern `yaml:"restricted"` // text that says: set a password first
	Refused    Pattern `yaml:"refused"`    // text of a refusal, where the protocol has none

	Lockout   Lockout   `yaml:"lockout"`
	Transport Transport `yaml:"transport"`
	Exec      []string  `yaml:"exec"`  // protocol exec: argv
	Ask       string    `yaml:"ask"`   // protocol ask: what tells a person where to try
	Quiet     duration  `yaml:"quiet"` // for how long nothing may follow a prompt of the service
	// Within is how long one try may take, its answer included; 15 s where it is
	// not said.
	Within time.Duration `yaml:"within"`
	Vendor string        `yaml:"vendor"` // whose defaults to try first; the maker otherwise
}

// Service gives where the login is as a state's services say it: "tcp/22".
func (l *Login) Service() string {
	network := "tcp"
	if l.Protocol == "snmp" {
		network = "udp"
	}
	return network + "/" + strconv.Itoa(l.Port)
}

// Accounts says whether the login knows one user from another. A community of
// SNMP is a password and no account.
func (l *Login) Accounts() bool {
	return l.Protocol != "snmp" || l.Version == "3"
}

// Fields names the fields of a form or of a JSON object.
type Fields struct {
	User     string `yaml:"user"`
	Password string `yaml:"password"`
}

// Account is a user and a reference to its secret.
type Account struct {
	User     string `yaml:"user"`
	Password string `yaml:"password"` // "secret:NAME" of the rig
}

// Proof is the protected resource whose being reached means that a login
// opened: a page with its status and text, a command with its output, or what a
// protocol has in their place.
type Proof struct {
	Get     string  `yaml:"get"` // page; rtsp: path of a stream
	Status  int     `yaml:"status"`
	Command string  `yaml:"command"`
	Topic   string  `yaml:"topic"` // mqtt
	OID     string  `yaml:"oid"`   // snmp: an object, as 1.3.6.1.2.1.1.1.0
	Match   Pattern `yaml:"match"`
}

// Aside says whether a login is tried by others than Rigor: by a program or a person.
func (l *Login) Aside() bool { return l.Protocol == "exec" || l.Protocol == "ask" }

// Lockout is the declared answer to wrong tries.
type Lockout struct {
	None          `yaml:",inline"`
	After         int           `yaml:"after"` // wrong tries within Window
	Window        time.Duration `yaml:"window"`
	Lasts         time.Duration `yaml:"lasts"`
	Scope         string        `yaml:"scope"`  // account, source
	Answer        verdict.Kind  `yaml:"answer"` // how a locked account answers
	SuccessClears bool          `yaml:"success-clears"`
	// Shared: the tries of all logins that say so are counted together. Nil: it
	// does not say.
	Shared   *bool    `yaml:"shared"`
	Survives Survival `yaml:"survives-reboot"`
}

// Survival says what a restart makes of a lock: nothing, it ends it, or has it begin
// anew with the end of the boot, as in a device that has no clock of its own. Empty:
// it does not say.
type Survival string

// What a restart makes of a lock.
const (
	SurvivesYes  Survival = "true"
	SurvivesNo   Survival = "false"
	SurvivesAnew Survival = "anew"
)

// Kept says whether a lock is declared to be there after a restart.
func (s Survival) Kept() bool { return s == SurvivesYes || s == SurvivesAnew }

// Transport says how credentials are protected on the wire.
type Transport struct {
	None  `yaml:",inline"`
	Given bool  // the section is there
	Clear []int `yaml:"clear"` // further ports on which the same login must not be taken in clear
}

// State is what the DUT is in, with what it offers there.
type State struct {
	None     `yaml:",inline"`
	Logins   []string `yaml:"logins"`
	Services []string `yaml:"services"` // "tcp/22"
	Stores   []string `yaml:"stores"`   // that something of the owner's is kept in
	Address  Address  `yaml:"address"`
	Holds    []Step   `yaml:"holds"` // a cheap proof that the DUT is in it
}

// Address is where the DUT is in a state: found by the rig's unit.mac, or a
// fixed host; empty: the rig's own network section says it.
type Address struct {
	Find string `yaml:"find"`
	Host string `yaml:"host"`
}

// Way leads from one state to another.
type Way struct {
	From   string        `yaml:"from"`
	To     string        `yaml:"to"`
	ID     string        `yaml:"id"`
	Needs  []string      `yaml:"needs"` // what the rig must allow: config, reset …
	Steps  []Step        `yaml:"steps"`
	Done   []Step        `yaml:"done"`
	Within time.Duration `yaml:"within"`
}

// LeadsBy gives the lines and consoles that each declared way to a state takes: where one of
// them is broken, nothing leads there.
func (p *Profile) LeadsBy(state string) (lines, consoles []string) {
	first := true
	for i := range p.Ways {
		w := &p.Ways[i]
		if w.To != state {
			continue
		}
		l, c := Wires(slices.Concat(w.Steps, w.Done))
		if first {
			lines, consoles, first = l, c, false
			continue
		}
		lines = slices.DeleteFunc(lines, func(n string) bool { return !slices.Contains(l, n) })
		consoles = slices.DeleteFunc(consoles, func(n string) bool { return !slices.Contains(c, n) })
	}
	return lines, consoles
}

// Password says how the owner's password is changed and what is demanded.
type Password struct {
	None      `yaml:",inline"`
	Change    []Step `yaml:"change"` // with ${old} and ${new}, as the owner
	MinLength int    `yaml:"min-length"`
	// Generation says how the factory secret of a unit is made; the checks do
	// not trust it.
	Generation  string   `yaml:"generation"`
	Identifiers []string `yaml:"identifiers"` // further public identifiers of the unit: SSID …
}

// Setup is the first onboarding and the ways around it that must not work.
type Setup struct {
	None  `yaml:",inline"`
	Login string      `yaml:"login"` // whose protected resource must stay shut
	Skips []SetupSkip `yaml:"skips"`
	// Choose is the set-up itself with ${new} as the owner's password, and with
	// ${unit.label-password} where it asks for the label's.
	Choose []Step     `yaml:"choose"`
	Label  SetupLabel `yaml:"label"`
}

// SetupLabel says that the set-up needs nothing that stands on the unit's label, or
// what else must not be taken for it. Given is false where it says neither.
type SetupLabel struct {
	None  `yaml:",inline"`
	Given bool
	// Wrong are labels that look right and that no unit has: with a check digit that
	// is right, or those of units that were not given one of their own. Empty where
	// every text of the form could be one.
	Wrong []string `yaml:"wrong"`
}

// SetupSkip is one way to get past the setting of a password.
type SetupSkip struct {
	ID    string `yaml:"id"`
	Steps []Step `yaml:"steps"`
}

// Network says what the DUT's network stack bears, and where it is on IPv6.
type Network struct {
	None        `yaml:",inline"`
	Connections int  `yaml:"connections"` // at the same time; 0: a careful number
	Rate        int  `yaml:"rate"`        // new ones a second; 0: a careful number
	IPv6        IPv6 `yaml:"ipv6"`
}

// IPv6 is where the DUT is on IPv6.
type IPv6 struct {
	None `yaml:",inline"`
	Host string `yaml:"host"` // an address, with its zone where it needs one, or "unit.NAME" of the rig's values
}

// Store is a place that keeps something of the owner's.
type Store struct {
	None     `yaml:",inline"`
	Secret   *bool  `yaml:"secret"`   // that nobody else may see; true where it does not say
	Alphabet string `yaml:"alphabet"` // ascii, hex, digits
	Length   int    `yaml:"length"`
	Plant    []Step `yaml:"plant"`  // with ${marker}
	Read     []Step `yaml:"read"`   // shows ${marker}, where the owner can read it
	Unread   string `yaml:"unread"` // why he cannot
	Storage  View   `yaml:"storage"`
	Console  View   `yaml:"console"`
	Network  View   `yaml:"network"`
}

// Discloses lists what the DUT may tell a stranger, as regular expressions.
type Discloses struct {
	None  `yaml:",inline"`
	Given bool
	Allow []*regexp.Regexp `yaml:"allow"`
}

// TLS is the floor of the DUT's TLS servers, as its maker declares it. What it does
// not say is TLS 1.2 and nothing weak.
type TLS struct {
	Oldest string   `yaml:"oldest"` // version that is still taken: "1.0" to "1.3"; "1.2" where it is not said
	Allow  []string `yaml:"allow"`  // classes of suites that are taken in spite of their age: cbc-sha1, 3des
	// SelfSigned says that the certificates are the unit's own. Nil: it does not say.
	SelfSigned *bool `yaml:"self-signed"`
}

// SSH is the floor of the DUT's SSH servers.
type SSH struct {
	Allow []string `yaml:"allow"` // algorithms that are offered in spite of their age, by name
}

// What a factory reset does to the unit's keys.
const (
	KeysNew  = "new"
	KeysKept = "kept"
)

// Keys says what becomes of the unit's own keys: SSH host keys, the keys of its
// certificates.
type Keys struct {
	None  `yaml:",inline"`
	Reset string `yaml:"reset"` // new: a factory reset makes others; kept: it does not
}

// Log says how the DUT's log is read and what its entries look like.
type Log struct {
	None `yaml:",inline"`
	// Entries is where a log in JSON has its list, as $.events. Each entry is then
	// one line for Failed and OK, its members in the order of their names:
	// the order in which a device writes them means nothing.
	Entries string            `yaml:"entries"`
	Read    []Step            `yaml:"read"`   // extracts "log"
	Failed  string            `yaml:"failed"` // regular expression with ${user} and ${channel}, and a group named source where it is logged
	OK      string            `yaml:"ok"`
	Sources map[string]string `yaml:"sources"` // channel → what the source must match
}

// Alive is a sign of life of a DUT that no console shows booting and that has no
// login on the network: steps that work while it runs and do not without its supply.
type Alive struct {
	None  `yaml:",inline"`
	Steps []Step `yaml:"steps"`
}

// Recovery is the declared way back of a DUT that does not answer.
type Recovery struct {
	None   `yaml:",inline"`
	Steps  []Step        `yaml:"steps"` // default: a power cycle
	Within time.Duration `yaml:"within"`
}
