// Package profile serves profiles of a running engine to its owner: CPU, memory,
// goroutines, an execution trace. It owns the few routes that serve them ([Handler])
// and the call that fetches one ([Fetch]).
//
// It refuses every connection but those of a unix socket, whatever it is mounted on,
// and publishes nothing; it has no state to write. Who may use the socket is decided
// by backend/admin: the engine's own user and root.
//
// # Why never over TCP
//
// A profile shows what is in memory, delays the engine while it is taken, and costs a
// share of a core for as long. Only those who could attach a debugger anyway may take it.
//
// # Why net/http/pprof is imported here and nowhere else
//
// Its handlers are what `go tool pprof` and `go tool trace` expect. Importing it also
// registers them on http.DefaultServeMux, so nothing in this program serves that: a test
// in cmd/opsdeck reads every file for it.
//
// # Adding a kind
//
// Add a row to kinds: the command line and its help read it.
package profile
