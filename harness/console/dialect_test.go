package console

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rigor/harness/console/expect"
	"rigor/harness/wire"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeLogin plays a getty, login and a shell with an echo.
type fakeLogin struct {
	port     *fakePort
	user     string
	stage    string // "", "password", "shell"
	tries    []string
	locked   bool
	mute     bool
	noise    string // after each prompt
	motd     string
	mustSet  bool
	hold     time.Duration // before a refusal
	passless bool
	asked    func() // after the password prompt
	fake     string // the answer to each password, and then silence
	nameless bool   // takes Enter for a user without a name
}

func newFakeLogin(port *fakePort) *fakeLogin {
	f := &fakeLogin{port: port}
	port.onLine(f.line)
	lines := port.onWrite
	port.onWrite = func(p []byte) {
		if string(p) == "\x03" {
			f.stage = ""
			f.prompt("\r\nvg login: ")
			return
		}
		lines(p)
	}
	return f
}

func (f *fakeLogin) prompt(s string) {
	f.port.say(s + f.noise)
	f.noise = ""
}

func (f *fakeLogin) line(line string) {
	if f.mute {
		return
	}
	switch f.stage {
	case "":
		f.port.say(line + "\r\n")
		if line == "" && !f.nameless {
			f.prompt("\r\nvg login: ")
			return
		}
		f.user = line
		if f.passless {
			f.in()
			return
		}
		f.stage = "password"
		f.prompt("Password: ")
		if f.asked != nil {
			time.AfterFunc(30*time.Millisecond, f.asked)
		}
	case "password":
		f.port.say("\r\n")
		f.tries = append(f.tries, f.user+":"+line)
		f.stage = ""
		ok := f.user == "root" && line == "right"
		answer := func() {
			switch {
			case f.fake != "":
				f.port.say(f.fake)
				f.mute = true
			case f.locked:
				f.port.say("Account temporarily locked.\r\n")
				f.prompt("\r\nvg login: ")
			case f.mustSet && ok:
				f.port.say("You must set a new password.\r\nNew password: ")
			case ok:
				f.in()
			default:
				f.port.say("Login incorrect\r\n")
				f.prompt("vg login: ")
			}
		}
		if f.hold > 0 {
			time.AfterFunc(f.hold, answer)
			return
		}
		answer()
	case "shell":
		f.port.say(line + "\r\n")
		if line == "exit" {
			f.stage = ""
			f.prompt("logout\r\n\r\nvg login: ")
			return
		}
		f.prompt("vg# ")
	}
}

func (f *fakeLogin) in() {
	f.stage = "shell"
	f.port.say(f.motd + "Last login: Mon Nov 23 on ttyS0\r\n")
	f.prompt("\x1b[?2004hvg# ")
}

var vg = Login{
	User: expect.MustText("login: "), Password: expect.MustText("Password: "), Shell: expect.MustRegexp(`(?m)^vg# `),
	Locked: []expect.Pattern{expect.MustText("temporarily locked")}, Restricted: []expect.Pattern{expect.MustText("must set a new password")},
	Refused: []expect.Pattern{expect.MustText("Login incorrect").Named("said no")},
}

// TestLoginStalePrompt: a prompt that was on its way when the name was typed is
// not the answer to it.
func TestLoginStalePrompt(t *testing.T) {
	for _, tc := range []struct {
		name  string
		id    Identity
		reply Reply
	}{
		{"right", Identity{User: "root", Password: "right"}, LoggedIn},
		{"wrong", Identity{User: "root", Password: "wrong"}, Again},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, port := open(t, Options{})
				f := newFakeLogin(port)
				line := port.onWrite
				first := true
				port.onWrite = func(p []byte) {
					if strings.Contains(string(p), "root") && first {
						first = false
						port.say("\r\nvg login: ") // of an earlier Enter
						// In synctest's clock: the old prompt is quiet before the echo.
						time.Sleep(200 * time.Millisecond)
					}
					line(p)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				o, err := vg.Try(ctx, c, tc.id)
				require.NoError(t, err)
				assert.Equal(t, tc.reply, o.Reply)
				assert.True(t, o.Offered)
				assert.Equal(t, []string{tc.id.User + ":" + tc.id.Password}, f.tries)
			})
		})
	}
}

