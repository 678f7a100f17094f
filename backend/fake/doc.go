// Package fake holds named snapshots and a scripted backend, for tests and
// pictures of the console only. It owns nothing that a user could reach: no
// command imports it.
//
// It refuses time and chance: every snapshot is the same on every machine, at
// the instant [Now].
//
// # Adding a snapshot
//
// Add a case to [Named] and its name to [Names]; the golden tests of the views
// then draw it.
package fake
