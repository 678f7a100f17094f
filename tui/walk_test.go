package tui

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/opsdeck/opsdeck/backend/fake"
	"github.com/opsdeck/opsdeck/backend/state"
)

// walk writes down what each step of a console changes on its screen, and what is submitted.
type walk struct {
	*driver
	out  strings.Builder
	was  []string
	sent int
	// styles says that the inks of cells are written too.
	styles bool
}

func (w *walk) note(head string) {
	w.t.Helper()
	frame := w.screen()
	fmt.Fprintf(&w.out, "== %s\n", head)
	if w.styles {
		frame = trimmed(frame) + "--- styles\n" + styleMap(w.t, w.m.View().Content)
	}
	lines := strings.Split(trimmed(frame), "\n")
	for i, l := range lines {
		if i >= len(w.was) || w.was[i] != l {
			fmt.Fprintf(&w.out, "%2d %s\n", i, l)
		}
	}
	w.was = lines
	for ; w.sent < len(w.b.Submitted()); w.sent++ {
		a := w.b.Submitted()[w.sent]
		fmt.Fprintf(&w.out, "submits %s %q %v, confirmed %q\n", a.Kind, a.Target, a.Args, a.Confirmed)
	}
	if w.quit {
		w.out.WriteString("quits\n")
	}
}

// keys presses keys one by one; a text in quotes is typed as a whole.
func (w *walk) keys(keys ...string) {
	w.t.Helper()
	for _, k := range keys {
		if text, ok := strings.CutPrefix(k, `"`); ok {
			w.typeText(strings.TrimSuffix(text, `"`))
		} else {
			w.press(k)
		}
		w.note(k)
	}
}

