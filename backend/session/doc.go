// Package session connects consoles and commands to a workspace's engine.
//
// A [Session] finds the engine that runs, in this process or in another, and takes the
// workspace over when that one ends. A [Daemon] is the engine in this process with what
// hangs on it: the workspace's lock, its journal, the socket that others attach to, and
// the admin API.
//
// It owns the order in which these start and stop. It refuses to know what an engine is
// made of: package main wires the [Parts].
//
// # Why a session outlives its engine
//
// Several people look at one workspace, and the first of them runs the engine in their
// console. Closing that terminal must not end the others' sessions, so each of them tries
// to become the engine, and one does.
package session
