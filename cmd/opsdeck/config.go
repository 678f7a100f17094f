package main

import (
	"slices"

	"github.com/spf13/cobra"
)

func newConfigShow(g *globals) *cobra.Command {
	return &cobra.Command{Use: "show", Short: "show every setting's origin", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		ws, err := g.load()
		if err != nil {
			return err
		}
		if g.json {
			return printJSON(cmd.OutOrStdout(), map[string]any{"dir": ws.Dir, "file": ws.ConfigFile, "origin": ws.Origin, "found": ws.Found, "problems": ws.Problems})
		}
		var rows [][]string
		for k, v := range ws.Origin {
			rows = append(rows, []string{k, v})
		}
		slices.SortFunc(rows, slices.Compare[[]string])
		return table(cmd.OutOrStdout(), "SETTING FROM", rows)
	}}
}
