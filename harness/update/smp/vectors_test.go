package smp

import (
	"context"
	"encoding/hex"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/update/stream"
)

// What newtmgr and a device of Mynewt said to each other, as mynewt-mcumgr's
// protocol.md shows it: the frames of an answer to "taskstats", and of one to
// "image list".
const taskstats = "" +
	"\x06\x09AZwBAQGSAAAAAr9icmMAZXRhc2tzv2RpZGxlv2RwcmlvGP9jdGlkAGVzdGF0ZQFmc3RrdXNlGBlmc3Rrc2l6GEBmY3N3Y250GgAUfmpncnVudGltZRoAE5xPbGxhc3Rf\n" +
	"\x04\x14Y2hlY2tpbgBsbmV4dF9jaGVja2luAP9mYmxlX2xsv2RwcmlvAGN0aWQBZXN0YXRlAmZzdGt1c2UYOmZzdGtzaXoYUGZjc3djbnQZ6pxncnVudGltZRkJRWxsYXN0X2No\n" +
	"\x04\x14ZWNraW4AbG5leHRfY2hlY2tpbgD/bmJsZXVhcnRfYnJpZGdlv2RwcmlvBWN0aWQCZXN0YXRlAWZzdGt1c2UYH2ZzdGtzaXoZAQBmY3N3Y250GgATqYNncnVudGltZQBs\n" +
	"\x04\x14bGFzdF9jaGVja2luAGxuZXh0X2NoZWNraW4A/2dibGVwcnBov2RwcmlvAWN0aWQDZXN0YXRlAWZzdGt1c2UY02ZzdGtzaXoZAVBmY3N3Y250GQqDZ3J1bnRpbWUEbGxh\n" +
	"\x04\x14c3RfY2hlY2tpbgBsbmV4dF9jaGVja2luAP///8UX\n"

const imageList = "" +
	"\x06\x09AIUBAQB7AAEAAL9maW1hZ2Vzn79kc2xvdABndmVyc2lvbmUwLjMuMGRoYXNoWCDSTLMFE1QXK7UQn5y0rnhh2W1q/fxG20gs6y00qKeO0Ghib290YWJsZfVncGVuZGlu\n" +
	"\x04\x14Z/RpY29uZmlybWVk9WZhY3RpdmX1//9rc3BsaXRTdGF0dXMA/1Nt\n"

// TestPublished: packets of other people's clients and devices, and what their
// own logs say that is in them.
func TestPublished(t *testing.T) {
	for _, c := range []struct{ name, frames, packet string }{
		// newtmgr, in protocol.md and in mynewt-core's pull request 198.
		{"taskstats, asked", "\x06\x09AAoAAAAAAAAAAiBC\n", "0000000000000002"},
		{"image list, asked", "\x06\x09AAoAAAAAAAEAADcw\n", "0000000000010000"},
		// The mcumgr tool, in mynewt-mcumgr's issue 167, MCUboot's pull request
		// 997, and with another number in Zephyr's issue 57272.
		{"image list, asked with a body", "\x06\x09AAsAAAABAAFCAKD1Mw==\n", "0000000100014200a0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			packet, err := hex.DecodeString(c.packet)
			require.NoError(t, err)
			assert.Equal(t, c.frames, string(appendFrames(nil, packet, lineMax)))
			assert.Equal(t, packet, decodeAll(t, c.frames))
		})
	}
	h, body, err := parse(decodeAll(t, taskstats))
	require.NoError(t, err)
	assert.Equal(t, header{op: 1, flags: 1, id: 2}, h)
	require.Len(t, body, 402)
	var stats struct {
		Tasks map[string]map[string]int `cbor:"tasks"`
	}
	require.NoError(t, decoding.Unmarshal(body, &stats))
	assert.Equal(t, 1288579, stats.Tasks["bleuart_bridge"]["cswcnt"])
	assert.Equal(t, taskstats, string(appendFrames(nil, h.packet(body), 131)), "its frames are as ours are, but longer")
}

// TestPublishedList: the client reads that list, behind a console's text.
func TestPublishedList(t *testing.T) {
	var got []Image
	_, err := play(t, Options{}, func(ctx context.Context, c *Client) (err error) {
		got, err = c.Images(ctx)
		return err
	}, func(f *far) {
		f.got()
		f.l.in <- []byte("\r000042 compat> " + imageList)
	})
	require.NoError(t, err)
	sum, err := hex.DecodeString("d24cb3051354172bb5109f9cb4ae7861d96d6afdfc46db482ceb2d34a8a78ed0")
	require.NoError(t, err)
	assert.Equal(t, []Image{{Version: "0.3.0", Hash: sum, Bootable: true, Confirmed: true, Active: true}}, got)
}

// TestPublishedUpload: the upload of MCUboot's own test of boot_serial is what
// the client would send.
func TestPublishedUpload(t *testing.T) {
	body, err := hex.DecodeString("a364646174615810" + "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5" + "636c656e1a000114e8636f666600")
	require.NoError(t, err)
	var theirs, ours map[string]any
	require.NoError(t, cbor.Unmarshal(body, &theirs))
	total := 70888
	p, err := cbor.Marshal(chunk{Len: &total, Data: body[8:24]})
	require.NoError(t, err)
	require.NoError(t, cbor.Unmarshal(p, &ours))
	assert.Equal(t, theirs, ours)
}

// TestPublishedStuck: the answers of a Zephyr that could not write its flash, as
// Zephyr's issue 44219 shows them: rc 0, and ever the same offset. That is no
// upload, and no refusal.
func TestPublishedStuck(t *testing.T) {
	packet, err := hex.DecodeString("0300000b00019401" + "bf62726300636f666600ff")
	require.NoError(t, err)
	h, body, err := parse(packet)
	require.NoError(t, err)
	assert.Equal(t, header{op: opWrite + 1, group: GroupImage, seq: 0x94, id: idUpload}, h)
	var r Uploaded
	_, err = play(t, Options{Tries: 3}, func(ctx context.Context, c *Client) (err error) {
		r, err = c.Upload(ctx, make([]byte, 20132), Upload{})
		return err
	}, func(f *far) {
		for range 3 {
			asked, _ := f.got()
			h.seq = asked.seq
			f.l.in <- appendFrames(nil, h.packet(body), lineMax)
		}
	})
	wantLine(t, err, stream.ErrBroken)
	assert.Zero(t, r.Taken)
}

func decodeAll(t *testing.T, frames string) []byte {
	t.Helper()
	var d decoder
	for i := range len(frames) {
		p, err := d.feed(frames[i])
		require.NoError(t, err)
		if p != nil {
			assert.Equal(t, len(frames)-1, i)
			return p
		}
	}
	require.Fail(t, "no packet")
	return nil
}
