package state

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestInterestsAreKeptOnceAndFoundByTopic(t *testing.T) {
	view := LogView{Source: "file:/w/a.log", At: -1, Rows: 10}
	var in Interests
	in = in.Add(LookContainer, "1", "2", "1").Add(LookPart(PartTop), "1").Add(LookAction(ContainerStop), "web").Add(LookLog, "file:/a")
	in = append(in, view.Interest(), view.Interest(), Interest{LookView, "{}"}, Interest{LookView, "no JSON"}, Interest{LookContainer, "2"})
	if got, want := in.Keys(LookContainer), []string{"1", "2"}; !reflect.DeepEqual(got, want) {
		t.Errorf("keys: got %q, want %q", got, want)
	}
	for _, tt := range []struct {
		topic Topic
		key   string
		want  bool
	}{{LookContainer, "1", true}, {LookContainer, "3", false}, {"container.top", "1", true}, {"container.top", "2", false}, {"action:container.stop", "web", true}} {
		if got := in.Has(tt.topic, tt.key); got != tt.want {
			t.Errorf("%s %s: got %v, want %v", tt.topic, tt.key, got, tt.want)
		}
	}
	if got, want := in.Views(), []LogView{view}; !reflect.DeepEqual(got, want) {
		t.Errorf("views: got %+v, want %+v", got, want)
	}
	for topic, want := range map[Topic]Kind{LookAction(ContainerStop): ContainerStop, LookContainer: "", "container.action:x": ""} {
		if got := topic.Action(); got != want {
			t.Errorf("%s: got %q, want %q", topic, got, want)
		}
	}
	all := Interests{}.Add(LookLog, AllContainers)
	for _, tt := range []struct {
		in   Interests
		id   string
		want bool
	}{{in, "file:/a", true}, {in, "container:1", false}, {all, "container:1", true}, {nil, "file:/a", false}} {
		if got := tt.in.Log(tt.id); got != tt.want {
			t.Errorf("log %s: got %v, want %v", tt.id, got, tt.want)
		}
	}
}

