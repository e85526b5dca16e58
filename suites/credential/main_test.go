package credential_test

import (
	"os"
	"testing"

	"rigor/harness/abreast"
)

func TestMain(m *testing.M) { os.Exit(abreast.Idle(m)) }
