package tui

import (
	"fmt"
	"testing"

	"github.com/opsdeck/opsdeck/backend/fake"
	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views"
	"github.com/opsdeck/opsdeck/views/pane"
)

// more returns n panes beyond those of package views.
func more(n int) (panes []pane.Pane) {
	for i := range n {
		env := &pane.Env{Theme: New(still()).env.Theme, Now: still().Clock, Local: still().Local}
		panes = append(panes, views.NewTable(env, &state.Descriptor{Name: state.SectionName(fmt.Sprintf("extra%02d", i+1)), Noun: "row",
			Pane:  "What was added.",
			Lists: []state.List{{Columns: []string{"ROW"}, Rows: func(*state.Snapshot) []state.Row { return []state.Row{{ID: "r", Cells: []any{"r"}}} }}}}))
	}
	return panes
}

func TestMorePanesLeaveTheOtherFramesAsTheyWere(t *testing.T) {
	for _, name := range paneNames {
		for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 60}} {
			o := still()
			if name != "overview" {
				o.Pane = name
			}
			want := Render(fake.Named("incident"), o, size[0], size[1])
			o.More = more(11)
			if got := Render(fake.Named("incident"), o, size[0], size[1]); got != want {
				t.Errorf("%s at %dx%d changed with eleven more panes:\n%s", name, size[0], size[1], got)
			}
		}
	}
}

func TestATwentiethPaneIsReachedByName(t *testing.T) {
	d := drive(t, "healthy", func(o *Options) { o.More = more(11) })
	d.press("0")
	all := len(d.m.panes)
	d.sees("Panes", "Extra05", fmt.Sprintf("%d of %d", all, all))
	d.typeText("extra11")
	d.press("enter")
	if got := d.m.pane().Info().Name; got != "extra11" {
		t.Fatalf("the focus is on %s, want extra11", got)
	}
	d.sees("Extra11")
	d.press("tab") // on to the pinned ones
	if got := d.m.pane().Info().Name; got != "modules" {
		t.Errorf("tab goes to %s, want modules", got)
	}
	d.press("0")
	d.typeText("nothing like it")
	d.sees("no pane matches")
	d.press("enter")
	d.sees("no such pane: nothing like it")
}

func TestTheDigitsFocusWhatIsPinned(t *testing.T) {
	d := drive(t, "healthy", func(o *Options) { o.Pinned = []string{"logs", "host", "logs", "nothing"} })
	for key, want := range map[string]string{"1": "logs", "2": "host"} {
		d.press(key)
		if got := d.m.pane().Info().Name; got != want {
			t.Errorf("%s focuses %s, want %s", key, got, want)
		}
	}
	d.press("3")
	d.sees("no pane is pinned on 3: 0 lists all panes")
	d.press("0")
	d.typeText("modules")
	d.press("enter")
	if got := d.m.pane().Info().Name; got != "modules" {
		t.Errorf("the focus is on %s, want modules", got)
	}
}

func TestASectionOfANewerEngineIsNamed(t *testing.T) {
	d := drive(t, "healthy", nil)
	d.lacks("does not show")
	clusters, err := state.DecodeSection("clusters", []byte(`{"health":{"status":"ok"},"list":[1]}`))
	if err != nil {
		t.Fatal(err)
	}
	d.show(d.snap, clusters)
	d.sees("the engine is newer than this console, which does not show: clusters")
}

func TestEveryListIsFilteredByItsColumns(t *testing.T) {
	d := drive(t, "incident", nil)
	for _, tt := range []struct {
		key, filter string
		sees, lacks []string
	}{
		{"6", "state:firing", []string{"ModuleFailed", "ContainerCPU"}, []string{"inactive"}},
		{"6", "not state:firing", []string{"pending", "inactive"}, []string{"ModuleFailed"}},
		{"1", "status:failed or failed>2", []string{"weather/openweather", "mail/imap"}, []string{"finance/stocks"}},
		{"4", "depth>1000", []string{"task:queue"}, []string{"pipeline ingest"}},
		{"3", "state:running !health:healthy", []string{"db"}, []string{"gateway"}},
	} {
		d.press(tt.key, "f", "/")
		for d.m.prompt.input.Value() != "" {
			d.press("backspace")
		}
		d.typeText(tt.filter)
		d.press("enter")
		d.sees(tt.sees...)
		d.lacks(tt.lacks...)
		d.press("esc", "f")
	}
}
