package engine

import "time"

// breaker keeps a module that fails from being asked again and again:
//
//	closed --failures in a row--> open --its time is up, or an operator asks--> half-open
//	   ^                            ^                                            |     |
//	   |                            +----------------- it fails -----------------+     |
//	   +--------------------------------- it works ------------------------------------+
//
// It starts closed with every start of the module. Each time that it opens again
// without having been closed it stays open twice as long, up to maxOpen.
type breaker struct {
	word   string // "" is closed
	until  time.Time
	opened int // times since it was closed
}

const (
	breakerClosed = "closed"
	breakerOpen   = "open"
	breakerHalf   = "half-open"

	// The breaker's figures where a manifest says nothing.
	breakerFailures = 5
	breakerOpens    = 30 * time.Second
	// maxOpen bounds how long it stays open, unless the interval or the manifest
	// says longer.
	maxOpen = 5 * time.Minute
)

func (b *breaker) state() string {
	if b.word == "" {
		return breakerClosed
	}
	return b.word
}

// try reports whether the coming fetch is the one that tries an open circuit.
func (b *breaker) try() bool {
	if b.word != breakerOpen {
		return false
	}
	b.word, b.until = breakerHalf, time.Time{}
	return true
}

// worked closes the circuit and reports whether it was not closed.
func (b *breaker) worked() bool {
	was := b.word != ""
	*b = breaker{}
	return was
}

// failed counts the last of streak failures in a row and reports whether the
// circuit opens by it.
func (b *breaker) failed(now time.Time, streak int, man *Manifest, interval time.Duration) bool {
	failures, open := breakerFailures, breakerOpens
	if man != nil {
		failures, open = man.BreakerFailures, man.BreakerOpen
	}
	if b.word != breakerHalf && streak < failures || b.word == breakerOpen {
		return false
	}
	d := max(open, interval, min(open<<min(b.opened, 10), maxOpen))
	b.word, b.until = breakerOpen, now.Add(d)
	b.opened++
	return true
}
