package tui

import (
	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/views/pane"
)

// columnChooser chooses the columns of a list; what is chosen shows at once.
type columnChooser struct {
	pane    pane.Columner
	name    string
	was     []string // what was chosen before
	at, top int
}

// newColumns returns the dialog for the pane in focus, nil where it has no columns.
func (m *Model) newColumns() overlay {
	p, ok := m.pane().(pane.Columner)
	if !ok {
		return nil
	}
	return &columnChooser{pane: p, name: m.pane().Info().Title, was: p.Columns()}
}

func (b *columnChooser) hints() []hint {
	return []hint{{"enter", "keeps"}, {"esc", "puts back"}, {"space", "shows or hides"}, {"r", "as by itself"}}
}

func (b *columnChooser) width() int                 { return 56 }
func (b *columnChooser) paste(*Model, tea.PasteMsg) {}
func (b *columnChooser) key(m *Model, k tea.KeyPressMsg) (bool, tea.Cmd) {
	cs := b.pane.ColumnChoices()
	switch k.String() {
	case "j", "down", "tab":
		b.at = min(b.at+1, len(cs)-1)
	case "k", "up", "shift+tab":
		b.at = max(b.at-1, 0)
	case "g", "home":
		b.at = 0
	case "G", "end":
		b.at = len(cs) - 1
	case "space", "x":
		if cs[b.at].Fixed {
			m.say(cs[b.at].Title + " is always shown")
			return false, nil
		}
		var titles = []string{}
		for i, c := range cs {
			if c.Shown != (i == b.at) {
				titles = append(titles, c.Title)
			}
		}
		b.pane.SetColumns(titles)
	case "r":
		b.pane.SetColumns(nil)
	case "enter":
		return true, nil
	case "esc", "q":
		b.pane.SetColumns(b.was)
		return true, nil
	}
	return false, nil
}

func (b *columnChooser) draw(m *Model, w, h int) []string {
	t := m.env.Theme
	cs := b.pane.ColumnChoices()
	b.at = max(0, min(b.at, len(cs)-1))
	room := max(1, h-3)
	b.top = max(0, min(b.top, len(cs)-room))
	b.top = max(min(b.top, b.at), b.at-room+1)
	var lines []string
	for i := b.top; i < min(len(cs), b.top+room); i++ {
		l := pane.NewLine(t, w-4, i == b.at)
		if i == b.at {
			l.Put(t.Accent, t.Cursor).Gap(1)
		} else {
			l.Gap(2)
		}
		switch {
		case cs[i].Fixed:
			l.Put(t.Dim, "[x] "+cs[i].Title+"  always")
		case cs[i].Shown:
			l.Put(t.Accent, "[x] ").Put(t.Text, cs[i].Title)
		default:
			l.Put(t.Dim, "[ ] "+cs[i].Title)
		}
		lines = append(lines, l.String())
	}
	lines = append(lines, pane.NewLine(t, w-4, false).Put(t.Faint, "those that fit are shown, from the left").String())
	return bordered(t, b.name+": columns", lines, w)
}
