package state

import (
	"fmt"
	"time"
)

// The kinds of action on the workspace, its consoles and tokens, and on actions themselves.
const (
	ConfigReload   Kind = "config.reload"
	ControlRequest Kind = "control.request"
	ControlTake    Kind = "control.take"
	ControlGive    Kind = "control.give"
	ActionUndo     Kind = "action.undo"
	ActionCancel   Kind = "action.cancel"
	TokenCreate    Kind = "token.create"
	TokenRevoke    Kind = "token.revoke"
)

var workspaceSpecs = []Spec{
	{Kind: ConfigReload, Key: "L", Verb: "reload", Past: "reloaded", Noun: "workspace file", Section: SectionWorkspace, Risk: Safe, CLI: CLI{Use: "config reload", Short: "put the workspace file's changes into force"}, Global: "workspace",
		Disabled: func(s *Snapshot, _ string) string {
			if s.Workspace.ConfigFile == "" {
				return "this workspace has no opsdeck.yaml: opsdeck init writes one"
			}
			return ""
		}},
	{Kind: ControlRequest, Verb: "ask for", Past: "asked for", Noun: "control", Section: SectionWorkspace, Risk: Safe, CLI: CLI{None: true}, Global: "control",
		Disabled: func(s *Snapshot, _ string) string {
			if why := controlDisabled(s); why != "" {
				return why
			}
			if at := s.Workspace.Console(s.You).Asked; !at.IsZero() {
				return "it was asked for at " + at.Local().Format(time.TimeOnly) + ": take control where nobody answers"
			}
			return ""
		}},
	{Kind: ControlTake, Verb: "take", Past: "took", Noun: "control", Section: SectionWorkspace, Risk: Confirm, CLI: CLI{None: true}, Global: "control",
		Disabled: func(s *Snapshot, _ string) string { return controlDisabled(s) },
		Impact: func(s *Snapshot, _ string) []string {
			h := s.Workspace.Holder()
			if h == nil {
				return nil
			}
			return []string{
				fmt.Sprintf("%s holds control; the last key there was pressed %s ago", h.Title(), s.At.Sub(h.Active).Round(time.Second)),
				"that console is told who took it, and only looks from then on; the journal has it too",
			}
		}},
	{Kind: ControlGive, Verb: "hand over", Past: "handed over", Noun: "control to", Section: SectionWorkspace, Risk: Safe, CLI: CLI{Use: "control give CONSOLE", Short: "hand control over to a console, by its name in the list or its user"},
		Disabled: func(s *Snapshot, t string) string {
			to, you := s.Workspace.Console(t), s.Workspace.Console(s.You)
			switch {
			case to == nil:
				return notFound("console", t)
			case !to.Controls():
				return "it only looks"
			case to.Control:
				return "it holds control already"
			case you != nil && !you.Control:
				return ControlHeldBy(s)
			}
			return ""
		}},
	{Kind: TokenCreate, Verb: "create", Past: "created", Noun: "API token", Section: SectionWorkspace, Risk: Confirm, Hidden: true, Admin: true, Disabled: notBegun},
	{Kind: TokenRevoke, Verb: "revoke", Past: "revoked", Noun: "API token", Section: SectionWorkspace, Risk: Confirm, CLI: CLI{Use: "tokens revoke NAME", Short: "refuse a token from now on"}, Hidden: true, Admin: true, Disabled: notBegun},
}

var actionSpecs = []Spec{
	{Kind: ActionCancel, Verb: "cancel", Past: "cancelled", Noun: "running action", Section: SectionActions, Risk: Confirm, CLI: CLI{Use: "cancel ACTION", Short: "stop a running action where it is"},
		Disabled: func(s *Snapshot, t string) string {
			switch p := s.Actions.Progress(ActionID(t)); {
			case p == nil:
				return notFound("action", t)
			case p.Done():
				return "it is " + p.Status + " already"
			case p.Action.Kind == ActionCancel:
				return "it only cancels another"
			}
			return ""
		},
		Impact: func(s *Snapshot, t string) []string {
			if p := s.Actions.Progress(ActionID(t)); p != nil {
				return []string{fmt.Sprintf("%s %s by %s stops where it is; what it has done stays done", p.Action.Kind, p.Action.Target, p.Action.Actor.User)}
			}
			return nil
		}},
	{Kind: ActionUndo, Key: "u", Verb: "undo", Past: "undone", Noun: "last action", Section: SectionActions, Risk: Confirm, CLI: CLI{Use: "undo [ACTION]", Short: "undo an action; by default the newest that can be"},
		Disabled: func(s *Snapshot, t string) string {
			for _, a := range s.Actions.List {
				if string(a.ID) == t {
					if a.Undo == nil {
						return "it cannot be undone"
					}
					if a.Undone {
						return "it has been undone already"
					}
					return ""
				}
			}
			return notFound("action", t)
		}},
}

// ControlHeldBy says who holds control in place of the console that was given s; "" where
// that one may act.
func ControlHeldBy(s *Snapshot) string {
	you, h := s.Workspace.Console(s.You), s.Workspace.Holder()
	switch {
	case you == nil || you.Control:
		return ""
	case !you.Controls():
		return "this console only looks"
	case h == nil:
		return "nobody holds control: take it first"
	}
	return h.Title() + " holds control"
}

func controlDisabled(s *Snapshot) string {
	you := s.Workspace.Console(s.You)
	switch {
	case you == nil:
		return "only a console holds control; commands and the API act without"
	case !you.Controls():
		return "this console only looks"
	case you.Control:
		return "this console has it already"
	}
	return ""
}

// notBegun returns why an action cannot be done before the engine has started: it is for what the file of tokens alone can tell.
func notBegun(s *Snapshot, _ string) string {
	if s.Workspace.Started.IsZero() {
		return "the engine has not begun"
	}
	return ""
}
