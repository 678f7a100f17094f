package admin

import (
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// The rates of one principal, and of one address that fails to say who it is. The
// reads leave room for several dashboards; a change costs a journal entry on disk.
const (
	readsPerSecond, readsAtOnce       = 500, 1000
	changesPerSecond, changesAtOnce   = 20, 200
	failuresPerSecond, failuresAtOnce = 0.5, 20
)

// maxBuckets bounds the callers that are counted apart.
const maxBuckets = 4096

// limiter counts what each caller does. The zero value lets nothing through.
type limiter struct {
	rate  rate.Limit
	burst int

	mu      sync.Mutex
	buckets map[string]*bucket
}

type bucket struct {
	*rate.Limiter
	used time.Time
}

func newLimiter(perSecond float64, burst int) *limiter {
	return &limiter{rate: rate.Limit(perSecond), burst: burst, buckets: map[string]*bucket{}}
}

// of returns the bucket of key; l.mu is held. Where there are too many, one that is full
// again goes, which changes nothing for its caller, or else the one not used longest.
func (l *limiter) of(key string, now time.Time) *bucket {
	b := l.buckets[key]
	if b == nil {
		if len(l.buckets) >= maxBuckets {
			oldest, at := "", now
			for k, o := range l.buckets {
				if o.TokensAt(now) >= float64(l.burst) {
					oldest = k
					break
				}
				if !o.used.After(at) {
					oldest, at = k, o.used
				}
			}
			delete(l.buckets, oldest)
		}
		b = &bucket{Limiter: rate.NewLimiter(l.rate, l.burst)}
		l.buckets[key] = b
	}
	b.used = now
	return b
}

// take counts one, and says how long to wait where it is one too many; 0 where not.
func (l *limiter) take(key string) time.Duration {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.of(key, now).ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// full says how long to wait where the next one would be too many, counting none.
func (l *limiter) full(key string) time.Duration {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets[key]
	if !ok {
		return 0
	}
	if n := b.TokensAt(now); n < 1 {
		return time.Duration((1 - n) / float64(l.rate) * float64(time.Second))
	}
	return 0
}

// Busy is the error of a caller that asks too often.
type Busy struct{ Wait time.Duration }

// Error implements error.
func (b Busy) Error() string {
	return fmt.Sprintf("too many requests: try again in %d s", b.seconds())
}

// seconds returns the wait as Retry-After has it: whole ones, at least 1.
func (b Busy) seconds() int { return max(1, int(math.Ceil(b.Wait.Seconds()))) }
