package rigs

import (
	_ "embed"

	"rigor/harness/matrix"
)

//go:embed matrix/virtual.yaml
var virtualMatrix []byte

//go:embed matrix/gateway.yaml
var gatewayMatrix []byte

// Matrix reads the catalogue of what is to be seen in the built-in device.
func Matrix() (*matrix.Catalogue, error) { return matrix.Parse("matrix/virtual.yaml", virtualMatrix) }

// GatewayMatrix reads the catalogue of what is to be seen in the gateway.
func GatewayMatrix() (*matrix.Catalogue, error) {
	return matrix.Parse("matrix/gateway.yaml", gatewayMatrix)
}
