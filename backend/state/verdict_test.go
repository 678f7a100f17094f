package state

import (
	"strings"
	"testing"
	"time"
)

// shop is a snapshot of a compose project of web and db, changed by f.
func shop(f func(web, db *Container, s *Snapshot)) *Snapshot {
	s := &Snapshot{At: time.Unix(1000, 0)}
	s.Containers = Containers{Health: Health{Status: OK}, CPUs: 4, List: []Container{
		{ID: "d", Title: "db", State: "running", HealthWord: "healthy", Project: "shop", Service: "db", Limits: Limits{Known: true, Restart: "no"}, MemPercent: 10, CPUHistory: []float64{1, 1}, Started: time.Unix(1, 0)},
		{ID: "w", Title: "web", State: "running", HealthWord: "healthy", Project: "shop", Service: "web", Limits: Limits{Known: true, Memory: 64 << 20, Restart: "no"}, MemPercent: 50, CPUHistory: []float64{3, 5}, Started: time.Unix(1, 0),
			Labels: map[string]string{dependsLabel: "db:service_started:false"}},
	}}
	s.Alerts.Health.Status = OK
	if f != nil {
		f(&s.Containers.List[1], &s.Containers.List[0], s)
	}
	return s
}

func TestTheVerdictOnAContainerIsItsHealthRestartsProjectAndAlerts(t *testing.T) {
	fires := func(s *Snapshot) {
		s.Alerts.List = []Alert{{Rule: "ShopDown", State: AlertFiring, Labels: map[string]string{"project": "shop"}}, {Rule: "Other", State: AlertFiring, Labels: map[string]string{"project": "x"}}}
	}
	for _, tt := range []struct {
		name          string
		a             Action
		before, after func(web, db *Container, s *Snapshot)
		want, reason  string
	}{
		{"healed", Action{Kind: ContainerRestart, Target: "web"}, func(w, _ *Container, _ *Snapshot) { w.HealthWord = "unhealthy" }, nil, "better", "health unhealthy -> healthy"},
		{"as it was", Action{Kind: ContainerRestart, Target: "web"}, nil, nil, "the same", ""},
		{"it restarts again and again", Action{Kind: ContainerRestart, Target: "web"}, nil, func(w, _ *Container, _ *Snapshot) { w.Restarts = 3 }, "worse", "restarts 0 in 10s -> 3 in 10s"},
		{"an old count says nothing", Action{Kind: ContainerRestart, Target: "web"}, func(w, _ *Container, _ *Snapshot) { w.Restarts = 7 }, func(w, _ *Container, _ *Snapshot) { w.Restarts = 7 }, "the same", ""},
		{"a check that has not answered", Action{Kind: ContainerRestart, Target: "web"}, nil, func(w, _ *Container, _ *Snapshot) { w.HealthWord = "starting" }, "the same", ""},
		{"a stop is meant", Action{Kind: ContainerStop, Target: "web"}, nil, func(w, _ *Container, _ *Snapshot) { w.State = "exited" }, "the same", ""},
		{"a stop that breaks others", Action{Kind: ContainerStop, Target: "db"}, nil, func(w, d *Container, _ *Snapshot) { d.State, w.HealthWord = "exited", "unhealthy" }, "worse", "others of the project in trouble 0 -> 1"},
		{"a signal that was to reload", Action{Kind: ContainerKill, Target: "web", Args: map[string]string{"signal": "HUP"}}, nil, func(w, _ *Container, _ *Snapshot) { w.State = "exited" }, "worse", "health healthy -> exited"},
		{"a signal that was to end it", Action{Kind: ContainerKill, Target: "web", Args: map[string]string{"signal": "KILL"}}, nil, func(w, _ *Container, _ *Snapshot) { w.State = "exited" }, "the same", ""},
		{"the alert ends", Action{Kind: ContainerRestart, Target: "web"}, func(_, _ *Container, s *Snapshot) { fires(s) }, nil, "better", "firing alerts 1 -> 0"},
		{"the engine went away", Action{Kind: ContainerRestart, Target: "web"}, nil, func(_, _ *Container, s *Snapshot) { s.Containers.Health.Status = Stale }, "unknown", ""},
		{"it is gone", Action{Kind: ContainerRestart, Target: "web"}, nil, func(_, _ *Container, s *Snapshot) { s.Containers.List = s.Containers.List[:1] }, "worse", "health healthy -> gone"},
		{"a service", Action{Kind: ComposeScale, Target: "shop/web", Args: map[string]string{"replicas": "2"}}, nil, func(_, _ *Container, s *Snapshot) {
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
			v := Judge(Measure(shop(tt.before), tt.a, Window{Length: length}), Measure(shop(tt.after), tt.a, Window{From: from, Length: length}))
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
	v := Judge([]Figure{{Title: "cpu", Value: 3, Unit: "%"}, {Title: "alerts", Value: -1}, {Title: "health", Value: 3, Text: "unhealthy", Weight: 100}},
		[]Figure{{Title: "health", Value: 0, Text: "healthy", Weight: 100}, {Title: "cpu", Value: 3, Unit: "%"}})
	v.Note = "web is starting still"
	if got, want := v.Summary(), "better: web is starting still, health unhealthy -> healthy, cpu 3.0 %"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	noise := Judge([]Figure{{Title: "error lines", Value: 10, Weight: 5, Slack: 7}}, []Figure{{Title: "error lines", Value: 14, Weight: 5}})
	if noise.Word != "the same" || noise.Reasons != nil {
		t.Errorf("within its slack: %+v", noise)
	}
}

func TestArgumentsOfContainerActionsAreChecked(t *testing.T) {
	s := shop(nil)
	for _, tt := range []struct {
		kind   Kind
		target string
		args   map[string]string
		want   string // in the reason; "" for none
	}{
		{ContainerKill, "web", map[string]string{"signal": "sighup"}, ""},
		{ContainerKill, "web", map[string]string{"signal": "15"}, ""},
		{ContainerKill, "web", nil, "is not a signal"},
		{ContainerKill, "web", map[string]string{"signal": "99"}, "is not a signal"},
		{ContainerUpdate, "web", nil, "nothing is asked for"},
		{ContainerUpdate, "web", map[string]string{"memory": "512m", "cpus": "0.5", "restart": "on-failure:5"}, ""},
		{ContainerUpdate, "web", map[string]string{"memory": "1 GiB"}, ""},
		{ContainerUpdate, "web", map[string]string{"memory": "5m"}, "below the least"},
		{ContainerUpdate, "web", map[string]string{"memory": "NaN"}, "is not a size"},
		{ContainerUpdate, "web", map[string]string{"memory": "-1g"}, "is not a size"},
		{ContainerUpdate, "web", map[string]string{"cpus": "5"}, "more than the 4"},
		{ContainerUpdate, "web", map[string]string{"cpus": "0"}, "not a number of cores"},
		{ContainerUpdate, "web", map[string]string{"restart": "always:3"}, "not a restart policy"},
		{ContainerUpdate, "web", map[string]string{"restart": "on-failure:0"}, "from 1"},
		{ContainerRename, "web", map[string]string{"name": "db"}, "another container's name"},
		{ContainerRename, "web", map[string]string{"name": "web"}, "already"},
		{ContainerRename, "web", map[string]string{"name": "--help"}, "is not a name"},
		{ContainerRename, "web", map[string]string{"name": "web.old_2-x"}, ""},
		{ContainerRemove, "web", map[string]string{"volumes": "perhaps"}, "neither yes nor no"},
		{ContainerPrune, "engine", map[string]string{"volumes": "all"}, ""},
		{ContainerPrune, "engine", map[string]string{"volumes": "some"}, "neither yes nor no"},
		{ComposeScale, "shop/web", map[string]string{"replicas": "1000"}, "from 0 to 100"},
		{ComposeScale, "shop/web", map[string]string{"replicas": "2"}, ""},
	} {
		got := SpecOf(tt.kind).Check(s, tt.target, tt.args)
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s %v: %q, want %q in it", tt.kind, tt.args, got, tt.want)
		}
	}
}

func TestTheLimitsThatAreShownAreReadBackAsTheSame(t *testing.T) {
	for _, v := range []float64{1, 1023, 1 << 10, 64 << 20, 1536 << 20, 3 << 30, 25276510208, 1<<60 - 1<<20} {
		got, err := ParseBytes(FormatBytes(v))
		if err != nil || got != v {
			t.Errorf("%v is shown as %q and read as %v, %v", v, FormatBytes(v), got, err)
		}
	}
}

func TestTheImpactNamesWhoDependsOverOthersToo(t *testing.T) {
	s := shop(func(w, _ *Container, s *Snapshot) {
		w.Ports, w.Volumes = []string{"0.0.0.0:8080->80/tcp"}, []string{"data at /data"}
		s.Containers.List = append(s.Containers.List,
			Container{ID: "x", Title: "edge", State: "running", Project: "shop", Service: "edge", Labels: map[string]string{dependsLabel: "web:service_healthy:true"}},
			Container{ID: "y", Title: "side", State: "running", NetworkOf: "d"},
			Container{ID: "z", Title: "stranger", State: "running", Project: "other", Service: "web", Labels: map[string]string{dependsLabel: "db:service_started:false"}})
		s.Queues.Server = "10.0.0.9:6379"
		s.Containers.Connections = map[string]Connections{"d": {In: map[int]int{5432: 2}, Out: map[string]int{"10.0.0.9:6379": 3, "1.1.1.1:443": 1}}}
		s.Journal.Entries = []Entry{{Target: "db", Phase: PhaseEnd, Kind: ContainerStop, Actor: Actor{User: "ann"}, Outcome: "ok"}}
	})
	got := strings.Join(containerImpact(s, "db"), "\n")
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
	s.Containers.Connections["d"] = Connections{Err: "the engine is on another host"}
	if got := strings.Join(containerImpact(s, "db"), "\n"); !strings.Contains(got, "connections: unknown: the engine is on another host") {
		t.Errorf("what is unknown must say so:\n%s", got)
	}
}

func TestRowsOfAServiceAreOneTarget(t *testing.T) {
	s := shop(func(w, _ *Container, s *Snapshot) {
		c := *w
		c.ID, c.Title = "w2", "web-2"
		s.Containers.List = append(s.Containers.List, c, Container{ID: "o", Title: "alone", State: "running"},
			Container{ID: "e", Title: "evil", State: "running", Project: "--help", Service: "-f"})
		s.Containers.Compose.Version = "docker-compose 1.29.2"
		s.Containers.Projects = map[string]Project{"shop": {Dir: "/srv", Files: []string{"/srv/compose.yaml"}}}
	})
	spec := SpecOf(ComposeRecreate)
	if got := strings.Join(spec.Targets(s), " "); got != "shop/db shop/web" {
		t.Errorf("targets %q", got)
	}
	for target, want := range map[string]string{"web-2": "shop/web", "shop/web": "shop/web", "shop/*": "shop/*", "alone": "", "evil": "", "-p/x": "", "a/b/c": ""} {
		if got := spec.Of(s, target); got != want {
			t.Errorf("%s stands for %q, want %q", target, got, want)
		}
	}
	if got := SpecOf(ComposeDown).Of(s, "web"); got != "shop/*" {
		t.Errorf("down of web stands for %q", got)
	}
	for target, want := range map[string]string{"web": "", "alone": "does not belong", "nope": "there is no", "other/x": "no container of a project"} {
		if why := Why(s, ComposeRecreate, target); (why == "") != (want == "") || !strings.Contains(why, want) {
			t.Errorf("%s: %q, want %q", target, why, want)
		}
	}
	s.Containers.Compose = Compose{Err: "neither is installed"}
	if why := Why(s, ComposeUp, "web"); why != "neither is installed" {
		t.Errorf("without compose: %q", why)
	}
}
