package pane

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/opsdeck/opsdeck/theme"
)

// MaxDocLines is the most lines that a detail has.
const MaxDocLines = 4000

// Doc builds the lines of a detail, wrapped to its width.
type Doc struct {
	Env   *Env
	Width int // in cells
	Lines []string
	// Find is searched for, in lower case; Hits are the lines where it was found.
	Find string
	Hits []int
	// Rows is how many lines can be seen at once, 0 where that is not known.
	Rows int
}

// NewDoc returns an empty detail of w cells.
func NewDoc(e *Env, w int) *Doc { return &Doc{Env: e, Width: w} }

// Gap adds an empty line.
func (d *Doc) Gap() *Doc {
	if len(d.Lines) > 0 {
		d.Lines = append(d.Lines, strings.Repeat(" ", max(0, d.Width)))
	}
	return d
}

// Head adds a heading, with an empty line before it.
func (d *Doc) Head(s string) *Doc {
	d.Gap()
	d.Lines = append(d.Lines, NewLine(d.Env.Theme, d.Width, false).Put(d.Env.Theme.Strong, s).String())
	return d
}

// KV adds a label and its value, which may take several lines. An empty value is
// left out.
func (d *Doc) KV(label string, ink theme.Ink, value string) *Doc {
	if value == "" {
		return d
	}
	t := d.Env.Theme
	const lw = 14
	vw := d.Width - lw
	if vw < 8 {
		return d.Text(ink, label+": "+value)
	}
	for i, s := range WrapText(t, value, vw, 40) {
		l := NewLine(t, d.Width, false)
		if i == 0 {
			l.Col(t.Dim, label, lw-1, false).Gap(1)
		} else {
			l.Gap(lw)
		}
		d.Lines = append(d.Lines, l.Put(ink, s).String())
	}
	return d
}

// Text adds wrapped text.
func (d *Doc) Text(ink theme.Ink, s string) *Doc {
	for _, l := range WrapText(d.Env.Theme, s, d.Width, MaxDocLines-len(d.Lines)) {
		d.Lines = append(d.Lines, d.marked(NewLine(d.Env.Theme, d.Width, false), ink, l))
	}
	return d
}

// Pair adds a name and its value, which may take several lines.
func (d *Doc) Pair(nameInk theme.Ink, name string, ink theme.Ink, value string) *Doc {
	t := d.Env.Theme
	name += "="
	for i, l := range WrapText(t, name+value, d.Width, 40) {
		line := NewLine(t, d.Width, false)
		if i == 0 && d.Find == "" && strings.HasPrefix(l, name) {
			line.Put(nameInk, name)
			l = l[len(name):]
		}
		d.Lines = append(d.Lines, d.marked(line, ink, l))
	}
	return d
}

// marked puts s on a line, what is searched for marked, and notes a hit. What
// stands on two lines is not found.
func (d *Doc) marked(line *Line, ink theme.Ink, s string) string {
	if d.Find == "" {
		return line.Put(ink, s).String()
	}
	low := strings.ToLower(s)
	if len(low) != len(s) { // lower case of another length: the places would not fit
		low = s
	}
	hit := false
	for {
		i := strings.Index(low, d.Find)
		if i < 0 {
			break
		}
		hit = true
		n := i + len(d.Find)
		line.Put(ink, s[:i]).Put(d.Env.Theme.Match, s[i:n])
		s, low = s[n:], low[n:]
	}
	if hit {
		d.Hits = append(d.Hits, len(d.Lines))
	}
	return line.Put(ink, s).String()
}

// Line adds a line made with NewLine.
func (d *Doc) Line(l *Line) *Doc {
	d.Lines = append(d.Lines, l.String())
	return d
}

// PlainText returns the lines without their inks.
func PlainText(lines []string) string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = strings.TrimRight(ansi.Strip(l), " ")
	}
	return strings.Join(out, "\n")
}
