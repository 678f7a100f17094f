// Package pane is the contract between the console and its panes, and what panes draw
// with: [Pane] and the interfaces that a pane may have besides, the commands and the
// messages, lines, details, figures, graphs, and the notices of sections that are stale or
// down.
//
// A pane holds its own selection, marks, sort order, filter and scroll position, and
// nothing else. It refuses I/O of any kind, clients of any server, and knowledge of keys:
// the console translates keys into a [CommandMsg], and panes answer with messages
// ([NoticeMsg], [CopyMsg], [FileMsg]) for the console to carry out. Rows are pure functions
// of state and time.
//
// Everything drawn goes through [Fit] or a [Line], so that no text from outside can be
// wider than its place.
//
// # Adding a command
//
// Add its name to the constants of [Command], its key to the console's keymap, and the
// case to the panes that understand it. A pane that does not answers [UnhandledMsg].
//
// # Why text is measured twice
//
// Terminals disagree about emoji sequences, flags and some scripts' marks. A cluster on
// which the two usual ways of counting differ is drawn by its first character alone, so
// that a border stands where it should everywhere.
package pane
