package list

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/pane"
)

// Field is a name that a filter can ask about. One of its functions is set.
type Field[T any] struct {
	Name string
	// Text is what "name:value" looks into; Whole says that the value must be its
	// beginning ("health:healthy" is not "unhealthy").
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
)

// example returns a value as it is written.
func (u Unit) example() string {
	return [...]string{"3", "50", "200MiB or 80%", "1MiB", "10m"}[u]
}

// wrongTerm is a mistake in a filter: At is the column of the term, from 1.
type wrongTerm struct {
	At         int
	Term, What string
}

// Error implements error.
func (w wrongTerm) Error() string {
	return fmt.Sprintf("at column %d, %s: %s", w.At, w.Term, w.What)
}

// term is a word of a filter.
type term struct {
	at     int // in characters, from 1
	raw    string
	text   string // without quotes and "!"
	quoted int    // index in text from which it was quoted, -1
	not    bool
}

// terms splits a filter at spaces; quotes hold text together.
func terms(s string) (out []term, err error) {
	rs := []rune(s)
	for i := 0; i < len(rs); {
		if unicode.IsSpace(rs[i]) {
			i++
			continue
		}
		t := term{at: i + 1, quoted: -1}
		var text []rune
		start, quote := i, false
		if rs[i] == '!' {
			t.not = true
			i++
		}
		for ; i < len(rs) && (quote || !unicode.IsSpace(rs[i])); i++ {
			if rs[i] == '"' {
				quote = !quote
				if t.quoted < 0 {
					t.quoted = len(string(text))
				}
				continue
			}
			text = append(text, rs[i])
		}
		t.raw, t.text = string(rs[start:i]), string(text)
		if quote && err == nil {
			err = wrongTerm{t.at, t.raw, `the quote is not closed: end it with "`}
		}
		if t.text != "" {
			out = append(out, t)
		}
	}
	return out, err
}

// Query reads a filter: words that must occur in the row's text (words), and terms
// over fields, all of which must hold; "!" before one inverts it. keep is nil
// where nothing is asked. An error is the first mistake; keep is then what the
// other terms say.
func Query[T any](env *pane.Env, filter string, fields []Field[T], words func(*T, string) bool) (keep func(*T) bool, err error) {
	ts, err := terms(filter)
	var tests []func(*T) bool
	for _, t := range ts {
		test, werr := termTest(env, t, fields, words)
		if werr != "" {
			if err == nil {
				err = wrongTerm{t.at, t.raw, werr}
			}
			continue
		}
		if t.not {
			inner := test
			test = func(r *T) bool { return !inner(r) }
		}
		tests = append(tests, test)
	}
	if len(tests) == 0 {
		return nil, err
	}
	return func(r *T) bool {
		for _, t := range tests {
			if !t(r) {
				return false
			}
		}
		return true
	}, err
}

// termTest returns what one term asks of a row, or what is wrong with it.
func termTest[T any](env *pane.Env, t term, fields []Field[T], words func(*T, string) bool) (func(*T) bool, string) {
	word := func() (func(*T) bool, string) {
		w := strings.ToLower(t.text)
		return func(r *T) bool { return words(r, w) }, ""
	}
	at := strings.IndexAny(t.text, ":<>=")
	if at <= 0 || t.quoted >= 0 && t.quoted <= at {
		return word()
	}
	name, rest := strings.ToLower(t.text[:at]), t.text[at:]
	op := rest[:1]
	if strings.HasPrefix(rest, ">=") || strings.HasPrefix(rest, "<=") {
		op = rest[:2]
	}
	value := strings.TrimSpace(rest[len(op):])
	var f *Field[T]
	for i := range fields {
		if fields[i].Name == name {
			f = &fields[i]
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
			return nil, fmt.Sprintf("there is no field %s: %s was meant? In quotes it is plain text", name, near)
		case op == ":" || op == "=":
			return word() // image:tag, address:port
		}
		return nil, fmt.Sprintf("there is no field %s to compare: %s", name, compared(fields))
	}
	if value == "" {
		if f.Num != nil {
			return nil, fmt.Sprintf("a value is missing, such as %s>%s", name, f.Unit.example())
		}
		return nil, fmt.Sprintf("what shall it be? A text goes after %s:", name)
	}
	switch {
	case f.Num != nil:
		return compare(env, f, op, value)
	case op != ":" && op != "=":
		return nil, fmt.Sprintf("%s is text and is not compared: %s:%s looks for it", name, name, value)
	case f.Test != nil:
		test, err := f.Test(value)
		if err != nil {
			return nil, err.Error()
		}
		return test, ""
	}
	want := strings.ToLower(value)
	if f.Whole {
		return func(r *T) bool { return strings.HasPrefix(strings.ToLower(f.Text(r)), want) }, ""
	}
	return func(r *T) bool { return strings.Contains(strings.ToLower(f.Text(r)), want) }, ""
}

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
	default:
		holds = func(v float64) bool { return v == want }
	}
	return func(r *T) bool {
		v := get(r)
		return v >= 0 && holds(v)
	}, ""
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
