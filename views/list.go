package views

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
)

// Column is one column of a list.
type Column[T any] struct {
	Title string
	// W is its width; Flex its share of what is left over.
	W, Flex int
	Right   bool
	// Rank says which columns go first when the list is narrow: 0 is never left out.
	Rank int
	// Cell is what the row shows: pure, of the row and the time.
	Cell func(*Env, *T) (string, theme.Ink)
	// Cmp orders rows; nil where one cannot sort by it.
	Cmp func(a, b *T) int
}

// Tab is one tab of a list's detail.
type Tab[T any] struct {
	Title string
	Draw  func(*Doc, *state.Snapshot, *T)
}

// Spec says what a list shows.
type Spec[T any] struct {
	Info Info
	Cols []Column[T]
	// Order is the title of the column that rows are sorted by at first; "" is the
	// snapshot's own order.
	Order string
	// Rows are the snapshot's own; they are only read.
	Rows func(*state.Snapshot) []T
	// ID is a row's identity, Target the name that its actions know it by.
	ID, Target func(*T) string
	// Name is what people call it, over its detail; nil is its target.
	Name func(*T) string
	// Text is what the filter looks at.
	Text   func(*T) string
	Health func(*state.Snapshot) state.Health
	// Deps are the sections that the rows and details are made of.
	Deps []state.SectionName
	// Head draws lines above the rows; may be nil.
	Head func(e *Env, s *state.Snapshot, w, h int) []string
	// Empty says what it means that there are no rows, and what to do.
	Empty   func(*state.Snapshot) string
	Summary func(*Env, *state.Snapshot) []Span
	Tabs    []Tab[T]
	// Look adds to the target what is being looked at; may be nil.
	Look func(*T, *Target)
	// Watch adds to it whatever the row, and without one; may be nil.
	Watch func(*Target)
}

// lull is how long rows keep their places after the user has moved.
const lull = 4 * time.Second

// List is a pane of rows with a detail.
type List[T any] struct {
	env  *Env
	spec Spec[T]
	w, h int

	snap    *state.Snapshot
	version uint64
	rows    []*T
	sel     string
	at      int // index of sel in rows
	top     int
	room    int // rows that fit, as last drawn
	marks   map[string]bool
	from    string // where a range began

	sort    int // column, -1 for the snapshot's order
	reverse bool
	filter  string

	moved time.Time // when the user last moved
	// restored says that the selection is a former session's, and that nobody has
	// moved since.
	restored bool
	waiting  int  // new rows that wait
	due      bool // a rebuild was put off

	focused bool

	beside, open bool
	tab, docTop  int
	docKey       string
	doc          []string

	dirty bool
	view  string
}

// NewList makes a list pane.
func NewList[T any](env *Env, spec Spec[T]) *List[T] {
	l := &List[T]{env: env, spec: spec, marks: map[string]bool{}, sort: -1, dirty: true}
	for i, c := range spec.Cols {
		if c.Cmp != nil && c.Title == spec.Order {
			l.sort = i
		}
	}
	return l
}

// Info implements Pane.
func (l *List[T]) Info() Info { return l.spec.Info }

// Resize implements Pane.
func (l *List[T]) Resize(w, h int) {
	if w != l.w || h != l.h {
		l.w, l.h, l.dirty, l.docKey = w, h, true, ""
	}
}

// Focus implements Pane.
func (l *List[T]) Focus(f bool) {
	if f != l.focused {
		l.focused, l.dirty = f, true
	}
}

// Touch implements Pane.
func (l *List[T]) Touch() {
	l.dirty, l.docKey = true, ""
	if l.due && !l.frozen() {
		l.rebuild()
	}
}

func (l *List[T]) frozen() bool {
	return !l.moved.IsZero() && l.env.Now().Sub(l.moved) < lull && !l.env.Now().Before(l.moved)
}

// Apply implements Pane.
func (l *List[T]) Apply(s *state.Snapshot) {
	var v uint64
	if s != nil {
		for _, d := range l.spec.Deps {
			v = max(v, s.Versions[d])
		}
		if l.snap != nil && v == l.version && s.Versions != nil && s.Version >= l.snap.Version {
			l.snap = s
			return
		}
	}
	l.snap, l.version = s, v
	l.docKey = ""
	l.rebuild()
}

