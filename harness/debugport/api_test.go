package debugport_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// numbers are the types of a parameter that can carry a register, an address or a value.
var numbers = []string{"int", "uint", "int8", "uint8", "byte", "int16", "uint16", "int32", "uint32", "int64", "uint64", "uintptr", "string", "any",
	"AP", "APReg", "DPReg", "TargetID", "dap.AP", "dap.APReg", "dap.DPReg", "dap.TargetID"}

// carries says whether a parameter is of such a type, or room of it: what only readings go
// to is named got or into.
func carries(f *ast.Field) bool {
	switch typ := f.Type.(type) {
	case *ast.Ident:
		return slices.Contains(numbers, typ.Name)
	case *ast.SelectorExpr:
		return slices.Contains(numbers, typ.X.(*ast.Ident).Name+"."+typ.Sel.Name)
	case *ast.ArrayType, *ast.Ellipsis, *ast.MapType:
		return len(f.Names) == 0 || f.Names[0].Name != "got"
	case *ast.StructType, *ast.InterfaceType, *ast.FuncType:
		return true
	}
	return false
}

// harmless are the exported functions with two and more such parameters, and why they are
// no way to a register.
var harmless = map[string]string{
	"dap.Address":          "an access port and an address for TAR, which the Gate sends to a memory port alone",
	"dap.Transport.ReadAP": "a reading",
	"dap.Gate.Saw":         "notes what was read; sends nothing",
	"dap.Gate.SawDP":       "notes what was read; sends nothing",
	"dap.Selector.AP":      "which access port and bank; sends nothing",
	"debugport.Digits":     "text",
	"swd.New":              "two pads",
	"swd.Port.ReadAP":      "a reading",
	"jtag.New":             "four pads",
	"jtag.NewDP":           "which TAP of a chain",
	"jtag.DP.ReadAP":       "a reading",
	"jtag.Engine.Sample":   "which TAP of a chain, whose code of SAMPLE is looked up",
	"adi.Session.Ports":    "the first and the last access port whose IDR is read",
	"adi.Session.Read":     "a reading",
	"adi.Memory.Read":      "a reading",
	"openocd.Dial":         "where the program is",
	"openocd.Open":         "where the program is, and names of pads",
	"openocd.DAP.ReadAP":   "a reading",
}

// TestNoGeneralWrite looks at every exported function of the engines: none takes a register
// or an address together with a value, but those that are named above; and what is called
// write takes one of the listed writes.
func TestNoGeneralWrite(t *testing.T) {
	seen := map[string]bool{}
	count := 0
	for _, dir := range []string{"../dap", ".", "swd", "jtag", "adi", "../driver/openocd"} {
		for _, file := range files(t, dir) {
			ast.Inspect(file, func(n ast.Node) bool {
				switch d := n.(type) {
				case *ast.FuncDecl:
					if name, exported := nameOf(file.Name.Name, d); exported {
						count++
						look(t, seen, name, d.Type)
					}
					return false
				case *ast.TypeSpec:
					if i, ok := d.Type.(*ast.InterfaceType); ok && d.Name.IsExported() {
						for _, m := range i.Methods.List {
							if f, ok := m.Type.(*ast.FuncType); ok {
								look(t, seen, file.Name.Name+"."+d.Name.Name+"."+m.Names[0].Name, f)
							}
						}
					}
					return false
				}
				return true
			})
		}
	}
	for name := range harmless {
		assert.True(t, seen[name], "%s is gone", name)
	}
	assert.Greater(t, count, 80, "functions that were looked at")
}

func files(t *testing.T, dir string) (all []*ast.File) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		require.NoError(t, err)
		f, err := parser.ParseFile(token.NewFileSet(), name, src, 0)
		require.NoError(t, err)
		all = append(all, f)
	}
	return all
}

// nameOf gives a function's name with its package and receiver.
func nameOf(pkg string, d *ast.FuncDecl) (string, bool) {
	if d.Recv == nil {
		return pkg + "." + d.Name.Name, d.Name.IsExported()
	}
	typ := d.Recv.List[0].Type
	if p, ok := typ.(*ast.StarExpr); ok {
		typ = p.X
	}
	if g, ok := typ.(*ast.IndexExpr); ok { // of a type with a parameter
		typ = g.X
	}
	id := typ.(*ast.Ident)
	return pkg + "." + id.Name + "." + d.Name.Name, d.Name.IsExported() && id.IsExported()
}

func look(t *testing.T, seen map[string]bool, name string, f *ast.FuncType) {
	t.Helper()
	n, writes := 0, false
	for _, p := range f.Params.List {
		if carries(p) {
			n += max(1, len(p.Names))
		}
		switch typ := p.Type.(type) {
		case *ast.Ident:
			writes = writes || typ.Name == "Write"
		case *ast.SelectorExpr:
			writes = writes || typ.Sel.Name == "Write"
		}
	}
	seen[name] = true
	if _, ok := harmless[name]; n > 1 && !ok {
		t.Errorf("%s takes %d numbers: is it a general write?", name, n)
	}
	last := name[strings.LastIndex(name, ".")+1:]
	for _, word := range []string{"Write", "Set", "Poke", "Store", "Program", "Erase", "Unlock", "Scan", "Send", "Command"} {
		if strings.HasPrefix(last, word) && last != "SetRetries" && last != "WriteVCD" && last != "WriteLog" && !writes {
			t.Errorf("%s writes, and takes none of the listed writes", name)
		}
	}
}
