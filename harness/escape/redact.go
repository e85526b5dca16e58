package escape

import (
	"bytes"
	"cmp"
	"io"
	"slices"
	"strings"
	"sync"
)

// Redactor takes secrets out of texts, by value. It is safe for concurrent
// use, also while secrets are added. Its cost does not grow with the number of
// secrets: every place of a text is asked in a table first, by its next four
// bytes.
//
// What it gives holds no secret in any of Encodings. It does not undo
// encodings that spread a secret over lines, nor encryption or compression.
type Redactor struct {
	mu     sync.RWMutex
	tables tables
	words  []needle          // secrets that are shorter than MinSecret
	masks  map[string][]byte // what stands for a secret, by its name
	all    [][]byte          // every needle, for the choice of masks
}

type needle struct {
	name, enc string
	bytes     []byte
}

// tables finds the needles that may begin at a place.
type tables struct {
	by4     map[uint32][]needle // by their first four bytes, the longest first
	sieve   [1 << 11]uint64     // one bit for each hash of such four bytes
	short   [3]map[uint32]bool  // beginnings of one, two and three bytes
	longest int
}

// NewRedactor makes one that knows no secret yet.
func NewRedactor() *Redactor {
	r := &Redactor{masks: map[string][]byte{}}
	r.tables.by4 = map[uint32][]needle{}
	for i := range r.tables.short {
		r.tables.short[i] = map[uint32]bool{}
	}
	return r
}

// Add takes a secret in; the name is what is shown in its place. An empty
// value is nothing. One shorter than MinSecret is replaced where it stands
// alone, with no letter or digit beside it, and in no encoding.
func (r *Redactor) Add(name, value string) {
	if value == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	before := len(r.all)
	if len(value) < MinSecret {
		n := needle{name, "plain", []byte(value)}
		if !slices.ContainsFunc(r.words, func(o needle) bool { return bytes.Equal(o.bytes, n.bytes) }) {
			r.words = append(r.words, n)
			slices.SortStableFunc(r.words, longestFirst)
			r.all = append(r.all, n.bytes)
		}
	} else {
		for _, e := range Encodings(value) {
			r.tables.add(needle{name, e.Name, e.Bytes}, &r.all)
		}
	}
	for n, m := range r.masks { // a new secret may be part of an older mask
		if slices.ContainsFunc(r.all[before:], func(b []byte) bool { return meets(m, b) }) {
			r.masks[n] = mask(n, r.all)
		}
	}
	if _, ok := r.masks[name]; !ok {
		r.masks[name] = mask(name, r.all)
	}
}

func longestFirst(a, b needle) int { return cmp.Compare(len(b.bytes), len(a.bytes)) }

func (t *tables) add(n needle, all *[][]byte) {
	k := four(n.bytes)
	same := t.by4[k]
	if slices.ContainsFunc(same, func(o needle) bool { return bytes.Equal(o.bytes, n.bytes) }) {
		return
	}
	same = append(slices.Clone(same), n)
	slices.SortStableFunc(same, longestFirst)
	t.by4[k] = same
	h := hash(k)
	t.sieve[h>>6] |= 1 << (h & 63)
	for i := range t.short {
		t.short[i][few(n.bytes[:i+1])] = true
	}
	t.longest = max(t.longest, len(n.bytes))
	*all = append(*all, n.bytes)
}

// starting gives the needles whose first four bytes stand at the beginning of
// data, which has four at least.
func (t *tables) starting(data []byte) []needle {
	k := four(data)
	h := hash(k)
	if t.sieve[h>>6]&(1<<(h&63)) == 0 {
		return nil
	}
	return t.by4[k]
}

func four(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func few(b []byte) uint32 {
	k := uint32(0)
	for _, c := range b {
		k = k<<8 | uint32(c)
	}
	return k
}

// hash gives 17 bits of four bytes (multiplicative, Knuth's constant).
func hash(k uint32) uint32 { return k * 2654435761 >> 15 }

// mask gives what stands for a secret: the plainest form that neither holds a
// needle nor makes one together with the text beside it.
func mask(name string, needles [][]byte) []byte {
	forms := []string{"‹secret:" + Visible(name) + "›", "‹secret›", "‹···›", "«···»", "***", "###", "~~~", "___", "|||", "^^^"}
	for _, f := range forms {
		if m := []byte(f); !slices.ContainsFunc(needles, func(n []byte) bool { return meets(m, n) }) {
			return m
		}
	}
	for c := byte('!'); c < 0x7f; c++ { // for secrets that are made to collide
		if m := []byte{c, c, c}; !slices.ContainsFunc(needles, func(n []byte) bool { return meets(m, n) }) {
			return m
		}
	}
	return nil // then secrets leave no trace, and the text on both sides meets
}

// meets says whether a needle can be seen in a text with m in it, without
// being in the text on either side alone.
func meets(m, n []byte) bool {
	if bytes.Contains(m, n) || bytes.Contains(n, m) {
		return true
	}
	for k := 1; k < min(len(m), len(n)); k++ {
		if bytes.HasPrefix(m, n[len(n)-k:]) || bytes.HasSuffix(m, n[:k]) {
			return true
		}
	}
	return false
}

// Hit is a secret that was found.
type Hit struct {
	Name     string // of the secret
	Encoding string
	Offset   int
}

// Find gives where secrets are in data, in order, overlapping ones too.
func (r *Redactor) Find(data []byte) []Hit {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var hits []Hit
	for i := range data {
		if len(data)-i >= MinSecret {
			for _, n := range r.tables.starting(data[i:]) {
				if bytes.HasPrefix(data[i:], n.bytes) {
					hits = append(hits, Hit{n.name, n.enc, i})
				}
			}
		}
		if n := r.word(data, i); n != nil {
			hits = append(hits, Hit{n.name, n.enc, i})
		}
	}
	return hits
}

// word gives the short secret that stands alone at i, or nil.
func (r *Redactor) word(data []byte, i int) *needle {
	for k := range r.words {
		n := &r.words[k]
		if bytes.HasPrefix(data[i:], n.bytes) && (i == 0 || !wordByte(data[i-1])) && (i+len(n.bytes) == len(data) || !wordByte(data[i+len(n.bytes)])) {
			return n
		}
	}
	return nil
}

// wordByte says whether a byte makes a short secret beside it part of a longer
// word.
func wordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_' || c >= 0x80
}

