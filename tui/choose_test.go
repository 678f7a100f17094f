package tui

import (
	"strings"
	"testing"

	"github.com/opsdeck/opsdeck/backend/fake"
	"github.com/opsdeck/opsdeck/backend/state"
)

// While the stream follows no line is chosen: T must not take whichever source
// comes first.
func TestRotateNeedsAChosenSource(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("5", "T")
	d.lacks("Rotate log file")
	d.sees("rotate what? [ goes to the sources")
	d.press("[", "T")
	d.sees("Rotate log file")
}

func TestAlertsAreToldApartByTheirLabels(t *testing.T) {
	s := fake.Named("incident")
	d := drive(t, "incident", nil)
	a := s.Alerts
	row := func(id string, labels map[string]string) state.Alert {
		return state.Alert{ID: id, Rule: "Down", Severity: "critical", State: state.AlertFiring, Since: fake.Now, Labels: labels}
	}
	a.List = []state.Alert{row("Down-1", map[string]string{"module": "weather/noaa"}), row("Down-2", map[string]string{"alertname": "Down", "severity": "critical", "zone": "b", "disk": "sda"})}
	d.show(s, a)
	d.press("6", "f")
	d.sees("weather/noaa", "disk=sda")
	d.press("j", "enter")
	d.sees("Down disk=sda zone=b")
}

// Rows of one rank stand by name, not by an identity that nobody can see.
func TestEqualRowsStandByName(t *testing.T) {
	s := fake.Named("healthy")
	d := drive(t, "healthy", nil)
	c := s.Containers
	c.List = []state.Container{{ID: "a1", Title: "zebra", State: "running"}, {ID: "f9", Title: "adder", State: "running"}, {ID: "c3", Title: "mole", State: "running"}}
	d.show(s, c)
	d.press("3", "f")
	got := d.screen()
	if x, y, z := strings.Index(got, "adder"), strings.Index(got, "mole"), strings.Index(got, "zebra"); x < 0 || x > y || y > z {
		t.Errorf("the rows are not by name:\n%s", got)
	}
}

func TestUnfollowedContainersHaveNoRate(t *testing.T) {
	d := drive(t, "healthy", nil)
	l := d.snap.Logs
	l.Sources = append([]state.LogSource(nil), l.Sources...)
	l.Sources = append(l.Sources, state.LogSource{ID: "container:x", Kind: "container", Title: "quietbox"})
	d.show(d.snap, l)
	d.press("5", "f")
	for _, row := range strings.Split(d.screen(), "\n") {
		if strings.Contains(row, "quietbox") && (strings.Contains(row, "0/s") || !strings.Contains(row, "–")) {
			t.Errorf("got %q, want its rate unknown", row)
		}
	}
}

// A remembered selection must not hide what is new, nor the rows above it: what
// is unhealthy stands there.
func TestRestoredSelectionHidesNothing(t *testing.T) {
	many := fake.Many(3, 60)
	d := drive(t, "healthy", func(o *Options) {
		o.Load = func() Settings {
			return Settings{Panes: map[string]PaneSettings{"containers": {Selected: many.Containers.List[3].Title}}}
		}
	})
	c := many.Containers
	c.List = append([]state.Container(nil), c.List...)
	d.show(many, c)
	d.press("3")
	d.sees("1 to ")
	c.List = append([]state.Container{{ID: "new", Title: "newcomer", State: "dead"}}, c.List...)
	d.show(many, c)
	d.sees("newcomer")
	d.lacks("+1 wait")
}

// An action that is typed without a target is for the row that one looks at.
func TestAnActionByNameIsForTheSelectedRow(t *testing.T) {
	d := drive(t, "incident", nil)
	d.press("3", "f")
	for range 6 {
		d.press("j")
		ids := d.m.pane().Target().IDs
		if len(ids) != 1 || state.Why(d.snap, state.ContainerRestart, ids[0]) != "" {
			continue
		}
		d.press(":")
		d.typeText("restart container")
		d.press("enter")
		d.sees("Restart container " + ids[0] + "?")
		d.press("esc")
	}
}
