package main

import (
	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/cmd/opsdeck/logcmd"
)

// newLogs returns opsdeck logs.
func newLogs(g *globals) *cobra.Command {
	return logcmd.New(logcmd.Program{
		Load: g.load, Named: func() bool { return g.Config != "" || g.Workspace != "" }, JSON: func() bool { return g.json },
		PrintJSON: printJSON, Table: table,
	})
}
