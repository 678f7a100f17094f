package tui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/pane"
)

// keysEvery is how often others are told that keys are pressed here.
const keysEvery = 10 * time.Second

// about reports whether a kind of action is about control itself, which a console
// without it may ask for.
func about(k state.Kind) bool {
	return k == state.ControlRequest || k == state.ControlTake
}

// held says who holds control in this console's place; "" where it may act.
func (m *Model) held() string {
	if m.live == nil {
		return ""
	}
	return state.ControlHeldBy(m.live)
}

// offer says who holds control, and offers to ask for it or to take it.
func (m *Model) offer(what string) {
	b := &actionMenu{title: m.held() + ": " + what + " waits"}
	for _, k := range []state.Kind{state.ControlRequest, state.ControlTake} {
		spec := state.SpecOf(k)
		b.choices = append(b.choices, choice{label: spec.Title(), why: state.Why(m.live, k, spec.Global),
			run: func(m *Model) tea.Cmd { return m.begin(spec, []string{spec.Global}) }})
	}
	if b.choices[0].why != "" { // it was asked for already
		b.at = 1
	}
	m.push(b)
}

// control returns what the header says of who looks and who may act.
func (m *Model) control(s *state.Snapshot) []pane.Span {
	t := m.env.Theme
	w := s.Workspace
	h := w.Holder()
	var out []pane.Span
	switch {
	case h == nil && w.PID > 0:
		out = append(out, pane.Span{Ink: t.Dim, Text: "  control opsdeck serve"})
	case h == nil:
	case len(w.Consoles) > 1 && h.ID == s.You && h.ID != "":
		out = append(out, pane.Span{Ink: t.Dim, Text: "  control you"})
	case w.Console(s.You) != nil:
		ink, who := t.Dim, h.Actor.User
		if h.ID != s.You {
			ink = t.Info
			if who == w.Console(s.You).Actor.User { // oneself, at another terminal
				who = h.Title()
			}
		}
		out = append(out, pane.Span{Ink: ink, Text: "  control " + who})
	default:
		out = append(out, pane.Span{Ink: t.Dim, Text: "  control " + h.Actor.User})
	}
	if n := len(w.Consoles); n > 1 {
		out = append(out, pane.Span{Ink: t.Dim, Text: fmt.Sprintf(" %s %s", t.Dot, state.Plural(n, "viewer"))})
	}
	if h != nil && h.ID == s.You {
		for _, c := range w.Consoles {
			if !c.Asked.IsZero() {
				out = append(out, pane.Span{Ink: t.Warn, Text: fmt.Sprintf("  %s %s asks for control", t.Caution, c.Actor.User)})
			}
		}
	}
	return out
}

// noticed says what has changed about control between two snapshots, where it
// concerns this console.
func (m *Model) noticed(old, s *state.Snapshot) {
	if old == nil || s.You == "" || old.You != s.You {
		return
	}
	was, is := old.Workspace.Console(s.You), s.Workspace.Console(s.You)
	if was == nil || is == nil {
		return
	}
	h := s.Workspace.Holder()
	switch {
	case was.Control && !is.Control && h != nil:
		m.say(h.Title() + " has control now; this console only views")
	case !was.Control && is.Control:
		m.say("this console has control now")
	case is.Control:
		for _, c := range s.Workspace.Consoles {
			if before := old.Workspace.Console(c.ID); !c.Asked.IsZero() && (before == nil || before.Asked.IsZero()) {
				m.say(fmt.Sprintf("%s asks for control: %s hand over control to %s", c.Title(), m.keys.of(cmdPalette), c.Title()))
			}
		}
	}
}

// present says who looks, and who may act.
func (m *Model) present() string {
	if m.live == nil || len(m.live.Workspace.Consoles) == 0 {
		return "no console is known of"
	}
	var out []string
	for _, c := range m.live.Workspace.Consoles {
		what := "views"
		switch {
		case c.Control:
			what = "holds control"
		case !c.Asked.IsZero():
			what = "asks for control"
		case !c.Controls():
			what = "views through a " + c.Actor.Via
		}
		who := c.Title()
		if c.ID == m.live.You && c.ID != "" {
			who += ", this one,"
		}
		out = append(out, fmt.Sprintf("%s %s, since %s, last key %s ago", who, what, c.Since.In(m.o.Local).Format("15:04"), m.o.Clock().Sub(c.Active).Truncate(time.Second)))
	}
	return strings.Join(out, "; ")
}
