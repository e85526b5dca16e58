package steps

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/login"
	"rigor/harness/wire"
)

func answer(status int, body string) func(context.Context, login.Request) (login.Response, error) {
	return func(context.Context, login.Request) (login.Response, error) {
		return login.Response{Status: status, Body: []byte(body)}, nil
	}
}

func TestValuesGoFromStepToStep(t *testing.T) {
	b := &bench{values: map[string]string{"unit.serial": `A"1`, "secret.operator": "s3cr3t-value"}}
	b.web = answer(200, `{"token": "${new} $${x}", "n": 12345678901234567890, "deep": [{"a": true}]}`)
	vars, err := Run(t.Context(), b, stepsOf(t, `
    - http: POST /login
      port: 80
      json: {user: op, password: '${secret.operator}', sn: '${unit.serial}', list: ['${unit.serial}', 1, null]}
      extract: {token: $.token, n: $.n, deep: '$.deep[0].a', all: text, re: '/"n": (\d{3})/'}
    - {http: 'POST /x/${n}', port: 80, body: 'token=${token}'}
    - {http: POST /f, port: 80, form: {t: '${token}', u: a b}}
`), map[string]string{"new": "not-to-be-seen"})
	require.NoError(t, err)
	assert.Equal(t, []string{
		`POST /login {"list":["A\"1",1,null],"password":"s3cr3t-value","sn":"A\"1","user":"op"}`,
		`POST /x/12345678901234567890 token=${new} $${x}`, // what the DUT says is never expanded
		`POST /f t=%24%7Bnew%7D+%24%24%7Bx%7D&u=a+b`,
	}, b.did)
	assert.Equal(t, "true", vars["deep"])
	assert.Equal(t, "123", vars["re"])
	assert.Equal(t, "not-to-be-seen", vars["new"])
	assert.NotContains(t, vars, "secret.operator")
}

func TestExpectationsThatFailAreTheDUTs(t *testing.T) {
	asserted := newLine()
	asserted.on = true
	for name, c := range map[string]struct {
		step   string
		status int
		body   string
		err    error
		what   string
		got    string
	}{
		"status":          {step: `{http: GET /a, port: 80}`, status: 500, body: "oh\x1b[31m", what: "a status from 200 to 299 from GET /a", got: `500: oh\x1b[31m`},
		"declared status": {step: `{http: GET /a, port: 80, expect: {status: 404}}`, status: 200, what: "status 404 from GET /a", got: "200: "},
		"match":           {step: `{http: GET /a, port: 80, expect: {match: yes}}`, status: 200, body: "no", what: `to see "yes"`, got: "no"},
		"regexp":          {step: `{http: GET /a, port: 80, expect: {match: {regexp: 'y+'}}}`, status: 200, what: "to see /y+/", got: "nothing"},
		"not":             {step: `{http: GET /a, port: 80, expect: {not: no}}`, status: 200, body: "no", what: `not to see "no"`, got: "no"},
		"extract":         {step: `{http: GET /a, port: 80, extract: {v: $.a}}`, status: 200, body: "{}", what: "to read v by $.a", got: `there is no "a": {}`},
		"no answer":       {step: `{http: GET /a, port: 80}`, err: errRefused, what: "an answer to GET /a", got: "connection refused"},
		"exit status":     {step: `{run: id, login: x}`, status: 1, body: "bad", what: `exit status 0 of "id"`, got: "1: bad"},
		"other status":    {step: `{run: id, login: x, expect: {exit: 2}}`, status: 0, what: `exit status 2 of "id"`, got: "0: "},
		"no exit status":  {step: `{run: id, login: x, expect: {exit: 0}}`, status: -1, what: `exit status 0 of "id"`, got: "-1: "},
		"as owner":        {step: `{http: GET /a, login: x, as: owner}`, status: 401, what: "a status from 200 to 299 from GET /a", got: "401: "},
		"line":            {step: `{line: led, expect: {asserted: false}}`, what: "line led asserted: false", got: "true"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bench{lines: map[string]*line{"led": asserted}}
			b.web = func(context.Context, login.Request) (login.Response, error) {
				return login.Response{Status: c.status, Body: []byte(c.body)}, c.err
			}
			b.do = b.web
			_, err := Run(t.Context(), b, stepsOf(t, "    - "+c.step+"\n    - {power: off}\n"), nil)
			var se *StepError
			require.ErrorAs(t, err, &se)
			assert.Equal(t, c.what, se.What)
			assert.Equal(t, c.got, se.Got)
			assert.Equal(t, c.err != nil, se.Unanswered, "a no is an answer")
			assert.Equal(t, "p.yaml:4:7", se.At)
			assert.NotContains(t, b.did, "off", "nothing comes after a step that failed")
		})
	}
}

