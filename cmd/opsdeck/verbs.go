package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/backend/policy"
	"github.com/opsdeck/opsdeck/backend/state"
)

// groupHelp says what the commands of a group do; one that is missing here lists a
// section and acts on it.
var groupHelp = map[string]string{
	"modules":     "list, enable, reload modules; validate, test, approve, roll back their files",
	"pipeline":    "list, pause, resume and drain the pipeline's stages; follow and retry its jobs",
	"credentials": "list, rotate, set and delete credentials, change their key; values are never shown",
	"queues":      "list queues and requeue failed items",
	"containers":  "list containers, and act on them",
	"compose":     "act on the services of compose projects",
	"alerts":      "list, acknowledge and silence alerts",
	"rules":       "list and reload rule files",
	"watches":     "list, add and remove what is watched in logs",
	"filters":     "list, save and remove filters of logs that have a name",
	"config":      "show and reload the workspace's settings",
	"control":     "list the consoles on this engine, and hand control over to one",
	"routing":     "show, try, change and roll back the routing configuration",
	"tokens":      "tokens for callers of the admin API",
	"host":        "list the host's file systems; --json has all its figures",
	"services":    "list the services that are probed",
	"actions":     "list what was done since the engine started",
	"journal":     "read and verify what was done",
}

// addDerived adds to root what the tables of sections and of actions have: the groups
// with their lists, and a command for each action. by are the commands written by hand,
// by group; one of the same name comes in place of the derived one.
func addDerived(g *globals, root *cobra.Command, by map[string][]*cobra.Command) {
	groups := by
	add := func(group string, cmd *cobra.Command) {
		for _, c := range groups[group] {
			if c.Name() == cmd.Name() {
				return
			}
		}
		groups[group] = append(groups[group], cmd)
	}
	for group, cmds := range listCommands(g) {
		for _, c := range cmds {
			add(group, c)
		}
	}
	specs := state.Specs()
	for i := range specs {
		if c, ok := specs[i].Command(); ok {
			group, use, words := strings.Cut(c.Use, " ")
			if !words || strings.ToUpper(use) == use { // "undo [ACTION]"
				group, use = "", c.Use
			}
			add(group, actionCommand(g, &specs[i], c, use, hooks[specs[i].Kind]))
		}
	}
	for group, cmds := range groups {
		parent := root
		if group != "" {
			if parent, _, _ = root.Find([]string{group}); parent == nil || parent == root {
				short := groupHelp[group]
				if short == "" {
					short = "list " + group
					if len(state.DescriptorOf(state.SectionName(group)).Actions) > 0 {
						short += ", and act on them"
					}
				}
				parent = &cobra.Command{Use: group, Short: short}
				root.AddCommand(parent)
			}
		}
		parent.AddCommand(cmds...)
	}
}

// hook adds to an action what its arguments and flags do not say as they stand.
type hook func(cmd *cobra.Command, s *caller, a *state.Action, args []string) error

// actionCommand makes the command of an action.
func actionCommand(g *globals, spec *state.Spec, c state.CLI, use string, prepare hook) *cobra.Command {
	yes, noWait, from := false, false, ""
	takes, least := positions(use)
	cmd := &cobra.Command{Use: use, Short: c.Short, Args: cobra.RangeArgs(least, takes)}
	if least == takes {
		cmd.Args = cobra.ExactArgs(takes)
	}
	if takes == 0 {
		cmd.Args = cobra.NoArgs
	}
	values := make([]string, len(c.Flags))
	for i, f := range c.Flags {
		cmd.Flags().StringVar(&values[i], f.Name, f.Default, f.Help)
	}
	secret := c.Key != "" || hasSecrets(spec)
	switch {
	case c.Key != "":
		cmd.Flags().StringVar(&from, "from", "", "read the key from `FILE`; - is standard input (default: "+keyDefault(spec)+")")
	case secret:
		cmd.Flags().StringVar(&from, "from", "", "read a JSON object of values from `FILE`; - is standard input (default: ask on the terminal)")
	}
	if spec.Risk == state.Typed {
		cmd.Flags().BoolVar(&yes, "yes", false, "do it without asking")
	}
	if spec.Measured {
		cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait for the verdict")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if spec.Risk == state.Typed && !yes && !isTerminal(cmd.OutOrStdout()) {
			return usage("%s asks before it acts, and here is no terminal: add --yes to mean it", spec.Title())
		}
		s, err := g.connect(cmd)
		if err != nil {
			return err
		}
		defer s.Stop()
		a := state.Action{Kind: spec.Kind, Target: spec.Global}
		rest := args
		if spec.Global == "" && len(args) > 0 {
			a.Target, rest = args[0], args[1:]
		}
		set := func(key, v string) {
			if v == "" {
				return
			}
			if a.Args == nil {
				a.Args = map[string]string{}
			}
			a.Args[key] = v
		}
		for i, key := range c.Keys {
			if i < len(rest) {
				set(key, rest[i])
			}
		}
		for i, f := range c.Flags {
			v := strings.TrimSpace(values[i])
			if v == "" && f.Required {
				return usage("--%s is missing: %s", f.Name, strings.ReplaceAll(f.Help, "`", ""))
			}
			set(f.Key, v)
		}
		if prepare != nil {
			if err := prepare(cmd, s, &a, args); err != nil {
				return err
			}
		}
		if secret {
			if err := s.secrets(&a, c.Key, from); err != nil {
				return err
			}
		}
		if spec.Risk == state.Typed && !yes {
			if err := s.question(spec, a); err != nil {
				return err
			}
		}
		a.Confirmed = a.Target
		return s.perform(a, !noWait)
	}
	return cmd
}

