package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/pane"
)

// sourcesWidth is the room for the list of sources beside the stream.
const sourcesWidth = 34

// View implements Pane.
func (p *Pane) View() string {
	if p.dirty {
		p.view = p.draw()
		p.dirty = false
	}
	return p.view
}

func (p *Pane) draw() string {
	e := p.env
	if p.w <= 0 || p.h <= 0 {
		return pane.Block(nil, p.w, p.h)
	}
	if p.snap == nil {
		return pane.Block(pane.Notice(e, state.Health{Status: state.Connecting}, "Logs", p.w), p.w, p.h)
	}
	if n := pane.Notice(e, p.snap.Logs.Health, "Logs", p.w); n != nil && len(p.base.Sources) == 0 {
		return pane.Block(n, p.w, p.h)
	}
	out := pane.StaleNotice(e, p.snap.Logs.Health, p.w, p.h)
	h := p.h - len(out)
	if len(p.snap.Logs.Sources) == 0 {
		d := pane.NewDoc(e, p.w)
		d.Text(e.Theme.Dim, "no log files and no containers: put files in logs/, or name them under logs in opsdeck.yaml")
		return pane.Block(append(out, d.Lines...), p.w, p.h)
	}
	if p.open {
		if _, r := p.cur.cur(); r != nil {
			return pane.Block(append(out, p.record(p.w, h)...), p.w, p.h)
		}
		p.open = false
	}
	switch {
	case p.w >= 90:
		left, right := p.sources(sourcesWidth, h), p.stream(p.w-sourcesWidth-3, h)
		bar := " " + e.Theme.Border.Render(e.Theme.Bar) + " "
		for i := range h {
			out = append(out, at(left, i, sourcesWidth)+bar+at(right, i, p.w-sourcesWidth-3))
		}
	case p.inSources:
		why := p.unreadable(p.w, h)
		out = append(append(out, why...), p.sources(p.w, h-len(why))...)
	default:
		out = append(out, p.stream(p.w, h)...)
	}
	return pane.Block(out, p.w, p.h)
}

func at(lines []string, i, w int) string {
	if i < len(lines) {
		return lines[i]
	}
	return strings.Repeat(" ", max(0, w))
}

// sources draws the list of sources.
func (p *Pane) sources(w, h int) []string {
	t, f := p.env.Theme, pane.FiguresOf(p.env.Theme)
	var out []string
	if h > 2 {
		title := pane.NewLine(t, w, false).Gap(2)
		ink := t.Faint
		if p.inSources {
			ink = t.Accent
		}
		title.Col(ink, "Sources", max(0, w-17), false).Col(t.Faint, "Rate", 8, true).Col(t.Faint, "Errors", 7, true)
		out = append(out, title.String())
	}
	src := p.snap.Logs.Sources
	sel := 0
	for i := range src {
		if src[i].ID == p.srcSel {
			sel = i
		}
	}
	room := max(1, h-len(out))
	p.srcTop = max(0, min(p.srcTop, len(src)-room))
	p.srcTop = min(p.srcTop, sel)
	p.srcTop = max(p.srcTop, sel-room+1)
	for i := p.srcTop; i < len(src) && len(out) < h; i++ {
		s := &src[i]
		here := i == sel && p.inSources && p.focused
		l := pane.NewLine(t, w, here)
		mark, ink := " ", t.Text
		switch {
		case p.marks[s.ID]:
			mark = t.Mark
		case here:
			mark = t.Cursor
		}
		l.Put(t.Accent, mark).Gap(1)
		shown := p.chosen(s.ID)
		if s.Kind != "file" && len(p.snap.Logs.Tails[s.ID].Records) == 0 {
			shown = false
		}
		if !shown {
			ink = t.Faint
		}
		switch {
		case s.Err != "":
			l.Col(t.Bad, t.Wrong+" "+s.Title, max(0, w-17), false).Col(t.Bad, "unreadable", 15, true)
		default:
			rate, errs, eink := f.PerSecond(s.Rate), f.Count(float64(s.Errors)), t.Faint
			if !shown && s.Kind != "file" && s.Lines == 0 {
				rate, errs = t.Unknown, t.Unknown // it is not followed: unknown is not zero
			}
			if s.Errors > 0 {
				eink = t.Warn
			}
			l.Col(ink, s.Title, max(0, w-17), false).Col(t.Faint, rate, 8, true).Col(eink, errs, 7, true)
		}
		out = append(out, l.String())
	}
	return out
}

