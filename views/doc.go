// Package views is the panes: what each shows of a snapshot. Most are a [list.List] of one
// section's rows, in a file of their own; the logs pane, which is large, has a package.
//
// It refuses I/O of any kind, clients of any server, and knowledge of keys: see package
// pane, which has the contract of every pane and what they draw with. Package list has
// what all lists share: sorting, filters, groups, marks, columns, the detail.
//
// # Adding a pane
//
// Write one file with a function that makes it (most are a list with columns and detail
// tabs), and add one line to [All]. The console, its tabs, help, palette and cheat sheet
// read Info. Then run the golden tests with -update and look at what they wrote.
//
// # Why the packages stand in this order
//
// pane imports no other of ours but state and theme; list and logs import pane; views
// imports all three, since [All] names every pane. A pane that grows a package of its own
// stands beside logs.
package views
