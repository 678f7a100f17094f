// Package sourcetest is the contract that every source keeps, as a test: it
// cancels promptly, reports that what it reads is down, recovers by itself and
// leaks nothing. It owns no source and is imported by tests only.
//
// # Adding a source
//
// Call [Contract] from its tests, with ways to make a source, to take down what
// it reads and to bring it up again. A source that never fails as a whole (log files
// fail one by one) leaves Down nil and tests that on its own.
//
// # Waiting
//
// Every test of the repository that waits does so by one of [Wait] (a source's section),
// [Snapshot] (a hub's or a client's snapshot) and [Until] (anything else), for the very
// condition that it asserts, and for no longer than [Patience]. A test that waits for
// rows and asserts a column that comes later fails now and then. testdata/flake finds
// those.
//
// # Why a supervisor here
//
// A source's Run ends when it fails, and the hub runs it again. [Run] is the
// smallest loop that does so: the hub's backoff would only make tests slow.
package sourcetest
