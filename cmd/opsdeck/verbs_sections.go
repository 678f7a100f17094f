package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/opsdeck/opsdeck/backend/state"
)

func ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return humanize.Time(t)
}

func bytes(v float64) string {
	if v < 0 {
		return ""
	}
	return state.Size(v)
}

func number(v float64, unit string) string {
	if v < 0 {
		return ""
	}
	return strconv.FormatFloat(v, 'f', -1, 64) + unit
}

func newModules(g *globals) *cobra.Command {
	list := listCmd(g, "list", "list all modules", state.SectionModules, func(s *state.Snapshot) any { return s.Modules.List },
		"MODULE STATUS HEALTH VERSION FETCHED OK FAILED CREDENTIALS REASON", func(s *state.Snapshot) (rows [][]string) {
			for _, m := range s.Modules.List {
				rows = append(rows, []string{m.ID, m.Status.Word(), m.HealthWord, m.Version, ago(m.LastFetch), fmt.Sprint(m.Successes), fmt.Sprint(m.Failures),
					string(m.Credentials), firstLine(m.Reason, m.LastError)})
			}
			return rows
		})
	show := &cobra.Command{Use: "show MODULE", Short: "show one module with its last error, traceback and result", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, snap, err := g.sitDownTo(cmd, state.SectionModules)
			if err != nil {
				return err
			}
			defer s.Stop()
			m := snap.Modules.Module(args[0])
			if m == nil {
				return exitError{exitRefused, fmt.Errorf("there is no module %q: opsdeck modules list has them all", args[0])}
			}
			return printJSON(cmd.OutOrStdout(), m)
		}}
	cmds := append([]*cobra.Command{list, show},
		actionCmd(g, verb{use: "enable MODULE", short: "enable a module", kind: state.ModuleEnable}),
		actionCmd(g, verb{use: "disable MODULE", short: "disable a module", kind: state.ModuleDisable}),
		actionCmd(g, verb{use: "reload MODULE", short: "read a module's files again and fetch", kind: state.ModuleReload}),
		actionCmd(g, verb{use: "restart MODULE", short: "restart a module's runner", kind: state.ModuleRestart}),
		actionCmd(g, verb{use: "fetch MODULE", short: "fetch now", kind: state.ModuleFetch}),
		actionCmd(g, verb{use: "uninstall MODULE", short: "take a module out of the registry; its files stay", kind: state.ModuleUninstall}),
	)
	return group("modules", "list, enable, reload modules; validate, test, approve, roll back their files", append(cmds, programCmds(g)...)...)
}

func firstLine(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			line, _, _ := strings.Cut(t, "\n")
			return line
		}
	}
	return ""
}

