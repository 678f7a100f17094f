package list

import (
	"slices"

	"github.com/opsdeck/opsdeck/views/pane"
)

// wants reports whether a column is to be shown where there is room.
func (l *List[T]) wants(c *Column[T]) bool {
	switch {
	case c.Rank == 0:
		return true
	case l.chosen != nil:
		return slices.Contains(l.chosen, c.Title)
	case c.Extra:
		return false
	}
	return c.When == nil || l.snap != nil && c.When(l.snap)
}

// ColumnChoices implements Columner.
func (l *List[T]) ColumnChoices() []pane.ColumnChoice {
	out := make([]pane.ColumnChoice, len(l.spec.Cols))
	for i := range l.spec.Cols {
		c := &l.spec.Cols[i]
		out[i] = pane.ColumnChoice{Title: c.Title, Shown: l.wants(c), Fixed: c.Rank == 0}
	}
	return out
}

// Columns implements Columner.
func (l *List[T]) Columns() []string { return l.chosen }

// SetColumns implements Columner.
func (l *List[T]) SetColumns(titles []string) {
	l.dirty = true
	if titles == nil {
		l.chosen = nil
		return
	}
	l.chosen = []string{}
	for i := range l.spec.Cols {
		if t := l.spec.Cols[i].Title; slices.Contains(titles, t) {
			l.chosen = append(l.chosen, t)
		}
	}
}
