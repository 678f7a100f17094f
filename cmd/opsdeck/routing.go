package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/backend/config"
	"github.com/opsdeck/opsdeck/backend/routing"
	"github.com/opsdeck/opsdeck/backend/state"
)

// routingCommands returns the commands about routing that print more than an outcome.
func routingCommands(g *globals) []*cobra.Command {
	return []*cobra.Command{newRoutingShow(g), newRoutingTest(g), newRoutingReplay(g), newRoutingDiff(g), newRoutingEdit(g)}
}

// stageRouting reads the configuration to stage, and says on which one it stands.
func stageRouting(cmd *cobra.Command, s *caller, a *state.Action, args []string) error {
	text, err := readRouting(cmd, args[0])
	if err != nil {
		return err
	}
	snap, err := s.section(state.SectionRouting)
	if err != nil {
		return err
	}
	a.Args["config"], a.Args["expect"] = string(text), snap.Routing.Tag
	return nil
}

// applyRouting applies what is staged, or the configuration of a file.
func applyRouting(cmd *cobra.Command, s *caller, a *state.Action, args []string) error {
	snap, err := s.section(state.SectionRouting)
	if err != nil {
		return err
	}
	if a.Args == nil {
		a.Args = map[string]string{}
	}
	switch {
	case len(args) > 0:
		text, err := readRouting(cmd, args[0])
		if err != nil {
			return err
		}
		if _, err := routing.Parse(args[0], text); err != nil {
			return exitError{exitFailed, fmt.Errorf("%w; nothing was changed", err)}
		}
		a.Kind, a.Args["config"], a.Args["expect"] = state.RoutingSet, string(text), snap.Routing.Tag
	case snap.Routing.Staged != nil:
		a.Args["staged"] = snap.Routing.Staged.Tag
	}
	return nil
}

func newRoutingShow(g *globals) *cobra.Command {
	return &cobra.Command{Use: "show [VERSION]", Short: "show the configuration in force, or a version that was", Args: cobra.MaximumNArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return g.showVersion(cmd, args[0])
		}
		s, snap, err := g.connectTo(cmd, state.SectionRouting)
		if err != nil {
			return err
		}
		defer s.Stop()
		if snap.Routing.Problem != "" {
			fmt.Fprintln(cmd.ErrOrStderr(), "opsdeck:", snap.Routing.Problem)
		}
		if snap.Routing.JSON == "" {
			return errors.New("there is no routing configuration: create config/routing_config.json")
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), snap.Routing.JSON)
		return err
	}}
}

// showVersion prints a version of the history, which needs no engine.
func (g *globals) showVersion(cmd *cobra.Command, which string) error {
	version, err := strconv.ParseInt(which, 10, 64)
	if err != nil {
		return usage("%q is no version: the number of one that is kept was expected", which)
	}
	ws, err := g.load()
	if err != nil {
		return err
	}
	text, err := routing.ReadVersion(cmd.Context(), ws.Data, version)
	if err != nil {
		return exitError{exitFailed, err}
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), strings.TrimRight(string(text), "\n"))
	return err
}

// readRouting reads a configuration from a file or standard input.
func readRouting(cmd *cobra.Command, from string) ([]byte, error) {
	var r io.Reader = cmd.InOrStdin()
	if from != "-" {
		f, err := os.Open(from)
		if err != nil {
			return nil, exitError{exitUsage, fmt.Errorf("read the routing configuration: %w", err)}
		}
		defer f.Close()
		r = f
	}
	return io.ReadAll(io.LimitReader(r, 2<<20))
}

// routingOf reads the workspace's own configuration, and the one that a flag names;
// neither needs an engine.
func routingOf(cmd *cobra.Command, ws *config.Workspace, with string) (own []byte, parsed, other map[string]any, err error) {
	if own, err = os.ReadFile(ws.Routing); err == nil {
		parsed, err = routing.Parse(ws.Rel(ws.Routing), own)
	}
	if err != nil {
		return nil, nil, nil, exitError{exitFailed, fmt.Errorf("the routing configuration: %w", err)}
	}
	other = parsed
	if with != "" {
		text, err := readRouting(cmd, with)
		if err != nil {
			return nil, nil, nil, err
		}
		if other, err = routing.Parse(with, text); err != nil {
			return nil, nil, nil, exitError{exitFailed, err}
		}
	}
	return own, parsed, other, nil
}

