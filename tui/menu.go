package tui

import (
	"fmt"
	"slices"
	"strings"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
	"github.com/sahilm/fuzzy"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/pane"
)

// choice is one line of a menu or of the palette.
type choice struct {
	label, key, why string
	all             bool // it is about the pane's whole, not about the row
	run             func(*Model) tea.Cmd
}

// actionMenu is the actions of a row, with the reasons for those it does not allow.
type actionMenu struct {
	title   string
	choices []choice
	at, top int
}

func (m *Model) newMenu() overlay {
	b := &actionMenu{title: "Actions"}
	info, target := m.pane().Info(), m.pane().Target()
	if len(target.IDs) == 1 {
		b.title = "Actions on " + m.named(info, target.IDs[0])
	} else if target.Name != "" {
		b.title = fmt.Sprintf("Actions on %s (%d)", target.Name, len(target.IDs))
	} else if len(target.IDs) > 1 {
		b.title = fmt.Sprintf("Actions on %d marked", len(target.IDs))
	}
	specs := state.Specs()
	for i := range specs {
		s := &specs[i]
		if s.Hidden || !hasSection(info, s.Section) {
			continue
		}
		if s.Section == state.SectionWorkspace && s.Global == "" { // its targets are consoles, which no pane lists
			if m.shown != nil {
				for _, id := range s.Targets(m.shown) {
					b.choices = append(b.choices, choice{label: s.Title() + " " + m.called(s, id), why: state.Why(m.shown, s.Kind, id), all: true,
						run: func(m *Model) tea.Cmd { return m.begin(s, []string{id}) }})
				}
			}
			continue
		}
		ids := target.IDs
		label := s.Title()
		if s.Global != "" {
			ids = []string{s.Global}
		}
		if s.Kind == state.ActionUndo {
			label = "undo it"
		}
		c := choice{label: label, key: m.keys.ofAct(s.Key), why: "no row is chosen", all: s.Global != ""}
		if s.Key == "" {
			c.key = ""
		}
		if m.shown == nil {
			c.why = "nothing is known yet"
		} else {
			for _, id := range ids {
				if c.why = state.Why(m.shown, s.Kind, id); c.why == "" {
					break
				}
			}
		}
		c.run = func(m *Model) tea.Cmd { return m.begin(s, ids) }
		b.choices = append(b.choices, c)
	}
	if info.Name == "containers" {
		c := choice{label: "shell", key: m.keys.of(cmdShell), run: (*Model).shell}
		if m.o.Shell == nil {
			if c.why = m.o.NoShell; c.why == "" {
				c.why = "this console has no way into containers"
			}
		} else {
			c.why = m.noShell(target.Container)
		}
		b.choices = append(b.choices, c)
	}
	slices.SortStableFunc(b.choices, func(x, y choice) int { return order(&x) - order(&y) })
	if len(b.choices) == 0 {
		b.choices = []choice{{label: "this pane only looks", why: "there is nothing to do to its rows"}}
	}
	return b
}

// order puts what can be done first, and there the row's own.
func order(c *choice) int {
	switch {
	case c.why != "":
		return 2
	case c.all:
		return 1
	}
	return 0
}

func (b *actionMenu) hints() []hint {
	return []hint{{"esc", "back"}, {"j k", "choose"}, {"enter", "does the marked one"}, {"a letter", "does that one"}}
}

func (b *actionMenu) width() int                 { return 84 }
func (b *actionMenu) paste(*Model, tea.PasteMsg) {}
func (b *actionMenu) key(m *Model, k tea.KeyPressMsg) (bool, tea.Cmd) {
	switch s := k.String(); s {
	case "j", "down", "tab":
		b.at = min(b.at+1, len(b.choices)-1)
	case "k", "up", "shift+tab":
		b.at = max(b.at-1, 0)
	case "enter":
		return b.run(m, b.at)
	case "esc", "q", "x":
		return true, nil
	default:
		for i, c := range b.choices {
			if c.key == s && c.why == "" {
				return b.run(m, i)
			}
		}
		for i, c := range b.choices {
			if c.key == s {
				return b.run(m, i)
			}
		}
	}
	return false, nil
}

func (b *actionMenu) run(m *Model, i int) (bool, tea.Cmd) {
	c := b.choices[i]
	if c.why != "" || c.run == nil {
		m.say("cannot " + c.label + ": " + c.why)
		return false, nil
	}
	m.drop(b)
	return true, c.run(m)
}

func (b *actionMenu) draw(m *Model, w, h int) []string {
	return bordered(m.env.Theme, b.title, choiceLines(m.env.Theme, b.choices, b.at, &b.top, w-4, h-2), w)
}

