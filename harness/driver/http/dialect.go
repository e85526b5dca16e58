package http

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"rigor/harness/wire"
)

// dialect is what differs between switches.
type dialect interface {
	set(on bool) Request
	state() Request // an empty Path: it cannot tell
	// accepted judges the answer to a set, read the one to state.
	accepted(body []byte, want wire.PowerState) error
	read(body []byte) (wire.PowerState, error)
}

func dialectOf(c Config) dialect {
	switch c.Style {
	case Tasmota:
		return tasmota(c.Channel)
	case Shelly1:
		return shelly1(c.Channel)
	case Shelly2:
		return shelly2(c.Channel)
	default: // Validate lets nothing else through
		return template{c.Template}
	}
}

func onOff(on bool) wire.PowerState {
	if on {
		return wire.PowerOn
	}
	return wire.PowerOff
}

// told makes a reader of states a judge of answers to a set.
func told(read func([]byte) (wire.PowerState, error), body []byte, want wire.PowerState) error {
	got, err := read(body)
	if err == nil && got != want {
		err = fmt.Errorf("told to switch %v, it answered %v", want, got)
	}
	return err
}

// object reads one JSON object. Keys that we do not look at are the switch's
// own affair; one that stands there twice is not, since it could say both.
func object(body []byte) (map[string]json.RawMessage, error) {
	bad := func(why string) error { return fmt.Errorf("%w: %s in %s", ErrAnswer, why, quote(body)) }
	if !json.Valid(body) {
		return nil, bad("no JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	tok, err := dec.Token()
	if err != nil || tok != json.Delim('{') {
		return nil, bad("no JSON object")
	}
	out := map[string]json.RawMessage{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, bad("no JSON object")
		}
		key, _ := tok.(string) // valid JSON has nothing else here
		if _, twice := out[key]; twice {
			return nil, bad("a key twice")
		}
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return nil, bad("no JSON object")
		}
		out[key] = v
	}
	if _, err := dec.Token(); err != nil { // the closing brace
		return nil, bad("no JSON object")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, bad("more than one object")
	}
	return out, nil
}

func quote(body []byte) string {
	const most = 120
	if len(body) > most {
		return fmt.Sprintf("%q…", body[:most])
	}
	return fmt.Sprintf("%q", body)
}

// boolean reads the state from a key that is true or false.
func boolean(body []byte, key string) (wire.PowerState, error) {
	o, err := object(body)
	if err != nil {
		return wire.PowerUnknown, err
	}
	switch string(o[key]) {
	case "true":
		return wire.PowerOn, nil
	case "false":
		return wire.PowerOff, nil
	}
	return wire.PowerUnknown, fmt.Errorf("%w: no %q true or false in %s", ErrAnswer, key, quote(body))
}

type tasmota int

func (t tasmota) name() string {
	if t == 0 {
		return "Power"
	}
	return "Power" + strconv.Itoa(int(t))
}

func (t tasmota) command(c string) Request { return Request{Path: "/cm?cmnd=" + url.PathEscape(c)} }

func (t tasmota) set(on bool) Request {
	if on {
		return t.command(t.name() + " On")
	}
	return t.command(t.name() + " Off")
}

func (t tasmota) state() Request { return t.command(t.name()) }

func (t tasmota) accepted(body []byte, want wire.PowerState) error { return told(t.read, body, want) }

func (t tasmota) read(body []byte) (wire.PowerState, error) {
	o, err := object(body)
	if err != nil {
		return wire.PowerUnknown, err
	}
	// A switch with one relay answers without a number, also when asked with
	// 1; one with several answers with 1 when asked without.
	keys := []string{"POWER" + strconv.Itoa(int(t))}
	if t <= 1 {
		keys = []string{"POWER", "POWER1"}
	}
	found := wire.PowerUnknown
	for _, k := range keys {
		var s wire.PowerState
		switch string(o[k]) {
		case `"ON"`:
			s = wire.PowerOn
		case `"OFF"`:
			s = wire.PowerOff
		default:
			continue
		}
		if found != wire.PowerUnknown && found != s {
			return wire.PowerUnknown, fmt.Errorf("%w: both on and off in %s", ErrAnswer, quote(body))
		}
		found = s
	}
	if found == wire.PowerUnknown {
		return found, fmt.Errorf("%w: no %q ON or OFF in %s", ErrAnswer, keys[0], quote(body))
	}
	return found, nil
}

type shelly1 int

func (s shelly1) set(on bool) Request {
	return Request{Path: fmt.Sprintf("/relay/%d?turn=%v", int(s), onOff(on))}
}
func (s shelly1) state() Request { return Request{Path: fmt.Sprintf("/relay/%d", int(s))} }
func (s shelly1) accepted(body []byte, want wire.PowerState) error {
	return told(s.read, body, want)
}
func (s shelly1) read(body []byte) (wire.PowerState, error) { return boolean(body, "ison") }

type shelly2 int

func (s shelly2) set(on bool) Request {
	return Request{Path: fmt.Sprintf("/rpc/Switch.Set?id=%d&on=%t", int(s), on)}
}
func (s shelly2) state() Request {
	return Request{Path: fmt.Sprintf("/rpc/Switch.GetStatus?id=%d", int(s))}
}

// accepted: the answer tells what was before, so it is the state that proves.
func (s shelly2) accepted(body []byte, _ wire.PowerState) error {
	_, err := boolean(body, "was_on")
	return err
}
func (s shelly2) read(body []byte) (wire.PowerState, error) { return boolean(body, "output") }

type template struct{ *Templates }

func (t template) set(on bool) Request {
	if on {
		return t.On
	}
	return t.Off
}
func (t template) state() Request                         { return t.State }
func (t template) accepted([]byte, wire.PowerState) error { return nil }

func (t template) read(body []byte) (wire.PowerState, error) {
	on, off := t.OnWhen.Match(body), t.OffWhen.Match(body)
	switch {
	case on && off:
		return wire.PowerUnknown, fmt.Errorf("%w: both on-when and off-when match in %s", ErrAnswer, quote(body))
	case on:
		return wire.PowerOn, nil
	case off:
		return wire.PowerOff, nil
	}
	return wire.PowerUnknown, fmt.Errorf("%w: neither on-when nor off-when matches in %s", ErrAnswer, quote(body))
}
