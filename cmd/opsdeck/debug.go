package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/backend/profile"
	"github.com/opsdeck/opsdeck/backend/remote"
)

// newDebug looks into the running engine.
func newDebug(g *globals) *cobra.Command {
	debug := &cobra.Command{Use: "debug", Short: "look into the running engine: CPU, memory, goroutines, a trace",
		Long: "debug asks the engine that runs in the workspace, over its unix socket, where its time and its\n" +
			"memory go, and writes the answer to a file for go tool pprof or go tool trace. It is for the\n" +
			"engine's own user and for root, and never goes over TCP. The engine goes on meanwhile; a CPU\n" +
			"profile or a trace costs it a few percent of a core for as long as it is taken.\n\n" +
			"  opsdeck debug cpu --seconds 30            # what is it busy with\n" +
			"  opsdeck debug heap -o heap.pprof          # what is in its memory\n" +
			"  opsdeck debug goroutines -o - | less      # what does it wait for\n" +
			"  opsdeck debug trace --seconds 5           # what ran when\n\n" +
			"Only programs that were built with the same Go can read a trace. Profiles hold names of functions\n" +
			"and amounts, and nothing that was in memory."}
	for _, k := range profile.Kinds() {
		var file string
		var seconds int
		cmd := &cobra.Command{Use: k.Name, Short: k.Short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			over := time.Duration(seconds) * time.Second
			if k.Timed && (over < time.Second || over > profile.MaxDuration) {
				return usage("--seconds %d: 1 to %.0f was expected", seconds, profile.MaxDuration.Seconds())
			}
			ws, err := g.load()
			if err != nil {
				return err
			}
			owner, err := remote.ReadOwner(ws.Data)
			if err != nil || !owner.Alive() {
				return exitError{exitRefused, fmt.Errorf("no engine runs in %s that could be looked into: opsdeck serve starts one, --workspace DIR names another", ws.Dir)}
			}
			if file == "" {
				file = fmt.Sprintf("opsdeck-%s-%s.%s", k.Name, time.Now().Format("20060102-150405"), k.Ext)
			}
			if k.Timed {
				fmt.Fprintf(cmd.ErrOrStderr(), "opsdeck: process %d is watched for %d s\n", owner.PID, seconds)
			}
			err = writeProfile(cmd.Context(), owner, k, over, file, cmd.OutOrStdout())
			if errors.Is(err, profile.ErrNotOwner) {
				return exitError{exitRefused, fmt.Errorf("%w: it runs as %s: call this as that user", err, owner.User)}
			}
			if err == nil && file != "-" {
				fmt.Fprintf(cmd.OutOrStdout(), "%s: read it with "+k.Tool+"\n", file, file)
			}
			return err
		}}
		cmd.Flags().StringVarP(&file, "output", "o", "", "write to `FILE`, - for standard output (default: one in this folder, named for the time)")
		if k.Timed {
			cmd.Flags().IntVar(&seconds, "seconds", 10, "watch it for `N` seconds")
		}
		debug.AddCommand(cmd)
	}
	return debug
}

// writeProfile writes a profile of the engine to a file, "-" for out. What is not whole is
// removed.
func writeProfile(ctx context.Context, owner remote.Owner, k profile.Kind, over time.Duration, file string, out io.Writer) error {
	if file == "-" {
		return profile.Fetch(ctx, owner.Socket, k, over, out)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(profile.Fetch(ctx, owner.Socket, k, over, f), f.Close())
	if err != nil {
		_ = os.Remove(file)
	}
	return err
}