// Bytes gives data without secrets. It gives data itself where it has none.
func (r *Redactor) Bytes(data []byte) []byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out, done, changed := r.clean(nil, data, 0, true)
	if !changed && done == len(data) {
		return data
	}
	return out
}

// String gives s without secrets. It costs no memory where s has none, as most
// texts.
func (r *Redactor) String(s string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if !r.suspect(s) {
		return s
	}
	out, _, changed := r.clean(nil, []byte(s), 0, true)
	if !changed {
		return s
	}
	return string(out)
}

// suspect says whether a secret may be in s: the first bytes of one are.
func (r *Redactor) suspect(s string) bool {
	if len(s) >= MinSecret {
		k := four([]byte(s[:4]))
		for i := 3; ; k = k>>8 | uint32(s[i])<<24 {
			if h := hash(k); r.tables.sieve[h>>6]&(1<<(h&63)) != 0 && r.tables.by4[k] != nil {
				return true
			}
			if i++; i == len(s) {
				break
			}
		}
	}
	for i := range r.words {
		if strings.Contains(s, string(r.words[i].bytes)) {
			return true
		}
	}
	return false
}

// clean appends data without secrets to out, from the leftmost place on, the
// longest secret at each. The first skip bytes are context only. Unless data is
// all there is (last), it stops where a secret may begin that goes on behind
// the end. It gives how far it came, and whether anything was replaced; where
// nothing was, out is not touched when last is set.
func (r *Redactor) clean(out, data []byte, skip int, last bool) (_ []byte, done int, changed bool) {
	from := skip // what is copied up to here
	i := skip
	for i < len(data) {
		var hit *needle
		if len(data)-i >= MinSecret {
			for _, n := range r.tables.starting(data[i:]) {
				if bytes.HasPrefix(data[i:], n.bytes) {
					hit = &n
					break
				}
			}
		}
		if !last && r.open(data, i) {
			break
		}
		if hit == nil && len(r.words) > 0 {
			hit = r.word(data, i)
		}
		if hit == nil {
			i++
			continue
		}
		out = append(append(out, data[from:i]...), r.masks[hit.name]...)
		i += len(hit.bytes)
		from, changed = i, true
	}
	if changed || !last {
		out = append(out, data[from:i]...)
	}
	return out, i, changed
}

// open says whether what stands at i to the end may be the beginning of a
// secret that is longer.
func (r *Redactor) open(data []byte, i int) bool {
	rest := data[i:]
	for k := range r.words { // one byte more tells whether it stands alone
		if w := r.words[k].bytes; len(rest) <= len(w) && bytes.HasPrefix(w, rest) {
			return true
		}
	}
	switch n := len(rest); {
	case n >= r.tables.longest:
		return false
	case n < MinSecret:
		return r.tables.short[n-1][few(rest)]
	}
	for _, n := range r.tables.starting(rest) {
		if len(n.bytes) > len(rest) && bytes.HasPrefix(n.bytes, rest) {
			return true
		}
	}
	return false
}

// Writer gives a writer that takes secrets out, also where a Write cuts them.
// It holds back only what may be the beginning of a secret. Close writes that;
// it does not close w. It is not safe for concurrent use.
func (r *Redactor) Writer(w io.Writer) io.WriteCloser { return &redactWriter{r: r, w: w} }

type redactWriter struct {
	r    *Redactor
	w    io.Writer
	held []byte // the first before bytes of it are written already
	pre  int
	out  []byte
	err  error
}

// Write takes all of p, or gives the error of the writer below, for good.
func (w *redactWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	w.held = append(w.held, p...)
	if w.flush(false); w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// flush writes what is decided. One byte before it stays, to tell whether a
// short secret stands alone.
func (w *redactWriter) flush(last bool) {
	w.r.mu.RLock()
	out, done, changed := w.r.clean(w.out[:0], w.held, w.pre, last)
	w.r.mu.RUnlock()
	if last && !changed {
		out = append(out, w.held[w.pre:]...)
	}
	w.out = out
	if len(out) > 0 {
		_, w.err = w.w.Write(out)
	}
	keep := max(0, done-1)
	w.pre = done - keep
	w.held = append(w.held[:0], w.held[keep:]...)
}

// Close writes what is held back.
func (w *redactWriter) Close() error {
	if w.err == nil {
		w.flush(true)
	}
	return w.err
}
