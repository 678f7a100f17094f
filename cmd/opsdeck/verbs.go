package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/opsdeck/opsdeck/backend"
	"github.com/opsdeck/opsdeck/backend/state"
)

// sectionPatience is how long a command waits for a source's first answer.
const (
	sectionPatience = 10 * time.Second
	// detailPatience is for what takes a second look at containers.
	detailPatience = 2 * time.Second
	// manyStopped is from how many containers on the stopped ones are not waited for: each
	// is asked for alone.
	manyStopped = 500
)

// session is a command's place at the engine.
type session struct {
	*seat
	cmd *cobra.Command
	g   *globals
}

// sitDown takes a place for a command.
func (g *globals) sitDown(cmd *cobra.Command) (*session, error) {
	ws, err := g.load()
	if err != nil {
		return nil, err
	}
	if len(ws.Problems) > 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "opsdeck: the workspace file is not in force:\n"+strings.Join(ws.Problems, "\n"))
	}
	ws.Listen = "off" // a command that finds no engine is not one that others look for
	return &session{seat: sit(cmd.Context(), ws, me("cli")), cmd: cmd, g: g}, nil
}

// sitDownTo sits down and waits for a section. The session is the caller's to stop.
func (g *globals) sitDownTo(cmd *cobra.Command, name state.SectionName) (*session, *state.Snapshot, error) {
	s, err := g.sitDown(cmd)
	if err != nil {
		return nil, nil, err
	}
	snap, err := s.section(name)
	if err != nil {
		s.Stop()
		return nil, nil, err
	}
	return s, snap, nil
}

// section waits until a section is known with its figures, or its source says why it
// is not.
func (s *session) section(name state.SectionName) (*state.Snapshot, error) {
	until := time.Now().Add(detailPatience)
	return s.until(name, func(snap *state.Snapshot) bool {
		return name != state.SectionContainers || sampled(snap) && !waiting(snap) && (detailed(snap) || time.Now().After(until))
	})
}

// until waits until a section is known and enough of it is, or its source says why
// it is not.
func (s *session) until(name state.SectionName, enough func(*state.Snapshot) bool) (*state.Snapshot, error) {
	ctx, cancel := context.WithTimeout(s.cmd.Context(), sectionPatience)
	defer cancel()
	var after uint64
	var last *state.Snapshot
	for {
		snap, err := s.Wait(ctx, after)
		if err != nil {
			if errors.Is(err, context.DeadlineExceeded) && last != nil && last.Containers.Health.Known() && name == state.SectionContainers {
				return last, nil // what is known is not held back for an engine or a host that is slow
			}
			if errors.Is(err, context.DeadlineExceeded) && after == 0 {
				err = s.mute(sectionPatience)
			} else if errors.Is(err, context.DeadlineExceeded) {
				err = fmt.Errorf("%s: the source does not answer within %s", name, sectionPatience)
			}
			return nil, err
		}
		after, last = snap.Version, snap
		h := snap.HealthOf(name)
		switch h.Status {
		case state.OK:
			if enough(snap) {
				return snap, nil
			}
		case state.Stale:
			return snap, nil
		case state.Down, state.Absent:
			return nil, fmt.Errorf("%s: %s", name, h.Err)
		}
	}
}

// readyFor reports whether what an action needs to know of its target has been read.
func readyFor(s *state.Snapshot, a state.Action) bool {
	c := s.Containers.Container(a.Target)
	if c == nil && state.SpecOf(a.Kind).Section == state.SectionContainers && waiting(s) {
		return false // it may be on the host that has not answered yet
	}
	return a.Kind != state.ContainerUpdate || c == nil || c.Limits.Known
}

// waiting reports whether there is a host that neither answers nor fails yet.
func waiting(s *state.Snapshot) bool {
	return slices.ContainsFunc(s.Containers.Hosts, func(h state.ContainerHost) bool { return h.Health.Status == state.Connecting })
}

// sampled reports whether the running containers' figures have been read.
func sampled(s *state.Snapshot) bool {
	return !slices.ContainsFunc(s.Containers.List, func(c state.Container) bool {
		return c.State == "running" && c.Sampled.IsZero()
	})
}

// detailed reports whether all is known of containers that takes a second look: the CPU of
// those that run, and what an engine's list does not say of each.
func detailed(s *state.Snapshot) bool {
	many := len(s.Containers.List) >= manyStopped
	return !slices.ContainsFunc(s.Containers.List, func(c state.Container) bool {
		if c.State != "running" {
			return !many && !c.Limits.Known
		}
		return c.CPUPercent < 0 || !c.Limits.Known
	})
}

// printJSON writes v indented.
func printJSON(w io.Writer, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}

// table writes rows under titles, aligned.
func table(w io.Writer, titles string, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, strings.ReplaceAll(titles, " ", "\t"))
	for _, r := range rows {
		for i, cell := range r {
			if cell == "" {
				r[i] = "-"
			}
			r[i] = strings.NewReplacer("\t", " ", "\n", " ").Replace(r[i])
		}
		fmt.Fprintln(tw, strings.Join(r, "\t"))
	}
	return tw.Flush()
}

// listCmd is a command that prints one section.
func listCmd(g *globals, use, short string, name state.SectionName, list func(*state.Snapshot) any, titles string, rows func(*state.Snapshot) [][]string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		s, snap, err := g.sitDownTo(cmd, name)
		if err != nil {
			return err
		}
		defer s.Stop()
		if g.json {
			return printJSON(cmd.OutOrStdout(), list(snap))
		}
		return table(cmd.OutOrStdout(), titles, rows(snap))
	}}
}

