package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/backend/config"
	"github.com/opsdeck/opsdeck/backend/remote"
	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/tui"
)

func newAttach(g *globals, c *consoleFlags) *cobra.Command {
	tokenFile, ca := "", ""
	cmd := &cobra.Command{Use: "attach [ssh://[USER@]HOST[:PORT][/WORKSPACE] | https://HOST:PORT]", Short: "open a console on an engine that runs already", Args: cobra.MaximumNArgs(1),
		Long: "attach opens a console on the workspace's running engine; on one of another host over SSH,\n" +
			"with the user's own ssh configuration, agent and known hosts; or on one whose API is at a\n" +
			"URL, with the token in OPSDECK_TOKEN or --token-file. A NEXUS orchestrator's URL works too.\n" +
			"A link that is lost is made again by itself.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needTerminal(); err != nil {
				return err
			}
			ws, err := g.load()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				if owner, err := remote.ReadOwner(ws.Data); err != nil || !owner.Alive() {
					return exitError{exitRefused, fmt.Errorf("no engine runs in %s: opsdeck starts one with a console, opsdeck serve one without", ws.Dir)}
				}
				// Its owner may leave before this console does: the session takes over then.
				s := dial(cmd.Context(), ws, me(c.via()))
				defer s.Stop()
				return openConsole(cmd.Context(), ws, s, c, cmd.ErrOrStderr())
			}
			at := args[0]
			if strings.HasPrefix(at, "ssh:") {
				return attachSSH(cmd.Context(), ws, c, at)
			}
			access := remote.Access{Token: ws.Getenv("OPSDECK_TOKEN"), CA: ca, Session: rand.Text()}
			if tokenFile != "" {
				b, err := os.ReadFile(tokenFile)
				if err != nil {
					return exitError{exitUsage, fmt.Errorf("read the token: %w", err)}
				}
				access.Token = strings.TrimSpace(string(b))
			}
			actor := c.from()
			err = openLink(cmd.Context(), ws, c, at, func(ctx context.Context) (*remote.Client, error) {
				return remote.DialHTTP(ctx, at, access, actor)
			})
			if errors.Is(err, remote.ErrNotOpsdeck) {
				elsewhere := ws.At(at, access.Token, ca)
				s := dial(cmd.Context(), elsewhere, me(c.via()))
				defer s.Stop()
				return openConsole(cmd.Context(), elsewhere, s, c, cmd.ErrOrStderr())
			}
			return err
		}}
	c.register(cmd)
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "read the token from `FILE` (default: OPSDECK_TOKEN)")
	cmd.Flags().StringVar(&ca, "ca", "", "trust the certificates in `FILE` too, for a private authority")
	return cmd
}

// from returns who sits at a console on another host's engine.
func (c *consoleFlags) from() state.Actor {
	a := me(c.via())
	if host, err := os.Hostname(); err == nil {
		a.From += " on " + host
	}
	return a
}

// attachSSH opens a console on the engine behind an ssh URL.
func attachSSH(ctx context.Context, ws *config.Workspace, c *consoleFlags, at string) error {
	host, err := remote.ParseHost(at)
	if err != nil {
		return exitError{exitUsage, err}
	}
	ssh := &remote.SSH{Host: host, Terminal: os.Stderr}
	defer ssh.Close()
	actor := c.from()
	return openLink(ctx, ws, c, host.String(), func(ctx context.Context) (*remote.Client, error) { return ssh.Dial(ctx, actor) })
}

// openLink runs the console on a link until it is left.
func openLink(ctx context.Context, ws *config.Workspace, c *consoleFlags, where string, dial func(context.Context) (*remote.Client, error)) error {
	link, err := remote.NewLink(ctx, where, dial)
	if err != nil {
		return err
	}
	defer link.Close()
	o := c.options(ws)
	o.Backend, o.Actor = link, c.from()
	o.PID = 0 // the engine's may be the same number there
	o.NoShell = "this console is attached to another host's engine: open it there"
	return tui.Run(ctx, o)
}

// newSocket prints where the engine listens: it is what attach ssh:// asks the
// other host.
func newSocket(g *globals) *cobra.Command {
	return &cobra.Command{Use: "socket", Short: "print the socket of the engine that runs in the workspace", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ws, err := g.load()
			if err != nil {
				return err
			}
			owner, err := remote.ReadOwner(ws.Data)
			if err != nil || !owner.Alive() {
				return exitError{exitRefused, fmt.Errorf("no engine runs in %s: opsdeck serve starts one", ws.Dir)}
			}
			if g.json {
				return printJSON(cmd.OutOrStdout(), map[string]any{"socket": owner.Socket, "pid": owner.PID, "user": owner.User, "version": owner.Version,
					"started": owner.Started.UTC().Format(time.RFC3339)})
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), owner.Socket)
			return err
		}}
}
