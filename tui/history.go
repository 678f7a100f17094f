package tui

import (
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

const (
	pastEvery = 5 * time.Second
	pastKept  = 120 // ten minutes
	// pastRows bounds the containers of all kept instants together, 560 bytes each: an
	// engine with thousands of stopped ones has fewer instants. A few there always are.
	pastRows  = 60_000
	pastLeast = 3
)

// past is the time cursor and the snapshots that it moves over, oldest first.
// They are kept without log lines, which the stream holds itself.
type past struct {
	kept []*state.Snapshot
	// back counts from the newest kept; 0 is now.
	back int
}

func (p *past) live() bool { return p.back == 0 }

// at is the snapshot under the time cursor, nil for now.
func (p *past) at() *state.Snapshot {
	if p.back == 0 || p.back > len(p.kept) {
		return nil
	}
	return p.kept[len(p.kept)-p.back]
}

// keep remembers s if the last one kept is old enough. While the cursor is in the
// past nothing moves under it.
func (p *past) keep(s *state.Snapshot) {
	if n := len(p.kept); n > 0 && s.At.Sub(p.kept[n-1].At) < pastEvery {
		return
	}
	c := *s
	c.Logs.Tails, c.Logs.Views = nil, nil
	p.kept = append(p.kept, &c)
	if p.back > 0 {
		p.back++
	}
	rows := 0
	for _, k := range p.kept {
		rows += len(k.Containers.List)
	}
	for n := len(p.kept); n > pastKept || n > pastLeast && rows > pastRows; n = len(p.kept) {
		rows -= len(p.kept[0].Containers.List)
		p.kept[0] = nil
		p.kept = p.kept[1:]
		p.back = min(p.back, len(p.kept))
	}
}

// move goes n snapshots back, or forward if negative; false where there are none.
func (p *past) move(n int) bool {
	to := p.back + n
	if to < 0 || to > len(p.kept) {
		return false
	}
	p.back = to
	return true
}
