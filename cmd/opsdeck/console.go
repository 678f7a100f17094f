package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/muesli/cancelreader"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/opsdeck/opsdeck/backend/config"
	"github.com/opsdeck/opsdeck/backend/session"
	"github.com/opsdeck/opsdeck/backend/source/docker"
	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/tui"
)

// consoleFlags are the flags of commands that open a console.
type consoleFlags struct {
	theme, pane string
	wall, ascii bool
}

func (c *consoleFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.theme, "theme", "", "dark, light, contrast or none (default: what the terminal says)")
	f.StringVar(&c.pane, "pane", "", "open this `PANE` alone, full screen")
	f.BoolVar(&c.wall, "wall", false, "read-only layout without chrome, for a wall or a tmux pane")
	f.BoolVar(&c.ascii, "ascii", false, "draw with ASCII alone (default: where the locale is not UTF-8)")
}

// via returns how a console with these flags takes part: a wall only looks, and must
// never be the one that holds control.
func (c *consoleFlags) via() string {
	if c.wall {
		return "wall"
	}
	return "console"
}

// errNoTerminal is for a console that has none.
var errNoTerminal = errors.New("the console needs a terminal: standard input or output is not one; opsdeck status and opsdeck render work without")

// runConsole opens the console on the workspace.
func runConsole(ctx context.Context, g *globals, c *consoleFlags, errOut io.Writer) error {
	if err := needTerminal(); err != nil {
		return err
	}
	ws, err := g.load()
	if err != nil {
		return err
	}
	s := dial(ctx, ws, me(c.via()))
	defer s.Stop()
	return openConsole(ctx, ws, s, c, errOut)
}

func needTerminal() error {
	if !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stdout.Fd())) {
		return exitError{exitUsage, errNoTerminal}
	}
	return nil
}

// openConsole runs the console on a session until it is left.
func openConsole(ctx context.Context, ws *config.Workspace, s *session.Session, c *consoleFlags, errOut io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // an engine that cannot be had ends the console with its reason
		if err := s.Engine(ctx); err != nil && ctx.Err() == nil {
			cancel(err)
		}
	}()
	o := c.options(ws)
	o.Backend, o.Actor = s, s.Actor()
	o.Shell, o.NoShell = shells(ws, s)
	err := tui.Run(ctx, o)
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// options returns the console's, but for what is behind it.
func (c *consoleFlags) options(ws *config.Workspace) tui.Options {
	path := filepath.Join(ws.Data, "console.json")
	theme := c.theme
	if theme == "" {
		theme = ws.Theme
	}
	return tui.Options{
		Theme: theme, NoColor: os.Getenv("NO_COLOR") != "", ASCII: c.ascii || !utf8Locale(), Keys: ws.Keys,
		Wall: c.wall, Pane: c.pane, Pinned: ws.Panes, Edit: openEditor, Copy: copyText(ws), File: writeOut, PID: os.Getpid(),
		Load: func() tui.Settings {
			var s tui.Settings
			if b, err := os.ReadFile(path); err == nil {
				_ = json.Unmarshal(b, &s) // settings that cannot be read are the defaults
			}
			return s
		},
		Save: func(s tui.Settings) error {
			b, err := json.MarshalIndent(s, "", " ")
			if err != nil {
				return err
			}
			tmp := fmt.Sprintf("%s.%d", path, os.Getpid())
			if err := os.WriteFile(tmp, b, 0o600); err != nil {
				return errors.Join(err, os.Remove(tmp))
			}
			return os.Rename(tmp, path)
		},
	}
}

// utf8Locale says whether the locale draws more than ASCII.
func utf8Locale() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return os.Getenv("TMUX") != "" // tmux draws it whatever the locale
}

// shells opens shells in containers of the workspace's engines.
func shells(ws *config.Workspace, at *session.Session) (func(string) (tea.ExecCommand, error), string) {
	src, err := newDocker(ws, nil, nil)
	if err != nil {
		return nil, err.Error()
	}
	return func(id string) (tea.ExecCommand, error) { return &shell{src: src, at: at, id: id}, nil }, ""
}

// shell is a shell in a container, in place of the console for a while.
type shell struct {
	src         *docker.Hosts
	at          *session.Session
	id          string
	in          io.Reader
	out, errOut io.Writer
}

// SetStdin implements tea.ExecCommand.
func (s *shell) SetStdin(r io.Reader) { s.in = r }

// SetStdout implements tea.ExecCommand.
func (s *shell) SetStdout(w io.Writer) { s.out = w }

// SetStderr implements tea.ExecCommand.
func (s *shell) SetStderr(w io.Writer) { s.errOut = w }

// Run implements tea.ExecCommand.
func (s *shell) Run() error {
	if err := note(context.Background(), s.at, s.id, "opened a shell"); err != nil {
		return fmt.Errorf("no shell was opened: it cannot be journalled: %w", err)
	}
	return handOver(context.Background(), s.in, s.out, func(ctx context.Context, in io.Reader, out io.Writer, sizes <-chan [2]uint16) error {
		return s.src.Shell(ctx, s.id, in, out, sizes)
	})
}

// notePatience is how long the engine may take to journal what is done by the
// terminal.
const notePatience = 5 * time.Second

// note journals what is done in a container by the terminal.
func note(ctx context.Context, s *session.Session, container, what string) error {
	ctx, cancel := context.WithTimeout(ctx, notePatience)
	defer cancel()
	_, err := s.Submit(ctx, state.Action{Kind: state.ContainerNote, Target: container, Args: map[string]string{"what": what}, Actor: s.Actor()})
	return err
}

// handOver gives the terminal to f: raw, with its size followed. It is given back as
// it was, and no key that is pressed after f has ended is lost to it.
func handOver(ctx context.Context, stdin io.Reader, stdout io.Writer, f func(ctx context.Context, in io.Reader, out io.Writer, sizes <-chan [2]uint16) error) error {
	fd := int(os.Stdin.Fd())
	old, err := term.MakeRaw(fd)
	if err != nil {
		return fmt.Errorf("the terminal cannot be handed over: %w", err)
	}
	defer func() { _ = term.Restore(fd, old) }()
	in, err := cancelreader.NewReader(stdin)
	if err != nil {
		return fmt.Errorf("the terminal cannot be handed over: %w", err)
	}
	defer in.Close()
	// A terminal that is gone takes the command with it; one that is asked to end is
	// given back first.
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	sizes, quit := windowSizes(fd)
	defer quit()
	out := &modes{w: stdout}
	defer out.restore()
	return f(ctx, in, out, sizes)
}

// copyText puts text into tmux's buffer, else the terminal's clipboard, else a file.
func copyText(ws *config.Workspace) func(string) (string, error) {
	return func(text string) (string, error) { return copyOut(ws.Data, text) }
}
