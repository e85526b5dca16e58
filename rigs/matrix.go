package rigs

import (
	_ "embed"

	"rigor/harness/matrix"
)

//go:embed matrix/virtual.yaml
var virtualMatrix []byte

// Matrix reads the catalogue of what is to be seen in the built-in device.
func Matrix() (*matrix.Catalogue, error) { return matrix.Parse("matrix/virtual.yaml", virtualMatrix) }
