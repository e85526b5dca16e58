package rigs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"rigor/fixtures/firmware"
	"rigor/harness/driver/exec"
	"rigor/harness/driver/gpio"
	"rigor/harness/driver/http"
	"rigor/harness/driver/link"
	"rigor/harness/driver/person"
	"rigor/harness/driver/qemu"
	"rigor/harness/driver/serial"
	"rigor/harness/driver/tcp"
	"rigor/harness/escape"
	"rigor/harness/login/program"
	"rigor/harness/rig"
	"rigor/harness/steps"
	"rigor/harness/wire"
)

// Drivers is the table by which a rig file's instruments are opened.
func Drivers() rig.Drivers {
	ms := machines{qemu.NewSet()}
	return rig.Drivers{
		Power: map[string]func(context.Context, *rig.Power, rig.Env) (wire.Power, error){
			"gpio": gpioPower, "exec": execPower, "http": httpPower, "ask": askPower, "qemu": ms.power,
		},
		Line: map[string]func(context.Context, *rig.Line, rig.Env) (wire.Line, error){
			"gpio": gpioLine, "exec": execLine, "ask": askLine, "qemu": ms.line,
		},
		Port: map[string]func(context.Context, *rig.Port, rig.Env) (wire.Port, error){
			"serial": serialPort, "tcp": tcpPort, "exec": execPort, "qemu": ms.port,
		},
		Link: map[string]func(context.Context, *rig.Network, rig.Env) (wire.Link, error){
			"link": netLink, "qemu": ms.link,
		},
		Storage: map[string]func(context.Context, *rig.Storage, rig.Env) (wire.Storage, error){
			"exec": execStorage, "ask": askStorage, "qemu": ms.storage,
		},
		Pads: map[string]func(context.Context, *rig.Pads, rig.Env) (wire.Pads, error){
			"gpio": gpioPads, "remote-bitbang": bitbangPads, "openocd": openocdPads,
		},
		Local:  local,
		Secret: execSecret,
		Files:  map[string]func(string) ([]byte, error){"virtual": firmware.File},
	}
}

// fairTime is what a program has to be given before it is at fault for giving no answer:
// the DUT is asked again every second at least, to the end of the time that it has.
const fairTime = time.Second

// Exec runs a program that stands in for a step: it is given the values and
// answers with a text and values of its own. One that was begun less than
// fairTime before the time of what it was run for was over is not at fault when it is
// ended with that. One that had longer is, as with a time of its own: it may hang, and
// that it says nothing must not be what the DUT says.
func Exec(ctx context.Context, argv []string, values map[string]string) (text string, got map[string]string, err error) {
	cmd := exec.Command{Part: "exec", Argv: ours(argv)}
	var resp struct {
		OK     bool              `json:"ok"`
		Text   string            `json:"text"`
		Values map[string]string `json:"values"`
	}
	req := map[string]any{"op": "step", "values": values}
	begun := time.Now()
	err = cmd.Call(ctx, req, &resp)
	switch over := ctx.Err(); {
	case errors.Is(err, exec.ErrTimeout) && over != nil && time.Since(begun) < fairTime:
		return "", nil, fmt.Errorf("the time is over: %w (%v)", over, err) //nolint:errorlint // it is no fault of the program's
	case err != nil:
		return "", nil, err
	}
	if !resp.OK {
		return "", resp.Values, fmt.Errorf("%w: %s", steps.ErrNotDone, resp.Text)
	}
	return resp.Text, resp.Values, nil
}

// Program runs a program that tries a login.
func Program(ctx context.Context, r program.Run) error {
	cmd := exec.Command{Part: r.Part, Argv: ours(r.Argv), Dir: r.Dir, Timeout: r.Timeout, Redact: r.Redact}
	return cmd.Call(ctx, r.Request, r.Answer)
}

// pinRef names a pin as the gpio driver reads it.
func pinRef(chip, line string) string {
	if chip == "" {
		return line
	}
	return chip + ":" + line
}

