// Package journal keeps what was done: who, from where, what, on what, and the
// result.
//
// It owns one file of JSON lines, append-only and fsynced before Append returns.
// Each entry carries the SHA-256 of itself and its predecessor's hash, so that a
// line that was changed, removed or put in between shows: [Verify] names it.
// It refuses to rewrite anything.
//
// # Who may write
//
// The engine that holds the workspace's lock, and only it.
//
// # Why a reserve
//
// An operator whose disk is full must still be able to rotate a log away. Beside
// the journal is a file of 64 KiB that is removed when the disk is full, and
// created again when there is room.
//
// # Why a torn line is cut off
//
// A process that is killed while it writes leaves half a line. That entry was
// never acknowledged to anyone, so Open cuts it off and says so in an entry.
package journal
