package adapter

import (
	"sync"
)

// poolSize is how many adapters stay resident between their fetches, beside those
// that keep something, where the workspace does not say.
const poolSize = 32

// Pool decides which adapters wait for their next fetch in a process, and which
// leave and are forked again. There is place for a number of them; it goes to those
// that are dearest to load, by the time that loading takes of their interval. By
// least recent use, modules fetched in turn would each push out the one that is
// next.
type Pool struct {
	size   int
	mu     sync.Mutex
	places map[chan<- struct{}]float64 // worth of those that stay
}

// Park has an adapter stay after a fetch, which may push out another, and reports
// whether it may. An adapter is told by leave that its place went to another: the
// channel has room for one, and stands for the adapter.
func (p *Pool) Park(leave chan<- struct{}, worth float64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.places == nil {
		p.places = map[chan<- struct{}]float64{}
	}
	if _, has := p.places[leave]; has || len(p.places) < p.size {
		p.places[leave] = worth
		return true
	}
	var least chan<- struct{}
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
	p.places[leave] = worth
	select {
	case least <- struct{}{}:
	default:
	}
	return true
}

// Forget frees the place of an adapter.
func (p *Pool) Forget(leave chan<- struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.places, leave)
}

// NewPool makes one with place for size adapters, as many as is usual for 0.
func NewPool(size int) *Pool {
	if size == 0 {
		size = poolSize
	}
	return &Pool{size: max(1, size)}
}