func TestWhatIsNotTheDUTsIsNoStepError(t *testing.T) {
	fault := &wire.Fault{Part: "link", Op: "dial", Err: errors.New("no route")}
	for name, err := range map[string]error{"fault": fault, "ours": errNoWire, "config": login.ErrConfig, "request": login.ErrRequest, "identity": login.ErrIdentity} {
		for _, step := range []string{`{http: GET /a, port: 80}`, `{http: GET /a, login: x, as: owner}`, `{run: id, login: x}`, `{http: GET /a, port: 80, interrupt: 1s}`} {
			if strings.Contains(step, "interrupt") && !errors.Is(err, errNoWire) && !errors.Is(err, fault) {
				continue
			}
			b := &bench{}
			b.web = func(context.Context, login.Request) (login.Response, error) { return login.Response{}, err }
			b.do = b.web
			_, got := Run(t.Context(), b, stepsOf(t, "    - "+step+"\n"), nil)
			require.ErrorIs(t, got, err, "%s %s", name, step)
			var se *StepError
			require.NotErrorAs(t, got, &se, "%s %s", name, step)
			require.ErrorContains(t, got, "p.yaml:4:7: ")
		}
	}
	for _, step := range []string{`{assert: x}`, `{console: main, send: a}`} {
		_, err := Run(t.Context(), &bench{}, stepsOf(t, "    - "+step+"\n"), nil)
		require.ErrorIs(t, err, errNoWire, step)
	}
	_, err := Run(t.Context(), &bench{}, stepsOf(t, "    - {http: 'GET /${unit.ssid}', port: 80}\n"), nil)
	require.ErrorIs(t, err, ErrName)
	_, err = Run(t.Context(), &bench{}, stepsOf(t, "    - {ask: 'press it'}\n"), nil)
	require.ErrorIs(t, err, ErrNeedsHuman)

	ctx, cancel := context.WithCancel(t.Context())
	b := &bench{}
	b.web = func(ctx context.Context, _ login.Request) (login.Response, error) {
		cancel()
		return login.Response{}, ctx.Err()
	}
	_, err = Run(ctx, b, stepsOf(t, "    - {http: GET /a, port: 80}\n"), nil)
	require.ErrorIs(t, err, context.Canceled)
	var se *StepError
	require.NotErrorAs(t, err, &se)
}

func TestOwnerWhoIsNotLetIn(t *testing.T) {
	for _, step := range []string{`{http: GET /a, login: x, as: owner}`, `{run: id, login: x}`} {
		for _, answered := range []bool{true, false} {
			b := &bench{access: noEntry(answered)}
			_, err := Run(t.Context(), b, stepsOf(t, "    - "+step+"\n"), nil)
			var se *StepError
			require.ErrorAs(t, err, &se, step)
			assert.Contains(t, se.Got, "not let in")
			assert.Equal(t, !answered, se.Unanswered)
		}
	}
}

// noEntry is a login that did not open: answered with a no, or not at all.
type noEntry bool

func (noEntry) Error() string    { return "not let in" }
func (n noEntry) Answered() bool { return bool(n) }

func TestSessionsAreKeptForTheListAndClosed(t *testing.T) {
	b := &bench{do: answer(0, "")}
	_, err := Run(t.Context(), b, stepsOf(t, "    - {run: a, login: x}\n    - {run: b, login: x}\n    - {run: c, login: x, password: '${old}'}\n    - {run: d, login: x}\n"), map[string]string{"old": "o"})
	require.NoError(t, err)
	assert.Equal(t, []string{`log in to x ""`, "as owner: a  ", "as owner: b  ", `log in to x "o"`, "as owner: c  ", "as owner: d  "}, b.did)
	assert.Equal(t, 2, b.closed)
}

// What the DUT repeats of our secrets stays out of errors, in any encoding.
func TestNoSecretInErrors(t *testing.T) {
	b := &bench{values: map[string]string{"secret.operator": "Ow-0011223344", "unit.label-password": "Label-998877"}}
	b.web = func(_ context.Context, r login.Request) (login.Response, error) {
		return login.Response{Status: 403, Body: append([]byte("you sent T3mp-secret-of-ours and "), r.Body...)}, nil
	}
	_, err := Run(t.Context(), b, stepsOf(t, "    - {http: POST /p, port: 80, json: {a: '${secret.operator}', b: '${unit.label-password}'}}\n"), map[string]string{"new": "T3mp-secret-of-ours"})
	require.Error(t, err)
	for _, s := range []string{"Ow-0011223344", "Label-998877", "T3mp-secret-of-ours"} {
		assert.NotContains(t, err.Error(), s)
	}
	assert.Contains(t, err.Error(), "secret.operator")
}

