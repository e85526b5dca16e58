package update_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"rigor/harness/firmware/fit"
	"rigor/harness/firmware/mutant/ofswu"
	"rigor/harness/firmware/stranger"
	"rigor/harness/firmware/swu"
)

// Where the slots of the stand-in are in its memory.
const (
	partsSlot = 0x1800 // bytes of each
	partsSize = 0x6000
	partsA    = 0x1000
	partsB    = 0x3000
)

// partsTakes are the ways in which a loader judges what a slot begins with.
var partsTakes = map[string]func(b []byte) error{
	"hardened": func(b []byte) error {
		_, err := fit.Verifier{Keys: []*rsa.PublicKey{&partsMaker().PublicKey}}.Verify(b)
		return err
	},
	"hashes": func(b []byte) error {
		_, err := fit.Unsigned(b)
		return err
	},
	"any signature": func(b []byte) error {
		k, err := stranger.Key(stranger.RSA2048)
		if err != nil {
			return err
		}
		_, err = fit.Verifier{Keys: []*rsa.PublicKey{&partsMaker().PublicKey, &k.(*rsa.PrivateKey).PublicKey}}.Verify(b)
		return err
	},
	"no signature": func(b []byte) error {
		img, err := fit.Unsigned(b)
		if err == nil && len(img.Signatures()) > 0 {
			_, err = fit.Verifier{Keys: []*rsa.PublicKey{&partsMaker().PublicKey}}.Verify(b)
		}
		return err
	},
	"nothing": func(b []byte) error {
		_, err := fit.Parse(b)
		return err
	},
}

// partsKind is how a stand-in and its bench are.
type partsKind struct {
	takes  string // one of partsTakes
	second string // how what is in the second slot is judged; "": as in the first
	crash  string // what it shows of something that cannot run: "" for a boot that failed, or nothing
	// rescue says when it starts another medium, which nobody declared: always, behind so many
	// boots that failed (those of the starts before count with counted), or where it has
	// refused an image that is whole.
	rescue  string // "", always, behind, counted, refused
	behind  int
	forgets bool   // what it counts, where that medium comes up
	shows   string // the version that the rescue tells; "": that of what is installed
	raw     bool   // it starts kernels that are no image
	quiet   bool   // it shows no sign of a boot that failed
	once    bool   // it shows one, and does nothing more
	hangs   bool   // nor of one that it has refused for its signature, and does nothing more
	locks   int    // after so many boots that failed it starts nothing more
	frees   int    // until it was switched on with a genuine image so many times; 0: never
	signs   bool   // it shows the sign of a failed boot once while it is locked
	tires   int    // behind so many boots that failed it takes what has right hashes
	rarely  int    // it takes what is not the maker's each so-manieth time
	deafens int    // from this start on the console hears nothing
	sags    int    // each so-manieth start fails
	sagging int    // from this start on
	mends   bool   // and is tried again

	deaf    bool   // the console hears nothing
	stuck   bool   // the supply stays on
	writing string // "", nothing, elsewhere, half, unread: it is read back, and is not in the memory
}

// partsDevice starts what lies in one of two slots, of which a clip reads and writes the
// memory. What runs is told by what was installed beside it.
type partsDevice struct {
	kind partsKind

	mu      sync.Mutex
	memory  []byte
	shadow  []byte // what is read back of a memory that nothing is written into
	on, up  bool
	rescued bool
	runs    []byte // the package
	starts  int
	failed  int // boots, until one comes up
	locked  bool
	freed   int
	forged  int
	said    chan []byte
	closed  chan struct{}

	written func(memory []byte) // told of each write of the clip; may be nil

	boots  sync.WaitGroup
	cancel context.CancelFunc
}

func (d *partsDevice) say(text string) {
	d.mu.Lock()
	deaf := d.kind.deaf || d.kind.deafens > 0 && d.starts >= d.kind.deafens
	d.mu.Unlock()
	if !deaf {
		select {
		case d.said <- []byte(text + "\r\n"):
		case <-d.closed:
		}
	}
}

// power switches the supply.
func (d *partsDevice) power(on bool) {
	d.mu.Lock()
	if on == d.on || !on && d.kind.stuck {
		d.mu.Unlock()
		return
	}
	d.on, d.up, d.rescued = on, false, false
	if !on {
		cancel := d.cancel
		d.mu.Unlock()
		cancel()
		d.boots.Wait()
		return
	}
	d.starts++
	ctx, cancel := context.WithCancel(context.Background()) // a boot outlasts who switched the power on
	d.cancel = cancel
	d.mu.Unlock()
	d.boots.Go(func() { d.boot(ctx) })
}

