package list

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/pane"
)

var update = flag.Bool("update", false, "write the golden walk anew")

type thing struct {
	name, team, part string
	size             float64
}

// things is a list of them, and what its steps come to.
type things struct {
	t    *testing.T
	l    *List[thing]
	rows []thing
	now  time.Time
	v    uint64
	out  strings.Builder
	was  []string
}

func newThings(t *testing.T, n int) *things {
	w := &things{t: t, now: time.Unix(1000, 0)}
	for i := range n {
		x := thing{name: fmt.Sprintf("n%02d", i), size: float64(i * 7 % 10)}
		if i%4 != 3 {
			x.team, x.part = string(rune('A'+i%4)), string(rune('a'+i%3))
		}
		w.rows = append(w.rows, x)
	}
	env := &pane.Env{Theme: theme.New(theme.Options{Name: "none"}), Now: func() time.Time { return w.now }, Local: time.UTC}
	text := func(get func(*thing) string) func(*pane.Env, *thing) (string, theme.Ink) {
		return func(e *pane.Env, x *thing) (string, theme.Ink) { return get(x), e.Theme.Text }
	}
	w.l = New(env, Spec[thing]{
		Info: pane.Info{Name: "things", Title: "Things"}, Order: "Name",
		Cols: []Column[thing]{
			{Title: "Name", W: 8, Flex: 2, Tree: true, Cell: text(func(x *thing) string { return x.name }), Cmp: func(a, b *thing) int { return strings.Compare(a.name, b.name) }},
			{Title: "Size", W: 5, Right: true, Rank: 1, Unit: Number, Num: func(_ *pane.Env, x *thing) float64 { return x.size }, Cell: text(func(x *thing) string { return fmt.Sprint(x.size) }), Cmp: func(a, b *thing) int { return cmp.Compare(b.size, a.size) }},
			{Title: "Note", W: 9, Flex: 1, Rank: 2, Cell: text(func(x *thing) string { return "note " + x.part })},
			{Title: "Team", W: 5, Rank: 2, Cell: text(func(x *thing) string { return x.team })},
			{Title: "Rare", W: 5, Rank: 3, Extra: true, Cell: text(func(*thing) string { return "rare" })},
			{Title: "When", W: 5, Rank: 3, When: func(s *state.Snapshot) bool { return s.Host.Cores > 1 }, Cell: text(func(*thing) string { return "when" })},
		},
		Rows: func(*state.Snapshot) []thing { return w.rows },
		ID:   func(x *thing) string { return x.name }, Target: func(x *thing) string { return "the " + x.name },
		Text:   func(x *thing) string { return x.name + " " + x.team },
		Health: func(s *state.Snapshot) state.Health { return s.Host.Health },
		Stale:  func(_ *state.Snapshot, x *thing) bool { return x.name == "n02" },
		Deps:   []state.SectionName{state.SectionHost},
		Empty:  func(*state.Snapshot) string { return "there are no things" },
		Summary: func(e *pane.Env, _ *state.Snapshot) []pane.Span {
			return []pane.Span{{Ink: e.Theme.Dim, Text: "things"}}
		},
		Tabs: []Tab[thing]{{Title: "First", Draw: func(d *pane.Doc, _ *state.Snapshot, x *thing) { d.Text(d.Env.Theme.Text, x.name+" of "+x.team) }},
			{Title: "Second", Search: true, Part: "heavy", Draw: func(d *pane.Doc, _ *state.Snapshot, x *thing) {
				for i := range 30 {
					d.Text(d.Env.Theme.Text, fmt.Sprintf("line %d", i))
				}
			}}, {Title: "Third", Draw: func(*pane.Doc, *state.Snapshot, *thing) {}}},
		Look: func(x *thing, part string) state.Interests {
			return state.Interests{{Topic: "thing", Key: x.name + " " + part}}
		},
		Watch: state.Interests{{Topic: "all"}},
		Shell: func(x *thing) string { return "box " + x.name },
		Fold: &Fold[thing]{What: "by team",
			Key: func(x *thing, depth int) string {
				return [...]string{x.team, x.part, ""}[min(depth, 2)]
			},
			Sum: func(all []*thing) thing {
				sum := thing{name: all[0].name, team: all[0].team, part: all[0].part}
				for _, x := range all {
					sum.size += x.size
				}
				return sum
			},
			Cell: func(e *pane.Env, column string, sum *thing, all []*thing) (string, theme.Ink, bool) {
				return fmt.Sprintf("%s, %d", sum.team, len(all)), e.Theme.Strong, column == "Name"
			},
			Name: func(sum *thing) string { return "team " + sum.team },
			Draw: func(d *pane.Doc, _ *state.Snapshot, sum *thing, all []*thing) {
				d.Text(d.Env.Theme.Text, fmt.Sprintf("%d of team %s", len(all), sum.team))
			}},
	})
	w.l.Resize(50, 14)
	w.l.Focus(true)
	w.note("nothing yet", nil)
	w.show("the rows")
	return w
}