func TestLogin(t *testing.T) {
	right := Identity{User: "root", Password: "right"}
	wrong := Identity{User: "root", Password: "wrong"}
	for _, tc := range []struct {
		name  string
		setup func(f *fakeLogin)
		id    Identity
		reply Reply
		asked bool
		tries []string
		took  time.Duration // at most
	}{
		{"right", nil, right, LoggedIn, true, []string{"root:right"}, time.Second},
		{"wrong", nil, wrong, Again, true, []string{"root:wrong"}, time.Second},
		{"blank", nil, Identity{User: "root"}, Again, true, []string{"root:"}, time.Second},
		{"held back", func(f *fakeLogin) { f.hold = 3 * time.Second }, wrong, Again, true, []string{"root:wrong"}, 4 * time.Second},
		{"locked", func(f *fakeLogin) { f.locked = true }, right, IsLocked, true, []string{"root:right"}, time.Second},
		{"must set", func(f *fakeLogin) { f.mustSet = true }, right, MustSet, true, []string{"root:right"}, time.Second},
		{"no password", nil, Identity{User: "root", NoPassword: true}, Again, true, nil, time.Second},
		{"no password needed", func(f *fakeLogin) { f.passless = true }, Identity{User: "root", NoPassword: true}, LoggedIn, false, nil, time.Second},
		{"nobody, closed", nil, Identity{NoUser: true, NoPassword: true}, Again, false, nil, time.Second},
		{"nobody, open", func(f *fakeLogin) { f.stage = "shell" }, Identity{NoUser: true, NoPassword: true}, StoodOpen, false, nil, time.Second},
		{"open before", func(f *fakeLogin) { f.stage = "shell" }, wrong, StoodOpen, false, nil, time.Second},
		{"silent", func(f *fakeLogin) { f.mute = true }, right, Nothing, false, nil, 31 * time.Second},
		{"kernel over the prompt", func(f *fakeLogin) { f.noise = "[    1.5] usb 1-1: new device\r\n" }, right, LoggedIn, true, []string{"root:right"}, 7 * time.Second},
		{"motd like a prompt", func(f *fakeLogin) { f.motd = "vg# 1 device\r\nvg login: is here\r\n" }, right, LoggedIn, true, []string{"root:right"}, time.Second},
		{"motd that stops like a prompt", func(f *fakeLogin) { f.fake = "\r\nvg# " }, wrong, Unclear, true, []string{"root:wrong"}, 31 * time.Second},
		{"motd of a lock", func(f *fakeLogin) { f.motd = "3 accounts are locked\r\n" }, right, LoggedIn, true, []string{"root:right"}, time.Second},
		{"left at the password", func(f *fakeLogin) {
			f.stage, f.user = "password", "admin"
			f.port.say("vg login: admin\r\nPassword: ")
		}, right, LoggedIn, true, []string{"root:right"}, time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, port := open(t, Options{})
				f := newFakeLogin(port)
				if tc.setup != nil {
					tc.setup(f)
				}
				synctest.Wait()
				began := time.Now()
				o, err := vg.Try(within(t, 30*time.Second), c, tc.id)
				require.NoError(t, err)
				assert.Equal(t, tc.reply, o.Reply)
				assert.Equal(t, tc.asked, o.Asked)
				assert.Equal(t, tc.tries, f.tries)
				assert.Equal(t, tc.reply != Nothing && (tc.reply != StoodOpen || tc.id.NoUser), o.Offered)
				assert.LessOrEqual(t, time.Since(began), tc.took)
				text, err := c.Excerpt(o.From, o.To)
				require.NoError(t, err)
				assert.Equal(t, tc.reply == Nothing, len(text) == 0)
				time.Sleep(5 * time.Second)
			})
		})
	}
}

func TestLoginKernelOverTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, port := open(t, Options{})
		f := newFakeLogin(port)
		f.asked = func() { port.say("[    2.0] eth0: link up\r\n") }
		o, err := vg.Try(within(t, 20*time.Second), c, Identity{User: "root", Password: "right"})
		require.NoError(t, err)
		// Enter at the prompt that is written over would be a try.
		assert.Equal(t, LoggedIn, o.Reply)
		assert.Equal(t, []string{"root:right"}, f.tries)
	})
}

func TestLoginFaultIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, port := open(t, Options{})
		port.onLine(func(string) { port.fault <- &wire.Fault{Part: "console.main", Op: "read", Err: errUnplugged} })
		_, err := vg.Try(within(t, time.Minute), c, Identity{User: "root"})
		_, ok := wire.AsFault(err)
		require.True(t, ok)
		_, err = Login{}.Try(t.Context(), c, Identity{})
		require.ErrorContains(t, err, "not declared")
	})
}

// TestLoginRow makes tries in a row, where the prompt after one is that of the
// next.
func TestLoginRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, port := open(t, Options{})
		f := newFakeLogin(port)
		id := Identity{User: "root"}
		for range 10 {
			id.Password = "wrong"
			o, err := vg.Try(within(t, time.Minute), c, id)
			require.NoError(t, err)
			require.Equal(t, Again, o.Reply)
			id.AtPrompt = true
		}
		assert.Len(t, f.tries, 10)
		assert.Len(t, port.written(), 10*len("root\rwrong\r")+len("\r"), "one Enter for the first prompt")
		port.say("\r\nrebooted\r\n")
		id.Password = "right"
		o, err := vg.Try(within(t, time.Minute), c, id)
		require.NoError(t, err)
		assert.Equal(t, LoggedIn, o.Reply)
	})
}

func TestLogOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, port := open(t, Options{})
		f := newFakeLogin(port)
		o, err := vg.Try(within(t, time.Minute), c, Identity{User: "root", Password: "right"})
		require.NoError(t, err)
		require.Equal(t, LoggedIn, o.Reply)
		require.NoError(t, vg.LogOut(within(t, time.Minute), c))
		assert.Empty(t, f.stage)
		f.mute = true
		require.ErrorIs(t, vg.LogOut(within(t, time.Minute), c), ErrTimeout)
	})
}

// plainCLI plays a maker's own command line, with an echo and "echo $?".
func plainCLI(port *fakePort) {
	status := 0
	port.onLine(func(line string) {
		out := ""
		switch {
		case line == "echo $?":
			out = fmt.Sprintf("%d\r\n", status)
		case strings.HasPrefix(line, "echo "):
			out, status = line[5:]+"\r\n", 0
		case line == "panic":
			out, status = "[   12.345678] usb 1-1: new device\r\nx\r\n[   13.345678][  T1] more\r\n", 0
		case line != "":
			out, status = "unknown command\r\n", 1
		}
		port.say(line + "\r\n")
		port.say(out + "\x1b[?2004h=> ")
	})
}

