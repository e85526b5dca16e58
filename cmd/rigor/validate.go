package main

import "context"

type validateCmd struct {
	Rig string `help:"A physical golden unit's rig, whose file says what to expect."`
}

// Run is written with the matrix.
func (c *validateCmd) Run(context.Context, *app) error { return usage(errNoSuch) }
