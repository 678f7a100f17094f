// Package health is the source of the services section: whether the configured
// services answer, how fast, and what health they report.
//
// It owns the probes and their latencies, and refuses to change anything: a probe
// is a GET, a Redis PING, or a connection that is closed again. No other package writes
// [state.Services].
//
// # What an answer means
//
// A service that says "ok", "healthy", "up" or "pass" in its JSON is healthy, one
// that says another word has that state; the words of its checks are its detail.
// Without such JSON a 2xx answer is healthy. A 404 with Nervix' NOT_FOUND is shown
// as that: the service runs and has no such route. What cannot be reached has failed,
// and is never shown as healthy.
//
// # Adding a protocol
//
// Add its scheme to probe in probe.go.
//
// # Why no login to databases
//
// A probe with credentials would have to hold them, and would load what it
// watches. A probe shows that the port answers; the rest is metrics.
package health