func TestFiguresAndVerdictsAreSaid(t *testing.T) {
	for _, tt := range []struct {
		f    Figure
		want string
	}{
		{Figure{Value: -1, Unit: "%"}, "unknown"},
		{Figure{Value: -1, Text: "gone"}, "gone"},
		{Figure{Value: 0}, "0"},
		{Figure{Value: 0, Unit: "%"}, "0.0 %"},
		{Figure{Value: 2.25, Unit: "% of a core"}, "2.2 % of a core"},
		{Figure{Value: 3, Unit: "in 10s"}, "3 in 10s"},
	} {
		if got := tt.f.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	for _, tt := range []struct {
		v    Verdict
		want string
	}{
		{Verdict{Word: "unknown"}, "unknown"},
		{Verdict{Word: "unknown", Note: "it starts"}, "unknown: it starts"},
		{Verdict{Word: "the same", Before: []Figure{{Title: "cpu", Value: -1}}, After: []Figure{{Title: "cpu", Value: 2}}}, "the same: cpu unknown -> 2"},
		{Verdict{Word: "worse", Reasons: []string{"cpu 1 -> 2"}, Before: []Figure{{Title: "cpu", Value: 1}, {Title: "pids", Value: -1}}, After: []Figure{{Title: "cpu", Value: 2}, {Title: "pids", Value: -1}}}, "worse: cpu 1 -> 2"},
	} {
		if got := tt.v.Summary(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// said returns figures in a line, with their values.
func said(fs []Figure) string {
	var out []string
	for _, f := range fs {
		out = append(out, fmt.Sprintf("%s %g %s", f.Title, f.Value, f.String()))
	}
	return strings.Join(out, "; ")
}

func TestTheFiguresOfContainersAreOfThoseThatAnActionIsDoneTo(t *testing.T) {
	base := func() *Snapshot {
		return &Snapshot{At: time.Unix(1000, 0), Alerts: Alerts{Health: Health{Status: OK}}, Containers: Containers{Health: Health{Status: OK}, List: []Container{
			{ID: "1", Title: "alone", State: "running", MemPercent: 5, CPUHistory: []float64{9, 1, 3}, Started: time.Unix(995, 0), Restarts: 2},
			{ID: "2", Title: "db", State: "exited", ExitCode: 1, Project: "shop", Service: "db", MemPercent: 70, CPUHistory: []float64{50}, Restarts: 2},
			{ID: "3", Title: "web-1", State: "running", HealthWord: "healthy", Project: "shop", Service: "web", MemPercent: 10, CPUHistory: []float64{2, 4}},
			{ID: "4", Title: "web-2", State: "running", HealthWord: "unhealthy", Project: "shop", Service: "web", MemPercent: 20, CPUHistory: []float64{6}},
			{ID: "5", Title: "zero", State: "exited", Project: "shop", Service: "job"},
		}}}
	}
	w := Window{Length: 2 * time.Second}
	for _, tt := range []struct {
		name   string
		change func(*Snapshot)
		a      Action
		w      Window
		want   string
	}{
		{"one", nil, Action{Kind: ContainerRestart, Target: "alone"}, Window{Length: 10 * time.Second}, "health 0 running; restarts 1 1 in 10s; cpu 4.333333333333333 4.3 % of a core; memory 5 5.0 % of its limit; others of the project in trouble -1 unknown; firing alerts 0 0"},
		{"over its last two seconds", nil, Action{Kind: ContainerRestart, Target: "alone"}, w, "health 0 running; restarts 0 0 in 2s; cpu 2 2.0 % of a core; memory 5 5.0 % of its limit; others of the project in trouble -1 unknown; firing alerts 0 0"},
		{"counted from the window's beginning", nil, Action{Kind: ContainerRestart, Target: "alone"}, Window{Length: 2 * time.Second, From: &Snapshot{Containers: Containers{List: []Container{{ID: "1", Restarts: 2}}}}}, "health 0 running; restarts 0 0 in 2s; cpu 2 2.0 % of a core; memory 5 5.0 % of its limit; others of the project in trouble -1 unknown; firing alerts 0 0"},
		{"another one under the name", nil, Action{Kind: ContainerRestart, Target: "alone"}, Window{Length: 2 * time.Second, From: &Snapshot{Containers: Containers{List: []Container{{ID: "0", Restarts: 2}, {ID: "1", Restarts: 3}}}}}, "health 0 running; restarts 2 2 in 2s; cpu 2 2.0 % of a core; memory 5 5.0 % of its limit; others of the project in trouble -1 unknown; firing alerts 0 0"},
		{"one that is stopped", nil, Action{Kind: ContainerRestart, Target: "db"}, w, "health 3 exited; restarts 0 0 in 2s; cpu -1 unknown; memory -1 unknown; others of the project in trouble 1 1; firing alerts 0 0"},
		{"all of a service", nil, Action{Kind: ComposeUp, Target: "shop/web"}, w, "health 3 1 unhealthy, 1 healthy; restarts 0 0 in 2s; cpu 9 9.0 % of a core; memory 20 20.0 % of its limit; others of the project in trouble 1 1; firing alerts 0 0"},
		{"a check that has not answered", func(s *Snapshot) { s.Containers.List[2].HealthWord = "starting" }, Action{Kind: ComposeUp, Target: "shop/web"}, w, "health -1 1 unhealthy, 1 starting; restarts 0 0 in 2s; cpu 9 9.0 % of a core; memory 20 20.0 % of its limit; others of the project in trouble 1 1; firing alerts 0 0"},
		{"renamed", nil, Action{Kind: ContainerRename, Target: "old", Args: map[string]string{"name": "zero"}}, w, "health 3 exited; restarts 0 0 in 2s; cpu -1 unknown; memory -1 unknown; others of the project in trouble 2 2; firing alerts 0 0"},
		{"not renamed yet", nil, Action{Kind: ContainerRename, Target: "alone", Args: map[string]string{"name": "zero"}}, w, "health 0 running; restarts 0 0 in 2s; cpu 2 2.0 % of a core; memory 5 5.0 % of its limit; others of the project in trouble -1 unknown; firing alerts 0 0"},
		{"gone", nil, Action{Kind: ContainerRestart, Target: "none"}, w, "health 3 gone; restarts -1 unknown; cpu -1 unknown; memory -1 unknown; others of the project in trouble 0 0; firing alerts -1 unknown"},
		{"gone from a project", nil, Action{Kind: ContainerRemove, Target: "old"}, Window{Length: time.Second, From: &Snapshot{Containers: Containers{List: []Container{{ID: "9", Title: "old", Project: "shop"}}}}}, "health -1 gone; restarts -1 unknown; cpu -1 unknown; memory -1 unknown; others of the project in trouble 2 2; firing alerts 0 0"},
		{"taken down", func(s *Snapshot) { s.Containers.List = nil }, Action{Kind: ComposeDown, Target: "shop/*"}, w, "health -1 gone; restarts -1 unknown; cpu -1 unknown; memory -1 unknown; others of the project in trouble 0 0; firing alerts -1 unknown"},
		{"not fresh", func(s *Snapshot) { s.Containers.Health.Status = Stale }, Action{Kind: ContainerRestart, Target: "alone"}, w, "health -1 unknown; restarts -1 unknown; cpu -1 unknown; memory -1 unknown; others of the project in trouble -1 unknown; firing alerts -1 unknown"},
		{"alerts are not fresh", func(s *Snapshot) { s.Alerts.Health.Status = Down }, Action{Kind: ContainerRestart, Target: "zero"}, w, "health 3 exited; restarts 0 0 in 2s; cpu -1 unknown; memory -1 unknown; others of the project in trouble 2 2; firing alerts -1 unknown"},
	} {
		s := base()
		if tt.change != nil {
			tt.change(s)
		}
		if got := said(containerFigures(s, tt.a, tt.w)); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

func TestAnAlertConcernsAContainerByTheLabelsOfExporters(t *testing.T) {
	c := &Container{ID: "1", Title: "web", Project: "shop"}
	s := &Snapshot{Containers: Containers{List: []Container{*c, {ID: "2", Title: "db", Project: "shop"}}}}
	for _, tt := range []struct {
		state  AlertState
		labels map[string]string
		want   int
	}{
		{AlertFiring, map[string]string{"container": "web"}, 1},
		{AlertFiring, map[string]string{"name": "db"}, 1},
		{AlertFiring, map[string]string{"id": "1"}, 1},
		{AlertFiring, map[string]string{"compose_project": "shop"}, 1},
		{AlertFiring, map[string]string{"container": "shop"}, 0},
		{AlertFiring, map[string]string{"job": "web"}, 0},
		{AlertPending, map[string]string{"container": "web"}, 0},
	} {
		s.Alerts.List = []Alert{{Rule: "A", State: tt.state, Labels: tt.labels}}
		if got := len(s.AlertsOf(c)); got != tt.want {
			t.Errorf("%s %v: got %d, want %d", tt.state, tt.labels, got, tt.want)
		}
	}
}

func TestHealthWordsAreOrdered(t *testing.T) {
	for word, want := range map[string]float64{"healthy": 0, "running": 0, "starting": 1, "created": 1, "restarting": 1, "degraded": 2, "paused": 2, "unhealthy": 3, "exited": 3, "failed": 3, "dead": 3, "disabled": 3, "": -1, "odd": -1} {
		if got := healthScore(word); got != want {
			t.Errorf("%q: got %v, want %v", word, got, want)
		}
	}
	if got, want := counted(map[string]int{"running": 2, "exited": 1, "removing": 1, "paused": 3}), "1 exited, 3 paused, 2 running, 1 removing"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTheFiguresOfAModuleAreItsHealthAndLastFetches(t *testing.T) {
	for _, tt := range []struct {
		m    Module
		want string
	}{
		{Module{ID: "a", Status: ModuleInstalled, HealthWord: "degraded"}, "health 2 degraded; failed of the last 3 fetches -1 unknown"},
		{Module{ID: "a", Status: ModuleDisabled, HealthWord: "healthy", Latencies: []float64{-1, -1, 4, 0, -1}}, "health 3 disabled; failed of the last 3 fetches 33.333333333333336 33.3 %"},
		{Module{ID: "a", Status: ModuleFailed, Latencies: []float64{-1}}, "health 3 failed; failed of the last 3 fetches 100 100.0 %"},
		{Module{ID: "b"}, "health -1 gone"},
	} {
		if got := said(moduleFigures(&Snapshot{Modules: Modules{List: []Module{tt.m}}}, Action{Target: "a"}, Window{})); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestTheAddressOfARemoteFileIsTakenApart(t *testing.T) {
	for at, want := range map[string]string{
		"ssh://ann@h:22/var/log/x": "", "ssh://h/x": "",
		"ssh://h/":           "expected ssh://[user@]host[:port]/path/to/file, with %23 for # and %3F for ?",
		"http://h/x":         "expected ssh://[user@]host[:port]/path/to/file, with %23 for # and %3F for ?",
		"ssh:///x":           "expected ssh://[user@]host[:port]/path/to/file, with %23 for # and %3F for ?",
		"ssh://h/x?q":        "expected ssh://[user@]host[:port]/path/to/file, with %23 for # and %3F for ?",
		"ssh://h/x#f":        "expected ssh://[user@]host[:port]/path/to/file, with %23 for # and %3F for ?",
		"ssh://ann:secret@h": "a password does not belong in an address, which others can read: let ssh ask for it, or have a key",
		"ssh://-oX/x":        "neither the host nor the user can begin with -",
		"ssh://-oX@h/x":      "neither the host nor the user can begin with -",
		"ssh://h/a%0ab":      "the path has a control character",
		"ssh://h/a%7fb":      "the path has a control character",
		"://":                "it is not an address: expected ssh://[user@]host[:port]/path/to/file",
	} {
		got := ""
		if _, err := ParseRemoteFile(at); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", at, got, want)
		}
	}
}

func TestWhatAModulesProgramIsSaidToBe(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{ModuleFinding{Text: "odd"}.String(), "odd"},
		{ModuleFinding{Text: "odd", File: "x.py"}.String(), "x.py: odd"},
		{ModuleFinding{Text: "odd", Line: 3}.String(), "odd"},
		{(&ProgramChange{At: time.Unix(0, 0)}).Why(), "its files changed since they were approved on 1970-01-01 00:00 UTC: see its Changes, then approve them"},
		{(&ProgramChange{Removed: []string{"x"}}).Summary(), "1 removed; +0 -0 lines"},
		{(&Module{Versions: []ProgramVersion{{Approved: true}, {OnDisk: true}}}).Approval(), "no approval of them is on record"},
		{(&Module{Versions: []ProgramVersion{{Approved: true, OnDisk: true}}}).Approval(), "as they were approved"},
		{(&TestRun{Passed: 2, Took: time.Second}).Summary(), "2 passed in 1s"},
		{(&TestRun{Passed: 2, Failed: 1, Skipped: 3, Took: time.Second}).Summary(), "2 passed, 1 failed, 3 skipped in 1s"},
		{(&TestRun{Err: "no pytest"}).Summary(), "no pytest"},
		{previous(&Module{Versions: []ProgramVersion{{Digest: "3"}, {Digest: "2", Approved: true}, {Digest: "1", OnDisk: true}, {Digest: "0"}}}), "0"},
		{ModuleInstalled.Word(), "enabled"}, {ModuleFailed.Word(), "failed"},
		{Console{Actor: Actor{User: "ann"}}.Title(), "ann"},
		{firstLine("", "a\nb"), "a"}, {firstLine("\nb", "c"), ""}, {firstLine(), ""},
		{ShortDuration(6 * time.Hour), "6h"}, {ShortDuration(90 * time.Minute), "1h30m"}, {ShortDuration(10 * time.Second), "10s"},
		{(&Container{Title: "web", Host: "edge"}).Target(), "web"}, {(&Container{Title: "web", Host: "edge", Twin: true}).Target(), "edge/web"},
		{RequeueTarget("a:failed"), "a"}, {RequeueTarget("a"), ""},
		{LevelFatal.String(), "fatal"}, {Level(7).String(), ""},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
	for _, tt := range []struct {
		run  *TestRun
		want bool
	}{{nil, false}, {&TestRun{}, false}, {&TestRun{Passed: 1}, true}, {&TestRun{Passed: 1, Failed: 1}, false}, {&TestRun{Passed: 1, Err: "x"}, false}} {
		if got := tt.run.OK(); got != tt.want {
			t.Errorf("%+v: got %v, want %v", tt.run, got, tt.want)
		}
	}
	for word, want := range map[string]Level{"TRC": LevelTrace, "dbg": LevelDebug, "notice": LevelInfo, "W": LevelWarn, "severe": LevelError, "emerg": LevelFatal, "": LevelUnknown} {
		if got := ParseLevel(word); got != want {
			t.Errorf("%q: got %v, want %v", word, got, want)
		}
	}
}

func TestWhatIsStagedIsEditedOnWhileItsBaseIsInForce(t *testing.T) {
	r := Routing{Tag: "1", Threshold: 0.5, Staged: &StagedRouting{Base: "1", Threshold: 0.7}}
	if got := r.Prepared().Threshold; got != 0.7 {
		t.Errorf("got %v, want what is staged", got)
	}
	r.Tag = "2"
	if got := r.Prepared().Threshold; got != 0.5 {
		t.Errorf("got %v, want what is in force", got)
	}
}

func TestThingsAreFoundByWhatTheyAreCalled(t *testing.T) {
	s := workplace()
	s.Logs.Views = []LogWindow{{View: LogView{Source: "x"}}}
	for _, tt := range []struct {
		name        string
		there, gone bool
	}{
		{"view", s.Logs.View(LogView{Source: "x"}) != nil, s.Logs.View(LogView{Source: "y"}) != nil},
		{"log by ID", s.Logs.Source("journal:") != nil, s.Logs.Source("") != nil},
		{"alert by a rule of one", s.Alerts.Alert("Fires") != nil, Alerts{List: []Alert{{ID: "1", Rule: "A"}, {ID: "2", Rule: "A"}}}.Alert("A") != nil},
		{"console", s.Workspace.Console("c1") != nil, Workspace{Consoles: []Console{{}}}.Console("") != nil},
		{"filters leave out", LogView{Least: LevelWarn}.Filters() && LogView{Keep: "x"}.Filters(), LogView{Find: "x"}.Filters()},
		{"known", Health{Status: OK}.Known() && Health{Status: Stale}.Known(), Health{Status: Down}.Known() || Health{Status: Connecting}.Known()},
		{"host", Containers{Hosts: []ContainerHost{{Title: "a"}}}.HostOf(&Container{Host: "a"}) != nil, Containers{Hosts: []ContainerHost{{Title: "a"}}}.HostOf(&Container{Host: "b"}) != nil},
		{"peers", len(s.Containers.Project("shop", "id-x")) == 1, len(s.Containers.Project("shop", "id-web"))+len(s.Containers.Project("", "")) > 0},
	} {
		if !tt.there || tt.gone {
			t.Errorf("%s: got %v, %v, want true, false", tt.name, tt.there, tt.gone)
		}
	}
}