// show applies the rows as they are now.
func (w *things) show(head string) {
	w.v++
	w.l.Apply(&state.Snapshot{Version: w.v, Versions: map[state.SectionName]uint64{state.SectionHost: w.v}, Host: state.Host{Health: state.Health{Status: state.OK}}})
	w.note(head, nil)
}

func (w *things) note(head string, cmd tea.Cmd) {
	said := ""
	if cmd != nil {
		said = fmt.Sprintf(", %T%+v", cmd(), cmd())
	}
	var sum []string
	for _, s := range w.l.Summary() {
		sum = append(sum, s.Text)
	}
	x := w.l.Target()
	fmt.Fprintf(&w.out, "== %s%s\n%q, for %q marked %v %q %q, looks at %v\n", head, said, sum, x.IDs, x.Marked, x.Name, x.Container, x.Looks)
	lines := strings.Split(ansi.Strip(w.l.View()), "\n")
	for i, l := range lines {
		if l = strings.TrimRight(l, " "); i >= len(w.was) || w.was[i] != l {
			fmt.Fprintf(&w.out, "%2d %s\n", i, l)
		}
		lines[i] = l
	}
	w.was = lines
}

func (w *things) do(cs ...pane.Command) {
	for _, c := range cs {
		w.note(string(c), w.l.Update(pane.CommandMsg{Command: c}))
	}
}

func (w *things) check(name string) {
	w.t.Helper()
	file := filepath.Join("..", "..", "testdata", "golden", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(w.out.String()), 0o644); err != nil {
			w.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatalf("%v: go test ./views/list -update writes it", err)
	}
	got, wants, head := strings.Split(w.out.String(), "\n"), strings.Split(string(want), "\n"), ""
	for i := range min(len(got), len(wants)) {
		if strings.HasPrefix(got[i], "== ") {
			head = got[i]
		}
		if got[i] != wants[i] {
			w.t.Fatalf("line %d of %s, %s: got\n%s\nwant\n%s", i+1, file, head, got[i], wants[i])
		}
	}
	if len(got) != len(wants) {
		w.t.Errorf("%s: got %d lines, want %d", file, len(got), len(wants))
	}
}

