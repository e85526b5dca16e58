package ofmcuboot_test

import (
	"errors"
	"fmt"

	"rigor/harness/firmware/mcuboot"
	"rigor/harness/firmware/mutant"
	"rigor/harness/firmware/mutant/ofmcuboot"
	"rigor/harness/firmware/stranger"
)

// A check of unsigned images: which mutants there are is known before the run, and each
// is made when it is its turn.
func Example() {
	maker, _ := stranger.Key(stranger.ED25519) // for once the maker
	img := &mcuboot.Image{Version: mcuboot.Version{Major: 1, Minor: 5}, Payload: []byte("firmware"), Protected: []mcuboot.TLV{mcuboot.CounterTLV(5)}}
	if err := img.Sign(maker, mcuboot.SignOptions{}); err != nil {
		fmt.Println(err)
		return
	}
	newer, _ := img.Marshal()
	trusted, _ := mcuboot.NewKey(maker.Public())
	set, err := ofmcuboot.Plan(newer, ofmcuboot.Options{Seed: 1, Keys: []mcuboot.Key{trusted}})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range set.Of(mutant.Unsigned, mutant.Downgrade) {
		m, err := r.Make()
		if errors.Is(err, mutant.ErrUnmade) {
			fmt.Println(err)
			continue
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(m.Name, "lacks", m.Lacks, "and would show", m.Shows.Version)
	}
	// Output:
	// unsigned lacks authenticity and would show 1.5.1+0
	// unsigned-key-named lacks authenticity and would show 1.5.1+0
	// unsigned-no-tlvs lacks integrity and would show 1.5.1+0
	// mutant older: it cannot be made of this parent: no older image was given
}
