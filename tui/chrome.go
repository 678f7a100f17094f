package tui

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views"
	"github.com/opsdeck/opsdeck/views/pane"
)

// Spans of a line that has something at both its ends.
func (m *Model) ends(left, right []pane.Span) string {
	t := m.env.Theme
	rw := 0
	for _, s := range right {
		rw += pane.Width(t, s.Text)
	}
	if rw > m.w*2/3 && rw > 24 { // too narrow: the right gives way from its left
		for len(right) > 1 && rw > m.w/2 {
			rw -= pane.Width(t, right[0].Text)
			right = right[1:]
		}
	}
	l := pane.NewLine(t, max(0, m.w-rw-2), false)
	for _, s := range left {
		l.Put(s.Ink, s.Text)
	}
	r := pane.NewLine(t, m.w-max(0, m.w-rw-2), false)
	r.Gap(min(2, max(0, m.w-rw)))
	for _, s := range right {
		r.Put(s.Ink, s.Text)
	}
	return l.String() + r.String()
}

// header says where this is, who is here, what fires, and when it is.
func (m *Model) header() string {
	t := m.env.Theme
	var left, right []pane.Span
	put := func(ink theme.Ink, s string) { left = append(left, pane.Span{Ink: ink, Text: s}) }
	put(t.Accent, " opsdeck ")
	s := m.shown
	if s == nil {
		put(t.Dim, " connecting"+t.Ellipsis)
	} else {
		where := s.Workspace.Title
		if where == "" {
			where = "workspace"
		}
		if s.Workspace.Hostname != "" {
			where += "@" + s.Workspace.Hostname
		}
		put(t.Strong, " "+where)
		left = append(left, m.control(s)...)
	}
	if !m.past.live() {
		left = []pane.Span{left[0], {Ink: t.Banner, Text: fmt.Sprintf(" PAST %s, %s ago ", m.now().In(m.o.Local).Format(time.TimeOnly), m.o.Clock().Sub(m.now()).Truncate(time.Second))},
			{Ink: t.Dim, Text: fmt.Sprintf("  %s older  %s newer  esc now", m.keys.of(cmdOlder), m.keys.of(cmdNewer))}}
	}
	if s != nil && len(s.Workspace.Problems) > 0 {
		put(t.Warn, fmt.Sprintf("  %s %s", t.Caution, s.Workspace.Problems[0]))
	}
	if m.lost != "" {
		left = left[:1]
		put(t.Bad, " "+t.Wrong+" the engine does not answer: "+m.lost)
	}
	if s != nil && s.Alerts.Health.Known() {
		c, w, o := views.Firing(s)
		if c > 0 {
			right = append(right, pane.Span{Ink: t.Bad, Text: fmt.Sprintf("%s %d critical  ", t.Wrong, c)})
		}
		if w > 0 {
			right = append(right, pane.Span{Ink: t.Warn, Text: fmt.Sprintf("%s %d warning  ", t.Caution, w)})
		}
		if o > 0 {
			right = append(right, pane.Span{Ink: t.Info, Text: fmt.Sprintf("%d other firing  ", o)})
		}
		if c+w+o == 0 {
			right = append(right, pane.Span{Ink: t.Dim, Text: "no alerts  "})
		}
	}
	right = append(right, pane.Span{Ink: t.Text, Text: m.o.Clock().In(m.o.Local).Format(time.TimeOnly) + " "})
	return m.ends(left, right)
}

// footer returns the prompt, or what happens, or what one can do; and at its right
// end how old the data is and what this costs. It is one line, or more while it
// says something longer that is new.
func (m *Model) footer() []string {
	t := m.env.Theme
	var right []pane.Span
	if s := m.shown; s != nil {
		h := s.HealthOf(m.pane().Info().Section)
		if h.Known() {
			ink := t.Dim
			if h.Status != state.OK {
				ink = t.Warn
			}
			right = append(right, pane.Span{Ink: ink, Text: "data " + age(m.now(), h.LastOK) + "  "})
			if h.Status == state.OK && m.pane().Info().Section == state.SectionActions {
				right = nil // it is told of each action: nothing new is not old
			}
		}
		if s.Workspace.RSSBytes > 0 {
			mem := "mem "
			if m.w < 100 {
				mem = ""
			}
			right = append(right, pane.Span{Ink: t.Dim, Text: fmt.Sprintf("cpu %.1f%%/core  ", max(0, s.Workspace.CPUPercent))},
				pane.Span{Ink: t.Dim, Text: fmt.Sprintf("%s%d MiB ", mem, s.Workspace.RSSBytes>>20)})
		}
	}
	one := func(left []pane.Span) []string { return []string{m.ends(left, right)} }
	used := 2
	for _, s := range right {
		used += pane.Width(t, s.Text)
	}
	switch {
	case m.prompt != nil:
		return []string{m.ends(m.prompt.spans(m), nil)} // it needs the room
	case m.note != "":
		return m.flow([]pane.Span{{Ink: t.Accent, Text: m.note}})
	case len(m.stack) > 0:
		return one(pairHints(t, m.stack[len(m.stack)-1].hints(), m.w-used))
	}
	if d := m.doing(); d != nil {
		return m.flow(d)
	}
	if !m.touched && m.shown != nil {
		if f := m.found(); f != nil {
			return one(f)
		}
	}
	return one(m.hints(m.w - used))
}

// mostFooter is how many lines a message may take.
const mostFooter = 6

