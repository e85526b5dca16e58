package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"rigor/harness/report/terminal"
	"rigor/harness/rig"
	"rigor/harness/runner"
	"rigor/harness/steps"
	"rigor/harness/strictyaml"
)

// onRig runs a job on its rigs; a second signal puts those safe at once.
func onRig(ctx context.Context, job *runner.Job) error {
	told := job.Opened
	var mu sync.Mutex
	var all []*rig.Bench
	job.Opened = func(on string, b *rig.Bench) {
		mu.Lock()
		all = append(all, b)
		hurrySafe(slices.Clone(all)...)
		mu.Unlock()
		if told != nil {
			told(on, b)
		}
	}
	job.Left = func(b *rig.Bench) { // its instruments are closed: there is nothing to do there any more
		mu.Lock()
		defer mu.Unlock()
		all = slices.DeleteFunc(all, func(x *rig.Bench) bool { return x == b })
		hurrySafe(slices.Clone(all)...)
	}
	defer onHurry(nil)
	return job.OnRig(ctx, job.Run)
}

// watched has the live line say what a bench waits for.
func watched(ob *terminal.Observer) func(string, *rig.Bench) {
	return func(on string, b *rig.Bench) {
		ob.Doing(on, func() (string, time.Time) {
			w := b.Meter.Doing()
			return w.What, w.Since
		})
	}
}

// hurrySafe makes the second signal put these benches safe.
func hurrySafe(benches ...*rig.Bench) {
	onHurry(func() {
		// The program ends right after: nothing else may hold it up. The run's own
		// context has ended with the first signal, so that this is a root.
		ended := make(chan error, len(benches))
		for _, b := range benches {
			go func() {
				_, err := rig.Safe(context.Background(), b)
				ended <- err
			}()
		}
		late := time.NewTimer(2 * time.Second)
		defer late.Stop()
		for range benches {
			select {
			case err := <-ended:
				if err != nil {
					slog.Error("The rig is not shown to be safe", "error", err)
				}
			case <-late.C: // the guard goes on with it
				return
			}
		}
	})
}

// mistake makes what a person has to put right in a file an error of usage.
func mistake(err error) error {
	var errs strictyaml.Errors
	if errors.Is(err, runner.ErrDevice) || errors.As(err, &errs) {
		return usage(err)
	}
	return err
}

// secretAsker is asker for what has a credential in it: nil where what is asked would
// not be shown on a terminal, but go to a file or a program.
func secretAsker(a *app) func(context.Context, string) (string, error) {
	if !screen(a.err).Live {
		return nil
	}
	return asker(a)
}

// hiddenAsker is asker for a secret, which the terminal does not show as it is typed.
func hiddenAsker(a *app) func(context.Context, string) (string, error) {
	ask := asker(a)
	if ask == nil {
		return nil
	}
	return func(ctx context.Context, question string) (string, error) {
		back, err := hush(int(os.Stdin.Fd()))
		if err != nil {
			return "", err
		}
		defer back()
		return ask(ctx, question)
	}
}

// asker asks the person at the terminal; without one, a person is needed and
// none is there.
func asker(a *app) func(context.Context, string) (string, error) {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil
	}
	return func(ctx context.Context, question string) (string, error) {
		lines := typedLines()
		for len(lines) > 0 { // what was typed before the question does not answer it
			<-lines
		}
		if _, err := fmt.Fprintf(a.err, "\n%s ", question); err != nil {
			return "", fmt.Errorf("%w: %w", steps.ErrNeedsHuman, err)
		}
		select {
		case text, open := <-lines:
			if !open {
				return "", fmt.Errorf("%w: the terminal is closed", steps.ErrNeedsHuman)
			}
			return text, nil
		case <-ctx.Done():
			return "", fmt.Errorf("%w: nobody answered %q", steps.ErrNeedsHuman, question)
		}
	}
}

// typedLines gives the lines that are typed: one reader for all questions, begun
// by the first, so that none takes another's answer.
var typedLines = sync.OnceValue(func() chan string {
	lines := make(chan string, 16)
	go func() {
		defer close(lines)
		r := bufio.NewReader(os.Stdin)
		for {
			text, err := r.ReadString('\n')
			if err != nil {
				return
			}
			lines <- strings.TrimSpace(text)
		}
	}()
	return lines
})
