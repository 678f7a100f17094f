package engine

import (
	"time"

	"golang.org/x/time/rate"
)

// permit takes one fetch out of the module's rate limit, or says how long it is
// until there is one. A sixth of a minute's fetches may come at once. e.mu is held.
func (m *module) permit(now time.Time) time.Duration {
	if m.manifest == nil || m.manifest.Rate <= 0 {
		m.limiter = nil
		return 0
	}
	every := rate.Limit(float64(m.manifest.Rate) / 60)
	if m.limiter == nil || m.limiter.Limit() != every {
		m.limiter = rate.NewLimiter(every, max(1, m.manifest.Rate/6))
	}
	r := m.limiter.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}
