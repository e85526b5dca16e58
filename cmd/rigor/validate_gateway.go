package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"rigor/fixtures/badbench"
	"rigor/fixtures/gateway"
	"rigor/harness/matrix"
	"rigor/harness/rig"
	"rigor/harness/runner"
	"rigor/harness/verdict"
	"rigor/rigs"
	"rigor/suites"
)

// gatewayRig is the built-in rig of the emulated device, which has a catalogue.
const gatewayRig = "gateway"

// families are what the rows of the gateway's catalogue belong to.
const families = "bench, console, credential, factory, identity, network, protection, update"

// gatewayBed reads and lints the catalogue of the gateway.
func gatewayBed() (*bed, error) {
	cat, err := rigs.GatewayMatrix()
	if err != nil {
		return nil, err
	}
	var known matrix.Known // what each check is caught by, the built-in device shows
	if known.Cases, _, err = cases(gatewayRig); err != nil {
		return nil, err
	}
	does := map[string]string{}
	for _, w := range gateway.Weaknesses() {
		does[w.Name] = w.Does
		known.Weaknesses = append(known.Weaknesses, w.Name)
	}
	for _, f := range badbench.Faults() {
		does[f.Name] = f.Title
		known.Faults = append(known.Faults, f.Name)
		if f.Counts > 0 {
			known.Counted = append(known.Counted, f.Name)
		}
	}
	b := &bed{cat: cat, planned: known.Cases, faults: known.Faults, weak: known.Weaknesses, room: fixedRoom(2), does: does, cost: deliveryCost}
	if err := cat.Lint(known); err != nil {
		return nil, err
	}
	for _, e := range []map[string]*matrix.Entry{cat.Weaknesses, cat.Faults} {
		for name, e := range e {
			if !slices.Contains(strings.Split(families, ", "), e.Family) {
				return nil, fmt.Errorf("%s is of family %q; there are %s", name, e.Family, families)
			}
		}
	}
	return b, nil
}

// images are those of the gateway, one folder for each weakness, and what its runs
// write.
type images struct {
	dir  string // of the images
	temp string // all that is gone at the end
	keep bool
	by   string // what builds them: this very program

	mu sync.Mutex // one is built at a time
	// given are the folders that a run of this validation may have open.
	given map[string]bool
}

// builtBy is the file in which an image says what has built it.
const builtBy = "built-by"

// otherUnit is a second device of the model.
var otherUnit = gateway.Unit{Serial: "GW-000902", MAC: "52:54:00:47:57:02", Label: "3HTN-V8CJ-WQ4K"}

func newImages(dir string) (*images, error) {
	if err := gateway.Missing(); err != nil {
		return nil, &codeError{verdict.ExitRig, fmt.Errorf("the gateway %w", err)}
	}
	temp, err := os.MkdirTemp("", "rigor-gateway-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the gateway: %w", err)
	}
	img := &images{dir: dir, temp: temp, keep: dir != "", given: map[string]bool{}}
	if dir == "" {
		img.dir = filepath.Join(temp, "images")
	}
	if img.dir, err = filepath.Abs(img.dir); err == nil {
		img.by, err = ourDigest()
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(temp, "label-2"), []byte(otherUnit.Label+"\n"), 0o600)
	}
	for _, d := range []string{"state", "tmp"} {
		if err == nil {
			err = os.Mkdir(filepath.Join(temp, d), 0o700)
		}
	}
	if err != nil {
		img.close()
		return nil, fmt.Errorf("make a folder for the gateway: %w", err)
	}
	return img, nil
}

// ourDigest is the SHA-256 of this program, which has the device's files in it.
func ourDigest() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := os.Open(self)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (img *images) close() { _ = os.RemoveAll(img.temp) } // folders of ours

// row gives what a run's process is told, and its environment. Done is called when
// the process has ended.
func (img *images) row(ctx context.Context, b *bed, r *matrix.Run) (args, env []string, done func(), err error) {
	done = func() {}
	var weak []string
	if r.Kind == matrix.Weakness {
		weak = append([]string{r.Name}, r.With...)
	}
	var of []string // all cases where it is empty
	if e := b.cat.Entry(r); e.Cases != nil && !r.Whole {
		of = e.Of(b.planned)
	}
	device, err := img.image(ctx, weak, gateway.FirstUnit, of == nil || slices.ContainsFunc(of, delivers))
	if err != nil {
		return nil, nil, nil, err
	}
	if weak != nil && !img.keep {
		done = func() { _ = os.RemoveAll(device) } // 100 to 500 MB that nobody needs any more
	}
	args = []string{"--rig", gatewayRig, "--device", device, "--label-2", filepath.Join(img.temp, "label-2")}
	if i := slices.IndexFunc(badbench.Faults(), func(f badbench.Fault) bool { return f.Name == r.Name && f.Other }); i >= 0 && r.Kind == matrix.Fault {
		other, err := img.image(ctx, nil, otherUnit, false)
		if err != nil {
			return nil, nil, nil, err
		}
		args = append(args, "--other", other)
	}
	for _, id := range of {
		args = append(args, "--cases", id)
	}
	// What runs leave on a rig is nothing of the user's, and goes with us.
	env = []string{"XDG_STATE_HOME=" + filepath.Join(img.temp, "state"), "TMPDIR=" + filepath.Join(img.temp, "tmp")}
	return args, env, done, nil
}

