package tui

import (
	"fmt"
	"slices"
	"strings"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/pane"
)

// overlay is a box over the screen that takes the keys.
type overlay interface {
	// key takes a key; done closes the overlay.
	key(m *Model, k tea.KeyPressMsg) (done bool, cmd tea.Cmd)
	paste(m *Model, p tea.PasteMsg)
	// hints are the keys that work in it, for the footer.
	hints() []hint
	// width is how wide it would like to be, its border included.
	width() int
	// draw is its lines, each of w cells, at most h of them.
	draw(m *Model, w, h int) []string
}

func (m *Model) push(o overlay) {
	m.stack = append(m.stack, o)
	m.dirty = true
}

func (m *Model) drop(o overlay) {
	m.dirty = true
	m.stack = slices.DeleteFunc(m.stack, func(x overlay) bool { return x == o })
}

func (m *Model) paste(p tea.PasteMsg) tea.Cmd {
	switch {
	case len(m.stack) > 0:
		m.stack[len(m.stack)-1].paste(m, p)
	case m.prompt != nil:
		m.prompt.input, _ = m.prompt.input.Update(p)
		m.prompt.live(m)
	}
	return nil
}

// bordered puts a title and a border around lines of w-4 cells.
func bordered(t *theme.Theme, title string, lines []string, w int) []string {
	g := t.Heavy
	ink := t.Focus
	head := pane.NewLine(t, max(0, w-6), false).Put(t.Strong, title)
	n := max(0, w-6) - head.Left()
	out := []string{ink.Render(g.TL+g.T) + " " + ansi.Truncate(head.String(), n, "") + " " + ink.Render(strings.Repeat(g.T, max(0, w-n-5))+g.TR)}
	for _, s := range lines {
		out = append(out, ink.Render(g.L)+" "+s+" "+ink.Render(g.R))
	}
	return append(out, ink.Render(g.BL+strings.Repeat(g.B, max(0, w-2))+g.BR))
}

func newInput(t *theme.Theme) textinput.Model {
	in := textinput.New()
	in.Prompt = ""
	st := in.Styles()
	st.Focused = textinput.StyleState{Text: t.Text.Style(), Placeholder: t.Faint.Style(), Suggestion: t.Faint.Style(), Prompt: t.Accent.Style()}
	st.Blurred = textinput.StyleState{Text: t.Dim.Style(), Placeholder: t.Faint.Style(), Suggestion: t.Faint.Style(), Prompt: t.Dim.Style()}
	st.Cursor.Blink = false
	in.SetStyles(st)
	return in
}

// inputLine draws an input in w cells.
func inputLine(in *textinput.Model, w int) string {
	in.SetWidth(max(1, w-1))
	return pad(in.View(), w)
}

// quitDialog asks before the console ends.
type quitDialog struct {
	sure bool
	// stays says that the key was none of its own. Whoever pressed esc once too often and
	// goes on meant to stay: the key is let through, and the question goes.
	stays bool
	lines []string
}

func (q *quitDialog) hints() []hint {
	return []hint{{"esc", "stays"}, {"y", "quits"}, {"tab", "the other button"}, {"enter", "takes the marked one"}}
}

func (m *Model) newQuit() overlay {
	q := &quitDialog{}
	if m.shown != nil {
		for _, p := range m.shown.Actions.List {
			if !p.Done() {
				q.lines = append(q.lines, "still running: "+p.Action.Title())
			}
		}
		if w := m.shown.Workspace; w.PID == m.o.PID && len(w.Consoles) > 1 {
			q.lines = append(q.lines, "another console takes the engine over")
		} else if w.PID == m.o.PID {
			q.lines = append(q.lines, "this console runs the engine: modules stop with it")
		}
	}
	return q
}

func (q *quitDialog) width() int                 { return 58 }
func (q *quitDialog) paste(*Model, tea.PasteMsg) {}
func (q *quitDialog) key(_ *Model, k tea.KeyPressMsg) (bool, tea.Cmd) {
	switch k.String() {
	case "left", "right", "tab", "shift+tab":
		q.sure = !q.sure
	case "y", "Y", "ctrl+c":
		return true, tea.Quit
	case "enter":
		if q.sure {
			return true, tea.Quit
		}
		return true, nil
	case "esc", "q", "n", "N":
		return true, nil
	default:
		q.stays = true
		return true, nil
	}
	return false, nil
}

func (q *quitDialog) draw(m *Model, w, h int) []string {
	t := m.env.Theme
	var lines []string
	for _, s := range q.lines {
		lines = append(lines, pane.NewLine(t, w-4, false).Put(t.Warn, t.Caution+" "+s).String())
	}
	if len(lines) > max(0, h-4) {
		lines = lines[:max(0, h-4)]
	}
	lines = append(lines, buttons(t, w-4, "Stay", "Quit", q.sure, true))
	return bordered(t, "Quit opsdeck?", lines, w)
}