// What the caller gives stands in for the target's value of that name, and the
// status of an answer that is not what it has to be is told.
func TestAValueOfTheCallerGoesFirst(t *testing.T) {
	b := &bench{values: map[string]string{"unit.label-password": "Label-998877"}}
	b.web = func(_ context.Context, r login.Request) (login.Response, error) {
		if bytes.Contains(r.Body, []byte("Label-998877")) {
			return login.Response{Status: 200}, nil
		}
		return login.Response{Status: 429, Body: r.Body}, nil
	}
	ask := stepsOf(t, "    - {http: POST /p, port: 80, json: {a: '${unit.label-password}'}}\n")
	_, err := Run(t.Context(), b, ask, nil)
	require.NoError(t, err)
	var no *StepError
	for _, wrong := range []string{"Other-112233", ""} {
		_, err = Run(t.Context(), b, ask, map[string]string{"unit.label-password": wrong})
		require.ErrorAs(t, err, &no)
		assert.Equal(t, 429, no.Status)
		assert.True(t, no.NotNow())
	}
	_, err = Run(t.Context(), b, stepsOf(t, "    - {http: POST /p, port: 80, json: {a: '${unit.label-password}'}, expect: {match: welcome}}\n"), nil)
	require.ErrorAs(t, err, &no)
	assert.Equal(t, 200, no.Status)
	assert.False(t, no.NotNow())
}

func TestForeignBytesAreCut(t *testing.T) {
	b := &bench{web: answer(500, strings.Repeat("\x00\xff", 1<<19))}
	_, err := Run(t.Context(), b, stepsOf(t, "    - {http: GET /a, port: 80}\n"), nil)
	require.Error(t, err)
	assert.Less(t, len(err.Error()), 1500)
	assert.NotContains(t, err.Error(), "\x00")
}

func TestTimesAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := Run(t.Context(), &bench{}, stepsOf(t, "    - {wait: 11s}\n    - {repeat: 3, steps: [{wait: 500ms}, {power: cycle}]}\n"), nil)
		require.NoError(t, err)
		assert.Equal(t, 12500*time.Millisecond, time.Since(start))
	})
}

func TestAStepThatHangsEndsInTime(t *testing.T) {
	for step, within := range map[string]time.Duration{
		`{http: GET /a, port: 80}`:                                      DefaultWithin,
		`{http: GET /a, port: 80, within: 3s}`:                          3 * time.Second,
		`{repeat: 2, within: 4s, steps: [{http: GET /a, port: 80}]}`:    4 * time.Second,
		`{line: led, expect: {asserted: true}, within: 2s}`:             2 * time.Second,
		`{console: main, send: x, expect: {seen: never}, within: 1s}`:   time.Second,
		`{repeat: 2, steps: [{http: GET /a, port: 80, within: 700ms}]}`: 700 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			b := &bench{lines: map[string]*line{"led": newLine()}}
			b.withConsole(t)
			b.web = func(ctx context.Context, _ login.Request) (login.Response, error) {
				<-ctx.Done()
				return login.Response{}, ctx.Err()
			}
			start := time.Now()
			_, err := Run(t.Context(), b, stepsOf(t, "    - "+step+"\n"), nil)
			var se *StepError
			require.ErrorAs(t, err, &se, step)
			assert.Equal(t, within, time.Since(start), step)
			require.NoError(t, b.consoles["main"].Close())
		})
	}
}

func TestALineIsGivenTimeToChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		led := newLine()
		b := &bench{lines: map[string]*line{"led": led}}
		time.AfterFunc(time.Second, func() { led.set(true) })
		start := time.Now()
		_, err := Run(t.Context(), b, stepsOf(t, "    - {line: led, expect: {asserted: true}, within: 2s}\n"), nil)
		require.NoError(t, err)
		assert.Equal(t, time.Second, time.Since(start))
	})
}

