// Package index opens logs anywhere: an [Index] one file, a [Viewer] a live file and its
// rotated ones as one log. It knows the records around a place or a time, the counts of
// levels, what passes a query and a histogram over time, as far as they are read yet.
//
// It reads files and never writes one, keeps no descriptor longer than it is viewed, and
// refuses to read ahead of a request: records first, then counts, then the histogram. What
// it returns has passed the mask and [state.Clean].
//
// # How a file is indexed
//
// The end of a file is there at once, and in the background the number of records of each
// level and the times of every block, so that a place is found by time and a histogram
// drawn. Places are offsets in bytes, since those need no index to be read at; of a
// compressed file, and of one in UTF-16, in the text that it unpacks to, of which the last
// part is kept (unpacked.go). A [Tally] counts what passes a query, and knows the stretches
// where nothing does.
//
// A chain (chain.go) numbers the files of one log, so that a place is a number and an
// offset and stays what it is when the log is rotated. A walker goes through it from a
// place on, by chunks, and takes the records that pass; stretches that the index or a tally
// knows to hold none are passed over.
//
// A viewer is one goroutine for each log that is viewed. Another view interrupts it, and
// it resumes where it was.
//
// # Adding to what is known of a file
//
// Gather it in Index.Build, where every record is parsed once, bound it by a block's entry,
// and add it to [state.LogWindow] in viewer.window.
//
// # Why an index is kept in memory alone
//
// It is made at the speed of the disk and bounded in size, and a file beside a log
// would have to be kept right over rotation, truncation and a change of format.
package index
