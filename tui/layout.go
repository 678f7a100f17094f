package tui

import (
	"slices"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/opsdeck/opsdeck/views/pane"
)

// region is the place of one pane, its border included.
type region struct {
	pane       int
	x, y, w, h int
	// folded regions are their headline only.
	folded bool
}

// grid returns the bands of the overview, from the top; the panes of a band stand side by
// side.
func (m *Model) grid() (bands [][]int) {
	for i, p := range m.panes {
		b := p.Info().Band
		for len(bands) < b {
			bands = append(bands, nil)
		}
		if b > 0 {
			bands[b-1] = append(bands[b-1], i)
		}
	}
	return slices.DeleteFunc(bands, func(band []int) bool { return len(band) == 0 })
}

// share returns how large a pane is beside others.
func (m *Model) share(i int) float64 {
	info := m.panes[i].Info()
	s := info.Weight
	if s == 0 {
		s = 1
	}
	if w := m.weight[info.Name]; w > 0 {
		s *= w
	}
	return s
}

// divide gives each share its part of n, none less than least if that can be.
func divide(n int, parts []float64, least int) []int {
	out := make([]int, len(parts))
	sum := 0.0
	for _, p := range parts {
		sum += p
	}
	left := n
	for i, p := range parts {
		out[i] = max(0, int(float64(n)*p/sum))
		left -= out[i]
	}
	for i := 0; left > 0; i = (i + 1) % len(out) {
		out[i]++
		left--
	}
	for i := range out {
		for out[i] < least {
			big := 0
			for j := range out {
				if out[j] > out[big] {
					big = j
				}
			}
			if big == i || out[big] <= least {
				break
			}
			out[big]--
			out[i]++
		}
	}
	return out
}

// layout places the panes in the body of w by h cells.
func (m *Model) layout(w, h int) []region {
	if w <= 0 || h <= 0 {
		return nil
	}
	wide := w >= 100 && h >= 28
	switch {
	case m.full || wide && m.pane().Info().Band == 0:
		return []region{{pane: m.focus, w: w, h: h}}
	case wide:
		return m.overview(w, h)
	case h >= len(m.listed())+7:
		return m.stacked(w, h)
	}
	return []region{{pane: m.focus, y: min(1, h), w: w, h: max(0, h-1)}}
}

func (m *Model) overview(w, h int) []region {
	var out []region
	grid := m.grid()
	tall := make([]float64, len(grid))
	for i, band := range grid {
		for _, p := range band {
			tall[i] = max(tall[i], m.share(p))
		}
	}
	y := 0
	for i, bh := range divide(h, tall, 6) {
		parts := make([]float64, len(grid[i]))
		for j, p := range grid[i] {
			parts[j] = m.share(p)
		}
		x := 0
		for j, bw := range divide(w, parts, 24) {
			out = append(out, region{pane: grid[i][j], x: x, y: y, w: bw, h: bh})
			x += bw
		}
		y += bh
	}
	return out
}

// listed returns the panes that stacks and tabs show: those that are pinned, and the
// focused one.
func (m *Model) listed() []int {
	if slices.Contains(m.pinned, m.focus) {
		return m.pinned
	}
	return append(slices.Clone(m.pinned), m.focus)
}

// stacked puts the listed panes above one another: all open where that leaves each six
// lines, else only the focused one, and the others as their headlines.
func (m *Model) stacked(w, h int) []region {
	listed := m.listed()
	n, focus := len(listed), slices.Index(listed, m.focus)
	heights := make([]int, n)
	if h >= 6*(n-1)+1 {
		parts := make([]float64, n-1)
		for i := range parts {
			parts[i] = m.share(listed[i])
			if i == focus {
				parts[i] *= 1.6
			}
		}
		room, last := h-1, 1
		if focus == n-1 {
			last = max(8, h/3)
			room = h - last
		}
		copy(heights, divide(room, parts, 5))
		heights[n-1] = last
	} else {
		for i := range heights {
			heights[i] = 1
		}
		heights[focus] = h - n + 1
	}
	out := make([]region, n)
	y := 0
	for i, bh := range heights {
		out[i] = region{pane: listed[i], y: y, w: w, h: bh, folded: bh < 3}
		y += bh
	}
	return out
}

// number returns the key that focuses a pane, "" where it is not pinned.
func (m *Model) number(pane int) string {
	if i := slices.Index(m.pinned, pane); i >= 0 {
		return strconv.Itoa(i + 1)
	}
	return ""
}

// paneKey returns the key that focuses the pane of that name, its name where it is not
// pinned.
func (m *Model) paneKey(name string) string {
	if n := m.number(m.paneNamed(name)); n != "" {
		return n
	}
	return name
}

// chrome returns the lines above and below the body.
func (m *Model) chrome() (top, bottom int) {
	if m.o.Wall || m.h < 3 {
		return 0, 0
	}
	return 1, 1
}

func (m *Model) resize(w, h int) {
	m.w, m.h = max(0, w), max(0, h)
	m.relayout()
}

func (m *Model) relayout() {
	m.dirty = true
	top, bottom := m.chrome()
	m.regions = m.layout(m.w, m.h-top-bottom)
	for i := range m.regions {
		m.regions[i].y += top
		x := m.regions[i]
		if x.folded {
			continue
		}
		pw, ph := inner(x.w, x.h)
		m.panes[x.pane].Resize(pw, ph)
	}
	for i, p := range m.panes {
		p.Focus(i == m.focus && !m.o.Wall)
	}
}

// inner returns the room inside the border, and whether there is a border at all.
func inner(w, h int) (int, int) {
	if w < 8 || h < 3 {
		return w, h
	}
	return w - 4, h - 2
}