// What a console shows between an act and the wait for it is not lost, even
// where the wait comes much later; what was seen is not seen twice.
func TestConsoleIsReadFromWhereTheStepsHaveLooked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{lines: map[string]*line{"button": newLine()}}
		p := b.withConsole(t)
		p.say("reset complete (of an earlier press)\r\n")
		synctest.Wait()
		b.lines["button"].acts = func(on bool) {
			if on {
				p.say("reset started\r\nreset complete\r\nserial=42\r\n")
			}
		}
		vars, err := Run(t.Context(), b, stepsOf(t, `
    - {assert: button}
    - {wait: 2s}
    - {release: button}
    - {console: main, expect: {seen: reset started}}
    - {console: main, expect: {seen: {regexp: 'serial=\d+'}}, extract: {sn: '/serial=(\d+)/'}}
`), nil)
		require.NoError(t, err)
		assert.Equal(t, "42", vars["sn"])
		_, err = Run(t.Context(), b, stepsOf(t, "    - {console: main, expect: {seen: reset}, within: 1s}\n"), nil)
		var se *StepError
		require.ErrorAs(t, err, &se, "what came before these steps does not count")
		require.NoError(t, b.consoles["main"].Close())
	})
}

func TestConsoleSendsAndForbids(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{}
		p := b.withConsole(t)
		var sent []string
		p.heard = func(x []byte) {
			sent = append(sent, string(x))
			p.say("panic! ready\r\n")
		}
		_, err := Run(t.Context(), b, stepsOf(t, "    - {console: main, send: 'go ${new}', expect: {seen: ready, not: panic}}\n"), map[string]string{"new": "on"})
		var se *StepError
		require.ErrorAs(t, err, &se)
		assert.Contains(t, se.Got, "panic")
		_, err = Run(t.Context(), b, stepsOf(t, "    - {console: main, break: true, expect: {seen: ready}}\n"), nil)
		require.NoError(t, err)
		assert.Equal(t, "go on\rBREAK", strings.Join(sent, ""))
		require.NoError(t, b.consoles["main"].Close())
	})
}

func TestAnInterruptedRequestIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{}
		b.web = func(ctx context.Context, _ login.Request) (login.Response, error) {
			<-ctx.Done()
			return login.Response{}, ctx.Err()
		}
		start := time.Now()
		_, err := Run(t.Context(), b, stepsOf(t, "    - {http: POST /setup, port: 80, interrupt: 120ms}\n    - {power: off}\n"), nil)
		require.NoError(t, err)
		assert.Equal(t, 120*time.Millisecond, time.Since(start))
		assert.Equal(t, "off", b.did[1])
		// An answer that comes early changes nothing about the time.
		b.web = answer(500, "")
		start = time.Now()
		_, err = Run(t.Context(), b, stepsOf(t, "    - {http: POST /setup, port: 80, interrupt: 120ms}\n"), nil)
		require.NoError(t, err)
		assert.Equal(t, 120*time.Millisecond, time.Since(start))
	})
}

func TestExec(t *testing.T) {
	b := &bench{values: map[string]string{"unit.serial": "A1"}}
	b.exec = func(_ []string, values map[string]string) (string, map[string]string, error) {
		assert.Equal(t, "v", values["given"])
		return "all good", map[string]string{"token": "t1"}, nil
	}
	vars, err := Run(t.Context(), b, stepsOf(t, "    - {exec: [./pair, '${unit.serial}'], expect: {match: good}, extract: {said: text}}\n"), map[string]string{"given": "v"})
	require.NoError(t, err)
	assert.Equal(t, "t1", vars["token"])
	assert.Equal(t, "all good", vars["said"])
	assert.Equal(t, []string{`exec ["./pair" "A1"]`}, b.did)

	// What is given is for this program alone, and a secret goes by its input.
	b.values["secret.pin"] = "0wner-s3cret"
	var given []map[string]string
	b.exec = func(argv []string, values map[string]string) (string, map[string]string, error) {
		assert.NotContains(t, strings.Join(argv, " "), "0wner-s3cret")
		given = append(given, maps.Clone(values))
		return "", nil, nil
	}
	vars, err = Run(t.Context(), b, stepsOf(t, "    - {exec: [./pair], give: {pin: '${secret.pin}', at: '${unit.serial}'}}\n    - {exec: [./pair]}\n"), nil)
	require.NoError(t, err)
	assert.Equal(t, []map[string]string{{"pin": "0wner-s3cret", "at": "A1"}, {}}, given)
	assert.Empty(t, vars)

	b.exec = func([]string, map[string]string) (string, map[string]string, error) {
		return "", nil, errors.Join(ErrNotDone, errors.New("it says no"))
	}
	var se *StepError
	_, err = Run(t.Context(), b, stepsOf(t, "    - {exec: [./pair]}\n"), nil)
	require.ErrorAs(t, err, &se)
	for _, name := range []string{"unit.serial", "secret.x", "A", ""} {
		b.exec = func([]string, map[string]string) (string, map[string]string, error) {
			return "", map[string]string{name: "x"}, nil
		}
		_, err = Run(t.Context(), b, stepsOf(t, "    - {exec: [./pair]}\n"), nil)
		f, ok := wire.AsFault(err)
		require.True(t, ok, name)
		assert.Equal(t, wire.Part("exec"), f.Part)
	}
	// A profile that was made otherwise than by Parse does not get past it either.
	ss := stepsOf(t, "    - {exec: [./pair, x]}\n")
	ss[0].Exec[1] = "${secret.x}"
	_, err = Run(t.Context(), b, ss, nil)
	require.ErrorContains(t, err, "holds a secret")
}

