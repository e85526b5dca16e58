package update

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/firmware/mutant"
	"rigor/harness/shelf"
)

// TestTwin: a mutant of the next image that says what the one says that runs can be taken
// unseen, and is none; one of the image that runs is what the claim has to tell of.
func TestTwin(t *testing.T) {
	image := func(hash, payload string) *shelf.Image {
		return &shelf.Image{Shows: mutant.Shows{Version: "1.5.0", Hash: hash, Payload: payload}}
	}
	newer, second := image("3ebaf9", "e4aab7"), image("5de917", "e4aab7")
	forged := &mutant.Mutant{Shows: mutant.Shows{Version: "1.5.0", Hash: "3ebaf9", Payload: "e4aab7"}}
	assert.True(t, twin(forged, second, newer))
	assert.False(t, twin(forged, newer, newer), "made of what runs")
	assert.False(t, twin(forged, newer, second), "it runs no more")
	assert.False(t, twin(forged, second, nil))
	assert.False(t, twin(&mutant.Mutant{Shows: mutant.Shows{Version: "1.5.0", Payload: "e4aab7"}}, second, newer), "it shows no hash")
}
