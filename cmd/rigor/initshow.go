package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"rigor/harness/escape"
	"rigor/harness/survey"
)

// show says what was seen, and what is to be done with it.
func (c *initCmd) show(a *app, f *survey.Findings, todos int) error {
	rigPath, profPath := filepath.Join(c.Out, survey.RigFile), filepath.Join(c.Out, survey.ProfileFile)
	if c.Format == "json" {
		data, err := json.MarshalIndent(struct {
			*survey.Findings
			Rig     string `json:"rig"`
			Profile string `json:"profile"`
			Todos   int    `json:"todos"`
		}{f, rigPath, profPath, todos}, "", "  ")
		if err != nil {
			return err
		}
		_, err = a.out.Write(append(escape.JSONLine(data), '\n'))
		return err
	}
	var b strings.Builder
	row := func(what, format string, args ...any) {
		b.WriteString(fmt.Sprintf("%-12s", what) + survey.Line(fmt.Sprintf(format, args...)) + "\n")
	}
	for _, p := range f.Ports {
		row("serial port", "%s  %s  %s", p.Path, p.USB, strings.Join(p.Holders, ", "))
	}
	for _, chip := range f.Chips {
		row("GPIO chip", "%s (%s), %d lines; they are listed in %s", chip.Name, chip.Label, len(chip.Lines), rigPath)
	}
	showConsole(row, f)
	for _, n := range f.Neighbours {
		row("neighbour", "%s  %s  %s", n.Addr, n.MAC, strings.Join(n.Names, ", "))
	}
	if k := f.Knocked; k != nil {
		row("network", "%s: of %d ports %d open, %d refused, %d without an answer", f.Address, len(f.Looked), len(k.Open), k.Refused, len(k.Silent))
		for _, s := range k.Open {
			row("open", "tcp/%d  %s", s.Port, service(s))
		}
	}
	for _, m := range f.Missing {
		row("not found", "%s", m)
	}
	row("written", "%s and %s, with %d lines to fill in (%s); then: rigor lint %s", rigPath, profPath, todos, strings.TrimSpace(survey.Todo), rigPath)
	_, err := a.out.Write([]byte(b.String()))
	return err
}

func showConsole(row func(what, format string, args ...any), f *survey.Findings) {
	if f.Heard == nil || f.Heard.Baud == 0 {
		return
	}
	row("console", "%s: text at %d bit/s, %d bytes in one boot of %.1fs, %d power cycles", f.Port, f.Heard.Baud, f.Console.Bytes, f.Heard.Took.Seconds(), f.Heard.Cycles)
	for i, c := range []*survey.Console{f.Console, f.Entered} {
		if c == nil {
			continue
		}
		after := []string{"", ", after Enter"}[i]
		for _, s := range []struct{ what, text string }{{"first line", c.Banner}, {"loader", c.Loader}, {"listens for keys", c.Window}, {"system", c.System},
			{"asks for Enter", c.Activate}, {"login prompt", c.Login}, {"password prompt", c.Password}, {"prompt of a loader", c.InLoader}, {"prompt that takes commands", c.Shell}} {
			if s.text != "" && (i == 0 || s.what != "first line") {
				row("", "%s%s: %s", s.what, after, s.text)
			}
		}
	}
}

// service says what a service says.
func service(s survey.Service) string {
	kind := s.Kind
	if s.TLS {
		kind = strings.TrimSpace(kind + " over TLS")
	}
	var says []string
	if s.Says != "" {
		says = append(says, s.Says)
	}
	if p := s.Page; p != nil {
		says = append(says, fmt.Sprint(p.Status))
		for _, t := range []string{p.Title, p.Server, p.Goes} {
			if t != "" {
				says = append(says, t)
			}
		}
		switch {
		case p.Scheme != "":
			says = append(says, "asks for a login ("+p.Scheme+")")
		case p.Password != "":
			says = append(says, "a form asks for a password")
		}
	}
	if s.Cert != "" {
		says = append(says, "certificate of "+s.Cert)
	}
	if kind == "" && len(says) == 0 {
		return "says nothing"
	}
	return strings.TrimSpace(kind + "  " + strings.Join(says, "; "))
}
