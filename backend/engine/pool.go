package engine

import (
	"sync"
	"time"
)

// poolSize is how many adapters stay resident between their fetches, beside those
// that keep something, where the workspace does not say.
const poolSize = 32

// dear is the part of its interval that an adapter may take to load, and still be
// loaded anew for each fetch.
const dear = 1.0 / 200

// pool decides which adapters wait for their next fetch in a process, and which
// leave and are forked again. There is place for a number of them; it goes to those
// that are dearest to load, by the time that loading takes of their interval. By
// least recent use, modules fetched in turn would each push out the one that is
// next.
type pool struct {
	size   int
	mu     sync.Mutex
	places map[*supervisor]float64 // worth of those that stay
}

// park has an adapter stay after a fetch, which may push out another, and reports
// whether it may.
func (p *pool) park(s *supervisor, worth float64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.places == nil {
		p.places = map[*supervisor]float64{}
	}
	if _, has := p.places[s]; has || len(p.places) < p.size {
		p.places[s] = worth
		return true
	}
	var least *supervisor
	for o, w := range p.places {
		if least == nil || w < p.places[least] {
			least = o
		}
	}
	// A little more is no reason to change places.
	if worth <= 2*p.places[least] {
		return false
	}
	delete(p.places, least)
	p.places[s] = worth
	select {
	case least.leave <- struct{}{}:
	default:
	}
	return true
}

// forget frees the place of an adapter.
func (p *pool) forget(s *supervisor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.places, s)
}

// stays reports whether a module's process stays after a fetch.
func (e *Engine) stays(m *module, s *supervisor, r *runner) bool {
	e.mu.Lock()
	man, interval, keeps := m.manifest, m.interval(e), m.keeps
	e.mu.Unlock()
	switch {
	case man == nil:
		return true
	case man.Resident != nil:
		return *man.Resident
	case !man.Python() || keeps != "" || r.cost > time.Duration(dear*float64(interval)):
		e.pool.forget(s) // it takes no place from those that could leave
		return true
	}
	return e.pool.park(s, float64(r.cost)/float64(interval))
}
