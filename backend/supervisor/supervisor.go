package supervisor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// The default waits before a failed run is tried again.
const (
	Min = 500 * time.Millisecond
	Max = 5 * time.Second
	// Absent is the interval at which what was not found is tried again.
	Absent = 10 * time.Second
)

// Backoff is the wait before the next attempt: each time twice as long, up to a
// maximum. The zero value begins at [Min] and goes up to [Max].
type Backoff struct {
	// Min and Max bound the wait before jitter; 0 is the package's.
	Min, Max time.Duration

	wait time.Duration
}

// Next returns the wait before the next try, with jitter: between half and one and a
// half of what it would be.
func (b *Backoff) Next() time.Duration {
	low, high := b.bounds()
	wait := max(b.wait, low)
	b.wait = min(2*wait, high)
	return wait/2 + rand.N(wait)
}

// Reset makes the next wait the shortest.
func (b *Backoff) Reset() { b.wait = 0 }

// Pause waits for Next, and reports whether it did: false where ctx ended.
func (b *Backoff) Pause(ctx context.Context) bool { return pause(ctx, b.Next()) }

func (b *Backoff) bounds() (low, high time.Duration) {
	if low, high = b.Min, b.Max; low == 0 {
		low = Min
	}
	if high == 0 {
		high = Max
	}
	return low, high
}

// pause waits for d, and reports whether it did: false where ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Failure is a failed run.
type Failure struct {
	Err error
	// Attempt counts the failures since it last worked, from 1.
	Attempt int
	// Pause is how long it is until the next run.
	Pause time.Duration
}

// Loop runs something again and again. Fill in its fields before Do.
type Loop struct {
	// Name names what is run in the error of a panic.
	Name string
	// Run runs until it fails or ctx ends, and calls ok whenever it works. Both may be
	// called from any goroutine of the run's.
	Run func(ctx context.Context, ok func()) error
	// Failed is called with every run that ended by itself.
	Failed func(Failure)
	// Recovered is called when a run works after that many failures; it may be nil.
	Recovered func(attempts int)

	backoff Backoff
	attempt atomic.Int64

	mu      sync.Mutex
	restart context.CancelFunc // ends the present run or pause; nil before the first
}

// Do runs until ctx ends, and returns once the last run has.
func (l *Loop) Do(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		runCtx, cancel := l.next(ctx)
		err := l.once(runCtx)
		replaced := runCtx.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case replaced:
			l.forgetFailures()
			continue
		case err == nil:
			err = errors.New("it ended without a reason")
		}
		if time.Since(began) > Max {
			l.backoff.Reset()
		}
		f := Failure{Err: err, Attempt: int(l.attempt.Add(1)), Pause: l.backoff.Next()}
		if errors.Is(err, state.ErrAbsent) {
			f.Pause = Absent
		}
		runCtx, cancel = l.next(ctx)
		l.Failed(f)
		if !pause(runCtx, f.Pause) {
			l.forgetFailures()
		}
		cancel()
	}
}

// Restart ends the present run or pause, and starts the next run at once. It waits
// for neither.
func (l *Loop) Restart() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.restart != nil {
		l.restart()
	}
}

// forgetFailures resets the count of failures and the wait.
func (l *Loop) forgetFailures() {
	l.attempt.Store(0)
	l.backoff.Reset()
}

// next returns the context of a run or a pause, which Restart ends.
func (l *Loop) next(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.restart = cancel
	return ctx, cancel
}

// once runs once. A panic of its goroutine is returned as an error.
func (l *Loop) once(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: panic: %v\n%s", l.Name, r, debug.Stack())
		}
	}()
	return l.Run(ctx, func() {
		if n := l.attempt.Swap(0); n > 0 && l.Recovered != nil {
			l.Recovered(int(n))
		}
	})
}