// boot is its loader.
func (d *partsDevice) boot(ctx context.Context) {
	d.say("GX-1 loader")
	for try := 0; ; try++ {
		timer := time.NewTimer(8 * time.Millisecond)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		switch d.attempt(try) {
		case "up":
			d.say("system ready")
			return
		case "failed":
			d.say("boot failed, retrying")
		case "last":
			d.say("boot failed, retrying")
			return
		case "silent":
		case "dead":
			return
		}
	}
}

// attempt starts what can be started.
func (d *partsDevice) attempt(try int) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.kind
	comes := func(rescued bool) string {
		d.up, d.rescued = true, rescued
		if !rescued || k.forgets {
			d.failed = 0
		}
		return "up"
	}
	if d.locked && !d.frees(try) {
		if k.signs {
			return "last"
		}
		return "dead"
	}
	if k.sags > 0 && d.starts >= k.sagging && (d.starts-k.sagging)%k.sags == 0 && (try == 0 || !k.mends) {
		if k.mends {
			return "failed"
		}
		return "last"
	}
	if k.rescue == "always" || k.rescue == "behind" && try >= k.behind || k.rescue == "counted" && d.failed >= k.behind {
		return comes(true)
	}
	for i, at := range []int{partsA, partsB} {
		slot := d.memory[at : at+partsSlot]
		takes := k.takes
		if i > 0 && k.second != "" {
			takes = k.second
		}
		if k.tires > 0 && try >= k.tires {
			takes = "hashes"
		}
		img, err := fit.Parse(slot)
		if k.raw && bytes.HasPrefix(slot, []byte("a kernel of ")) {
			return comes(false)
		}
		switch refused := partsTakes[takes](slot); {
		case err != nil:
		case refused == nil && !d.works(img) && k.crash != "":
			return "dead"
		case refused == nil && d.works(img) && k.rarely > 0 && !d.genuine(slot) && d.taken(k.rarely):
		case refused == nil && d.works(img):
			if k.rescue != "counted" {
				return comes(false)
			}
			d.up = true // it counts a boot as one that failed until it ran a while
			return "up"
		case refused != nil && k.rescue == "refused":
			return comes(true)
		case refused != nil && k.hangs:
			return "dead"
		}
	}
	if d.failed++; k.locks > 0 && d.failed >= k.locks {
		d.locked, d.freed = true, 0
	}
	switch {
	case k.quiet:
		return "silent"
	case k.once:
		return "last"
	}
	return "failed"
}

// frees counts a start of a loader that starts nothing any more.
func (d *partsDevice) frees(try int) bool {
	if try > 0 || d.kind.frees == 0 || !d.genuine(d.memory[partsA:]) {
		return false
	}
	if d.freed++; d.freed >= d.kind.frees {
		d.locked, d.failed = false, 0
	}
	return !d.locked
}

func (d *partsDevice) genuine(slot []byte) bool { return partsTakes["hardened"](slot) == nil }

// taken counts what is not the maker's, and says whether it is refused this time.
func (d *partsDevice) taken(rarely int) bool {
	d.forged++
	return d.forged%rarely != 1
}

// works says whether what was taken can run at all.
func (d *partsDevice) works(img *fit.Image) bool {
	c, ok := img.Component("kernel")
	return ok && bytes.Equal(img.Bytes(c), bytes.Repeat([]byte("kernel of the gateway. "), c.Data.Length)[:c.Data.Length])
}

func (d *partsDevice) answers() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.on && d.up
}

// held gives what the memory holds.
func (d *partsDevice) held() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return bytes.Clone(d.memory)
}

func (d *partsDevice) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	say := func(status int, v any) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v)
	}
	if user, pass, ok := req.BasicAuth(); req.URL.Path != "/info" && (!ok || user != "admin" || pass != "Keeper-of-7-boxes") {
		w.Header().Set("WWW-Authenticate", `Basic realm="acme"`)
		say(http.StatusUnauthorized, "no")
		return
	}
	switch req.Method + " " + req.URL.Path {
	case "GET /info":
		say(http.StatusOK, map[string]string{"serial": "GX-9"})
	case "GET /status":
		s := ofswu.Shows(d.runs)
		if d.rescued && d.kind.shows != "" {
			s.Version, s.Hash = d.kind.shows, strings.Repeat("00", sha256.Size)
		}
		say(http.StatusOK, map[string]string{"version": s.Version, "digest": s.Hash, "pending": "", "boot": fmt.Sprint(d.starts)})
	case "POST /update":
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		v, err := swu.Verifier{Certs: []*x509.Certificate{partsCert()}}.Verify(b)
		if err != nil {
			say(http.StatusUnprocessableEntity, "refused: "+err.Error())
			return
		}
		kernel, err := v.Archive.Installed("kernel.gz", partsSlot)
		if err != nil {
			say(http.StatusUnprocessableEntity, "refused: "+err.Error())
			return
		}
		copy(d.memory[partsA:], kernel)
		d.runs = b
		say(http.StatusOK, "taken")
	default:
		say(http.StatusNotFound, "no")
	}
}
