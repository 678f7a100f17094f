package list

import (
	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/views/pane"
)

// The detail of a list's row.

// Detail implements Detailer.
func (l *List[T]) Detail() (beside, open bool) { return l.beside, l.open }

// SetDetail implements Detailer.
func (l *List[T]) SetDetail(b bool) { l.beside, l.dirty, l.docKey = b, true, "" }

func (l *List[T]) updateOpen(c pane.Command) (bool, tea.Cmd) {
	page := max(1, l.h-3)
	switch c {
	case pane.Up:
		l.docTop--
	case pane.Down:
		l.docTop++
	case pane.PageUp:
		l.docTop -= page
	case pane.PageDown:
		l.docTop += page
	case pane.HalfUp:
		l.docTop -= max(1, page/2)
	case pane.HalfDown:
		l.docTop += max(1, page/2)
	case pane.Top:
		l.docTop = 0
	case pane.Bottom:
		l.docTop = len(l.doc)
	case pane.Back:
		if l.find != "" {
			l.find, l.docKey = "", ""
			return true, nil
		}
		l.open, l.docTop, l.docKey = false, 0, ""
	case pane.FindNext, pane.FindPrev:
		return true, l.findNext(c == pane.FindNext)
	case pane.CopyRow:
		return true, pane.Send(pane.CopyMsg{Text: pane.PlainText(l.doc), What: "the detail"})
	case pane.Open:
		return true, l.turn(pane.TabNext)
	default:
		return false, nil
	}
	return true, nil
}

func (l *List[T]) turn(c pane.Command) tea.Cmd {
	if len(l.spec.Tabs) < 2 {
		return pane.Send(pane.UnhandledMsg{Command: c})
	}
	if !l.open && !l.beside {
		l.beside = true
		if l.sideSize() == 0 {
			l.open = true
		}
	} else if c == pane.TabNext {
		l.tab = (l.tab + 1) % len(l.spec.Tabs)
	} else {
		l.tab = (l.tab + len(l.spec.Tabs) - 1) % len(l.spec.Tabs)
	}
	l.docTop, l.docKey, l.find = 0, "", ""
	return nil
}
