// Package portscan asks which ports of a device answer. It is an engine and
// knows no policy: what is declared, what a finding is and who owns a port is for
// others to say.
//
// Each port ends in one state. Silence is the hard one: a device that drops what
// comes too fast is as silent as one that filters. So a port that is known to be
// open, the canary, is asked amid the silent ones, at the same pace and with the
// same patience: while it answers, silence is the port's own; while it does not,
// the scan slows down and the tries do not count.
package portscan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"rigor/harness/wire"
)

// State is what a port was found to be.
type State uint8

// The states.
const (
	Unasked  State = iota // not in the scan, or the scan was broken off
	Open                  // it took a connection, or answered a datagram
	Closed                // it refused: a reset, or "port unreachable"
	Filtered              // no answer of its own to any try, while the path was shown to be alive
)

// String gives "open", "closed", "filtered" or "unasked".
func (s State) String() string {
	return [...]string{"unasked", "open", "closed", "filtered"}[s]
}

// ErrPath says that the path to the device was not alive: the canary did not
// answer at the slowest pace either. The scan was broken off.
var ErrPath = errors.New("the port that is known to be open does not answer")

// Limits are how much the device and the network are asked to bear.
type Limits struct {
	Connections int           // attempts at the same time; 0 is DefaultConnections
	Rate        int           // attempts a second; 0 is DefaultRate
	Tries       int           // of a port that is silent; 0 is DefaultTries
	Least, Most time.Duration // bounds of the wait for one answer; 0 are DefaultLeast and DefaultMost
}

// What a small stack bears, and what is quick enough: all of TCP in half a
// minute.
const (
	DefaultConnections = 64
	DefaultRate        = 2500
	DefaultTries       = 3
	DefaultLeast       = 100 * time.Millisecond
	DefaultMost        = 1250 * time.Millisecond

	firstWait   = 500 * time.Millisecond // before any answer has been timed
	firstWindow = 16                     // attempts at the same time, before any has succeeded
	deadAfter   = 4                      // canaries in a row that do not answer, each slower than the one before

	// A device that stood still once is soon asked at the old pace again; one that
	// does not bear it, twice as slowly after each time.
	firstComeback = 4 * time.Second
	lastComeback  = 4 * time.Minute
)

// Normal gives the limits with what is not said filled in.
func (l Limits) Normal() Limits {
	for _, d := range []struct {
		v    *int
		what int
	}{{&l.Connections, DefaultConnections}, {&l.Rate, DefaultRate}, {&l.Tries, DefaultTries}} {
		if *d.v <= 0 {
			*d.v = d.what
		}
	}
	if l.Least <= 0 {
		l.Least = DefaultLeast
	}
	if l.Most <= 0 {
		l.Most = max(DefaultMost, l.Least)
	}
	return l
}

// Found is what a port that did not simply refuse was found to be.
type Found struct {
	Port  int
	State State
	Tries int
	Took  time.Duration // the answer to the last try, or how long that was waited for
	Why   string        // of a filtered one: what came in place of an answer
	Said  []byte        // what a port of UDP answered with
}

// Result is a scan's. Every port of it has its final state.
type Result struct {
	Ports    []int
	States   []State // by port
	Found    []Found // the open and the filtered ones, by port
	Canaries int     // how often the canary was asked, and answered
	Backoffs int     // how often the scan had to slow down
	Took     time.Duration
}

// ports is how many numbers a port can have.
const ports = 1 << 16

func newResult(asked []int) *Result {
	return &Result{Ports: slices.Clone(asked), States: make([]State, ports)}
}

// Count gives how many ports ended in a state.
func (r *Result) Count(s State) int {
	n := 0
	for _, p := range r.Ports {
		if r.States[p] == s {
			n++
		}
	}
	return n
}

