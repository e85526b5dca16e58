package survey

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Console is what a console showed of itself in one boot. A text is the device's
// own, empty where nothing like it was seen.
type Console struct {
	Bytes  int    `json:"bytes"`
	Banner string `json:"banner,omitempty"` // the first line that can be read
	Loader string `json:"loader,omitempty"` // the line by which a boot loader names itself
	// Window is the line in which a loader says that a key stops it, and WindowFor
	// how long it says that it waits, 0 where it says none.
	Window    string        `json:"window,omitempty"`
	WindowFor time.Duration `json:"window_for,omitempty"`
	System    string        `json:"system,omitempty"`        // the line by which a kernel names itself
	Activate  string        `json:"activate,omitempty"`      // a request to press Enter
	Login     string        `json:"login,omitempty"`         // prompt for a user name
	Password  string        `json:"password,omitempty"`      // prompt for a password
	InLoader  string        `json:"loader_prompt,omitempty"` // a loader's prompt: the boot ended there
	Shell     string        `json:"shell,omitempty"`         // a prompt that takes commands, and nobody had logged in
	Last      string        `json:"last,omitempty"`          // the last line that can be read before the prompt
}

// most bounds what is looked at of one boot, in bytes.
const most = 256 << 10

// lazily compiles an expression when it is first asked for: most commands of the program
// survey nothing, and each start would pay for all of them.
func lazily(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// How makers' loaders and kernels name themselves. An expression of what is known
// is no claim that the device is that: a person reads the line.
var (
	loaders = lazily(`(?i)^(?:U-Boot (?:SPL |TPL )?\d{4}\.\d\d|(?:\S+ )?barebox \d|CFE version|RedBoot|MCUboot|\*\*\* Booting MCUboot|` +
		`GRUB |coreboot|NOTICE: +BL[12]|BootROM|ESP-ROM:|ets [A-Z][a-z]{2} +\d|rst:0x|.*2nd stage bootloader|.*\b(?:boot ?loader|bootstrap)\b.*\d|[A-Za-z0-9]+-Boot \d)`)
	systems  = lazily(`^(?:\[ *\d+\.\d+\] )?(?:Linux version|Booting Linux|\*\*\* Booting Zephyr|FreeRTOS|NuttX|VxWorks|Starting kernel|.*\bKernel command line\b|[A-Z]{2,8}OS \d)`)
	windows  = lazily(`(?i)\b(?:hit|press|type|enter)\b.{1,40}\b(?:stop|abort|interrupt|enter|cancel|boot menu|setup)\b|\bauto-?boot(?:ing)?\b.{0,12}\bin\b`)
	windowIn = lazily(`(?i)(?:\bin|[:=(]) *(\d{1,5}) *(ms|msec|milliseconds|s|sec|seconds?)?\b`)
	activate = lazily(`(?i)press enter to activate`)
	login    = lazily(`(?i)^ *(?:\S{1,40} )?(?:login|user ?name|user|account|log in)(?: as)? ?: *$`)
	password = lazily(`(?i)^(?:pass(?:word|code|phrase)?|pin)(?: for \S{1,40})? ?: *$`)
	inLoader = lazily(`^(?:=> |\S{0,16}[Bb]oot\S{0,8}[>#] ?|CFE> ?|barebox(?:@\S{0,40})?[:/>]\S{0,20} ?|grub(?:rescue)?> ?|ROM:?> ?)$`)
	shell    = lazily(`^(?:\S{0,40}(?: [~/]\S{0,40})? ?[#$%>] ?|>>> )$`)
	colours  = lazily(`\x1b\[[0-9;?]{0,16}[A-Za-z]|\x1b\][^\x07\x1b]{0,80}(?:\x07|\x1b\\)|\x1b[=>()][0-9A-B]?`)
)

// Recognise reads what a console sent in one boot, up to the quiet behind it.
func Recognise(raw []byte) Console {
	c := Console{Bytes: len(raw)}
	if len(raw) > most { // a boot loop: its beginning and its end
		raw = slices.Concat(raw[:most/2], raw[len(raw)-most/2:])
	}
	lines := split(raw)
	if len(lines) == 0 {
		return c
	}
	for _, l := range lines {
		if l, _, _ := strings.Cut(l, "\b"); c.Window == "" && windows().MatchString(l) { // a loader counts down over what it wrote
			c.Window, c.WindowFor = l, windowOf(l)
		}
	}
	for i := range lines {
		lines[i] = backspaced(lines[i])
	}
	for _, l := range lines[:len(lines)-1] {
		c.line(l)
	}
	tail := lines[len(lines)-1]
	switch {
	case login().MatchString(tail):
		c.Login = tail
	case password().MatchString(tail):
		c.Password = tail
	case inLoader().MatchString(tail):
		c.InLoader = tail
	case shell().MatchString(tail):
		c.Shell = tail
	default:
		c.line(tail)
	}
	return c
}

// line looks at a line that is over.
func (c *Console) line(l string) {
	if !legible(l) {
		return
	}
	first := func(into *string, what *regexp.Regexp) {
		if *into == "" && what.MatchString(l) {
			*into = l
		}
	}
	if c.Banner == "" {
		c.Banner = l
	}
	first(&c.Loader, loaders())
	first(&c.System, systems())
	first(&c.Activate, activate())
	c.Last = l
}

// windowOf reads how long a loader says that it waits; a bare number is seconds.
func windowOf(l string) time.Duration {
	m := windowIn().FindStringSubmatch(l)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0
	}
	if strings.HasPrefix(strings.ToLower(m[2]), "m") {
		return time.Duration(n) * time.Millisecond
	}
	if n > 300 { // no window, whatever it counts
		return 0
	}
	return time.Duration(n) * time.Second
}

