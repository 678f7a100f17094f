package logs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/pane"
)

// beyond is a look at a log beyond what its tail holds: a window of records that is
// asked for by place, by time or by what is looked for, and moved along as the cursor
// comes near its ends.
type beyond struct {
	title  string
	view   state.LogView
	window *state.LogWindow // the last that came with records, of this view or of one before
	// anchor is the place that the cursor stands at; negative until the window that
	// knows it has come.
	anchor int64
	wish   *bookmark // the record to stand at, once it is there
	from   *bookmark // the record of the tail from which one looks for another
	// leapt is the time that was gone to last, and landed the record's place that was
	// found for it.
	leapt, landed int64
}

const (
	// beyondRows is how many records are asked for on either side, and beyondEdge how
	// near to an end the cursor comes before the next are.
	beyondRows, beyondEdge = 300, 80
)

// theFile returns the one file that the stream shows, or nil.
func (p *Pane) theFile() *state.LogSource {
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

// ask returns a view of a source with what is filtered and searched for.
func (p *Pane) ask(source string, at, ns int64) state.LogView {
	v := state.LogView{Source: source, At: at, Time: ns, Rows: beyondRows, Least: p.filters.min, Find: p.findAll()}
	var all []string
	for _, s := range p.filters.terms {
		all = append(all, s.expr())
	}
	v.Keep = strings.Join(all, " ")
	return v
}

// tally returns the view by which the counts of the whole log are asked for while its newest
// lines are shown; the zero view where nothing is to be counted.
func (p *Pane) tally() state.LogView {
	if p.beyond != nil || p.bars != barsAll && p.filters.open() && p.search.text == "" {
		return state.LogView{}
	}
	src := p.theFile()
	if src == nil {
		return state.LogView{}
	}
	v := p.ask(src.ID, -1, 0)
	v.Rows = 1
	return v
}

// whole returns what is known of all of the log that is shown, or nil.
func (p *Pane) whole() *state.LogWindow {
	if p.beyond != nil {
		return p.beyond.window
	}
	v := p.tally()
	if v == (state.LogView{}) {
		return nil
	}
	if w := p.snap.Logs.View(v); w != nil && w.Err == "" {
		return w
	}
	return nil
}

// goBeyond looks at the log that is shown around a place, or around a time where that
// is not 0. It says why it cannot.
func (p *Pane) goBeyond(at, ns int64) tea.Cmd {
	src := p.theFile()
	if src == nil {
		return pane.Send(pane.NoticeMsg{Text: "this is the oldest that is kept of these together: choose one file ([, then enter) to go on in it"})
	}
	p.pause()
	p.beyond = &beyond{title: src.Title, anchor: -1, view: p.ask(src.ID, at, ns)}
	return nil
}

// goBack returns goBeyond to a time, from wherever one is.
func (p *Pane) goBack(ns int64) tea.Cmd {
	if b := p.beyond; b != nil {
		b.look(p.ask(b.view.Source, 0, ns))
		p.row = p.h / 2
		return nil
	}
	cmd := p.goBeyond(0, ns)
	p.row = p.h / 2
	return cmd
}

// seekBeyond looks for the next record of a kind in all of the log, back from the oldest
// that the tail holds or on from the cursor. It reports whether it can.
func (p *Pane) seekBeyond(what state.LogSeek, back bool) bool {
	if b := p.beyond; b != nil {
		b.look(p.ask(b.view.Source, max(0, b.anchor), 0))
		b.view.Seek, b.view.Back = what, back
		if b.anchor < 0 {
			b.view.At = -1
		}
		return true
	}
	src := p.theFile()
	if src == nil || !back {
		return false
	}
	recs := p.base.Tails[src.ID].Records
	if len(recs) == 0 {
		return false
	}
	// Others may have the time of the oldest that is kept, and not be kept.
	k, r := p.cur.cur()
	_ = p.goBeyond(0, recs[0].Nanos+1)
	p.beyond.view.Seek, p.beyond.view.Back = what, true
	if r != nil {
		here := markOf(p.cur.s[k].id, r, -1)
		p.beyond.from = &here
	}
	return true
}

// look asks for another view.
func (b *beyond) look(v state.LogView) { b.view, b.wish, b.from = v, nil, nil }

// refilterBeyond asks for the same place under other filters.
func (p *Pane) refilterBeyond() {
	if b := p.beyond; b != nil {
		at := b.anchor
		if at < 0 {
			at = -1
		}
		b.look(p.ask(b.view.Source, at, 0))
	}
}

// findAll returns the search as a filter, to be counted in the whole log.
func (p *Pane) findAll() string {
	switch {
	case p.search.text == "":
		return ""
	case p.search.re != nil:
		return p.search.text
	}
	return strconv.Quote(p.search.text)
}

// comeBack ends the look beyond the tail, at the newest lines.
func (p *Pane) comeBack() {
	p.beyond = nil
	p.follow()
}

// takeWindow shows what came of the view.
func (p *Pane) takeWindow() {
	b := p.beyond
	w := p.snap.Logs.View(b.view)
	switch {
	case w == nil || w.Pending:
		return
	case w.Missing:
		p.said = "nothing more that way in the whole file"
		if b.view.Seek == state.SeekError {
			p.said = "no error more that way in the whole file"
		}
		if b.window == nil { // the tail is shown still
			p.beyond, p.dirty = nil, true
			return
		}
		b.look(p.ask(b.view.Source, max(0, b.anchor), 0))
		return
	case w.Err == "" && len(w.Records) == 0 && w.Filling:
		return // more is on its way
	}
	if i, ok := slices.BinarySearch(w.Offsets, w.Middle); b.from != nil && b.view.Seek != "" && ok && markOf(b.view.Source, &w.Records[i], w.Middle) == *b.from {
		b.view.At, b.view.Time, b.from = w.Middle, 0, nil // it is the one that one comes from
		return
	}
	fresh := b.window == nil || b.window.View != b.view
	if fresh && (b.view.Time != 0 || b.view.Seek != "") {
		b.anchor = -1
	}
	if fresh && (b.view.Seek != "" || b.wish != nil || b.view.Time != 0 && b.window != nil) {
		p.row = p.h / 2
	}
	b.window, p.dirty = w, true
	if w.Err != "" {
		return
	}
	if b.anchor < 0 {
		b.anchor = w.Middle
		if b.leapt = b.view.Time; b.leapt != 0 {
			b.landed = w.Middle
		}
	}
	i, _ := slices.BinarySearch(w.Offsets, b.anchor)
	if b.wish != nil {
		for k := range w.Records {
			if markOf(b.view.Source, &w.Records[k], w.Offsets[k]) == *b.wish {
				i, b.wish = k, nil
				break
			}
		}
	}
	i = min(i, len(w.Records)-1)
	if len(w.Offsets) > 0 && !w.Filling {
		b.anchor = w.Offsets[i]
	}
	p.cur = merge{s: []stream{{b.view.Source, b.title, w.Records}}, at: []int{max(0, i+1)}}
	if fresh && b.view.Seek == state.SeekMatch {
		p.reveal()
	}
}

// stepBeyond moves the cursor in the window, and asks for the next near its end.
func (p *Pane) stepBeyond(n int) {
	b := p.beyond
	if b.window == nil || len(p.cur.at) != 1 || len(b.window.Records) == 0 {
		return
	}
	w, i := b.window, p.cur.at[0]-1
	to := max(0, min(i+n, len(w.Records)-1))
	p.cur = p.cur.clone()
	p.cur.at[0] = to + 1
	p.row = max(0, min(p.row+to-i, p.h-1))
	if n > 0 && i == len(w.Records)-1 && w.Last && !w.Filling {
		p.comeBack()
		return
	}
	b.anchor, b.wish = w.Offsets[to], nil
	if b.view != w.View {
		if b.view.Seek != "" || b.view.Time != 0 { // one moves on instead of waiting
			b.look(p.ask(b.view.Source, b.anchor, 0))
		}
		return // the next is on its way
	}
	if to < beyondEdge && !w.First || to >= len(w.Records)-beyondEdge && !w.Last {
		b.look(p.ask(b.view.Source, b.anchor, 0))
	}
}

// findBeyond goes to the next match in the log: one that is at hand at once.
func (p *Pane) findBeyond(back bool) tea.Cmd {
	b := p.beyond
	if p.stepTo(back, func(r *state.LogRecord) bool { return p.search.in(r.Text) }) {
		if b.view.Find != p.findAll() { // to be counted
			b.look(p.ask(b.view.Source, b.anchor, 0))
		}
		p.reveal()
		return nil
	}
	p.seekBeyond(state.SeekMatch, back)
	return nil
}

// stepTo moves the cursor to the next record in the window that ok accepts.
func (p *Pane) stepTo(back bool, ok func(*state.LogRecord) bool) bool {
	b := p.beyond
	if b.window == nil || len(p.cur.at) != 1 {
		return false
	}
	step := 1
	if back {
		step = -1
	}
	at := p.cur.at[0] - 1
	for i := at + step; i >= 0 && i < len(b.window.Records); i += step {
		if ok(&b.window.Records[i]) {
			p.stepBeyond(i - at)
			return true
		}
	}
	return false
}

// updateBeyond carries out a command while the log is looked at beyond its tail.
func (p *Pane) updateBeyond(c pane.Command) (bool, tea.Cmd) {
	page := max(1, p.h-3)
	b := p.beyond
	switch c {
	case pane.Up:
		p.stepBeyond(-1)
	case pane.Down:
		p.stepBeyond(1)
	case pane.PageUp:
		p.stepBeyond(-page)
	case pane.PageDown:
		p.stepBeyond(page)
	case pane.HalfUp:
		p.stepBeyond(-page / 2)
	case pane.HalfDown:
		p.stepBeyond(page / 2)
	case pane.Top:
		b.anchor, p.row = 0, 0
		b.look(p.ask(b.view.Source, 0, 0))
	case pane.Bottom, pane.Follow:
		p.comeBack()
	case pane.FindNext, pane.FindPrev:
		if p.search.text == "" {
			return false, nil
		}
		return true, p.findBeyond(c == pane.FindNext)
	case pane.ErrNext, pane.ErrPrev:
		if !p.stepTo(c == pane.ErrPrev, func(r *state.LogRecord) bool { return r.Level >= state.LevelError }) {
			p.seekBeyond(state.SeekError, c == pane.ErrPrev)
		}
	case pane.Back:
		if b.window != nil && (b.view.Seek != "" || b.view.Time != 0) && b.window.View != b.view {
			b.look(p.ask(b.view.Source, max(0, b.anchor), 0)) // what was being looked for
			return true, nil
		}
		p.comeBack()
	case pane.CountBy, pane.Save:
		return true, pane.Send(pane.NoticeMsg{Text: "that is for the newest lines: esc comes back to them; of the whole file, opsdeck logs --where does it"})
	case pane.TabNext, pane.TabPrev:
		return true, pane.Send(pane.NoticeMsg{Text: "that is for the newest lines: esc comes back to them"})
	default:
		return false, nil
	}
	return true, nil
}

// beyondSummary says where in the log one is, and what is known of it.
func (p *Pane) beyondSummary() []pane.Span {
	t, f, b := p.env.Theme, pane.FiguresOf(p.env.Theme), p.beyond
	w := b.window
	if now := p.snap.Logs.View(b.view); now != nil && now.Err != "" {
		w = now
	}
	var out []pane.Span
	if s := p.waiting(); s != "" {
		out = append(out, pane.Span{Ink: t.Warn, Text: t.Wait + " " + s + ", esc stops"})
	}
	switch {
	case w == nil:
		if len(out) > 0 {
			return out
		}
		return []pane.Span{{Ink: t.Dim, Text: t.Wait + " reading " + b.title}}
	case w.Err != "":
		return []pane.Span{{Ink: t.Bad, Text: t.Wrong + " " + w.Err}}
	}
	out = append(out, pane.Span{Ink: t.Accent, Text: "whole " + b.title}, pane.Span{Ink: t.Dim, Text: "at " + f.Bytes(float64(w.Before)) + " of " + f.Bytes(float64(w.Size)) + inFiles(w)})
	return append(out, p.wholeSummary(w, "")...)
}

// waiting returns what of the view is still being looked for, and how far.
func (p *Pane) waiting() string {
	b := p.beyond
	if b.window != nil && b.window.View == b.view || b.view.Seek == "" && b.view.Time == 0 {
		return ""
	}
	what := "going to a time"
	switch b.view.Seek {
	case state.SeekError:
		what = "looking for an error"
	case state.SeekMatch:
		what = "looking for " + p.search.text
	}
	if w := p.snap.Logs.View(b.view); w != nil && w.ToLook > 0 {
		what += " " + pane.FiguresOf(p.env.Theme).Percent(100*float64(w.Looked)/float64(w.ToLook))
	}
	return what
}

func inFiles(w *state.LogWindow) string {
	if w.Files > 1 {
		return fmt.Sprintf(" in %d files", w.Files)
	}
	return ""
}

// wholeSummary returns what of all of the log passes and matches, and how far that was
// counted. where names the log.
func (p *Pane) wholeSummary(w *state.LogWindow, where string) (out []pane.Span) {
	t, f := p.env.Theme, pane.FiguresOf(p.env.Theme)
	share := func(n int64) string { return f.Percent(100 * float64(n) / float64(max(1, w.Size))) }
	total := uint64(0)
	for _, n := range w.Levels {
		total += n
	}
	v := w.View
	if v.Filters() {
		s := f.Count(float64(w.Passed))
		if w.Indexed >= w.Size {
			s += " of " + f.Count(float64(total))
		}
		if s += " pass" + where; w.Searched == 0 && w.Size > 0 {
			s = "counting what passes"
		}
		out = append(out, pane.Span{Ink: t.Accent, Text: s})
	}
	if v.Find != "" {
		out = append(out, pane.Span{Ink: t.Accent, Text: "/" + p.search.text + ": " + f.Count(float64(w.Matches)) + where})
	}
	switch {
	case (v.Filters() || v.Find != "") && w.Searched < w.Size:
		out = append(out, pane.Span{Ink: t.Dim, Text: "searched " + share(w.Searched)})
	case w.Indexed < w.Size:
		out = append(out, pane.Span{Ink: t.Dim, Text: "indexed " + share(w.Indexed)})
	default:
		if n := w.Levels[state.LevelError] + w.Levels[state.LevelFatal]; n > 0 && !v.Filters() {
			out = append(out, pane.Span{Ink: t.Warn, Text: state.Plural(int(n), "error") + where})
		}
	}
	if n := len(w.Unread); n > 0 {
		out = append(out, pane.Span{Ink: t.Warn, Text: fmt.Sprintf("%s %d rotated unreadable", t.Caution, n)})
	}
	return out
}
