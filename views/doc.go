// Package views is the panes: what each shows of a snapshot, and how one moves
// about in it. A pane holds its own selection, marks, sort order, filter and
// scroll position, and nothing else.
//
// It refuses I/O of any kind, clients of any server, and knowledge of keys: the
// console translates keys into [Do] messages, and panes answer with messages
// ([Act], [Note], [Copy]) for the console to carry out. Rows are pure functions
// of state and time.
//
// Everything drawn goes through [Fit] or a [Line], so that no text from outside
// can be wider than its place.
//
// # Adding a pane
//
// Write one file with a function that makes it (most are a [List] with columns
// and detail tabs), and add one line to [All]. The console, its tabs, help,
// palette and cheat sheet read Info. Then run the golden tests with -update and
// look at what they wrote.
//
// # Why text is measured twice
//
// Terminals disagree about emoji sequences, flags and some scripts' marks. A
// cluster on which the two usual ways of counting differ is drawn by its first
// character alone, so that a border stands where it should everywhere.
package views
