package list

import (
	"cmp"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/pane"
)

// Fold says how the rows of a list stand under headings that can be folded.
type Fold[T any] struct {
	// What names the groups in the palette: "by project".
	What string
	// Key is the group that a row belongs to at a depth, 0 the outermost; "" for a row
	// that stands by itself there. A group of one row has no heading.
	Key func(r *T, depth int) string
	// Sum is a heading's own row, of the rows under it: what the columns' order
	// compares, and what they show where Cell does not know better. It is called for
	// each heading whenever rows change.
	Sum func(members []*T) T
	// Cell is what a heading shows in the column of that title.
	Cell func(e *pane.Env, column string, sum *T, members []*T) (text string, ink theme.Ink, ok bool)
	// Name is what a heading stands for: "project shop".
	Name func(sum *T) string
	// Draw is a heading's detail.
	Draw func(d *pane.Doc, s *state.Snapshot, sum *T, members []*T)
}

// entry is one line of a list: a row, or the heading of a group.
type entry[T any] struct {
	row   *T
	id    string
	depth int
	// group is a heading's key, "" of a row; members are the rows under it, folded or
	// not.
	group   string
	members []*T
}

// groupID returns the identity of a heading; no row has one that begins so.
func groupID(key string) string { return "\x00" + key }

// arrange turns rows that were filtered into lines: sorted, under their headings.
func (l *List[T]) arrange(rows []*T) []entry[T] {
	if l.spec.Fold == nil || l.flat {
		l.sortRows(rows)
		out := make([]entry[T], len(rows))
		for i, r := range rows {
			out[i] = entry[T]{row: r, id: l.spec.ID(r)}
		}
		return out
	}
	return l.tree(make([]entry[T], 0, len(rows)), rows, 0, "")
}

// tree appends rows of one group, those of its inner groups under their headings.
// There may be thousands of groups, most of them small and without inner ones.
func (l *List[T]) tree(out []entry[T], rows []*T, depth int, parent string) []entry[T] {
	type group struct {
		key     string
		members []*T
	}
	var groups []group
	index := map[string]int{}
	if !l.alike(rows, depth) {
		l.sortRows(rows)
		for _, r := range rows {
			out = append(out, entry[T]{row: r, id: l.spec.ID(r), depth: depth})
		}
		return out
	}
	alone := make([]*T, 0, min(len(rows), 64))
	for _, r := range rows {
		key := l.spec.Fold.Key(r, depth)
		if key == "" {
			alone = append(alone, r)
			continue
		}
		i, ok := index[key]
		if !ok {
			i = len(groups)
			index[key] = i
			groups = append(groups, group{key: key})
		}
		groups[i].members = append(groups[i].members, r)
	}
	heads := make(map[*T]int, len(groups))
	for i := range groups {
		g := &groups[i]
		if len(g.members) == 1 {
			alone = append(alone, g.members[0])
			continue
		}
		sum := l.spec.Fold.Sum(g.members)
		heads[&sum] = i
		alone = append(alone, &sum)
	}
	l.sortRows(alone)
	for _, r := range alone {
		i, head := heads[r]
		if !head {
			out = append(out, entry[T]{row: r, id: l.spec.ID(r), depth: depth})
			continue
		}
		g := &groups[i]
		full := parent + "/" + g.key
		out = append(out, entry[T]{row: r, id: groupID(full), depth: depth, group: full, members: g.members})
		if !l.shut()[full] {
			out = l.tree(out, g.members, depth+1, full)
		}
	}
	return out
}

// alike reports whether two of the rows are of one group at a depth.
func (l *List[T]) alike(rows []*T, depth int) bool {
	if len(rows) > 16 {
		return true
	}
	var keys [16]string
	for i, r := range rows {
		if keys[i] = l.spec.Fold.Key(r, depth); keys[i] != "" && slices.Contains(keys[:i], keys[i]) {
			return true
		}
	}
	return false
}

