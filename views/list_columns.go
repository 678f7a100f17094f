package views

import (
	"slices"
)

// ColumnChoice is one column as a dialog offers it.
type ColumnChoice struct {
	Title string
	Shown bool
	// Fixed says that it is always shown.
	Fixed bool
}

// Columner is a pane whose columns can be chosen.
type Columner interface {
	// ColumnChoices are all columns in their order. Which of the shown ones are on the
	// screen depends on its width.
	ColumnChoices() []ColumnChoice
	// Columns is the titles of those chosen, nil where nobody has chosen.
	Columns() []string
	// SetColumns chooses; nil goes back to what the pane shows by itself. Titles that
	// the pane does not know are left out.
	SetColumns([]string)
}

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
func (l *List[T]) ColumnChoices() []ColumnChoice {
	out := make([]ColumnChoice, len(l.spec.Cols))
	for i := range l.spec.Cols {
		c := &l.spec.Cols[i]
		out[i] = ColumnChoice{Title: c.Title, Shown: l.wants(c), Fixed: c.Rank == 0}
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
