package logs

import (
	"sync"
	"time"
)

const (
	// pollWatched is the time between two polls of files whose watches wake the loop: what a
	// watch did not tell is found then.
	pollWatched = time.Second
	// watchRetry is how long a file is polled before a watch that failed is tried again.
	watchRetry = 10 * time.Second
)

// waker wakes the loop when a followed file has changed. A watch reports once and is
// gone: a file that is being written to is polled, and watched again once it is quiet. Its
// methods but close may be called by one goroutine only.
type waker struct {
	// C has a value after a watched file has changed.
	C chan struct{}

	polls  bool                 // nothing can be watched
	failed map[string]time.Time // when a watch was refused
	wg     sync.WaitGroup

	mu      sync.Mutex
	watched map[string]chan struct{} // closed to end it
}

// newWaker returns a waker without watches; with polls it refuses them all.
func newWaker(polls bool) *waker {
	return &waker{
		C: make(chan struct{}, 1), polls: polls || !canWatch(),
		failed: map[string]time.Time{}, watched: map[string]chan struct{}{},
	}
}

// watch makes the next change of a file wake. fresh is true where it was not watched before:
// it has to be polled once more, since it may have changed meanwhile. ok is false where it
// must be polled: on a file system that does not report changes, or beyond a limit.
func (w *waker) watch(path string, now time.Time) (fresh, ok bool) {
	if w.polls {
		return false, false
	}
	w.mu.Lock()
	_, watched := w.watched[path]
	w.mu.Unlock()
	if watched {
		return false, true
	}
	if at, ok := w.failed[path]; ok && now.Sub(at) < watchRetry {
		return false, false
	}
	wait := watchFile(path)
	if wait == nil {
		w.failed[path] = now
		return false, false
	}
	delete(w.failed, path)
	stop := make(chan struct{})
	w.mu.Lock()
	w.watched[path] = stop
	w.mu.Unlock()
	w.wg.Go(func() {
		wait(stop)
		w.mu.Lock()
		if w.watched[path] == stop {
			delete(w.watched, path)
		}
		w.mu.Unlock()
		select {
		case w.C <- struct{}{}:
		default:
		}
	})
	return true, true
}

// forget ends the watch of a file that is followed no more.
func (w *waker) forget(path string) {
	delete(w.failed, path)
	w.mu.Lock()
	defer w.mu.Unlock()
	if stop := w.watched[path]; stop != nil {
		close(stop)
		delete(w.watched, path)
	}
}

// close ends all watches, and waits until they have ended.
func (w *waker) close() {
	w.mu.Lock()
	for path, stop := range w.watched {
		close(stop)
		delete(w.watched, path)
	}
	w.mu.Unlock()
	w.wg.Wait()
}
