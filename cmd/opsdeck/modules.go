package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/backend/engine"
	"github.com/opsdeck/opsdeck/backend/state"
)

// moduleCommands returns the commands about a module's files.
func moduleCommands(g *globals) []*cobra.Command {
	return []*cobra.Command{newValidate(g), newTest(g), newDiff(g), newVersions(g), newScaffold(g)}
}

// moduleOf connects and finds a module.
func (g *globals) moduleOf(cmd *cobra.Command, id string) (*caller, *state.Module, error) {
	s, snap, err := g.connectTo(cmd, state.SectionModules)
	if err != nil {
		return nil, nil, err
	}
	m := snap.Modules.Module(id)
	if m == nil {
		s.Stop()
		return nil, nil, exitError{exitRefused, fmt.Errorf("there is no module %q: opsdeck modules list has them all", id)}
	}
	return s, m, nil
}

// settled waits until a module is as wanted, after an action that made it so.
func (s *caller) settled(id string, as func(*state.Module) bool) (*state.Module, error) {
	ctx, cancel := context.WithTimeout(s.cmd.Context(), sectionPatience)
	defer cancel()
	for after := uint64(0); ; {
		snap, err := s.Wait(ctx, after)
		if err != nil {
			return nil, err
		}
		after = snap.Version
		if m := snap.Modules.Module(id); m != nil && as(m) {
			return m, nil
		}
	}
}

func newValidate(g *globals) *cobra.Command {
	return &cobra.Command{Use: "validate MODULE", Short: "check a module's files, dependencies and credentials; ends with 1 where there are errors", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, m, err := g.moduleOf(cmd, args[0])
			if err != nil {
				return err
			}
			defer s.Stop()
			before := m.Checked
			if err := s.quietly(state.Action{Kind: state.ModuleValidate, Target: m.ID}); err != nil {
				return err
			}
			if m, err = s.settled(m.ID, func(m *state.Module) bool { return m.Checked.After(before) }); err != nil {
				return err
			}
			bad := 0
			for _, f := range m.Findings {
				if f.Severity == "error" {
					bad++
				}
			}
			out := cmd.OutOrStdout()
			if g.json {
				if m.Findings == nil {
					m.Findings = []state.ModuleFinding{}
				}
				err = printJSON(out, m.Findings)
			} else {
				for _, f := range m.Findings {
					fmt.Fprintf(out, "%s: %s: %s\n", f.Severity, f.Check, f)
				}
				if len(m.Findings) == 0 {
					fmt.Fprintln(out, "nothing is wrong with "+m.ID)
				}
			}
			if err == nil && bad > 0 {
				err = exitError{exitFailed, nil}
			}
			return err
		}}
}

// quietly does an action without telling of it.
func (s *caller) quietly(a state.Action) error {
	out := s.cmd.OutOrStdout()
	s.cmd.SetOut(io.Discard)
	defer s.cmd.SetOut(out)
	a.Confirmed = a.Target
	return s.perform(a, false)
}

func newTest(g *globals) *cobra.Command {
	return &cobra.Command{Use: "test MODULE", Short: "run a module's own tests, under an adapter's limits and without credentials; ends with 1 where one fails", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, m, err := g.moduleOf(cmd, args[0])
			if err != nil {
				return err
			}
			defer s.Stop()
			var before time.Time
			if m.Tests != nil {
				before = m.Tests.At
			}
			if err := s.quietly(state.Action{Kind: state.ModuleTest, Target: m.ID}); err != nil {
				return err
			}
			if m, err = s.settled(m.ID, func(m *state.Module) bool { return m.Tests != nil && m.Tests.At.After(before) }); err != nil {
				return err
			}
			out, t := cmd.OutOrStdout(), m.Tests
			if g.json {
				err = printJSON(out, t)
			} else {
				for _, f := range t.Failures {
					fmt.Fprintf(out, "failed: %s (%s:%d)\n%s\n", f.Test, f.File, f.Line, indent(f.Text))
				}
				if t.Failed > 0 && t.Output != "" {
					fmt.Fprintf(out, "printed:\n%s\n", indent(strings.TrimRight(t.Output, "\n")))
				}
				fmt.Fprintf(out, "%s, with %s\n", t.Summary(), t.With)
			}
			if err == nil && !t.OK() {
				err = exitError{exitFailed, nil}
			}
			return err
		}}
}

