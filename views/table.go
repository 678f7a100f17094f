package views

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/list"
	"github.com/opsdeck/opsdeck/views/pane"
)

// NewTable returns the pane of a section that has none of its own: the first of its
// lists, what needs attention first.
func NewTable(env *pane.Env, d *state.Descriptor) pane.Pane {
	l := d.Lists[0]
	title := strings.ToUpper(string(d.Name[:1])) + string(d.Name[1:])
	cols := []list.Column[state.Row]{{Title: "!", W: 1,
		Cell: func(e *pane.Env, r *state.Row) (string, theme.Ink) {
			if r.Bad {
				return e.Theme.Wrong, e.Theme.Bad
			}
			return "", e.Theme.Dim
		},
		Cmp: func(a, b *state.Row) int { return cmp.Compare(rank(a), rank(b)) }}}
	for i, name := range l.Columns {
		c := list.Column[state.Row]{Title: columnTitle(name), W: max(8, len(name)), Rank: i,
			Cell: func(e *pane.Env, r *state.Row) (string, theme.Ink) { return cellText(e, r.Cells[i]), e.Theme.Text },
			Num: func(e *pane.Env, r *state.Row) float64 {
				v, _ := cellNumber(e, r.Cells[i])
				return v
			},
			Unit: list.Any,
			Cmp:  func(a, b *state.Row) int { return compareCells(env, a.Cells[i], b.Cells[i]) }}
		switch i {
		case 0:
			c.W = 16
		case len(l.Columns) - 1:
			c.Flex = 1
		}
		cols = append(cols, c)
	}
	return list.New(env, list.Spec[state.Row]{
		Info:   pane.Info{Name: string(d.Name), Title: title, Section: d.Name, Acts: []state.SectionName{d.Name}, About: d.Pane},
		Cols:   cols,
		Order:  "!",
		Rows:   l.All,
		ID:     func(r *state.Row) string { return r.ID },
		Target: func(r *state.Row) string { return r.ID },
		Text: func(r *state.Row) string {
			var words []string
			for _, c := range r.Cells {
				words = append(words, cellText(env, c))
			}
			return strings.Join(words, " ")
		},
		Health: func(s *state.Snapshot) state.Health { return s.HealthOf(d.Name) },
		Deps:   []state.SectionName{d.Name},
		Empty:  func(*state.Snapshot) string { return "there are none" },
		Summary: func(e *pane.Env, s *state.Snapshot) (out []pane.Span) {
			bad, rows := 0, l.All(s)
			for i := range rows {
				bad += 1 - rank(&rows[i])
			}
			if bad > 0 {
				out = append(out, pane.Span{Ink: e.Theme.Bad, Text: fmt.Sprintf("%s %d need attention", e.Theme.Wrong, bad)})
			}
			return append(out, pane.Span{Ink: e.Theme.Dim, Text: strconv.Itoa(len(rows))})
		},
		Tabs: []list.Tab[state.Row]{{Title: "Overview", Draw: func(doc *pane.Doc, _ *state.Snapshot, r *state.Row) {
			for i, name := range l.Columns {
				doc.KV(strings.ToLower(name), doc.Env.Theme.Text, cellText(doc.Env, r.Cells[i]))
			}
		}}},
	})
}

// rank orders rows: 0 needs attention.
func rank(r *state.Row) int {
	if r.Bad {
		return 0
	}
	return 1
}

// columnTitle returns a list's title as a pane has it: "Last key" for "LAST-KEY".
func columnTitle(name string) string {
	if len(name) <= 3 {
		return name // an abbreviation: PID
	}
	name = strings.ToLower(strings.ReplaceAll(name, "-", " "))
	return strings.ToUpper(name[:1]) + name[1:]
}

// cellText returns a cell of a [state.Row] as it is drawn.
func cellText(e *pane.Env, c any) string {
	f := pane.FiguresOf(e.Theme)
	switch v := c.(type) {
	case nil:
		return e.Theme.Unknown
	case string:
		if v == "" {
			return e.Theme.Unknown
		}
		return v
	case int:
		return f.Count(float64(v))
	case time.Time:
		return f.Age(e.Now(), v)
	case time.Duration:
		return f.Span(v)
	case state.Bytes:
		return f.Bytes(float64(v))
	case float64:
		return f.Count(v)
	case state.Unit:
		if v.Value < 0 {
			return e.Theme.Unknown
		}
		return strconv.FormatFloat(v.Value, 'f', v.Precision, 64) + " " + v.Unit
	case state.Signed:
		return fmt.Sprintf("%+.1f%s", v.Value, v.Unit)
	case state.Since:
		return v.Word + " " + f.Age(e.Now(), v.At)
	}
	return fmt.Sprint(c)
}

// compareCells orders two cells of one column: numbers the largest first, as one looks
// for those, the rest by their text.
func compareCells(e *pane.Env, a, b any) int {
	x, xok := cellNumber(e, a)
	y, yok := cellNumber(e, b)
	if xok && yok {
		return cmp.Compare(y, x)
	}
	return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
}

// cellNumber returns the figure of a cell: times by their age, and durations, in seconds.
// It is negative where unknown; ok is false for text.
func cellNumber(e *pane.Env, c any) (v float64, ok bool) {
	switch v := c.(type) {
	case nil:
		return -1, true
	case int:
		return float64(v), true
	case float64:
		return v, true
	case state.Bytes:
		return float64(v), true
	case state.Unit:
		return v.Value, true
	case state.Signed:
		return v.Value, true
	case time.Duration:
		return v.Seconds(), true
	case time.Time:
		return age(e, v), true
	case state.Since:
		return age(e, v.At), true
	}
	return -1, false
}

func age(e *pane.Env, at time.Time) float64 {
	if at.IsZero() {
		return -1
	}
	return max(0, e.Now().Sub(at).Seconds())
}
