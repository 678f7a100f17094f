package views

import (
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/pane"
)

// tableOf returns the pane of a section that has no pane of its own, with these rows.
func tableOf(env *pane.Env, rows ...state.Row) pane.Pane {
	p := NewTable(env, &state.Descriptor{Name: "things", Noun: "thing", Pane: "Things.", Lists: []state.List{{
		Columns: []string{"PID", "LAST-SEEN", "SIZE", "WORD"}, Rows: func(*state.Snapshot) []state.Row { return rows }}}})
	p.Resize(80, 12)
	p.Apply(&state.Snapshot{Version: 1, Versions: map[state.SectionName]uint64{"things": 1},
		Unknown: map[state.SectionName]state.Unknown{"things": {Health: state.Health{Status: state.OK}}}})
	return p
}

// lines returns what a pane draws, without its styles and empty lines.
func lines(p pane.Pane) (out []string) {
	p.Touch()
	for _, l := range strings.Split(ansi.Strip(p.View()), "\n") {
		if l = strings.Join(strings.Fields(l), " "); l != "" {
			out = append(out, l)
		}
	}
	return out
}

func TestRowsWithoutNamesStayOnTheScreen(t *testing.T) {
	env := testEnv()
	p := tableOf(env, state.Row{Cells: []any{7, nil, nil, "a"}}, state.Row{Cells: []any{7, nil, nil, "b"}}, state.Row{Cells: []any{9, nil, nil, "c"}})
	for _, c := range []pane.Command{pane.Down, pane.Down, pane.SortNext} {
		p.Update(pane.CommandMsg{Command: c})
		if got := lines(p); len(got) != 4 {
			t.Errorf("after %s: %q, want a title and three rows", c, got)
		}
	}
	if got := p.Target().IDs; len(got) != 1 || got[0] == "" {
		t.Errorf("the target is %q, want a name", got)
	}
}

func TestATableShowsWhatNeedsAttentionFirstAndWhatIsUnknownAsUnknown(t *testing.T) {
	env := testEnv()
	p := tableOf(env,
		state.Row{Cells: []any{1, env.Now().Add(-time.Hour), state.Bytes(1 << 20), "fine"}},
		state.Row{Cells: []any{2, time.Time{}, state.Bytes(-1), ""}, Bad: true})
	got := lines(p)
	if want := []string{"! PID", "✗ 2 – – –", "1 1h 1.0 MiB fine"}; len(got) != 3 || !strings.HasPrefix(got[0], want[0]) || !strings.HasSuffix(got[1], want[1]) || got[2] != want[2] {
		t.Errorf("got %q, want %q", got, want)
	}
	var said []string
	for _, s := range p.Summary() {
		said = append(said, s.Text)
	}
	if got, want := strings.Join(said, ", "), "✗ 1 need attention, 2"; got != want {
		t.Errorf("its summary is %q, want %q", got, want)
	}
}

func TestATableIsFilteredBySizesAndAges(t *testing.T) {
	env := testEnv()
	p := tableOf(env,
		state.Row{Cells: []any{10, env.Now().Add(-2 * time.Hour), state.Bytes(300 << 20), "old large"}},
		state.Row{Cells: []any{20, env.Now().Add(-time.Minute), state.Bytes(1 << 10), "new small"}},
		state.Row{Cells: []any{30, nil, nil, "unknown"}})
	for filter, want := range map[string]string{
		"last-seen>1h": "10", "last-seen<5m": "20", "size>=200MiB": "10", "size<1MiB": "20", "pid>15": "20 30", "pid:10": "10", "word:large": "10",
		"word:small or pid>25": "20 30",
	} {
		p.(pane.Filterer).SetFilter(filter)
		if err := p.(pane.Filterer).Wrong(); err != nil {
			t.Errorf("%s: %v", filter, err)
		}
		var got []string
		for _, l := range lines(p)[1:] {
			got = append(got, strings.Fields(strings.TrimPrefix(l, "▸ "))[0])
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%s keeps %q, want %q", filter, g, want)
		}
	}
}
