package main

import (
	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/state"
)

// newFiltersList lists the filters of the workspace and those that come with opsdeck.
func newFiltersList(g *globals) *cobra.Command {
	return listCommand(g, state.DescriptorOf(state.SectionLogs), state.List{Short: "list the filters that @NAME stands for",
		Columns: []string{"FILTER", "FROM", "STANDS-FOR"},
		JSON:    func(s *state.Snapshot) any { return named(s) },
		Rows: func(s *state.Snapshot) (rows []state.Row) {
			for _, f := range named(s) {
				rows = append(rows, state.Row{Cells: []any{"@" + f.Name, f.From, f.Where}})
			}
			return rows
		}})
}

// namedFilter is a filter and where it comes from.
type namedFilter struct {
	state.LogFilter
	From string `json:"from"`
}

func named(s *state.Snapshot) (out []namedFilter) {
	for _, f := range s.Logs.Filters {
		out = append(out, namedFilter{f, "workspace"})
	}
	shipped := record.BuiltinFilters()
	for _, name := range shipped.Sorted() {
		out = append(out, namedFilter{state.LogFilter{Name: name, Where: shipped[name]}, "opsdeck"})
	}
	return out
}
