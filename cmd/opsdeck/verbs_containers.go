package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/backend/state"
)

func newContainers(g *globals) *cobra.Command {
	return group("containers", "list containers, and act on them",
		listCmd(g, "list", "list all containers with their figures", state.SectionContainers, func(s *state.Snapshot) any { return s.Containers.List },
			"CONTAINER STATE HEALTH CPU MEMORY LIMIT PIDS RESTARTS STARTED IMAGE", func(s *state.Snapshot) (rows [][]string) {
				for _, c := range s.Containers.List {
					row := []string{c.Title, c.State, c.HealthWord, "", "", "", "", fmt.Sprint(c.Restarts), ago(c.Started), c.Image}
					if c.State == "running" {
						row[3], row[4], row[5], row[6] = fmt.Sprintf("%.2f%%", c.CPUPercent), bytes(c.MemBytes), bytes(c.MemLimit), number(c.PIDs, "")
					}
					rows = append(rows, row)
				}
				return rows
			}),
		actionCmd(g, verb{use: "restart CONTAINER", short: "restart a container and say whether it is better", kind: state.ContainerRestart}),
		actionCmd(g, verb{use: "stop CONTAINER", short: "stop a container", kind: state.ContainerStop}),
		actionCmd(g, verb{use: "start CONTAINER", short: "start a container", kind: state.ContainerStart}),
		argsCmd(g, "kill CONTAINER", "send a container a signal", state.ContainerKill, map[string]string{"signal": "KILL"}),
		actionCmd(g, verb{use: "pause CONTAINER", short: "freeze a container", kind: state.ContainerPause}),
		actionCmd(g, verb{use: "unpause CONTAINER", short: "let a paused container go on", kind: state.ContainerUnpause}),
		argsCmd(g, "update CONTAINER", "change memory, CPUs and restart policy in place", state.ContainerUpdate, map[string]string{"memory": "", "cpus": "", "restart": ""}),
		actionCmd(g, verb{use: "rename CONTAINER NAME", short: "rename a container", kind: state.ContainerRename, args: cobra.ExactArgs(2),
			prepare: func(_ *cobra.Command, _ *session, a *state.Action, args []string) error {
				a.Args = map[string]string{"name": args[1]}
				return nil
			}}),
		argsCmd(g, "remove CONTAINER", "remove a container that is stopped", state.ContainerRemove, map[string]string{"volumes": "no"}),
		newPrune(g),
	)
}

// argsCmd is the command of an action with a flag for each of its arguments, whose
// values are proposed.
func argsCmd(g *globals, use, short string, kind state.Kind, proposed map[string]string) *cobra.Command {
	given := map[string]*string{}
	return actionCmd(g, verb{use: use, short: short, kind: kind,
		flags: func(cmd *cobra.Command) {
			hints := map[string]string{}
			for _, f := range state.SpecOf(kind).Fields(&state.Snapshot{Containers: state.Containers{List: []state.Container{{Title: "x"}}}}, "x") {
				hints[f.Key] = f.Hint
			}
			for key, value := range proposed {
				given[key] = cmd.Flags().String(key, value, hints[key])
			}
		},
		prepare: func(_ *cobra.Command, _ *session, a *state.Action, _ []string) error {
			a.Args = map[string]string{}
			for key, v := range given {
				if *v != "" {
					a.Args[key] = *v
				}
			}
			return nil
		}})
}

// newPrune shows what a prune would take, and takes it with --yes.
func newPrune(g *globals) *cobra.Command {
	cmd := argsCmd(g, "prune", "show what nothing uses; --yes removes it", state.ContainerPrune,
		map[string]string{"containers": "yes", "images": "yes", "networks": "yes", "cache": "yes", "volumes": "no"})
	act := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if yes, _ := cmd.Flags().GetBool("yes"); yes {
			return act(cmd, args)
		}
		s, _, err := g.sitDownTo(cmd, state.SectionContainers)
		if err != nil {
			return err
		}
		defer s.Stop()
		s.Watch(state.Interest{Asking: state.ContainerPrune, Targets: []string{"engine"}})
		ctx, cancel := context.WithTimeout(cmd.Context(), time.Minute)
		defer cancel()
		for after := uint64(0); ; {
			snap, err := s.Wait(ctx, after)
			if err != nil {
				return fmt.Errorf("what nothing uses could not be counted: %w", err)
			}
			after = snap.Version
			r := snap.Containers.Reclaim
			if r == nil {
				continue
			}
			if g.json {
				return printJSON(cmd.OutOrStdout(), r)
			}
			for _, l := range r.Lines() {
				fmt.Fprintln(cmd.OutOrStdout(), l)
			}
			fmt.Fprintln(cmd.ErrOrStderr(), "nothing was removed: add --yes to mean it")
			return nil
		}
	}
	return cmd
}

// newCompose acts on compose's projects and services.
func newCompose(g *globals) *cobra.Command {
	const target = " PROJECT[/SERVICE] | CONTAINER"
	cmd := func(use, short string, kind state.Kind, proposed map[string]string) *cobra.Command {
		c := argsCmd(g, use, short, kind, proposed)
		if len(proposed) == 0 {
			c = actionCmd(g, verb{use: use, short: short, kind: kind})
		}
		act := c.RunE
		c.RunE = func(cmd *cobra.Command, args []string) error {
			target, err := composeTarget(cmd, g, args[0])
			if err != nil {
				return err
			}
			return act(cmd, []string{target})
		}
		return c
	}
	return group("compose", "act on the services of compose projects",
		cmd("up"+target, "start what is missing and recreate what differs from the files", state.ComposeUp, nil),
		cmd("down PROJECT", "stop and remove a project's containers and networks", state.ComposeDown, map[string]string{"volumes": "no"}),
		cmd("pull"+target, "fetch images", state.ComposePull, nil),
		cmd("build"+target, "build images", state.ComposeBuild, nil),
		cmd("rebuild"+target, "build images, and replace the containers whose image changed", state.ComposeRebuild, nil),
		cmd("recreate"+target, "replace containers, also where nothing differs", state.ComposeRecreate, nil),
		cmd("scale PROJECT/SERVICE | CONTAINER", "run a service in as many containers", state.ComposeScale, map[string]string{"replicas": "1"}),
	)
}

// composeTarget is a target as it was typed in the words of the table: a project's
// name stands for all its services. It waits until compose and the project's files
// have been looked for.
func composeTarget(cmd *cobra.Command, g *globals, typed string) (string, error) {
	s, snap, err := g.sitDownTo(cmd, state.SectionContainers)
	if err != nil {
		return "", err
	}
	defer s.Stop()
	target := typed
	if !strings.Contains(typed, "/") && snap.Containers.Container(typed) == nil && len(snap.Containers.Replicas(typed+"/*")) > 0 {
		target = typed + "/*"
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), sectionPatience)
	defer cancel()
	project, _, _ := strings.Cut(target, "/")
	if c := snap.Containers.Container(target); c != nil {
		project = c.Project
	}
	for project != "" && len(snap.Containers.Replicas(project+"/*")) > 0 {
		if _, ok := snap.Containers.Projects[project]; ok {
			break
		}
		if snap, err = s.Wait(ctx, snap.Version); err != nil {
			return "", fmt.Errorf("compose could not be looked for: %w", err)
		}
	}
	return target, nil
}
