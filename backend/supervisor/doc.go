// Package supervisor runs again what ends, and owns how long it waits before it does:
// the one backoff of the backend.
//
// [Loop] is for what is run and watched over: a source, an engine among several. It
// recovers panics, counts failures in a row, tells of each with its reason and the
// next try, waits longer for what is absent, and can be told to begin anew at once.
// [Backoff] alone is for what tries by itself: a link, a stream, a file elsewhere.
//
// It refuses to know what is run, and to keep health: that is whoever it tells. Only
// the goroutine in [Loop.Do] writes.
//
// # Why jitter
//
// A host that comes back is otherwise met by everybody at the same moment. A wait of w
// is between half of it and one and a half.
//
// # Why a failure is forgotten by what works, and a wait by time
//
// Failures in a row end with the first sign of life, since that is what is shown. But a
// source that says one thing and fails at once would be run twice a second for ever:
// its wait begins anew only once a run has lasted longer than the longest wait.
//
// # Adding what is supervised
//
// Make a [Loop] with a name, call [Loop.Do] in a goroutine that is waited for, and call
// the ok that Run is given whenever it works.
package supervisor
