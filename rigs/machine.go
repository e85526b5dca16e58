package rigs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"rigor/harness/driver/cable"
	"rigor/harness/driver/qemu"
	"rigor/harness/escape"
	"rigor/harness/rig"
	"rigor/harness/strictyaml"
	"rigor/harness/wire"
)

// machines are the emulated devices of a table of drivers: its instruments share
// them.
type machines struct{ set *qemu.Set }

// config gives what a machine of a rig file is.
func (ms machines) config(name string, env rig.Env) (conf qemu.Config, err error) {
	m := env.Machines[name]
	if m == nil {
		return conf, fmt.Errorf("no machine %q is declared under machines", name)
	}
	conf = qemu.Config{Name: name, Spec: m.Spec, Dir: env.Dir, Tap: m.Tap, Log: func(line string) {
		slog.Info("The machine says", "machine", name, "text", escape.Excerpt(line, 300))
	}}
	if m.File != "" {
		path := machineFile(env.Dir, m)
		conf.Dir = filepath.Dir(path)
		conf.Spec, err = qemu.Load(path)
		if err != nil {
			return conf, fmt.Errorf("machine %s: %w", name, err)
		}
	}
	conf.Scratch, err = qemu.ScratchDir(env.Rig, name)
	return conf, err
}

// machineFile is the path of a machine's own file.
func machineFile(dir string, m *rig.Machine) string {
	if filepath.IsAbs(m.File) {
		return m.File
	}
	return filepath.Join(dir, m.File)
}

// built looks whether the files of a rig's machines are there.
func built(f *rig.File) error {
	for _, name := range slices.Sorted(maps.Keys(f.Machines)) {
		m := f.Machines[name]
		if m.File == "" {
			continue
		}
		if _, err := os.Stat(machineFile(filepath.Dir(f.Path), m)); err != nil {
			return fmt.Errorf("machine %s: %w; build the device first, which writes it: the built-in gateway is made by rigor gateway build", name, err)
		}
	}
	return nil
}

// checkMachines reads the files of a rig's machines, those that are there: a device
// that is not built yet can be planned for. The error is a strictyaml.Errors.
func checkMachines(f *rig.File) error {
	specs := map[string]qemu.Spec{}
	for name, m := range f.Machines {
		if m.File == "" {
			continue
		}
		spec, err := qemu.Load(machineFile(filepath.Dir(f.Path), m))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("%s: machine %s: %w", f.Source.Pos("machines", name, "file"), name, err)
		default:
			specs[name] = spec
		}
	}
	var errs strictyaml.Errors
	for _, name := range slices.Sorted(maps.Keys(f.Lines)) {
		l := f.Lines[name]
		spec, ok := specs[l.Machine]
		if l.Driver != "qemu" || !ok {
			continue
		}
		if err := Known("line of machine "+l.Machine, l.Line, spec.LineNames()); err != nil {
			errs = append(errs, &strictyaml.Error{Pos: f.Source.Pos("lines", name, "line"), What: err.Error()})
		}
	}
	if len(errs) > 0 {
		return errs.Arrange()
	}
	return nil
}

// get gives the machine, and what gives it back. That it cannot be had is a
// *wire.Fault; that its file is wrong is not.
func (ms machines) get(ctx context.Context, name string, env rig.Env) (*qemu.Machine, func() error, error) {
	conf, err := ms.config(name, env)
	if err != nil {
		return nil, nil, err
	}
	if err := conf.Spec.Validate(); err != nil {
		return nil, nil, fmt.Errorf("machine %s: %w", name, err)
	}
	m, give, err := ms.set.Get(ctx, conf)
	if err != nil {
		return nil, nil, &wire.Fault{Part: env.Part, Op: "open machine " + name, Err: err}
	}
	return m, give, nil
}

func (ms machines) power(ctx context.Context, p *rig.Power, env rig.Env) (wire.Power, error) {
	if env.Salvaging() {
		dir, err := qemu.ScratchDir(env.Rig, p.Machine)
		if err != nil {
			return nil, err
		}
		return qemu.NewRemnant(env.Part, dir), nil
	}
	m, give, err := ms.get(ctx, p.Machine, env)
	if err != nil {
		return nil, err
	}
	return qemu.NewPower(env.Part, m, give), nil
}

func (ms machines) line(ctx context.Context, l *rig.Line, env rig.Env) (wire.Line, error) {
	if env.Salvaging() {
		return spent{}, nil
	}
	m, give, err := ms.get(ctx, l.Machine, env)
	if err != nil {
		return nil, err
	}
	line, err := qemu.NewLine(m, qemu.LineConfig{Part: env.Part, Name: l.Line, Low: l.Active == "low", Input: l.Drive == "input"}, give)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("machine %s: %w", l.Machine, err), give())
	}
	return line, nil
}

func (ms machines) port(ctx context.Context, p *rig.Port, env rig.Env) (wire.Port, error) {
	n, err := p.Number()
	if err != nil {
		return nil, fmt.Errorf("port %q: %w", p.Port, err)
	}
	m, give, err := ms.get(ctx, p.Machine, env)
	if err != nil {
		return nil, err
	}
	port, err := qemu.NewPort(env.Part, m, n, give)
	if err != nil {
		return nil, errors.Join(err, give())
	}
	return port, nil
}

func (ms machines) link(ctx context.Context, n *rig.Network, env rig.Env) (wire.Link, error) {
	own, err := netip.ParsePrefix(n.Own)
	if err != nil {
		return nil, fmt.Errorf("own: %w", err)
	}
	m, give, err := ms.get(ctx, n.Machine, env)
	if err != nil {
		return nil, err
	}
	l, err := qemu.Network(context.WithoutCancel(ctx), m, cable.Config{Part: env.Part, Own: own}, give)
	if err != nil {
		return nil, errors.Join(err, give())
	}
	return l, nil
}

func (ms machines) storage(ctx context.Context, s *rig.Storage, env rig.Env) (wire.Storage, error) {
	m, give, err := ms.get(ctx, s.Machine, env)
	if err != nil {
		return nil, err
	}
	disk, err := qemu.NewStorage(env.Part, m, s.Disk, give)
	if err != nil {
		return nil, errors.Join(err, give())
	}
	return disk, nil
}

// spent is a line of a machine whose run was killed: its level went with the
// machine, which the supply sees to.
type spent struct{ wire.Line }

// Release has nothing to let go.
func (spent) Release(context.Context) error { return nil }

// Close has nothing open.
func (spent) Close() error { return nil }
