package list

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/pane"
)

// Field is a name that a filter can ask about. One of its functions is set.
type Field[T any] struct {
	Name string
	// Text is what "name:value" looks into; Whole says that the value must be the
	// beginning of one of its words ("health:healthy" is not "unhealthy").
	Text  func(*T) string
	Whole bool
	// Test is what "name:value" means where it is more than text; it may say what is
	// wrong with the value.
	Test func(value string) (func(*T) bool, error)
	// Num is what "name>value" compares; NaN or negative is unknown, and never kept.
	// Percent is the same for a value that ends in "%", nil where there is none.
	Num     func(env *pane.Env, r *T) float64
	Percent func(*T) float64
	Unit    Unit
}

// Unit says how a field's values are written.
type Unit uint8

const (
	Number Unit = iota
	Percent
	BytesOrPercent
	Bytes
	Duration
	// Any is a number, a size or a duration, as the cell is; such a column is text too.
	Any
)

// example returns a value as it is written.
func (u Unit) example() string {
	return [...]string{"3", "50", "200MiB or 80%", "1MiB", "10m", "3"}[u]
}

// Query reads a filter in the one grammar of filters: words that must occur in the row's
// text, and terms over fields, joined by and, or, not and parentheses; "!" before one
// inverts it. keep is nil where nothing is asked. An error is the first mistake; keep is
// then what the other terms say.
func Query[T any](env *pane.Env, filter string, fields []Field[T], text func(*T) string) (keep func(*T) bool, err error) {
	return record.CompileTerms(filter, record.Terms[*T]{Text: text, Compare: func(key, sign, value string) (func(*T) bool, bool, string) {
		return comparison(env, strings.ToLower(key), sign, strings.TrimSpace(value), fields)
	}})
}

// comparison returns what one comparison asks of a row, or what is wrong with it.
func comparison[T any](env *pane.Env, name, sign, value string, fields []Field[T]) (test func(*T) bool, is bool, wrong string) {
	var f *Field[T]
	for i := range fields {
		if fields[i].Name == name {
			f = &fields[i]
			break
		}
	}
	if f == nil {
		near := ""
		for i := range fields {
			if len(name) > 2 && distance(name, fields[i].Name) <= 1+len(name)/5 {
				near = fields[i].Name
				break
			}
		}
		switch {
		case near != "":
			return nil, true, fmt.Sprintf("there is no field %s: %s was meant? In quotes it is plain text", name, near)
		case sign == ":" || sign == "=":
			return nil, false, "" // image:tag, address:port
		}
		return nil, true, fmt.Sprintf("there is no field %s to compare: %s", name, compared(fields))
	}
	if value == "" {
		if f.Num != nil {
			return nil, true, fmt.Sprintf("a value is missing, such as %s>%s", name, f.Unit.example())
		}
		return nil, true, fmt.Sprintf("what shall it be? A text goes after %s:", name)
	}
	ordered := strings.ContainsAny(sign, "<>")
	switch {
	case f.Num != nil && !strings.Contains(sign, "~") && (f.Unit != Any || ordered):
		test, wrong = compare(env, f, sign, value)
		return test, true, wrong
	case ordered:
		return nil, true, fmt.Sprintf("%s is text and is not compared: %s:%s looks for it", name, name, value)
	case strings.Contains(sign, "~") && f.Text != nil:
		search, err := record.Regexp(value)
		if err != nil {
			return nil, true, err.Error()
		}
		test = func(r *T) bool { return search.Matcher().Match(f.Text(r)) }
	case strings.Contains(sign, "~"):
		return nil, true, fmt.Sprintf("%s takes no pattern: %s:%s looks for it", name, name, value)
	case f.Test != nil:
		var err error
		if test, err = f.Test(value); err != nil {
			return nil, true, err.Error()
		}
	default:
		want := strings.ToLower(value)
		test = func(r *T) bool { return says(strings.ToLower(f.Text(r)), want, f.Whole) }
	}
	if strings.HasPrefix(sign, "!") {
		is := test
		test = func(r *T) bool { return !is(r) }
	}
	return test, true, ""
}

// says reports whether a text holds what is wanted: anywhere, or, whole, at the beginning
// of one of its words.
func says(text, want string, whole bool) bool {
	if !whole {
		return strings.Contains(text, want)
	}
	for at := 0; ; {
		i := strings.Index(text[at:], want)
		if i < 0 {
			return false
		}
		if at += i; at == 0 || text[at-1] == ' ' {
			return true
		}
		at++
	}
}

