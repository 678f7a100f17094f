package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// shop returns a snapshot of a compose project of web and db, changed by f.
func shop(f func(web, db *state.Container, s *state.Snapshot)) *state.Snapshot {
	s := &state.Snapshot{At: time.Unix(1000, 0)}
	s.Containers = state.Containers{Health: state.Health{Status: state.OK}, CPUs: 4, List: []state.Container{
		{ID: "d", Title: "db", State: "running", HealthWord: "healthy", Project: "shop", Service: "db", Limits: state.Limits{Known: true, Restart: "no"}, MemPercent: 10, CPUHistory: []float64{1, 1}, Started: time.Unix(1, 0)},
		{ID: "w", Title: "web", State: "running", HealthWord: "healthy", Project: "shop", Service: "web", Limits: state.Limits{Known: true, Memory: 64 << 20, Restart: "no"}, MemPercent: 50, CPUHistory: []float64{3, 5}, Started: time.Unix(1, 0),
			Labels: map[string]string{dependsLabel: "db:service_started:false"}},
	}}
	s.Alerts.Health.Status = state.OK
	if f != nil {
		f(&s.Containers.List[1], &s.Containers.List[0], s)
	}
	return s
}

func TestTheVerdictOnAContainerIsItsHealthRestartsProjectAndAlerts(t *testing.T) {
	fires := func(s *state.Snapshot) {
		s.Alerts.List = []state.Alert{{Rule: "ShopDown", State: state.AlertFiring, Labels: map[string]string{"project": "shop"}}, {Rule: "Other", State: state.AlertFiring, Labels: map[string]string{"project": "x"}}}
	}
	for _, tt := range []struct {
		name          string
		a             state.Action
		before, after func(web, db *state.Container, s *state.Snapshot)
		want, reason  string
	}{
		{"healed", state.Action{Kind: state.ContainerRestart, Target: "web"}, func(w, _ *state.Container, _ *state.Snapshot) { w.HealthWord = "unhealthy" }, nil, "better", "health unhealthy -> healthy"},
		{"as it was", state.Action{Kind: state.ContainerRestart, Target: "web"}, nil, nil, "the same", ""},
		{"it restarts again and again", state.Action{Kind: state.ContainerRestart, Target: "web"}, nil, func(w, _ *state.Container, _ *state.Snapshot) { w.Restarts = 3 }, "worse", "restarts 0 in 10s -> 3 in 10s"},
		{"an old count says nothing", state.Action{Kind: state.ContainerRestart, Target: "web"}, func(w, _ *state.Container, _ *state.Snapshot) { w.Restarts = 7 }, func(w, _ *state.Container, _ *state.Snapshot) { w.Restarts = 7 }, "the same", ""},
		{"a check that has not answered", state.Action{Kind: state.ContainerRestart, Target: "web"}, nil, func(w, _ *state.Container, _ *state.Snapshot) { w.HealthWord = "starting" }, "the same", ""},
		{"a stop is meant", state.Action{Kind: state.ContainerStop, Target: "web"}, nil, func(w, _ *state.Container, _ *state.Snapshot) { w.State = "exited" }, "the same", ""},
		{"a stop is no cure", state.Action{Kind: state.ContainerStop, Target: "web"}, func(w, _ *state.Container, _ *state.Snapshot) { w.Restarts, w.State = 4, "restarting" }, func(w, _ *state.Container, _ *state.Snapshot) { w.State = "exited" }, "the same", ""},
		{"a stop that breaks others", state.Action{Kind: state.ContainerStop, Target: "db"}, nil, func(w, d *state.Container, _ *state.Snapshot) { d.State, w.HealthWord = "exited", "unhealthy" }, "worse", "others of the project in trouble 0 -> 1"},
		{"a signal that was to reload", state.Action{Kind: state.ContainerKill, Target: "web", Args: map[string]string{"signal": "HUP"}}, nil, func(w, _ *state.Container, _ *state.Snapshot) { w.State = "exited" }, "worse", "health healthy -> exited"},
		{"a signal that was to end it", state.Action{Kind: state.ContainerKill, Target: "web", Args: map[string]string{"signal": "KILL"}}, nil, func(w, _ *state.Container, _ *state.Snapshot) { w.State = "exited" }, "the same", ""},
		{"the alert ends", state.Action{Kind: state.ContainerRestart, Target: "web"}, func(_, _ *state.Container, s *state.Snapshot) { fires(s) }, nil, "better", "firing alerts 1 -> 0"},
		{"the engine went away", state.Action{Kind: state.ContainerRestart, Target: "web"}, nil, func(_, _ *state.Container, s *state.Snapshot) { s.Containers.Health.Status = state.Stale }, "unknown", ""},
		{"it is gone", state.Action{Kind: state.ContainerRestart, Target: "web"}, nil, func(_, _ *state.Container, s *state.Snapshot) { s.Containers.List = s.Containers.List[:1] }, "worse", "health healthy -> gone"},
		{"a service", state.Action{Kind: state.ComposeScale, Target: "shop/web", Args: map[string]string{"replicas": "2"}}, nil, func(_, _ *state.Container, s *state.Snapshot) {
			c := s.Containers.List[1]
			c.ID, c.Title, c.State = "w2", "web-2", "exited"
			s.Containers.List = append(s.Containers.List, c)
		}, "worse", "health healthy -> 1 exited, 1 healthy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from := shop(nil)
			if tt.name == "an old count says nothing" {
				from = shop(tt.before)
			}
			const length = 10 * time.Second
			v := Judge(Measure(shop(tt.before), tt.a, state.Window{Length: length}), Measure(shop(tt.after), tt.a, state.Window{From: from, Length: length}))
			if v.Word != tt.want || tt.reason != strings.Join(v.Reasons, "; ") {
				t.Errorf("got %s, reasons %q, want %s, %q", v.Word, v.Reasons, tt.want, tt.reason)
			}
			if len(v.Before) != len(v.After) {
				t.Errorf("%d figures before, %d after", len(v.Before), len(v.After))
			}
		})
	}
}

