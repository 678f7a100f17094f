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

// newContainersList lists the containers of all hosts, or of one.
func newContainersList(g *globals) *cobra.Command {
	host := ""
	cmd := &cobra.Command{Use: "list", Short: "list all containers with their figures", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&host, "host", "", "only those on `HOST`, of several")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, snap, err := g.connectTo(cmd, state.SectionContainers)
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
		l := state.DescriptorOf(state.SectionContainers).Lists[0]
		titles, rows := l.Columns, [][]string{}
		if several {
			titles = append([]string{"HOST"}, titles...)
		}
		for _, r := range l.Rows(&state.Snapshot{Containers: state.Containers{List: list}}) {
			row := cells(r)
			if several {
				row = append([]string{r.Value.(*state.Container).Host}, row...)
			}
			rows = append(rows, row)
		}
		return table(cmd.OutOrStdout(), strings.Join(titles, " "), rows)
	}
	return cmd
}

// newPrune shows what a prune would take, and takes it with --yes.
func newPrune(g *globals) *cobra.Command {
	spec := state.SpecOf(state.ContainerPrune)
	c, _ := spec.Command()
	cmd := actionCommand(g, spec, c, "prune", nil)
	act := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if yes, _ := cmd.Flags().GetBool("yes"); yes {
			return act(cmd, args)
		}
		s, _, err := g.connectTo(cmd, state.SectionContainers)
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

// composeTarget returns a target as it was typed in the words of the table: a project's
// name stands for all its services. It waits until compose and the project's files
// have been looked for.
func composeTarget(s *caller, kind state.Kind, typed string) (string, error) {
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