func (m *Model) visible(pane int) bool {
	for _, x := range m.regions {
		if x.pane == pane && !x.folded {
			return true
		}
	}
	return false
}

// paneAt returns the pane at a cell of the screen, -1 for none.
func (m *Model) paneAt(x, y int) int {
	for _, b := range m.regions {
		if x >= b.x && x < b.x+b.w && y >= b.y && y < b.y+b.h {
			return b.pane
		}
	}
	return -1
}

// frame is a pane's box as last drawn, and what it was drawn from.
type frame struct {
	view, head string
	w, h       int
	focus      bool
	lines      []string
}

// headline returns a pane's number, title and summary.
func (m *Model) headline(i, w int, focused bool) string {
	t := m.env.Theme
	p := m.panes[i]
	l := pane.NewLine(t, w, false)
	title := t.Dim
	if focused {
		title = t.Accent
	}
	if n := m.number(i); n != "" {
		l.Put(title, n+" ")
	}
	if focused {
		l.Put(t.Strong, p.Info().Title)
	} else {
		l.Put(t.Text, p.Info().Title)
	}
	sep := "  "
	for _, s := range p.Summary() {
		if l.Left() < 8 {
			break
		}
		l.Put(t.Faint, sep).Put(s.Ink, s.Text)
		sep = " " + t.Dot + " "
	}
	used := w - l.Left()
	return ansi.Truncate(l.String(), used, "")
}

// drawPane draws a pane with its border.
func (m *Model) drawPane(x region) []string {
	focused := x.pane == m.focus && !m.o.Wall
	t := m.env.Theme
	ink, g := t.Border, t.Light
	if focused {
		ink, g = t.Focus, t.Heavy
	}
	if x.folded {
		head := m.headline(x.pane, max(0, x.w-6), focused)
		n := ansi.StringWidth(head)
		rule := max(0, x.w-n-4)
		line := ink.Render(t.Rule) + " " + head + " " + ink.Render(strings.Repeat(t.Rule, rule)) + " "
		return []string{pad(line, x.w)}
	}
	view := m.panes[x.pane].View()
	if x.w < 8 || x.h < 3 {
		return strings.Split(view, "\n")
	}
	head := m.headline(x.pane, x.w-6, focused)
	f := &m.frames[x.pane]
	if f.lines != nil && f.view == view && f.head == head && f.w == x.w && f.h == x.h && f.focus == focused {
		return f.lines
	}
	*f = frame{view: view, head: head, w: x.w, h: x.h, focus: focused}
	n := ansi.StringWidth(head)
	lines := make([]string, 0, x.h)
	lines = append(lines, ink.Render(g.TL+g.T)+" "+head+" "+ink.Render(strings.Repeat(g.T, max(0, x.w-n-5))+g.TR))
	left, right := ink.Render(g.L)+" ", " "+ink.Render(g.R)
	for _, s := range strings.Split(view, "\n") {
		lines = append(lines, left+s+right)
	}
	lines = append(lines, ink.Render(g.BL+strings.Repeat(g.B, x.w-2)+g.BR))
	f.lines = lines
	return lines
}

// pad brings a line made of our own text to exactly w cells.
func pad(s string, w int) string {
	n := ansi.StringWidth(s)
	if n > w {
		return ansi.Truncate(s, w, "")
	}
	return s + strings.Repeat(" ", w-n)
}

// draw draws the whole screen: exactly h lines of w cells.
func (m *Model) draw() string {
	if m.w <= 0 || m.h <= 0 {
		return ""
	}
	lines := make([]string, m.h)
	top, bottom := m.chrome()
	if top > 0 {
		lines[0] = m.header()
	}
	blank := strings.Repeat(" ", m.w)
	for i := top; i < m.h-bottom; i++ {
		lines[i] = ""
	}
	if len(m.regions) == 1 && m.regions[0].y > top { // tabs
		lines[top] = m.tabs()
	}
	for _, x := range m.regions {
		for i, s := range m.drawPane(x) {
			if y := x.y + i; y < m.h-bottom {
				lines[y] += s
			}
		}
	}
	for i := top; i < m.h-bottom; i++ {
		if lines[i] == "" {
			lines[i] = blank
		}
	}
	if bottom > 0 {
		foot := m.footer()
		foot = foot[:min(len(foot), m.h-top)]
		copy(lines[m.h-len(foot):], foot)
	}
	for _, o := range m.stack {
		lines = m.lay(lines, o.draw(m, max(4, min(m.w-4, o.width())), max(3, m.h-4)))
	}
	return strings.Join(lines, "\n")
}

// tabs returns one line of all panes, for screens too low for a stack.
func (m *Model) tabs() string {
	t := m.env.Theme
	l := pane.NewLine(t, m.w, false)
	for _, i := range m.listed() {
		s := strings.TrimSpace(m.number(i) + " " + m.panes[i].Info().Title)
		if i == m.focus {
			l.Put(t.Accent, "["+s+"]")
		} else {
			l.Put(t.Dim, " "+s+" ")
		}
	}
	return l.String()
}

// lay puts a box over the middle of the screen.
func (m *Model) lay(lines, over []string) []string {
	if len(over) == 0 {
		return lines
	}
	w := ansi.StringWidth(over[0])
	x, y := max(0, (m.w-w)/2), max(0, (m.h-len(over))/2)
	for i, s := range over {
		if y+i >= len(lines) {
			break
		}
		base := lines[y+i]
		left, right := pad(ansi.Truncate(base, x, ""), x), ""
		if x+w < m.w {
			right = ansi.TruncateLeft(base, x+w, "")
			if d := m.w - x - w - ansi.StringWidth(right); d > 0 {
				right = strings.Repeat(" ", d) + right
			}
		}
		lines[y+i] = pad(left+s+right, m.w)
	}
	return lines
}
