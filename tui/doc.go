// Package tui is the console's root: layout, focus, overlays, the way of keys to
// panes, and the bridge to whatever is behind the screen. It declares that
// bridge, [Backend], and is its only caller.
//
// It refuses I/O in Update and View: waiting, submitting, copying and saving
// happen in commands. It never asks for data either: it holds the newest
// snapshot and draws it. What an action means, what it may touch and why it
// cannot be done is read from the table in package state.
//
// The [Model] is written by Bubble Tea's loop alone.
//
// # Adding a key
//
// Add a row to the table in keymap.go: help, footer, cheat sheet and the check
// for clashes read it. A key that a pane understands needs no more; one that the
// console itself answers gets its case in command.go.
//
// # Adding an overlay
//
// Implement overlay and push it.
//
// # Why frames are held back
//
// Sources publish a dozen times a second, mostly figures. While nobody touches
// the keyboard, figures are taken over once a second, with the clock, and only
// what matters (a state that changed, an action's progress, a log line on the
// screen) is shown at once. That is what keeps an idle console cheap for the
// host and for a slow link.
package tui
