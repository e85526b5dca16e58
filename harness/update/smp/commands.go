package smp

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// The commands by their numbers in their groups.
const (
	idEcho   = 0
	idReset  = 5
	idParams = 6

	idState  = 0
	idUpload = 1
	idErase  = 5
)

// none is the body of a request that says nothing.
type none struct{}

// Echo has the device say a text back, and gives what it says: at most some 80
// bytes for MCUboot. It proves that somebody speaks SMP.
func (c *Client) Echo(ctx context.Context, text string) (string, error) {
	var a struct {
		R string `cbor:"r"`
	}
	err := c.ask(ctx, request{what: "echo", op: opWrite, group: GroupOS, id: idEcho, within: c.o.Answer, tries: c.o.Tries, body: struct {
		D string `cbor:"d"`
	}{text}}, &a)
	return a.R, err
}

// Params are the device's buffers.
type Params struct {
	Size  int `cbor:"buf_size"` // of one in bytes: what Options.MTU may be
	Count int `cbor:"buf_count"`
}

// Params asks for the device's buffers. Many a device has no such command: a
// *CodeError with the code ENOTSUP.
func (c *Client) Params(ctx context.Context) (Params, error) {
	var a Params
	err := c.ask(ctx, request{what: "mcumgr parameters", op: opRead, group: GroupOS, id: idParams, within: c.o.Answer, tries: c.o.Tries, body: none{}}, &a)
	return a, err
}

// Reset restarts the device. It is asked once: where no answer comes, the device
// may have restarted all the same.
func (c *Client) Reset(ctx context.Context) error {
	return c.ask(ctx, request{what: "reset", op: opWrite, group: GroupOS, id: idReset, within: c.o.Answer, tries: 1, body: none{}}, nil)
}

// Image is a slot's image as the device tells of it. What a device does not tell
// is zero; MCUboot lists no image that its verifier refuses.
type Image struct {
	Image     int    `cbor:"image"`
	Slot      int    `cbor:"slot"`
	Version   string `cbor:"version"`
	Hash      []byte `cbor:"hash"` // of the image's TLV: 32, 48 or 64 bytes
	Bootable  bool   `cbor:"bootable"`
	Pending   bool   `cbor:"pending"`
	Confirmed bool   `cbor:"confirmed"`
	Active    bool   `cbor:"active"`
	Permanent bool   `cbor:"permanent"`
}

type images struct {
	Images []Image `cbor:"images"`
}

// Images lists what is in the slots. A device may verify each first.
func (c *Client) Images(ctx context.Context) ([]Image, error) {
	var a images
	err := c.ask(ctx, request{what: "image list", op: opRead, group: GroupImage, id: idState, within: c.o.Answer, tries: c.o.Tries, body: none{}}, &a)
	return a.Images, err
}

// SetState has the image with a hash tried at the next start (confirm false), or
// kept for good; without a hash, the one that runs. It gives the list of images
// as it is then. It is asked once, since a second time is an error to MCUboot:
// where no answer comes, Images tells what holds.
func (c *Client) SetState(ctx context.Context, hash []byte, confirm bool) ([]Image, error) {
	var a images
	err := c.ask(ctx, request{what: "image state", op: opWrite, group: GroupImage, id: idState, within: c.o.Erase, tries: 1, body: struct {
		Hash    []byte `cbor:"hash,omitempty"`
		Confirm bool   `cbor:"confirm"`
	}{hash, confirm}}, &a)
	return a.Images, err
}

// Erase erases a slot. MCUboot has no such command.
func (c *Client) Erase(ctx context.Context, slot int) error {
	return c.ask(ctx, request{what: fmt.Sprintf("erase slot %d", slot), op: opWrite, group: GroupImage, id: idErase, within: c.o.Erase, tries: 1, body: struct {
		Slot int `cbor:"slot"`
	}{slot}}, nil)
}

// Upload says how to upload an image.
type Upload struct {
	Image   int  // number of the image, or of the slot plus one where a device takes that
	SHA     bool // send the SHA-256 of the upload: a device may go on with one that broke off, and compare it at the end
	Upgrade bool // only if the version is higher; MCUboot does not look
	// Progress is told how many bytes of how many the device has taken. It must
	// not block.
	Progress func(taken, total int)
}

