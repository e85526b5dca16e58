package swu

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"slices"

	"rigor/harness/firmware/internal/refusal"
)

// Installed gives what swupdate writes of a file of the package: its bytes, unpacked as
// the description says, of which at most as many as given are made. Files packed with zlib
// (which is gzip's format there) are unpacked; for zstd and xz it gives an error.
func (a *Archive) Installed(name string, most int64) ([]byte, error) {
	at := a.Find(name)
	if at < 0 {
		return nil, fmt.Errorf("the package has no file %q", name)
	}
	about := a.Find(DescriptionName)
	if about < 0 {
		return nil, refusal.Of(ErrMalformed, "the package has no description")
	}
	d, err := ParseDescription(a.Members[about].Data)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(d.Entries, func(e Entry) bool { return e.File.Value == name })
	if i < 0 {
		return nil, fmt.Errorf("the description installs no file %q", name)
	}
	data := a.Members[at].Data
	switch how := d.Entries[i].Compressed; how {
	case "", "false":
		if int64(len(data)) > most {
			return nil, fmt.Errorf("%q has %d bytes, and there is room for %d", name, len(data), most)
		}
		return data, nil
	case "zlib", "true":
		return unpack(name, data, most)
	default:
		return nil, fmt.Errorf("%q is packed with %s; what is unpacked here is zlib", name, how)
	}
}

func unpack(name string, data []byte, most int64) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("unpack %q: %w", name, err)
	}
	out, err := io.ReadAll(io.LimitReader(z, most+1))
	if err != nil {
		return nil, fmt.Errorf("unpack %q: %w", name, err)
	}
	if int64(len(out)) > most {
		return nil, fmt.Errorf("%q unpacks to more than the %d bytes that there is room for", name, most)
	}
	return out, nil
}
