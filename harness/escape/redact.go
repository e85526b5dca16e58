package escape

import (
	"bytes"
	"cmp"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode/utf16"
)

// MinSecret is the length in bytes from which a secret is looked for. A
// shorter one would take half of every text with it; the rig's lint says so.
const MinSecret = 4

// Encoded is a text in one encoding.
type Encoded struct {
	Name  string
	Bytes []byte
}

// Encodings gives a text in every encoding in which it may turn up in an
// output of ours or in what a device says: as it is, in base64 at each of the
// three alignments, base32, hexadecimal, percent-encoded, escaped for JSON, XML
// and HTML, UTF-16 in both orders. Each spelling comes once.
func Encodings(text string) []Encoded {
	raw := []byte(text)
	out := []Encoded{{"plain", raw}}
	add := func(name string, b []byte) {
		if len(b) >= MinSecret && !slices.ContainsFunc(out, func(e Encoded) bool { return bytes.Equal(e.Bytes, b) }) {
			out = append(out, Encoded{name, b})
		}
	}
	for shift := range 3 {
		for _, enc := range []struct {
			name string
			enc  *base64.Encoding
		}{{"base64", base64.RawStdEncoding}, {"base64url", base64.RawURLEncoding}} {
			// Only the characters that depend on the text alone.
			coded := enc.enc.EncodeToString(append(make([]byte, shift), raw...))
			from := (shift*8 + 5) / 6
			to := (shift + len(raw)) * 8 / 6
			if to-from >= 6 {
				add(enc.name, []byte(coded[from:to]))
			}
		}
	}
	if len(raw) >= 5 {
		add("base32", []byte(strings.TrimRight(base32.StdEncoding.EncodeToString(raw), "=")[:len(raw)*8/5]))
	}
	h := hex.EncodeToString(raw)
	add("hex", []byte(h))
	add("hex", []byte(strings.ToUpper(h)))
	spaced := make([]string, len(raw))
	for i := range raw {
		spaced[i] = h[2*i : 2*i+2]
	}
	for _, sep := range []string{" ", ":"} {
		add("hex", []byte(strings.Join(spaced, sep)))
	}
	add("percent", []byte(url.QueryEscape(text)))
	add("percent", []byte(url.PathEscape(text)))
	var all strings.Builder
	for _, c := range raw {
		all.WriteByte('%')
		all.WriteString(hex.EncodeToString([]byte{c}))
	}
	add("percent", []byte(all.String()))
	add("percent", []byte(strings.ToUpper(all.String())))
	if j, err := json.Marshal(text); err == nil {
		add("json", j[1:len(j)-1])
	}
	add("visible", []byte(Visible(text)))
	add("xml", []byte(XMLText(text)))
	add("xml", []byte(XMLAttr(text)))
	add("html", []byte(HTML(text)))
	add("markdown", []byte(Markdown(text)))
	le, be := []byte{}, []byte{}
	for _, u := range utf16.Encode([]rune(text)) {
		le = append(le, byte(u), byte(u>>8))
		be = append(be, byte(u>>8), byte(u))
	}
	add("utf-16le", le)
	add("utf-16be", be)
	return out
}

// Redactor takes secrets out of texts, by value. It is safe for concurrent
// use, also while secrets are added.
type Redactor struct {
	mu      sync.RWMutex
	needles []needle // longest first
	longest int
}

type needle struct {
	name, enc string
	bytes     []byte
}

// NewRedactor makes one that knows no secret yet.
func NewRedactor() *Redactor { return &Redactor{} }

// Add takes a secret's value in. One shorter than MinSecret is not taken.
func (r *Redactor) Add(name, value string) {
	if len(value) < MinSecret {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range Encodings(value) {
		if !slices.ContainsFunc(r.needles, func(n needle) bool { return bytes.Equal(n.bytes, e.Bytes) }) {
			r.needles = append(r.needles, needle{name, e.Name, e.Bytes})
		}
		r.longest = max(r.longest, len(e.Bytes))
	}
	slices.SortStableFunc(r.needles, func(a, b needle) int { return cmp.Compare(len(b.bytes), len(a.bytes)) })
}

// Hit is a secret that was found.
type Hit struct {
	Name     string // of the secret
	Encoding string
	Offset   int
}

// Find gives where secrets are in data, in order.
func (r *Redactor) Find(data []byte) []Hit {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var hits []Hit
	for _, n := range r.needles {
		for at := 0; ; {
			i := bytes.Index(data[at:], n.bytes)
			if i < 0 {
				break
			}
			hits = append(hits, Hit{n.name, n.enc, at + i})
			at += i + 1
		}
	}
	slices.SortStableFunc(hits, func(a, b Hit) int { return cmp.Compare(a.Offset, b.Offset) })
	return hits
}

// Bytes gives data without secrets.
func (r *Redactor) Bytes(data []byte) []byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for changed := true; changed; { // what a replacement joins may be a secret anew
		changed = false
		for _, n := range r.needles {
			if bytes.Contains(data, n.bytes) {
				mask := []byte("‹secret:" + n.name + "›")
				if bytes.Contains(mask, n.bytes) { // a secret that its own name holds
					mask = []byte("‹secret›")
				}
				if bytes.Contains(mask, n.bytes) {
					mask = []byte("***")
				}
				data = bytes.ReplaceAll(data, n.bytes, mask)
				changed = !bytes.Contains(mask, n.bytes)
			}
		}
	}
	return data
}

// String gives s without secrets.
func (r *Redactor) String(s string) string {
	out := r.Bytes([]byte(s))
	return string(out)
}

// Writer gives a writer that takes secrets out, also where a Write cuts them.
// Close writes what it still holds back; it does not close w.
func (r *Redactor) Writer(w io.Writer) io.WriteCloser { return &redactWriter{r: r, w: w} }

type redactWriter struct {
	r    *Redactor
	w    io.Writer
	held []byte
	err  error
}

// Write keeps back what may be the beginning of a secret.
func (w *redactWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	w.held = w.r.Bytes(append(w.held, p...))
	keep := w.r.pending(w.held)
	if n := len(w.held) - keep; n > 0 {
		if _, w.err = w.w.Write(w.held[:n]); w.err != nil {
			return 0, w.err
		}
		w.held = append([]byte(nil), w.held[n:]...)
	}
	return len(p), nil
}

// pending gives how many bytes at the end of data may be the beginning of a
// secret.
func (r *Redactor) pending(data []byte) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	most := 0
	for _, n := range r.needles {
		for k := min(len(n.bytes)-1, len(data)); k > most; k-- {
			if bytes.HasSuffix(data, n.bytes[:k]) {
				most = k
				break
			}
		}
	}
	return most
}

// Close writes what is held back.
func (w *redactWriter) Close() error {
	if w.err == nil && len(w.held) > 0 {
		_, w.err = w.w.Write(w.held)
		w.held = nil
	}
	return w.err
}
