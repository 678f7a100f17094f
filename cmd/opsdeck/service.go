package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	"github.com/opsdeck/opsdeck/backend/journal"
	"github.com/opsdeck/opsdeck/backend/remote"
	"github.com/opsdeck/opsdeck/backend/session"
	"github.com/opsdeck/opsdeck/backend/state"
)

// release is set by the linker for releases.
var release = ""

// version returns the release, or what the build says of itself.
func version() string {
	if release != "" {
		return release
	}
	if bi, ok := debug.ReadBuildInfo(); ok {
		for _, s := range bi.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return "dev-" + s.Value[:12]
			}
		}
	}
	return "dev"
}

func newVersion(g *globals) *cobra.Command {
	return &cobra.Command{Use: "version", Short: "print the version", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		bi, _ := debug.ReadBuildInfo()
		goVersion := ""
		if bi != nil {
			goVersion = bi.GoVersion
		}
		if g.json {
			return printJSON(cmd.OutOrStdout(), map[string]string{"version": version(), "go": goVersion})
		}
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "opsdeck %s (%s)\n", version(), goVersion)
		return err
	}}
}

func newServe(g *globals) *cobra.Command {
	cmd := &cobra.Command{Use: "serve", Short: "run the engine without a terminal; consoles attach to it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), g, cmd) }}
	cmd.Flags().StringVar(&g.Listen, "listen", "", "the admin API's `ADDR`, or off (default 127.0.0.1:8003)")
	return cmd
}

func serve(ctx context.Context, g *globals, cmd *cobra.Command) error {
	// SIGHUP reloads the workspace file here; it ends other commands.
	ctx, stop := signal.NotifyContext(context.WithoutCancel(ctx), os.Interrupt, syscall.SIGTERM)
	defer stop()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	ws, err := g.load()
	if err != nil {
		return err
	}
	for _, p := range ws.Problems {
		fmt.Fprintln(cmd.ErrOrStderr(), "opsdeck:", p)
	}
	d, owner, err := startDaemon(ws, true)
	if errors.Is(err, remote.ErrHeld) && owner.PID <= 0 { // it is starting, ending, or hangs
		return exitError{exitRefused, session.Silent(ws.Data, owner, err)}
	}
	if errors.Is(err, remote.ErrHeld) {
		return exitError{exitRefused, fmt.Errorf("process %d of %s runs this workspace's engine already, since %s", owner.PID, owner.User, owner.Started.Local().Format(time.DateTime))}
	}
	if err != nil {
		return err
	}
	defer d.Stop()
	m := manager{d.Log()}
	if err := d.Alive(ctx, startPatience); err != nil && ctx.Err() == nil {
		return err
	}
	defer m.stopping()
	watched, unwatch := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); m.watch(watched, d) }()
	defer func() { unwatch(); <-done }()
	where := "no API"
	if addr, dashboard, why := d.API(); why != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "opsdeck:", why)
	} else {
		where = "API at " + addr
		if dashboard != "" {
			where += " and " + dashboard
		}
	}
	fmt.Fprintf(cmd.OutOrStdout(), "opsdeck %s serves %s, process %d, %s\n", version(), ws.Dir, os.Getpid(), where)
	serves := fmt.Sprintf("serves %s, %s", ws.Dir, where)
	if len(ws.Problems) > 0 {
		serves += "; the workspace file is not in force: " + ws.Problems[0]
	}
	m.ready(serves)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
			m.reloading()
			said, err := reload(ctx, d)
			if err != nil {
				fmt.Fprintln(cmd.ErrOrStderr(), "opsdeck:", err)
				said = err.Error()
			} else {
				fmt.Fprintln(cmd.OutOrStdout(), "opsdeck: workspace file read again:", said)
			}
			// A reload that failed changed nothing: what serves goes on serving.
			m.ready(fmt.Sprintf("serves %s, %s; last reload at %s: %s", ws.Dir, where, time.Now().Format(time.TimeOnly), said))
		}
	}
}

// startPatience is how long the engine may take from its start to its first answer.
const startPatience = 30 * time.Second

