package views

import (
	"math"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/fake"
	"github.com/opsdeck/opsdeck/backend/state"
)

func TestWhatNeedsAttentionRanksFirst(t *testing.T) {
	fires := func(severity string) state.Alert { return state.Alert{State: state.AlertFiring, Severity: severity} }
	alerts := [][]state.Alert{ // each list ranks alike, before the next
		{fires("critical"), fires("page"), fires("emergency")}, {fires("error"), fires("high")}, {fires("warning")}, {fires("info")}, {fires(""), fires("other")},
		{{State: state.AlertFiring, Severity: "critical", AckedBy: "ada"}, {State: state.AlertFiring, Severity: "critical", SilenceID: "s"}},
		{{State: state.AlertFiring, Severity: "warning", AckedBy: "ada", SilenceID: "s"}},
		{{State: state.AlertPending, Severity: "critical"}, {State: state.AlertPending, Severity: "critical", AckedBy: "ada"}}, {{State: state.AlertPending, Severity: "warning"}},
		{{State: state.AlertResolved, Severity: "critical"}}, {{State: state.AlertResolved}},
		{{State: state.AlertInactive, Severity: "critical"}, {State: state.AlertInactive}, {Severity: "critical"}},
	}
	ascending(t, "alerts", alerts, alertRank)

	run := func(health string) state.Container { return state.Container{State: "running", HealthWord: health} }
	ascending(t, "containers", [][]state.Container{
		{{State: "dead"}, {State: "restarting"}, {State: "exited", ExitCode: 1}}, {run("unhealthy")}, {run("starting"), {State: "paused"}},
		{run(""), run("healthy")}, {{State: "exited"}, {State: "created", ExitCode: 1, HealthWord: "unhealthy"}, {State: "exited", HealthWord: "starting"}},
	}, containerRank)

	module := func(status state.ModuleStatus, health string) state.Module {
		return state.Module{Status: status, HealthWord: health}
	}
	ascending(t, "modules", [][]state.Module{
		{module(state.ModuleFailed, ""), module(state.ModuleFailed, "healthy")}, {module(state.ModuleInstalled, "unhealthy")}, {module(state.ModuleInstalled, "degraded")},
		{module(state.ModuleInstalled, "healthy"), module(state.ModuleInstalled, "")},
		{module(state.ModulePending, "unhealthy"), module(state.ModuleValidated, "degraded")}, {module(state.ModuleDisabled, "unhealthy")}, {module(state.ModuleUninstalled, "degraded")},
	}, moduleRank)

	stage := func(word string) hop { return hop{stage: &state.Stage{State: word}} }
	service := func(word string) hop { return hop{svc: &state.Service{Word: word}} }
	ascending(t, "stages and services", [][]hop{
		{stage("error"), service("down"), service("unhealthy"), {job: &state.Job{Status: "failed"}}}, {service("degraded"), stage("paused")}, {stage("idle"), stage("running"), service("healthy")},
	}, (*hop).rank)

	ascending(t, "rows of a table", [][]state.Row{{{Bad: true}}, {{}}}, rank)
}

func ascending[T any](t *testing.T, what string, order [][]T, rank func(*T) int) {
	t.Helper()
	last := math.MinInt
	for i, alike := range order {
		first := rank(&alike[0])
		if first <= last {
			t.Errorf("%s: %+v has rank %d, want more than the %d before it", what, alike[0], first, last)
		}
		for _, x := range alike[1:] {
			if got := rank(&x); got != first {
				t.Errorf("%s: %+v has rank %d, want the %d of its like, in place %d", what, x, got, first, i)
			}
		}
		last = first
	}
}

func TestOnlyAlertsThatNobodyHandlesCount(t *testing.T) {
	s := &state.Snapshot{Alerts: state.Alerts{List: []state.Alert{
		{State: state.AlertFiring, Severity: "critical"}, {State: state.AlertFiring, Severity: "error"}, {State: state.AlertFiring, Severity: "warning"}, {State: state.AlertFiring, Severity: "info"},
		{State: state.AlertFiring}, {State: state.AlertFiring}, {State: state.AlertFiring, Severity: "critical", AckedBy: "ada"}, {State: state.AlertFiring, Severity: "warning", SilenceID: "s"},
		{State: state.AlertPending, Severity: "critical"}, {State: state.AlertResolved, Severity: "warning"}, {State: state.AlertInactive},
	}}}
	if c, w, o := Firing(s); c != 2 || w != 1 || o != 3 {
		t.Errorf("got %d critical, %d warning, %d others, want 2, 1, 3", c, w, o)
	}
}