func TestAsk(t *testing.T) {
	b := &bench{ask: func(string) (string, error) { return "yes\n", nil }, values: map[string]string{"unit.serial": "A1"}}
	_, err := Run(t.Context(), b, stepsOf(t, "    - {ask: 'is ${unit.serial} lit?', expect: {match: 'yes'}}\n"), nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"ask is A1 lit?"}, b.did)
	b.ask = func(string) (string, error) { return "no\n", nil }
	var se *StepError
	_, err = Run(t.Context(), b, stepsOf(t, "    - {ask: 'lit?', expect: {match: 'yes'}}\n"), nil)
	require.ErrorAs(t, err, &se)
}

func TestFileIsOfTheRig(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "log"), []byte("sn=42\n"), 0o600))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	vars, err := Run(t.Context(), &bench{}, stepsOf(t, "    - {file: "+dir+"/log, expect: {match: sn}, extract: {sn: '/sn=(.*)/'}}\n"), nil)
	require.NoError(t, err)
	assert.Equal(t, "42", vars["sn"])
	for _, name := range []string{"none", "pipe", "."} {
		_, err := Run(t.Context(), &bench{}, stepsOf(t, "    - {file: "+dir+"/"+name+"}\n"), nil)
		_, ok := wire.AsFault(err)
		require.True(t, ok, name)
	}
}

func TestPowerAndOrder(t *testing.T) {
	b := &bench{}
	_, err := Run(t.Context(), b, stepsOf(t, "    - {power: off}\n    - {repeat: 2, steps: [{power: on}, {power: cycle}]}\n"), nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"off", "on", "cycle", "on", "cycle"}, b.did)
}

func TestJSONPath(t *testing.T) {
	const text = `{"a":{"b":[1,{"c":"x"},null]},"e":"","d.e":1,"f":1.50,"g":{"h":[true]}}`
	for path, want := range map[string]string{
		"$.a.b[0]": "1", "$.a.b[1].c": "x", "$.e": "", "$.f": "1.50", "$.g.h[0]": "true", "$.g": `{"h":[true]}`, "$.g.h": "[true]",
	} {
		got, err := jsonPath(path, []byte(text))
		require.NoError(t, err, path)
		assert.Equal(t, want, got, path)
	}
	for _, path := range []string{"$.x", "$.a.b[9]", "$.a.b[-1]", "$.a.b[x]", "$.a.b[", "$.a.b[2]", "$.a[0]", "$.e.x", "$x", "$.a.b.c"} {
		_, err := jsonPath(path, []byte(text))
		require.Error(t, err, path)
	}
	for _, bad := range []string{"", "{", "{} {}", "nothing", "\x00"} {
		_, err := jsonPath("$", []byte(bad))
		require.Error(t, err, bad)
	}
}

// FuzzPick: nothing that a DUT says makes an extraction panic.
func FuzzPick(f *testing.F) {
	for _, how := range []string{"text", "$.a.b[0]", "$", "$[1]", `/a(b)?/`, "$.", "$[", "//"} {
		f.Add(how, []byte(`{"a":{"b":[1,2]}}`))
		f.Add(how, []byte("[[[[\xff"))
	}
	f.Fuzz(func(t *testing.T, how string, data []byte) {
		v, err := Pick(how, data)
		if err == nil && how == "text" {
			require.Equal(t, string(data), v)
		}
	})
}

// TestAStepHasItsTime: what a step says that it may take is what its request may
// take, not what a login's try may.
func TestAStepHasItsTime(t *testing.T) {
	var got []time.Duration
	note := func(_ context.Context, r login.Request) (login.Response, error) {
		got = append(got, r.Within)
		return login.Response{Status: 200}, nil
	}
	b := &bench{web: note, do: note}
	_, err := Run(t.Context(), b, stepsOf(t, `
    - {http: POST /setup, port: 80, within: 1m}
    - {http: GET /a, login: web, as: owner, within: 30s}
    - {http: GET /b, port: 80}
`), nil)
	require.NoError(t, err)
	assert.Equal(t, []time.Duration{time.Minute, 30 * time.Second, 0}, got)
}
