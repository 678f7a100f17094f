// Package profile lets the owner of a running engine look into it: CPU, memory,
// goroutines, an execution trace. It owns the few routes that serve them ([Handler])
// and the call that fetches one ([Fetch]).
//
// It refuses every connection but those of a unix socket, whatever it is mounted on,
// and publishes nothing: nobody writes to it. Who may use the socket is the door's
// business (backend/admin): the engine's own user and root.
//
// # Why never over TCP
//
// A profile names what is in memory, holds the engine up while it is taken, and costs
// a share of a core for as long. That is for whoever could attach a debugger anyway.
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
