// Package backend is the Hub: it runs the sources, publishes what they say as
// immutable snapshots, and carries out actions through their executors.
//
// It owns the current [state.Snapshot], the health of every section, the queue
// of actions, the list of attached consoles and which of them is in control. It refuses to know what any
// section means: that is the sources' and the panes' business.
//
// # Who may write
//
// A section has one writer: the source that lists it. The hub itself writes the
// workspace, actions and journal sections.
//
// # How data flows
//
//	source --put(section)--> Hub --> Snapshot, Version+1 --> Wait(ctx, after)
//	executor <--Execute-- Hub <--Submit(action)-- console, admin API, command line
//
// Publishing is coalesced to at most ten snapshots a second; the first change
// after a quiet moment goes out at once. A slow reader of Wait gets the newest
// snapshot, never a backlog.
//
// # How an action goes
//
// Submit checks the action against the table in package state, writes a "begin"
// entry to the journal (fsynced) and queues it behind earlier ones on the same
// target. The executor's outcome is journalled as "end"; for measured actions a
// "verdict" follows after the settling time, and up to six times later where a
// container's health check has not answered before. It compares what the sections
// have with what they had, and with them the figures of an executor that is a
// [state.Measurer], which are asked for over both times. Where another action on
// the same target came in between, it is "unknown": it cannot be told which one
// helped. A "begin" without an "end" in the
// journal at the next start is an interrupted action, and is reported as one.
//
// # Who may act
//
// Looking is free. Of the consoles that can act, one holds control: the first has
// it, and one that is alone always has. The others' actions are refused with the
// holder's name, until they ask for control (control.request; the holder is told),
// are given it (control.give) or take it (control.take). Taking it is one
// confirmation away at any time, whether the holder was asked or not, is at the
// keyboard or asleep: a console that a colleague forgot must not keep the person on call
// from acting, and two people who talk need no lock. The previous holder is told
// who took it.
//
// When the holder leaves, or its link is cut, control goes at once to the console
// that asked for it first, else to the one where a key was pressed last. A wall (opsdeck --wall)
// never holds it. Commands and the API may always act: each is one
// person's action, and its actor is recorded. Every change is journalled, but those of the
// engine's own start and stop.
//
// This is courtesy, not security: who may act at all is decided by authentication.
//
// # Adding a source
//
// Write its section in package state, its folder under source/, one line in
// cmd/opsdeck/wire.go, and its sample in package fake.
//
// # Why the hub owns health
//
// A source that reports its own health fails to when it matters most:
// when it hangs, panics or loops. So the hub decides from what it sees.
package backend