// stream draws the lines around the cursor; it looks at no more records than fit.
func (p *Pane) stream(w, h int) []string {
	if w <= 0 || h <= 0 {
		return nil
	}
	if p.counts != nil {
		return p.drawCounts(w, h)
	}
	head := p.unreadable(w, h)
	if p.bars != barsNone && h >= 12 {
		head = append(head, p.timeline(w))
	}
	p.fitColumns(h)
	if len(p.columns) > 0 && h >= 6 {
		head = append(head, p.columnTitles(w))
	}
	return append(head, p.records(w, h-len(head))...)
}

// unreadable says why what is chosen, or the source under the cursor, cannot be read.
func (p *Pane) unreadable(w, h int) (lines []string) {
	t := p.env.Theme
	for i := range p.snap.Logs.Sources {
		s := &p.snap.Logs.Sources[i]
		if s.Err == "" || p.solo != s.ID && !p.marks[s.ID] && (!p.inSources || p.srcSel != s.ID) || len(lines) >= h/3 {
			continue
		}
		lines = append(lines, pane.Explain(p.env, pane.Span{Ink: t.Bad, Text: t.Wrong + " " + s.Title}, s.Err, w, h >= 12)...)
	}
	return lines
}

// records draws the records around the cursor.
func (p *Pane) records(w, h int) []string {
	t := p.env.Theme
	k, r := p.cur.cur()
	if r == nil {
		d := pane.NewDoc(p.env, w)
		switch {
		case len(p.cur.s) == 0 && p.solo != "":
			d.Text(t.Dim, t.Wait+" no lines from it yet")
		case p.beyond != nil && (p.beyond.window == nil || p.beyond.window.Filling):
			d.Text(t.Dim, t.Wait+" looking through the whole file, esc stops")
		case !p.filters.open() && p.beyond != nil:
			d.Text(t.Dim, "no line of the whole file passes: esc comes back to the newest, and there takes the newest filter away")
		case !p.filters.open():
			d.Text(t.Dim, "no line passes: esc takes the newest filter away, l the level")
			if w := p.whole(); w != nil && w.Passed > 0 {
				d.Text(t.Accent, fmt.Sprintf("%s of the whole file do: k goes to them", pane.FiguresOf(t).Count(float64(w.Passed))))
			}
		default:
			d.Text(t.Dim, t.Wait+" no lines yet")
		}
		return d.Lines
	}
	here := p.lines(k, r, w, h, !p.following && p.focused)
	if p.following {
		p.row = h
	}
	p.row = max(0, min(p.row, h-len(here)))
	// Above the cursor, from the nearest on.
	above := p.above(w, p.row)
	p.row = len(above)
	out := append(above, here...)
	m := p.cur.clone()
	for len(out) < h {
		k, r := m.forward()
		if r == nil {
			break
		}
		out = append(out, p.lines(k, r, w, h-len(out), false)...)
	}
	if short := h - len(out); short > 0 && !p.following { // near the end: more from above
		more := p.above(w, p.row+short)
		out = append(more, out[p.row:]...)
		p.row = len(more)
	}
	return out
}

// above returns the n lines before the cursor's, or as many as there are.
func (p *Pane) above(w, n int) []string {
	var chunks [][]string
	m := p.cur.clone()
	m.back()
	have := 0
	for have < n {
		k, r := m.back()
		if r == nil {
			break
		}
		c := p.lines(k, r, w, 1<<10, false)
		chunks = append(chunks, c)
		have += len(c)
	}
	out := make([]string, 0, have)
	for i := len(chunks) - 1; i >= 0; i-- {
		out = append(out, chunks[i]...)
	}
	return out[max(0, len(out)-n):]
}

