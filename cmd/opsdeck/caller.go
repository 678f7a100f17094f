package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/opsdeck/opsdeck/backend"
	"github.com/opsdeck/opsdeck/backend/session"
	"github.com/opsdeck/opsdeck/backend/state"
)

// sectionPatience is how long a command waits for a source's first answer.
const (
	sectionPatience = 10 * time.Second
	// detailPatience is for what takes a second look at containers.
	detailPatience = 2 * time.Second
)

// caller is a command's place at the engine.
type caller struct {
	*session.Session
	cmd *cobra.Command
	g   *globals
}

// connect returns a command's connection to the engine; it does not wait for it.
func (g *globals) connect(cmd *cobra.Command) (*caller, error) {
	ws, err := g.load()
	if err != nil {
		return nil, err
	}
	if len(ws.Problems) > 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "opsdeck: the workspace file is not in force:\n"+strings.Join(ws.Problems, "\n"))
	}
	ws.Listen = "off" // a command that finds no engine is not one that others look for
	return &caller{Session: dial(cmd.Context(), ws, me("cli")), cmd: cmd, g: g}, nil
}

// connectTo connects and waits for a section. The session is the caller's to stop.
func (g *globals) connectTo(cmd *cobra.Command, name state.SectionName) (*caller, *state.Snapshot, error) {
	s, err := g.connect(cmd)
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
func (s *caller) section(name state.SectionName) (*state.Snapshot, error) {
	until := time.Now().Add(detailPatience)
	d := state.DescriptorOf(name)
	return s.until(name, func(snap *state.Snapshot) bool {
		return (d.Detailed == nil || sampled(d, snap)) && (d.Detailed == nil || d.Detailed(snap) || time.Now().After(until))
	})
}

// sampled reports whether a section's first figures have been read.
func sampled(d *state.Descriptor, s *state.Snapshot) bool { return d.Sampled == nil || d.Sampled(s) }

// until waits until a section is known and enough of it is, or its source says why
// it is not. What is known is not held back for a source that is slow with the rest.
func (s *caller) until(name state.SectionName, enough func(*state.Snapshot) bool) (*state.Snapshot, error) {
	ctx, cancel := context.WithTimeout(s.cmd.Context(), sectionPatience)
	defer cancel()
	var after uint64
	var last *state.Snapshot
	for {
		snap, err := s.Wait(ctx, after)
		if err != nil {
			if errors.Is(err, context.DeadlineExceeded) && last != nil && last.HealthOf(name).Known() {
				return last, nil
			}
			if errors.Is(err, context.DeadlineExceeded) && after == 0 {
				err = s.Unanswered(sectionPatience)
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

// perform submits an action, shows its progress, and prints its result.
func (s *caller) perform(a state.Action, settled bool) error {
	spec := state.SpecOf(a.Kind)
	ready := state.DescriptorOf(spec.Section).ReadyFor
	if _, err := s.until(spec.Section, func(snap *state.Snapshot) bool { return ready == nil || ready(snap, a) }); err != nil {
		return err
	}
	errOut := s.cmd.ErrOrStderr()
	shown, last := s.g.json || !isTerminal(errOut), ""
	p, err := backend.Do(s.cmd.Context(), s, a, settled, func(p state.Progress) {
		if step := p.Step; !shown && step != "" && step != last && !p.Done() {
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
		fmt.Fprintf(errOut, "opsdeck undo %s undoes it\n", p.ID)
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