func indent(s string) string { return "    " + strings.ReplaceAll(s, "\n", "\n    ") }

func newDiff(g *globals) *cobra.Command {
	return &cobra.Command{Use: "diff MODULE", Short: "show how a module's files differ from what was approved", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, m, err := g.moduleOf(cmd, args[0])
			if err != nil {
				return err
			}
			defer s.Stop()
			if g.json {
				return printJSON(cmd.OutOrStdout(), m.Change)
			}
			if m.Change == nil {
				fmt.Fprintln(cmd.OutOrStdout(), "the files of "+m.ID+": "+m.Approval())
				return nil
			}
			showChange(cmd.OutOrStdout(), m)
			fmt.Fprintf(cmd.ErrOrStderr(), "opsdeck modules approve %s --digest %.12s lets these run\n", m.ID, m.Change.Digest)
			return nil
		}}
}

func showChange(w io.Writer, m *state.Module) {
	c := m.Change
	fmt.Fprint(w, c.Diff)
	if !strings.HasSuffix(c.Diff, "\n") {
		fmt.Fprintln(w)
	}
	by := ""
	if c.By != "" {
		by = " by " + c.By
	}
	fmt.Fprintf(w, "%s; approved was %.12s%s, %s\n", c.Summary(), c.Approved, by, c.At.Local().Format(time.DateTime))
}

// approve shows how a module's files changed, unless the digest of them was named.
func approve(cmd *cobra.Command, s *caller, a *state.Action, _ []string) error {
	snap, err := s.section(state.SectionModules)
	if err != nil {
		return err
	}
	if why := state.Why(snap, a.Kind, a.Target); why != "" {
		return exitError{exitRefused, fmt.Errorf("approve %s: %s", a.Target, why)}
	}
	if a.Args["digest"] != "" {
		return nil
	}
	m := snap.Modules.Module(a.Target)
	if m.Change != nil && !s.g.json {
		showChange(cmd.OutOrStdout(), m)
	}
	a.Args = map[string]string{"digest": m.Digest}
	return nil
}

func newVersions(g *globals) *cobra.Command {
	return &cobra.Command{Use: "versions MODULE", Short: "list the versions of a module's files that are kept", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, m, err := g.moduleOf(cmd, args[0])
			if err != nil {
				return err
			}
			defer s.Stop()
			if g.json {
				if m.Versions == nil {
					m.Versions = []state.ProgramVersion{}
				}
				return printJSON(cmd.OutOrStdout(), m.Versions)
			}
			var rows [][]string
			for _, v := range m.Versions {
				var is []string
				if v.Approved {
					is = append(is, "approved")
				}
				if v.OnDisk {
					is = append(is, "on disk")
				}
				rows = append(rows, []string{v.Digest[:12], v.At.Local().Format(time.DateTime), v.How, v.By, v.Version, fmt.Sprint(v.Files), bytes(float64(v.Bytes)), strings.Join(is, ", ")})
			}
			return table(cmd.OutOrStdout(), "DIGEST WHEN HOW BY VERSION FILES SIZE NOW", rows)
		}}
}

func newScaffold(g *globals) *cobra.Command {
	shape := ""
	cmd := &cobra.Command{Use: "new CATEGORY/PLATFORM", Short: "write a new module that passes its own tests", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ws, err := g.load()
			if err != nil {
				return err
			}
			if ws.Engine.URL != "" {
				return exitError{exitRefused, errors.New("the modules of " + ws.Name + " are those of an orchestrator elsewhere: there is no folder here")}
			}
			names, err := engine.Scaffold(ws.Modules.Dir, args[0], shape)
			if err != nil {
				return exitError{exitRefused, fmt.Errorf("new module: %w", err)}
			}
			dir := filepath.Join(ws.Modules.Dir, filepath.FromSlash(args[0]))
			out := cmd.OutOrStdout()
			for _, n := range names {
				fmt.Fprintln(out, "wrote "+filepath.Join(dir, n))
			}
			fmt.Fprintf(out, "now: edit it, then\n  opsdeck modules test %[1]s\n  opsdeck modules validate %[1]s\n  opsdeck modules enable %[1]s\n", args[0])
			return nil
		}}
	cmd.Flags().StringVar(&shape, "shape", "full", "its `SHAPE`: "+strings.Join(engine.Shapes, ", "))
	return cmd
}
