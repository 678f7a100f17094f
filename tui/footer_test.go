package tui

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/fake"
	"github.com/opsdeck/opsdeck/backend/state"
)

const longError = "rotate weather/noaa: the new credentials do not work: KeyError: 'no such station in the whole of the northern hemisphere': the old ones were put back and the module was reloaded"

// squeezed returns the screen without its line breaks and runs of blanks.
func (d *driver) squeezed() string { return strings.Join(strings.Fields(d.screen()), " ") }

func TestLongErrorIsSaidToItsEnd(t *testing.T) {
	d := drive(t, "incident", nil)
	d.b.Refuse(errors.New(longError))
	d.press("6", "A")
	if got := d.squeezed(); !strings.Contains(got, longError) {
		t.Fatalf("the error is cut:\n%s", d.screen())
	}
	d.now = d.now.Add(2 * time.Second)
	d.press("j") // read: the footer is one line again
	if got := d.squeezed(); strings.Contains(got, "were put back") {
		t.Errorf("the error still covers the panes after a key:\n%s", d.screen())
	}
}

func TestFailedActionIsSaidToItsEnd(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("3", "j", "R", "l", "enter")
	acts := d.snap.Actions
	acts.List = []state.Progress{{ID: "f-1", Action: state.Action{Kind: state.ContainerRestart, Target: "web"}, Status: "failed", Err: longError, Queued: d.now, Ended: d.now}}
	d.show(d.snap, acts)
	if got := d.squeezed(); !strings.Contains(got, longError) {
		t.Fatalf("the error is cut:\n%s", d.screen())
	}
}

func TestFooterPrefersTheNewestResult(t *testing.T) {
	d := drive(t, "healthy", nil)
	d.press("3", "space", "space", "R", "y", "enter")
	acts := d.snap.Actions
	one := func(id state.ActionID, target, status, err string) state.Progress {
		return state.Progress{ID: id, Action: state.Action{Kind: state.ContainerRestart, Target: target}, Status: status, Err: err, Queued: d.now}
	}
	d.now = d.now.Add(time.Second)
	acts.List = []state.Progress{one("f-2", "db", "running", ""), one("f-1", "api", "failed", "no such container")}
	d.show(d.snap, acts)
	d.sees("✗ restart container api failed", "1 more in pane 8", "no such container")
	d.now = d.now.Add(time.Second)
	acts.List = []state.Progress{one("f-2", "db", "done", ""), acts.List[1]}
	d.show(d.snap, acts)
	d.sees("● restart container db", "1 more in pane 8, 1 failed")
}

func TestDialogsSayTheirKeys(t *testing.T) {
	for _, c := range []struct {
		keys []string
		want string
	}{
		{[]string{"q"}, "esc stays  y quits"},
		{[]string{"?"}, "esc back  j k scroll"},
		{[]string{"x"}, "enter does the marked one"},
		{[]string{":"}, "tab completes"},
		{[]string{"3", "R"}, "esc cancels  tab the other button"},
		{[]string{"6", "M"}, "esc cancels  tab next field"},
	} {
		d := drive(t, "incident", nil)
		d.press(c.keys...)
		s := strings.Split(d.screen(), "\n")
		if foot := s[len(s)-1]; !strings.Contains(foot, c.want) {
			t.Errorf("after %v the footer is %q, want %q in it", c.keys, foot, c.want)
		}
	}
}

func TestTwiceTheSameKeyAsksOnce(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("6", "A", "A")
	if n := len(d.b.Submitted()); n != 1 {
		t.Errorf("got %d actions of a key pressed twice, want 1", n)
	}
	d.sees("asked already")
	d.now = d.now.Add(2 * time.Second)
	d.press("A")
	if n := len(d.b.Submitted()); n != 2 {
		t.Errorf("got %d actions after a pause, want 2", n)
	}
}

func TestControlCTwiceQuits(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("3", "R", "ctrl+c")
	d.lacks("Restart container")
	d.press("ctrl+c")
	d.sees("Quit opsdeck?")
	d.press("ctrl+c")
	if !d.quit {
		t.Error("the second ctrl-c did not quit")
	}
}

func TestMenuPutsTheRowsOwnActionsFirst(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("6", "x")
	d.sees("Actions on ModuleFailed", "▸ A  acknowledge alert")
}

func TestNoShellInWhatDoesNotRun(t *testing.T) {
	d := drive(t, "incident", func(o *Options) { o.NoShell = "" })
	s := fake.Named("incident")
	c := s.Containers
	c.List = append([]state.Container(nil), c.List...)
	for i := range c.List {
		c.List[i].State = "exited"
	}
	d.show(s, c)
	if why := d.m.noShell(c.List[0].ID); why != "it is not running: it is exited" {
		t.Errorf("got %q, want the reason", why)
	}
}