// flow breaks a message into lines, between words: all of it while it is new,
// else its first line.
func (m *Model) flow(spans []pane.Span) []string {
	t := m.env.Theme
	most := 1
	if !m.unfolded.IsZero() {
		most = max(1, min(mostFooter, m.h/3))
	}
	var out []string
	l := pane.NewLine(t, m.w, false).Gap(1)
	empty := true
	for _, s := range spans {
		for i, word := range strings.Split(strings.ReplaceAll(s.Text, "\n", " "), " ") {
			gap := 1
			if i == 0 || empty {
				gap = 0
			}
			for l.Left() <= pane.Width(t, word)+gap && len(out) < most-1 {
				if !empty {
					out = append(out, l.String())
					l, empty, gap = pane.NewLine(t, m.w, false).Gap(1), true, 0
					continue
				}
				head := ansi.Truncate(word, l.Left()-1, "") // longer than a line
				if head == "" {
					break
				}
				out = append(out, l.Put(s.Ink, head).String())
				l = pane.NewLine(t, m.w, false).Gap(1)
				word = word[len(head):]
			}
			if word != "" {
				l.Gap(gap).Put(s.Ink, word)
				empty = false
			} else if !empty {
				l.Gap(gap)
			}
		}
	}
	return append(out, l.String())
}

// hint is a key and what it does.
type hint struct{ key, does string }

// pairHints returns as many of the hints as fit into w cells.
func pairHints(t *theme.Theme, hs []hint, w int) []pane.Span {
	out := []pane.Span{{Ink: t.Dim, Text: " "}}
	for _, h := range hs {
		if w -= pane.Width(t, h.key) + pane.Width(t, h.does) + 3; w < 0 {
			break
		}
		out = append(out, pane.Span{Ink: t.Key, Text: h.key}, pane.Span{Ink: t.Dim, Text: " " + h.does + "  "})
	}
	return out
}

func age(now, at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	d := now.Sub(at)
	switch {
	case d < 5*time.Second:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%ds old", int(d/time.Second)/5*5)
	case d < time.Hour:
		return fmt.Sprintf("%dm old", int(d/time.Minute))
	}
	return fmt.Sprintf("%dh old", int(d/time.Hour))
}

// found says what the workspace has and what it lacks.
func (m *Model) found() []pane.Span {
	t := m.env.Theme
	var yes, no []string
	for _, f := range m.shown.Workspace.Found {
		if f.Found {
			yes = append(yes, f.What)
		} else {
			no = append(no, f.What)
		}
	}
	if len(yes)+len(no) == 0 {
		return nil
	}
	out := []pane.Span{{Ink: t.Good, Text: " found " + strings.Join(yes, ", ")}}
	if len(yes) == 0 {
		out = nil
	}
	if len(no) > 0 {
		out = append(out, pane.Span{Ink: t.Warn, Text: " " + t.Dot + " not found: " + strings.Join(no, ", ")})
	}
	if why := m.shown.Workspace.ListenErr; why != "" {
		out = append(out, pane.Span{Ink: t.Warn, Text: " " + t.Dot + " " + why})
	}
	return append(out, pane.Span{Ink: t.Dim, Text: "  " + m.keys.of(cmdHelp) + " help"})
}

// hints returns the keys that work here now, as many as fit into w cells.
func (m *Model) hints(w int) []pane.Span {
	t := m.env.Theme
	out := []pane.Span{{Ink: t.Dim, Text: " "}}
	width := func(k, does string) int { return pane.Width(t, k) + pane.Width(t, does) + 3 }
	w -= 1 + width(m.keys.of(cmdPalette), "commands") + width(m.keys.of(cmdHelp), "help")
	hint := func(k, does string) {
		if n := width(k, does); k != "" && n <= w {
			w -= n
			out = append(out, pane.Span{Ink: t.Key, Text: k}, pane.Span{Ink: t.Dim, Text: " " + does + "  "})
		}
	}
	p := m.pane()
	info := p.Info()
	of := m.keys.of
	open := false
	if d, ok := p.(pane.Detailer); ok {
		_, open = d.Detail()
	}
	switch {
	case open:
		hint("esc", "back")
		hint(of(pane.TabPrev)+of(pane.TabNext), "tabs")
	case info.Stream:
		hint(of(pane.Search), "search")
		hint(of(pane.Keep), "filter")
		hint(of(pane.LevelNext), "level")
		hint(of(pane.ErrNext), "error")
		hint(of(pane.Follow), "follow")
		hint(of(pane.TabPrev), "sources")
	default:
		hint(of(pane.Open), "open")
		hint(of(cmdMenu), "actions")
	}
	if !m.o.Wall && m.shown != nil && m.past.live() {
		for _, h := range m.allowed() {
			hint(h.key, h.does)
		}
	}
	if !open && !info.Stream {
		hint(of(pane.Search), "filter")
	}
	w = 1 << 20 // there is room for these
	hint(of(cmdPalette), "commands")
	hint(of(cmdHelp), "help")
	return out
}

type allowedKey struct{ key, does string }

// allowed returns the capitals that the row allows.
func (m *Model) allowed() []allowedKey {
	var out []allowedKey
	info, t := m.pane().Info(), m.pane().Target()
	seen := map[string]bool{}
	specs := state.Specs()
	for i := range specs {
		s := &specs[i]
		if s.Key == "" || s.Hidden || s.Kind == state.ActionUndo || seen[s.Key] || !hasSection(info, s.Section) {
			continue
		}
		id := s.Global
		if id == "" {
			if len(t.IDs) == 0 {
				continue
			}
			id = t.IDs[0]
		}
		if state.Why(m.shown, s.Kind, id) == "" {
			seen[s.Key] = true
			verb, _, _ := strings.Cut(s.Verb, " ")
			out = append(out, allowedKey{m.keys.ofAct(s.Key), verb})
		}
	}
	return out
}
