package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/backend/state"
)

// listCommands returns, for each group of commands, those that print the tables of the
// sections.
func listCommands(g *globals) map[string][]*cobra.Command {
	out := map[string][]*cobra.Command{}
	for _, d := range state.Descriptors() {
		for _, l := range d.Lists {
			group := l.Group
			if group == "" {
				group = string(d.Name)
			}
			out[group] = append(out[group], listCommand(g, d, l))
			if l.Use == "" && l.Rows != nil {
				out[group] = append(out[group], showCommand(g, d, l, group))
			}
		}
	}
	return out
}

// listCommand prints a table, or what stands for it in JSON.
func listCommand(g *globals, d *state.Descriptor, l state.List) *cobra.Command {
	use := l.Use
	if use == "" {
		use = "list"
	}
	return &cobra.Command{Use: use, Short: l.Short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		s, snap, err := g.connectTo(cmd, d.Name)
		if err != nil {
			return err
		}
		defer s.Stop()
		if g.json {
			return printJSON(cmd.OutOrStdout(), l.JSON(snap))
		}
		var rows [][]string
		for _, r := range l.All(snap) {
			rows = append(rows, cells(r))
		}
		return table(cmd.OutOrStdout(), strings.Join(l.Columns, " "), rows)
	}}
}

// showCommand prints all that is known of one row.
func showCommand(g *globals, d *state.Descriptor, l state.List, group string) *cobra.Command {
	noun := d.Noun
	if l.Group != "" && len(l.Columns) > 0 {
		noun = strings.ToLower(l.Columns[0])
	}
	return &cobra.Command{Use: "show " + strings.ToUpper(noun), Short: "show all that is known of one, as JSON", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, snap, err := g.connectTo(cmd, d.Name)
			if err != nil {
				return err
			}
			defer s.Stop()
			id := args[0]
			if d.Canonical != nil {
				if name := d.Canonical(snap, id); name != "" {
					id = name
				}
			}
			for _, r := range l.All(snap) {
				if r.ID == id || r.ID == args[0] {
					return printJSON(cmd.OutOrStdout(), r.Value)
				}
			}
			return exitError{exitRefused, fmt.Errorf("there is no %s %q: opsdeck %s list has them all", noun, args[0], group)}
		}}
}

// cells returns a row's cells as text; "" is unknown.
func cells(r state.Row) []string {
	out := make([]string, 0, len(r.Cells))
	for _, c := range r.Cells {
		out = append(out, cell(c))
	}
	return out
}

func cell(c any) string {
	switch v := c.(type) {
	case nil:
		return ""
	case string:
		return v
	case time.Time:
		return ago(v)
	case state.Bytes:
		return bytes(float64(v))
	case state.Unit:
		switch {
		case v.Value < 0:
			return ""
		case v.Precision < 0:
			return number(v.Value, v.Unit)
		}
		return strconv.FormatFloat(v.Value, 'f', v.Precision, 64) + v.Unit
	case state.Signed:
		return fmt.Sprintf("%+.1f%s", v.Value, v.Unit)
	case state.Since:
		return v.Word + " " + ago(v.At)
	case int:
		return number(float64(v), "")
	case float64:
		return number(v, "")
	}
	return fmt.Sprint(c)
}

func ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return humanize.Time(t)
}

func bytes(v float64) string {
	if v < 0 {
		return ""
	}
	return state.Size(v)
}

func number(v float64, unit string) string {
	if v < 0 {
		return ""
	}
	return strconv.FormatFloat(v, 'f', -1, 64) + unit
}

func firstLine(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			line, _, _ := strings.Cut(t, "\n")
			return line
		}
	}
	return ""
}