// reload reads the workspace file again, as SIGHUP asks for, and returns the result. An
// error means that nothing was changed.
func reload(ctx context.Context, d *session.Daemon) (string, error) {
	p, err := backend.Do(ctx, d.Hub(), state.Action{Kind: state.ConfigReload, Actor: state.Actor{User: userName(), From: "SIGHUP", Via: "engine"}}, false, nil)
	if err != nil {
		return "", errors.New(strings.TrimPrefix(err.Error(), backend.ErrRefused.Error()+": "))
	}
	if p.Status != "done" {
		return "", errors.New(p.Err)
	}
	return p.Result, nil
}

func newInit(g *globals) *cobra.Command {
	unit, to := false, ""
	cmd := &cobra.Command{Use: "init", Short: "write down what is found here as opsdeck.yaml, or a systemd unit", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ws, err := g.load()
			if err != nil {
				return err
			}
			if unit {
				return initUnit(cmd, ws, to)
			}
			path, err := ws.Init()
			if err != nil {
				return exitError{exitRefused, err}
			}
			fmt.Fprintln(cmd.OutOrStdout(), "wrote", path)
			for _, f := range ws.Found {
				mark := "found    "
				if !f.Found {
					mark = "not found"
				}
				fmt.Fprintf(cmd.OutOrStdout(), "  %s  %-9s  %s  %s\n", mark, f.What, f.Where, f.Note)
			}
			return nil
		}}
	cmd.Flags().BoolVar(&unit, "systemd", false, "write a unit for opsdeck serve on this workspace instead")
	cmd.Flags().StringVar(&to, "to", "", "the unit's `FILE` (default: opsdeck.service in the workspace)")
	return cmd
}

// initUnit writes the unit and says what to do with it.
func initUnit(cmd *cobra.Command, ws *config.Workspace, to string) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("init: where this program lies cannot be told: %w", err)
	}
	if to == "" {
		to = filepath.Join(ws.Dir, "opsdeck.service")
	}
	if err := ws.WriteUnit(to, config.Unit{Program: exe, User: userName(), Socket: remote.SocketPath(ws.Data)}); err != nil {
		return exitError{exitRefused, err}
	}
	name := filepath.Base(to)
	fmt.Fprintf(cmd.OutOrStdout(), `wrote %s; next:
  systemd-analyze verify %s
  sudo install -m 644 %s /etc/systemd/system/%s
  sudo systemctl daemon-reload
  sudo systemctl enable --now %s
  systemctl status %s      # what it says of itself
  journalctl -u %s -f
opsdeck in this folder then attaches to it; systemctl reload %s puts a changed workspace file into force.
`, to, config.ShellQuote(to), config.ShellQuote(to), name, name, name, name, name)
	return nil
}

// journalCommands returns the commands about the journal, which need no engine.
func journalCommands(g *globals) []*cobra.Command {
	path := func() (string, error) {
		ws, err := g.load()
		if err != nil {
			return "", err
		}
		return filepath.Join(ws.Data, "journal.jsonl"), nil
	}
	list := &cobra.Command{Use: "list", Short: "print the journal, oldest first", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		p, err := path()
		if err != nil {
			return err
		}
		var rows [][]string
		err = journal.Read(p, func(e state.Entry) bool {
			if g.json {
				return printJSON(cmd.OutOrStdout(), e) == nil
			}
			rows = append(rows, []string{fmt.Sprint(e.Seq), e.At.Local().Format(time.DateTime), string(e.Phase), string(e.Kind), e.Target,
				e.Actor.User, e.Actor.Via, e.Actor.From, e.Outcome, firstLine(e.Detail)})
			return true
		})
		if errors.Is(err, os.ErrNotExist) {
			return exitError{exitFailed, fmt.Errorf("there is no journal yet: nothing has been done in this workspace")}
		}
		if g.json {
			return err
		}
		return errors.Join(table(cmd.OutOrStdout(), "ENTRY TIME PHASE ACTION TARGET USER VIA FROM OUTCOME DETAIL", rows), err)
	}}
	verify := &cobra.Command{Use: "verify", Short: "check that no entry was changed, removed or put in", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		p, err := path()
		if err != nil {
			return err
		}
		n, err := journal.Verify(p)
		if errors.Is(err, os.ErrNotExist) {
			return exitError{exitFailed, fmt.Errorf("there is no journal yet: nothing has been done in this workspace")}
		}
		if g.json {
			out := map[string]any{"entries": n, "intact": err == nil}
			if err != nil {
				out["error"] = err.Error()
			}
			if jerr := printJSON(cmd.OutOrStdout(), out); jerr != nil {
				return jerr
			}
			if err != nil {
				return exitError{exitFailed, nil}
			}
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%d entries, the chain is intact\n", n)
		return nil
	}}
	return []*cobra.Command{list, verify}
}