// choiceLines draws choices, the chosen one in sight.
func choiceLines(t *theme.Theme, cs []choice, at int, top *int, w, h int) []string {
	h = max(1, h)
	*top = max(0, min(*top, len(cs)-h))
	*top = min(*top, at)
	*top = max(*top, at-h+1)
	var lines []string
	for i := *top; i < min(len(cs), *top+h); i++ {
		c := cs[i]
		l := pane.NewLine(t, w, i == at)
		if i == at {
			l.Put(t.Accent, t.Cursor).Gap(1)
		} else {
			l.Gap(2)
		}
		l.Col(t.Key, c.key, 2, false).Gap(1)
		ink := t.Text
		if c.why != "" {
			ink = t.Faint
		}
		l.Put(ink, c.label)
		if c.why != "" {
			l.Put(t.Dim, "  "+c.why)
		}
		lines = append(lines, l.String())
	}
	return lines
}

// chooser is every command, found by typing a part of it.
type chooser struct {
	title   string
	noun    string // what one of its choices is
	keep    bool   // what is chosen goes into the history
	input   textinput.Model
	all     []choice
	found   []choice
	at, top int
	old     int // how far back in the history
}

// mostTargets is how many targets of one action the palette lists.
const mostTargets = 2000

func (m *Model) newPalette() overlay {
	p := &chooser{title: "Commands", noun: "command", keep: true, input: newInput(m.env.Theme)}
	p.input.Placeholder = "a command, such as restart container web"
	p.input.Focus()
	add := func(label, key string, run func(*Model) tea.Cmd) {
		p.all = append(p.all, choice{label: label, key: key, run: run})
	}
	for i, pane := range m.panes {
		add("pane "+pane.Info().Name, m.number(i), func(m *Model) tea.Cmd { m.focusOn(i); return nil })
	}
	command := func(label string, c pane.Command) {
		add(label, m.keys.of(c), func(m *Model) tea.Cmd { return m.do(c) })
	}
	command("help", cmdHelp)
	command("full screen", cmdFull)
	command("undo", cmdUndo)
	command("follow", pane.Follow)
	command("back in time", cmdOlder)
	command("forward in time", cmdNewer)
	command("timestamps", pane.Times)
	command("wrap", pane.Wrap)
	command("raw records", pane.Raw)
	command("sort", pane.SortNext)
	command("columns", pane.Columns)
	if x, ok := m.pane().(pane.Folder); ok {
		if what, flat, _ := x.Folds(); what != "" {
			label := "group " + what
			if !flat {
				label = "no groups: one list"
			}
			command(label, pane.GroupRows)
			command("fold all", pane.FoldAll)
		}
	}
	add("viewers", "", func(m *Model) tea.Cmd { m.say(m.present()); return nil })
	for _, n := range theme.Names {
		add("theme "+n, "", func(m *Model) tea.Cmd {
			m.look.Name = n
			m.retheme()
			m.say("theme " + n)
			return nil
		})
	}
	mouse := "mouse on"
	if m.mouse {
		mouse = "mouse off"
	}
	add(mouse, "", func(m *Model) tea.Cmd {
		m.mouse = !m.mouse
		if m.mouse {
			m.say("the mouse is taken: hold shift for the terminal's own selection")
		} else {
			m.say("the mouse is the terminal's again")
		}
		return nil
	})
	add("reset layout", "", func(m *Model) tea.Cmd {
		m.weight, m.full = map[string]float64{}, false
		m.relayout()
		return nil
	})
	if m.suspend != nil {
		add("suspend", "", func(m *Model) tea.Cmd {
			return func() tea.Msg { m.suspend(); return nil }
		})
	}
	add("quit", "", func(m *Model) tea.Cmd { m.push(m.newQuit()); return nil })
	var later []choice
	if s := m.shown; s != nil {
		info, chosen := m.pane().Info(), slices.Clone(m.pane().Target().IDs)
		slices.Reverse(chosen) // the first of several has the highest index
		specs := state.Specs()
		for i := range specs {
			spec := &specs[i]
			if spec.Hidden || spec.Kind == state.ActionUndo {
				continue
			}
			ids := spec.Targets(s)
			if hasSection(info, spec.Section) { // the row that one looks at comes first
				slices.SortStableFunc(ids, func(a, b string) int { return slices.Index(chosen, b) - slices.Index(chosen, a) })
			}
			for n, id := range ids {
				if n == mostTargets {
					break
				}
				label := spec.Title() + " " + m.called(spec, id)
				switch {
				case spec.Global != "":
					label = spec.Title()
				case spec.Noun == "module":
					label = spec.Verb + " " + id
				}
				c := choice{label: label, key: "", why: state.Why(s, spec.Kind, id), run: func(m *Model) tea.Cmd { return m.begin(spec, []string{id}) }}
				if c.why == "" {
					p.all = append(p.all, c)
				} else {
					later = append(later, c)
				}
			}
		}
	}
	p.all = append(p.all, later...)
	p.search()
	return p
}

