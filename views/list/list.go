package list

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/pane"
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
	Cell func(*pane.Env, *T) (string, theme.Ink)
	// Num is the cell's figure, in Unit, which a filter compares: "depth>100"; nil for a
	// column of text. Negative is unknown.
	Num  func(*pane.Env, *T) float64
	Unit Unit
	// Cmp orders rows; nil where one cannot sort by it.
	Cmp func(a, b *T) int
	// Tree says that it is the one that shows how groups are nested.
	Tree bool
	// Extra columns are shown only when they are chosen.
	Extra bool
	// When says whether there is anything to show in it, for a column that is not
	// chosen; nil is always.
	When func(*state.Snapshot) bool
}

// Tab is one tab of a list's detail.
type Tab[T any] struct {
	Title string
	Draw  func(*pane.Doc, *state.Snapshot, *T)
	// Part names the heavy data that it shows, for [Spec.Look].
	Part string
	// Search says that "/" looks for text in it while the detail has the whole pane.
	Search bool
}

// Spec says what a list shows.
type Spec[T any] struct {
	Info pane.Info
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
	// Text is what the words of a filter are looked for in. Fields are what else it can
	// ask about; each column is a field too, by its title in lower case.
	Text   func(*T) string
	Fields []Field[T]
	Health func(*state.Snapshot) state.Health
	// Stale says of one row that it is old where the others are not; may be nil.
	Stale func(*state.Snapshot, *T) bool
	// Deps are the sections that the rows and details are made of.
	Deps []state.SectionName
	// Head draws lines above the rows; may be nil.
	Head func(e *pane.Env, s *state.Snapshot, w, h int) []string
	// Empty says what it means that there are no rows, and what to do.
	Empty   func(*state.Snapshot) string
	Summary func(*pane.Env, *state.Snapshot) []pane.Span
	Tabs    []Tab[T]
	// Look returns what is looked at while the row's detail is in sight, with the Part of
	// the tab that is open; may be nil.
	Look func(row *T, part string) state.Interests
	// Watch is what is looked at whatever the row, and without one.
	Watch state.Interests
	// Shell returns the full ID of the container that a shell would be opened in; may be
	// nil.
	Shell func(*T) string
	// Fold puts rows into groups; nil for a list that has none.
	Fold *Fold[T]
}

// orderHold is how long rows keep their places after the user has moved.
const orderHold = 4 * time.Second

// List is a pane of rows with a detail.
type List[T any] struct {
	env  *pane.Env
	spec Spec[T]
	w, h int

	snap    *state.Snapshot
	version uint64
	rows    []entry[T]
	sel     string
	at      int // index of sel in rows
	top     int
	room    int // rows that fit, as last drawn
	marks   map[string]bool
	from    string // where a range began

	sort    int // column, -1 for the snapshot's order
	reverse bool
	filter  string
	keeps   func(*T) bool // what the filter stands for; nil keeps all
	wrong   error         // what is wrong with the filter

	flat bool // no groups
	// shutAll are the groups that are folded, shutFound those while a filter is in force.
	shutAll, shutFound map[string]bool
	chosen             []string // titles of the columns that were chosen; nil is by itself

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
	find         string // what is searched for in the open detail, in lower case
	hits         []int  // lines of doc where it was found
	hit          int    // the one that was last gone to

	dirty bool
	view  string
}

// New makes a list pane.
func New[T any](env *pane.Env, spec Spec[T]) *List[T] {
	l := &List[T]{env: env, spec: spec, marks: map[string]bool{}, shutAll: map[string]bool{}, shutFound: map[string]bool{}, sort: -1, dirty: true}
	for i, c := range spec.Cols {
		if c.Cmp != nil && c.Title == spec.Order {
			l.sort = i
		}
	}
	if l.spec.Info.Filters == nil {
		l.spec.Info.Filters = l.spec.filterHelp(env)
	}
	return l
}

// Info implements Pane.
func (l *List[T]) Info() pane.Info { return l.spec.Info }

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
	return !l.moved.IsZero() && l.env.Now().Sub(l.moved) < orderHold && !l.env.Now().Before(l.moved)
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
	l.rows = l.arrange(l.keep())
	if l.frozen() && len(old) > 0 {
		l.keepOrder(old)
	}
	l.anchor()
}

