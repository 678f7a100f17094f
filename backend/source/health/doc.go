// Package health is the source of the services section: whether the configured
// services answer, how fast, and what they say of themselves.
//
// It owns the probes and their latencies, and refuses to change anything: a probe
// is a GET, a Redis PING, or a connection that is closed again. Nobody else writes
// [state.Services].
//
// # What an answer means
//
// A service that says "ok", "healthy", "up" or "pass" in its JSON is healthy, one
// that says another word is what it says; the words of its checks are its detail.
// Without such JSON a 2xx answer is healthy. A 404 with Nervix' NOT_FOUND is shown
// as what it is: the service runs and has no such route. What cannot be reached
// has failed, and never looks healthy.
//
// # Adding a protocol
//
// Add its scheme to probe in probe.go.
//
// # Why no login to databases
//
// A probe with credentials would have to hold them, and would load what it
// watches. That the port answers is what a probe can say; the rest is metrics.
package health
