package reset

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"rigor/harness/steps"
)

// What says nothing has refused nothing.
func TestUnanswered(t *testing.T) {
	assert.True(t, unanswered(fmt.Errorf("use it: %w", &steps.StepError{Unanswered: true})))
	assert.False(t, unanswered(fmt.Errorf("use it: %w", &steps.StepError{Status: 401})))
	assert.False(t, unanswered(errors.New("something else")))
	assert.False(t, unanswered(nil))
}