func newCredentials(g *globals) *cobra.Command {
	from := ""
	flags := func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&from, "from", "", "read a JSON object of values from `FILE`; - is standard input (default: ask on the terminal)")
	}
	prepare := func(cmd *cobra.Command, s *session, a *state.Action, _ []string) error {
		snap, err := s.section(state.SectionModules)
		if err != nil {
			return err
		}
		if why := state.Why(snap, a.Kind, a.Target); why != "" {
			return exitError{exitRefused, fmt.Errorf("%s: %s", a.Target, why)}
		}
		a.Secrets, err = readSecrets(cmd, from, state.SpecOf(a.Kind).Fields(snap, a.Target))
		return err
	}
	at := ""
	return group("credentials", "list, rotate, set and delete credentials, change their key; values are never shown",
		listCmd(g, "list", "list which modules have credentials", state.SectionModules, func(s *state.Snapshot) any {
			type row struct {
				Module  string                `json:"module"`
				State   state.CredentialState `json:"state"`
				Fields  []string              `json:"fields"`
				Updated time.Time             `json:"updated,omitzero"`
				Used    time.Time             `json:"used,omitzero"`
				Ends    time.Time             `json:"ends,omitzero"`
				Serve   []string              `json:"serve_too,omitempty"`
			}
			rows := []row{}
			for _, m := range s.Modules.List {
				rows = append(rows, row{m.ID, m.Credentials, m.CredentialFields, m.CredentialsUpdated, m.CredentialsUsed, m.CredentialsExpire, m.CredentialsServe})
			}
			return rows
		}, "MODULE CREDENTIALS FIELDS CHANGED USED ENDS SERVE-TOO", func(s *state.Snapshot) (rows [][]string) {
			for _, m := range s.Modules.List {
				ends := ""
				if !m.CredentialsExpire.IsZero() {
					ends = m.CredentialsExpire.Local().Format(time.DateOnly)
				}
				rows = append(rows, []string{m.ID, string(m.Credentials), strings.Join(m.CredentialFields, ","), ago(m.CredentialsUpdated), ago(m.CredentialsUsed), ends, strings.Join(m.CredentialsServe, ",")})
			}
			return rows
		}),
		listCmd(g, "keys", "list the master keys in force and what lies under each, by fingerprint", state.SectionModules, func(s *state.Snapshot) any {
			return map[string]any{"from": s.Modules.KeyFrom, "keys": s.Modules.Keys, "locked": s.Modules.Locked}
		}, "KEY USE ENTRIES KEPT", func(s *state.Snapshot) (rows [][]string) {
			for i, k := range s.Modules.Keys {
				use := "encrypts, from " + s.Modules.KeyFrom
				switch {
				case k.Fingerprint == "":
					use = "none: no key that is given opens them"
				case i > 0:
					use = "old, decrypts"
				}
				rows = append(rows, []string{k.Fingerprint, use, fmt.Sprint(k.Rows), fmt.Sprint(k.Kept)})
			}
			return rows
		}),
		actionCmd(g, verb{use: "rotate MODULE", short: "set new credentials, check them by a real fetch, put the old ones back if it fails", kind: state.CredentialRotate, prepare: prepare, flags: flags}),
		actionCmd(g, verb{use: "set MODULE", short: "set credentials without a check", kind: state.CredentialSet, prepare: prepare, flags: flags}),
		actionCmd(g, verb{use: "delete MODULE", short: "delete credentials", kind: state.CredentialDelete}),
		actionCmd(g, verb{use: "expire MODULE", short: "note when credentials end, so that one is told in time", kind: state.CredentialExpire,
			flags: func(cmd *cobra.Command) {
				cmd.Flags().StringVar(&at, "at", "", "a `DATE` such as 2027-01-31, or from now: 90d; empty for never")
			},
			prepare: func(_ *cobra.Command, _ *session, a *state.Action, _ []string) error {
				a.Args = map[string]string{"at": at}
				return nil
			}}),
		actionCmd(g, verb{use: "rekey", short: "encrypt everything under a new master key; nothing is lost when it is cut short", kind: state.CredentialRekey,
			flags: func(cmd *cobra.Command) {
				cmd.Flags().StringVar(&from, "from", "", "read the new key from `FILE`; - is standard input (default: a new one is made)")
			},
			prepare: func(cmd *cobra.Command, _ *session, a *state.Action, _ []string) (err error) {
				if from != "" {
					a.Secrets, err = readKey(cmd, from, "new_key")
				}
				return err
			}}),
		actionCmd(g, verb{use: "forget-keys", short: "drop old master keys from the file that they come from", kind: state.CredentialForget}),
		actionCmd(g, verb{use: "unlock", short: "open the store with a key that is typed, until the engine ends", kind: state.CredentialUnlock,
			flags: func(cmd *cobra.Command) {
				cmd.Flags().StringVar(&from, "from", "", "read the key from `FILE`; - is standard input (default: ask on the terminal)")
			},
			prepare: func(cmd *cobra.Command, s *session, a *state.Action, _ []string) error {
				snap, err := s.section(state.SectionModules)
				if err != nil {
					return err
				}
				if from != "" {
					a.Secrets, err = readKey(cmd, from, "key")
				} else {
					a.Secrets, err = readSecrets(cmd, "", state.SpecOf(a.Kind).Fields(snap, a.Target))
				}
				return err
			}}),
	)
}

// readKey reads one master key from a file or standard input, as a secret of that name.
func readKey(cmd *cobra.Command, from, name string) (map[string]state.Secret, error) {
	var r io.Reader = cmd.InOrStdin()
	if from != "-" {
		f, err := os.Open(from)
		if err != nil {
			return nil, exitError{exitUsage, fmt.Errorf("read the key: %w", err)}
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, 16<<10))
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	return map[string]state.Secret{name: state.Secret(strings.TrimSpace(string(b)))}, nil
}

// readSecrets reads values from a file, standard input or the terminal: never
// from arguments, which every user of the host can read.
func readSecrets(cmd *cobra.Command, from string, fields []state.Field) (map[string]state.Secret, error) {
	out := map[string]state.Secret{}
	if from == "" {
		if !term.IsTerminal(int(os.Stdin.Fd())) {
			return nil, usage("the values are needed: --from FILE, or --from - for standard input, as a JSON object")
		}
		for _, f := range fields {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: ", f.Label)
			b, err := term.ReadPassword(int(os.Stdin.Fd()))
			fmt.Fprintln(cmd.ErrOrStderr())
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", f.Label, err)
			}
			if len(b) == 0 {
				return nil, exitError{exitRefused, fmt.Errorf("%s is empty: nothing was changed", f.Label)}
			}
			out[f.Key] = state.Secret(b)
		}
		return out, nil
	}
	var r io.Reader = cmd.InOrStdin()
	if from != "-" {
		f, err := os.Open(from)
		if err != nil {
			return nil, exitError{exitUsage, fmt.Errorf("read the credentials: %w", err)}
		}
		defer f.Close()
		r = f
	}
	var values map[string]any
	if err := json.NewDecoder(io.LimitReader(r, 1<<20)).Decode(&values); err != nil {
		return nil, usage("the credentials are not a JSON object such as {\"api_key\": \"...\"}") // err might quote one
	}
	if len(values) == 0 {
		return nil, usage("the credentials hold no values")
	}
	b, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	out["@json"] = state.Secret(b) // the whole object, in place of what is stored
	return out, nil
}

