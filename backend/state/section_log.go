package state

import (
	"fmt"
	"slices"
)

var logsSection = Descriptor{
	Name: SectionLogs, Noun: "log", Actions: slices.Concat(logSpecs, watchSpecs),
	Targets: func(s *Snapshot, _ *Spec) (ids []string) {
		for i := range s.Logs.Sources {
			if l := &s.Logs.Sources[i]; l.Kind == "file" {
				ids = append(ids, l.Path)
			}
		}
		return ids
	},
	Canonical: func(s *Snapshot, target string) string {
		if l := s.Logs.Source(target); l != nil {
			return l.Path
		}
		return ""
	},
	Summary: func(s *Snapshot) string { return fmt.Sprintf("%d followed", len(s.Logs.Sources)) },
	Lists: []List{
		{Short: "list the logs that are followed",
			Columns: []string{"SOURCE", "KIND", "SIZE", "LINES", "ERRORS", "LAST", "ROTATION"},
			JSON:    func(s *Snapshot) any { return s.Logs.Sources },
			Rows: func(s *Snapshot) []Row {
				return rowsOf(s.Logs.Sources, func(l *LogSource) Row {
					return Row{ID: l.Title, Bad: l.Err != "", Cells: []any{l.Title, l.Kind, Bytes(l.Size), fmt.Sprint(l.Lines), fmt.Sprint(l.Errors), l.LastAt, firstLine(l.Err, l.Rotation)}}
				})
			}},
		{Group: "watches", Short: "list what is watched, and what passed",
			Columns: []string{"WATCH", "IN", "LOGS", "WITHIN", "MATCHES", "TOTAL", "LAST", "FILTER"},
			JSON:    func(s *Snapshot) any { return s.Logs.Watches },
			Rows: func(s *Snapshot) []Row {
				return rowsOf(s.Logs.Watches, func(w *LogWatch) Row {
					return Row{ID: w.Name, Cells: []any{w.Name, w.Source, w.Sources, w.Window, fmt.Sprint(w.Recent), fmt.Sprint(w.Matches), w.LastAt, w.Where}}
				})
			}},
	},
}

// Describe implements Section.
func (Logs) Describe() *Descriptor { return &logsSection }
