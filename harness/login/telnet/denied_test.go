package telnet

import (
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/verdict"
)

// guests is the shell of a guest who may not see what the owner sees.
func guests(d device, prompt, denied string, runs bool) {
	d.say(prompt)
	for {
		cmd := d.hear()
		switch marker := strings.Contains(cmd, "''"); {
		case cmd == "\x00":
			return
		case marker && runs:
			var out strings.Builder
			for _, part := range strings.Split(cmd, "; ") {
				out.WriteString(strings.NewReplacer("echo ", "", "''", "", "$?", "0").Replace(part) + "\r\n")
			}
			d.say(cmd + "\r\n" + out.String() + prompt)
		default:
			d.say(cmd + "\r\n" + denied + "\r\n" + prompt)
		}
	}
}

// Words of a shell about a command, and of a greeting behind the login, are no refusal of
// the login.
func TestDeniedBehindAPrompt(t *testing.T) {
	t.Parallel()
	const denied = "cat: can't open '/etc/secret': Permission denied"
	login4 := func(d device) {
		d.say("gw login: ")
		d.hear()
		d.say("Password: ")
		d.hear()
		d.say("\r\n")
	}
	for _, tc := range []struct {
		name   string
		behind func(device) // the login
		marker bool         // no proof is declared
		want   verdict.Kind
		ran    bool
	}{
		{"a shell", func(d device) { guests(d, "$ ", denied, true) }, false, verdict.Unproven, true},
		{"a shell behind a warning", func(d device) {
			d.say("Unauthorized access to this system is prohibited.\r\n")
			guests(d, "$ ", denied, true)
		}, false, verdict.Unproven, true},
		{"a shell behind a warning, and no proof declared", func(d device) {
			d.say("Unauthorized access to this system is prohibited.\r\n")
			guests(d, "$ ", denied, true)
		}, true, verdict.Accepted, false},
		{"a warning, and the prompt later", func(d device) {
			d.say("Unauthorized access to this system is prohibited.\r\n")
			pause(d.t, 250*time.Millisecond)
			guests(d, "$ ", denied, true)
		}, true, verdict.Accepted, false},
		{"a shell with an unknown prompt", func(d device) { guests(d, "gw|", denied, true) }, false, verdict.Unproven, true},
		{"a vendor's command line", func(d device) { guests(d, "router> ", "% Authorization failed", false) }, false, verdict.Unproven, false},
		{"a vendor's command line, and no proof declared", func(d device) { guests(d, "router> ", "% Authorization failed", false) }, true, verdict.Unproven, false},
		{"a vendor's command line behind a warning", func(d device) {
			d.say("Unauthorized access is prohibited\r\n")
			guests(d, "router> ", "% Authorization failed", false)
		}, false, verdict.Unproven, false},
		{"a prompt that comes late behind the words", func(d device) {
			d.say("$ ")
			d.hear()
			d.say("Permission denied\r\n")
			pause(d.t, 250*time.Millisecond)
			guests(d, "$ ", denied, true)
		}, false, verdict.Unproven, true},
		// These are refusals, though something looks like a prompt.
		{"a refusal behind what ends like a prompt", func(d device) {
			d.say("Verifying <gw>")
			pause(d.t, 250*time.Millisecond)
			d.say("\r\nLogin incorrect\r\ngw login: ")
			d.hear()
			d.say("Password: ")
			_, _ = io.Copy(io.Discard, d)
		}, false, verdict.Refused, false},
		{"a refusal that ends like a prompt", func(d device) {
			d.say("Login incorrect\r\nPress a key>")
			d.hear()
			d.say("\r\ngw login: ")
			_, _ = io.Copy(io.Discard, d)
		}, false, verdict.Refused, false},
		{"a refusal that ends like a prompt, and silence", func(d device) {
			d.say("Login incorrect\r\nPress Esc>")
			_, _ = io.Copy(io.Discard, d)
		}, false, verdict.Refused, false},
		{"a refusal that ends like a prompt, and the end", func(d device) {
			d.say("Login incorrect\r\nPress a key>")
			d.hear()
		}, false, verdict.Refused, false},
		{"a refusal to a command that was taken for an answer", func(d device) {
			d.say("Token?")
			d.hear()
			d.say("\r\nLogin incorrect\r\n")
			_, _ = io.Copy(io.Discard, d)
		}, false, verdict.Refused, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			address := listen(t, func(c net.Conn) { d := device{c, t}; login4(d); tc.behind(d) })
			cfg := Config{Dialer: &net.Dialer{}, Address: address, Timeout: 15 * time.Second, Patience: 2 * time.Second}
			if !tc.marker {
				cfg.Command, cfg.Proof = "cat /etc/secret", regexp.MustCompile(`owner-only`)
			}
			p, err := New(cfg)
			require.NoError(t, err)
			o, err := p.Try(t.Context(), login.Credential{User: "guest", Password: "guest"})
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, "%s\n%q", o.Detail, o.Evidence)
			assert.Equal(t, tc.ran, o.Facts[login.FactRan] == "yes", "%s\n%q", o.Detail, o.Evidence)
			assert.True(t, o.Sent)
		})
	}
}

// The shell of somebody else may have another prompt than the declared one of the owner.
func TestDeniedBehindAnUndeclaredPrompt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		behind func(device)
		ran    bool
		want   verdict.Kind
	}{
		"a shell": {func(d device) {
			d.say("You are not authorized to configure.\r\n")
			guests(d, "guest$ ", "Permission denied", true)
		}, true, verdict.Unproven},
		"a vendor's command line": {func(d device) {
			d.say("You are not authorized to configure.\r\n")
			guests(d, "router> ", "% Authorization failed", false)
		}, false, verdict.Unproven},
		"a refusal": {func(d device) { d.say("Login incorrect\r\n"); _, _ = io.Copy(io.Discard, d) }, false, verdict.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := listen(t, func(c net.Conn) {
				d := device{c, t}
				d.say("gw login: ")
				d.hear()
				d.say("Password: ")
				d.hear()
				d.say("\r\n")
				tc.behind(d)
			})
			p, err := New(Config{Dialer: &net.Dialer{}, Address: address, Timeout: 15 * time.Second, Patience: 2 * time.Second,
				Prompt: regexp.MustCompile(`router# $`), Command: "show secret", Proof: regexp.MustCompile(`owner-only`)})
			require.NoError(t, err)
			o, err := p.Try(t.Context(), login.Credential{User: "guest", Password: "guest"})
			require.NoError(t, err)
			assert.Equal(t, tc.want, o.Kind, "%s\n%q", o.Detail, o.Evidence)
			assert.Equal(t, tc.ran, o.Facts[login.FactRan] == "yes", "%s", o.Detail)
		})
	}
}
