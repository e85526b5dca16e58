package web_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rigor/harness/login"
	"rigor/harness/login/internal/peers"
	"rigor/harness/login/web"
	"rigor/harness/verdict"
)

// Tries per second against nginx, beside hydra with as many connections:
//
//	go test -run '^$' -bench Tries -benchtime 5x ./harness/login/...
func BenchmarkTries(b *testing.B) {
	const tries, parallel = 200, 4
	address := nginx(b, site(b), "", nginxBasic, false)
	creds := make([]login.Credential, tries)
	var list strings.Builder
	for i := range creds {
		creds[i] = login.Credential{User: "admin", Password: fmt.Sprintf("wrong-%d", i)}
		fmt.Fprintln(&list, creds[i].Password)
	}
	b.Run("rigor", func(b *testing.B) {
		p, err := web.New(at(address, nil))
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			err := login.Sweep(b.Context(), p, creds, parallel, func(r login.Result) bool {
				if r.Outcome.Kind != verdict.Refused {
					b.Error(r.Outcome)
				}
				return true
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N*tries)/b.Elapsed().Seconds(), "tries/s")
	})
	b.Run("hydra", func(b *testing.B) {
		hydra := peers.Need(b, "hydra", "hydra")
		passwords := peers.Write(b, filepath.Join(b.TempDir(), "list"), list.String())
		for b.Loop() {
			out, err := exec.Command(hydra, "-I", "-l", "admin", "-P", passwords, "-t", fmt.Sprint(parallel),
				"-s", peers.PortOf(address), "127.0.0.1", "http-get", "/status.txt").CombinedOutput()
			if err != nil && !strings.Contains(string(out), "0 valid password") {
				b.Fatalf("%v: %s", err, out)
			}
		}
		b.ReportMetric(float64(b.N*tries)/b.Elapsed().Seconds(), "tries/s")
	})
}
