package state

import (
	"fmt"
	"strings"
	"time"
)

// List is a table of a section: what `opsdeck GROUP USE` prints, and what the console
// shows of a section that has no pane of its own.
type List struct {
	// Group is the command that it is part of, by default the section's name; Use the
	// word under it, by default "list"; Short its help.
	Group, Use, Short string
	// Columns are the titles. A title has no spaces.
	Columns []string
	Rows    func(*Snapshot) []Row
	// JSON is what --json prints.
	JSON func(*Snapshot) any
}

// Row is one row of a [List].
type Row struct {
	// ID is its identity: the target that actions know it by, and what `show` takes. ""
	// is the text of its first cell, with a number where several have that.
	ID string
	// Bad says that it needs attention.
	Bad bool
	// Cells are its values in the order of the columns: a string, int, float64,
	// [Bytes], [Unit], [Signed], [Since], time.Time or time.Duration. nil, an empty
	// string, the zero time and a negative number that is not Signed are unknown.
	Cells []any
	// Value is all that is known of it, which `opsdeck GROUP show ID` prints as JSON;
	// nil where the list is not one of things that can be shown.
	Value any
}

// All returns the rows of a snapshot, each with an ID of its own.
func (l *List) All(s *Snapshot) []Row {
	rows := l.Rows(s)
	taken := make(map[string]bool, len(rows))
	for i := range rows {
		id := rows[i].ID
		if id == "" && len(rows[i].Cells) > 0 {
			id = fmt.Sprint(rows[i].Cells[0])
		}
		for n := 2; taken[id]; n++ {
			id = fmt.Sprintf("%s#%d", strings.TrimSuffix(id, fmt.Sprintf("#%d", n-1)), n)
		}
		taken[id] = true
		rows[i].ID = id
	}
	return rows
}

// Bytes is a size in bytes; negative where unknown.
type Bytes float64

// Unit is a number with its unit: "12.5" and "%". Precision is how many digits stand
// behind its point, negative for as many as it has.
type Unit struct {
	Value     float64
	Precision int
	Unit      string
}

// Since is a word and how long ago it came to hold: "asked for it 3 minutes ago".
type Since struct {
	Word string
	At   time.Time
}

// Signed is a number whose sign means something, so that a negative one is known.
type Signed struct {
	Value float64
	Unit  string
}

// rowsOf returns a row for each of list.
func rowsOf[T any](list []T, row func(*T) Row) []Row {
	rows := make([]Row, 0, len(list))
	for i := range list {
		r := row(&list[i])
		if r.Value == nil {
			r.Value = &list[i]
		}
		rows = append(rows, r)
	}
	return rows
}

// clock returns a time of day for people, "" for the zero time.
func clock(t time.Time, layout string) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(layout)
}

// firstLine returns the first line of the first text that is not empty.
func firstLine(texts ...string) string {
	for _, t := range texts {
		for i, r := range t {
			if r == '\n' {
				return t[:i]
			}
		}
		if t != "" {
			return t
		}
	}
	return ""
}