// buttons draws the two ways out; the chosen one is in brackets and marked.
func buttons(t *theme.Theme, w int, no, yes string, sure, focused bool) string {
	l := pane.NewLine(t, w, false)
	put := func(s string, on bool) {
		if on && focused {
			l.Put(t.MatchHere, t.Cursor+" "+s+" ")
		} else {
			l.Put(t.Dim, "  "+s+" ")
		}
	}
	put(no, !sure)
	l.Gap(3)
	put(yes, sure)
	return l.String()
}

// helpOverlay is the help of a pane.
type helpOverlay struct{ pane, top int }

func (b *helpOverlay) hints() []hint {
	return []hint{{"esc", "back"}, {"j k", "scroll"}, {"space", "a page"}}
}
func (b *helpOverlay) width() int                 { return 92 }
func (b *helpOverlay) paste(*Model, tea.PasteMsg) {}
func (b *helpOverlay) key(_ *Model, k tea.KeyPressMsg) (bool, tea.Cmd) {
	switch k.String() {
	case "j", "down":
		b.top++
	case "k", "up":
		b.top--
	case "pgdown", "space", "ctrl+d":
		b.top += 10
	case "pgup", "ctrl+u":
		b.top -= 10
	case "g", "home":
		b.top = 0
	case "G", "end":
		b.top = 1 << 20
	case "esc", "q", "?", "enter":
		return true, nil
	}
	return false, nil
}

func (b *helpOverlay) draw(m *Model, w, h int) []string {
	t := m.env.Theme
	info := m.panes[b.pane].Info()
	iw := w - 4
	var lines []string
	add := func(l *pane.Line) { lines = append(lines, l.String()) }
	for _, s := range strings.Split(ansi.Wordwrap(info.About, iw, ""), "\n") {
		add(pane.NewLine(t, iw, false).Put(t.Text, s))
	}
	if len(info.Filters) > 0 {
		add(pane.NewLine(t, iw, false))
		add(pane.NewLine(t, iw, false).Put(t.Strong, "Filter, after "+m.keys.of(pane.Search)))
		for _, f := range info.Filters {
			add(pane.NewLine(t, iw, false).Gap(2).Col(t.Key, f.Form, 20, false).Gap(2).Put(t.Text, f.Keeps))
		}
	}
	for _, group := range []string{"Change", "Look", "Act", "Panes", "Move"} {
		first := true
		for i := range m.keys.binds {
			x := &m.keys.binds[i]
			if x.group != group || x.scope == inLists && info.Stream || x.scope == inStreams && !info.Stream {
				continue
			}
			does := x.key.Help().Desc
			if x.act != "" {
				if does = actsHere(info, x.act); does == "" {
					continue
				}
			}
			if !usedHere(info, x) {
				continue
			}
			keys := x.key.Help().Key
			if strings.HasPrefix(string(x.cmd), "pane-") {
				if x.cmd != "pane-1" {
					continue
				}
				keys, does = fmt.Sprintf("1 to %d", len(m.pinned)), "focus a pane"
			}
			if first {
				add(pane.NewLine(t, iw, false))
				add(pane.NewLine(t, iw, false).Put(t.Strong, group))
				first = false
			}
			add(pane.NewLine(t, iw, false).Gap(2).Col(t.Key, keys, 14, false).Gap(2).Put(t.Text, does))
		}
	}
	room := max(1, h-2)
	b.top = max(0, min(b.top, len(lines)-room))
	title := "Help: " + info.Title
	if len(lines) > room {
		title += fmt.Sprintf("  (%d to %d of %d lines, j k scroll)", b.top+1, min(len(lines), b.top+room), len(lines))
	}
	return bordered(t, title, lines[b.top:min(len(lines), b.top+room)], w)
}

// usedHere reports whether a pane has a use for a key that not all of its kind have.
func usedHere(info pane.Info, x *bind) bool {
	switch x.cmd {
	case cmdShell, pane.Left, pane.Right, pane.FoldAll:
		return info.Stream || slices.ContainsFunc(info.Keys, func(k pane.KeyHelp) bool { return k.Command == x.cmd })
	}
	return true
}

// actsHere returns what a letter does in a pane, "" for nothing.
func actsHere(info pane.Info, letter string) string {
	var out []string
	specs := state.Specs()
	for i := range specs {
		s := &specs[i]
		if s.Key == letter && !s.Hidden && hasSection(info, s.Section) {
			out = append(out, s.Title())
		}
	}
	return strings.Join(out, ", ")
}
