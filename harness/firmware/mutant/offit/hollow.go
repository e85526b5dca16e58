package offit

import (
	"bytes"
	"fmt"
	"slices"

	"rigor/harness/firmware/fit"
)

// head is how much of data is looked at to tell what it is: the header of gzip, of a kernel.
const head = 64

// Hollow gives an image with zeros for the data of its configuration behind their first
// bytes, and with their hashes: a device judges it as it judges the image, and nothing of it
// runs. One that comes up with it in place of the image has started something else.
// Signatures stay as they are.
func Hollow(b []byte) ([]byte, error) {
	const doing = "make a FIT image hollow"
	img, err := fit.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	config, _ := img.Config()
	empty := bytes.Clone(b)
	for _, c := range img.Components {
		if slices.Contains(config.Images, c.Name) {
			keep := 0
			if c.Data.Length >= 2*head {
				keep = head
			}
			clear(empty[c.Data.Offset+keep : c.Data.End()])
		}
	}
	if bytes.Equal(empty, b) {
		return nil, fmt.Errorf("%s: it is", doing)
	}
	out, err := fit.Parse(empty)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	edits, err := rehashed(img, out)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	whole, err := out.Rewrite(edits...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return append(whole, b[img.Len:]...), nil
}

// rehashed gives the changes that make the hashes of what has other data right again.
func rehashed(was, img *fit.Image) (edits []fit.Edit, err error) {
	for i, c := range img.Components {
		if bytes.Equal(img.Bytes(c), was.Bytes(was.Components[i])) {
			continue
		}
		for _, h := range c.Hashes {
			sum, err := fit.Sum(h.Algo, img.Bytes(c))
			if err != nil {
				return nil, err
			}
			edits = append(edits, fit.Edit{Node: h.Path, Prop: "value", Value: sum})
		}
	}
	return edits, nil
}
