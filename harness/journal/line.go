package journal

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A line is encoded and decoded a hundred thousand times and more in a long run.
// Most of it is the same in each, and goes past encoding/json here; what that
// gives stays the measure.

// appendLine appends the event as json.Marshal gives it.
func appendLine(b []byte, e *Event) ([]byte, error) {
	v, payload := reflect.ValueOf(e).Elem(), -1
	for _, i := range payloads {
		if !v.Field(i).IsNil() {
			if payload >= 0 {
				payload = -1
				break
			}
			payload = i
		}
	}
	whole := func() ([]byte, error) {
		line, err := json.Marshal(e)
		return append(b, line...), err
	}
	if payload < 0 || !plain(e.Prev) || !plain(string(e.Kind)) || !plain(e.Case) || !plain(e.Rig) {
		return whole()
	}
	body, err := json.Marshal(v.Field(payload).Interface())
	if err != nil {
		return whole()
	}
	out := strconv.AppendInt(append(b, `{"seq":`...), e.Seq, 10)
	if out, err = e.At.AppendText(append(out, `,"at":"`...)); err != nil {
		return whole()
	}
	out = strconv.AppendInt(append(out, `","off":`...), e.Off, 10)
	out = append(append(out, `,"prev":"`...), e.Prev...)
	out = append(append(out, `","kind":"`...), e.Kind...)
	if e.Case != "" {
		out = append(append(out, `","case":"`...), e.Case...)
	}
	if e.Rig != "" {
		out = append(append(out, `","rig":"`...), e.Rig...)
	}
	out = append(append(append(out, `","`...), names[payload]...), `":`...)
	return append(append(out, body...), '}'), nil
}

// plain says whether JSON has the text as it is.
func plain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}

// unmarshal is json.Unmarshal for a line. Lines that are as Writer writes them
// it takes apart by itself up to the payload, which is three times as quick; it
// leaves every other line to json.Unmarshal, and gives what that gives.
func unmarshal(line []byte, e *Event) error {
	if short(line, e) {
		return nil
	}
	*e = Event{}
	return json.Unmarshal(line, e)
}

// short decodes a line of just the form that Writer gives it. False says that
// it is of another form; then e holds anything.
func short(line []byte, e *Event) bool {
	c := cutter{rest: line, ok: true}
	c.word(`{"seq":`)
	e.Seq = c.number()
	c.word(`,"at":`)
	at := c.text()
	c.word(`,"off":`)
	e.Off = c.number()
	c.word(`,"prev":`)
	e.Prev = string(c.text())
	c.word(`,"kind":`)
	e.Kind = kindOf(c.text())
	if bytes.HasPrefix(c.rest, []byte(`,"case":`)) {
		c.word(`,"case":`)
		e.Case = string(c.text())
	}
	if bytes.HasPrefix(c.rest, []byte(`,"rig":`)) {
		c.word(`,"rig":`)
		e.Rig = string(c.text())
	}
	if !c.ok || e.At.UnmarshalText(at) != nil {
		return false
	}
	c.word(`,`)
	name := c.text()
	c.word(`:`)
	body, ok := bytes.CutSuffix(c.rest, []byte(`}`))
	i := slices.Index(names, string(name))
	if !c.ok || !ok || len(name) == 0 || i < 0 {
		return false
	}
	// More than one value behind the name is an error here, so that a line with
	// two payloads does not pass for one with one.
	return json.Unmarshal(body, reflect.ValueOf(e).Elem().Field(i).Addr().Interface()) == nil
}

// payloads lists the fields of Event that are payloads, and names has their
// names in a line, by field.
var payloads, names = func() (fields []int, names []string) {
	t := reflect.TypeFor[Event]()
	names = make([]string, t.NumField())
	for i := range t.NumField() {
		if f := t.Field(i); f.Type.Kind() == reflect.Pointer {
			fields = append(fields, i)
			names[i], _, _ = strings.Cut(f.Tag.Get("json"), ",")
		}
	}
	return fields, names
}()

// kindOf gives a kind without a copy of its word, where it is one that we know.
func kindOf(word []byte) Kind {
	for _, k := range kinds {
		if string(word) == string(k) {
			return k
		}
	}
	return Kind(word)
}

// cutter takes a line apart from its front; ok goes at what is not of the form.
type cutter struct {
	rest []byte
	ok   bool
}

func (c *cutter) word(w string) {
	if len(c.rest) < len(w) || string(c.rest[:len(w)]) != w {
		c.ok = false
		return
	}
	c.rest = c.rest[len(w):]
}

// number takes a number of at most 18 digits.
func (c *cutter) number() (n int64) {
	i := 0
	for ; i < len(c.rest) && i < 19 && c.rest[i] >= '0' && c.rest[i] <= '9'; i++ {
		n = n*10 + int64(c.rest[i]-'0')
	}
	c.ok = c.ok && i > 0 && i < 19 && (c.rest[0] != '0' || i == 1)
	c.rest = c.rest[i:]
	return n
}

// text takes a string of printable ASCII in which nothing is escaped.
func (c *cutter) text() []byte {
	if len(c.rest) == 0 || c.rest[0] != '"' {
		c.ok = false
		return nil
	}
	for i, b := range c.rest[1:] {
		switch {
		case b == '"':
			s := c.rest[1 : 1+i]
			c.rest = c.rest[2+i:]
			return s
		case b == '\\' || b < ' ' || b > '~':
			c.ok = false
			return nil
		}
	}
	c.ok = false
	return nil
}
