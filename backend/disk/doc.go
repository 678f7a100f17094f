// Package disk reads and writes what must survive a kill and a power cut.
//
// # What it owns
//
// How a file is replaced in one step ([WriteFile]), how a change of one is noticed
// without reading it ([Stamp]), and how the engine's SQLite files are opened
// ([OpenDatabase]) and write times ([FormatTime]).
//
// # What it refuses
//
// Any knowledge of what is in a file: formats, schemas and locations are the caller's.
//
// # Who may write
//
// The owner of the file. Nothing here locks between writers of one path.
//
// # Adding a database
//
// Give OpenDatabase its CREATE TABLE IF NOT EXISTS statements, and the pragma
// synchronous(FULL) where a commit must have reached the disk when it returns.
package disk
