package main

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/backend/state"
)

// hooks are run by the command of a kind before its action is asked for.
var hooks = map[state.Kind]hook{
	state.ModuleApprove:   approve,
	state.RoutingStage:    stageRouting,
	state.RoutingApply:    applyRouting,
	state.LogRotate:       onFile,
	state.LogClear:        onFile,
	state.LogFilterSave:   unnamed,
	state.LogFilterRemove: unnamed,
	state.LogWatchRemove:  unnamed,
	state.AlertSilence:    forTime,
	state.ActionUndo:      newestUndo,
	state.ComposeUp:       onCompose,
	state.ComposeDown:     onCompose,
	state.ComposePull:     onCompose,
	state.ComposeBuild:    onCompose,
	state.ComposeRebuild:  onCompose,
	state.ComposeRecreate: onCompose,
	state.ComposeScale:    onCompose,
}

// onFile takes a log file's path relative to where we are.
func onFile(_ *cobra.Command, s *caller, a *state.Action, _ []string) error {
	snap, err := s.section(state.SectionLogs)
	if err != nil {
		return err
	}
	if snap.Logs.Source(a.Target) == nil {
		if abs, err := filepath.Abs(a.Target); err == nil && snap.Logs.Source(abs) != nil {
			a.Target = abs
		}
	}
	return nil
}

// unnamed takes "@name" for "name".
func unnamed(_ *cobra.Command, _ *caller, a *state.Action, _ []string) error {
	a.Args["name"] = strings.TrimPrefix(a.Args["name"], "@")
	return nil
}

func forTime(_ *cobra.Command, _ *caller, a *state.Action, _ []string) error {
	if _, err := state.ParseDuration(a.Args["duration"]); err != nil {
		return exitError{exitUsage, err}
	}
	return nil
}

// newestUndo takes the newest action that can be undone where none is named.
func newestUndo(_ *cobra.Command, s *caller, a *state.Action, args []string) error {
	if len(args) > 0 {
		return nil
	}
	snap, err := s.Wait(s.cmd.Context(), 0)
	if err != nil {
		return err
	}
	for _, p := range snap.Actions.List {
		if p.Undo != nil && !p.Undone {
			a.Target = string(p.ID)
			return nil
		}
	}
	return exitError{exitRefused, errors.New("undo: there is nothing that can be undone since the engine started")}
}

// onCompose takes a project's name for all its services, and a container for its own.
func onCompose(_ *cobra.Command, s *caller, a *state.Action, args []string) (err error) {
	a.Target, err = composeTarget(s, a.Kind, args[0])
	return err
}
