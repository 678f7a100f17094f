package logs

import (
	"fmt"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/pane"
)

// Target implements Pane.
func (p *Pane) Target() pane.Target {
	var t pane.Target
	if p.snap == nil {
		return t
	}
	view := p.tally()
	if p.beyond != nil {
		view = p.beyond.view
	}
	if view != (state.LogView{}) {
		t.Looks = state.Interests{view.Interest()}
	}
	name := func(s *state.LogSource) string {
		if s.Path != "" {
			return s.Path
		}
		return s.Title
	}
	for i := range p.snap.Logs.Sources {
		s := &p.snap.Logs.Sources[i]
		if p.marks[s.ID] {
			t.IDs = append(t.IDs, name(s))
			t.Marked = true
		}
		if s.Kind != "file" && (p.marks[s.ID] || p.solo == s.ID || p.inSources && p.srcSel == s.ID) {
			t.Looks = t.Looks.Add(state.LookLog, s.ID)
		}
	}
	if t.Marked {
		return t
	}
	id := p.srcSel
	if !p.inSources && !p.following {
		if k, r := p.cur.cur(); r != nil {
			id = p.cur.s[k].id
		}
	} else if !p.inSources && p.solo != "" {
		id = p.solo
	}
	if !p.inSources && p.following && p.solo == "" && len(p.snap.Logs.Sources) > 1 {
		return t // no line and no source is chosen: it must not be whichever is first
	}
	if s := p.snap.Logs.Source(id); s != nil {
		t.IDs = []string{name(s)}
	}
	return t
}

// Summary implements Pane.
func (p *Pane) Summary() []pane.Span {
	t, f := p.env.Theme, pane.FiguresOf(p.env.Theme)
	if p.snap == nil {
		return []pane.Span{pane.HealthWord(p.env, state.Health{Status: state.Connecting})}
	}
	var out []pane.Span
	if w := pane.HealthWord(p.env, p.snap.Logs.Health); w.Text != "" {
		out = append(out, w)
	}
	if !p.snap.Logs.Health.Known() {
		return out
	}
	rate, lost, bad := 0.0, int64(0), 0
	for i := range p.snap.Logs.Sources {
		s := &p.snap.Logs.Sources[i]
		rate += max(0, s.Rate)
		lost += s.LostBytes
		if s.Err != "" {
			bad++
		}
	}
	if p.said != "" {
		out = append(out, pane.Span{Ink: t.Warn, Text: p.said})
	}
	if p.beyond != nil {
		return append(append(out, p.beyondSummary()...), p.filterSummary()...)
	}
	switch {
	case !p.instant.IsZero():
		out = append(out, pane.Span{Ink: t.Warn, Text: "up to " + p.instant.In(p.env.Local).Format(time.TimeOnly)})
	case p.following:
		out = append(out, pane.Span{Ink: t.Dim, Text: "following"})
	default:
		s := "paused"
		if n := p.fresh(); n > 0 {
			s += fmt.Sprintf(", %s new below", f.Count(float64(n)))
		}
		out = append(out, pane.Span{Ink: t.Warn, Text: s})
	}
	switch {
	case p.solo != "":
		if s := p.snap.Logs.Source(p.solo); s != nil {
			out = append(out, pane.Span{Ink: t.Accent, Text: "only " + s.Title})
		}
	case len(p.marks) > 0:
		out = append(out, pane.Span{Ink: t.Accent, Text: fmt.Sprintf("%d of %d sources", len(p.marks), len(p.snap.Logs.Sources))})
	default:
		out = append(out, pane.Span{Ink: t.Dim, Text: state.Plural(len(p.snap.Logs.Sources), "source")})
	}
	out = append(out, pane.Span{Ink: t.Dim, Text: strings.TrimSuffix(f.PerSecond(rate), "/s") + " lines/s"})
	if bad > 0 {
		out = append(out, pane.Span{Ink: t.Bad, Text: fmt.Sprintf("%s %d unreadable", t.Wrong, bad)})
	}
	if lost > 0 {
		out = append(out, pane.Span{Ink: t.Warn, Text: t.Caution + " " + f.Bytes(float64(lost)) + " lost"})
	}
	if p.filtering {
		out = append(out, pane.Span{Ink: t.Dim, Text: t.Wait + " filtering"})
	}
	out = append(out, p.filterSummary()...)
	all := p.whole()
	if p.search.text != "" {
		n := "counting"
		if p.hits >= 0 {
			n = f.Count(float64(p.hits))
			if all != nil {
				n += " in the tail"
			}
		}
		out = append(out, pane.Span{Ink: t.Accent, Text: "/" + p.search.text + ": " + n})
	}
	if all != nil {
		out = append(out, p.wholeSummary(all, " in the whole file")...)
	}
	return out
}

// filterSummary names the filters that are in force.
func (p *Pane) filterSummary() (out []pane.Span) {
	t := p.env.Theme
	switch p.filters.min {
	case state.LevelWarn:
		out = append(out, pane.Span{Ink: t.Accent, Text: "warnings and errors"})
	case state.LevelError:
		out = append(out, pane.Span{Ink: t.Accent, Text: "errors only"})
	}
	for _, s := range p.filters.terms {
		out = append(out, pane.Span{Ink: t.Accent, Text: s.String()})
	}
	return out
}

// LevelMark returns a level's letter and its ink.
func LevelMark(t *theme.Theme, l state.Level) (string, theme.Ink) {
	switch l {
	case state.LevelFatal:
		return "F", t.Badge
	case state.LevelError:
		return "E", t.Bad
	case state.LevelWarn:
		return "W", t.Warn
	case state.LevelInfo:
		return "I", t.Info
	case state.LevelDebug:
		return "D", t.Dim
	case state.LevelTrace:
		return "T", t.Dim
	}
	return " ", t.Dim
}

func levelWord(l state.Level) string { return strings.ToUpper(l.String()) }
