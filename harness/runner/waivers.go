package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"rigor/harness/journal"
	"rigor/harness/rig"
	"rigor/harness/strictyaml"
)

// maxWaiver is how long a waiver may hold.
const maxWaiver = 90 * 24 * time.Hour

// LoadWaivers reads a file of waivers. Without a name it looks beside the rig
// file, where there need be none. What is wrong in it is strictyaml.Errors,
// with the places and what to do.
func LoadWaivers(name string, f *rig.File) ([]journal.Waiver, error) {
	optional := name == ""
	if optional {
		name = filepath.Join(filepath.Dir(f.Path), "waivers.yaml")
	}
	data, err := os.ReadFile(name)
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
	var out []journal.Waiver
	var errs strictyaml.Errors
	for i, w := range file.Waivers {
		at := []string{"waivers", fmt.Sprint(i)}
		expires, perr := time.Parse(time.DateOnly, w.Expires)
		switch {
		case w.Case == "" || w.Reason == "" || w.Owner == "" || w.Unit == "" && w.Model == "":
			errs = append(errs, src.Errorf(at, "give case, unit or model, reason, owner and expires", "the waiver is not complete"))
		case w.Unit == "" && w.Version == "":
			errs = append(errs, src.Errorf(append(at, "model"), "add version: the firmware that was looked at", "a waiver for a model would hold for every later version"))
		case perr != nil:
			errs = append(errs, src.Errorf(append(at, "expires"), "write it as 2026-12-31", "expires is %q", w.Expires))
		case time.Until(expires) > maxWaiver:
			errs = append(errs, src.Errorf(append(at, "expires"), "at most 90 days from today", "the waiver would hold until %s", w.Expires))
		}
		out = append(out, journal.Waiver{Case: w.Case, Unit: w.Unit, Model: w.Model, Version: w.Version, Reason: w.Reason, Owner: w.Owner, Expires: w.Expires})
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return out, nil
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
