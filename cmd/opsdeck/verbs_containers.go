package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/backend/state"
)

func newContainers(g *globals) *cobra.Command {
	return group("containers", "list containers, and act on them",
		newContainersList(g),
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

// newContainersList lists the containers of all hosts, or of one.
func newContainersList(g *globals) *cobra.Command {
	host := ""
	cmd := &cobra.Command{Use: "list", Short: "list all containers with their figures", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&host, "host", "", "only those on `HOST`, of several")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, snap, err := g.sitDownTo(cmd, state.SectionContainers)
		if err != nil {
			return err
		}
		defer s.Stop()
		several := len(snap.Containers.Hosts) > 1
		var hosts []string
		for _, h := range snap.Containers.Hosts {
			hosts = append(hosts, h.Title)
			if (host == "" || host == h.Title) && h.Health.Status != state.OK {
				why := "it has not answered yet"
				if h.Health.Err != "" {
					why = h.Health.Err
				}
				last := "never heard of"
				if !h.Health.LastOK.IsZero() {
					last = "last heard of " + ago(h.Health.LastOK)
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "host %s: %s, %s: %s\n", h.Title, h.Health.Status, last, why)
			}
		}
		switch {
		case host != "" && !several:
			return usage("there is but one host: docker.hosts in opsdeck.yaml names several")
		case host != "" && !slices.Contains(hosts, host):
			return usage("there is no host %q: the hosts are %s", host, strings.Join(hosts, ", "))
		}
		list := slices.DeleteFunc(slices.Clone(snap.Containers.List), func(c state.Container) bool { return host != "" && c.Host != host })
		if g.json {
			return printJSON(cmd.OutOrStdout(), list)
		}
		titles, rows := "CONTAINER STATE HEALTH CPU MEMORY LIMIT PIDS RESTARTS STARTED IMAGE", [][]string{}
		if several {
			titles = "HOST " + titles
		}
		for _, c := range list {
			row := []string{c.Host, c.Target(), c.State, c.HealthWord, "", "", "", "", fmt.Sprint(c.Restarts), ago(c.Started), c.Image}
			switch c.State {
			case "exited", "dead":
				row[2] = fmt.Sprintf("%s %d", c.State, c.ExitCode)
			case "running":
				row[5], row[6], row[7] = bytes(c.MemBytes), bytes(c.MemLimit), number(c.PIDs, "")
				if c.CPUPercent >= 0 {
					row[4] = fmt.Sprintf("%.2f%%", c.CPUPercent)
				}
			}
			if !several {
				row = row[1:]
			}
			rows = append(rows, row)
		}
		return table(cmd.OutOrStdout(), titles, rows)
	}
	return cmd
}

// argsCmd is the command of an action with a flag for each of its arguments, whose
// values are proposed.
func argsCmd(g *globals, use, short string, kind state.Kind, proposed map[string]string) *cobra.Command {
	return actionCmd(g, argsVerb(use, short, kind, proposed))
}

func argsVerb(use, short string, kind state.Kind, proposed map[string]string) verb {
	given := map[string]*string{}
	return verb{use: use, short: short, kind: kind,
		flags: func(cmd *cobra.Command) {
			hints := map[string]string{}
			if fields := state.SpecOf(kind).Fields; fields != nil {
				some := &state.Snapshot{Containers: state.Containers{List: []state.Container{{Title: "x"}}}}
				for _, f := range fields(some, "x") {
					hints[f.Key] = f.Hint
				}
			}
			for key, value := range proposed {
				given[key] = cmd.Flags().String(key, value, hints[key])
			}
		},
		prepare: func(_ *cobra.Command, _ *session, a *state.Action, _ []string) error {
			for key, v := range given {
				if *v != "" {
					if a.Args == nil {
						a.Args = map[string]string{}
					}
					a.Args[key] = *v
				}
			}
			return nil
		}}
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
		s.Watch(state.Interests{{Topic: state.LookAction(state.ContainerPrune), Key: "engine"}})
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
		v := argsVerb(use, short, kind, proposed)
		args := v.prepare
		v.prepare = func(cmd *cobra.Command, s *session, a *state.Action, typed []string) (err error) {
			if a.Target, err = composeTarget(s, kind, typed[0]); err != nil {
				return err
			}
			a.Confirmed = a.Target
			return args(cmd, s, a, typed)
		}
		return actionCmd(g, v)
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
func composeTarget(s *session, kind state.Kind, typed string) (string, error) {
	target := typed
	snap, err := s.until(state.SectionContainers, func(snap *state.Snapshot) bool {
		all := snap.Containers.Replicas(typed + "/*")
		target = typed
		if c := snap.Containers.Container(typed); c != nil {
			all = snap.Containers.Replicas(c.Project + "/*")
		} else if len(all) > 0 {
			target = typed + "/*"
		} else if project, _, ok := strings.Cut(typed, "/"); ok {
			all = snap.Containers.Replicas(project + "/*")
		}
		if len(all) == 0 || all[0].Project == "" {
			return true
		}
		_, known := snap.Containers.Projects[all[0].Project]
		return known && snap.Containers.Compose != state.Compose{}
	})
	if err != nil {
		return "", err
	}
	if of := state.SpecOf(kind).Of(snap, target); of != "" {
		return of, nil
	}
	return target, nil
}