// sortRows sorts by the column in force, then by name and identity.
func (l *List[T]) sortRows(rows []*T) {
	if l.sort < 0 {
		return
	}
	order := l.spec.Cols[l.sort].Cmp
	slices.SortStableFunc(rows, func(a, b *T) int {
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

// shut returns the groups that are folded. A filter begins with none: what it finds is
// to be seen.
func (l *List[T]) shut() map[string]bool {
	if l.filter != "" {
		return l.shutFound
	}
	return l.shutAll
}

// Folds implements Folder.
func (l *List[T]) Folds() (what string, flat bool, shut []string) {
	if l.spec.Fold == nil {
		return "", false, nil
	}
	for k := range l.shutAll {
		shut = append(shut, k)
	}
	slices.Sort(shut)
	return l.spec.Fold.What, l.flat, shut
}

// SetFolds implements Folder.
func (l *List[T]) SetFolds(flat bool, shut []string) {
	if l.spec.Fold == nil {
		return
	}
	l.flat = flat
	l.shutAll = map[string]bool{}
	for _, k := range shut {
		l.shutAll[k] = true
	}
	l.refold()
}

// refold arranges the rows anew at once, the selected line where it is.
func (l *List[T]) refold() {
	l.dirty, l.docKey = true, ""
	l.waiting, l.due = 0, false
	l.rows = l.arrange(l.keep())
	if l.indexOf(l.sel) < 0 {
		if e := l.heading(l.sel); e != nil {
			l.sel = e.id
		}
	}
	l.anchor()
}

// heading returns the line of the group that hides the row of that identity or target.
func (l *List[T]) heading(id string) *entry[T] {
	for i := range l.rows {
		if e := &l.rows[i]; e.group != "" && l.shut()[e.group] && slices.ContainsFunc(e.members, func(r *T) bool {
			return l.spec.ID(r) == id || l.spec.Target(r) == id
		}) {
			return e
		}
	}
	return nil
}

// toggle folds or unfolds the heading at the cursor.
func (l *List[T]) toggle(e *entry[T]) {
	if shut := l.shut(); shut[e.group] {
		delete(shut, e.group)
	} else {
		shut[e.group] = true
	}
	l.moved, l.restored = l.env.Now(), false
	l.refold()
}

// foldKey carries out left, right, fold-all and group. It reports whether there are groups here.
func (l *List[T]) foldKey(c pane.Command) (bool, tea.Cmd) {
	if l.spec.Fold == nil {
		return false, nil
	}
	if c == pane.GroupRows {
		l.flat = !l.flat
		l.refold()
		if l.flat {
			return true, pane.Send(pane.NoticeMsg{Text: "no groups: one list"})
		}
		return true, pane.Send(pane.NoticeMsg{Text: "grouped " + l.spec.Fold.What})
	}
	if l.flat {
		return true, pane.Send(pane.NoticeMsg{Text: "there are no groups: :group " + l.spec.Fold.What + " makes them"})
	}
	e := l.entry()
	if e == nil {
		return true, nil
	}
	switch {
	case c == pane.FoldAll:
		return true, l.foldAll()
	case e.group != "" && (c == pane.Left) != l.shut()[e.group]:
		l.toggle(e)
	case c == pane.Right && e.group != "":
		l.moveTo(l.at + 1)
	case c == pane.Left && e.depth > 0:
		for i := l.at; i >= 0; i-- {
			if h := &l.rows[i]; h.group != "" && h.depth < e.depth {
				l.moveTo(i)
				break
			}
		}
	default:
		return true, pane.Send(pane.NoticeMsg{Text: "there is no group here to fold"})
	}
	return true, nil
}

// foldAll folds every outermost group, or unfolds all where they are folded.
func (l *List[T]) foldAll() tea.Cmd {
	all, open := 0, 0
	shut := l.shut()
	for i := range l.rows {
		if e := &l.rows[i]; e.group != "" && e.depth == 0 {
			all++
			if !shut[e.group] {
				open++
			}
		}
	}
	if all == 0 {
		return pane.Send(pane.NoticeMsg{Text: "there is no group here to fold"})
	}
	if open == 0 {
		clear(shut)
	} else {
		for i := range l.rows {
			if e := &l.rows[i]; e.group != "" && e.depth == 0 {
				shut[e.group] = true
			}
		}
	}
	l.moved, l.restored = l.env.Now(), false
	l.refold()
	if open == 0 {
		return pane.Send(pane.NoticeMsg{Text: state.Plural(all, "group") + " unfolded"})
	}
	return pane.Send(pane.NoticeMsg{Text: state.Plural(all, "group") + " folded"})
}
