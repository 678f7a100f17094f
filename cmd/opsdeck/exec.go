package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/opsdeck/opsdeck/backend/remote"
	"github.com/opsdeck/opsdeck/backend/source/docker"
	"github.com/opsdeck/opsdeck/backend/state"
)

// dockerOf returns the source of the workspace's engine that has the container, which
// does not run, and the name by which it knows it.
func (g *globals) dockerOf(ctx context.Context, container string) (*docker.Source, string, error) {
	engines, err := g.dockers()
	if err != nil {
		return nil, "", err
	}
	return engines.Of(ctx, container)
}

// dockers returns the sources of the workspace's engines, which do not run.
func (g *globals) dockers() (*docker.Hosts, error) {
	ws, err := g.load()
	if err != nil {
		return nil, err
	}
	return newDocker(ws, nil, nil)
}

// note journals what is done in a container by this command, where an engine runs in
// the workspace: where none does, nothing else is journalled either.
func (g *globals) note(cmd *cobra.Command, container, what string) error {
	ws, err := g.load()
	if err != nil {
		return err
	}
	if owner, err := remote.ReadOwner(ws.Data); err != nil || !owner.Alive() {
		return nil
	}
	s, err := g.connect(cmd)
	if err != nil {
		return err
	}
	defer s.Stop()
	if err := note(cmd.Context(), s.Session, container, what); err != nil {
		return fmt.Errorf("nothing was done: it cannot be journalled: %w", err)
	}
	return nil
}

// newExec runs a command in a container.
func newExec(g *globals) *cobra.Command {
	shell, interactive, plain := "", false, false
	var e docker.Exec
	cmd := &cobra.Command{Use: "exec CONTAINER [COMMAND [ARG...]]", Short: "run a command in a container, by default a shell", Args: cobra.MinimumNArgs(1),
		Long: "exec runs a command in a container, through the container engine's own API. On a terminal the\n" +
			"command has one too, whose size follows the window; else its output and its errors stay apart.\n" +
			"Without a command it runs a shell: bash, else ash, else sh. It ends with the command's exit code.",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			src, id, err := g.dockerOf(ctx, args[0])
			if err != nil {
				return err
			}
			atTerminal := term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))
			run := e
			run.Cmd, run.TTY, run.Stdout, run.Stderr = args[1:], atTerminal && !plain, cmd.OutOrStdout(), cmd.ErrOrStderr()
			if len(run.Cmd) > 0 && run.Cmd[0] == "--" { // as kubectl would have it
				run.Cmd = run.Cmd[1:]
			}
			asked := len(run.Cmd) == 0
			if asked {
				found, err := src.FindShell(ctx, id, shell)
				if err != nil {
					return err
				}
				run.Cmd, interactive = []string{found}, true
			}
			if err := g.note(cmd, id, "ran "+run.Cmd[0]); err != nil { // its arguments may hold a secret
				return err
			}
			var code int
			if run.TTY {
				run.Env = append([]string{"TERM=xterm-256color"}, run.Env...)
				err = handOver(ctx, os.Stdin, os.Stdout, func(ctx context.Context, in io.Reader, out io.Writer, sizes <-chan [2]uint16) error {
					run.Stdin, run.Stdout, run.Stderr, run.Resize = in, out, out, sizes
					var err error
					code, err = src.Exec(ctx, id, run)
					return err
				})
			} else {
				if interactive {
					run.Stdin = cmd.InOrStdin()
				}
				code, err = src.Exec(ctx, id, run)
			}
			switch {
			case errors.Is(err, docker.ErrNotStarted) && asked:
				return exitError{127, fmt.Errorf("a shell in %s: %w", id, docker.ErrNoShell)}
			case errors.Is(err, docker.ErrNotStarted):
				return exitError{127, err}
			case err != nil:
				return err
			case code != 0:
				return exitError{code, nil}
			}
			return nil
		}}
	f := cmd.Flags()
	f.SetInterspersed(false) // what follows the container is the command's
	f.StringVar(&shell, "shell", "", "the `SHELL` to run without a command: bash, ash, sh, or a path in the container")
	f.BoolVarP(&interactive, "interactive", "i", false, "give standard input to a command without a terminal")
	f.BoolVarP(&plain, "no-tty", "T", false, "give the command no terminal")
	f.StringVarP(&e.User, "user", "u", "", "run it as `USER[:GROUP]`")
	f.StringVarP(&e.Dir, "workdir", "w", "", "run it in `DIR`")
	f.StringArrayVarP(&e.Env, "env", "e", nil, "with the variable `NAME=VALUE`")
	return cmd
}

