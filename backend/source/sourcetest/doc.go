// Package sourcetest is the contract that every source keeps, as a test: it
// cancels promptly, reports that what it reads is down, recovers by itself and
// leaks nothing. It owns no source and is imported by tests only.
//
// # Adding a source
//
// Call [Contract] from its tests, with ways to make a source, to take away what
// it reads and to give it back. A source that never fails as a whole (log files
// fail one by one) leaves Down nil and tests that on its own.
//
// # Why a supervisor here
//
// A source's Run ends when it fails, and the hub runs it again. [Run] is the
// smallest loop that does so: the hub's backoff would only make tests slow.
package sourcetest