func TestPlainShell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, port := open(t, Options{})
		plainCLI(port)
		sh := Shell{Prompt: expect.MustText("=> "), Plain: true, Status: "echo $?"}
		for _, tc := range []struct {
			cmd, out string
			status   int
		}{{"echo hi => there", "hi => there\n", 0}, {"nosuch", "unknown command\n", 1}, {"panic", "x\n", 0}, {"echo echo", "echo\n", 0}} {
			r, err := sh.Run(within(t, time.Second), c, tc.cmd)
			require.NoError(t, err)
			assert.Equal(t, tc.out, string(r.Output))
			assert.Equal(t, tc.status, r.Status)
		}
		sh.Status = ""
		r, err := sh.Run(within(t, time.Second), c, "nosuch")
		require.NoError(t, err)
		assert.Equal(t, -1, r.Status)
		sh.Status = "nosuch"
		_, err = sh.Run(within(t, time.Second), c, "echo a")
		require.ErrorIs(t, err, ErrNoStatus)
		_, err = sh.Run(within(t, time.Second), c, "a\nb")
		require.ErrorContains(t, err, "more than one line")
		_, err = Shell{Plain: true}.Run(within(t, time.Second), c, "a")
		require.ErrorContains(t, err, "prompt")
		_, err = Confirm(within(t, time.Second), c, expect.MustText("=> "))
		require.NoError(t, err)
		_, err = Confirm(within(t, time.Second), c, expect.MustText("# "))
		require.ErrorIs(t, err, ErrTimeout)
	})
}

// TestShellMarkerTorn plays a shell whose end marker the kernel writes over.
func TestShellMarkerTorn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, port := open(t, Options{})
		asked := 0
		port.onLine(func(line string) {
			asked++
			port.say(line + "\r\n")
			at := strings.LastIndex(line, "echo ") + 5
			word := strings.Replace(line[at:at+20], "''", "", 1)[:18]
			if asked == 1 {
				port.say(word[:9] + "[   99.000001] torn\r\n" + word[9:] + "b\r\nout\r\n" + word[:5] + "[   99.000001] torn\r\n" + word[5:] + "e3z\r\n# ")
				return
			}
			port.say(word + "e3z\r\n# ")
		})
		r, err := Shell{Prompt: expect.MustRegexp(`(?m)^# `)}.Run(within(t, time.Minute), c, "cat /etc/motd")
		require.NoError(t, err)
		assert.Equal(t, 2, asked)
		assert.Equal(t, 3, r.Status)
		assert.Contains(t, string(r.Output), "out\n")
		assert.NotContains(t, string(r.Output), "echo")
	})
}

