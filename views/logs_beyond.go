package views

import (
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
)

// beyond is a look at a file beyond what its tail holds: a window of records that is
// asked for by place or time, and moved along as the cursor comes near its ends.
type beyond struct {
	title  string
	view   state.LogView
	window *state.LogWindow // the last that came, of this view or of the one before
	// anchor is the place that the cursor stands at; negative until the window that
	// knows it has come.
	anchor int64
}

const (
	// beyondRows is how many records are asked for on either side, and beyondEdge how
	// near to an end the cursor comes before the next are.
	beyondRows, beyondEdge = 300, 80
)

// theFile is the one file that the stream shows, or nil.
func (p *Logs) theFile() *state.LogSource {
	if p.snap == nil || !p.instant.IsZero() {
		return nil
	}
	var one *state.LogSource
	for i := range p.snap.Logs.Sources {
		s := &p.snap.Logs.Sources[i]
		if !p.chosen(s.ID) || s.Kind != "file" && p.snap.Logs.Tails[s.ID].Records == nil {
			continue
		}
		if one != nil || s.Kind != "file" {
			return nil
		}
		one = s
	}
	return one
}

// goBeyond looks at the file that is shown around a place, or around a time where that
// is not 0. It says why it cannot.
func (p *Logs) goBeyond(at, ns int64) tea.Cmd {
	src := p.theFile()
	if src == nil {
		return send(Note{"this is the oldest that is kept of these together: choose one file ([, then enter) to go on in it"})
	}
	p.pause()
	p.beyond = &beyond{title: src.Title, anchor: -1, view: state.LogView{Source: src.ID, At: at, Time: ns, Rows: beyondRows, Find: p.findAll()}}
	return nil
}

// findAll is the search as a filter, to be counted in the whole file.
func (p *Logs) findAll() string {
	switch {
	case p.search.text == "":
		return ""
	case p.search.re != nil:
		return p.search.text
	}
	return strconv.Quote(p.search.text)
}

// comeBack ends the look beyond the tail, at the newest lines.
func (p *Logs) comeBack() {
	p.beyond = nil
	p.follow()
}

// takeWindow shows what came of the view.
func (p *Logs) takeWindow() {
	b := p.beyond
	w := p.snap.Logs.View(b.view)
	if w == nil || w.Err == "" && len(w.Records) == 0 {
		return
	}
	fresh := b.window == nil || b.window.View != b.view
	if b.view.Time != 0 && (fresh || b.window.Middle != w.Middle) { // where a time is, is known once that much is read
		fresh, b.anchor = true, -1
	}
	b.window, p.dirty = w, true
	if !fresh || w.Err != "" {
		return
	}
	if b.anchor < 0 {
		b.anchor = w.Middle
	}
	i, _ := slices.BinarySearch(w.Offsets, b.anchor)
	p.cur = merge{s: []stream{{b.view.Source, b.title, w.Records}}, at: []int{min(i+1, len(w.Records))}}
}

// stepBeyond moves the cursor in the window, and asks for the next near its end.
func (p *Logs) stepBeyond(n int) {
	b := p.beyond
	if b.window == nil || len(p.cur.at) != 1 {
		return
	}
	w, i := b.window, p.cur.at[0]-1
	to := max(0, min(i+n, len(w.Records)-1))
	p.cur = p.cur.clone()
	p.cur.at[0] = to + 1
	p.row = max(0, min(p.row+to-i, p.h-1))
	if n > 0 && i == len(w.Records)-1 && w.Offsets[i] >= lastOffset(w) {
		p.comeBack()
		return
	}
	b.anchor = w.Offsets[to]
	if b.view != w.View {
		return // the next is on its way
	}
	if to < beyondEdge && w.Offsets[0] > 0 || to >= len(w.Records)-beyondEdge && w.Offsets[len(w.Offsets)-1] < lastOffset(w) {
		b.view.At, b.view.Time = b.anchor, 0
	}
}

