package console

import (
	"bytes"
	"time"

	"rigor/harness/console/expect"
	"rigor/harness/dut"
	"rigor/harness/profile"
)

// promptQuiet is how long nothing may follow what looks like a prompt; a USB
// adapter holds bytes back for 16 ms.
const promptQuiet = 60 * time.Millisecond

// Prompts that are known beside the declared ones. What matches is not yet one:
// it has to come again when it is asked.
var (
	// A word or a path and a prompt's sign, alone on a line: of shells, of most
	// boot loaders, of interpreters.
	anyShell = expect.MustRegexp(`(?m)^[\w.@:~/()=-]{0,40} ?(?:[#$%>]|>>>) `).Named("a shell's or boot loader's prompt")
	// Those that end otherwise.
	oddShell = expect.MustRegexp(`(?m)^(?:\(initramfs\)|barebox@[^\n]{0,20}:[^\n]{0,20}|CFE>|U-Boot>|RedBoot>|msh [^\n]{0,16}>|uart:~\$|` +
		`grub rescue>|\[VxWorks Boot\]:|rommon \d{1,5} ?>|<(?:RealTek|HUAWEI|H3C)>|Marvell>>|\[[\w.@-]{1,40} [^\]\n]{1,40}\][#$]|\[\d{1,3}\](?:kdb|more)>|switch: ?$) ?`).Named("a boot loader's or kernel's prompt")
	// A question with a choice.
	anyMenu = expect.MustRegexp(`(?mi)^[^\n]{0,50}\b(?:choice|choose|select|selection|option|menu|command)\b[^\n]{0,30}[:?>] ?`).Named("a menu's prompt")
)

// waits gives a pattern the quiet of a prompt where it has none.
func waits(p expect.Pattern) expect.Pattern {
	if p.Quiet() == 0 {
		p = p.Prompt(promptQuiet)
	}
	return p
}

// declared adds the declared patterns to a list, as prompts.
func declared(ps []expect.Pattern, name string, decl ...profile.Pattern) []expect.Pattern {
	for _, d := range decl {
		if p, ok := dut.Pattern(name, d); ok {
			ps = append(ps, waits(p))
		}
	}
	return ps
}

// insidePrompts gives the prompts of who is in without being asked: the
// declared shell, the boot loader's, and what others look like.
func insidePrompts(con *profile.Console) []expect.Pattern {
	ps := declared(nil, "the shell's prompt", con.Shell)
	ps = declared(ps, "the boot loader's prompt", con.Boot.Prompt)
	return append(ps, waits(anyShell), waits(oddShell), waits(anyMenu))
}

// bootPrompts gives the prompts that no key may reach during a boot, by what the
// profile says of them: these alone decide at once.
func bootPrompts(con *profile.Console) []expect.Pattern {
	ps := declared(nil, "the boot loader's prompt", con.Boot.Prompt)
	for i := range ps {
		ps[i] = ps[i].Forbidden()
	}
	return ps
}

// looks gives what else looks like a prompt in a boot, and has to come again when
// it is asked: the line of a progress display does, too. Menus are not among them:
// a boot log asks nobody, and its lines end like questions.
func looks() []expect.Pattern { return []expect.Pattern{waits(anyShell), waits(oddShell)} }

// shows says whether a declared pattern stands in text.
func shows(p profile.Pattern, text []byte) bool {
	if p.Regexp != nil {
		return p.Regexp.Match(expect.Plain(text))
	}
	return p.Literal != "" && bytes.Contains(expect.Plain(text), []byte(p.Literal))
}
