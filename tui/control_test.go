package tui

import (
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/fake"
	"github.com/opsdeck/opsdeck/backend/state"
)

// shared returns the workspace of ada, who acts, and bob; asked is when bob asked for
// control.
func shared(s *state.Snapshot, holder string, asked time.Time) state.Workspace {
	w := s.Workspace
	w.Consoles = []state.Console{
		{ID: "c1", Actor: state.Actor{User: "ada", From: "pts/1", Via: "console"}, Active: fake.Now.Add(-12 * time.Minute), Control: holder == "c1"},
		{ID: "c2", Actor: state.Actor{User: "bob", From: "pts/2", Via: "console"}, Active: fake.Now, Control: holder == "c2", Asked: asked},
	}
	return w
}

func as(d *driver, you string, w state.Workspace) {
	d.t.Helper()
	d.show(d.snap.For(you), w)
}

func TestWhoLooksIsToldWhoMayActAndIsOfferedControl(t *testing.T) {
	d := drive(t, "incident", nil)
	as(d, "c2", shared(d.snap, "c1", time.Time{}))
	d.holds("control ada", "2 viewers")
	d.press("1", "L")
	if n := len(d.b.Submitted()); n != 0 {
		t.Fatalf("%d actions were submitted by who only looks", n)
	}
	d.holds("ada (pts/1) holds control", "ask for control", "take control")
	d.press("enter")
	if got := d.b.Submitted(); len(got) != 1 || got[0].Kind != state.ControlRequest {
		t.Fatalf("submitted %+v, want a request for control", got)
	}
	as(d, "c2", shared(d.snap, "c1", fake.Now))
	d.press("L", "enter") // it was asked for: the cursor is on taking it
	d.holds("ada (pts/1) holds control; the last key there was pressed 12m0s ago", "Take control?")
	d.press("y", "enter")
	if got := d.b.Submitted(); len(got) != 2 || got[1].Kind != state.ControlTake {
		t.Fatalf("submitted %+v, want control taken", got)
	}
	as(d, "c2", shared(d.snap, "c2", time.Time{}))
	d.holds("control you", "this console has control now")
	d.press("L")
	if got := d.b.Submitted(); len(got) != 3 || got[2].Kind != state.ModuleReload {
		t.Fatalf("submitted %+v, want the reload", got)
	}
}

func TestWhoHoldsControlIsToldWhoAsksAndWhoTookIt(t *testing.T) {
	d := drive(t, "healthy", nil)
	as(d, "c1", shared(d.snap, "c1", time.Time{}))
	as(d, "c1", shared(d.snap, "c1", fake.Now))
	d.holds("bob asks for control", "bob (pts/2) asks for control: : hand over control to bob (pts/2)")
	d.press(":")
	d.typeText("viewers")
	d.press("enter")
	d.holds("ada (pts/1), this one, holds control", "last key 12m0s ago; bob (pts/2) asks for control")
	d.press(":")
	d.typeText("hand over control")
	d.press("enter")
	if got := d.b.Submitted(); len(got) != 1 || got[0].Kind != state.ControlGive || got[0].Target != "c2" {
		t.Fatalf("submitted %+v, want control handed to c2", got)
	}
	as(d, "c1", shared(d.snap, "c2", time.Time{}))
	d.holds("bob (pts/2) has control now; this console only views", "control bob")
}

func TestKeysAreToldToOthersNowAndThen(t *testing.T) {
	d := drive(t, "healthy", nil)
	told := func() string { return strings.Join(d.m.told.Keys(state.LookKeys), " ") }
	before := told()
	d.press("j", "j", "j")
	first := told()
	d.now = d.now.Add(keysEvery)
	d.press("j")
	if second := told(); before != "" || first != "1" || second != "2" {
		t.Errorf("told %q, %q, %q; want one more each time", before, first, second)
	}
}

// holds wants all words on the screen, line breaks aside.
func (d *driver) holds(words ...string) {
	d.t.Helper()
	screen := strings.Join(strings.Fields(d.screen()), " ")
	for _, w := range words {
		if !strings.Contains(screen, w) {
			d.t.Errorf("%q is not on the screen:\n%s", w, d.screen())
		}
	}
}

// A question changes nothing: whoever only looks may ask where a request goes, and
// may not apply anything.
func TestWhoOnlyLooksMayAskWhereARequestGoes(t *testing.T) {
	d := drive(t, "incident", nil)
	w := d.snap.Workspace
	w.Consoles = []state.Console{{ID: "c1", Actor: state.Actor{User: "bob", Via: "console"}, Control: true}, {ID: "c2", Actor: state.Actor{User: "ada", Via: "console"}}}
	d.show(d.snap.For("c2"), w)
	d.m.live.You, d.m.shown.You = "c2", "c2"
	spec := state.SpecOf(state.RoutingTest)
	d.run(d.m.begin(spec, []string{"category/finance"}))
	d.sees("Test where a request goes category/finance", "Complexity")
	d.press("enter", "enter", "enter")
	got := d.b.Submitted()
	if len(got) != 1 || got[0].Kind != state.RoutingTest || got[0].Args["category"] != "finance" || got[0].Args["complexity"] != "0.7" {
		t.Fatalf("got %+v", got)
	}
	d.run(d.m.begin(state.SpecOf(state.RoutingConfirm), []string{"routing"}))
	d.sees("bob holds control")
}
