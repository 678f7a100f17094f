package tui

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/opsdeck/opsdeck/backend/fake"
	"github.com/opsdeck/opsdeck/backend/state"
)

// projects returns a snapshot of a project with a scaled service, another, and a
// container of none.
func projects() *state.Snapshot {
	s := fake.Named("healthy")
	c := s.Containers
	c.List = slices.Clone(c.List)
	for i := range c.List {
		x := &c.List[i]
		switch x.Title {
		case "worker-1", "worker-2":
			x.Service = "worker"
		case "web", "gateway":
			x.Project = "shop"
		case "llm":
			x.Project, x.Service = "", ""
		}
	}
	return s.With(s.Version+1, s.At, c)
}

func containersAlone(t *testing.T, change func(*Options)) *driver {
	d := drive(t, "healthy", func(o *Options) {
		o.Pane = "containers"
		if change != nil {
			change(o)
		}
	})
	d.show(projects())
	return d
}

func TestGroupsFoldAndStayFolded(t *testing.T) {
	d := containersAlone(t, nil)
	d.sees("▾ nexus 5/5", "▾ worker 2/2", "    worker-1", "▾ shop 2/2")
	if _, row := d.cursorRow(); strings.Contains(row, "▾") {
		t.Errorf("the cursor begins on a heading: %q", row)
	}
	d.press("/")
	d.typeText("shop")
	d.press("enter")
	d.sees("▾ shop 2/2", "gateway")
	d.lacks("nexus 5")
	d.press("esc", "g")
	d.seek("j", "nexus")
	d.press("enter")
	d.sees("▹ nexus 5/5", "gateway")
	d.lacks("worker-1", "redis")
	d.press("l")
	d.sees("▾ nexus 5/5", "worker-1")
	d.press("h")
	d.lacks("worker-1")

	// It survives a restart, and a filter looks into what is folded.
	set := d.m.Settings()
	e := containersAlone(t, func(o *Options) { o.Load = func() Settings { return set } })
	e.sees("▹ nexus 5/5")
	e.lacks("healthy       redis")
	e.press("/")
	e.typeText("redis")
	e.press("enter")
	e.sees("redis")
	e.press("esc")
	e.sees("▹ nexus 5/5")
	e.lacks("healthy       redis")
	e.press("z") // all
	e.sees("▹ nexus 5/5", "▹ shop 2/2")
	e.press("z")
	e.sees("▾ nexus 5/5", "gateway", "redis")
	e.press(":")
	e.typeText("no groups")
	e.press("enter")
	e.lacks("▾", "▹")
	if e.m.Settings().Panes["containers"].Flat != true {
		t.Error("that there are no groups is not kept")
	}
}

func TestLeftGoesToTheHeading(t *testing.T) {
	d := containersAlone(t, nil)
	d.seek("j", "worker-2")
	d.press("h")
	if _, row := d.cursorRow(); !strings.Contains(row, "▾ worker") {
		t.Errorf("left of worker-2 is %q, want its service", row)
	}
	d.press("h", "h")
	if _, row := d.cursorRow(); !strings.Contains(row, "▾ nexus") {
		t.Errorf("left of the folded service is %q, want its project", row)
	}
	d.press("1", "h")
	d.sees("(fold a group; to its heading) does nothing in modules now")
}

func TestAHeadingStandsForAllUnderIt(t *testing.T) {
	d := containersAlone(t, nil)
	d.seek("j", "▾ shop")
	d.press("h") // folded away, they are meant all the same
	d.press("x")
	d.sees("Actions on project shop (2)")
	d.press("esc", "R")
	d.sees("Restart container (2)?")
	d.press("esc", "space")
	d.sees("2 marked")
	d.press("l")
	if rows := strings.Count(d.screen(), "◆"); rows != 3 {
		t.Errorf("%d lines are marked, want the heading and its two", rows)
	}
}

func TestSelectionStaysWhenItsGroupMoves(t *testing.T) {
	d := containersAlone(t, nil)
	d.seek("j", "gateway")
	d.pass(6 * time.Second)
	c := d.snap.Containers
	c.List = slices.Clone(c.List)
	c.Container("redis").HealthWord = "unhealthy" // nexus goes to the top
	d.show(d.snap, c)
	if _, row := d.cursorRow(); !strings.Contains(row, "gateway") {
		t.Errorf("the cursor is on %q, want gateway still", row)
	}
}

