// Command opsdeck is the operations console, and the engine behind it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/backend"
	"github.com/opsdeck/opsdeck/backend/config"
	"github.com/opsdeck/opsdeck/cmd/opsdeck/logcmd"
	"github.com/opsdeck/opsdeck/theme/detect"
	"github.com/opsdeck/opsdeck/tui"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1 // what was asked for was tried and failed
	exitUsage   = 2 // the command line is wrong
	exitRefused = 3 // it was not tried: the reason is on standard error
	exitTrouble = 4 // status: something is firing, failed or unreachable
)

// exitError ends the program with a code, after its message.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string { return e.err.Error() }
func (e exitError) Unwrap() error { return e.err }

// startGC is the collector's percentage during the first startFor: a start makes much that
// stays, and collecting it again and again costs a quarter of its CPU time. What only the
// start needed is given back after it. From then on it is steadyGC: what is alive is small
// beside the program itself, and collecting it sooner saves a quarter of it. What both are
// worth here is measured by testdata/measure/measure -only collector.
const (
	startGC  = 400
	startFor = 2 * time.Second
	steadyGC = 50
)

func main() {
	detect.Restore()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(startGC)
		time.AfterFunc(startFor, func() {
			debug.SetGCPercent(steadyGC)
			debug.FreeOSMemory()
		})
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run does what main does, without the process around it.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	quietLibraries()
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	var ee exitError
	var le logcmd.ExitError
	if errors.As(err, &le) {
		err = exitError{le.Code, le.Err}
	}
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &ee):
		if ee.err != nil {
			fmt.Fprintln(errOut, "opsdeck:", ee.err)
		}
		return ee.code
	case errors.Is(err, backend.ErrRefused):
		fmt.Fprintln(errOut, "opsdeck:", strings.TrimPrefix(err.Error(), backend.ErrRefused.Error()+": "))
		return exitRefused
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(errOut, "opsdeck: interrupted: what it had begun may go on")
		return exitFailed
	case errors.Is(err, errUsage):
		fmt.Fprintf(errOut, "opsdeck: %v\n", err)
		return exitUsage
	}
	fmt.Fprintln(errOut, "opsdeck:", err)
	return exitFailed
}

// errUsage marks errors of the command line.
var errUsage = errors.New("usage")

func usage(format string, args ...any) error {
	return exitError{exitUsage, fmt.Errorf(format, args...)}
}

// globals are the flags that every command takes.
type globals struct {
	config.Flags
	json bool
}

func newRoot() *cobra.Command {
	g := &globals{}
	c := &consoleFlags{}
	root := &cobra.Command{
		Use:   "opsdeck",
		Short: "A terminal operations console with the orchestrator engine inside",
		Long: "opsdeck shows modules, pipeline, containers, queues, logs and alerts of a host, live,\n" +
			"and enables, reloads, rotates and restarts them. Without a command it opens the console\n" +
			"on the workspace in the current folder (or the nearest one above with an opsdeck.yaml).\n\n" +
			"Exit codes: 0 done, 1 tried and failed, 2 wrong usage, 3 refused, 4 status found trouble.",
		SilenceUsage: true, SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("there is no command %q: opsdeck --help lists them", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return runConsole(cmd.Context(), g, c, cmd.ErrOrStderr()) },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exitError{exitUsage, err} })
	pf := root.PersistentFlags()
	pf.StringVar(&g.Workspace, "workspace", "", "the workspace's `DIR` (default: the current folder)")
	pf.StringVar(&g.Config, "config", "", "the workspace `FILE` (default: DIR/opsdeck.yaml)")
	pf.BoolVar(&g.json, "json", false, "answer in JSON")
	root.Flags().StringVar(&g.Listen, "listen", "", "the admin API's `ADDR`, or off (default 127.0.0.1:8003)")
	c.register(root)
	root.AddCommand(
		newServe(g), newAttach(g, c), newSocket(g), newInit(g), newDemo(g, c), newStatus(g), newRender(g), newDoctor(g), newVersion(g),
		newExec(g), newCopy(g), newLogs(g), newDebug(g),
	)
	addDerived(g, root, map[string][]*cobra.Command{
		"modules": moduleCommands(g), "pipeline": jobCommands(g), "routing": routingCommands(g), "journal": journalCommands(g),
		"containers": {newContainersList(g), newPrune(g)}, "filters": {newFiltersList(g)}, "config": {newConfigShow(g)},
		"tokens": {newTokensCreate(g), newTokensList(g)},
	})
	for _, c := range root.Commands() {
		requireKnown(c)
	}
	return root
}

// requireKnown makes a command that only has subcommands refuse unknown ones.
func requireKnown(c *cobra.Command) {
	if c.HasSubCommands() && !c.Runnable() {
		c.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("there is no %q under %q: see %s --help", args[0], cmd.Name(), cmd.CommandPath())
			}
			return cmd.Help()
		}
	}
	for _, sub := range c.Commands() {
		requireKnown(sub)
	}
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usage("%v: see %s --help", err, cmd.CommandPath())
			}
			return nil
		}
	}
}

// load returns the workspace that the flags mean.
func (g *globals) load() (*config.Workspace, error) {
	w, err := config.Load(g.Flags)
	if err != nil {
		return nil, exitError{exitUsage, err}
	}
	w.Problems = append(append(w.Problems, keyProblems(w)...), paneProblems(w)...)
	return w, nil
}

// paneProblems returns the names among the pinned panes that are no pane's.
func paneProblems(w *config.Workspace) (out []string) {
	for i, n := range w.Panes {
		if names := paneNames(); !slices.Contains(names, n) {
			out = append(out, fmt.Sprintf("%s:%d: panes: there is no pane %q: expected some of %s", filepath.Base(w.ConfigFile), w.Line(fmt.Sprintf("panes[%d]", i)), n, strings.Join(names, ", ")))
		}
	}
	return out
}

// keyProblems returns the faults of the keys that the workspace file rebinds: file,
// line, what is wrong. The other keys are in force all the same.
func keyProblems(w *config.Workspace) (out []string) {
	base := tui.Clashes(nil)
	for name, key := range w.Keys {
		for _, c := range tui.Clashes(map[string]string{name: key}) {
			if !slices.Contains(base, c) {
				out = append(out, fmt.Sprintf("%s:%d: %s", filepath.Base(w.ConfigFile), w.Line("keys."+name), c))
			}
		}
	}
	slices.Sort(out)
	return out
}
