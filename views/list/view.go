package list

import (
	"fmt"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/pane"
)

// View implements Pane.
func (l *List[T]) View() string {
	if l.dirty {
		l.view = l.draw()
		l.dirty = false
	}
	return l.view
}

// Summary implements Pane.
func (l *List[T]) Summary() []pane.Span {
	if l.snap == nil {
		return []pane.Span{pane.HealthWord(l.env, state.Health{Status: state.Connecting})}
	}
	h := l.spec.Health(l.snap)
	var out []pane.Span
	if w := pane.HealthWord(l.env, h); w.Text != "" {
		out = append(out, w)
	}
	t := l.env.Theme
	if l.waiting > 0 {
		out = append(out, pane.Span{Ink: t.Warn, Text: fmt.Sprintf("+%d wait", l.waiting)})
	}
	if len(l.marks) > 0 {
		out = append(out, pane.Span{Ink: t.Accent, Text: fmt.Sprintf("%d marked", len(l.marks))})
	}
	if l.filter != "" {
		out = append(out, pane.Span{Ink: t.Accent, Text: "filter " + l.filter})
	}
	if h.Known() {
		out = append(out, l.spec.Summary(l.env, l.snap)...)
	}
	return out
}

// sideSize returns the room that the detail gets beside the list: positive is a width
// to the right, negative a height below, 0 none.
func (l *List[T]) sideSize() int {
	switch {
	case !l.beside || len(l.spec.Tabs) == 0:
		return 0
	case l.w >= 96:
		return l.w * 45 / 100
	case l.h >= 14:
		return -(l.h / 2)
	}
	return 0
}

func (l *List[T]) draw() string {
	if l.w <= 0 || l.h <= 0 {
		return pane.Block(nil, l.w, l.h)
	}
	if l.open && l.Selected() == nil {
		l.open = false
	}
	if l.open {
		return pane.Block(l.detail(l.w, l.h), l.w, l.h)
	}
	side := l.sideSize()
	switch {
	case side > 0 && l.Selected() != nil:
		lw := l.w - side - 3
		left, right := l.list(lw, l.h), l.detail(side, l.h)
		bar := " " + l.env.Theme.Border.Render(l.env.Theme.Bar) + " "
		for i := range l.h {
			a, b := strings.Repeat(" ", lw), strings.Repeat(" ", side)
			if i < len(left) {
				a = left[i]
			}
			if i < len(right) {
				b = right[i]
			}
			if i < len(left) {
				left[i] = a + bar + b
			} else {
				left = append(left, a+bar+b)
			}
		}
		return pane.Block(left, l.w, l.h)
	case side < 0 && l.Selected() != nil:
		n := -side
		top := l.list(l.w, l.h-n-1)
		for len(top) < l.h-n-1 {
			top = append(top, strings.Repeat(" ", l.w))
		}
		rule := l.env.Theme.Border.Render(strings.Repeat(l.env.Theme.Rule, l.w))
		return pane.Block(append(append(top[:l.h-n-1], rule), l.detail(l.w, n)...), l.w, l.h)
	}
	return pane.Block(l.list(l.w, l.h), l.w, l.h)
}

// list draws the rows.
func (l *List[T]) list(w, h int) []string {
	e, t := l.env, l.env.Theme
	if l.snap == nil {
		return pane.Notice(e, state.Health{Status: state.Connecting}, l.spec.Info.Title, w)
	}
	health := l.spec.Health(l.snap)
	out := pane.StaleNotice(e, health, w, h)
	if l.spec.Head != nil {
		out = append(out, l.spec.Head(e, l.snap, w, h)...)
	}
	if n := pane.Notice(e, health, l.spec.Info.Title, w); n != nil && len(l.rows) == 0 {
		return append(out, n...)
	}
	if l.wrong != nil {
		out = append(out, pane.NewLine(t, w, false).Put(t.Bad, t.Wrong+" filter "+l.wrong.Error()).String())
	}
	if len(l.rows) == 0 {
		d := pane.NewDoc(e, w)
		if l.filter != "" {
			d.Text(t.Dim, "no row matches "+l.filter+" "+t.Dot+" esc shows all")
		} else {
			d.Text(t.Dim, l.spec.Empty(l.snap))
		}
		return append(out, d.Lines...)
	}
	cols, widths := l.columns(w - 2)
	if h-len(out) > 2 {
		out = append(out, l.titles(cols, widths, w))
	}
	l.room = max(1, h-len(out))
	paged := l.room >= 5 && len(l.rows) > l.room
	if paged {
		l.room--
	}
	l.scroll()
	stale := health.Status != state.OK
	for i := l.top; i < min(len(l.rows), l.top+l.room) && len(out) < h; i++ {
		r := &l.rows[i]
		sel := i == l.at && l.focused
		line := pane.NewLine(t, w, sel)
		switch {
		case l.isMarked(r):
			line.Put(t.Accent, t.Mark)
		case sel:
			line.Put(t.Accent, t.Cursor)
		default:
			line.Gap(1)
		}
		line.Gap(1)
		for n, c := range cols {
			if n > 0 {
				line.Gap(2)
			}
			s, ink := l.cell(c, r)
			if stale || l.spec.Stale != nil && l.spec.Stale(l.snap, r.row) {
				ink = t.Faint
			}
			line.Col(ink, s, widths[n], l.spec.Cols[c].Right)
		}
		out = append(out, line.String())
	}
	if paged {
		from, to := l.top+1, min(len(l.rows), l.top+l.room)
		more := pane.NewLine(t, w, false).Gap(2).Put(t.Faint, fmt.Sprintf("%d to %d of %d", from, to, len(l.rows)))
		if to < len(l.rows) {
			more.Put(t.Faint, " "+t.Down)
		}
		out = append(out, more.String())
	}
	return out
}

