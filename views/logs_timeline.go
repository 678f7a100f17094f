package views

import (
	"sort"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
)

// The histogram above the stream: how many records passed when, the worst of them,
// and where in it the cursor and the hits of the search stand.

// worst remembers when the warnings and errors of one source's records were, so that
// each record is looked at once.
type worst struct {
	last      uint64
	warn, bad []int64
}

func (x *worst) update(recs []state.LogRecord) {
	if len(recs) == 0 {
		*x = worst{}
		return
	}
	if recs[len(recs)-1].Seq < x.last {
		*x = worst{} // the source began anew
	}
	for i := sort.Search(len(recs), func(i int) bool { return recs[i].Seq > x.last }); i < len(recs); i++ {
		switch l := recs[i].Level; {
		case l >= state.LevelError:
			x.bad = append(x.bad, recs[i].Nanos)
		case l == state.LevelWarn:
			x.warn = append(x.warn, recs[i].Nanos)
		}
	}
	x.last = recs[len(recs)-1].Seq
	x.bad, x.warn = since(x.bad, recs[0].Nanos), since(x.warn, recs[0].Nanos)
}

// since is what of rising times is not before ns.
func since(times []int64, ns int64) []int64 {
	return times[sort.Search(len(times), func(i int) bool { return times[i] >= ns }):]
}

// between is how many of rising times lie in [from, to).
func between(times []int64, from, to int64) int {
	return len(since(times, from)) - len(since(times, to))
}

// span is the time of the oldest and of the newest record in the stream.
func (p *Logs) span() (from, to int64, ok bool) {
	for _, s := range p.cur.s {
		if len(s.recs) == 0 {
			continue
		}
		a, b := s.recs[0].Nanos, s.recs[len(s.recs)-1].Nanos
		if !ok || a < from {
			from = a
		}
		if !ok || b > to {
			to = b
		}
		ok = true
	}
	return from, to + 1, ok
}

// timeline draws the histogram in one line.
func (p *Logs) timeline(w int) string {
	t := p.env.Theme
	l := NewLine(t, w, false)
	from, to, ok := p.span()
	layout := "15:04:05"
	if to-from > int64(24*time.Hour) {
		layout = "01-02 15:04"
	}
	n := w - 2*len(layout) - 3
	if !ok || n < 10 {
		return l.String()
	}
	clock := func(ns int64) string { return time.Unix(0, ns).In(p.env.Local).Format(layout) }
	from, to = axis(from, to, n)
	border := func(i int) int64 { return from + (to-from)/int64(n)*int64(i) }
	counts, most := make([]int, n), 1
	inks := make([]theme.Ink, n)
	for i := range n {
		inks[i] = t.Info
	}
	for _, s := range p.cur.s {
		x := p.worsts[s.id]
		if x == nil {
			x = &worst{}
			p.worsts[s.id] = x
		}
		x.update(s.recs)
		a := 0
		for i := range n {
			end := border(i + 1)
			b := a + sort.Search(len(s.recs)-a, func(k int) bool { return s.recs[a+k].Nanos >= end })
			counts[i] += b - a
			a = b
		}
	}
	for i := range n {
		a, b := border(i), border(i+1)
		for _, s := range p.cur.s {
			x := p.worsts[s.id]
			if between(x.bad, a, b) > 0 {
				inks[i] = t.Bad
				break
			}
			if between(x.warn, a, b) > 0 {
				inks[i] = t.Warn
			}
		}
		if between(p.hitTimes, a, b) > 0 {
			inks[i] = t.Match
		}
		most = max(most, counts[i])
	}
	here := -1 // following: it is at the end
	if _, r := p.cur.cur(); r != nil && !p.following {
		here = int(float64(r.Nanos-from) / float64(to-from) * float64(n))
	}
	l.Put(t.Faint, clock(from)+" ")
	for i := range n {
		cell := t.Gap
		if counts[i] > 0 {
			cell = t.Sparks[(len(t.Sparks)-1)*counts[i]/most]
		}
		ink := inks[i]
		if i == here {
			if ink = t.MatchHere; counts[i] == 0 {
				cell = " "
			}
		}
		l.Put(ink, cell)
	}
	l.Put(t.Faint, " "+clock(to))
	return l.String()
}

// steps are the times that one cell of the histogram stands for.
var steps = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

// axis is a time around from to, in n steps that begin where clocks do: what was drawn
// stays where it is until a step is over.
func axis(from, to int64, n int) (int64, int64) {
	for _, s := range steps {
		step := int64(s)
		if end := (to + step - 1) / step * step; end-step*int64(n) <= from {
			return end - step*int64(n), end
		}
	}
	step := (to-from)/int64(n) + 1
	return to - step*int64(n), to
}

// leap moves the cursor along the histogram by a twentieth of its time.
func (p *Logs) leap(n int) {
	from, to, ok := p.span()
	_, r := p.cur.cur()
	if !ok || r == nil {
		return
	}
	step := max(1, (to-from)/20)
	at := r.Nanos + int64(n)*step
	switch {
	case at >= to:
		if p.instant.IsZero() {
			p.follow()
		}
		return
	case at < from:
		at = from
	}
	p.pause()
	p.cur, p.row = p.cur.atTime(at), p.h/2
}

// atTime is the merge with its cursor on the first record at or after a time, the
// last where there is none.
func (m merge) atTime(ns int64) merge {
	out := mergeEnd(m.s)
	for k, s := range m.s {
		out.at[k] = sort.Search(len(s.recs), func(i int) bool { return s.recs[i].Nanos >= ns })
	}
	if _, r := out.forward(); r == nil {
		return mergeEnd(m.s)
	}
	return out
}
