package qemu

import (
	"bytes"
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
// written over it since the rig was opened. It is read while the machine has no power.
type Storage struct {
	part wire.Part
	m    *Machine
	disk Disk
	give func() error
	once sync.Once
}

var _ wire.Storage = (*Storage)(nil)

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

// Size gives 0: it is known after a reading.
func (s *Storage) Size() int64 { return 0 }

// Read copies the disk to w. A machine that has power, though it is held in reset, gives
// wire.ErrRuns: QEMU has the file.
func (s *Storage) Read(ctx context.Context, w io.Writer) error {
	leave, err := s.m.enter(ctx)
	if err != nil {
		return fault(ctx, s.part, "read", err)
	}
	defer leave()
	s.m.mu.Lock()
	runs, closed := s.m.run != nil, s.m.closed
	s.m.mu.Unlock()
	switch {
	case closed:
		return fault(ctx, s.part, "read", os.ErrClosed)
	case runs:
		return fmt.Errorf("%s: read: machine %s: %w", s.part, s.m.conf.Name, wire.ErrRuns)
	}
	return s.copy(ctx, w)
}

// copy reads the disk while nobody switches the machine.
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
