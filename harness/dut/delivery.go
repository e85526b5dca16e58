package dut

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"rigor/harness/steps"
	"rigor/harness/verdict"
)

// Delivery is what became of an image. Its kind is Refused where the DUT said no as it
// is declared to, and never Accepted: that an image runs is seen behind a restart.
type Delivery struct {
	Answer
	Taken   bool    // the DUT said that it has taken it, as the steps expect
	Carried int     // bytes that went over, of what had to: -1 where it is not told
	Of      int     // bytes that had to
	Fetches []Fetch // of the DUT, where it fetches
	Said    string  // the version that it says it has taken, where the steps extract "taken"
	Early   bool    // the DUT may say no before all of the image went over, as declared
	// SaysWhole says that it answered as it does to an image alone that it has got whole,
	// as declared.
	SaysWhole bool
	// Erred says that its server answered that the error is its own: a status from 500 on
	// (RFC 9110, section 15.6). Where it fetches, that counts of what it has fetched whole
	// alone: who cannot reach the rig says no other.
	Erred bool
	// Shut says that the DUT said that who delivers may not, and so nothing of the image.
	Shut  bool
	Began time.Time // when its steps began
	Sent  time.Time // when the last of the image went over; zero where nothing tells
}

// Got is from when on the DUT had all of it, as far as the rig knows: it had nothing
// before.
func (d Delivery) Got() time.Time {
	if d.Sent.Before(d.Began) {
		return d.Began
	}
	return d.Sent
}

// Done is when the DUT had answered.
func (d Delivery) Done() time.Time { return d.Began.Add(d.Took) }

// shut says whether an answer is one to who may not deliver anything.
func (u *Update) shut(se *steps.StepError, kind verdict.Kind) bool {
	if kind == verdict.Refused || kind == verdict.Unreachable {
		return false
	}
	if se.Status == http.StatusUnauthorized || se.Status == http.StatusForbidden {
		return true
	}
	no, _ := refusalOf(se, u.decl.Stranger.Refused)
	return no == verdict.Refused
}

// erred gives Erred of an answer's status.
func erred(status int, fetches bool, d Delivery) bool {
	return status >= http.StatusInternalServerError && (!fetches || d.Whole())
}

// Whole says whether it is shown that all of the image went over. Where nobody tells, it
// is not: a transfer that broke is answered with a no as well. Of an image without a byte
// nothing had to.
func (d Delivery) Whole() bool { return d.SaysWhole || d.Of == 0 || d.Told() && d.Carried >= d.Of }

// Told says whether it is told how much went over.
func (d Delivery) Told() bool { return d.Carried >= 0 }

// Refuses says whether the DUT has refused what was delivered, and nothing less: all of it
// went over, or it may say no before.
func (d Delivery) Refuses() bool { return d.Kind == verdict.Refused && (d.Whole() || d.Early) }

// Reach says how much went over.
func (d Delivery) Reach() string {
	switch {
	case d.SaysWhole:
		return "as declared, the DUT says that of whole images alone"
	case !d.Told():
		return fmt.Sprintf("how many of its %d bytes had gone over is not told", d.Of)
	}
	return fmt.Sprintf("%d of its %d bytes had gone over", d.Carried, d.Of)
}

// carrying notes what goes to the DUT in one run of steps.
type carrying struct {
	image  Image
	n, of  int       // of all files that went
	told   bool      // the image was among them
	last   time.Time // when the last of the image went
	served *served
}

// isImage says whether a file is the image itself: what goes beside it (a checksum, a
// command, a list of files) says nothing of it.
func (c *carrying) isImage(file []byte) bool { return bytes.Equal(file, c.image.Bytes) }

// carriedValue names the value by which steps tell how many bytes of the image went over:
// where a program or a person carries it, or the DUT counts what it gets.
const carriedValue = "carried"

// delivery gives what is known of how much went over, by what carried it and by what the
// steps tell in vars. Where both tell, it is the lesser.
func (c *carrying) delivery(img Image, vars map[string]string) Delivery {
	d := Delivery{Carried: -1, Of: len(img.Bytes), Said: vars["taken"]}
	if c.told { // else it was another file
		d.Carried, d.Of, d.Sent = c.n, c.of, c.last
	}
	if c.served != nil {
		var last time.Time
		d.Fetches, d.Carried, last = c.served.got()
		d.Of = len(img.Bytes)
		if last.After(d.Sent) {
			d.Sent = last
		}
	}
	if n, err := strconv.Atoi(vars[carriedValue]); err == nil && n >= 0 {
		if !d.Told() || d.Carried >= d.Of || n < d.Carried {
			d.Carried, d.Of = n, len(img.Bytes)
		}
	}
	return d
}
