package logs

import (
	"sort"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/pane"
)

// The histogram above the stream: how many records passed when, the worst of them,
// and where in it the cursor and the hits of the search stand. It is of the records that
// are shown, or of the whole file.

// barsMode is which histogram is shown.
type barsMode uint8

const (
	barsShown barsMode = iota
	barsAll
	barsNone
)

// nextBars shows another histogram.
func (p *Pane) nextBars() tea.Cmd {
	text := "no histogram"
	switch {
	case p.bars == barsShown && p.beyond == nil && p.theFile() != nil:
		p.bars, text = barsAll, "the histogram is of the whole file"
	case p.bars == barsNone:
		p.bars, text = barsShown, "the histogram is of the lines that are kept"
		if p.beyond != nil {
			text = "the histogram is of the whole file"
		}
	default:
		p.bars = barsNone
	}
	return pane.Send(pane.NoticeMsg{Text: text})
}

// slots returns the histogram of the whole file where that is gone along and known.
func (p *Pane) slots() []state.LogSlot {
	if p.beyond == nil && p.bars != barsAll {
		return nil
	}
	if w := p.whole(); w != nil && len(w.Slots) > 1 {
		return w.Slots
	}
	return nil
}

// height returns what a slot's bar shows.
func (p *Pane) height(s *state.LogSlot) (n uint64) {
	if !p.filters.open() {
		return s.Passed
	}
	for _, k := range s.Levels {
		n += k
	}
	return n
}

// bar is one cell of a histogram.
type bar struct {
	n         float64
	warn, bad bool
	hit       bool
}

// wholeBars returns the slots in n cells, and the time from the first to behind the last.
func (p *Pane) wholeBars(slots []state.LogSlot, n int) (bars []bar, from, to int64) {
	bars = make([]bar, n)
	from = slots[0].Start
	to = slots[len(slots)-1].Start + slots[1].Start - slots[0].Start
	per := float64(n) / float64(len(slots))
	for i := range slots {
		s := &slots[i]
		count := float64(p.height(s))
		// A slot may lie over several cells, and a cell over several slots.
		a, b := float64(i)*per, float64(i+1)*per
		for c := int(a); c < n && float64(c) < b; c++ {
			x := &bars[c]
			x.n += count * (min(b, float64(c+1)) - max(a, float64(c))) / per
			x.bad = x.bad || p.filters.open() && s.Levels[state.LevelError]+s.Levels[state.LevelFatal] > 0 || p.filters.min >= state.LevelError && s.Passed > 0
			x.warn = x.warn || p.filters.open() && s.Levels[state.LevelWarn] > 0 || p.filters.min == state.LevelWarn && s.Passed > 0
			x.hit = x.hit || p.search.text != "" && s.Matches > 0
		}
	}
	return bars, from, to
}

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

// since returns what of rising times is not before ns.
func since(times []int64, ns int64) []int64 {
	return times[sort.Search(len(times), func(i int) bool { return times[i] >= ns }):]
}

// between returns how many of rising times lie in [from, to).
func between(times []int64, from, to int64) int {
	return len(since(times, from)) - len(since(times, to))
}