// keep returns the rows that the filter keeps.
func (l *List[T]) keep() []*T {
	if l.snap == nil {
		return nil
	}
	all := l.spec.Rows(l.snap)
	rows := make([]*T, 0, len(all))
	for i := range all {
		if l.keeps == nil || l.keeps(&all[i]) {
			rows = append(rows, &all[i])
		}
	}
	return rows
}

// keepOrder puts the rows into the places that they had; new ones wait.
func (l *List[T]) keepOrder(old []entry[T]) {
	now := make(map[string]int, len(l.rows))
	for i := range l.rows {
		now[l.rows[i].id] = i
	}
	kept := make([]entry[T], 0, len(l.rows))
	for i := range old {
		if n, ok := now[old[i].id]; ok {
			e := l.rows[n]
			e.depth = old[i].depth // a heading over it may wait
			kept = append(kept, e)
			delete(now, old[i].id)
		}
	}
	for _, n := range now {
		if l.rows[n].group == "" {
			l.waiting++
		}
	}
	l.due = true
	l.rows = kept
}

// indexOf returns the line of that identity, -1 for none.
func (l *List[T]) indexOf(id string) int {
	if id == "" {
		return -1
	}
	return slices.IndexFunc(l.rows, func(e entry[T]) bool { return e.id == id })
}

// anchor finds the selected row again and keeps it on the same line.
func (l *List[T]) anchor() {
	line := l.at - l.top
	if len(l.rows) == 0 {
		l.at, l.top = 0, 0
		return
	}
	at := l.indexOf(l.sel)
	switch {
	case at >= 0 && !l.moved.IsZero():
		l.at, l.top = at, at-line
	case at >= 0:
		l.at = at
	case l.moved.IsZero() || l.sel == "": // nobody has chosen: stay at the top
		l.at, l.top = l.first(), 0
	default: // it is gone: the one that took its place
		l.at = min(l.at, len(l.rows)-1)
	}
	if l.moved.IsZero() {
		l.at, l.top = l.first(), 0
	}
	if l.restored {
		l.top = 0 // what is unhealthy stands there
	}
	l.sel = l.rows[l.at].id
	l.scroll()
}

// first returns the first line that is a row: a key pressed in haste shall not take a
// whole group.
func (l *List[T]) first() int {
	return max(0, slices.IndexFunc(l.rows, func(e entry[T]) bool { return e.group == "" }))
}

func (l *List[T]) scroll() {
	if l.room == 0 { // not drawn yet
		return
	}
	room := max(1, l.room)
	l.top = max(0, min(l.top, len(l.rows)-room))
	if l.at < l.top {
		l.top = l.at
	}
	if l.at >= l.top+room {
		l.top = l.at - room + 1
	}
}

// entry returns the line under the cursor, or nil.
func (l *List[T]) entry() *entry[T] {
	if l.at < len(l.rows) {
		return &l.rows[l.at]
	}
	return nil
}

// Selected returns the row under the cursor, or nil: of a heading, what it sums up.
func (l *List[T]) Selected() *T {
	if e := l.entry(); e != nil {
		return e.row
	}
	return nil
}

// Target implements Pane. That of a heading is all rows under it.
func (l *List[T]) Target() pane.Target {
	var t pane.Target
	t.Looks = l.spec.Watch
	e := l.entry()
	if e != nil && e.group == "" {
		if l.spec.Shell != nil {
			t.Container = l.spec.Shell(e.row)
		}
		if l.spec.Look != nil && (l.beside || l.open) {
			part := ""
			if l.tab < len(l.spec.Tabs) {
				part = l.spec.Tabs[l.tab].Part
			}
			t.Looks = slices.Concat(t.Looks, l.spec.Look(e.row, part))
		}
	}
	if len(l.marks) > 0 {
		t.IDs = l.marked()
	}
	switch {
	case len(t.IDs) > 0:
		t.Marked = true
	case e == nil:
	case e.group != "":
		t.Name = l.spec.Fold.Name(e.row)
		for _, m := range e.members {
			t.IDs = append(t.IDs, l.spec.Target(m))
		}
	default:
		t.IDs = []string{l.spec.Target(e.row)}
	}
	return t
}

