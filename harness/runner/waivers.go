package runner

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"rigor/harness/journal"
	"rigor/harness/rig"
	"rigor/harness/strictyaml"
)

// maxWaiver is how long a waiver may hold.
const maxWaiver = 90 * 24 * time.Hour

// LoadWaivers reads a file of waivers for the cases of a plan. Without a name it
// looks beside the rig file, where there need be none. What is wrong in it is
// strictyaml.Errors, with the places and what to do.
func LoadWaivers(name string, f *rig.File, plan []Planned) ([]journal.Waiver, error) {
	optional := name == ""
	if optional {
		name = filepath.Join(filepath.Dir(f.Path), "waivers.yaml")
	}
	data, err := strictyaml.ReadFile(name)
	if err != nil {
		if optional && errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("read the waivers: %w", err)
	}
	var file struct {
		Waivers []waiver `yaml:"waivers"`
	}
	src, err := strictyaml.Decode(name, data, &file)
	if err != nil {
		return nil, err
	}
	cases := caseIDs(plan)
	first := map[waiver]int{}
	var out []journal.Waiver
	var errs strictyaml.Errors
	for i, w := range file.Waivers {
		at := []string{"waivers", fmt.Sprint(i)}
		expires, perr := time.Parse(time.DateOnly, w.Expires)
		switch {
		case w.Case == "" || w.Reason == "" || w.Owner == "" || w.Unit == "" && w.Model == "":
			errs = append(errs, src.Errorf(at, "give case, unit or model, reason, owner and expires", "the waiver is not complete"))
		case !slices.Contains(cases, w.Case):
			errs = append(errs, src.Errorf(append(at, "case"), near(w.Case, cases), "the waiver names %q, which is no case of rig %s", w.Case, f.Name))
		case first[w.target()] > 0:
			errs = append(errs, src.Errorf(at, "keep one of them", "the waiver is for the same as the one on line %d", first[w.target()]))
		case w.Unit == "" && w.Version == "":
			errs = append(errs, src.Errorf(append(at, "model"), "add version: the firmware that was looked at", "a waiver for a model would hold for every later version"))
		case perr != nil:
			errs = append(errs, src.Errorf(append(at, "expires"), "write it as 2026-12-31", "expires is %q", w.Expires))
		case time.Until(expires) > maxWaiver:
			errs = append(errs, src.Errorf(append(at, "expires"), "at most 90 days from today", "the waiver would hold until %s", w.Expires))
		}
		first[w.target()] = cmp.Or(first[w.target()], src.Pos(at...).Line)
		out = append(out, journal.Waiver{Case: w.Case, Unit: w.Unit, Model: w.Model, Version: w.Version, Reason: w.Reason, Owner: w.Owner, Expires: w.Expires})
	}
	if len(errs) > 0 {
		return nil, errs.Arrange()
	}
	return out, nil
}

// CheckLacks says which names under a rig's lacks are no check and no case. The
// error is a strictyaml.Errors.
func CheckLacks(f *rig.File, plan []Planned) error {
	known := ids(plan)
	var errs strictyaml.Errors
	for id := range f.Lacks {
		if !slices.Contains(known, id) {
			errs = append(errs, f.Source.Errorf([]string{"lacks", id}, near(id, known), "lacks names %q, which is no check and no case of rig %s", id, f.Name))
		}
	}
	if len(errs) > 0 {
		return errs.Arrange()
	}
	return nil
}

func caseIDs(plan []Planned) []string {
	out := make([]string, len(plan))
	for i := range plan {
		out[i] = plan[i].ID
	}
	return out
}

type waiver struct {
	Case    string `yaml:"case"`
	Unit    string `yaml:"unit"`
	Model   string `yaml:"model"`
	Version string `yaml:"version"`
	Reason  string `yaml:"reason"`
	Owner   string `yaml:"owner"`
	Expires string `yaml:"expires"`
}

// target is what a waiver is for, without who decided it and until when.
func (w waiver) target() waiver {
	return waiver{Case: w.Case, Unit: w.Unit, Model: w.Model, Version: w.Version}
}
