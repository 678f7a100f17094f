// Package list is the pane of rows with a detail that most panes are: a [Spec] says which
// rows a snapshot has and what their columns and tabs show, and a [List] sorts, filters,
// folds, marks, searches and draws them.
//
// It knows no section: what a row is, its panes say. It refuses I/O, and it never writes
// the snapshot's rows.
//
// # Adding to a list
//
// A column is an element of Spec.Cols, a detail tab one of Spec.Tabs, a field that a filter
// can ask about a [Field] of the pane's own for [Query]; groups are a [Fold].
//
// # Why rows wait
//
// Selection follows identity, not index, and for a few seconds after the user has moved,
// rows keep their places and new ones wait: nobody shall act on a row that took the place
// of another under the cursor.
package list