// A walk through a list: the cursor, groups, marks, filters, order, what comes and goes
// meanwhile, and the detail.
func TestAWalkThroughAList(t *testing.T) {
	w := newThings(t, 22)
	w.do(pane.Down, pane.Right, pane.Right, pane.Right, pane.Left, pane.Left, pane.Left, pane.Left, pane.Left, pane.Right, pane.Bottom, pane.Left, pane.PageUp, pane.HalfUp, pane.HalfDown, pane.PageDown, pane.Top, pane.Up)
	w.do(pane.FoldAll, pane.Down, pane.Mark, pane.Mark, pane.CopyRow, pane.Back, pane.FoldAll, pane.MarkRange, pane.Down, pane.Down, pane.MarkRange, pane.CopyRow, pane.Mark, pane.Up, pane.Mark, pane.Back, pane.CopyRow, pane.MarkRange, pane.Back, pane.Open, pane.Open)
	w.do(pane.GroupRows, pane.Left, pane.FoldAll, pane.SortNext, pane.SortNext, pane.SortNext, pane.SortNext, pane.SortNext)
	w.l.SetFilter("A")
	w.note("a filter", nil)
	w.do(pane.GroupRows, pane.FoldAll, pane.Down)
	w.l.SetFilter("size>5")
	w.note("another filter", nil)
	w.l.SetFilter("sise>5")
	w.note("a wrong filter", nil)
	w.l.SetFilter("none")
	w.note("nothing passes", nil)
	w.do(pane.Open, pane.CopyRow, pane.FoldAll, pane.Mark, pane.MarkRange, pane.Back, pane.Back)
	w.do(pane.Down, pane.Down, pane.Down)
	w.rows = append(w.rows[3:], thing{name: "n00x", size: 99}, thing{name: "zz", team: "A", part: "a"})
	w.show("some come, some go, while one moves")
	w.l.Touch()
	w.note("touched", nil)
	w.now = w.now.Add(3999 * time.Millisecond)
	w.l.Touch()
	w.note("almost 4 s later", nil)
	w.now = w.now.Add(time.Millisecond)
	w.l.Touch()
	w.note("4 s later", nil)
	w.do(pane.Down)
	w.rows = append([]thing(nil), w.rows[:len(w.rows)-2]...)
	w.show("some go")
	w.do(pane.Follow, pane.Beside, pane.TabNext, pane.TabNext, pane.TabPrev, pane.TabPrev, pane.TabPrev, pane.Beside, pane.TabNext)
	w.l.Resize(130, 12)
	w.note("wide", nil)
	w.do(pane.Beside, pane.Beside, pane.Down, pane.Open, pane.TabNext, pane.Down, pane.PageDown, pane.HalfDown, pane.HalfUp, pane.PageUp, pane.Bottom, pane.Up, pane.Top, pane.CopyRow)
	for _, text := range []string{"LINE 1", "line 29", "nowhere", ""} {
		w.note("find "+text, w.l.Find(text))
		w.do(pane.FindNext, pane.FindNext, pane.FindPrev, pane.FindPrev)
	}
	w.l.Find("line")
	w.do(pane.Back, pane.Back, pane.Edit)
	for _, size := range [][2]int{{130, 40}, {60, 24}, {30, 9}, {19, 5}, {8, 3}, {4, 2}, {1, 1}, {40, 0}, {60, 24}} {
		w.l.Resize(size[0], size[1])
		w.note(fmt.Sprintf("%d x %d", size[0], size[1]), nil)
	}
	w.l.SetColumns([]string{"Rare", "Team"})
	w.note(fmt.Sprint(w.l.ColumnChoices()), nil)
	w.l.SetColumns(nil)
	w.note(fmt.Sprint(w.l.ColumnChoices()), nil)
	w.note(fmt.Sprint(w.l.Select("the n09"), w.l.Select("n99")), nil)
	w.l.SetFolds(false, []string{"/A", "/B"})
	what, flat, shut := w.l.Folds()
	w.note(fmt.Sprint(what, flat, shut, w.l.Select("the n12")), nil)
	w.l.SetSort("Size", true)
	by, reverse := w.l.Sort()
	w.note(fmt.Sprint(by, reverse), nil)
	w.l.SetSort("Note", false)
	w.now = w.now.Add(time.Hour)
	w.show("much later")
	w.rows = nil
	w.show("no rows")
	w.do(pane.Up, pane.Down, pane.Left, pane.Open)
	w.check("walk-list")
}

// What a former session left is where the list begins, and nothing waits.
func TestARestoredListBeginsAtItsTop(t *testing.T) {
	w := newThings(t, 30)
	w.l.SetFolds(true, nil)
	if !w.l.Restore("n25") || w.l.Restore("nope") {
		t.Fatal("got what is not there, want n25")
	}
	w.show("restored")
	w.rows = append(w.rows, thing{name: "n000"})
	w.show("one more")
	w.do(pane.Up)
	w.rows = append(w.rows, thing{name: "n001"})
	w.show("one more while one moves")
	w.check("walk-restored")
}