func TestAVerdictIsSaidWithItsReasonsFirstAndWithoutWhatIsUnknown(t *testing.T) {
	v := Judge([]state.Figure{{Title: "cpu", Value: 3, Unit: "%"}, {Title: "alerts", Value: -1}, {Title: "health", Value: 3, Text: "unhealthy", Weight: 100}},
		[]state.Figure{{Title: "health", Value: 0, Text: "healthy", Weight: 100}, {Title: "cpu", Value: 3, Unit: "%"}})
	v.Note = "web is starting still"
	if got, want := v.Summary(), "better: web is starting still, health unhealthy -> healthy, cpu 3.0 %"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	noise := Judge([]state.Figure{{Title: "error lines", Value: 10, Weight: 5, Slack: 7}}, []state.Figure{{Title: "error lines", Value: 14, Weight: 5}})
	if noise.Word != "the same" || noise.Reasons != nil {
		t.Errorf("within its slack: %+v", noise)
	}
}

func TestArgumentsOfContainerActionsAreChecked(t *testing.T) {
	s := shop(nil)
	for _, tt := range []struct {
		kind   state.Kind
		target string
		args   map[string]string
		want   string // in the reason; "" for none
	}{
		{state.ContainerKill, "web", map[string]string{"signal": "sighup"}, ""},
		{state.ContainerKill, "web", map[string]string{"signal": "15"}, ""},
		{state.ContainerKill, "web", nil, "is not a signal"},
		{state.ContainerKill, "web", map[string]string{"signal": "99"}, "is not a signal"},
		{state.ContainerUpdate, "web", nil, "nothing is asked for"},
		{state.ContainerUpdate, "web", map[string]string{"memory": "512m", "cpus": "0.5", "restart": "on-failure:5"}, ""},
		{state.ContainerUpdate, "web", map[string]string{"memory": "1 GiB"}, ""},
		{state.ContainerUpdate, "web", map[string]string{"memory": "5m"}, "below the least"},
		{state.ContainerUpdate, "web", map[string]string{"memory": "NaN"}, "is not a size"},
		{state.ContainerUpdate, "web", map[string]string{"memory": "-1g"}, "is not a size"},
		{state.ContainerUpdate, "web", map[string]string{"cpus": "5"}, "more than the 4"},
		{state.ContainerUpdate, "web", map[string]string{"cpus": "0"}, "not a number of cores"},
		{state.ContainerUpdate, "web", map[string]string{"restart": "always:3"}, "not a restart policy"},
		{state.ContainerUpdate, "web", map[string]string{"restart": "on-failure:0"}, "from 1"},
		{state.ContainerRename, "web", map[string]string{"name": "db"}, "another container's name"},
		{state.ContainerRename, "web", map[string]string{"name": "web"}, "already"},
		{state.ContainerRename, "web", map[string]string{"name": "--help"}, "is not a name"},
		{state.ContainerRename, "web", map[string]string{"name": "web.old_2-x"}, ""},
		{state.ContainerRemove, "web", map[string]string{"volumes": "perhaps"}, "neither yes nor no"},
		{state.ContainerPrune, "engine", map[string]string{"volumes": "all"}, ""},
		{state.ContainerPrune, "engine", map[string]string{"volumes": "some"}, "neither yes nor no"},
		{state.ComposeScale, "shop/web", map[string]string{"replicas": "1000"}, "from 0 to 100"},
		{state.ComposeScale, "shop/web", map[string]string{"replicas": "2"}, ""},
	} {
		got := Check(s, state.SpecOf(tt.kind), tt.target, tt.args)
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s %v: %q, want %q in it", tt.kind, tt.args, got, tt.want)
		}
	}
}

