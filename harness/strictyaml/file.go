package strictyaml

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// errNoFile says that a path names something that does not end, or that who
// opens it may wait for: a pipe, a device, a folder.
var errNoFile = errors.New("it is no regular file; write the text to a file and name that")

// ReadFile reads a file for Decode. It takes no more than Decode does, and a
// byte to tell that there is more.
func ReadFile(name string) ([]byte, error) {
	info, err := os.Stat(name) // before it is opened: a pipe that nobody writes to would not return
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errNoFile}
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(f, maxSize+1))
}
