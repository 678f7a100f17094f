// Package scan reads logs as records and searches them: what a record is, where one begins,
// its time and level, the text encodings and compressions of files, and [Scan], on which
// `opsdeck logs` and every search over more than the retained tail stand.
//
// It refuses to follow, to index and to remember: an input is read once, from its beginning
// or a place to its end. What it returns is raw, neither masked nor passed through
// [state.Clean]; its callers do that before they show or publish it.
//
// # How a log is searched
//
// One goroutine reads an [Input] into blocks that end where a record ends, which is
// determined by the lines around that place (boundary.go); others search the blocks; the results come out in
// order. A block is searched as bytes first, for the text or for a literal that a filter
// needs, and only the records around what was found are parsed; times and levels are
// read only where the query asks for them. A block fits into a core's cache, and of each
// reader only some are under way, so that memory does not grow with the file.
//
// An input is a file, plain or compressed, in UTF-8 or UTF-16, rotated files and the live
// one as one, or whatever is piped in. Package logs adds those that are followed.
//
// # Adding a format
//
// Add to Parser.Line a branch that recognises the line by its first bytes and reads level and
// time, and a row in TestParse.
//
// # Why boundaries are guessed
//
// Nothing in a file says where a record begins. A block must end where one does without
// reading the file from its beginning, so a line is judged by itself and the one before it;
// the console's own folding of lines into records is held to the same result by a test.
package scan
