// Package state is the vocabulary of opsdeck: what the console shows and what
// it can be asked to do. Everything behind the screen writes it, everything on
// the screen reads it, and nobody else's types pass through.
//
// A [Snapshot] is one instant of everything that is known. It is immutable:
// what has been published is never written again, so it may be read from any
// goroutine and kept for as long as one likes. Each [Section] of it has exactly
// one writer (a source), and carries the [Health] of that writer: a failing
// source keeps its last good data, marked stale, because unknown is not zero
// and unreachable must never look healthy.
//
// An [Action] is the only way to change anything. [Specs] is the one table of
// actions; keys, palette, help, the admin API and the command line all read it.
//
// This package imports the standard library only, and does no I/O.
//
// # Adding a section
//
// Write its type with a field "Health Health" and a Describe method, in a file
// section_NAME.go, and add a field of that type to [Snapshot]. The snapshot, the wire, the
// command line, status, doctor, the API and the console read its [Descriptor];
// .github/CONTRIBUTING.md has an example that a test executes.
//
// # Adding an action
//
// Add a row to the Actions of its section's descriptor and let a source's Executor answer
// to the kind. Nothing else needs to know.
//
// # Why text is cleaned here
//
// Log lines, container names and error messages come from outside and may hold
// control sequences. [Clean] is applied by whoever puts text into a section, so
// that a hostile line can never drive the operator's terminal.
package state