func TestSpray(t *testing.T) {
	until := []expect.Pattern{expect.MustText("=> ").Named("boot prompt").Prompt(50 * time.Millisecond).Forbidden(), expect.MustText("system ready")}
	keys := [][]byte{[]byte(" "), []byte("\x03")}
	t.Run("a boot that goes through", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, port := open(t, Options{})
			go func() {
				port.say("ROM\r\n")
				time.Sleep(300 * time.Millisecond)
				port.say("system ready\r\n")
				time.Sleep(100 * time.Millisecond)
				port.say("vg login: ")
			}()
			s, err := Spray{Keys: keys, Every: 10 * time.Millisecond, Until: until}.Run(within(t, time.Minute), c, 0)
			require.NoError(t, err)
			assert.Equal(t, 1, s.Match.Index)
			assert.InDelta(t, 30, s.Sent, 2)
			assert.Equal(t, strings.Repeat(" \x03", 16)[:s.Sent], port.written())
			assert.LessOrEqual(t, s.Last.Sub(s.First), 310*time.Millisecond)
			time.Sleep(time.Second)
			assert.Len(t, port.written(), s.Sent, "it stops before the login prompt")
		})
	})
	t.Run("no echo is waited for", func(t *testing.T) { // a boot echoes nothing
		synctest.Test(t, func(t *testing.T) {
			c, port := open(t, Options{Echo: 100 * time.Millisecond})
			go func() {
				time.Sleep(300 * time.Millisecond)
				port.say("system ready\r\n")
			}()
			s, err := Spray{Keys: [][]byte{[]byte("x")}, Every: 10 * time.Millisecond, Until: until}.Run(within(t, time.Minute), c, 0)
			require.NoError(t, err)
			assert.InDelta(t, 30, s.Sent, 2)
		})
	})
	t.Run("a loader that echoes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, port := open(t, Options{})
			sent := 0
			port.onWrite = func(p []byte) {
				sent++
				switch {
				case string(p) == "\r":
					port.say("\r\n=> ")
				case sent == 10:
					port.say("\r\n=> ")
				case sent > 10:
					port.say(string(p)) // so that the prompt is never quiet
				}
			}
			s, err := Spray{Keys: [][]byte{[]byte(" ")}, Until: until}.Run(within(t, time.Minute), c, 0)
			var fe *ForbiddenError
			require.ErrorAs(t, err, &fe)
			assert.Equal(t, "boot prompt", fe.Match.Pattern.Name())
			assert.LessOrEqual(t, s.Sent, 12)
		})
	})
	t.Run("a log that looks like a prompt", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, port := open(t, Options{})
			go func() {
				port.say("map 0 => 1\r\n")
				time.Sleep(100 * time.Millisecond)
				port.say("map 1 => 2\r\nsystem ready\r\n")
			}()
			s, err := Spray{Keys: keys, Until: until}.Run(within(t, time.Minute), c, 0)
			require.NoError(t, err)
			assert.Equal(t, 1, s.Match.Index)
			assert.Equal(t, 2*300*time.Millisecond, s.Held)
			assert.Positive(t, s.Sent)
		})
	})
	looks := []expect.Pattern{expect.MustRegexp(`(?m)^[\w/]{0,9} ?[#%>] `).Named("a shell").Prompt(50 * time.Millisecond)}
	t.Run("a progress display", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, port := open(t, Options{})
			go func() {
				port.say("verifying\r\n")
				for _, p := range []string{"10", "10", "40", "70", "100"} {
					port.say("\r" + p + "% ")
					time.Sleep(90 * time.Millisecond)
				}
				port.say("done\r\nsystem ready\r\n")
			}()
			s, err := Spray{Keys: keys, Every: 10 * time.Millisecond, Until: until, Looks: looks}.Run(within(t, time.Minute), c, 0)
			require.NoError(t, err)
			assert.Equal(t, 1, s.Match.Index)
			assert.Positive(t, s.Held)
		})
	})
	t.Run("a shell in a quote", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, port := open(t, Options{})
			quoted := false
			port.onWrite = func(p []byte) {
				switch {
				case string(p) == "\r" && quoted:
					port.say("\r\n> ")
				case string(p) == "\r", len(port.at) == 8:
					port.say("\r\n/ # ")
				default:
					port.say(string(p))
					quoted = quoted || len(port.at) == 9
				}
			}
			s, err := Spray{Keys: [][]byte{[]byte("'")}, Until: until, Looks: looks}.Run(within(t, time.Minute), c, 0)
			var fe *ForbiddenError
			require.ErrorAs(t, err, &fe)
			assert.Equal(t, "a shell", s.Match.Pattern.Name())
		})
	})
	t.Run("a boot that stops", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, port := open(t, Options{})
			port.onWrite = func(p []byte) {
				if string(p) == "\r" || string(p) == "\x03" && len(port.at) == 8 {
					port.say("\r\n=> ")
				}
			}
			s, err := Spray{Keys: keys, Until: until}.Run(within(t, time.Minute), c, 0)
			var fe *ForbiddenError
			require.ErrorAs(t, err, &fe)
			assert.Equal(t, "boot prompt", s.Match.Pattern.Name())
		})
	})
	t.Run("a DUT that says nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, _ := open(t, Options{})
			s, err := Spray{Keys: keys, Until: until}.Run(within(t, time.Second), c, 0)
			require.ErrorIs(t, err, ErrTimeout)
			assert.InDelta(t, 50, s.Sent, 2)
		})
	})
	t.Run("only for a time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, _ := open(t, Options{})
			s, err := Spray{Keys: keys, Until: until, For: 500 * time.Millisecond}.Run(within(t, time.Minute), c, 0)
			require.ErrorIs(t, err, ErrTimeout)
			assert.InDelta(t, 25, s.Sent, 2)
		})
	})
	t.Run("a port that breaks", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, port := open(t, Options{})
			port.broken = &wire.Fault{Part: "console.main", Op: "write", Err: errUnplugged}
			_, err := Spray{Keys: keys, Until: until}.Run(within(t, time.Second), c, 0)
			require.ErrorIs(t, err, errUnplugged)
		})
	})
	t.Run("cancelled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, _ := open(t, Options{})
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			_, err := Spray{Keys: keys, Until: until}.Run(ctx, c, 0)
			require.ErrorIs(t, err, context.Canceled)
			_, err = Spray{}.Run(ctx, c, 0)
			require.ErrorContains(t, err, "no keys")
		})
	})
}