// troubles returns what is wrong in a snapshot, worst first.
func troubles(s *state.Snapshot) (out []state.Trouble) {
	for _, d := range state.Descriptors() {
		if d.Troubles != nil {
			out = append(out, d.Troubles(s)...)
		}
		if h := s.HealthOf(d.Name); h.Status == state.Stale || h.Status == state.Down {
			out = append(out, state.Trouble{Rank: state.RankUnseen, Text: fmt.Sprintf("%s cannot be seen: %s", d.Name, firstLine(h.Err))})
		}
	}
	slices.SortStableFunc(out, func(a, b state.Trouble) int { return a.Rank - b.Rank })
	return out
}

// settled reports whether every source has answered one way or the other.
func settled(s *state.Snapshot) bool {
	for _, d := range state.Descriptors() {
		if s.HealthOf(d.Name).Status == state.Connecting || !sampled(d, s) {
			return false
		}
	}
	return true
}

// settle returns the first snapshot in which every source has answered, or the newest
// after limit.
func settle(ctx context.Context, s *session.Session, limit time.Duration) (*state.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var snap *state.Snapshot
	var after uint64
	for {
		next, err := s.Wait(ctx, after)
		if err != nil {
			if snap != nil && errors.Is(err, context.DeadlineExceeded) {
				return snap, nil
			}
			if errors.Is(err, context.DeadlineExceeded) {
				err = s.Unanswered(limit)
			}
			return nil, err
		}
		snap, after = next, next.Version
		if settled(snap) {
			return snap, nil
		}
	}
}

func newStatus(g *globals) *cobra.Command {
	return &cobra.Command{Use: "status", Short: "say what is wrong, in a few lines; exit code 4 when something is", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := g.connect(cmd)
			if err != nil {
				return err
			}
			defer s.Stop()
			snap, err := settle(cmd.Context(), s.Session, sectionPatience)
			if err != nil {
				return err
			}
			bad := []string{}
			for _, t := range troubles(snap) {
				bad = append(bad, t.Text)
			}
			if g.json {
				sections := map[state.SectionName]state.Health{}
				for _, name := range state.SectionNames() {
					sections[name] = snap.HealthOf(name)
				}
				for name, u := range snap.Unknown {
					sections[name] = u.Health
				}
				err = printJSON(cmd.OutOrStdout(), map[string]any{"workspace": snap.Workspace.Title, "host": snap.Workspace.Hostname, "trouble": bad, "sections": sections})
			} else {
				err = printStatus(cmd, snap, bad)
			}
			if err == nil && len(bad) > 0 {
				return exitError{exitTrouble, nil}
			}
			return err
		}}
}

func printStatus(cmd *cobra.Command, s *state.Snapshot, bad []string) error {
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "%s on %s\n", s.Workspace.Title, s.Workspace.Hostname)
	for _, d := range state.Descriptors() {
		if d.Summary == nil {
			continue
		}
		text := d.Summary(s)
		if h := s.HealthOf(d.Name); h.Status != state.OK {
			text = string(h.Status) + ": " + firstLine(h.Err)
		}
		fmt.Fprintf(w, "  %-11s %s\n", d.Name, text)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Unknown)) {
		fmt.Fprintf(w, "  %-11s the engine has it, and is newer than this opsdeck, which does not know it\n", name)
	}
	if len(bad) == 0 {
		_, err := fmt.Fprintln(w, "nothing is wrong")
		return err
	}
	fmt.Fprintf(w, "%d things are wrong:\n", len(bad))
	_, err := fmt.Fprintln(w, "  "+strings.Join(bad, "\n  "))
	return err
}
