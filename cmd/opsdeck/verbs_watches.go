package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/state"
)

func newWatches(g *globals) *cobra.Command {
	flags := []struct{ name, key, value, help string }{
		{"in", "source", "", "the `LOG` to watch, by its title, or a glob: logs/*.log, container:api"},
		{"where", "where", "", "the `FILTER` that a record must pass"},
		{"window", "window", "5m", "how long a record counts, 1s to 24h"},
		{"above", "above", "", "an alert fires while more than `N` records are within the window; without it there is only the series"},
		{"for", "for", "", "how long it must be above before it fires"},
		{"severity", "severity", "warning", "the alert's severity"},
		{"runbook", "runbook", "", "a `URL`, or what to do"},
	}
	values := make([]string, len(flags))
	return group("watches", "list, add and remove what is watched in logs",
		listCmd(g, "list", "list what is watched, and what passed", state.SectionLogs, func(s *state.Snapshot) any { return s.Logs.Watches },
			"WATCH IN LOGS WITHIN MATCHES TOTAL LAST FILTER", func(s *state.Snapshot) (rows [][]string) {
				for _, w := range s.Logs.Watches {
					rows = append(rows, []string{w.Name, w.Source, fmt.Sprint(w.Sources), w.Window.String(), fmt.Sprint(w.Recent), fmt.Sprint(w.Matches), ago(w.LastAt), w.Where})
				}
				return rows
			}),
		actionCmd(g, verb{use: "add NAME --in LOG --where FILTER", short: "watch a log; it is written into the workspace file", kind: state.LogWatchAdd, args: cobra.ExactArgs(1),
			flags: func(cmd *cobra.Command) {
				for i, f := range flags {
					cmd.Flags().StringVar(&values[i], f.name, f.value, f.help)
				}
			},
			prepare: func(_ *cobra.Command, _ *session, a *state.Action, args []string) error {
				a.Args = map[string]string{"name": args[0]}
				for i, f := range flags {
					if v := strings.TrimSpace(values[i]); v != "" {
						a.Args[f.key] = v
					}
				}
				for _, f := range flags[:2] {
					if a.Args[f.key] == "" {
						return usage("--%s is missing: %s", f.name, strings.ReplaceAll(f.help, "`", ""))
					}
				}
				return nil
			}}),
		namedCmd(g, verb{use: "remove NAME", short: "watch it no more", kind: state.LogWatchRemove}))
}

func newFilters(g *globals) *cobra.Command {
	return group("filters", "list, save and remove filters of logs that have a name",
		listCmd(g, "list", "list the filters that @NAME stands for", state.SectionLogs, func(s *state.Snapshot) any { return named(s) },
			"FILTER FROM STANDS-FOR", func(s *state.Snapshot) (rows [][]string) {
				for _, f := range named(s) {
					rows = append(rows, []string{"@" + f.Name, f.From, f.Where})
				}
				return rows
			}),
		actionCmd(g, verb{use: "save NAME FILTER", short: "give a filter a name; it is written into the workspace file", kind: state.LogFilterSave, args: cobra.ExactArgs(2),
			prepare: func(_ *cobra.Command, _ *session, a *state.Action, args []string) error {
				a.Args = map[string]string{"name": strings.TrimPrefix(args[0], "@"), "where": args[1]}
				return nil
			}}),
		namedCmd(g, verb{use: "remove NAME", short: "take a filter's name away", kind: state.LogFilterRemove}))
}

// namedCmd is the command of an action whose only argument is a name.
func namedCmd(g *globals, v verb) *cobra.Command {
	v.args = cobra.ExactArgs(1)
	v.prepare = func(_ *cobra.Command, _ *session, a *state.Action, args []string) error {
		a.Args = map[string]string{"name": strings.TrimPrefix(args[0], "@")}
		return nil
	}
	return actionCmd(g, v)
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
	shipped := record.Shipped()
	for _, name := range shipped.Sorted() {
		out = append(out, namedFilter{state.LogFilter{Name: name, Where: shipped[name]}, "opsdeck"})
	}
	return out
}