func TestFilterSaysWhatIsWrongWithIt(t *testing.T) {
	d := containersAlone(t, nil)
	d.press("/")
	d.sees("words, state:text, not, or, (...)")
	d.typeText("web cpu>x")
	d.sees(`at column 5, cpu>x: "x" is no value of it`)
	d.lacks("redis") // the word before it is in force
	d.press("enter")
	d.sees("✗ filter at column 5")
	d.press("esc", "?")
	d.sees("Filter, after /", "mem>80% mem>200MiB", "label:env=prod")
}

func TestColumnsAreChosenAndKept(t *testing.T) {
	d := containersAlone(t, nil)
	d.press(":")
	d.typeText("columns")
	d.press("enter")
	d.sees("Containers: columns", "[x] CPU/core", "[ ] Policy", "State  always")
	for range 2 {
		d.press("j")
	}
	d.press("space") // Host
	d.seek("j", "CPU/core")
	d.press("space")
	d.seek("j", "Policy")
	d.press("space", "enter")
	d.lacks("CPU/core")
	set := d.m.Settings()
	got := set.Panes["containers"].Columns
	if slices.Contains(got, "CPU/core") || !slices.Contains(got, "Policy") {
		t.Fatalf("kept: %v", got)
	}
	e := containersAlone(t, func(o *Options) { o.Load = func() Settings { return set } })
	e.lacks("CPU/core")
	e.msg(tea.WindowSizeMsg{Width: 300, Height: 40})
	e.sees("Policy", "unless-stopped")
	e.press(":")
	e.typeText("columns")
	e.press("enter", "r", "enter")
	e.sees("CPU/core")
	e.lacks("Policy")
}

// seek presses a key until the cursor is on a line with that text.
func (d *driver) seek(key, text string) {
	d.t.Helper()
	for range 60 {
		for _, l := range strings.Split(d.screen(), "\n") {
			if _, at, ok := strings.Cut(l, "▸"); ok && strings.Contains(at, text) {
				return
			}
		}
		d.press(key)
	}
	d.t.Fatalf("no %s leads to %q:\n%s", key, text, d.screen())
}

func TestInspectIsSearched(t *testing.T) {
	d := containersAlone(t, nil)
	c := d.snap.Containers
	var text strings.Builder
	for i := range 300 {
		fmt.Fprintf(&text, "line %d\n", i)
	}
	text.WriteString("  \"Runtime\": \"runc\",\nmore\n\"runtime\": 2")
	det := c.Details[c.Container("api").ID]
	det.Inspect = text.String()
	c.Details = map[string]state.ContainerDetail{c.Container("api").ID: det}
	d.show(d.snap, c)
	d.pass(time.Second)
	d.seek("j", " api ")
	d.press("enter")
	for range 4 {
		d.press("]")
	}
	d.sees("[Inspect]", "line 1")
	d.press("/")
	d.typeText("runtime")
	d.press("enter")
	d.sees(`"Runtime": "runc"`, "2 lines with runtime")
	d.press("n")
	d.sees("2 of 2", `"runtime": 2`)
	d.press("N")
	d.sees("1 of 2")
	d.press("esc") // ends the search, not the detail
	d.sees("[Inspect]")
	d.press("/")
	d.typeText("nowhere")
	d.press("enter")
	d.sees("nowhere is not in it")
	if d.m.Settings().Panes["containers"].Filter != "" {
		t.Error("the search became a filter of the list")
	}
}

// What is heavy is asked for only while its own tab is in sight.
func TestOnlyThePartInSightIsAskedFor(t *testing.T) {
	d := containersAlone(t, nil)
	if len(d.m.told.Keys(state.LookContainer)) > 0 {
		t.Errorf("told of %+v before anything was opened", d.m.told)
	}
	d.press("enter", "[", "[")
	d.sees("[Diff]")
	if len(d.m.told.Keys(state.LookPart(state.PartDiff))) != 1 || len(d.m.told.Keys(state.LookContainer)) != 1 {
		t.Errorf("told of %+v, want the diff", d.m.told)
	}
	d.press("]", "]")
	d.sees("[Overview]")
	if len(d.m.told.Keys(state.LookPart(state.PartDiff))) > 0 || len(d.m.told.Keys(state.LookContainer)) != 1 {
		t.Errorf("told of %+v, want the container alone", d.m.told)
	}
}
