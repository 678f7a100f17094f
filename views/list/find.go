package list

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/pane"
)

// Finds implements Finder.
func (l *List[T]) Finds() bool {
	e := l.entry()
	return l.open && e != nil && e.group == "" && l.tab < len(l.spec.Tabs) && l.spec.Tabs[l.tab].Search
}

// Find implements Finder.
func (l *List[T]) Find(text string) tea.Cmd {
	l.find, l.docKey, l.dirty = strings.ToLower(text), "", true
	l.docTop, l.hit = 0, 0
	if text == "" {
		return nil
	}
	_ = l.View() // finds the hits
	if len(l.hits) == 0 {
		return pane.Send(pane.NoticeMsg{Text: text + " is not in it"})
	}
	l.docTop, l.dirty = max(0, l.hits[0]-1), true
	return pane.Send(pane.NoticeMsg{Text: state.Plural(len(l.hits), "line") + " with " + text + ": n and N go through them"})
}

// findNext goes to the next hit, or to the one before; after the last comes the first.
func (l *List[T]) findNext(down bool) tea.Cmd {
	if !l.Finds() || l.find == "" {
		return pane.Send(pane.NoticeMsg{Text: "nothing is searched for: / searches"})
	}
	if len(l.hits) == 0 {
		return pane.Send(pane.NoticeMsg{Text: l.find + " is not in it"})
	}
	at := l.hit + 1
	if !down {
		at = l.hit - 1
	}
	at = (at + len(l.hits)) % len(l.hits)
	l.hit = at
	l.docTop = max(0, l.hits[at]-1)
	return pane.Send(pane.NoticeMsg{Text: fmt.Sprintf("%d of %d", at+1, len(l.hits))})
}