func (w *walk) check(name string) {
	w.t.Helper()
	file := filepath.Join("..", "testdata", "golden", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(w.out.String()), 0o644); err != nil {
			w.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatalf("%v: go test ./tui -update writes it", err)
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

// Each key of the console, over panes, menus, dialogs, the palette and the past.
func TestAWalkThroughTheConsole(t *testing.T) {
	w := &walk{driver: drive(t, "incident", func(o *Options) { o.Theme = "dark" })}
	w.msg(tea.WindowSizeMsg{Width: 110, Height: 30})
	w.note("the incident")
	w.keys("tab", "tab", "shift+tab", "f", "f", "+", "+", "-", "0", `"rout"`, "enter", "0", "esc", ":", `"zzz"`, "enter", ":", `"unsi"`, "enter", ":", `"time"`, "down", "up", "tab", "esc", ":", `"help"`, "enter", "esc", ":", "up", "esc")
	w.keys("1", "j", "x", "down", "up", "esc", "E", "tab", "esc", "E", "tab", "enter", "L", "R", "enter", "space", "j", "space", "R", "esc", "esc", "u")
	w.keys("6", "A", "M", "backspace", `"x"`, "tab", `"known"`, "enter", "esc", "esc", "3", "|", "down", "space", "esc", "/", `"cpu>"`, "esc", "/", `"name:w"`, "enter", "!", "S", "tab", "enter", "esc", "o", "o", "d", "d", "y")
	w.keys("(", "(", ")", "esc", "?", "down", "G", "esc", "8", "9", "q", "esc", "2", "enter", "]", "esc", "4", "Q", "esc", "7", "u", "esc")
	w.msg(tea.MouseClickMsg{X: 3, Y: 3, Button: tea.MouseLeft})
	w.note("a click")
	w.msg(tea.MouseWheelMsg{X: 3, Y: 3, Button: tea.MouseWheelDown})
	w.note("the wheel")
	w.msg(tea.MouseWheelMsg{X: 3, Y: 3, Button: tea.MouseWheelUp})
	w.note("the wheel, up")
	w.pass(20 * time.Second)
	w.note("20 s later")
	for _, size := range [][2]int{{100, 28}, {99, 28}, {80, 45}, {80, 18}, {80, 12}, {40, 10}, {20, 5}, {8, 3}, {7, 2}, {1, 1}, {130, 50}} {
		w.msg(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		w.note(fmt.Sprintf("%d x %d", size[0], size[1]))
	}
	w.keys("q", "enter")
	w.check("walk-console")
}

// What the footer says of this console's actions, from queued to judged.
func TestAnActionsWayIsToldInTheFooter(t *testing.T) {
	w := &walk{driver: drive(t, "healthy", func(o *Options) { o.Theme = "dark" }), styles: true}
	w.msg(tea.WindowSizeMsg{Width: 130, Height: 12})
	w.keys("1", "L")
	w.press("j", "L")
	ids := []state.ActionID{}
	for _, m := range w.m.mine {
		ids = append(ids, m.id)
	}
	show := func(head string, all ...state.Progress) {
		a := w.snap.Actions
		a.List = nil
		for i := range all {
			p := all[i]
			p.ID, p.Action = ids[i%len(ids)], state.Action{Kind: state.ModuleReload, Target: "finance/stocks"}
			a.List = append(a.List, p)
		}
		w.show(w.snap, a)
		w.note(head)
	}
	show("queued", state.Progress{Status: "queued", Percent: -1})
	show("running", state.Progress{Status: "running", Step: "loading", Percent: 40}, state.Progress{Status: "queued"})
	show("one failed", state.Progress{Status: "failed", Err: "no files"}, state.Progress{Status: "running", Step: "loading"})
	show("both failed", state.Progress{Status: "failed", Err: "no files"}, state.Progress{Status: "failed", Err: "no way"})
	show("done", state.Progress{Status: "failed", Err: "no files"}, state.Progress{Status: "done", Result: "loaded", Settling: w.now.Add(time.Minute), Undo: &state.Action{}})
	w.pass(7 * time.Second)
	w.note("7 s later")
	w.pass(time.Second)
	w.note("8 s later")
	for _, word := range []string{"better", "worse", "the same"} {
		show("judged "+word, state.Progress{Status: "done", Result: "x"}, state.Progress{Status: "done", Result: "loaded", Undo: &state.Action{}, Undone: true, Verdict: &state.Verdict{Word: word, Note: "soon"}})
	}
	w.pass(14 * time.Second)
	w.note("14 s later")
	w.pass(time.Second)
	w.note("15 s later")
	w.check("walk-action")
}

func TestEachShareGetsItsPart(t *testing.T) {
	for _, tt := range []struct {
		n     int
		parts []float64
		least int
		want  string
	}{
		{10, []float64{1, 1}, 1, "[5 5]"}, {11, []float64{1, 1}, 1, "[6 5]"}, {10, []float64{3, 1}, 1, "[8 2]"}, {10, []float64{9, 1}, 3, "[7 3]"}, {4, []float64{9, 1}, 3, "[3 1]"}, {5, []float64{9, 1}, 3, "[3 2]"}, {6, []float64{9, 1}, 3, "[3 3]"}, {0, []float64{1, 1}, 1, "[0 0]"}, {12, []float64{1, 2, 1}, 1, "[3 6 3]"},
	} {
		if got := fmt.Sprint(divide(tt.n, tt.parts, tt.least)); got != tt.want {
			t.Errorf("%d in %v, at least %d: got %s, want %s", tt.n, tt.parts, tt.least, got, tt.want)
		}
	}
	for _, tt := range [][4]int{{8, 3, 4, 1}, {7, 3, 7, 3}, {8, 2, 8, 2}, {80, 24, 76, 22}} {
		if w, h := inner(tt[0], tt[1]); w != tt[2] || h != tt[3] {
			t.Errorf("inside %d x %d: got %d x %d, want %d x %d", tt[0], tt[1], w, h, tt[2], tt[3])
		}
	}
}

func TestPanesArePlacedByTheSizeOfTheScreen(t *testing.T) {
	for _, tt := range []struct {
		w, h int
		pane string
		wall bool
		want string
	}{

		{100, 30, "", false, "modules 0,1 47x10; containers 47,1 53x10; pipeline 0,11 34x8; queues 34,11 33x8; alerts 67,11 33x8; logs 0,19 100x10"},
		{99, 30, "", false, "modules 0,1 99x20; pipeline 0,21 99x1 folded; containers 0,22 99x1 folded; queues 0,23 99x1 folded; logs 0,24 99x1 folded; alerts 0,25 99x1 folded; routing 0,26 99x1 folded; actions 0,27 99x1 folded; host 0,28 99x1 folded"},
		{100, 29, "", false, "modules 0,1 100x19; pipeline 0,20 100x1 folded; containers 0,21 100x1 folded; queues 0,22 100x1 folded; logs 0,23 100x1 folded; alerts 0,24 100x1 folded; routing 0,25 100x1 folded; actions 0,26 100x1 folded; host 0,27 100x1 folded"},
		{200, 60, "", true, "modules 0,0 94x21; containers 94,0 106x21; pipeline 0,21 68x17; queues 68,21 65x17; alerts 133,21 67x17; logs 0,38 200x22"},
		{120, 40, "host", false, "host 0,1 120x38"},
		{80, 24, "logs", false, "logs 0,1 80x22"},
		{80, 60, "", false, "modules 0,1 80x11; pipeline 0,12 80x7; containers 0,19 80x8; queues 0,27 80x6; logs 0,33 80x7; alerts 0,40 80x6; routing 0,46 80x6; actions 0,52 80x6; host 0,58 80x1 folded"},
		{80, 60, "actions", false, "actions 0,1 80x58"},
		{80, 18, "", false, "modules 0,1 80x8; pipeline 0,9 80x1 folded; containers 0,10 80x1 folded; queues 0,11 80x1 folded; logs 0,12 80x1 folded; alerts 0,13 80x1 folded; routing 0,14 80x1 folded; actions 0,15 80x1 folded; host 0,16 80x1 folded"},
		{80, 17, "", false, "modules 0,2 80x14"},
		{80, 3, "", false, "modules 0,2 80x0"},
		{80, 2, "", false, "modules 0,1 80x1"},
		{80, 1, "", false, "modules 0,1 80x0"},
		{0, 9, "", false, ""},
	} {
		o := still()
		o.Pane, o.Wall = tt.pane, tt.wall
		m := New(o)
		snap := fake.Named("healthy")
		m.live = snap
		m.apply(snap)
		m.resize(tt.w, tt.h)
		var got []string
		for _, b := range m.regions {
			fold := ""
			if b.folded {
				fold = " folded"
			}
			got = append(got, fmt.Sprintf("%s %d,%d %dx%d%s", m.panes[b.pane].Info().Name, b.x, b.y, b.w, b.h, fold))
			if visible := m.visible(b.pane); visible == b.folded {
				t.Errorf("%s is visible: %v, folded: %v", got[len(got)-1], visible, b.folded)
			}
			for _, c := range []struct{ x, y, want int }{{b.x, b.y, b.pane}, {b.x + b.w - 1, b.y + b.h - 1, b.pane}} {
				if at := m.paneAt(c.x, c.y); b.h > 0 && at != c.want {
					t.Errorf("at %d,%d: got pane %d, want %d", c.x, c.y, at, c.want)
				}
			}
		}
		if at := m.paneAt(tt.w, 1); at != -1 {
			t.Errorf("beside the screen: got pane %d, want none", at)
		}
		if got := strings.Join(got, "; "); got != tt.want {
			t.Errorf("%dx%d %s: got\n%s\nwant\n%s", tt.w, tt.h, tt.pane, got, tt.want)
		}
	}
	if got, want := ansi.StringWidth(pad("abc", 5)), 5; got != want {
		t.Errorf("got %d, want %d", got, want)
	}
	if got, want := pad("abc", 2), "ab"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
