package protection_test

import (
	"os"
	"testing"

	"rigor/rigs/rigtest"
)

func TestMain(m *testing.M) { os.Exit(rigtest.Main(m)) }