// A login that takes Enter for a user without a name asks for a password: that
// is left at once, no password is offered, and how the prompt was got is no part
// of the answer.
func TestLoginThatTakesEnterForAUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, port := open(t, Options{})
		f := newFakeLogin(port)
		f.nameless = true
		start := time.Now()
		var texts []string
		for range 2 {
			o, err := vg.Try(within(t, time.Minute), c, Identity{User: "root", Password: "wrong"})
			require.NoError(t, err)
			assert.Equal(t, Again, o.Reply)
			text, err := c.Excerpt(o.From, o.To)
			require.NoError(t, err)
			texts = append(texts, string(text))
		}
		assert.Equal(t, []string{"root:wrong", "root:wrong"}, f.tries)
		assert.Equal(t, texts[0], texts[1])
		assert.Less(t, time.Since(start), defaultPatience)
	})
}

// TestLoginUnknownPrompt: a DUT that answers each Enter alike, by a prompt that
// nobody declared, is not waited for to the end; one that is late, or that says
// something else each time, is.
func TestLoginUnknownPrompt(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(n int) string
		want   Reply
		took   time.Duration
	}{
		"alike":         {func(int) string { return "\r\n/ # " }, Unclear, 5*time.Second + 2*answersWithin},
		"never alike":   {func(n int) string { return fmt.Sprintf("\r\n[%d] noise", n) }, Unclear, 30 * time.Second},
		"nothing":       {func(int) string { return "" }, Nothing, 30 * time.Second},
		"an empty line": {func(int) string { return "\r\n" }, Unclear, 30 * time.Second},
		"at the third": {func(n int) string {
			if n < 3 {
				return "\r\nplease wait"
			}
			return "\r\nvg login: "
		}, Again, 5*time.Second + answersWithin + PromptQuiet},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				con, port := open(t, Options{})
				n := 0
				port.onLine(func(string) {
					n++
					port.say(c.answer(n))
				})
				began := time.Now()
				o, err := vg.Try(within(t, 30*time.Second), con, Identity{NoUser: true})
				require.NoError(t, err)
				assert.Equal(t, c.want, o.Reply)
				assert.Equal(t, c.took, time.Since(began))
			})
		})
	}
}

// TestHeldConsole: a console that was stopped by XOFF is no silent one, and one that
// is silent is let go once and not asked for ever.
func TestHeldConsole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := open(t, Options{})
		held, queue := true, ""
		say := func(s string) {
			if queue += s; !held {
				f.say(queue)
				queue = ""
			}
		}
		f.onWrite = func(p []byte) {
			for _, b := range p {
				switch b {
				case XON[0]:
					held = false
					say("")
				case '\r':
					say("\r\nvg login: ")
				}
			}
		}
		l := Login{User: expect.MustText("login: "), Shell: expect.MustText("$ ")}
		o, err := l.Try(t.Context(), c, Identity{NoUser: true})
		require.NoError(t, err)
		assert.Equal(t, Again, o.Reply, "it asks for a login")
		assert.NotContains(t, f.written(), "\x13")

		held = false
		f.onWrite = func([]byte) {}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		before := len(f.written())
		o, err = l.Try(ctx, c, Identity{NoUser: true})
		require.NoError(t, err)
		assert.Equal(t, Nothing, o.Reply)
		assert.Equal(t, 1, strings.Count(f.written()[before:], XON))
	})
}
