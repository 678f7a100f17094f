// Package logs is the logs pane: the records of the chosen sources as one stream, filtered,
// searched, counted and bookmarked, and a log gone through beyond what is kept of it.
//
// It reads what [state.Logs] holds: it refuses to open a file. What lies beyond the kept
// tail it asks for by its target ([state.LogView]), and the source of logs answers in a
// later snapshot.
//
// The streams of several sources are merged by time (merge.go), each from what passes its
// filters (filter.go), so that a filter looks at a record once. Where the cursor stands is a
// source and a record's number, which stay the same when older records fall out.
//
// # Adding a command
//
// Add a case to the pane's update, a [pane.KeyHelp] to its Info; one that asks for a text
// first has its question in ask.go.
//
// # Why the whole log is not read here
//
// A log is larger than memory, and a pane is a pure function of the snapshot: index and
// counts are made where the file is, and drawn as far as they are known.
package logs
