package credential_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets more of the tests run at a time than there are processors: they
// wait for a device most of the time. A flag of the command line wins.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
