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
		d.lines = append(d.lines, NewLine(d.env.Theme, d.w, false).Put(ink, l).String())
	}
	return d
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