// delegations returns those that the workspace's engine keeps, or kept.
func (*globals) delegations(ws *config.Workspace) ([]routing.Delegation, error) {
	list, err := routing.ReadDelegations(filepath.Join(ws.Data, "delegations.jsonl"))
	if err != nil {
		return nil, exitError{exitFailed, fmt.Errorf("the delegations that are known: %w", err)}
	}
	return list, nil
}

func newRoutingTest(g *globals) *cobra.Command {
	with := ""
	cmd := &cobra.Command{Use: "test CATEGORY COMPLEXITY", Short: "say where a request would go, and why", Args: cobra.ExactArgs(2), RunE: func(cmd *cobra.Command, args []string) error {
		ws, err := g.load()
		if err != nil {
			return err
		}
		complexity, err := strconv.ParseFloat(args[1], 64)
		if err != nil || !(complexity >= 0 && complexity <= 1) {
			return usage("the complexity is %q: a number from 0 to 1 was expected", args[1])
		}
		_, _, c, err := routingOf(cmd, ws, with)
		if err != nil {
			return err
		}
		d := routing.Decide(c, args[0], complexity)
		list, err := g.delegations(ws)
		if err != nil {
			return err
		}
		d.Steps = append(d.Steps, routing.Limits(c, d, routing.Measured(list))...)
		if g.json {
			return printJSON(cmd.OutOrStdout(), d)
		}
		to := cmp.Or(d.Tier, "nowhere")
		if d.Endpoint != "" {
			to += " at " + d.Endpoint
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s at complexity %g goes to %s (%s)\n  %s\n", d.Category, d.Complexity, to, d.Strategy, strings.Join(d.Steps, "\n  "))
		return err
	}}
	cmd.Flags().StringVar(&with, "with", "", "under the configuration in `FILE`; - is standard input")
	return cmd
}

func newRoutingReplay(g *globals) *cobra.Command {
	var with, since, threshold string
	cmd := &cobra.Command{Use: "replay", Short: "show what another configuration would have made of the last delegations", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		ws, err := g.load()
		if err != nil {
			return err
		}
		own, before, after, err := routingOf(cmd, ws, with)
		if err != nil {
			return err
		}
		if threshold != "" {
			v, err := strconv.ParseFloat(threshold, 64)
			if err != nil {
				return usage("--threshold is %q: a number from 0 to 1 was expected", threshold)
			}
			text, err := routing.WithThreshold(own, &v)
			if err == nil {
				after, err = routing.Parse("the changed threshold", text)
			}
			if err != nil {
				return exitError{exitFailed, err}
			}
		}
		if with == "" && threshold == "" {
			return usage("replay against what? --with FILE or --threshold NUMBER")
		}
		list, err := g.delegations(ws)
		if err != nil {
			return err
		}
		if since != "" {
			d, err := state.ParseDuration(since)
			if err != nil {
				return exitError{exitUsage, err}
			}
			list = slices.DeleteFunc(list, func(x routing.Delegation) bool { return time.Since(x.At) > d })
		}
		shift := routing.Replay(before, after, list)
		if g.json {
			return printJSON(cmd.OutOrStdout(), shift)
		}
		if shift.Of == 0 {
			return exitError{exitFailed, errors.New("no delegations are known: they are read from JSON log lines with a complexity, or sent to POST /admin/delegations")}
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), strings.Join(shift.Lines(), "\n"))
		return err
	}}
	cmd.Flags().StringVar(&with, "with", "", "the configuration in `FILE`; - is standard input")
	cmd.Flags().StringVar(&threshold, "threshold", "", "the one in force with another `THRESHOLD`")
	cmd.Flags().StringVar(&since, "since", "", "only those of the last `TIME`, such as 24h")
	return cmd
}