// cell returns what a line shows in a column.
func (l *List[T]) cell(c int, r *entry[T]) (string, theme.Ink) {
	e, col := l.env, &l.spec.Cols[c]
	var s string
	var ink theme.Ink
	ok := false
	if r.group != "" {
		s, ink, ok = l.spec.Fold.Cell(e, col.Title, r.row, r.members)
	}
	if !ok {
		s, ink = col.Cell(e, r.row)
	}
	if !col.Tree || l.spec.Fold == nil || l.flat {
		return s, ink
	}
	mark := ""
	switch {
	case r.group == "":
	case l.shut()[r.group]:
		mark = e.Theme.Shut + " "
	default:
		mark = e.Theme.Open + " "
	}
	return strings.Repeat("  ", r.depth) + mark + s, ink
}

func (l *List[T]) titles(cols, widths []int, w int) string {
	t := l.env.Theme
	line := pane.NewLine(t, w, false).Gap(2)
	for n, c := range cols {
		if n > 0 {
			line.Gap(2)
		}
		title, ink := l.spec.Cols[c].Title, t.Faint
		if c == l.sort {
			ink = t.Dim
			arrow := t.Down
			if l.reverse {
				arrow = t.Up
			}
			if pane.Width(t, title) < widths[n] {
				title += arrow
			}
		}
		line.Col(ink, title, widths[n], l.spec.Cols[c].Right)
	}
	return line.String()
}

// columns chooses those that fit into w, and their widths.
func (l *List[T]) columns(w int) (cols, widths []int) {
	use := make([]bool, len(l.spec.Cols))
	left := w
	for rank := 0; rank < 10; rank++ {
		full := false
		for i := range l.spec.Cols {
			c := &l.spec.Cols[i]
			if c.Rank != rank || !l.wants(c) {
				continue
			}
			need := c.W + 2
			if rank > 0 && need > left+2 {
				full = true
				break
			}
			use[i] = true
			left -= need
		}
		if full {
			break
		}
	}
	left += 2
	flex := 0
	for i, c := range l.spec.Cols {
		if use[i] {
			cols, widths = append(cols, i), append(widths, c.W)
			flex += c.Flex
		}
	}
	if left > 0 && flex > 0 {
		share := left
		for n, i := range cols {
			add := share * l.spec.Cols[i].Flex / flex
			widths[n] += add
			left -= add
		}
	}
	if left < 0 { // too narrow even for what must be there: the first gives way
		for n := range widths {
			take := min(-left, max(0, widths[n]-4))
			widths[n] -= take
			left += take
			if left >= 0 {
				break
			}
		}
	}
	return cols, widths
}

// detail draws the selected row's detail with its tabs.
func (l *List[T]) detail(w, h int) []string {
	t := l.env.Theme
	r := l.Selected()
	if r == nil || len(l.spec.Tabs) == 0 || h <= 0 {
		return nil
	}
	en := l.entry()
	l.tab = min(l.tab, len(l.spec.Tabs)-1)
	out := []string{l.tabs(w, en)}
	key := fmt.Sprint(en.id, l.tab, w, l.version, l.find)
	if key != l.docKey {
		d := pane.NewDoc(l.env, w)
		if en.group != "" {
			l.spec.Fold.Draw(d, l.snap, r, en.members)
		} else {
			d.Find, d.Rows = l.find, h-1
			l.spec.Tabs[l.tab].Draw(d, l.snap, r)
		}
		if len(d.Lines) == 0 {
			d.Text(t.Dim, "nothing here")
		}
		l.doc, l.hits, l.docKey = d.Lines, d.Hits, key
	}
	room := h - 1
	l.docTop = max(0, min(l.docTop, len(l.doc)-room))
	out = append(out, l.doc[l.docTop:min(len(l.doc), l.docTop+max(0, room))]...)
	if below := len(l.doc) - l.docTop - room; below > 0 && room > 3 && l.open {
		out[len(out)-1] = pane.NewLine(t, w, false).Put(t.Faint, fmt.Sprintf("%s %d more lines", t.Down, below+1)).String()
	}
	return out
}

// tabs draws the name and the tabs, the one in sight whatever the width.
func (l *List[T]) tabs(w int, e *entry[T]) string {
	t := l.env.Theme
	line := pane.NewLine(t, w, false)
	switch {
	case e.group != "":
		return line.Put(t.Strong, l.spec.Fold.Name(e.row)).String()
	case l.spec.Name != nil:
		line.Put(t.Strong, l.spec.Name(e.row))
	default:
		line.Put(t.Strong, l.spec.Target(e.row))
	}
	line.Gap(2)
	room, first := line.Left(), 0
	for width := 0; ; first++ {
		width = 0
		for i := first; i <= l.tab; i++ {
			width += len(l.spec.Tabs[i].Title) + 2
		}
		if l.tab+1 < len(l.spec.Tabs) {
			width += 2
		}
		if width+2 <= room || first == l.tab {
			break
		}
	}
	if first > 0 {
		line.Put(t.Faint, t.Ellipsis)
	}
	for i := first; i < len(l.spec.Tabs); i++ {
		if tab := l.spec.Tabs[i]; i == l.tab {
			line.Put(t.Accent, "["+tab.Title+"]")
		} else {
			line.Put(t.Dim, " "+tab.Title+" ")
		}
	}
	return line.String()
}