// lastOffset is from where on a record must be the file's last: the last of a window
// that was cut short by the end of the file.
func lastOffset(w *state.LogWindow) int64 {
	i, _ := slices.BinarySearch(w.Offsets, w.Middle)
	if len(w.Offsets)-i <= w.View.Rows { // fewer came than were asked for
		return w.Offsets[len(w.Offsets)-1]
	}
	return w.Size
}

// findBeyond goes to the next match in the file.
func (p *Logs) findBeyond(back bool) tea.Cmd {
	b := p.beyond
	if b.window == nil {
		return nil
	}
	if find := p.findAll(); b.view.Find != find {
		b.view.Find, b.view.At, b.view.Time = find, max(0, b.anchor), 0
		return send(Note{"searching the whole file: again to go there"})
	}
	step := 1
	if back {
		step = -1
	}
	w := b.window
	for i := p.cur.at[0] - 1 + step; i >= 0 && i < len(w.Records); i += step {
		if p.search.in(w.Records[i].Text) {
			p.stepBeyond(i - (p.cur.at[0] - 1))
			p.reveal()
			return nil
		}
	}
	to := w.Next
	if back {
		to = w.Previous
	}
	if to < 0 {
		if w.Searched < w.Size {
			return send(Note{"the file is still being searched"})
		}
		return send(Note{"no match that way in the whole file"})
	}
	b.anchor, b.view.At, b.view.Time = to, to, 0
	return nil
}

// updateBeyond carries out a command while the file is looked at beyond its tail.
func (p *Logs) updateBeyond(c Command) (bool, tea.Cmd) {
	page := max(1, p.h-3)
	switch c {
	case Up:
		p.stepBeyond(-1)
	case Down:
		p.stepBeyond(1)
	case PageUp:
		p.stepBeyond(-page)
	case PageDown:
		p.stepBeyond(page)
	case HalfUp:
		p.stepBeyond(-page / 2)
	case HalfDown:
		p.stepBeyond(page / 2)
	case Top:
		p.beyond.anchor, p.beyond.view.At, p.beyond.view.Time = 0, 0, 0
		p.row = 0
	case Bottom, Follow:
		p.comeBack()
	case FindNext, FindPrev:
		if p.search.text == "" {
			return false, nil
		}
		return true, p.findBeyond(c == FindNext)
	case Back:
		p.comeBack()
	case Earlier, Later, ErrNext, ErrPrev, CountBy, Save, Bookmark, BookNext, LevelNext, TabNext, TabPrev:
		return true, send(Note{"that is for the newest lines: esc comes back to them"})
	default:
		return false, nil
	}
	return true, nil
}

// beyondSummary says where in the file one is, and what is known of it.
func (p *Logs) beyondSummary() []Span {
	t, f, b := p.env.Theme, figuresOf(p.env.Theme), p.beyond
	w := b.window
	switch {
	case w == nil:
		return []Span{{t.Dim, t.Wait + " reading " + b.title}}
	case w.Err != "":
		return []Span{{t.Bad, t.Wrong + " " + w.Err}}
	}
	out := []Span{{t.Accent, "only " + b.title}, {t.Dim, "at " + f.bytes(float64(max(0, b.anchor))) + " of " + f.bytes(float64(w.Size))}}
	if w.Indexed < w.Size {
		out = append(out, Span{t.Dim, "read to " + f.percent(100*float64(w.Indexed)/float64(max(1, w.Size)))})
	}
	if n := w.Levels[state.LevelError] + w.Levels[state.LevelFatal]; n > 0 {
		out = append(out, Span{t.Warn, f.count(float64(n)) + " errors"})
	}
	if b.view.Find != "" {
		n := f.count(float64(w.Matches))
		if w.Searched < w.Size {
			n += ", searching"
		}
		out = append(out, Span{t.Accent, "/" + strings.Trim(b.view.Find, `"`) + ": " + n + " in the file"})
	}
	if len(p.sieve.sifts) > 0 || p.sieve.min > 0 {
		out = append(out, Span{t.Warn, "filters do not hold here"})
	}
	return out
}
