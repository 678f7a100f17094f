package tui

import (
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
)

// Bubble Tea looks for a new frame at a steady rate, and each look wakes a thread or
// two: at a rate that no key waits for, these looks cost more than all else that an
// untouched console does. So it is made to look soon after a frame was drawn, and
// hardly otherwise.
const (
	// fps is how often a second it looks where it cannot be told when.
	fps = 120
	// soon is how long the first frame after a rest waits for its look, busy the time
	// between two of frames that follow each other.
	soon, busy = 3 * time.Millisecond, time.Second / fps
	// rest is the time between two looks while nothing is drawn: what would be missed
	// otherwise, which is a frame whose drawing was held up for several looks.
	rest = 250 * time.Millisecond
)

// pace tells a program's ticker when there is something to look at.
type pace struct {
	mu     sync.Mutex
	ticker interface{ Reset(time.Duration) } // nil where there is none to tell
	every  time.Duration                     // what it was told
	still  *time.Timer                       // ends its looking often
}

// drawn says that a frame was drawn.
func (f *pace) drawn() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ticker == nil {
		return
	}
	switch f.every {
	case busy:
	case soon:
		f.tell(busy)
	default:
		f.tell(soon)
	}
	if f.still == nil {
		f.still = time.AfterFunc(3*f.every, f.rest)
	} else {
		f.still.Reset(3 * f.every)
	}
}

func (f *pace) rest() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tell(rest)
}

func (f *pace) tell(every time.Duration) {
	f.every = every
	f.ticker.Reset(every)
}

// paceOf returns the pace of a program that runs. Its ticker is a field of its own: where a later
// version has no such field, the program goes on at its steady rate.
func paceOf(p *tea.Program) *pace {
	if t, ok := field[*time.Ticker](p, "ticker"); ok && t != nil {
		return &pace{ticker: t}
	}
	return &pace{}
}