// split gives the lines of a console, as they look when all is written: colours
// left out, a line that returns to its beginning as its last writing. The last one
// is that behind the last newline, and may be empty.
func split(raw []byte) []string {
	raw = colours().ReplaceAll(raw, nil)
	raw = bytes.ReplaceAll(raw, []byte("\x00"), nil)
	var out []string
	for l := range bytes.SplitSeq(raw, []byte("\n")) {
		l = bytes.TrimRight(l, "\r")
		if i := bytes.LastIndexByte(l, '\r'); i >= 0 {
			l = l[i+1:]
		}
		l = bytes.TrimLeftFunc(l, func(r rune) bool { return r == utf8.RuneError || r < ' ' && r != '\t' }) // the edge of the line, read as bytes
		out = append(out, string(l))
	}
	return out
}

// backspaced takes out what a backspace goes back over.
func backspaced(l string) string {
	if !strings.Contains(l, "\b") {
		return l
	}
	out := make([]byte, 0, len(l))
	for i := range len(l) {
		switch c := l[i]; {
		case c != '\b':
			out = append(out, c)
		case len(out) > 0:
			out = out[:len(out)-1]
		}
	}
	return string(out)
}

// legible says whether a line is one that a person reads: four letters or digits,
// and nearly all of it shown.
func legible(l string) bool {
	n := 0
	for i := range len(l) {
		if c := l[i]; c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			n++
		}
	}
	shown, _ := Text([]byte(l))
	return n >= 4 && shown >= minText
}

// changes are parts of a line that another boot, unit or build would write in
// another way: what follows an opening bracket, a date, a time, an address.
var changes = lazily(`[(\[{<]|\b\d{1,2}:\d\d|\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b|0x[0-9a-fA-F]{4,}|\b[0-9a-fA-F]{2}:[0-9a-fA-F]{2}:`)

// Sign gives of a line what is fit for a pattern: its longest run of plain ASCII
// without what changes from boot to boot, 48 characters at most; "" where nothing
// is left that would tell it from others.
func Sign(line string) string {
	line = stamp().ReplaceAllString(line, "")
	best := ""
	for _, part := range strings.FieldsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
		if at := changes().FindStringIndex(part); at != nil {
			part = part[:at[0]]
		}
		if part = strings.TrimSpace(part[:min(len(part), 48)]); len(part) > len(best) {
			best = part
		}
	}
	if !legible(best) {
		return ""
	}
	return best
}

// stamp is the time that a kernel puts before a line.
var stamp = lazily(`^\[ *\d+\.\d+\] `)
