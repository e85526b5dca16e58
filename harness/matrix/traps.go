package matrix

// Trap is a model of a chip in which a port is easily taken for what it is not, and what
// was said of it.
type Trap struct {
	Name  string `json:"name"`
	Said  string `json:"said"`            // "shut L0 on W2, W3"
	Wrong string `json:"wrong,omitempty"` // what of that is not right; "" for nothing
}

// wrongTraps gives how many traps were fallen into.
func (res *Result) wrongTraps() (n int) {
	for _, t := range res.Traps {
		if t.Wrong != "" {
			n++
		}
	}
	return n
}

// Fell adds traps to a result: one that was fallen into makes it not valid.
func (res *Result) Fell(traps []Trap) {
	res.Traps = traps
	res.OK = res.OK && res.wrongTraps() == 0
}

// trapText writes the traps for a terminal.
func (res *Result) trapText(row func(cells ...string)) {
	if len(res.Traps) == 0 {
		return
	}
	row("TRAP", "", "SAID", "RESULT")
	for _, t := range res.Traps {
		row(t.Name, "", t.Said, or(oneLine(t.Wrong), "as expected"))
	}
}

// trapPage writes them for a page.
func (res *Result) trapPage(e *errWriter) {
	if len(res.Traps) == 0 {
		return
	}
	e.printf("\n## Traps\n\n| trap | said | result |\n|---|---|---|\n")
	for _, t := range res.Traps {
		e.printf("| %s | %s | %s |\n", cell(t.Name), cell(t.Said), cell(or(t.Wrong, "as expected")))
	}
}
