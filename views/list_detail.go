package views

import (
	tea "charm.land/bubbletea/v2"
)

// The detail of a list's row.

// Detail implements Detailer.
func (l *List[T]) Detail() (beside, open bool) { return l.beside, l.open }

// SetDetail implements Detailer.
func (l *List[T]) SetDetail(b bool) { l.beside, l.dirty, l.docKey = b, true, "" }

func (l *List[T]) updateOpen(c Command) (bool, tea.Cmd) {
	page := max(1, l.h-3)
	switch c {
	case Up:
		l.docTop--
	case Down:
		l.docTop++
	case PageUp:
		l.docTop -= page
	case PageDown:
		l.docTop += page
	case HalfUp:
		l.docTop -= max(1, page/2)
	case HalfDown:
		l.docTop += max(1, page/2)
	case Top:
		l.docTop = 0
	case Bottom:
		l.docTop = len(l.doc)
	case Back:
		if l.find != "" {
			l.find, l.docKey = "", ""
			return true, nil
		}
		l.open, l.docTop, l.docKey = false, 0, ""
	case FindNext, FindPrev:
		return true, l.findNext(c == FindNext)
	case CopyRow:
		return true, send(Copy{plainText(l.doc), "the detail"})
	case Open:
		return true, l.turn(TabNext)
	default:
		return false, nil
	}
	return true, nil
}

func (l *List[T]) turn(c Command) tea.Cmd {
	if len(l.spec.Tabs) < 2 {
		return send(Unhandled{c})
	}
	if !l.open && !l.beside {
		l.beside = true
		if l.sideSize() == 0 {
			l.open = true
		}
	} else if c == TabNext {
		l.tab = (l.tab + 1) % len(l.spec.Tabs)
	} else {
		l.tab = (l.tab + len(l.spec.Tabs) - 1) % len(l.spec.Tabs)
	}
	l.docTop, l.docKey, l.find = 0, "", ""
	return nil
}