func TestLettersApartAreCounted(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"state", "state", 0}, {"sate", "state", 1}, {"statee", "state", 1}, {"stote", "state", 1}, {"satte", "state", 1}, {"", "abc", 3}, {"abc", "", 3}, {"ab", "ba", 1}, {"abcd", "badc", 2}, {"kitten", "sitting", 3}, {"ca", "abc", 3}} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("%q and %q: got %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestFiguresAreComparedInTheirUnits(t *testing.T) {
	env := &pane.Env{Theme: theme.New(theme.Options{Name: "none"}), Now: time.Now, Local: time.UTC}
	field := func(u Unit) *Field[float64] {
		return &Field[float64]{Name: "x", Unit: u, Num: func(_ *pane.Env, v *float64) float64 { return *v }, Percent: func(v *float64) float64 { return *v * 10 }}
	}
	for _, tt := range []struct {
		unit      Unit
		op, value string
		v         float64
		want      bool
		wrong     string
	}{
		{Number, ">", "5", 5, false, ""}, {Number, ">", "5", 5.1, true, ""}, {Number, ">=", "5", 5, true, ""}, {Number, ">=", "5", 4.9, false, ""}, {Number, "<", "5", 5, false, ""}, {Number, "<", "5", 4, true, ""}, {Number, "<=", "5", 5, true, ""}, {Number, "<=", "5", 5.1, false, ""}, {Number, "=", "5", 5, true, ""}, {Number, ":", "5", 4, false, ""}, {Number, "!=", "5", 4, true, ""}, {Number, "!=", "5", 5, false, ""},
		{Number, "<", "5", -1, false, ""}, {Number, "<", "5", 0, true, ""}, {Number, ">", "5%", 0, false, "is no value"}, {Number, ">", "inf", 0, false, "is no value"}, {Number, ">", "nan", 0, false, "is no value"},
		{Percent, ">", "5%", 6, true, ""}, {Percent, ">", "5", 6, true, ""}, {Percent, ">", "x%", 6, false, "is no value"},
		{BytesOrPercent, ">", "50%", 6, true, ""}, {BytesOrPercent, ">", "50%", 5, false, ""}, {BytesOrPercent, ">", "1KiB", 1025, true, ""}, {BytesOrPercent, ">", "5", 6, false, "of what?"}, {BytesOrPercent, ">", "0", 6, true, ""},
		{Bytes, ">", "5", 6, true, ""}, {Bytes, ">", "1k", 6, false, ""}, {Bytes, ">", "5%", 6, false, "is no value"},
		{Duration, ">", "1m", 61, true, ""}, {Duration, ">", "1d", 86401, true, ""}, {Duration, ">", "0d", 1, true, ""}, {Duration, ">", "36500d", 1, false, ""}, {Duration, ">", "36501d", 1, false, "is no value"}, {Duration, ">", "-1d", 1, false, "is no value"}, {Duration, ">", "-1s", 1, false, "is no value"}, {Duration, ">", "0s", 1, true, ""}, {Duration, ">", "xd", 1, false, "is no value"},
	} {
		holds, wrong := compare(env, field(tt.unit), tt.op, tt.value)
		if !strings.Contains(wrong, tt.wrong) || (wrong == "") != (tt.wrong == "") {
			t.Errorf("%d %s %s: got %q, want %q", tt.unit, tt.op, tt.value, wrong, tt.wrong)
		}
		if wrong == "" && holds(&tt.v) != tt.want {
			t.Errorf("%v %s %s: got %v, want %v", tt.v, tt.op, tt.value, !tt.want, tt.want)
		}
	}
	for _, tt := range []struct {
		text, want string
		whole, is  bool
	}{{"unhealthy", "healthy", false, true}, {"unhealthy", "healthy", true, false}, {"x healthy", "healthy", true, true}, {"unhealthy healthy", "healthy", true, true}, {"healthy", "heal", true, true}, {"", "x", true, false}} {
		if got := says(tt.text, tt.want, tt.whole); got != tt.is {
			t.Errorf("%q in %q: got %v, want %v", tt.want, tt.text, got, tt.is)
		}
	}
}
