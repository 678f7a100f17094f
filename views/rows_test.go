package views

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/theme"
	"github.com/opsdeck/opsdeck/views/pane"
)

var update = flag.Bool("update", false, "write the golden rows anew")

// inked returns drawn text with its inks as letters: "{r ✗ failed}" is in that of what is
// bad. Plain text has none, and spaces at ends of lines are left out.
func inked(t *theme.Theme, text string) string {
	letters := strings.NewReplacer("\x1b[m", "}",
		t.Dim.Open(false), "{. ", t.Faint.Open(false), "{, ", t.Border.Open(false), "{| ", t.Bad.Open(false), "{r ", t.Warn.Open(false), "{w ", t.Good.Open(false), "{g ", t.Accent.Open(false), "{a ",
		t.Info.Open(false), "{i ", t.Strong.Open(false), "{s ")
	var out []string
	for _, l := range strings.Split(text, "\n") {
		out = append(out, strings.TrimRight(letters.Replace(l), " "))
	}
	return strings.TrimRight(strings.Join(out, "\n"), "\n")
}

func spans(t *theme.Theme, all []pane.Span) string {
	var out []string
	for _, s := range all {
		out = append(out, s.Ink.Paint(s.Text, false))
	}
	return inked(t, strings.Join(out, ", "))
}

// rowPane is what the panes that are lists have.
type rowPane interface {
	pane.Pane
	pane.Sorter
	pane.Columner
	SetFolds(flat bool, shut []string)
	Select(id string) bool
}

// order returns the targets of a pane's rows from the top.
func order(p rowPane) (ids []string) {
	p.Update(pane.CommandMsg{Command: pane.Top})
	for {
		at := strings.Join(p.Target().IDs, "+")
		ids = append(ids, at)
		p.Update(pane.CommandMsg{Command: pane.Down})
		if strings.Join(p.Target().IDs, "+") == at {
			return ids
		}
	}
}

// Every pane that is a list: its head and its cells, what it sums up, its order by each
// column, and of each row what an action on it would mean, what is looked at with it, and
// each tab of its detail.
func TestEveryPaneSaysWhatItsRowsAre(t *testing.T) {
	env := testEnv()
	env.Theme = theme.New(theme.Options{Name: "dark"})
	snap := edges(env.Now())
	for _, open := range []func(*pane.Env) pane.Pane{NewModules, NewPipeline, NewContainers, NewQueues, NewAlerts, NewRouting, NewActions, NewHost,
		func(e *pane.Env) pane.Pane { return NewTable(e, state.DescriptorOf(state.SectionServices)) }} {
		p := open(env).(rowPane)
		name := "rows-" + p.Info().Name
		t.Run(p.Info().Name, func(t *testing.T) {
			var out strings.Builder
			say := func(head, text string) { fmt.Fprintf(&out, "== %s\n%s\n", head, text) }
			p.SetFolds(true, nil)
			var columns []string
			for _, c := range p.ColumnChoices() {
				columns = append(columns, c.Title)
			}
			p.SetColumns(columns)
			p.Resize(340, 40)
			p.Apply(snap)
			say("summary", spans(env.Theme, p.Summary()))
			say("rows", inked(env.Theme, p.View()))
			for _, c := range columns {
				// One of its own, as rows keep their order while the cursor moves.
				sorted := open(env).(rowPane)
				sorted.SetFolds(true, nil)
				sorted.SetSort(c, false)
				sorted.Resize(340, 40)
				sorted.Apply(snap)
				sorted.Focus(true)
				if by, _ := sorted.Sort(); by == c {
					say("by "+c, strings.Join(order(sorted), " "))
				}
			}
			p.Focus(true)
			p.Resize(96, 90)
			seen := []string{}
			for range order(p) {
				p.Update(pane.CommandMsg{Command: pane.Top})
				for range seen {
					p.Update(pane.CommandMsg{Command: pane.Down})
				}
				target := p.Target()
				seen = append(seen, strings.Join(target.IDs, "+"))
				p.Update(pane.CommandMsg{Command: pane.Open})
				p.Focus(false)
				first := inked(env.Theme, p.View())
				for text, i := first, 0; i < 20 && (i == 0 || text != first); i++ {
					say(fmt.Sprintf("%q, looks at %v, container %q, tab %d", target.IDs, p.Target().Looks, target.Container, i), text)
					p.Update(pane.CommandMsg{Command: pane.TabNext})
					text = inked(env.Theme, p.View())
				}
				p.Focus(true)
				p.Update(pane.CommandMsg{Command: pane.Back})
			}
			file := filepath.Join("..", "testdata", "golden", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v: go test ./views -update writes it", err)
			}
			got, wants := strings.Split(out.String(), "\n"), strings.Split(string(want), "\n")
			for i := range min(len(got), len(wants)) {
				if got[i] != wants[i] {
					t.Fatalf("line %d of %s: got\n%s\nwant\n%s", i+1, file, got[i], wants[i])
				}
			}
			if len(got) != len(wants) {
				t.Errorf("%s: got %d lines, want %d", file, len(got), len(wants))
			}
		})
	}
}