func newQueues(g *globals) *cobra.Command {
	return group("queues", "list queues and requeue failed items",
		listCmd(g, "list", "list all queues with their depth", state.SectionQueues, func(s *state.Snapshot) any { return s.Queues.List },
			"QUEUE KIND DEPTH TREND OLDEST DRAIN", func(s *state.Snapshot) (rows [][]string) {
				for _, q := range s.Queues.List {
					row := []string{q.Key, q.Kind, number(q.Depth, ""), fmt.Sprintf("%+.1f/s", q.Trend), "", ""}
					if q.Oldest >= 0 {
						row[4] = q.Oldest.Round(time.Second).String()
					}
					if q.Drain >= 0 {
						row[5] = q.Drain.Round(time.Second).String()
					}
					rows = append(rows, row)
				}
				return rows
			}),
		actionCmd(g, verb{use: "requeue QUEUE", short: "move the items of a :failed queue back", kind: state.QueueRequeue}),
	)
}

func newAlerts(g *globals) *cobra.Command {
	duration, comment := "", ""
	return group("alerts", "list, acknowledge and silence alerts",
		listCmd(g, "list", "list all alerts and rules", state.SectionAlerts, func(s *state.Snapshot) any { return s.Alerts.List },
			"ALERT STATE SEVERITY VALUE SINCE ACKNOWLEDGED SILENCED SUMMARY", func(s *state.Snapshot) (rows [][]string) {
				for _, a := range s.Alerts.List {
					id := a.ID
					if a.State == state.AlertInactive {
						id = a.Rule
					}
					silenced := ""
					if a.SilenceID != "" {
						silenced = "until " + a.SilencedUntil.Local().Format("15:04")
					}
					value := ""
					if a.State != state.AlertInactive {
						value = strconv.FormatFloat(a.Value, 'g', 5, 64)
					}
					rows = append(rows, []string{id, string(a.State), a.Severity, value, ago(a.Since), a.AckedBy, silenced,
						firstLine(a.Err, a.Annotations["summary"])})
				}
				return rows
			}),
		actionCmd(g, verb{use: "ack ALERT", short: "acknowledge an alert", kind: state.AlertAck}),
		actionCmd(g, verb{use: "unack ALERT", short: "take an acknowledgement back", kind: state.AlertUnack}),
		actionCmd(g, verb{use: "silence ALERT", short: "silence an alert for a time", kind: state.AlertSilence,
			flags: func(cmd *cobra.Command) {
				cmd.Flags().StringVar(&duration, "for", "1h", "how long: 30m, 2h, 1d")
				cmd.Flags().StringVar(&comment, "comment", "", "what the next person should know")
			},
			prepare: func(_ *cobra.Command, _ *session, a *state.Action, _ []string) error {
				if _, err := state.ParseDuration(duration); err != nil {
					return exitError{exitUsage, err}
				}
				a.Args = map[string]string{"duration": duration, "comment": comment}
				return nil
			}}),
		actionCmd(g, verb{use: "unsilence ALERT", short: "end an alert's silence", kind: state.AlertUnsilence}),
	)
}

func newRules(g *globals) *cobra.Command {
	return group("rules", "list and reload rule files",
		listCmd(g, "list", "list rule groups", state.SectionAlerts, func(s *state.Snapshot) any {
			return map[string]any{"groups": s.Alerts.Groups, "problems": s.Alerts.Problems}
		}, "GROUP FILE RULES INTERVAL EVALUATED ERROR", func(s *state.Snapshot) (rows [][]string) {
			for _, r := range s.Alerts.Groups {
				rows = append(rows, []string{r.Title, r.File, fmt.Sprint(r.Rules), r.Interval.String(), ago(r.LastEval), r.Err})
			}
			for _, p := range s.Alerts.Problems {
				rows = append(rows, []string{"(not loaded)", "", "", "", "", p})
			}
			return rows
		}),
		actionCmd(g, verb{use: "reload", short: "read the rule files again", kind: state.RulesReload}))
}

func newConfig(g *globals) *cobra.Command {
	return group("config", "show and reload the workspace's settings",
		&cobra.Command{Use: "show", Short: "show every setting's origin", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			ws, err := g.load()
			if err != nil {
				return err
			}
			if g.json {
				return printJSON(cmd.OutOrStdout(), map[string]any{"dir": ws.Dir, "file": ws.ConfigFile, "origin": ws.Origin, "found": ws.Found, "problems": ws.Problems})
			}
			var rows [][]string
			for k, v := range ws.Origin {
				rows = append(rows, []string{k, v})
			}
			slices.SortFunc(rows, slices.Compare[[]string])
			return table(cmd.OutOrStdout(), "SETTING FROM", rows)
		}},
		actionCmd(g, verb{use: "reload", short: "put the workspace file's changes into force", kind: state.ConfigReload}))
}
