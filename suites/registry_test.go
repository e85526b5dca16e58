package suites_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rigor/harness/baseline"
	"rigor/harness/baseline/catalogue"
	"rigor/harness/check"
	"rigor/suites"
)

var idForm = regexp.MustCompile(`^(?:boot|con|cred|dat|dbg|idn|net|log|rst|upd)(?:-[a-z0-9]+)+$`)

// TestRegistry: every check that is listed says all that a reader, the planner and
// the runner need of it. That there is a weakness for each is held by the detection
// matrix's own lint.
func TestRegistry(t *testing.T) {
	known := map[baseline.Clause]bool{}
	for _, c := range catalogue.All() {
		known[c] = true
	}
	seen := map[string]string{}
	for _, s := range suites.All() {
		assert.NotEmpty(t, s.Title, s.Name)
		for _, c := range s.Checks {
			t.Run(c.ID, func(t *testing.T) {
				assert.Regexp(t, idForm, c.ID)
				assert.Empty(t, seen[c.ID], "another check has this id")
				seen[c.ID] = s.Name
				assert.NotEmpty(t, c.Title)
				assert.False(t, strings.HasSuffix(c.Title, "."), "a title is no sentence with a full stop")
				require.NotEmpty(t, c.Clauses.All(), "it is about no clause")
				for _, cl := range c.Clauses.All() {
					assert.True(t, known[cl], "%v is in no catalogue of clauses", cl)
				}
				assert.NotNil(t, c.Cases)
				assert.NotNil(t, c.Run)
				assert.Positive(t, c.Budget.Case, "a case without a budget never ends")
				if slices.Contains(c.Allow, check.Supply) {
					assert.GreaterOrEqual(t, c.Budget.Case, 10*time.Minute, "it boots the device, as long as the maker says that this takes")
				}
			})
		}
	}
}

// TestAFileForEachCheck: a check stands in a file of its own, under a name of its
// own and a comment that says what it claims.
func TestAFileForEachCheck(t *testing.T) {
	listed := map[string]bool{}
	for _, s := range suites.All() {
		for _, c := range s.Checks {
			listed[c.ID] = true
		}
	}
	files, err := filepath.Glob("*/*.go")
	require.NoError(t, err)
	fset := token.NewFileSet()
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, file, nil, parser.ParseComments)
		require.NoError(t, err)
		var here []string
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				v, ok := spec.(*ast.ValueSpec)
				if !ok || len(v.Values) != 1 {
					continue
				}
				id := checkID(v.Values[0])
				if id == "" {
					continue
				}
				here = append(here, id)
				name := v.Names[0].Name
				assert.True(t, ast.IsExported(name), "%s: %s", file, name)
				assert.True(t, listed[id], "%s: %s is in no suite: it does not run", file, id)
				delete(listed, id)
				assert.True(t, strings.HasPrefix(g.Doc.Text(), name+":") || strings.HasPrefix(g.Doc.Text(), name+" "), "%s: the comment of %s does not begin with it", file, name)
				assert.GreaterOrEqual(t, len(g.Doc.Text()), 40, "%s: the comment of %s does not say what is claimed", file, name)
			}
		}
		assert.LessOrEqual(t, len(here), 1, "%s has the checks %v: one file for each", file, here)
	}
	assert.Empty(t, listed, "checks that stand in no file of a suite")
}

// checkID gives the id where an expression is a check.Check, and "" elsewhere.
func checkID(e ast.Expr) string {
	lit, ok := e.(*ast.CompositeLit)
	if !ok {
		return ""
	}
	if sel, ok := lit.Type.(*ast.SelectorExpr); !ok || sel.Sel.Name != "Check" {
		return ""
	}
	for _, el := range lit.Elts {
		kv, ok := el.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		if k, ok := kv.Key.(*ast.Ident); ok && k.Name == "ID" {
			if b, ok := kv.Value.(*ast.BasicLit); ok {
				return strings.Trim(b.Value, `"`)
			}
		}
	}
	return ""
}
