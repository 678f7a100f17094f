package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/backend/state"
)

// jobCommands returns the commands about the pipeline's jobs.
func jobCommands(g *globals) []*cobra.Command {
	failed := false
	jobs := &cobra.Command{Use: "jobs", Short: "list the last jobs and those that failed, newest first", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		s, list, err := g.jobs(cmd, "*")
		if err != nil {
			return err
		}
		defer s.Stop()
		shown := []state.Job{}
		var rows [][]string
		for _, j := range list {
			if !failed || j.Status == "failed" {
				shown = append(shown, j)
				rows = append(rows, []string{j.ID, j.Module, j.Status, j.Stage, ago(j.At), fmt.Sprint(j.Items), firstLine(j.Cause)})
			}
		}
		if g.json {
			return printJSON(cmd.OutOrStdout(), shown)
		}
		return table(cmd.OutOrStdout(), "JOB MODULE STATUS STAGE FETCHED ITEMS CAUSE", rows)
	}}
	jobs.Flags().BoolVar(&failed, "failed", false, "only those that failed and can be retried")
	job := &cobra.Command{Use: "job JOB", Short: "follow one job's way through the stages", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		s, list, err := g.jobs(cmd, args[0])
		if err != nil {
			return err
		}
		defer s.Stop()
		j := state.Pipeline{Jobs: list}.Job(args[0])
		if j == nil {
			return exitError{exitFailed, fmt.Errorf("there is no job %q, or it was long ago: opsdeck pipeline jobs lists the last", args[0])}
		}
		if g.json {
			return printJSON(cmd.OutOrStdout(), j)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s of %s is %s, in %s\n", j.ID, j.Module, j.Status, j.Stage)
		if j.Cause != "" {
			fmt.Fprintln(cmd.OutOrStdout(), j.Cause)
		}
		var rows [][]string
		for _, st := range j.Steps {
			row := []string{st.Stage, st.Queued.Local().Format("15:04:05.000"), "", "", st.Err}
			if !st.Started.IsZero() {
				row[2] = st.Started.Sub(st.Queued).Round(time.Microsecond).String()
			}
			if !st.Ended.IsZero() {
				row[3] = st.Ended.Sub(st.Started).Round(time.Microsecond).String()
			}
			rows = append(rows, row)
		}
		return table(cmd.OutOrStdout(), "STAGE CAME WAITED WORKED ERROR", rows)
	}}
	return []*cobra.Command{jobs, job}
}

// jobs waits until the pipeline tells of the jobs asked for: one by its ID, "*" for
// the last. The session is to be stopped by the caller.
func (g *globals) jobs(cmd *cobra.Command, want string) (*caller, []state.Job, error) {
	s, snap, err := g.connectTo(cmd, state.SectionPipeline)
	if err != nil {
		return nil, nil, err
	}
	s.Watch(state.Interests{{Topic: state.LookJob, Key: want}})
	// The engine publishes the pipeline every second: the second from now on knows of
	// the wish, unless the job is told of before.
	ctx, cancel := context.WithTimeout(cmd.Context(), sectionPatience)
	defer cancel()
	for seen, last := 0, snap.Versions[state.SectionPipeline]; seen < 2; {
		if j := snap.Pipeline.Job(want); j != nil && len(j.Steps) > 0 {
			break
		}
		next, err := s.Wait(ctx, snap.Version)
		if err != nil {
			s.Stop()
			return nil, nil, err
		}
		if snap = next; snap.Versions[state.SectionPipeline] != last {
			seen, last = seen+1, snap.Versions[state.SectionPipeline]
		}
	}
	return s, snap.Pipeline.Jobs, nil
}