// span returns the time of the oldest and of the newest record in the stream.
func (p *Pane) span() (from, to int64, ok bool) {
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
func (p *Pane) timeline(w int) string {
	t := p.env.Theme
	l := pane.NewLine(t, w, false)
	slots := p.slots()
	from, to, ok := p.span()
	if slots != nil {
		from, to, ok = slots[0].Start, slots[len(slots)-1].Start, true
	}
	layout := "15:04:05"
	if to-from > int64(24*time.Hour) {
		layout = "01-02 15:04"
	}
	n := w - 2*len(layout) - 3
	if !ok || n < 10 || slots == nil && p.beyond != nil {
		return l.String()
	}
	clock := func(ns int64) string { return time.Unix(0, ns).In(p.env.Local).Format(layout) }
	var bars []bar
	if slots != nil {
		bars, from, to = p.wholeBars(slots, n)
	} else {
		from, to = axis(from, to, n)
		bars = p.shownBars(n, from, to)
	}
	most := 1.0
	for _, b := range bars {
		most = max(most, b.n)
	}
	here := -1 // following: it is at the end
	if _, r := p.cur.cur(); r != nil && !p.following {
		here = int(float64(r.Nanos-from) / float64(to-from) * float64(n))
	}
	l.Put(t.Faint, clock(from)+" ")
	for i, b := range bars {
		cell, ink := t.Gap, t.Info
		if b.n > 0 {
			cell = t.Sparks[int(float64(len(t.Sparks)-1)*b.n/most)]
		}
		switch {
		case b.hit:
			ink = t.Match
		case b.bad:
			ink = t.Bad
		case b.warn:
			ink = t.Warn
		}
		if i == here {
			if ink = t.MatchHere; b.n == 0 {
				cell = " "
			}
		}
		l.Put(ink, cell)
	}
	l.Put(t.Faint, " "+clock(to))
	return l.String()
}

// shownBars counts the records of the stream in n cells.
func (p *Pane) shownBars(n int, from, to int64) []bar {
	border := func(i int) int64 { return from + (to-from)/int64(n)*int64(i) }
	bars := make([]bar, n)
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
			bars[i].n += float64(b - a)
			bars[i].bad = bars[i].bad || between(x.bad, border(i), end) > 0
			bars[i].warn = bars[i].warn || between(x.warn, border(i), end) > 0
			a = b
		}
	}
	for i := range n {
		bars[i].hit = between(p.hitTimes, border(i), border(i+1)) > 0
	}
	return bars
}

// steps are the times that one cell of the histogram stands for.
var steps = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

// axis returns a time around from to, in n steps that begin where clocks do: what was drawn
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

// searchAhead moves the cursor along the histogram by a twentieth of its time.
func (p *Pane) searchAhead(n int) tea.Cmd {
	if slots := p.slots(); slots != nil {
		return p.searchWhole(n, slots)
	}
	if p.beyond != nil {
		return pane.Send(pane.NoticeMsg{Text: "the histogram of the whole file is not known yet"})
	}
	from, to, ok := p.span()
	_, r := p.cur.cur()
	if !ok || r == nil {
		return nil
	}
	step := max(1, (to-from)/20)
	at := r.Nanos + int64(n)*step
	switch {
	case at >= to:
		if p.instant.IsZero() {
			p.follow()
		}
		return nil
	case at < from && p.theFile() != nil && r.Nanos <= from:
		return p.goBack(at)
	case at < from:
		at = from
	}
	p.pause()
	p.cur, p.row = p.cur.atTime(at), p.h/2
	return nil
}

// searchWhole goes along the histogram of the whole file, over what holds nothing.
func (p *Pane) searchWhole(n int, slots []state.LogSlot) tea.Cmd {
	_, r := p.cur.cur()
	if r == nil {
		return nil
	}
	width := slots[1].Start - slots[0].Start
	base, b := r.Nanos, p.beyond
	switch {
	case b != nil && b.view.Time != 0 && p.waiting() != "": // pressed again meanwhile
		base = b.view.Time
	case b != nil && b.leapt != 0 && b.anchor == b.landed && n < 0 == (b.leapt < base):
		base = b.leapt // the record stands far from the time that was gone to
	}
	at := base + int64(n)*max(1, width*int64(len(slots))/20)
	slot := int(max(-1, (at-slots[0].Start)/width))
	if here := int((r.Nanos - slots[0].Start) / width); n < 0 && slot < here {
		slot = min(max(slot, 0), len(slots)-1)
		empty := true
		for i := slot; i < here && i < len(slots); i++ {
			empty = empty && p.height(&slots[i]) == 0
		}
		// The first at or after that time would be the one that one comes from.
		for empty && slot >= 0 && p.height(&slots[slot]) == 0 {
			slot--
		}
		if slot >= 0 {
			at = slots[slot].Start
		}
	}
	switch {
	case slot < 0:
		at = slots[0].Start
	case slot >= len(slots):
		p.comeBack()
		return nil
	}
	return p.goBack(max(1, at))
}

// atTime returns the merge with its cursor on the first record at or after a time, the
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
