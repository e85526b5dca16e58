package console

import (
	"context"
	"time"

	"rigor/harness/console/expect"
)

// PromptQuiet is how long nothing may follow a prompt where the pattern does
// not say. A USB adapter holds bytes back for 16 ms.
const PromptQuiet = 60 * time.Millisecond

// prompt makes a declared pattern one that holds only at the end of the text:
// "login: " is not the prompt in "Last login: Mon".
func prompt(p expect.Pattern, name string) expect.Pattern {
	if !p.Valid() {
		return p
	}
	if p.Quiet() == 0 {
		p = p.Prompt(PromptQuiet)
	}
	if p.Name() == "" || name != "" {
		p = p.Named(name)
	}
	return p
}

// Confirm shows that a prompt is one: Enter makes it come again. The error is
// as Expect's.
func Confirm(ctx context.Context, t Talker, p expect.Pattern) (Match, error) {
	at, err := t.SendLine(ctx, "")
	if err != nil {
		return Match{}, err
	}
	return t.Expect(ctx, at, prompt(p, p.Name()))
}

// atPrompt says whether what the DUT sent last ends with the prompt, without
// asking it.
func atPrompt(t Reader, p expect.Pattern) bool {
	return p.Valid() && holds(t, max(0, t.Mark()-1024), prompt(p, ""))
}

// holds says whether the text from a cursor on, taken to end here, has a match.
func holds(t Reader, from Cursor, p expect.Pattern) bool {
	text, err := t.Since(from)
	if err != nil || !p.Valid() {
		return false
	}
	set := expect.NewSet(int64(from), 0, p)
	if _, ok := set.Feed(text); ok {
		return true
	}
	_, ok := set.End()
	return ok
}