// In gives the ports that ended in a state, in order.
func (r *Result) In(s State) []int {
	var out []int
	for _, p := range r.Ports {
		if r.States[p] == s {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}

// Add takes another result in, of other ports of the same device.
func (r *Result) Add(o *Result) {
	if r.States == nil {
		r.States = make([]State, ports)
	}
	r.Ports = append(r.Ports, o.Ports...)
	for _, p := range o.Ports {
		r.States[p] = o.States[p]
	}
	r.Found = append(r.Found, o.Found...)
	slices.SortFunc(r.Found, func(a, b Found) int { return a.Port - b.Port })
	r.Canaries += o.Canaries
	r.Backoffs += o.Backoffs
	r.Took += o.Took
}

// Ranges writes ports as "1-21, 24-79, 81".
func Ranges(ports []int) string {
	ports = slices.Clone(ports)
	slices.Sort(ports)
	var out []string
	for i := 0; i < len(ports); {
		j := i
		for j+1 < len(ports) && ports[j+1] == ports[j]+1 {
			j++
		}
		text := strconv.Itoa(ports[i])
		if j > i {
			text += "-" + strconv.Itoa(ports[j])
		}
		out = append(out, text)
		i = j + 1
	}
	return strings.Join(out, ", ")
}

// verdict of one attempt, before it is final.
type answer struct {
	state State // Open, Closed, or Unasked for silence
	took  time.Duration
	why   string // of silence: what came instead
	err   error  // ends the scan
}

// classify reads what an attempt came to. Silence is no state yet.
func classify(ctx context.Context, err error) answer {
	switch {
	case err == nil:
		return answer{state: Open}
	case errors.Is(err, syscall.ECONNREFUSED):
		return answer{state: Closed}
	}
	if _, ok := wire.AsFault(err); ok {
		return answer{err: err}
	}
	switch {
	case ctx.Err() != nil:
		return answer{err: context.Cause(ctx)}
	case timedOut(err):
		return answer{why: "no answer"}
	case errors.Is(err, syscall.EHOSTUNREACH):
		return answer{why: "answered with: host unreachable"}
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return answer{why: "answered with: prohibited"}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return answer{why: "the connection was reset before it stood"}
	}
	return answer{err: err}
}

func timedOut(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// pacer is how fast attempts may begin, and how long one is waited for. It is
// one device's, for all its scans.
type pacer struct {
	mu   sync.Mutex
	free *sync.Cond

	window   float64 // attempts at the same time
	careful  float64 // from which window on it grows by one a round, as RFC 5681 has it
	most     int
	inFlight int
	held     bool // nobody begins

	every, quickest time.Duration // between the beginnings of two attempts, and where that ends
	next            time.Time
	comeback        time.Duration // in which it grows from nothing to the most

	least, longest time.Duration
	srtt, rttvar   time.Duration // as RFC 6298 has them; 0 before the first answer
}

func newPacer(l Limits) *pacer {
	p := &pacer{window: float64(min(firstWindow, l.Connections)), careful: float64(l.Connections), most: l.Connections, least: l.Least, longest: l.Most}
	p.quickest = time.Second / time.Duration(l.Rate)
	p.every, p.comeback = p.quickest, firstComeback/2
	p.free = sync.NewCond(&p.mu)
	return p
}

// early is how far ahead of its time an attempt may begin: a timer for each
// microsecond would be slower than the attempts.
const early = 2 * time.Millisecond

// enter waits for a place and for the time to begin. The caller owes leave.
func (p *pacer) enter(ctx context.Context) error {
	p.mu.Lock()
	for ctx.Err() == nil && (p.held || p.inFlight >= int(p.window)) {
		p.free.Wait()
	}
	if err := ctx.Err(); err != nil {
		p.mu.Unlock()
		return context.Cause(ctx)
	}
	p.inFlight++
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	ahead := p.next.Sub(now)
	p.next = p.next.Add(p.every)
	p.mu.Unlock()
	if ahead < early {
		return nil
	}
	t := time.NewTimer(ahead)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		p.leave()
		return context.Cause(ctx)
	}
}

func (p *pacer) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inFlight--
	p.free.Signal()
}

// answered takes the time of an answer in, and lets one more attempt at a time.
func (p *pacer) answered(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.srtt == 0 {
		p.srtt, p.rttvar = took, took/2
	} else {
		p.rttvar += (max(p.srtt-took, took-p.srtt) - p.rttvar) / 4
		p.srtt += (took - p.srtt) / 8
	}
	p.quicken()
	if p.window < float64(p.most) {
		more := 1.0
		if p.window >= p.careful {
			more = 1 / p.window
		}
		p.window = min(p.window+more, float64(p.most))
		p.free.Signal()
	}
}

// quicken lets the rate grow after it was halved: by the same in each second, while
// answers come at it.
func (p *pacer) quicken() {
	if p.every <= p.quickest {
		return
	}
	rate := 1/p.every.Seconds() + p.every.Seconds()/(p.quickest.Seconds()*p.comeback.Seconds())
	p.every = max(time.Duration(float64(time.Second)/rate), p.quickest)
}

// calm says that others were answered amid the silence: the pace is borne.
func (p *pacer) calm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	more := p.window/2 + 1
	if p.window >= p.careful {
		more = 1
	}
	p.window = min(p.window+more, float64(p.most))
	p.free.Broadcast()
}

// wait is how long an answer is waited for.
func (p *pacer) wait() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.srtt == 0 {
		return min(firstWait, p.longest)
	}
	return min(max(p.srtt+4*p.rttvar, p.least), p.longest)
}

// backOff halves the pace and lets nobody begin until goOn. First says that it is
// not the next one of a row.
func (p *pacer) backOff(first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if first {
		p.comeback = min(2*p.comeback, lastComeback)
	}
	p.window = max(p.window/2, 1)
	p.careful = p.window
	p.every = min(2*max(p.every, time.Microsecond), 100*time.Millisecond)
	p.held = true
}

// lossy says that the pace was too fast: what was silent at it answers now.
func (p *pacer) lossy() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.window = max(p.window/2, 1)
	p.careful = p.window
}

// goOn lets others begin again.
func (p *pacer) goOn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = false
	p.free.Broadcast()
}

// wake lets everybody look at the context.
func (p *pacer) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free.Broadcast()
}

// patience ends attempts that nobody answers: one context for several of them, as
// long as its end fits.
type patience struct {
	ctx    context.Context //nolint:containedctx // one for many attempts is its purpose
	cancel context.CancelFunc
	until  time.Time
}

// from gives a context that ends after wait, or half as much again later.
func (p *patience) from(ctx context.Context, now time.Time, wait time.Duration) context.Context {
	if left := p.until.Sub(now); p.ctx != nil && p.ctx.Err() == nil && left >= wait && left <= wait*3/2 {
		return p.ctx
	}
	p.end()
	p.until = now.Add(wait * 3 / 2)
	p.ctx, p.cancel = context.WithDeadline(ctx, p.until)
	return p.ctx
}

func (p *patience) end() {
	if p.cancel != nil {
		p.cancel()
	}
}

// dialled makes one attempt at a port of TCP.
func dialled(ctx context.Context, d wire.Dialer, address string, wait time.Duration, p *patience) answer {
	begun := time.Now()
	c, err := d.DialContext(p.from(ctx, begun, wait), "tcp", address)
	took := time.Since(begun)
	if err == nil {
		_ = c.Close() // that it was taken is all that was asked
		return answer{state: Open, took: took}
	}
	a := classify(ctx, err)
	a.took = took
	if a.err != nil {
		a.err = fmt.Errorf("connect to %s: %w", address, a.err)
	}
	return a
}

func join(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
