package logs

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sort"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/pane"
)

// Bookmarks. A record is known again by its time and text, so that a mark that was set
// in the tail is there in the whole file too; one without a time of its own by its number
// or its place.

// bookmark knows a record again.
type bookmark struct {
	source string
	ns     int64
	text   uint64
	at     int64
}

// marked is where a bookmark is: its time, and its place in the whole file, negative
// where that is not known.
type marked struct{ ns, place int64 }

var bookSeed = maphash.MakeSeed()

// markOf returns a record's bookmark; place is its place in the whole file, negative for a
// record of a tail.
func markOf(source string, r *state.LogRecord, place int64) bookmark {
	b := bookmark{source: source, text: maphash.String(bookSeed, r.Text)}
	switch {
	case !r.Guessed:
		b.ns = r.Nanos
	case place >= 0:
		b.at = place
	default:
		b.at = -int64(r.Seq)
	}
	return b
}

// placeOf returns the place of a record of the stream, where it is known.
func (p *Pane) placeOf(k int, r *state.LogRecord) int64 {
	if p.beyond == nil || p.beyond.window == nil || k != 0 {
		return -1
	}
	w := p.beyond.window
	for i := range w.Records {
		if &w.Records[i] == r { // the stream is the window's own
			return w.Offsets[i]
		}
	}
	return -1
}

// booked reports whether a record has a bookmark.
func (p *Pane) booked(k int, r *state.LogRecord) bool {
	if len(p.books) == 0 {
		return false
	}
	_, ok := p.books[markOf(p.cur.s[k].id, r, p.placeOf(k, r))]
	return ok
}

// setBookmark sets a bookmark at the cursor, or takes it away.
func (p *Pane) setBookmark() {
	k, r := p.cur.cur()
	if r == nil {
		return
	}
	p.pause()
	place := p.placeOf(k, r)
	b := markOf(p.cur.s[k].id, r, place)
	if _, ok := p.books[b]; ok {
		delete(p.books, b)
		return
	}
	p.books[b] = marked{r.Nanos, place}
}

// nextBookmark goes to the next older bookmark, from the oldest to the newest.
func (p *Pane) nextBookmark() tea.Cmd {
	if len(p.books) == 0 {
		return pane.Send(pane.NoticeMsg{Text: "no bookmarks: m sets one"})
	}
	type one struct {
		bookmark
		marked
	}
	var all []one
	for b, m := range p.books {
		if p.chosen(b.source) {
			all = append(all, one{b, m})
		}
	}
	slices.SortFunc(all, func(a, b one) int {
		return cmp.Or(cmp.Compare(b.marked.ns, a.marked.ns), cmp.Compare(b.place, a.place), cmp.Compare(a.text, b.text))
	})
	if len(all) == 0 {
		return pane.Send(pane.NoticeMsg{Text: "no bookmark is in the sources that are chosen"})
	}
	from := 0
	if k, r := p.cur.cur(); r != nil {
		here := markOf(p.cur.s[k].id, r, p.placeOf(k, r))
		if from = slices.IndexFunc(all, func(o one) bool { return o.bookmark == here }) + 1; from == 0 {
			from = sort.Search(len(all), func(i int) bool { return all[i].marked.ns <= r.Nanos })
		} else if len(all) == 1 {
			return pane.Send(pane.NoticeMsg{Text: "this is the only bookmark"})
		}
	}
	for i := range all {
		if o := all[(from+i)%len(all)]; p.toBookmark(o.bookmark, o.marked) {
			return nil
		}
	}
	return pane.Send(pane.NoticeMsg{Text: "the bookmarks are out of sight of the filters, or beyond what is kept of several files together"})
}

// toBookmark moves the cursor to a bookmark. It reports whether it can.
func (p *Pane) toBookmark(b bookmark, m marked) bool {
	if p.beyond != nil {
		if w := p.beyond.window; w != nil {
			for i := range w.Records {
				if markOf(p.beyond.view.Source, &w.Records[i], w.Offsets[i]) == b {
					p.stepBeyond(i - (p.cur.at[0] - 1))
					return true
				}
			}
		}
		p.wishFor(b, m)
		return true
	}
	for k, s := range p.cur.s {
		if s.id != b.source {
			continue
		}
		i := slices.IndexFunc(s.recs, func(r state.LogRecord) bool {
			return (r.Guessed || r.Nanos == b.ns) && markOf(s.id, &r, -1) == b
		})
		if i < 0 {
			break
		}
		p.pause()
		p.cur, p.row = p.cur.atRecord(k, i), p.h/2
		return true
	}
	if src := p.theFile(); src == nil || src.ID != b.source {
		return false
	}
	if recs := p.base.Tails[b.source].Records; len(recs) > 0 && m.ns > recs[0].Nanos && m.place < 0 {
		return false // the tail holds that time: the filters hide it
	}
	if p.goBeyond(0, m.ns) != nil {
		return false
	}
	p.wishFor(b, m)
	return true
}

// wishFor asks for the window that holds a bookmark.
func (p *Pane) wishFor(b bookmark, m marked) {
	y := p.beyond
	if m.place >= 0 {
		y.look(p.ask(y.view.Source, m.place, 0))
		y.anchor = m.place
	} else {
		y.look(p.ask(y.view.Source, 0, m.ns))
	}
	y.wish = &b
	p.row = p.h / 2
}

// atRecord returns the merge with its cursor on the i-th record of stream k.
func (m merge) atRecord(k, i int) merge {
	out := merge{s: m.s, at: make([]int, len(m.s))}
	ns := m.s[k].recs[i].Nanos
	for j, s := range m.s {
		out.at[j] = sort.Search(len(s.recs), func(n int) bool { return s.recs[n].Nanos > ns || j > k && s.recs[n].Nanos == ns })
	}
	out.at[k] = i + 1
	return out
}
