package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/backend/admin"
	"github.com/opsdeck/opsdeck/backend/config"
	"github.com/opsdeck/opsdeck/backend/journal"
	"github.com/opsdeck/opsdeck/backend/metrics"
	"github.com/opsdeck/opsdeck/backend/remote"
	"github.com/opsdeck/opsdeck/backend/session"
	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/tui"
)

// finding is one line of the doctor.
type finding struct {
	What   string `json:"what"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

func newDoctor(g *globals) *cobra.Command {
	return &cobra.Command{Use: "doctor", Short: "check the workspace, its file, keys and what this host lacks", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ws, err := g.load()
			if err != nil {
				return err
			}
			all := examine(cmd.Context(), ws)
			bad := 0
			for _, f := range all {
				if !f.OK {
					bad++
				}
			}
			if g.json {
				err = printJSON(cmd.OutOrStdout(), all)
			} else {
				for _, f := range all {
					mark := "ok   "
					if !f.OK {
						mark = "LOOK "
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%s %-17s %s\n", mark, f.What, f.Detail)
				}
			}
			if err == nil && bad > 0 {
				return exitError{exitTrouble, nil}
			}
			return err
		}}
}

// examine looks at everything that a first run trips over.
func examine(ctx context.Context, ws *config.Workspace) (all []finding) {
	add := func(what string, ok bool, format string, args ...any) {
		all = append(all, finding{what, ok, fmt.Sprintf(format, args...)})
	}
	add("workspace", true, "%s", ws.Dir)
	switch {
	case len(ws.Problems) > 0:
		for _, p := range ws.Problems {
			add("workspace file", false, "%s", p)
		}
	case ws.ConfigFile == "":
		add("workspace file", true, "none: defaults are in force; opsdeck init writes one")
	default:
		add("workspace file", true, "%s", ws.ConfigFile)
	}
	for _, f := range ws.Found {
		note := f.Note
		if !f.Found {
			note = "none there"
		}
		add(f.What, true, "%s: %s", f.Where, note)
	}
	if n := len(ws.Watches); n > 0 {
		add("watches", true, "%d of logs, %d of them alerts", n, len(watchAlerts(ws)))
	}
	if err := writable(ws.Data); err != nil {
		add("data folder", false, "%s cannot be written: %v", ws.Data, err)
	} else {
		add("data folder", true, "%s", ws.Data)
	}
	if owner, err := remote.ReadOwner(ws.Data); err == nil && owner.Alive() {
		if snap, err := answers(ctx, owner); err != nil {
			add("engine", false, "%v", session.Silent(ws.Data, owner, err))
		} else {
			add("engine", true, "process %d of %s runs it, since %s", owner.PID, owner.User, owner.Started.Local().Format(time.DateTime))
			for _, d := range state.Descriptors() {
				ok, detail := diagnose(d, snap)
				add("engine/"+string(d.Name), ok, "%s", detail)
			}
			for name := range snap.Unknown {
				add("engine/"+string(name), false, "the engine has it, and is newer than this opsdeck, which does not know it: use the same version")
			}
		}
	} else {
		add("engine", true, "none runs now, so its sections were not examined")
	}
	if ws.Engine.URL != "" {
		if said, err := remote.Ask(ctx, ws.Engine.URL, remote.Access{Token: ws.Engine.Token, CA: ws.Engine.CA}); err != nil {
			add("engine.url", false, "%v", err)
		} else {
			add("engine.url", true, "%s answers: %s", ws.Engine.URL, said)
		}
	}
	if n, err := journal.Verify(filepath.Join(ws.Data, "journal.jsonl")); err == nil {
		add("journal", true, "%d entries, the chain is intact", n)
	} else if !errors.Is(err, os.ErrNotExist) {
		add("journal", false, "%v", err)
	}
	switch key, err := ws.MasterKey(); {
	case err != nil:
		add("credentials", false, "the store is locked: %v", err)
	case openToOthers(key.File):
		add("credentials", false, "%s holds MODULE_ENCRYPTION_KEY and can be read by other users: chmod 600 %s", key.File, key.File)
	default:
		add("credentials", true, "MODULE_ENCRYPTION_KEY comes from %s", key.From)
	}
	for _, s := range ws.Metrics.Scrape {
		t := metrics.Target{Name: s.Name, URL: s.URL, Match: s.Match}
		if got, err := newRelay(ws, func(s string) string { return s }, slog.New(slog.DiscardHandler)).Fetch(ctx, t); err != nil {
			add("metrics", false, "%v", err)
		} else {
			add("metrics", true, "%s: %d names are relayed from %s", s.Name, len(got), s.URL)
		}
	}
	python := ws.Modules.Python
	if python == "" {
		python = "python3"
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	scripts, _ := filepath.Glob(filepath.Join(ws.Modules.Dir, "*", "*", "*.py"))
	if out, err := exec.CommandContext(ctx, python, "--version").CombinedOutput(); err != nil && len(scripts) == 0 {
		add("python", true, "%s: %v; no module here needs it", python, err)
	} else if err != nil {
		add("python", false, "%s: %v: modules in Python do not run; install python3 or name one in modules.python", python, err)
	} else {
		add("python", true, "%s", firstLine(string(out)))
	}
	tokens, terr := admin.NewTokens(filepath.Join(ws.Data, admin.TokensFile), nil).List()
	switch open := ws.Listen != "off" && !admin.Loopback(ws.Listen); {
	case terr != nil:
		add("API tokens", false, "%v", terr)
	case open && ws.Getenv("OPSDECK_TOKEN") == "" && len(tokens) == 0:
		add("admin API", false, "%s is not a loopback address: opsdeck tokens create makes a token, or put OPSDECK_TOKEN into the environment or .env", ws.Listen)
	case open && ws.TLS.Cert == "":
		add("admin API", false, "%s is not a loopback address, and tokens go over it in the clear: name a certificate under tls in opsdeck.yaml", ws.Listen)
	}
	for _, t := range tokens {
		if t.Expired(time.Now()) {
			add("API tokens", false, "%s is over since %s: opsdeck tokens revoke %s", t.Name, t.Expires.Local().Format(time.DateTime), t.Name)
		}
	}
	if n := len(ws.Getenv("OPSDECK_TOKEN")); n > 0 && n < 20 {
		add("OPSDECK_TOKEN", false, "it has %d characters and can be guessed: opsdeck tokens create makes better ones", n)
	}
	if ws.TLS.Cert != "" {
		if _, err := admin.TLS(ws.TLS.Cert, ws.TLS.Key, slog.New(slog.DiscardHandler)); err != nil {
			add("tls", false, "%v", err)
		}
	}
	if clashes := tui.Clashes(ws.Keys); len(clashes) == 0 {
		add("keys", true, "no clashes with each other, tmux or the terminal")
	} else if len(keyProblems(ws)) == 0 { // those of one key alone are among the file's
		for _, c := range clashes {
			add("keys", false, "%s", c)
		}
	}
	if !utf8Locale() {
		add("locale", false, "it is not UTF-8: borders are drawn in ASCII; set LANG=C.UTF-8")
	}
	switch t := os.Getenv("TERM"); t {
	case "", "dumb":
		add("terminal", false, "TERM is %q: the console cannot be drawn; set it to what your terminal is", t)
	default:
		add("terminal", true, "%s, COLORTERM %q", t, os.Getenv("COLORTERM"))
	}
	return all
}

// openToOthers reports whether users outside the file's group can read it.
func openToOthers(path string) bool {
	st, err := os.Stat(path)
	return path != "" && err == nil && st.Mode().Perm()&0o004 != 0
}

// answers returns what the engine says to a console: one that hangs still takes a
// connection.
func answers(ctx context.Context, owner remote.Owner) (*state.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	c, err := remote.Dial(ctx, owner.Socket, me("cli"))
	if ctx.Err() != nil {
		err = remote.ErrSilent
	}
	if err != nil {
		return nil, err
	}
	defer c.Close()
	snap, err := c.Wait(ctx, 0)
	for err == nil && slices.ContainsFunc(state.SectionNames(), func(n state.SectionName) bool { return snap.HealthOf(n).Status == state.Connecting }) {
		next, err := c.Wait(ctx, snap.Version)
		if err != nil {
			break // what has not answered by now is said to be so
		}
		snap = next
	}
	return snap, err
}

// diagnose returns what is to be said of a section while its engine runs.
func diagnose(d *state.Descriptor, s *state.Snapshot) (ok bool, detail string) {
	if d.Doctor != nil {
		return d.Doctor(s)
	}
	h := s.HealthOf(d.Name)
	switch h.Status {
	case state.OK:
		detail = "current"
		if d.Summary != nil {
			detail = d.Summary(s)
		}
		return true, detail
	case state.Absent:
		return true, "absent: " + firstLine(h.Err)
	case "":
		return true, "nothing of this kind is configured"
	}
	return false, string(h.Status) + ": " + firstLine(h.Err, "it has not answered yet")
}

// writable tries to write a file into dir.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".opsdeck-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