// Select puts the cursor on the row of that identity or target, or on the heading
// that hides it, if it is there.
func (l *List[T]) Select(id string) bool {
	for i := range l.rows {
		if e := &l.rows[i]; e.id == id || e.group == "" && l.spec.Target(e.row) == id {
			l.moveTo(i)
			return true
		}
	}
	if e := l.heading(id); e != nil {
		return l.Select(e.id)
	}
	return false
}

// Restore puts the cursor on a row as a former session left it. Nobody has moved:
// the list begins at its top, and nothing waits.
func (l *List[T]) Restore(id string) bool {
	ok := l.Select(id)
	if ok {
		l.top, l.moved, l.restored = 0, l.env.Now().Add(-orderHold), true
	}
	return ok
}

// Filter implements Filterer.
func (l *List[T]) Filter() string { return l.filter }

// SetFilter implements Filterer: see [Query].
func (l *List[T]) SetFilter(s string) {
	if s == l.filter {
		return
	}
	l.filter, l.wrong = s, nil
	clear(l.shutFound)
	l.keeps, l.wrong = Query(l.env, s, l.spec.fields(l.env), l.spec.Text)
	l.moved = time.Time{}
	sel := l.sel
	l.rebuild()
	l.Select(sel)
	l.moved = time.Time{}
}

// Wrong implements Filterer.
func (l *List[T]) Wrong() error { return l.wrong }

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

// Update implements Pane.
func (l *List[T]) Update(msg tea.Msg) tea.Cmd {
	do, ok := msg.(pane.CommandMsg)
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
	case pane.Up:
		l.moveTo(l.at - 1)
	case pane.Down:
		l.moveTo(l.at + 1)
	case pane.Top:
		l.moveTo(0)
	case pane.Bottom:
		l.moveTo(len(l.rows) - 1)
	case pane.PageUp:
		l.moveTo(l.at - page)
	case pane.PageDown:
		l.moveTo(l.at + page)
	case pane.HalfUp:
		l.moveTo(l.at - max(1, page/2))
	case pane.HalfDown:
		l.moveTo(l.at + max(1, page/2))
	case pane.Open:
		e := l.entry()
		if e == nil {
			return pane.Send(pane.NoticeMsg{Text: "there is no row to open"})
		}
		if e.group != "" {
			l.toggle(e)
			return nil
		}
		l.open, l.docTop, l.docKey, l.find = true, 0, "", ""
	case pane.Beside:
		l.SetDetail(!l.beside)
	case pane.TabNext, pane.TabPrev:
		return l.turn(do.Command)
	case pane.Mark:
		if e := l.entry(); e != nil {
			l.markEntry(e, !l.isMarked(e))
			l.moveTo(l.at + 1)
		}
	case pane.MarkRange:
		return l.markRange()
	case pane.SortNext:
		return l.sortNext()
	case pane.CopyRow:
		if t := l.Target(); len(t.IDs) > 0 {
			what := t.IDs[0]
			if len(t.IDs) > 1 {
				what = fmt.Sprintf("%d names", len(t.IDs))
			}
			return pane.Send(pane.CopyMsg{Text: strings.Join(t.IDs, "\n"), What: what})
		}
		return pane.Send(pane.NoticeMsg{Text: "there is no row to copy"})
	case pane.Follow:
		l.moved = time.Time{}
		l.rebuild()
		return pane.Send(pane.NoticeMsg{Text: "rows are in order again"})
	case pane.Back:
		switch {
		case len(l.marks) > 0 || l.from != "":
			l.marks, l.from = map[string]bool{}, ""
		case l.filter != "":
			l.SetFilter("")
		default:
			return pane.Send(pane.ClosedMsg{})
		}
	case pane.Left, pane.Right, pane.FoldAll, pane.GroupRows:
		if ok, cmd := l.foldKey(do.Command); ok {
			return cmd
		}
		return pane.Send(pane.UnhandledMsg(do))
	default:
		return pane.Send(pane.UnhandledMsg(do))
	}
	return nil
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
	how := ""
	if l.reverse {
		how = ", in reverse"
	}
	name := strings.ToLower(l.spec.Cols[l.sort].Title)
	if name == "!" {
		name = "what needs attention"
	}
	return pane.Send(pane.NoticeMsg{Text: "sorted by " + name + how})
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
	l.at, l.sel = i, l.rows[i].id
	l.dirty = true
	l.scroll()
}