// delivers says whether a case needs the packages of updates, which take as long to make
// as all the rest.
func delivers(id string) bool {
	return strings.HasPrefix(id, "upd-") || strings.HasPrefix(id, "boot-selfconsistent[")
}

// deliveryCost is what a delivery costs more than another case: packages are sent,
// installed, and started.
func deliveryCost(id string) int {
	if delivers(id) {
		return 10
	}
	return 0
}

// image gives the folder of an image, which is built where it is not there.
func (img *images) image(ctx context.Context, weak []string, unit gateway.Unit, updates bool) (string, error) {
	img.mu.Lock()
	defer img.mu.Unlock()
	name := strings.Join(weak, "+")
	switch {
	case unit != gateway.FirstUnit:
		name = "other-unit"
	case weak == nil:
		name = string(matrix.Hardened)
	}
	dir, there := img.place(name, updates)
	img.given[dir] = true
	if there {
		return dir, nil
	}
	_ = os.Remove(filepath.Join(dir, builtBy)) // it is overwritten below
	if _, err := gateway.Build(ctx, gateway.Config{Dir: dir, Weaknesses: weak, Unit: unit, Updates: updates}); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	if err := owner(dir, unit.Label); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, builtBy), []byte(img.by), 0o600); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	return dir, nil
}

// place gives the folder of an image, and says whether it is there already. One that lacks
// the packages of updates is not built anew in its place where a run has it open: its device
// would be another one in the midst of that.
func (img *images) place(name string, updates bool) (dir string, there bool) {
	dir = filepath.Join(img.dir, name)
	by, err := os.ReadFile(filepath.Join(dir, builtBy))
	if err != nil || string(by) != img.by {
		return dir, false
	}
	_, err = os.Stat(filepath.Join(dir, gateway.UpdateCert)) // the last that is made of them
	switch {
	case err == nil || !updates:
		return dir, true
	case img.given[dir]:
		return img.place(name+withUpdates, updates)
	}
	return dir, false
}

// withUpdates ends the name of an image that is built a second time, for its packages.
const withUpdates = "-updates"

// otherLabel adds to a rig what is on record of a second unit: its label, and the keys
// that it showed, which are those of an image that brings them along.
func (c *matrixRunCmd) otherLabel(file *rig.File) error {
	keys, err := gateway.ImageKeys()
	if err != nil {
		return err
	}
	file.Units = []rig.Unit{{Serial: otherUnit.Serial, MAC: otherUnit.MAC, LabelPassword: "secret:label-2", Keys: keys}}
	file.Secrets["label-2"] = "file:" + c.Label2
	for _, check := range []string{"cred-unique", "cred-shared-keys"} {
		delete(file.Lacks, check)
	}
	return nil
}

// inVain is how long a boot is waited for of which nothing can be heard.
const inVain = 20 * time.Second

// onGateway is one run on the gateway, emulated for it alone.
func (c *matrixRunCmd) onGateway(ctx context.Context, a *app) (err error) {
	file, prof, err := rigs.Load(gatewayRig)
	if err != nil {
		return usage(err)
	}
	// A name of its own, for its lease. Of several weaknesses the first is enough.
	first, _, _ := strings.Cut(filepath.Base(c.Out), "+")
	file.Name = fmt.Sprintf("%s-%s-%d", gatewayRig, first, os.Getpid())
	file.Secrets["operator"], file.Secrets["label"] = "file:"+filepath.Join(c.Device, "operator"), "file:"+filepath.Join(c.Device, "label")
	if err := c.otherLabel(file); err != nil {
		return err
	}
	file.Images = c.Device
	machine := file.Machines[file.Power.Machine]
	machine.File = filepath.Join(c.Device, gateway.MachineFile)
	drivers := rigs.Drivers()
	var bench *badbench.Bench
	if len(c.Fault) > 0 {
		if bench, err = badbench.New(badbench.Config{Fault: c.Fault[0], Device: c.Device, Other: c.Other}); err != nil {
			return usage(err)
		}
		defer func() { err = errors.Join(err, bench.Close()) }()
		machine.File, drivers = bench.Machine(), bench.Drivers(drivers)
		if bench.Silent() {
			for _, con := range prof.Consoles.Items {
				con.Boot.Within = min(con.Boot.Within, inVain)
			}
		}
	}
	job := runner.NewJob(file, prof)
	job.Suites, job.Drivers, job.Undo, job.Exec, job.Program = suites.All(), drivers, suites.Undo(), rigs.Exec, rigs.Program
	job.Dir, job.RunID, job.Seed, job.Writer = c.Out, filepath.Base(c.Out), c.Seed, version()
	job.Selectors, job.Planted = c.Cases, slices.Concat(c.Weakness, c.Fault)
	if err := onRig(ctx, job); err != nil {
		return err
	}
	r, err := c.came()
	if err != nil {
		return err
	}
	if bench != nil {
		r.Struck, r.Again = bench.Struck()
	}
	return json.NewEncoder(a.out).Encode(r)
}