// newPaneList lists all panes, with what each says of itself.
func (m *Model) newPaneList() overlay {
	p := &chooser{title: "Panes", noun: "pane", input: newInput(m.env.Theme)}
	p.input.Placeholder = "a part of a pane's name"
	p.input.Focus()
	for i, x := range m.panes {
		label := x.Info().Title
		for _, s := range x.Summary() {
			label += "  " + s.Text
		}
		p.all = append(p.all, choice{label: label, key: m.number(i), run: func(m *Model) tea.Cmd { m.focusOn(i); return nil }})
	}
	p.search()
	return p
}

func (p *chooser) search() {
	text := strings.TrimSpace(p.input.Value())
	p.at, p.top = 0, 0
	if text == "" {
		p.found = p.all
		return
	}
	p.found = nil
	exact := strings.ToLower(text)
	taken := make(map[int]bool)
	for _, pass := range []bool{true, false} { // what begins so comes first
		for i, c := range p.all {
			l := strings.ToLower(c.label)
			if hit := strings.HasPrefix(l, exact) == pass && strings.Contains(l, exact); hit && (c.why == "") {
				p.found = append(p.found, c)
				taken[i] = true
			}
		}
	}
	for _, f := range fuzzy.FindFrom(text, p) {
		if !taken[f.Index] {
			p.found = append(p.found, p.all[f.Index])
		}
	}
	slices.SortStableFunc(p.found, func(x, y choice) int { return order(&x) - order(&y) })
}

// String and Len implement fuzzy.Source.
func (p *chooser) String(i int) string { return p.all[i].label }

// Len implements fuzzy.Source.
func (p *chooser) Len() int { return len(p.all) }

func (p *chooser) hints() []hint {
	return []hint{{"esc", "back"}, {"up down", "choose"}, {"tab", "completes"}, {"enter", "does the marked one"}}
}

func (p *chooser) width() int { return 90 }

func (p *chooser) paste(_ *Model, msg tea.PasteMsg) {
	p.input, _ = p.input.Update(msg)
	p.search()
}

func (p *chooser) key(m *Model, k tea.KeyPressMsg) (bool, tea.Cmd) {
	switch k.String() {
	case "esc":
		return true, nil
	case "down", "ctrl+n":
		p.at = max(0, min(p.at+1, len(p.found)-1))
	case "up", "ctrl+p":
		if p.at > 0 {
			p.at--
			return false, nil
		}
		if p.keep && p.old < len(m.history) && (p.input.Value() == "" || p.old > 0) {
			p.old++
			p.input.SetValue(m.history[len(m.history)-p.old])
			p.input.CursorEnd()
			p.search()
		}
	case "tab":
		if p.at < len(p.found) {
			p.input.SetValue(p.found[p.at].label)
			p.input.CursorEnd()
			p.search()
		}
	case "enter":
		if p.at >= len(p.found) {
			m.say("no such " + p.noun + ": " + p.input.Value())
			return true, nil
		}
		c := p.found[p.at]
		if c.why != "" {
			m.say("cannot " + c.label + ": " + c.why)
			return true, nil
		}
		if p.keep {
			m.history = slices.DeleteFunc(m.history, func(s string) bool { return s == c.label })
			m.history = append(m.history, c.label)
			m.history = m.history[max(0, len(m.history)-100):]
		}
		m.drop(p)
		return true, c.run(m)
	default:
		was := p.input.Value()
		p.input, _ = p.input.Update(k)
		if p.input.Value() != was {
			p.old = 0
			p.search()
		}
	}
	return false, nil
}

func (p *chooser) draw(m *Model, w, h int) []string {
	t := m.env.Theme
	iw := w - 4
	lines := []string{pane.NewLine(t, 2, false).Put(t.Key, ": ").String() + inputLine(&p.input, iw-2)}
	room := max(1, min(h-4, 16))
	if len(p.found) == 0 {
		lines = append(lines, pane.NewLine(t, iw, false).Put(t.Dim, "no "+p.noun+" matches").String())
	} else {
		lines = append(lines, choiceLines(t, p.found, p.at, &p.top, iw, room)...)
	}
	foot := fmt.Sprintf("%d of %d  tab completes", len(p.found), len(p.all))
	if p.keep {
		foot += "  up is history"
	}
	lines = append(lines, pane.NewLine(t, iw, false).Put(t.Faint, foot).String())
	return bordered(t, p.title, lines, w)
}
