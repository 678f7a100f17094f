package state

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The kinds of action on watches of logs and on filters with a name. They change the
// workspace file, and are in force at once.
const (
	LogWatchAdd     Kind = "log.watch"
	LogWatchRemove  Kind = "log.unwatch"
	LogFilterSave   Kind = "log.filter"
	LogFilterRemove Kind = "log.unfilter"
)

var watchSpecs = []Spec{
	{Kind: LogWatchAdd, Key: "A", Verb: "watch", Past: "watched", Noun: "log", Section: SectionLogs, Risk: Safe, CLI: CLI{Use: "watches add NAME", Short: "watch a log; it is written into the workspace file", Keys: []string{"name"}, Flags: []Flag{
		{Name: "in", Key: "source", Help: "the `LOG` to watch, by its title, or a glob: logs/*.log, container:api", Required: true},
		{Key: "where", Help: "the `FILTER` that a record must pass", Required: true},
		{Key: "window", Default: "5m", Help: "how long a record counts, 1s to 24h"},
		{Key: "above", Help: "an alert fires while more than `N` records are within the window; without it there is only the series"},
		{Key: "for", Help: "how long it must be above before it fires"},
		{Key: "severity", Default: "warning", Help: "the alert's severity"},
		{Key: "runbook", Help: "a `URL`, or what to do"},
	}}, Global: "watches",
		Disabled: notBegun,
		Fields: func(s *Snapshot, _ string) []Field {
			return []Field{
				{Key: "name", Label: "Name", Hint: "of the watch and its alert: letters, digits, - and _", Required: true},
				{Key: "source", Label: "In", Hint: "a log's title, or a glob: logs/*.log, container:api, container:*", Required: true},
				{Key: "where", Label: "Filter", Hint: "words, level>=error, status>=500, @name, /re/, and, or, not", Required: true},
				{Key: "above", Label: "Fires above", Hint: "records within the window; nothing: no alert, only the series", Default: "0"},
				{Key: "window", Label: "Window", Hint: "how long a record counts, 1s to 24h", Default: "5m", Required: true},
				{Key: "for", Label: "For", Hint: "how long it must be above: 1m; nothing: at once"},
				{Key: "severity", Label: "Severity", Hint: "critical, warning, info", Default: "warning"},
				{Key: "runbook", Label: "Runbook", Hint: "a URL, or what to do"},
			}
		},
		Check: func(s *Snapshot, _ string, args map[string]string) string {
			if s.Logs.Watch(strings.TrimSpace(args["name"])) != nil {
				return fmt.Sprintf("there is a watch %q already", args["name"])
			}
			if v := strings.TrimSpace(args["above"]); v != "" {
				if n, err := strconv.Atoi(v); err != nil || n < 0 {
					return fmt.Sprintf("%q: expected a number of records, 0 or more", v)
				}
			}
			for _, key := range []string{"window", "for"} {
				v := strings.TrimSpace(args[key])
				if v == "" {
					continue
				}
				d, err := ParseDuration(v)
				if err != nil {
					return err.Error()
				}
				if key == "window" && (d < time.Second || d > 24*time.Hour) {
					return "the window: expected 1s to 24h"
				}
			}
			return ""
		}},
	{Kind: LogWatchRemove, Verb: "end", Past: "ended", Noun: "log watch", Section: SectionLogs, Risk: Confirm, CLI: CLI{Use: "watches remove NAME", Short: "watch it no more", Keys: []string{"name"}}, Global: "watches",
		Disabled: func(s *Snapshot, t string) string {
			if len(s.Logs.Watches) == 0 {
				return "nothing is watched"
			}
			return notBegun(s, t)
		},
		Fields: func(s *Snapshot, _ string) []Field {
			return nameField(s.Logs.Watches, func(w LogWatch) string { return w.Name })
		}},
	{Kind: LogFilterSave, Key: "S", Verb: "save", Past: "saved", Noun: "filter", Section: SectionLogs, Risk: Safe, CLI: CLI{Use: "filters save NAME FILTER", Short: "give a filter a name; it is written into the workspace file", Keys: []string{"name", "where"}}, Global: "filters",
		Disabled: notBegun,
		Fields: func(*Snapshot, string) []Field {
			return []Field{
				{Key: "name", Label: "Name", Hint: "letters, digits, - and _: @name stands for it from then on", Required: true},
				{Key: "where", Label: "Filter", Hint: "words, level>=error, status>=500, @name, /re/, and, or, not", Required: true},
			}
		},
		Check: func(s *Snapshot, _ string, args map[string]string) string {
			if slices.ContainsFunc(s.Logs.Filters, func(f LogFilter) bool { return f.Name == strings.TrimSpace(args["name"]) }) {
				return fmt.Sprintf("there is a filter @%s already", args["name"])
			}
			return ""
		}},
	{Kind: LogFilterRemove, Verb: "remove", Past: "removed", Noun: "saved filter", Section: SectionLogs, Risk: Confirm, CLI: CLI{Use: "filters remove NAME", Short: "take a filter's name away", Keys: []string{"name"}}, Global: "filters",
		Disabled: func(s *Snapshot, t string) string {
			if len(s.Logs.Filters) == 0 {
				return "no filter is saved"
			}
			return notBegun(s, t)
		},
		Fields: func(s *Snapshot, _ string) []Field {
			return nameField(s.Logs.Filters, func(f LogFilter) string { return f.Name })
		}},
}

// nameField asks for the name of one of a list.
func nameField[T any](list []T, name func(T) string) []Field {
	var names []string
	for _, x := range list {
		names = append(names, name(x))
	}
	f := Field{Key: "name", Label: "Name", Hint: strings.Join(names, ", "), Required: true}
	if len(names) == 1 {
		f.Default = names[0]
	}
	return []Field{f}
}