// Uploaded says what of an image went over, also where the upload failed.
type Uploaded struct {
	Taken   int   // bytes that the device says that it has
	Sent    int   // up to which byte of the image something was sent, and the device answered
	Had     int   // bytes of them that it said to have when it got the first ones: they were not sent
	Rewinds int   // times that it wanted bytes again that it had said to have
	Match   *bool // whether what it has is what SHA says; nil where it does not tell
}

type chunk struct {
	Image   *int   `cbor:"image,omitempty"`
	Len     *int   `cbor:"len,omitempty"`
	Off     int    `cbor:"off"`
	SHA     []byte `cbor:"sha,omitempty"`
	Data    []byte `cbor:"data"`
	Upgrade bool   `cbor:"upgrade,omitempty"`
}

// Upload uploads an image. Where it returns nil, the device has said that it has
// each byte, which is not that it will boot it.
//
// The last bytes are sent once: what a device that checks the image at its end
// says of that is in that one answer. Where it is lost, the error is a
// *LineError, and the upload is to be made anew.
func (c *Client) Upload(ctx context.Context, image []byte, u Upload) (Uploaded, error) {
	var r Uploaded
	for stuck := 0; ; {
		from := r.Taken
		q, err := c.chunk(image, from, u)
		if err != nil {
			return r, err
		}
		req := request{
			what: fmt.Sprintf("image upload at byte %d of %d", from, len(image)), op: opWrite, group: GroupImage, id: idUpload,
			within: c.o.Answer, tries: c.o.Tries, body: q,
		}
		end := from + len(q.Data)
		if from == 0 || end == len(image) {
			req.within = c.o.Erase
		}
		if end == len(image) {
			req.tries = 1
		}
		var a struct {
			Off   *int  `cbor:"off"`
			Match *bool `cbor:"match"`
		}
		err = c.ask(ctx, req, &a)
		var no *CodeError
		if err == nil || errors.As(err, &no) {
			r.Sent = max(r.Sent, end)
		}
		if err != nil {
			return r, err
		}
		switch {
		case a.Off == nil:
			return r, c.broken(req.what, "an answer without an offset")
		case *a.Off < 0 || *a.Off > len(image) || *a.Off > end && from > 0:
			return r, c.broken(req.what, "the device wants to go on at byte %d, behind what was sent", *a.Off)
		case *a.Off < from:
			r.Rewinds++
			stuck++
		case *a.Off == from && len(q.Data) > 0:
			stuck++
		default:
			stuck = 0
			r.Had += max(0, *a.Off-end)
		}
		r.Taken = *a.Off
		if u.Progress != nil {
			u.Progress(r.Taken, len(image))
		}
		if r.Match = a.Match; r.Taken == len(image) {
			return r, nil
		}
		if stuck >= c.o.Tries || r.Rewinds >= c.o.Tries {
			return r, c.broken(req.what, "the device does not get on (%d rewinds)", r.Rewinds)
		}
	}
}

// chunk gives the next piece of an image, as long as the device's buffer takes.
func (c *Client) chunk(image []byte, from int, u Upload) (*chunk, error) {
	q := &chunk{Off: from, Data: []byte{}}
	if from == 0 {
		total := len(image)
		q.Len, q.Upgrade = &total, u.Upgrade
		if u.Image != 0 {
			q.Image = &u.Image
		}
		if u.SHA {
			sum := sha256.Sum256(image)
			q.SHA = sum[:]
		}
	}
	bare, err := cbor.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("image upload: %w", err)
	}
	room := c.o.MTU - headerLen - around - len(bare) - 2 // a longer length of the data
	if room < 1 {
		return nil, fmt.Errorf("image upload: an MTU of %d bytes has no room for data", c.o.MTU)
	}
	// Flash takes whole words: what is left over would be asked for again.
	if room >= 64 {
		room -= room % 32
	}
	q.Data = image[from:min(from+room, len(image))]
	return q, nil
}
