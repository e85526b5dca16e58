// Package beside runs work in routines beside its caller. A panic there, as of a parser on
// hostile bytes, comes out in the caller's routine: it is that caller's end, and not the
// program's.
package beside

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
)

// ErrEnded says that work ended its routine and did not return.
var ErrEnded = errors.New("the work beside did not return")

// Panic is what Wait panics with where the work did.
type Panic struct {
	Value any
	Where string // the functions that it was in, the innermost first: "web.parse (parse.go:41) < …"
}

// String says what panicked, and where.
func (p *Panic) String() string { return fmt.Sprintf("%v (beside, in %s)", p.Value, p.Where) }

// Work is under way.
type Work struct {
	done     chan struct{}
	err      error
	panicked *Panic
}

// Begin runs f in a routine of its own. Whoever begins it waits for it.
func Begin(f func() error) *Work {
	w := &Work{done: make(chan struct{}), err: ErrEnded}
	go func() {
		defer close(w.done)
		defer func() {
			if p := recover(); p != nil {
				w.panicked = of(p)
			}
		}()
		w.err = f()
	}()
	return w
}

// Done is closed when the work is over, however it ended.
func (w *Work) Done() <-chan struct{} { return w.done }

// Wait waits until the work is over and gives its error, or ErrEnded. It panics with a
// *Panic where the work did.
func (w *Work) Wait() error {
	<-w.done
	if w.panicked != nil {
		panic(w.panicked)
	}
	return w.err
}

// All runs f for each number from 0 to n-1, all at the same time, and gives their errors
// when none is running any more. It panics as Wait does.
func All(n int, f func(i int) error) []error {
	works, errs := make([]*Work, n), make([]error, n)
	for i := range n {
		works[i] = Begin(func() error { return f(i) })
	}
	for _, w := range works {
		<-w.done
	}
	for i, w := range works {
		errs[i] = w.Wait()
	}
	return errs
}

// frames is how many functions a Panic names.
const frames = 12

// of gives a panic with where it came from; one that came from beside already is as it was.
func of(value any) *Panic {
	if p, ok := value.(*Panic); ok {
		return p
	}
	var pcs [64]uintptr
	all := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])]) // without Callers, of and the deferred function
	var names []string
	for {
		f, more := all.Next()
		// What the runtime does until a panic is one stands before who panicked.
		if f.Function != "" && !strings.HasPrefix(f.Function, "runtime.") {
			names = append(names, fmt.Sprintf("%s (%s:%d)", f.Function[strings.LastIndexByte(f.Function, '/')+1:], f.File[strings.LastIndexByte(f.File, '/')+1:], f.Line))
		}
		if !more || len(names) == frames {
			return &Panic{Value: value, Where: strings.Join(names, " < ")}
		}
	}
}
