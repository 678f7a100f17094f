package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/cmd/opsdeck/logcmd"
)

// newLogs returns opsdeck logs with what acts on followed files.
func newLogs(g *globals) *cobra.Command {
	cmd := logcmd.New(logcmd.Program{
		Load: g.load, Named: func() bool { return g.Config != "" || g.Workspace != "" }, JSON: func() bool { return g.json },
		PrintJSON: printJSON, Table: table,
	})
	list := listCmd(g, "list", "list the logs that are followed", state.SectionLogs, func(s *state.Snapshot) any { return s.Logs.Sources },
		"SOURCE KIND SIZE LINES ERRORS LAST ROTATION", func(s *state.Snapshot) (rows [][]string) {
			for _, l := range s.Logs.Sources {
				rows = append(rows, []string{l.Title, l.Kind, bytes(float64(l.Size)), fmt.Sprint(l.Lines), fmt.Sprint(l.Errors), ago(l.LastAt), firstLine(l.Err, l.Rotation)})
			}
			return rows
		})
	onFile := func(_ *cobra.Command, s *session, a *state.Action, _ []string) error {
		snap, err := s.section(state.SectionLogs)
		if err != nil {
			return err
		}
		if snap.Logs.Source(a.Target) == nil { // a path relative to where we are
			if abs, err := filepath.Abs(a.Target); err == nil && snap.Logs.Source(abs) != nil {
				a.Target = abs
			}
		}
		return nil
	}
	rotate := actionCmd(g, verb{use: "rotate FILE", short: "rotate a log file as the workspace file says", kind: state.LogRotate, prepare: onFile})
	clear := actionCmd(g, verb{use: "clear FILE", short: "rotate a log file away; undo puts it back until the next rotation", kind: state.LogClear, prepare: onFile})
	cmd.AddCommand(list, rotate, clear)
	return cmd
}
