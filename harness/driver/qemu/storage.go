package qemu

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"rigor/harness/wire"
)

// Storage is a disk of a machine as the machine has it: its image, with all that was
// written over it since the rig was opened. It is read and written while the machine has no
// power; the image itself is left as it is.
type Storage struct {
	part wire.Part
	m    *Machine
	disk Disk
	give func() error
	once sync.Once
}

var _ wire.Programmer = (*Storage)(nil)

// NewStorage gives the disk of a role; give is called by Close. The error says what is
// wrong with the rig file.
func NewStorage(part wire.Part, m *Machine, role string, give func() error) (*Storage, error) {
	var roles []string
	for _, d := range m.conf.Spec.Disks {
		if d.Role == role {
			return &Storage{part: part, m: m, disk: d, give: give}, nil
		}
		roles = append(roles, d.Role)
	}
	return nil, fmt.Errorf("machine %s has no disk %q; it has %q", m.conf.Name, role, roles)
}

// Size gives that of a raw image, in whole sectors of 512 bytes, as the machine has it; 0
// for another, of which it is known after a reading.
func (s *Storage) Size() int64 {
	const sector = 512
	info, err := os.Stat(under(s.m.conf.Dir, s.disk.File))
	if err != nil || s.disk.Format != "raw" || !info.Mode().IsRegular() {
		return 0
	}
	return (info.Size() + sector - 1) / sector * sector
}

// Read copies the disk to w. A machine that has power, though it is held in reset, gives
// wire.ErrRuns: QEMU has the file.
func (s *Storage) Read(ctx context.Context, w io.Writer) error {
	return s.still(ctx, "read", func() error { return s.copy(ctx, w) })
}

// Write puts b over the disk at off, in bytes, as Read has it. A disk that forgets what was
// written over it gives wire.ErrUnsupported.
func (s *Storage) Write(ctx context.Context, off int64, b []byte) error {
	if s.disk.Snapshot {
		return fmt.Errorf("%s: write: disk %s forgets what is written (snapshot): %w", s.part, s.disk.Role, wire.ErrUnsupported)
	}
	return s.still(ctx, "write", func() error { return s.overwrite(ctx, off, b) })
}

// still does something with the disk while nobody switches the machine, which has no power.
func (s *Storage) still(ctx context.Context, op string, do func() error) error {
	leave, err := s.m.enter(ctx)
	if err != nil {
		return fault(ctx, s.part, op, err)
	}
	defer leave()
	s.m.mu.Lock()
	runs, closed := s.m.run != nil, s.m.closed
	s.m.mu.Unlock()
	switch {
	case closed:
		return fault(ctx, s.part, op, os.ErrClosed)
	case runs:
		return fmt.Errorf("%s: %s: machine %s: %w", s.part, op, s.m.conf.Name, wire.ErrRuns)
	}
	return do()
}

// overwrite has qemu-io write what stands in a file beside the disk.
func (s *Storage) overwrite(ctx context.Context, off int64, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	op := fmt.Sprintf("write %d bytes at %d of disk %s", len(b), off, s.disk.Role)
	if err := s.m.makeOverlays(ctx); err != nil {
		return fault(ctx, s.part, op, err)
	}
	name := s.disk.Role + ".write" // its commands know no quotes: a name without a path
	file := filepath.Join(s.m.conf.Scratch, name)
	defer func() { _ = os.Remove(file) }() // the folder is ours, and goes as a whole
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return fault(ctx, s.part, op, err)
	}
	cmd := exec.CommandContext(ctx, "qemu-io", "-f", "qcow2", "-c", fmt.Sprintf("write -q -s %s %d %d", name, off, len(b)), s.m.overlay(s.disk)) //nolint:gosec // numbers, and names of ours
	cmd.Dir, cmd.WaitDelay = s.m.conf.Scratch, time.Second
	if out, err := cmd.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		return fault(ctx, s.part, op, fmt.Errorf("qemu-io: %.300q: %w", bytes.TrimSpace(out), cmp.Or(err, errRefused)))
	}
	return nil
}

// errRefused is qemu-io's that says something, and ends well.
var errRefused = errors.New("it says more than nothing")

// copy reads the disk.
func (s *Storage) copy(ctx context.Context, w io.Writer) error {
	from, format := under(s.m.conf.Dir, s.disk.File), s.disk.Format
	if s.m.made[s.disk.Role] && !s.disk.Snapshot {
		from, format = s.m.overlay(s.disk), "qcow2"
	}
	raw := filepath.Join(s.m.conf.Scratch, s.disk.Role+".raw")
	defer func() { _ = os.Remove(raw) }() // the folder is ours, and goes as a whole
	cmd := exec.CommandContext(ctx, "qemu-img", "convert", "-f", format, "-O", "raw", from, raw)
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fault(ctx, s.part, "read disk "+s.disk.Role, fmt.Errorf("qemu-img: %w: %.300q", err, bytes.TrimSpace(out)))
	}
	f, err := os.Open(raw) //nolint:gosec // a file of ours
	if err != nil {
		return fault(ctx, s.part, "read disk "+s.disk.Role, err)
	}
	_, err = io.Copy(w, f)
	return errors.Join(err, f.Close())
}

// Close gives the machine back.
func (s *Storage) Close() error {
	var err error
	s.once.Do(func() { err = s.give() })
	return err
}