// rebuild makes the rows anew: filtered, sorted, the selected one where it was on
// the screen.
func (l *List[T]) rebuild() {
	l.dirty = true
	l.waiting, l.due = 0, false
	old := l.rows
	l.rows = nil
	if l.snap != nil {
		all := l.spec.Rows(l.snap)
		keep := matcher(l.filter)
		l.rows = make([]*T, 0, len(all))
		for i := range all {
			if keep == nil || keep(l.spec.Text(&all[i])) {
				l.rows = append(l.rows, &all[i])
			}
		}
	}
	if l.sort >= 0 {
		order := l.spec.Cols[l.sort].Cmp
		slices.SortStableFunc(l.rows, func(a, b *T) int {
			c := order(a, b)
			if l.reverse {
				c = -c
			}
			if c == 0 {
				c = cmp.Or(strings.Compare(l.spec.Target(a), l.spec.Target(b)), strings.Compare(l.spec.ID(a), l.spec.ID(b)))
			}
			return c
		})
	}
	if l.frozen() && len(old) > 0 {
		l.keepOrder(old)
	}
	l.anchor()
}

// keepOrder puts the rows into the places that they had; new ones wait.
func (l *List[T]) keepOrder(old []*T) {
	now := make(map[string]*T, len(l.rows))
	for _, r := range l.rows {
		now[l.spec.ID(r)] = r
	}
	kept := make([]*T, 0, len(l.rows))
	for _, r := range old {
		if n := now[l.spec.ID(r)]; n != nil {
			kept = append(kept, n)
			delete(now, l.spec.ID(r))
		}
	}
	l.waiting, l.due = len(now), true
	l.rows = kept
}

// anchor finds the selected row again and keeps it on the same line.
func (l *List[T]) anchor() {
	line := l.at - l.top
	if len(l.rows) == 0 {
		l.at, l.top = 0, 0
		return
	}
	at := -1
	if l.sel != "" {
		for i, r := range l.rows {
			if l.spec.ID(r) == l.sel {
				at = i
				break
			}
		}
	}
	switch {
	case at >= 0 && !l.moved.IsZero():
		l.at, l.top = at, at-line
	case at >= 0:
		l.at = at
	case l.moved.IsZero() || l.sel == "": // nobody has chosen: stay at the top
		l.at, l.top = 0, 0
	default: // it is gone: the one that took its place
		l.at = min(l.at, len(l.rows)-1)
	}
	if l.moved.IsZero() {
		l.at, l.top = 0, 0
	}
	if l.restored {
		l.top = 0 // what is unwell stands there
	}
	l.sel = l.spec.ID(l.rows[l.at])
	l.scroll()
}

func (l *List[T]) scroll() {
	room := max(1, l.room)
	l.top = max(0, min(l.top, len(l.rows)-room))
	if l.at < l.top {
		l.top = l.at
	}
	if l.at >= l.top+room {
		l.top = l.at - room + 1
	}
}

// Selected is the row under the cursor, or nil.
func (l *List[T]) Selected() *T {
	if l.at < len(l.rows) {
		return l.rows[l.at]
	}
	return nil
}

// Target implements Pane.
func (l *List[T]) Target() Target {
	var t Target
	r := l.Selected()
	if l.spec.Watch != nil {
		l.spec.Watch(&t)
	}
	if r != nil && l.spec.Look != nil {
		l.spec.Look(r, &t)
	}
	for _, m := range l.rows {
		if l.marks[l.spec.ID(m)] {
			t.IDs = append(t.IDs, l.spec.Target(m))
		}
	}
	if len(t.IDs) > 0 {
		t.Marked = true
	} else if r != nil {
		t.IDs = []string{l.spec.Target(r)}
	}
	return t
}

// Select puts the cursor on the row of that identity or target, if it is there.
func (l *List[T]) Select(id string) bool {
	for i, r := range l.rows {
		if l.spec.ID(r) == id || l.spec.Target(r) == id {
			l.moveTo(i)
			return true
		}
	}
	return false
}

// Restore puts the cursor on a row as a former session left it. Nobody has moved:
// the list begins at its top, and nothing waits.
func (l *List[T]) Restore(id string) bool {
	ok := l.Select(id)
	if ok {
		l.top, l.moved, l.restored = 0, l.env.Now().Add(-lull), true
	}
	return ok
}

// Filter implements Filterer.
func (l *List[T]) Filter() string { return l.filter }

// SetFilter implements Filterer: words that must all occur; a leading "!" inverts.
func (l *List[T]) SetFilter(s string) {
	if s != l.filter {
		l.filter = s
		l.moved = time.Time{}
		sel := l.sel
		l.rebuild()
		l.Select(sel)
		l.moved = time.Time{}
	}
}

// Sort implements Sorter.
func (l *List[T]) Sort() (string, bool) {
	if l.sort < 0 {
		return "", false
	}
	return l.spec.Cols[l.sort].Title, l.reverse
}

// SetSort implements Sorter.
func (l *List[T]) SetSort(col string, reverse bool) {
	for i, c := range l.spec.Cols {
		if c.Title == col && c.Cmp != nil {
			l.sort, l.reverse = i, reverse
			l.rebuild()
		}
	}
}