// lines draws one record, in at most limit lines.
func (p *Pane) lines(k int, r *state.LogRecord, w, limit int, here bool) []string {
	t := p.env.Theme
	src := &p.cur.s[k]
	tw, lw, nw := p.margins(w)
	head := func(l *pane.Line, first bool) {
		switch {
		case p.booked(k, r):
			l.Put(t.Accent, t.Bookmark)
		case here:
			l.Put(t.Accent, t.Cursor)
		default:
			l.Gap(1)
		}
		if !first {
			l.Gap(tw + lw + 1)
			if nw > 0 {
				l.Gap(nw + 1)
			}
			l.Put(t.Faint, t.Bar).Gap(1)
			return
		}
		if tw > 0 {
			layout := "15:04:05"
			switch {
			case p.beyond != nil && tw > 13:
				layout = "01-02 15:04:05"
			case tw > 9:
				layout = "15:04:05.000"
			}
			ink := t.Dim
			if r.Guessed {
				ink = t.Faint
			}
			l.Col(ink, r.Time().In(p.env.Local).Format(layout), tw-1, false).Gap(1)
		}
		letter, ink := LevelMark(t, r.Level)
		if lw > 1 {
			letter = levelWord(r.Level)
		}
		l.Col(ink, letter, lw, false).Gap(1)
		if nw > 0 {
			name := src.title
			if i := strings.LastIndexByte(name, '/'); i >= 0 && pane.Width(t, name) > nw {
				name = name[i+1:]
			}
			l.Col(t.Faint, name, nw, false).Gap(1)
		}
	}
	ink := t.Text
	if r.Level == state.LevelDebug || r.Level == state.LevelTrace {
		ink = t.Dim
	}
	if p.wrap {
		room := w - 1 - tw - lw - 1 - 2
		if nw > 0 {
			room -= nw + 1
		}
		var out []string
		for i, s := range pane.WrapText(t, p.text(r), max(4, room), max(1, min(limit, 200))) {
			l := pane.NewLine(t, w, here)
			head(l, i == 0)
			p.put(l, ink, s, 0, here)
			out = append(out, l.String())
		}
		return out
	}
	l := pane.NewLine(t, w, here)
	head(l, true)
	for _, c := range p.columns {
		v, _ := record.Get(r.Text, c)
		l.Col(t.Info, v, p.widen(c, v), false).Gap(1)
	}
	text, rest, more := strings.Cut(p.text(r), "\n")
	tail := ""
	if more {
		tail = fmt.Sprintf(" %s%d", t.Return, strings.Count(rest, "\n")+1)
	}
	if keep := pane.Width(t, tail); keep > 0 && l.Left() > keep+8 {
		l.Reserve(keep)
		p.put(l, ink, text, p.skip, here)
		l.Reserve(-keep)
		l.Put(t.Faint, tail)
	} else {
		p.put(l, ink, text, p.skip, here)
	}
	return []string{l.String()}
}

// widen returns the width of a column: of the widest value that was seen, up to a bound.
func (p *Pane) widen(column, value string) int {
	w := max(p.widths[column], pane.Width(p.env.Theme, column), min(24, pane.Width(p.env.Theme, value)))
	p.widths[column] = w
	return w
}

// fitColumns makes the columns wide enough for the h records before the cursor and
// behind it.
func (p *Pane) fitColumns(h int) {
	if len(p.columns) == 0 {
		return
	}
	for _, step := range []func(merge) (int, *state.LogRecord){merge.back, merge.forward} {
		m := p.cur.clone()
		for range h {
			_, r := step(m)
			if r == nil {
				break
			}
			for _, c := range p.columns {
				if v, ok := record.Get(r.Text, c); ok {
					p.widen(c, v)
				}
			}
		}
	}
}