func TestAnActionSaysHowItStands(t *testing.T) {
	worse := &state.Verdict{Word: "worse"}
	for _, tt := range []struct {
		p    state.Progress
		want string
	}{
		{state.Progress{Status: "queued", Step: "waits", Percent: 50}, "waits"},
		{state.Progress{Status: "running", Step: "copies", Percent: -1}, "copies"},
		{state.Progress{Status: "running", Step: "copies", Percent: 0}, "copies"},
		{state.Progress{Status: "running", Step: "copies", Percent: 0.6}, "copies 1%"},
		{state.Progress{Status: "running", Step: "copies", Percent: 100, Left: 90 * time.Second}, "copies 100%, about 1m30s left"},
		{state.Progress{Status: "running", Step: "copies", Percent: 101}, "copies"},
		{state.Progress{Status: "running", Percent: 40}, "40%"},
		{state.Progress{Status: "done", Step: "copies", Result: "copied"}, "copied"},
		{state.Progress{Status: "failed", Step: "copies", Err: "no room", Result: "half"}, "no room"},
		{state.Progress{Status: "done", Result: "copied", Verdict: worse}, "copied: " + worse.Summary()},
		{state.Progress{Status: "done", Verdict: worse}, worse.Summary()},
	} {
		if got := Said(&tt.p); got != tt.want {
			t.Errorf("%s %q %v%%: got %q, want %q", tt.p.Status, tt.p.Step, tt.p.Percent, got, tt.want)
		}
	}
}

func TestQuantilesLeaveFailuresOut(t *testing.T) {
	for _, tt := range []struct {
		vs   []float64
		q    float64
		want float64
	}{
		{nil, 0.5, -1}, {[]float64{-1, -1}, 0.5, -1}, {[]float64{0}, 0.5, 0}, {[]float64{7}, 0, 7},
		{[]float64{4, 1, 3, 2}, 0.5, 2}, {[]float64{4, 1, 3, 2}, 0.51, 3}, {[]float64{4, 1, 3, 2}, 1, 4}, {[]float64{9, -1, 1}, 0.5, 1},
	} {
		if got := quantile(tt.vs, tt.q); got != tt.want {
			t.Errorf("the %v-quantile of %v: got %v, want %v", tt.q, tt.vs, got, tt.want)
		}
	}
}

func TestPortsAreListedOnce(t *testing.T) {
	for _, tt := range []struct {
		ports []string
		want  string
	}{
		{nil, ""}, {[]string{"tcp 0.0.0.0:80", "tcp [::]:80"}, ":80"}, {[]string{"tcp 0.0.0.0:8080", "tcp [::]:80"}, ":8080 :80"}, {[]string{"tcp 0.0.0.0:53", "udp 0.0.0.0:53"}, ":53 :53/udp"},
	} {
		if got := listens(&state.Process{Ports: tt.ports}); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.ports, got, tt.want)
		}
	}
}

func TestCellsOfATableAreComparedByWhatTheyAre(t *testing.T) {
	early, late := fake.Now.Add(-time.Hour), fake.Now
	for _, tt := range []struct {
		what  string
		first any // stands before second
		then  any
		text  string // of first
	}{
		{"texts", "a", "b", "a"},
		{"whole numbers, the largest first", 10, 9, "10"},
		{"numbers", 1500.0, 2.0, "1,500"},
		{"bytes", state.Bytes(2048), state.Bytes(1), "2.0 KiB"},
		{"units", state.Unit{Value: 2.25, Precision: 1, Unit: "ms"}, state.Unit{Value: 1}, "2.2 ms"},
		{"zero of a unit", state.Unit{Value: 0, Unit: "ms"}, state.Unit{Value: -1}, "0 ms"},
		{"signed", state.Signed{Value: 0.5, Unit: "/s"}, state.Signed{Value: -3, Unit: "/s"}, "+0.5/s"},
		{"durations", 90 * time.Second, time.Second, "1m 30s"},
		{"instants, the oldest first", early, late, "1h"},
		{"since, the oldest first", state.Since{Word: "asked", At: early}, state.Since{Word: "asked", At: late}, "asked 1h"},
		{"a number before what is not known", 0, nil, "0"},
		{"words and numbers by their text", "10", 9, "10"},
	} {
		if compareCells(testEnv(), tt.first, tt.then) >= 0 || compareCells(testEnv(), tt.then, tt.first) <= 0 || compareCells(testEnv(), tt.first, tt.first) != 0 {
			t.Errorf("%s: %v does not stand before %v", tt.what, tt.first, tt.then)
		}
		if got := cellText(testEnv(), tt.first); got != tt.text {
			t.Errorf("%s: got %q, want %q", tt.what, got, tt.text)
		}
	}
	for c, want := range map[any]string{nil: "–", state.Unit{Value: -0.1}: "–", true: "true"} {
		if got := cellText(testEnv(), c); got != want {
			t.Errorf("%v: got %q, want %q", c, got, want)
		}
	}
}
