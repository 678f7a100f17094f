// Package document reads JSON files that people write, and says what is wrong with
// them: file, line, column, and what was expected.
//
// # What it owns
//
// JSON text that remembers where each value stands ([Document]), schemas that it is
// checked against ([Schema]), and how a fault is told ([Problem]).
//
// # What it refuses
//
// Text that is not UTF-8, nests deeper than 200 levels, or goes on after its value. It
// opens no file and knows no schema: callers embed their own.
//
// # Who may write
//
// No package: it only reads.
//
// # Adding a schema
//
// Embed it beside the type that it describes, and [Compile] it once; a location with a
// fragment names one of its definitions.
package document