// positions returns how many arguments a command's words take at most and at least:
// "scale PROJECT/SERVICE | CONTAINER" takes one, "undo [ACTION]" one or none.
func positions(use string) (most, least int) {
	alternative := false
	for _, w := range strings.Fields(use)[1:] {
		switch {
		case w == "|":
			alternative = true
			continue
		case alternative:
		case strings.HasPrefix(w, "["):
			most++
		default:
			most++
			least++
		}
		alternative = false
	}
	return most, least
}

// hasSecrets reports whether an action asks for secrets of any target.
func hasSecrets(spec *state.Spec) bool {
	if spec.Fields == nil {
		return false
	}
	for _, f := range spec.Fields(&state.Snapshot{Modules: state.Modules{List: []state.Module{{ID: "x"}}}}, "x") {
		if f.Secret {
			return true
		}
	}
	return false
}

// keyDefault says what happens without --from.
func keyDefault(spec *state.Spec) string {
	for _, f := range spec.Fields(&state.Snapshot{}, "") {
		if f.Required {
			return "ask on the terminal"
		}
	}
	return "a new one is made"
}

// secrets reads the secrets of an action from a file, standard input or the terminal.
func (s *caller) secrets(a *state.Action, key, from string) error {
	spec := state.SpecOf(a.Kind)
	if key != "" && from != "" {
		var err error
		a.Secrets, err = readKey(s.cmd, from, key)
		return err
	}
	snap, err := s.section(spec.Section)
	if err != nil {
		return err
	}
	if why := state.Why(snap, a.Kind, a.Target); key == "" && why != "" {
		return exitError{exitRefused, fmt.Errorf("%s: %s", a.Target, why)}
	}
	var fields []state.Field
	for _, f := range spec.Fields(snap, a.Target) {
		if f.Secret && (key == "" || f.Required) {
			fields = append(fields, f)
		}
	}
	if len(fields) > 0 {
		a.Secrets, err = readSecrets(s.cmd, from, fields)
	}
	return err
}

// question shows what an action touches, and wants its target's name typed.
func (s *caller) question(spec *state.Spec, a state.Action) error {
	snap, err := s.section(spec.Section)
	if err != nil {
		return err
	}
	target := spec.Canonical(snap, a.Target)
	if why := state.Why(snap, a.Kind, target); why != "" {
		return exitError{exitRefused, fmt.Errorf("%s %s: %s", spec.Verb, target, why)}
	}
	errOut := s.cmd.ErrOrStderr()
	for _, l := range policy.Impact(snap, spec, target) {
		fmt.Fprintln(errOut, "  "+l)
	}
	fmt.Fprintf(errOut, "type %s to %s: ", target, spec.Title())
	var typed string
	if _, err := fmt.Fscanln(s.cmd.InOrStdin(), &typed); err != nil && typed == "" || typed != target {
		return exitError{exitRefused, fmt.Errorf("%s %s: its name was not typed: nothing was changed", spec.Verb, target)}
	}
	return nil
}
