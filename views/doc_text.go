package views

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/opsdeck/opsdeck/theme"
)

// docLines is the most lines that a detail has.
const docLines = 4000

// Doc builds the lines of a detail, wrapped to its width.
type Doc struct {
	env   *Env
	w     int
	lines []string
	// find is what is searched for, rows how many lines can be seen at once.
	find string // in lower case
	rows int
	hits []int // lines where find was found
}

func newDoc(e *Env, w int) *Doc { return &Doc{env: e, w: w} }

// Gap adds an empty line.
func (d *Doc) Gap() *Doc {
	if len(d.lines) > 0 {
		d.lines = append(d.lines, strings.Repeat(" ", max(0, d.w)))
	}
	return d
}

// Head adds a heading, with an empty line before it.
func (d *Doc) Head(s string) *Doc {
	d.Gap()
	d.lines = append(d.lines, NewLine(d.env.Theme, d.w, false).Put(d.env.Theme.Strong, s).String())
	return d
}

// KV adds a label and its value, which may take several lines. An empty value is
// left out.
func (d *Doc) KV(label string, ink theme.Ink, value string) *Doc {
	if value == "" {
		return d
	}
	t := d.env.Theme
	const lw = 14
	vw := d.w - lw
	if vw < 8 {
		return d.Text(ink, label+": "+value)
	}
	for i, s := range wrap(t, value, vw, 40) {
		l := NewLine(t, d.w, false)
		if i == 0 {
			l.Col(t.Dim, label, lw-1, false).Gap(1)
		} else {
			l.Gap(lw)
		}
		d.lines = append(d.lines, l.Put(ink, s).String())
	}
	return d
}

// Text adds wrapped text.
func (d *Doc) Text(ink theme.Ink, s string) *Doc {
	for _, l := range wrap(d.env.Theme, s, d.w, docLines-len(d.lines)) {
		d.lines = append(d.lines, d.marked(NewLine(d.env.Theme, d.w, false), ink, l))
	}
	return d
}

// Pair adds a name and its value, which may take several lines.
func (d *Doc) Pair(nameInk theme.Ink, name string, ink theme.Ink, value string) *Doc {
	t := d.env.Theme
	name += "="
	for i, l := range wrap(t, name+value, d.w, 40) {
		line := NewLine(t, d.w, false)
		if i == 0 && d.find == "" && strings.HasPrefix(l, name) {
			line.Put(nameInk, name)
			l = l[len(name):]
		}
		d.lines = append(d.lines, d.marked(line, ink, l))
	}
	return d
}

// marked puts s on a line, what is searched for marked, and notes a hit. What
// stands on two lines is not found.
func (d *Doc) marked(line *Line, ink theme.Ink, s string) string {
	if d.find == "" {
		return line.Put(ink, s).String()
	}
	low := strings.ToLower(s)
	if len(low) != len(s) { // lower case of another length: the places would not fit
		low = s
	}
	hit := false
	for {
		i := strings.Index(low, d.find)
		if i < 0 {
			break
		}
		hit = true
		n := i + len(d.find)
		line.Put(ink, s[:i]).Put(d.env.Theme.Match, s[i:n])
		s, low = s[n:], low[n:]
	}
	if hit {
		d.hits = append(d.hits, len(d.lines))
	}
	return line.Put(ink, s).String()
}

// Line adds a line made with NewLine.
func (d *Doc) Line(l *Line) *Doc {
	d.lines = append(d.lines, l.String())
	return d
}

// plainText is the lines without their inks.
func plainText(lines []string) string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = strings.TrimRight(ansi.Strip(l), " ")
	}
	return strings.Join(out, "\n")
}