// columnTitles heads the columns of fields.
func (p *Pane) columnTitles(w int) string {
	tw, lw, nw := p.margins(w)
	l := pane.NewLine(p.env.Theme, w, false).Gap(1 + tw + lw + 1)
	if nw > 0 {
		l.Gap(nw + 1)
	}
	for _, c := range p.columns {
		l.Col(p.env.Theme.Faint, c, p.widen(c, ""), false).Gap(1)
	}
	return l.String()
}

// margins returns the widths of time, level and source before a record's text.
func (p *Pane) margins(w int) (tw, lw, nw int) {
	if !p.noTimes {
		tw = 9
		switch {
		case p.beyond != nil && w >= 70: // which may go over days
			tw = 15
		case w >= 110:
			tw = 13
		}
	}
	if len(p.cur.s) > 1 && w >= 60 {
		nw = min(18, w/6)
	}
	lw = 1
	if w >= 80 {
		lw = 5
	}
	return tw, lw, nw
}

// text returns a record as it is shown: JSON as people read it, unless raw records are
// asked for or what is searched stands only in the raw one.
func (p *Pane) text(r *state.LogRecord) string {
	if p.raw {
		return r.Text
	}
	s, ok := Readable(r.Text)
	if !ok && !p.noTimes && !r.Guessed {
		s, ok = unstamped(r.Text)
	}
	if ok && p.search.text != "" && p.search.in(r.Text) && !p.search.in(s) {
		return r.Text
	}
	return s
}

// put adds text with its hits marked.
func (p *Pane) put(l *pane.Line, ink theme.Ink, s string, skip int, here bool) {
	if p.search.text == "" || !p.search.in(s) {
		l.Skipped(ink, s, skip)
		return
	}
	t := p.env.Theme
	hit := t.Match
	if here {
		hit = t.MatchHere
	}
	add := func(ink theme.Ink, s string) {
		if s == "" || l.Left() == 0 {
			return
		}
		if skip > 0 {
			if w := pane.Width(t, s); w <= skip {
				skip -= w
				return
			}
		}
		l.Skipped(ink, s, skip)
		skip = 0
	}
	for l.Left() > 0 {
		a, b := p.search.find(s)
		if a < 0 {
			break
		}
		add(ink, s[:a])
		add(hit, s[a:b])
		s = s[b:]
	}
	add(ink, s)
}

// record draws the record at the cursor in full.
func (p *Pane) record(w, h int) []string {
	e := p.env
	t := e.Theme
	k, r := p.cur.cur()
	src := &p.cur.s[k]
	d := pane.NewDoc(e, w)
	word, ink := levelWord(r.Level), t.Dim
	if r.Level != 0 {
		_, ink = LevelMark(t, r.Level)
	} else {
		word = "none that is known"
	}
	d.KV("source", t.Text, src.title)
	d.KV("time", t.Text, r.Time().In(e.Local).Format("2006-01-02 15:04:05.000 MST"))
	if r.Guessed {
		d.KV("", t.Warn, "the line has no time that can be read; this is its neighbour's or that of its arrival")
	}
	d.KV("age", t.Text, pane.FiguresOf(t).Span(max(0, e.Now().Sub(r.Time()).Truncate(time.Second))))
	d.KV("level", ink, word)
	if place := p.placeOf(k, r); place < 0 {
		d.KV("number", t.Dim, fmt.Sprintf("%d of this source", r.Seq))
	}
	d.Gap()
	d.Text(t.Text, r.Text)
	var pretty bytes.Buffer
	if s := strings.TrimSpace(r.Text); len(s) < 1<<16 && strings.HasPrefix(s, "{") && json.Indent(&pretty, []byte(s), "", "  ") == nil {
		d.Head("As JSON")
		d.Text(t.Text, pretty.String())
	}
	p.doc = d.Lines
	p.docTop = max(0, min(p.docTop, len(d.Lines)-h))
	return d.Lines[p.docTop:min(len(d.Lines), p.docTop+h)]
}
