//go:build !linux

package link

import "rigor/harness/wire"

func bindToDevice(int, string) error { return wire.ErrUnsupported }
