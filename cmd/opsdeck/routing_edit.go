package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/backend/document"
	"github.com/opsdeck/opsdeck/backend/routing"
	"github.com/opsdeck/opsdeck/backend/state"
)

// newRoutingDiff shows what is staged, or what a file would change.
func newRoutingDiff(g *globals) *cobra.Command {
	return &cobra.Command{Use: "diff [FILE]", Short: "show what is staged, or a file: the difference, and what it would have made of the last delegations", Args: cobra.MaximumNArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return g.diffFile(cmd, args[0])
		}
		s, snap, err := g.connectTo(cmd, state.SectionRouting)
		if err != nil {
			return err
		}
		defer s.Stop()
		staged := snap.Routing.Staged
		if staged == nil {
			return exitError{exitFailed, errors.New("nothing is staged: opsdeck routing stage FILE stages a change")}
		}
		if g.json {
			return printJSON(cmd.OutOrStdout(), staged)
		}
		return printChange(cmd.OutOrStdout(), staged.Diff, append(slices.Clone(staged.Warnings), staged.ReplayDiff...))
	}}
}

// diffFile needs no engine.
func (g *globals) diffFile(cmd *cobra.Command, name string) error {
	ws, err := g.load()
	if err != nil {
		return err
	}
	now, err := os.ReadFile(ws.Routing)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return exitError{exitFailed, fmt.Errorf("the routing configuration: %w", err)}
	}
	next, err := readRouting(cmd, name)
	if err != nil {
		return err
	}
	list, err := g.delegations(ws)
	if err != nil {
		return err
	}
	diff, lines, err := routing.Preview(name, now, next, list)
	if err != nil {
		return exitError{exitFailed, err}
	}
	if g.json {
		return printJSON(cmd.OutOrStdout(), map[string]any{"diff": diff, "lines": append([]string{}, lines...)})
	}
	if diff == "" {
		diff = "that is what is in force"
	}
	return printChange(cmd.OutOrStdout(), diff, lines)
}

func printChange(w io.Writer, diff string, lines []string) error {
	_, err := fmt.Fprintln(w, strings.Join(append([]string{strings.TrimRight(diff, "\n")}, lines...), "\n"))
	return err
}

// newRoutingEdit stages what comes of an editor. A mistake is told with its line, and
// the editor comes again at it.
func newRoutingEdit(g *globals) *cobra.Command {
	c := state.CLI{Short: "edit what is staged, or in force, in $EDITOR, and stage the result"}
	return actionCommand(g, state.SpecOf(state.RoutingStage), c, "edit",
		func(cmd *cobra.Command, s *caller, a *state.Action, _ []string) error {
			snap, err := s.section(state.SectionRouting)
			if err != nil {
				return err
			}
			r, staged := snap.Routing.Prepared(), ""
			if snap.Routing.Staged != nil {
				staged = snap.Routing.Staged.Tag
			}
			switch {
			case r.JSON == "":
				return exitError{exitFailed, errors.New("there is no routing configuration: create config/routing_config.json")}
			case strings.Contains(r.JSON, "***"):
				return exitError{exitFailed, errors.New("a secret in it is masked here: edit the file itself")}
			}
			text, err := edited(cmd, r.JSON+"\n")
			if err != nil {
				return err
			}
			a.Args = map[string]string{"config": text, "expect": r.Tag, "staged": staged}
			return nil
		})
}

// edited has a configuration edited until it holds, or its user gives up.
func edited(cmd *cobra.Command, was string) (string, error) {
	text, line, answers := was, 0, bufio.NewReader(cmd.InOrStdin())
	for {
		editor, read, err := openEditor("routing_config.json", text, line)
		if err != nil {
			return "", err
		}
		editor.SetStdin(cmd.InOrStdin())
		editor.SetStdout(cmd.OutOrStdout())
		editor.SetStderr(cmd.ErrOrStderr())
		err = editor.Run()
		got, rerr := read()
		switch {
		case err != nil || rerr != nil:
			return "", exitError{exitFailed, fmt.Errorf("the editor: %w; nothing was staged", errors.Join(err, rerr))}
		case strings.TrimSpace(got) == "":
			return "", exitError{exitFailed, errors.New("the file is empty; nothing was staged")}
		case strings.TrimSpace(got) == strings.TrimSpace(was):
			return "", exitError{exitFailed, errors.New("nothing was changed")}
		}
		_, err = routing.Parse("routing_config.json", []byte(got))
		if err == nil {
			return got, nil
		}
		var ps document.Problems
		if errors.As(err, &ps) && len(ps) > 0 {
			line = ps[0].Line
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%v\nEnter edits it again, q cancels: ", err)
		answer, rerr := answers.ReadString('\n')
		if rerr != nil || strings.HasPrefix(strings.TrimSpace(answer), "q") {
			return "", exitError{exitFailed, fmt.Errorf("%w; nothing was staged", err)}
		}
		text = got
	}
}
