// Package backend is the Hub: it runs the sources, publishes what they say as
// immutable snapshots, and carries out actions through their executors.
//
// It owns the current [state.Snapshot], the health of every section, the queue
// of actions and the list of attached consoles. It refuses to know what any
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
// "verdict" follows after the settling time. A "begin" without an "end" in the
// journal at the next start is an interrupted action, and is reported as one.
//
// # Adding a source
//
// Write its section in package state, its folder under source/, one line in
// cmd/opsdeck/wire.go, and its sample in package fake.
//
// # Why the hub owns health
//
// A source that reports its own health tells you least when you need it most:
// when it hangs, panics or loops. So the hub decides from what it sees.
package backend
