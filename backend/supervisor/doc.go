// Package supervisor restarts what ends, after a wait that it owns: the one backoff of
// the backend.
//
// [Loop] is for what is run and supervised: a source, an engine among several. It
// recovers panics, counts failures in a row, reports each with its reason and the
// next attempt, waits longer for what is absent, and can be restarted at once.
// [Backoff] alone is for what retries by itself: a link, a stream, a remote file.
//
// It refuses to know what is run, and to keep health: that is its caller's. Only
// the goroutine in [Loop.Do] writes.
//
// # Why jitter
//
// All clients would otherwise connect to a host that comes back at the same moment. A
// wait of w takes between half of w and one and a half.
//
// # Why success resets the failures, and time the wait
//
// Failures in a row end with the first success, since their number is shown. But a
// source that publishes once and fails at once would be run twice a second for ever:
// its wait is reset only once a run has lasted longer than the longest wait.
//
// # Adding a supervised task
//
// Make a [Loop] with a name, call [Loop.Do] in a goroutine that is waited for, and call
// the ok that Run receives whenever it works.
package supervisor