// verb describes a command that submits an action.
type verb struct {
	use, short string
	kind       state.Kind
	// prepare adds to the action from arguments and flags; nil for nothing.
	prepare func(cmd *cobra.Command, s *session, a *state.Action, args []string) error
	flags   func(cmd *cobra.Command)
	args    cobra.PositionalArgs
}

// actionCmd makes the command of a verb. Its first argument, where the action is
// not a global one, is the target.
func actionCmd(g *globals, v verb) *cobra.Command {
	spec := state.SpecOf(v.kind)
	yes, noWait := false, false
	cmd := &cobra.Command{Use: v.use, Short: v.short, Args: v.args}
	if v.args == nil {
		cmd.Args = cobra.ExactArgs(1)
		if spec.Global != "" {
			cmd.Args = cobra.NoArgs
		}
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if spec.Risk == state.Typed && !yes {
			return usage("%s cannot be taken back: add --yes to mean it", spec.Title())
		}
		s, err := g.sitDown(cmd)
		if err != nil {
			return err
		}
		defer s.Stop()
		a := state.Action{Kind: v.kind, Target: spec.Global}
		if spec.Global == "" && len(args) > 0 {
			a.Target = args[0]
		}
		a.Confirmed = a.Target
		if v.prepare != nil {
			if err := v.prepare(cmd, s, &a, args); err != nil {
				return err
			}
		}
		return s.perform(a, !noWait)
	}
	if spec.Risk == state.Typed {
		cmd.Flags().BoolVar(&yes, "yes", false, "do it without asking")
	}
	if spec.Measured {
		cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait for the verdict")
	}
	if v.flags != nil {
		v.flags(cmd)
	}
	return cmd
}

// perform submits an action, shows its progress, and tells what came of it.
func (s *session) perform(a state.Action, settled bool) error {
	spec := state.SpecOf(a.Kind)
	switch spec.Section {
	case state.SectionActions, state.SectionWorkspace:
	default:
		if _, err := s.until(spec.Section, func(snap *state.Snapshot) bool { return readyFor(snap, a) }); err != nil {
			return err
		}
	}
	errOut := s.cmd.ErrOrStderr()
	shown, last := s.g.json || !isTerminal(errOut), ""
	p, err := backend.Do(s.cmd.Context(), s, a, settled, func(p state.Progress) {
		if step := p.Step; !shown && step != "" && step != last && !p.Over() {
			fmt.Fprintf(errOut, "%s ...\n", step)
			last = step
		}
	})
	if err != nil {
		return err
	}
	if s.g.json {
		if err := printJSON(s.cmd.OutOrStdout(), p); err != nil {
			return err
		}
		if p.Status != "done" {
			return exitError{exitFailed, nil}
		}
		return nil
	}
	if p.Status != "done" {
		return fmt.Errorf("%s %s: %s", spec.Verb, p.Action.Target, p.Err)
	}
	text := p.Result
	if text == "" {
		text = spec.Past + " " + p.Action.Target
	}
	fmt.Fprintln(s.cmd.OutOrStdout(), text)
	if p.Verdict != nil {
		fmt.Fprintln(s.cmd.OutOrStdout(), p.Verdict.Summary())
	}
	if p.Undo != nil {
		fmt.Fprintf(errOut, "opsdeck undo %s takes it back\n", p.ID)
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// group makes a command that holds others.
func group(use, short string, sub ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short}
	c.AddCommand(sub...)
	for _, s := range sub {
		requireKnown(s)
	}
	return c
}

func newCancel(g *globals) *cobra.Command {
	return actionCmd(g, verb{use: "cancel ACTION", short: "stop a running action where it is", kind: state.ActionCancel})
}

func newUndo(g *globals) *cobra.Command {
	return actionCmd(g, verb{use: "undo [ACTION]", short: "take an action back; by default the newest that can be", kind: state.ActionUndo, args: cobra.MaximumNArgs(1),
		prepare: func(_ *cobra.Command, s *session, a *state.Action, args []string) error {
			if len(args) > 0 {
				return nil
			}
			snap, err := s.Wait(s.cmd.Context(), 0)
			if err != nil {
				return err
			}
			for _, p := range snap.Actions.List {
				if p.Undo != nil && !p.Undone {
					a.Target = string(p.ID)
					return nil
				}
			}
			return exitError{exitRefused, errors.New("undo: there is nothing that can be undone since the engine started")}
		}})
}

func newControl(g *globals) *cobra.Command {
	return group("control", "list the consoles on this engine, and hand control over to one",
		listCmd(g, "list", "list who looks, and who holds control", state.SectionWorkspace, func(s *state.Snapshot) any { return s.Workspace.Consoles },
			"CONSOLE USER FROM VIA SINCE LAST-KEY CONTROL", func(s *state.Snapshot) (rows [][]string) {
				for _, c := range s.Workspace.Consoles {
					holds := ""
					if c.Control {
						holds = "holds it"
					} else if !c.Asked.IsZero() {
						holds = "asked for it " + ago(c.Asked)
					}
					rows = append(rows, []string{c.ID, c.Actor.User, c.Actor.From, c.Actor.Via, ago(c.Since), ago(c.Active), holds})
				}
				return rows
			}),
		actionCmd(g, verb{use: "give CONSOLE", short: "hand control over to a console, by its name in the list or its user", kind: state.ControlGive}))
}