// Detail implements Detailer.
func (l *List[T]) Detail() (beside, open bool) { return l.beside, l.open }

// SetDetail implements Detailer.
func (l *List[T]) SetDetail(b bool) { l.beside, l.dirty, l.docKey = b, true, "" }

// Update implements Pane.
func (l *List[T]) Update(msg tea.Msg) tea.Cmd {
	do, ok := msg.(Do)
	if !ok {
		return nil
	}
	l.dirty = true
	if l.open {
		if handled, cmd := l.updateOpen(do.Command); handled {
			return cmd
		}
	}
	page := max(1, l.room-1)
	switch do.Command {
	case Up:
		l.moveTo(l.at - 1)
	case Down:
		l.moveTo(l.at + 1)
	case Top:
		l.moveTo(0)
	case Bottom:
		l.moveTo(len(l.rows) - 1)
	case PageUp:
		l.moveTo(l.at - page)
	case PageDown:
		l.moveTo(l.at + page)
	case HalfUp:
		l.moveTo(l.at - max(1, page/2))
	case HalfDown:
		l.moveTo(l.at + max(1, page/2))
	case Open:
		if l.Selected() == nil {
			return send(Note{"there is no row to open"})
		}
		l.open, l.docTop, l.docKey = true, 0, ""
	case Beside:
		l.SetDetail(!l.beside)
	case TabNext, TabPrev:
		return l.turn(do.Command)
	case Mark:
		if r := l.Selected(); r != nil {
			id := l.spec.ID(r)
			l.marks[id] = !l.marks[id]
			if !l.marks[id] {
				delete(l.marks, id)
			}
			l.moveTo(l.at + 1)
		}
	case MarkRange:
		return l.markRange()
	case SortNext:
		return l.sortNext()
	case CopyRow:
		if r := l.Selected(); r != nil {
			return send(Copy{l.spec.Target(r), l.spec.Target(r)})
		}
		return send(Note{"there is no row to copy"})
	case Follow:
		l.moved = time.Time{}
		l.rebuild()
		return send(Note{"rows are in order again"})
	case Back:
		switch {
		case len(l.marks) > 0 || l.from != "":
			l.marks, l.from = map[string]bool{}, ""
		case l.filter != "":
			l.SetFilter("")
		default:
			return send(Closed{})
		}
	default:
		return send(Unhandled(do))
	}
	return nil
}

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
		l.open, l.docTop, l.docKey = false, 0, ""
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
	l.docTop, l.docKey = 0, ""
	return nil
}

func (l *List[T]) markRange() tea.Cmd {
	r := l.Selected()
	if r == nil {
		return nil
	}
	if l.from == "" {
		l.from = l.spec.ID(r)
		return send(Note{"range begins here: move, then v again marks it"})
	}
	a := l.at
	for i, r := range l.rows {
		if l.spec.ID(r) == l.from {
			a = i
		}
	}
	l.from = ""
	for i := min(a, l.at); i <= max(a, l.at); i++ {
		l.marks[l.spec.ID(l.rows[i])] = true
	}
	return send(Note{fmt.Sprintf("%d marked", len(l.marks))})
}

// sortNext goes through the columns; each comes once forwards and once in reverse.
func (l *List[T]) sortNext() tea.Cmd {
	if !l.reverse && l.sort >= 0 {
		l.reverse = true
	} else {
		l.reverse = false
		for i := 1; i <= len(l.spec.Cols); i++ {
			if c := (l.sort + i) % len(l.spec.Cols); l.spec.Cols[c].Cmp != nil {
				l.sort = c
				break
			}
		}
	}
	l.moved = time.Time{}
	sel := l.sel
	l.rebuild()
	l.Select(sel)
	how := "rising"
	if l.reverse {
		how = "in reverse"
	}
	return send(Note{"sorted by " + strings.ToLower(l.spec.Cols[l.sort].Title) + ", " + how})
}

func (l *List[T]) moveTo(i int) {
	l.moved, l.restored = l.env.Now(), false
	if len(l.rows) == 0 {
		return
	}
	i = max(0, min(i, len(l.rows)-1))
	if i != l.at {
		l.docTop, l.docKey = 0, ""
	}
	l.at, l.sel = i, l.spec.ID(l.rows[i])
	l.dirty = true
	l.scroll()
}

// matcher is the test that a filter stands for; nil for no filter.
func matcher(filter string) func(string) bool {
	drop := strings.HasPrefix(filter, "!")
	words := strings.Fields(strings.ToLower(strings.TrimPrefix(filter, "!")))
	if len(words) == 0 {
		return nil
	}
	return func(s string) bool {
		s = strings.ToLower(s)
		for _, w := range words {
			if !strings.Contains(s, w) {
				return drop
			}
		}
		return !drop
	}
}