// newCopy copies files into and out of containers.
func newCopy(g *globals) *cobra.Command {
	return &cobra.Command{Use: "cp CONTAINER:PATH FILE | cp FILE CONTAINER:PATH", Short: "copy files out of a container, or into one", Args: cobra.ExactArgs(2),
		Long: "cp copies a file or a folder between this host and a container, which need not run. An existing\n" +
			"folder is copied into; - in place of FILE is standard output. What comes out of a container writes\n" +
			"nothing outside of the place that is named; what goes in belongs to its root. A container of one\n" +
			"of several hosts is HOST/CONTAINER.",
		RunE: func(cmd *cobra.Command, args []string) error {
			engines, err := g.dockers()
			if err != nil {
				return err
			}
			fromID, fromPath, out := inContainer(args[0], engines.Has)
			toID, toPath, in := inContainer(args[1], engines.Has)
			if in == out {
				return usage("one of the two is CONTAINER:PATH, the other a file on this host; write ./a:b for a file whose name has a colon")
			}
			ctx, errOut := cmd.Context(), cmd.ErrOrStderr()
			src, id, err := engines.Of(ctx, fromID+toID) // one of them is ""
			if err != nil {
				return err
			}
			container, what := fromID, "copied "+fromPath+" out"
			if in {
				container, what = toID, "copied "+filepath.Base(args[0])+" to "+toPath
			}
			if err := g.note(cmd, container, what); err != nil {
				return err
			}
			tell, told := progressOf(errOut)
			var c docker.Copied
			switch {
			case out && args[1] == "-":
				c, err = src.ReadOut(ctx, id, fromPath, cmd.OutOrStdout())
			case out:
				c, err = src.CopyOut(ctx, id, fromPath, args[1], tell)
			default:
				c, err = src.CopyIn(ctx, args[0], id, toPath, tell)
				c.To = toID + ":" + c.To
			}
			told()
			for _, s := range c.Skipped {
				fmt.Fprintln(errOut, "left out:", s)
			}
			if err != nil {
				return err
			}
			if args[1] == "-" {
				return nil
			}
			if g.json {
				return printJSON(cmd.OutOrStdout(), map[string]any{"to": c.To, "files": c.Files, "bytes": c.Bytes, "left_out": c.Skipped})
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "copied %s, %s, to %s\n", state.Plural(c.Files, "file"), state.Size(float64(c.Bytes)), state.Clean(c.To))
			return err
		}}
}

// inContainer takes [HOST/]CONTAINER:PATH apart. A path on this host that has a colon
// begins with a slash or a dot, or with a folder that is no host.
func inContainer(arg string, isHost func(string) bool) (id, at string, ok bool) {
	id, at, ok = strings.Cut(arg, ":")
	host, title, hosted := strings.Cut(id, "/")
	if !ok || id == "" || strings.HasPrefix(id, ".") || hosted && (!isHost(host) || title == "" || strings.Contains(title, "/")) {
		return "", "", false
	}
	if at == "" {
		at = "/"
	}
	if !path.IsAbs(at) {
		at = "/" + at
	}
	return id, at, true
}

// progressOf shows how much was copied, where w is a terminal; the second function
// takes it away again.
func progressOf(w io.Writer) (func(int64), func()) {
	if !isTerminal(w) {
		return nil, func() {}
	}
	last := time.Now()
	shown := false
	return func(n int64) {
			if time.Since(last) > 200*time.Millisecond {
				last, shown = time.Now(), true
				fmt.Fprintf(w, "\r%s ...\x1b[K", state.Size(float64(n)))
			}
		}, func() {
			if shown {
				fmt.Fprint(w, "\r\x1b[K")
			}
		}
}
