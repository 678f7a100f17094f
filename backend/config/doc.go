// Package config resolves the workspace: its settings, and where each of them came
// from.
//
// It owns the workspace file, opsdeck.yaml, its defaults, and the discovery of
// what a folder holds. It refuses to guess: an unknown key, a wrong type or a
// bad duration is an error with file, line and what was expected.
//
// A setting comes from, in order: a flag, the environment, opsdeck.yaml, what was
// found, a default. [Workspace.Origin] holds which it was.
//
// # Who may write
//
// `opsdeck init` writes opsdeck.yaml, and `opsdeck init --systemd` a unit. Actions add
// single watches and filters to opsdeck.yaml and remove them (edit.go); every other
// line of a file that a person edits stays as it is.
//
// # Adding a setting
//
// Add its field to File with its yaml name and comment, resolve it in Load, and
// write it in the template of init.
package config
