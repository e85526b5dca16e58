package rigs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"rigor/harness/driver/bitbang"
	"rigor/harness/driver/gpio"
	"rigor/harness/driver/openocd"
	"rigor/harness/rig"
	"rigor/harness/wire"
)

// gpioPads are lines of this computer on pads of the board.
func gpioPads(_ context.Context, p *rig.Pads, env rig.Env) (wire.Pads, error) {
	cfg := gpio.PadsConfig{Part: env.Part, Memory: p.Memory}
	if p.Rate > 0 {
		cfg.HalfPeriod = time.Second / time.Duration(2*p.Rate)
	}
	for _, pad := range p.Names() {
		cfg.Pads = append(cfg.Pads, gpio.PadConfig{Name: pad, Line: pinRef(p.Chip, p.At[pad])})
	}
	return gpio.OpenPads(cfg)
}

// bitbangPads are wires of somebody who serves OpenOCD's remote-bitbang protocol.
func bitbangPads(ctx context.Context, p *rig.Pads, env rig.Env) (wire.Pads, error) {
	cfg := bitbang.Config{Part: env.Part, Address: p.Address}
	if strings.HasPrefix(p.Address, "/") {
		cfg.Address = "unix:" + p.Address
	}
	for _, pad := range p.Names() {
		cfg.Pads = append(cfg.Pads, bitbang.Pad{Name: pad, Role: bitbang.Role(p.At[pad])})
	}
	return bitbang.Open(ctx, cfg)
}

// openocdPads are an adapter's that a running OpenOCD has.
func openocdPads(ctx context.Context, p *rig.Pads, env rig.Env) (wire.Pads, error) {
	return openocd.Open(ctx, env.Part, p.Address, p.DAP, p.Names())
}

// pads are the built-in device's.
func (v *Virtual) pads(p *rig.Pads) (wire.Pads, error) {
	pads, err := v.Bench.Pads(p.Names(), p.At)
	if err != nil {
		return nil, fmt.Errorf("pads of the built-in device: %w", err)
	}
	if pads == nil {
		return nil, errors.New("the built-in device has no pads")
	}
	return pads, nil
}
