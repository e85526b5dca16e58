package dut

import (
	"sync/atomic"
	"time"

	"rigor/harness/console"
)

// instant is a moment that all devices over sessions of a run share. It keeps the
// monotonic clock's reading: a rig's time of day may be set in mid run.
type instant struct{ at atomic.Pointer[time.Time] }

func (i *instant) set(t time.Time) { i.at.Store(&t) }

// get gives the zero time where none was set.
func (i *instant) get() time.Time {
	if t := i.at.Load(); t != nil {
		return *t
	}
	return time.Time{}
}

// cameUp notes that the end of a boot was seen, by the text that ends before a cursor.
func (d *Device) cameUp(con *Console, to console.Cursor) {
	d.up.set(time.Now())
	if at := con.NotBefore(to - 1); at.After(d.notUp.get()) {
		d.notUp.set(at)
	}
	d.moved()
}

// UpSince gives when the DUT was seen to end its last boot, or where nothing shows
// that, when it was switched on: the zero time where this run did neither. On a busy
// computer it is seen late.
func (d *Device) UpSince() time.Time { return d.up.get() }

// NotUpAt gives a moment at which the last boot that was seen had not yet ended, as late
// a one as is shown: when the console had nothing yet of what shows the end, or where
// its port cannot tell, when the DUT was switched on. Whatever the DUT counts from the
// end of its boot on it has begun to count later. The zero time: none is known.
func (d *Device) NotUpAt() time.Time { return d.notUp.get() }

// DownSince gives when the DUT was last switched off, and was off for certain: the zero
// time where this run never did that.
func (d *Device) DownSince() time.Time { return d.down.get() }
