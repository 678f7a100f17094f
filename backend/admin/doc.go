// Package admin is the HTTP API: the calls of NEXUS' admin plane in both of its
// dialects, the console's table of actions, metrics, and the pipeline stream.
//
// It owns routes, status codes and the guarding of the door. It refuses to act
// by itself: every change is an action submitted to the hub, so that curl, the
// console and the command line leave the same trail in the journal.
//
// # The door
//
// The Host header must name a loopback address or the address that is listened
// on, so that a page in a browser cannot reach in by DNS rebinding; an Origin
// must be one of those too. An address other than loopback is listened on only
// with a token, which then every request must carry as "Authorization: Bearer".
//
// # Dialects
//
// Errors carry both forms at once: "detail", as recorded from the real service,
// and "error", "details", "timestamp", as its guide documents. Where the real
// service answers 500 for what does not exist, this one answers 404.
//
// # Adding a call
//
// Add its line to routes and its handler beside its kin.
package admin