func gpioConfig(part wire.Part, active, drive, pull string) (gpio.Config, error) {
	cfg := gpio.Config{Part: part}
	var err error
	if drive == "input" { // it is only ever released and read
		drive = "open-source"
		if active == "low" {
			drive = "open-drain"
		}
	}
	if cfg.Active, err = gpio.ParseActive(orElse(active, "high")); err != nil {
		return cfg, err
	}
	if cfg.Drive, err = gpio.ParseDrive(orElse(drive, "push-pull")); err != nil {
		return cfg, err
	}
	cfg.Pull, err = gpio.ParsePull(orElse(pull, "none"))
	return cfg, err
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func gpioLine(_ context.Context, l *rig.Line, env rig.Env) (wire.Line, error) {
	cfg, err := gpioConfig(env.Part, l.Active, l.Drive, l.Pull)
	if err != nil {
		return nil, err
	}
	return gpio.Open(pinRef(l.Chip, l.Line), cfg)
}

func gpioPower(_ context.Context, p *rig.Power, env rig.Env) (wire.Power, error) {
	cfg, err := gpioConfig(env.Part, p.Active, "", "")
	if err != nil {
		return nil, err
	}
	line, err := gpio.Open(pinRef(p.Chip, p.Line), cfg)
	if err != nil {
		return nil, err
	}
	// A pin is let go when its process ends: a supply that is to stay on then
	// has to be wired through the contact that is closed at rest.
	return gpio.NewPower(env.Part, line, gpio.PowerConfig{NormallyClosed: p.Rest == "on"})
}

func command(argv []string, env rig.Env) exec.Command {
	cmd := exec.Command{Part: env.Part, Argv: ours(argv), Dir: env.Dir}
	if red, ok := env.Redact.(interface{ String(text string) string }); ok {
		cmd.Redact = red.String
	}
	return cmd
}

// ours makes the program rigor, where a file names it without a path, the one
// that runs now: it need not be installed, and it is the same version. A test
// binary is another program: it would run its tests.
func ours(argv []string) []string {
	if len(argv) == 0 || argv[0] != "rigor" || isTest() {
		return argv
	}
	self, err := os.Executable()
	if err != nil {
		return argv // it is looked for where programs are
	}
	return append([]string{self}, argv[1:]...)
}

// isTest says whether this process is a test binary that goes by its own name.
func isTest() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && strings.HasSuffix(info.Path, ".test") && strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe") != "rigor"
}

// execSecret has a program print a secret; its last line break is not part of it.
func execSecret(ctx context.Context, dir string, argv []string) (string, error) {
	out, err := exec.Command{Part: "secrets", Argv: ours(argv), Dir: dir}.Output(ctx)
	return strings.TrimSuffix(strings.TrimSuffix(string(out), "\n"), "\r"), err
}

func execPower(_ context.Context, p *rig.Power, env rig.Env) (wire.Power, error) {
	return exec.NewPower(command(p.Exec, env))
}

func execLine(_ context.Context, l *rig.Line, env rig.Env) (wire.Line, error) {
	return exec.NewLine(command(l.Exec, env), env.Name, 0)
}

// askPower has a person switch the supply.
func askPower(_ context.Context, p *rig.Power, env rig.Env) (wire.Power, error) {
	return person.NewPower(env.Part, p.Ask, env.Ask), nil
}

// askLine has a person assert a line.
func askLine(_ context.Context, l *rig.Line, env rig.Env) (wire.Line, error) {
	line := person.NewLine(env.Part, env.Name, l.Ask, l.Drive == "input", env.Ask)
	if env.Salvaging() {
		line.Doubt()
	}
	return line, nil
}

func httpPower(ctx context.Context, p *rig.Power, env rig.Env) (wire.Power, error) {
	cfg := http.Config{Part: env.Part, Base: p.URL, Style: http.Style(p.Style), Channel: p.Channel, Auth: httpAuth(p.Auth), User: p.User}
	var err error
	if cfg.Password, err = env.Secrets.Value(p.Password); err != nil {
		return nil, err
	}
	return http.New(context.WithoutCancel(ctx), cfg)
}

func serialPort(_ context.Context, p *rig.Port, env rig.Env) (wire.Port, error) {
	cfg := serial.Config{Part: env.Part, Path: p.Port, Baud: p.Baud, NoBreak: p.NoBreak}
	if cfg.Baud == 0 {
		cfg.Baud = rig.DefaultBaud
	}
	if p.Frame != "" {
		var err error
		if cfg.Frame, err = serial.ParseFrame(p.Frame); err != nil {
			return nil, err
		}
	}
	return serial.Open(cfg)
}

func tcpPort(ctx context.Context, p *rig.Port, env rig.Env) (wire.Port, error) {
	cfg := tcp.Config{Part: env.Part, Address: p.Address, Mode: tcp.Raw, DialTimeout: 5 * time.Second, Event: func(e tcp.Event) {
		if e.Attached {
			slog.Info("The connection of a console is back", "part", env.Part)
			return
		}
		slog.Warn("The connection of a console was lost", "part", env.Part, "address", p.Address, "error", e.Err)
	}}
	if p.RFC2217 {
		cfg.Mode, cfg.Baud, cfg.Frame, cfg.Control = tcp.Telnet, p.Baud, p.Frame, true
	}
	return tcp.Open(context.WithoutCancel(ctx), cfg)
}

// execPort starts the program of a console. What it says beside the console's
// bytes goes to the log.
func execPort(_ context.Context, p *rig.Port, env rig.Env) (wire.Port, error) {
	return exec.OpenPort(command(p.Exec, env), func(line string) {
		slog.Info("The program of a console says", "part", env.Part, "text", escape.Excerpt(line, 300))
	})
}

func netLink(ctx context.Context, n *rig.Network, env rig.Env) (wire.Link, error) {
	return link.New(context.WithoutCancel(ctx), link.Config{Part: env.Part, Interface: n.Interface})
}

func httpAuth(s string) http.Auth {
	if s == "none" {
		return http.NoAuth
	}
	return http.Auth(s)
}