func TestTheImpactNamesWhoDependsOverOthersToo(t *testing.T) {
	s := shop(func(w, _ *state.Container, s *state.Snapshot) {
		w.Ports, w.Volumes = []string{"0.0.0.0:8080->80/tcp"}, []string{"data at /data"}
		s.Containers.List = append(s.Containers.List,
			state.Container{ID: "x", Title: "edge", State: "running", Project: "shop", Service: "edge", Labels: map[string]string{dependsLabel: "web:service_healthy:true"}},
			state.Container{ID: "y", Title: "side", State: "running", NetworkOf: "d"},
			state.Container{ID: "z", Title: "stranger", State: "running", Project: "other", Service: "web", Labels: map[string]string{dependsLabel: "db:service_started:false"}})
		s.Queues.Server = "10.0.0.9:6379"
		s.Containers.Connections = map[string]state.Connections{"d": {In: map[int]int{5432: 2}, Out: map[string]int{"10.0.0.9:6379": 3, "1.1.1.1:443": 1}}}
		s.Journal.Entries = []state.Entry{{Target: "db", Phase: state.PhaseEnd, Kind: state.ContainerStop, Actor: state.Actor{User: "ann"}, Outcome: "ok"}}
	})
	got := strings.Join(Impact(s, state.SpecOf(state.ContainerStop), "db"), "\n")
	for _, want := range []string{
		"depends on it: web (healthy), edge (running), side (uses its network)", "established connections: 2 to port 5432; they break",
		"connections that it holds to others: 4, to 10.0.0.9:6379, 1.1.1.1:443", "3 of them go to port 6379", "last: container.stop by ann",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the impact lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "stranger") {
		t.Errorf("another project's container is named:\n%s", got)
	}
	s.Containers.Connections["d"] = state.Connections{Err: "the engine is on another host"}
	if got := strings.Join(Impact(s, state.SpecOf(state.ContainerStop), "db"), "\n"); !strings.Contains(got, "connections: unknown: the engine is on another host") {
		t.Errorf("what is unknown must say so:\n%s", got)
	}
}

func TestJudge(t *testing.T) {
	snap := func(health string, latencies ...float64) *state.Snapshot {
		return &state.Snapshot{Modules: state.Modules{List: []state.Module{{ID: "a/b", Status: state.ModuleInstalled, HealthWord: health, Latencies: latencies}}}}
	}
	for _, tt := range []struct {
		name          string
		before, after *state.Snapshot
		want          string
	}{
		{"mended", snap("unhealthy", -1, -1), snap("healthy", -1, -1, 5), "better"},
		{"broken", snap("healthy", 5), snap("unhealthy", 5, -1), "worse"},
		{"as it was", snap("healthy", 5), snap("healthy", 5, 5), "the same"},
		{"never known", snap("", 5), &state.Snapshot{}, "unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := Judge(Measure(tt.before, state.Action{Kind: state.ModuleRestart, Target: "a/b"}, state.Window{}), Measure(tt.after, state.Action{Kind: state.ModuleRestart, Target: "a/b"}, state.Window{}))
			if v.Word != tt.want || !strings.HasPrefix(v.Summary(), tt.want) {
				t.Errorf("got %q (%s), want %q", v.Word, v.Summary(), tt.want)
			}
		})
	}
}
