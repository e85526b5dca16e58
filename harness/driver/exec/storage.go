package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rigor/harness/wire"
)

// FileArg stands in the arguments of a program for the path of a file.
const FileArg = "${file}"

// Storage is a memory of the DUT behind a program that copies it to a file, such as
// flashrom. The path of the file, which is not there yet, is put for FileArg in the
// program's arguments; a program that ends with code 0 has written all of it. What it says
// is shown where it fails.
//
// Writing is another program, which is given the path of a file with all of the memory as
// it is to be: what was read just before, with the bytes that change.
type Storage struct {
	read, write Command
	size        int64
	session
}

var _ wire.Programmer = (*Storage)(nil)

// maxStorage bounds the image that a program may write: 4 GiB, a card.
const maxStorage = 4 << 30

// NewStorage makes a memory of a program that reads it and, where write has arguments, of
// one that writes it. Size is that of the memory in bytes; 0 takes what is read. It
// runs nothing yet.
func NewStorage(read, write Command, size int64) (*Storage, error) {
	err := read.Validate()
	if size < 0 || size > maxStorage {
		err = errors.Join(err, fmt.Errorf("exec %q: size %d: want up to %d", read.Part, size, int64(maxStorage)))
	}
	for _, c := range []Command{read, write} {
		if len(c.Argv) > 0 && !slices.ContainsFunc(c.Argv, func(a string) bool { return strings.Contains(a, FileArg) }) {
			err = errors.Join(err, fmt.Errorf("exec %q: no argument of %s has %s, the path of the file", read.Part, c.Argv[0], FileArg))
		}
	}
	if len(write.Argv) > 0 {
		err = errors.Join(err, write.Validate())
	}
	if err != nil {
		return nil, err
	}
	return &Storage{read: read, write: write, size: size, session: newSession()}, nil
}

// Size gives the declared size in bytes, 0 where none is.
func (s *Storage) Size() int64 { return s.size }

// Read runs the program and copies what it wrote to w. An image of another size than
// declared, or of none, is a *wire.Fault.
func (s *Storage) Read(ctx context.Context, w io.Writer) error {
	return s.inFolder(func(dir string) error {
		path, err := s.image(ctx, dir)
		if err != nil {
			return err
		}
		return s.copy(path, w)
	})
}

// Write reads the memory, changes len(b) bytes from off, and has the second program write
// all of it.
func (s *Storage) Write(ctx context.Context, off int64, b []byte) error {
	if len(s.write.Argv) == 0 {
		return fmt.Errorf("%s: write: %w: no program for it is given", s.read.Part, wire.ErrUnsupported)
	}
	return s.inFolder(func(dir string) error {
		path, err := s.image(ctx, dir)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return s.read.fault(fmt.Errorf("open the image: %w", err))
		}
		st, err := f.Stat()
		if err == nil && (off < 0 || off+int64(len(b)) > st.Size()) {
			err = fmt.Errorf("%d bytes at %#x lie outside of the %d bytes of the memory", len(b), off, st.Size())
		}
		if err == nil {
			_, err = f.WriteAt(b, off)
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return s.write.fault(fmt.Errorf("change the image: %w", err))
		}
		return s.runOn(ctx, s.write, path)
	})
}

// inFolder gives f a folder of its own for the image, which only we can read: it is
// full of secrets.
func (s *Storage) inFolder(f func(dir string) error) error {
	dir, err := os.MkdirTemp("", "rigor-storage-")
	if err != nil {
		return s.read.fault(fmt.Errorf("make a folder for the image: %w", err))
	}
	defer func() { _ = os.RemoveAll(dir) }() // a folder of ours for temporary files
	return f(dir)
}

// image runs the reading program and gives the file that it wrote.
func (s *Storage) image(ctx context.Context, dir string) (path string, err error) {
	path = filepath.Join(dir, "image")
	if err := s.runOn(ctx, s.read, path); err != nil {
		return "", err
	}
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return "", s.read.fault(fmt.Errorf("%w: it ended well and wrote no image: %w", ErrAnswer, err))
	case !st.Mode().IsRegular():
		return "", s.read.fault(fmt.Errorf("%w: what it wrote is no file", ErrAnswer))
	case st.Size() == 0 || st.Size() > maxStorage || s.size > 0 && st.Size() != s.size:
		want := "up to " + fmt.Sprint(int64(maxStorage))
		if s.size > 0 {
			want = fmt.Sprint(s.size)
		}
		return "", s.read.fault(fmt.Errorf("%w: an image of %d bytes, want %s", ErrAnswer, st.Size(), want))
	}
	return path, nil
}

func (s *Storage) copy(path string, w io.Writer) error {
	f, err := os.Open(path) //nolint:gosec // a file that we had made
	if err != nil {
		return s.read.fault(fmt.Errorf("open the image: %w", err))
	}
	defer func() { _ = f.Close() }() // it was only read
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("%s: copy the image: %w", s.read.Part, err)
	}
	return nil
}

// runOn runs a program with the path put in.
func (s *Storage) runOn(ctx context.Context, c Command, path string) error {
	c.Argv = slices.Clone(c.Argv)
	for i, a := range c.Argv {
		c.Argv[i] = strings.ReplaceAll(a, FileArg, path)
	}
	return s.guarded(ctx, c, func(ctx context.Context) error {
		out, err := c.run(ctx, nil)
		if err != nil && errors.Is(ctx.Err(), context.Canceled) {
			return fmt.Errorf("%s: run %s: %w", c.Part, filepath.Base(c.Argv[0]), ctx.Err())
		}
		if err != nil && len(out) > 0 {
			err = fmt.Errorf("%w; and on its output %s", err, c.showEnd(out))
		}
		if err != nil {
			return c.fault(err)
		}
		return nil
	})
}
