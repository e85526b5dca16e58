package harness

import (
	"context"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "rigor/"

// listed is what the go command says of a package.
type listed struct {
	ImportPath   string
	Dir          string
	Standard     bool
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// all gives every import, those of its tests too.
func (p *listed) all() []string { return slices.Concat(p.Imports, p.TestImports, p.XTestImports) }

// goList asks the go command for the packages of the module, once for all tests: the
// context of one of them would end before the others.
var goList = sync.OnceValues(func() ([]byte, error) {
	cmd := exec.CommandContext(context.Background(), "go", "list", "-e", "-json=ImportPath,Dir,Standard,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = ".."
	return cmd.Output()
})

// packages gives the packages of the module.
func packages(t *testing.T) []listed {
	t.Helper()
	out, err := goList()
	require.NoError(t, err)
	var ps []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		ps = append(ps, p)
	}
	require.Greater(t, len(ps), 20)
	return ps
}

// lines are the packages of the harness in their order: each imports only from
// lines above its own, or from below its own name.
var lines = []string{"abreast", "late", "beside", "verdict", "baseline", "escape", "strictyaml", "wire", "dap", "powercut", "portscan", "vcd", "capture", "firmware", "canary", "journal", "profile", "shelf", "driver", "console", "debugport", "login",
	"update", "steps", "dut", "state", "check", "rig", "survey", "runner", "matrix", "gotest", "report"}

// layers are the folders of the module, the lowest first. Suites and rigs do
// not know each other.
var layers = map[string]int{"harness": 1, "fixtures": 2, "rigs": 3, "suites": 3, "cmd": 4}

// split gives the layer of a package of ours, and the line in the harness.
func split(path string) (layer, line string, ours bool) {
	rest, ours := strings.CutPrefix(path, module)
	layer, rest, _ = strings.Cut(rest, "/")
	line, _, _ = strings.Cut(rest, "/")
	return layer, line, ours
}

// TestLayers: imports go one way, in tests too.
func TestLayers(t *testing.T) {
	for _, p := range packages(t) {
		layer, line, ours := split(p.ImportPath)
		require.True(t, ours, p.ImportPath)
		require.Contains(t, layers, layer, "%s is in no folder of the house", p.ImportPath)
		if layer == "harness" && line != "" {
			require.Contains(t, lines, line, "%s has no line in the house", p.ImportPath)
		}
		for _, imp := range p.all() {
			toLayer, toLine, ours := split(imp)
			if !ours {
				continue
			}
			inTest := !slices.Contains(p.Imports, imp)
			switch {
			case toLayer == layer && layer != "harness":
			case layer == "suites" && toLayer == "rigs" && inTest:
			case toLayer == layer && line != "":
				assert.True(t, line == toLine || slices.Index(lines, toLine) < slices.Index(lines, line), "%s imports %s, whose line is below its own", p.ImportPath, imp)
			default:
				assert.Less(t, layers[toLayer], layers[layer], "%s imports %s", p.ImportPath, imp)
			}
		}
	}
}

// TestFoundations: what everything stands on needs nothing but the standard
// library, and of others' the one vocabulary of pins.
func TestFoundations(t *testing.T) {
	allowed := map[string][]string{"verdict": nil, "escape": nil, "wire": {"periph.io/x/conn/v3"},
		"journal": {module + "harness/verdict", module + "harness/baseline", module + "harness/escape", module + "harness/journal"},
		"report":  {module + "harness/verdict", module + "harness/baseline", module + "harness/escape", module + "harness/journal", module + "harness/report"}}
	for _, p := range packages(t) {
		layer, line, _ := split(p.ImportPath)
		may, bound := allowed[line]
		if layer != "harness" || !bound {
			continue
		}
		for _, imp := range p.Imports {
			if first, _, _ := strings.Cut(imp, "/"); !strings.Contains(first, ".") && !strings.HasPrefix(imp, module) {
				continue // the standard library
			}
			assert.True(t, slices.ContainsFunc(may, func(m string) bool { return imp == m || strings.HasPrefix(imp, m+"/") }), "%s imports %s", p.ImportPath, imp)
		}
	}
}

// TestDeviceApart: probe and reference device share no code but the words for
// wires.
func TestDeviceApart(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath != module+"fixtures/virtual" && !strings.HasPrefix(p.ImportPath, module+"fixtures/virtual/") {
			continue
		}
		for _, imp := range p.all() {
			if strings.HasPrefix(imp, module+"harness") {
				assert.Equal(t, module+"harness/wire", imp, "%s", p.ImportPath)
			}
		}
	}
}

// TestOneImporter: the library of an instrument is known to its driver alone.
func TestOneImporter(t *testing.T) {
	libraries := map[string]string{"go.bug.st/serial": "driver/serial", "periph.io/x/host/v3": "driver/gpio", "gvisor.dev/gvisor": "driver/cable"}
	seen := map[string]bool{}
	for _, p := range packages(t) {
		for _, imp := range p.Imports {
			for lib, driver := range libraries {
				if imp == lib || strings.HasPrefix(imp, lib+"/") {
					seen[lib] = true
					assert.Equal(t, module+"harness/"+driver, p.ImportPath, "imports %s", imp)
				}
			}
		}
	}
	assert.Len(t, seen, len(libraries), "a library that nobody imports does not belong here")
}

// TestSuites: a suite speaks of the DUT, and never of instruments; it starts
// nothing that the runner cannot see.
func TestSuites(t *testing.T) {
	never := []string{"net", "os", "os/exec", "syscall", "unsafe", "runtime", module + "harness/wire", module + "harness/rig", module + "harness/runner"}
	suites := 0
	for _, p := range packages(t) {
		if !strings.HasPrefix(p.ImportPath, module+"suites/") {
			continue
		}
		suites++
		for _, imp := range p.Imports {
			for _, n := range never {
				text := imp == "net/url" // which opens nothing
				assert.False(t, !text && (imp == n || strings.HasPrefix(imp, n+"/")), "%s imports %s", p.ImportPath, imp)
			}
			assert.False(t, strings.HasPrefix(imp, module+"harness/driver"), "%s imports %s", p.ImportPath, imp)
		}
		require.NoError(t, filepath.WalkDir(p.Dir, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				noGo(t, path)
			}
			return err
		}))
	}
	assert.Positive(t, suites)
}

// noGo looks for go statements.
func noGo(t *testing.T, path string) {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, nil, 0)
	require.NoError(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		if g, ok := n.(*ast.GoStmt); ok {
			assert.Fail(t, "a go statement in a suite", "%s", fset.Position(g.Pos()))
		}
		return true
	})
}
