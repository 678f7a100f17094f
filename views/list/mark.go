package list

import (
	"fmt"
	"slices"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/views/pane"
)

// The rows that actions take together.

// marked returns the targets of the marked rows, each once, in their order.
func (l *List[T]) marked() (ids []string) {
	seen := map[string]bool{}
	add := func(id string, r *T) {
		if l.marks[id] && !seen[id] {
			seen[id] = true
			ids = append(ids, l.spec.Target(r))
		}
	}
	for i := range l.rows {
		e := &l.rows[i]
		if e.group == "" {
			add(e.id, e.row)
			continue
		}
		for _, r := range e.members { // those that are folded away too
			add(l.spec.ID(r), r)
		}
	}
	return ids
}

// isMarked reports whether a row is marked, or all rows under a heading.
func (l *List[T]) isMarked(e *entry[T]) bool {
	if e.group == "" {
		return l.marks[e.id]
	}
	return len(l.marks) > 0 && !slices.ContainsFunc(e.members, func(r *T) bool { return !l.marks[l.spec.ID(r)] })
}

// markEntry marks a row, or all rows under a heading.
func (l *List[T]) markEntry(e *entry[T], on bool) {
	set := func(id string) {
		if on {
			l.marks[id] = true
		} else {
			delete(l.marks, id)
		}
	}
	if e.group == "" {
		set(e.id)
	}
	for _, r := range e.members {
		set(l.spec.ID(r))
	}
}

func (l *List[T]) markRange() tea.Cmd {
	e := l.entry()
	if e == nil {
		return nil
	}
	if l.from == "" {
		l.from = e.id
		return pane.Send(pane.NoticeMsg{Text: "range begins here: move, then v again marks it"})
	}
	a := l.indexOf(l.from)
	if a < 0 {
		a = l.at
	}
	l.from = ""
	for i := min(a, l.at); i <= max(a, l.at); i++ {
		if e := &l.rows[i]; e.group == "" || l.shut()[e.group] {
			l.markEntry(e, true)
		}
	}
	return pane.Send(pane.NoticeMsg{Text: fmt.Sprintf("%d marked", len(l.marks))})
}
