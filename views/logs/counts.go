package logs

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/pane"
)

// counted is one line of the table of what the stream holds: a pattern, or a value of
// a field.
type counted struct {
	text, filter string
	n            int
	level        state.Level
	first, last  int64
	fresh        bool // never seen before the last change
}

// counts is that table. It is made outside of the loop, of records that nobody
// changes.
type counts struct {
	by      string // the field; "" for patterns
	gen     int
	at      time.Time
	since   time.Time // of the last change; zero where nothing can be told to be new
	rows    []counted
	records int
	left    int // records that have no such field, or patterns that are not kept
	busy    bool
	sel     int
	top     int
}

// mostCounted bounds the rows of the table.
const mostCounted = 1000

// countBy makes the table anew.
func (p *Pane) countBy(field string) tea.Cmd {
	gen := 1
	if p.counts != nil {
		gen = p.counts.gen + 1
	}
	p.counts = &counts{by: field, gen: gen, busy: true}
	streams, since, now := p.cur.s, p.lastChange(), p.env.Now()
	return func() tea.Msg {
		c := counts{by: field, gen: gen, at: now}
		oldest := int64(0)
		for _, s := range streams {
			c.records += len(s.recs)
			if len(s.recs) > 0 && (oldest == 0 || s.recs[0].Nanos < oldest) {
				oldest = s.recs[0].Nanos
			}
		}
		if oldest > 0 && oldest < since.UnixNano() {
			c.since = since
		}
		if field == "" {
			c.patterns(streams)
		} else {
			c.values(streams)
		}
		return c
	}
}

func (c *counts) patterns(streams []stream) {
	ps := record.NewPatterns(mostCounted)
	for _, s := range streams {
		for i := range s.recs {
			ps.Add(s.recs[i])
		}
	}
	_, lost := ps.Dropped()
	c.left = int(lost)
	for _, x := range ps.List() {
		c.rows = append(c.rows, counted{text: x.Template, filter: templateFilter(x.Template), n: int(x.Count), level: x.Level, first: x.First, last: x.Last,
			fresh: !c.since.IsZero() && x.First >= c.since.UnixNano()})
	}
}

func (c *counts) values(streams []stream) {
	byValue := map[string]*counted{}
	for _, s := range streams {
		for i := range s.recs {
			r := &s.recs[i]
			v, ok := record.Get(r.Text, c.by)
			x := byValue[v]
			if !ok || x == nil && len(byValue) == 100*mostCounted {
				c.left++
				continue
			}
			if x == nil {
				x = &counted{text: v, filter: c.by + "=" + strconv.Quote(v), first: r.Nanos}
				byValue[strings.Clone(v)] = x
			}
			x.n++
			x.level, x.first, x.last = max(x.level, r.Level), min(x.first, r.Nanos), max(x.last, r.Nanos)
		}
	}
	for _, x := range byValue {
		x.fresh = !c.since.IsZero() && x.first >= c.since.UnixNano()
		c.rows = append(c.rows, *x)
	}
	slices.SortFunc(c.rows, func(a, b counted) int { return cmp.Or(cmp.Compare(b.n, a.n), strings.Compare(a.text, b.text)) })
	c.rows = c.rows[:min(len(c.rows), mostCounted)]
}

var masks = regexp.MustCompile(`<[a-z*]+>|\s+`)

// templateFilter returns a filter that the instances of a pattern pass.
func templateFilter(template string) string {
	var b strings.Builder
	at := 0
	for _, m := range masks.FindAllStringIndex(template, -1) {
		b.WriteString(regexp.QuoteMeta(template[at:m[0]]))
		if template[m[0]] == '<' {
			b.WriteString(`.*?`)
		} else {
			b.WriteString(`\s+`)
		}
		at = m[1]
	}
	b.WriteString(regexp.QuoteMeta(template[at:]))
	return "/" + strings.ReplaceAll(b.String(), "/", `\/`) + "/"
}

// lastChange returns when something was last changed by an action.
func (p *Pane) lastChange() (at time.Time) {
	if p.snap == nil {
		return
	}
	for _, e := range p.snap.Journal.Entries {
		if e.Phase == state.PhaseEnd && e.At.After(at) {
			if spec := state.SpecOf(e.Kind); spec != nil && !spec.Looks {
				at = e.At
			}
		}
	}
	return at
}