// fields returns what a filter of the list can ask about: its own fields, then its
// columns by their titles.
func (s *Spec[T]) fields(env *pane.Env) []Field[T] {
	fields := slices.Clone(s.Fields)
	for i := range s.Cols {
		c := &s.Cols[i]
		name := strings.ToLower(strings.ReplaceAll(c.Title, " ", "-"))
		if name == "" || !columnName.MatchString(name) || slices.ContainsFunc(fields, func(f Field[T]) bool { return f.Name == name }) {
			continue
		}
		f := Field[T]{Name: name, Num: c.Num, Unit: c.Unit}
		if c.Num == nil || c.Unit == Any {
			f.Whole = true
			f.Text = func(r *T) string { text, _ := c.Cell(env, r); return text }
		}
		fields = append(fields, f)
	}
	return fields
}

// filterHelp says what a filter of the list can be made of.
func (s *Spec[T]) filterHelp(env *pane.Env) []pane.FilterHelp {
	var texts, figures []string
	for _, f := range s.fields(env) {
		switch {
		case f.Num != nil && f.Unit != Any:
			figures = append(figures, f.Name+">"+f.Unit.example())
		default:
			texts = append(texts, f.Name+":")
		}
	}
	help := []pane.FilterHelp{{Form: "word \"two words\"", Keeps: "text that all occurs in the row; /.../ is a regular expression"}}
	if len(texts) > 0 {
		help = append(help, pane.FilterHelp{Form: texts[0] + "text", Keeps: "text in that column; also " + strings.Join(texts[1:], " ")})
	}
	if len(figures) > 0 {
		help = append(help, pane.FilterHelp{Form: figures[0], Keeps: "also < >= <= = !=; " + strings.Join(figures[1:], " ")})
	}
	return append(help, pane.FilterHelp{Form: "a or b, !a, (...)", Keeps: "or, not and parentheses; terms side by side must all hold"})
}

// columnName is a title that can be asked about.
var columnName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// compared names the fields that can be compared.
func compared[T any](fields []Field[T]) string {
	var out []string
	for i := range fields {
		if fields[i].Num != nil {
			out = append(out, fields[i].Name)
		}
	}
	return strings.Join(out, ", ") + " can be"
}

// compare returns a comparison of a figure with a value.
func compare[T any](env *pane.Env, f *Field[T], op, value string) (func(*T) bool, string) {
	get := func(r *T) float64 { return f.Num(env, r) }
	bare, percent := strings.CutSuffix(value, "%")
	wrong := fmt.Sprintf("%q is no value of it: %s%s%s was expected", value, f.Name, op, f.Unit.example())
	var want float64
	switch {
	case percent && f.Unit == BytesOrPercent:
		get = f.Percent
		fallthrough
	case percent && f.Unit == Percent, f.Unit == Number || f.Unit == Percent:
		if percent && f.Unit == Number {
			return nil, wrong
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(bare), 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, wrong
		}
		want = v
	case f.Unit == Any:
		v, ok := anyFigure(value)
		if !ok {
			return nil, wrong
		}
		want = v
	case f.Unit == Duration:
		d, ok := parseSpan(value)
		if !ok {
			return nil, wrong
		}
		want = d.Seconds()
	default:
		v, scaled, err := state.ParseSize(value)
		if err != nil {
			return nil, wrong
		}
		if !scaled && v != 0 && f.Unit == BytesOrPercent {
			return nil, fmt.Sprintf("of what? %s%s%sMiB is memory, %s%s%s%% a share of the limit", f.Name, op, value, f.Name, op, value)
		}
		want = v
	}
	var holds func(v float64) bool
	switch op {
	case ">":
		holds = func(v float64) bool { return v > want }
	case ">=":
		holds = func(v float64) bool { return v >= want }
	case "<":
		holds = func(v float64) bool { return v < want }
	case "<=":
		holds = func(v float64) bool { return v <= want }
	case "!=":
		holds = func(v float64) bool { return v != want }
	default:
		holds = func(v float64) bool { return v == want }
	}
	return func(r *T) bool {
		v := get(r)
		return v >= 0 && holds(v)
	}, ""
}

// anyFigure reads a number, a duration in seconds, or a size in bytes.
func anyFigure(s string) (float64, bool) {
	if v, err := strconv.ParseFloat(s, 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
		return v, true
	}
	if d, ok := parseSpan(s); ok {
		return d.Seconds(), true
	}
	v, _, err := state.ParseSize(s)
	return v, err == nil
}

// parseSpan reads a duration, with "d" for days.
func parseSpan(s string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		v, err := strconv.ParseFloat(days, 64)
		if err != nil || v < 0 || v > 36500 {
			return 0, false
		}
		return time.Duration(v * 24 * float64(time.Hour)), true
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d >= 0
}

// distance returns how many letters must be changed, added, dropped or swapped with
// their neighbour to make b of a.
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
