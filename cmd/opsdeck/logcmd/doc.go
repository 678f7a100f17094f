// Package logcmd is `opsdeck logs`: it prints, searches, counts and follows records of
// files, containers, the journal and other hosts, without a running engine.
//
// It owns the flags of that command, what a source on the command line means, and how
// records, patterns and values are printed. Reading and searching are package scan's, and
// following package logs'. It refuses to write to a log: rotating and clearing are actions,
// whose commands the program adds beside it. Everything printed has passed the mask and,
// unless raw is asked for, state.Clean.
//
// What it needs of the program is a [Program]; how it ended with another code than 0 is an
// [ExitError].
//
// # Adding a kind of source
//
// Give sourceResolver.one a branch that recognises it and returns a scan.Input, and name it
// in the command's help.
//
// # Why a package of its own
//
// It is the one command that does its own work, and so larger than all of wiring; as a
// package it can be read and tested without the program.
package logcmd