// updateCounts carries out a command while the table is shown.
func (p *Pane) updateCounts(cmd pane.Command) (bool, tea.Cmd) {
	c := p.counts
	page := max(1, p.h-3)
	switch cmd {
	case pane.Up:
		c.sel--
	case pane.Down:
		c.sel++
	case pane.PageUp, pane.HalfUp:
		c.sel -= page
	case pane.PageDown, pane.HalfDown:
		c.sel += page
	case pane.Top:
		c.sel = 0
	case pane.Bottom:
		c.sel = len(c.rows) - 1
	case pane.Follow:
		return true, p.countBy(c.by)
	case pane.Open:
		if c.sel < len(c.rows) {
			cmd, err := p.keep(c.rows[c.sel].filter)
			if err != nil {
				return true, pane.Send(pane.NoticeMsg{Text: "cannot keep these lines: " + err.Error()})
			}
			p.counts = nil
			return true, cmd
		}
	case pane.CopyRow:
		if c.sel < len(c.rows) {
			return true, pane.Send(pane.CopyMsg{Text: c.rows[c.sel].text, What: "the pattern"})
		}
	case pane.Back:
		p.counts = nil
	default:
		return false, nil
	}
	if p.counts != nil {
		c.sel = max(0, min(c.sel, len(c.rows)-1))
	}
	return true, nil
}

// drawCounts draws the table.
func (p *Pane) drawCounts(w, h int) []string {
	t, f, c := p.env.Theme, pane.FiguresOf(p.env.Theme), p.counts
	head := "patterns of"
	if c.by != "" {
		head = "values of " + c.by + " in"
	}
	if c.busy {
		return []string{pane.NewLine(t, w, false).Put(t.Dim, t.Wait+" counting "+head+" what passes").String()}
	}
	out := []string{}
	line := pane.NewLine(t, w, false).Put(t.Dim, fmt.Sprintf("%s %s %s, at %s", f.Count(float64(len(c.rows))), head, state.Plural(c.records, "record"), c.at.In(p.env.Local).Format(time.TimeOnly)))
	if c.left > 0 {
		line.Put(t.Faint, fmt.Sprintf("; %s left out", f.Count(float64(c.left))))
	}
	if !c.since.IsZero() {
		line.Put(t.Faint, "; new: not before the last change at "+c.since.In(p.env.Local).Format(time.TimeOnly))
	}
	out = append(out, line.String())
	wide := w >= 90
	titles := pane.NewLine(t, w, false).Gap(2).Col(t.Faint, "Count", 7, true).Gap(1).Col(t.Faint, "Lvl", 3, false).Gap(1).Col(t.Faint, "New", 3, false).Gap(1)
	if wide {
		titles.Col(t.Faint, "First", 8, false).Gap(1).Col(t.Faint, "Last", 8, false).Gap(1)
	}
	word := "Pattern"
	if c.by != "" {
		word = c.by
	}
	out = append(out, titles.Put(t.Faint, word).String())
	room := max(1, h-len(out))
	c.top = max(0, min(c.top, len(c.rows)-room))
	c.top = max(min(c.top, c.sel), c.sel-room+1)
	for i := c.top; i < len(c.rows) && len(out) < h; i++ {
		x := &c.rows[i]
		here := i == c.sel && p.focused
		l := pane.NewLine(t, w, here)
		mark := " "
		if here {
			mark = t.Cursor
		}
		letter, ink := LevelMark(t, x.level)
		fresh := ""
		if x.fresh {
			fresh = "new"
		}
		l.Put(t.Accent, mark).Gap(1).Col(t.Text, f.Count(float64(x.n)), 7, true).Gap(1).Col(ink, letter, 3, false).Gap(1).Col(t.Accent, fresh, 3, false).Gap(1)
		if wide {
			clock := func(ns int64) string { return time.Unix(0, ns).In(p.env.Local).Format(time.TimeOnly) }
			l.Col(t.Dim, clock(x.first), 8, false).Gap(1).Col(t.Dim, clock(x.last), 8, false).Gap(1)
		}
		text, _, _ := strings.Cut(x.text, "\n")
		l.Skipped(t.Text, text, 0)
		out = append(out, l.String())
	}
	return out
}
