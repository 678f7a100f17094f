package policy

import (
	"strings"
	"testing"

	"github.com/opsdeck/opsdeck/backend/state"
)

func TestTheImpactOnAContainerIsWhatItHasAndWhoNeedsIt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(web, db *state.Container, s *state.Snapshot)
		kind   state.Kind
		target string
		want   string
	}{
		{"bare", func(w, d *state.Container, s *state.Snapshot) { w.Project, d.Project, w.Image = "", "", "nginx" }, state.ContainerStop, "web", "web is running, image nginx"},
		{"of a project", nil, state.ContainerStop, "web", "web is running, image |project shop also runs db"},
		{"needed", nil, state.ContainerRestart, "db", "db is running, image |depends on it: web (healthy)|project shop also runs web"},
		{"needed by one that is stopped", func(w, _ *state.Container, _ *state.Snapshot) { w.State = "exited" }, state.ContainerPause, "db", "db is running, image |depends on it: web (exited)|project shop also runs web"},
		{"needed by one without a check", func(w, _ *state.Container, _ *state.Snapshot) { w.HealthWord = "" }, state.ContainerKill, "db", "db is running, image |depends on it: web (running)|project shop also runs web"},
		{"what it has", func(w, _ *state.Container, s *state.Snapshot) {
			w.Ports, w.Volumes = []string{"80", "443"}, []string{"a", "b"}
			s.Containers.List = append(s.Containers.List, state.Container{ID: "a", Title: "api", Project: "shop", Service: "api", State: "running"})
			s.Alerts.List = []state.Alert{{Rule: "Hot", State: state.AlertFiring, Labels: map[string]string{"name": "web"}}}
		}, state.ContainerRemove, "web", "what it wrote outside its volumes is lost|web is running, image |published ports: 80, 443|project shop also runs api, db|volumes: a, b|alerts firing now: Hot"},
		{"connections", func(_, _ *state.Container, s *state.Snapshot) {
			s.Queues.Server = "redis:6379"
			s.Containers.Connections = map[string]state.Connections{"w": {In: map[int]int{443: 1, 80: 2}, Out: map[string]int{"a:1": 1, "b:2": 4, "c:3": 2, "e:5": 1, "d:4": 1}}}
		}, state.ContainerStop, "web", "web is running, image |established connections: 2 to port 80, 1 to port 443; they break|connections that it holds to others: 9, to b:2, c:3, a:1, and 2 more|project shop also runs db"},
		{"no connections", func(_, _ *state.Container, s *state.Snapshot) {
			s.Containers.Connections = map[string]state.Connections{"w": {}}
		}, state.ContainerStop, "web", "web is running, image |no established connections to it|project shop also runs db"},
		{"connections without queues", func(_, _ *state.Container, s *state.Snapshot) {
			s.Containers.Connections = map[string]state.Connections{"w": {Out: map[string]int{"socket": 1}}}
		}, state.ContainerStop, "web", "web is running, image |no established connections to it|connections that it holds to others: 1, to socket|project shop also runs db"},
		{"connections of before it stopped", func(w, _ *state.Container, s *state.Snapshot) {
			w.State = "exited"
			s.Containers.Connections = map[string]state.Connections{"w": {In: map[int]int{80: 1}}}
		}, state.ContainerStop, "web", "web is exited, image |project shop also runs db"},
		{"last by its service", func(w, _ *state.Container, s *state.Snapshot) {
			s.Journal.Entries = []state.Entry{{Target: "shop/web", Phase: state.PhaseEnd, Kind: state.ComposeUp, Actor: state.Actor{User: "ann"}, At: s.At, Outcome: "ok"}}
		}, state.ContainerStop, "web", "web is running, image |project shop also runs db|last: compose.up by ann, " + shop(nil).At.Local().Format("2006-01-02 15:04:05") + ", ok"},
		{"not there", nil, state.ContainerStop, "none", ""},

		{"limits", nil, state.ContainerUpdate, "web", "it is changed in place: nothing restarts|it uses 0 B of memory now: the kernel ends a process of it that finds no more below the limit|a limit that it has not had cannot be taken away again: undo sets it to all that the host has|compose does not know of it: a recreate brings back what its files say"},
		{"limits that it has", func(w, _ *state.Container, _ *state.Snapshot) { w.Limits.CPUs, w.Project, w.MemBytes = 1, "", 1024 }, state.ContainerUpdate, "web", "it is changed in place: nothing restarts|it uses 1.0 KiB of memory now: the kernel ends a process of it that finds no more below the limit"},
		{"limits without memory", func(w, _ *state.Container, _ *state.Snapshot) {
			w.Limits.CPUs, w.Limits.Memory, w.Project, w.MemBytes = 1, 0, "", -1
		}, state.ContainerUpdate, "web", "it is changed in place: nothing restarts|a limit that it has not had cannot be taken away again: undo sets it to all that the host has"},
		{"limits of one that is stopped", func(w, _ *state.Container, _ *state.Snapshot) { w.Limits.CPUs, w.Project, w.State = 1, "", "exited" }, state.ContainerUpdate, "web", "it is changed in place: nothing restarts"},
		{"limits of none", nil, state.ContainerUpdate, "none", ""},

		{"a service", composed, state.ComposePull, "db", "fetches its image; what runs goes on as it is|by compose 2, in /srv, from a.yaml, b.yaml|containers: db (healthy)|depends on it: web (running)"},
		{"all of a project", composed, state.ComposeUp, "shop/*", "starts what is missing, and recreates what differs from the files|by compose 2, in /srv, from a.yaml, b.yaml|containers: db (healthy), web (running)|web: no established connections to it|web has volumes: data|web publishes 80"},
		{"a service of none", composed, state.ComposeBuild, "shop/none", "builds its image; what runs goes on as it is|by compose 2, in /srv, from a.yaml, b.yaml"},
		{"nothing more than the table says", nil, state.ModuleTest, "none", ""},
	} {
		s := shop(tt.change)
		if got := strings.Join(Impact(s, state.SpecOf(tt.kind), tt.target), "|"); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}

// composed gives the shop compose's files and its web what an impact names.
func composed(web, db *state.Container, s *state.Snapshot) {
	s.Containers.Compose.Version = "compose 2"
	s.Containers.Projects = map[string]state.Project{"shop": {Dir: "/srv", Files: []string{"a.yaml", "b.yaml"}}}
	web.HealthWord, web.Volumes, web.Ports = "", []string{"data"}, []string{"80"}
	s.Containers.Connections = map[string]state.Connections{"w": {}}
}

func TestWhoUsesANetworkOrDependsOverOthersIsADependant(t *testing.T) {
	c := func(id, service, needs, network string) state.Container {
		return state.Container{ID: id, Title: id, State: "running", Project: "p", Service: service, NetworkOf: network, Labels: map[string]string{dependsLabel: needs}}
	}
	all := state.Containers{List: []state.Container{c("a", "a", "", ""), c("b", "b", "x:y,a:service_started:true", ""), c("d", "d", "b", ""), c("e", "e", "aa:x,", ""), c("f", "f", "", "a"), c("a2", "a", "", "")}}
	for i, want := range []string{"b (running), d (running), f (uses its network)", "d (running)", "", "", "", "b (running), d (running)"} {
		if got := strings.Join(dependants(&all, &all.List[i]), ", "); got != want {
			t.Errorf("%s: got %q, want %q", all.List[i].Title, got, want)
		}
	}
	alone := state.Containers{List: []state.Container{{ID: "1", Title: "1"}, {ID: "2", Title: "2", Labels: map[string]string{dependsLabel: ""}}}}
	if got := dependants(&alone, &alone.List[0]); got != nil {
		t.Errorf("without a project: got %q", got)
	}
}

func TestArgumentsAreRead(t *testing.T) {
	for _, tt := range []struct {
		text string
		most int
		want float64 // 0 for an error
	}{{"0.01", 0, 0.01}, {"0.009", 0, 0}, {" 2 ", 2, 2}, {"2.1", 2, 0}, {"100", 0, 100}, {"1e6", 0, 0}, {"NaN", 0, 0}, {"x", 0, 0}, {"1", 1, 1}, {"1.5", 1, 0}} {
		got, err := ParseCPUs(tt.text, tt.most)
		if got != tt.want || (err == nil) != (tt.want > 0) {
			t.Errorf("cores %q of %d: got %v, %v, want %v", tt.text, tt.most, got, err, tt.want)
		}
	}
	for _, tt := range []struct {
		text, name string
		retries    int
		ok         bool
	}{
		{"no", "no", 0, true}, {" always ", "always", 0, true}, {"unless-stopped", "unless-stopped", 0, true}, {"on-failure", "on-failure", 0, true}, {"on-failure:1", "on-failure", 1, true},
		{"on-failure:0", "", 0, false}, {"on-failure:x", "", 0, false}, {"no:1", "", 0, false}, {"never", "", 0, false}, {"", "", 0, false},
	} {
		name, retries, err := ParseRestart(tt.text)
		if name != tt.name || retries != tt.retries || (err == nil) != tt.ok {
			t.Errorf("restart %q: got %q, %d, %v, want %q, %d", tt.text, name, retries, err, tt.name, tt.retries)
		}
	}
	for text, want := range map[string]string{"kill": "KILL", "SIGTERM": "TERM", " hup ": "HUP", "1": "1", "64": "64", "0": "", "65": "", "-1": "", "": "", "NOPE": ""} {
		got, err := ParseSignal(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("signal %q: got %q, %v, want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{"yes": "true", " Y ": "true", "true": "true", "1": "true", "no": "false", "n": "false", "false": "false", "0": "false", "": "false", "maybe": "error"} {
		v, err := ParseYes(text)
		got := map[bool]string{true: "true", false: "false"}[v]
		if err != nil {
			got = "error"
			if v {
				t.Errorf("%q is a yes beside its error", text)
			}
		}
		if got != want {
			t.Errorf("yes %q: got %s, want %s", text, got, want)
		}
	}
}

func TestWhatIsWrongWithArgumentsIsSaidOnce(t *testing.T) {
	s := shop(func(w, _ *state.Container, _ *state.Snapshot) { w.Limits.AutoRemove = true })
	for _, tt := range []struct {
		kind   state.Kind
		target string
		args   map[string]string
		want   string
	}{
		{state.ContainerUpdate, "none", nil, ""},
		{state.ContainerUpdate, "web", map[string]string{"memory": "6m"}, ""},
		{state.ContainerUpdate, "web", map[string]string{"memory": "6291455"}, "memory: 6291455 is below the least that engines take, 6m"},
		{state.ContainerUpdate, "web", map[string]string{"memory": "x"}, `memory: "x" is not a size: expected one such as 512m or 1.5g`},
		{state.ContainerUpdate, "web", map[string]string{"cpus": "4"}, ""},
		{state.ContainerUpdate, "web", map[string]string{"cpus": "5"}, "cpus: 5 cores are more than the 4 that the host has"},
		{state.ContainerUpdate, "web", map[string]string{"restart": "no"}, ""},
		{state.ContainerUpdate, "web", map[string]string{"restart": "always"}, "restart: the engine removes it when it ends (--rm), so it cannot be restarted by a policy"},
		{state.ContainerUpdate, "web", map[string]string{"restart": "x"}, `restart: "x" is not a restart policy: expected no, always, unless-stopped, on-failure or on-failure:5`},
		{state.ContainerUpdate, "db", map[string]string{"restart": "always"}, ""},
		{state.ContainerUpdate, "web", map[string]string{"memory": " "}, "nothing is asked for: give memory, cpus or restart"},
		{state.ContainerPrune, "engine", map[string]string{"images": "x", "volumes": "all"}, `images: "x" is neither yes nor no`},
		{state.ContainerPrune, "engine", nil, ""},
		{state.ComposeDown, "shop/*", map[string]string{"volumes": "x"}, `volumes: "x" is neither yes nor no`},
		{state.ComposeScale, "shop/web", map[string]string{"replicas": "x"}, `"x" is not a number of containers from 0 to 100`},
		{state.ModuleTest, "x", nil, ""},
	} {
		if got := Check(s, state.SpecOf(tt.kind), tt.target, tt.args); got != tt.want {
			t.Errorf("%s %v: got %q, want %q", tt.kind, tt.args, got, tt.want)
		}
	}
}

func TestFiguresAreWeighedByHowFarTheyMoved(t *testing.T) {
	one := func(v, weight, slack float64) []state.Figure {
		return []state.Figure{{Title: "x", Value: v, Weight: weight, Slack: slack}}
	}
	for _, tt := range []struct {
		name          string
		before, after []state.Figure
		want          string
	}{
		{"up is worse", one(1, 1, 0), one(3, 1, 0), "worse x 1 -> 3"},
		{"down is better", one(3, 1, 0), one(1, 1, 0), "better x 3 -> 1"},
		{"a negative weight", one(3, -1, 0), one(1, -1, 0), "worse x 3 -> 1"},
		{"by one is too little", one(1, 1, 0), one(2, 1, 0), "the same x 1 -> 2"},
		{"one less is too little", one(2, 1, 0), one(1, 1, 0), "the same x 2 -> 1"},
		{"from nothing", one(0, 100, 0), one(1, 100, 0), "worse x 0 -> 1"},
		{"to nothing", one(1, 100, 0), one(0, 100, 0), "better x 1 -> 0"},
		{"as far as its slack", one(0, 100, 2), one(2, 100, 0), "the same "},
		{"the slack of after", one(0, 100, 0), one(2, 100, 2), "the same "},
		{"farther than its slack", one(0, 100, 1), one(2, 100, 1), "worse x 0 -> 2"},
		{"without a weight", one(0, 0, 0), one(9, 0, 0), "unknown "},
		{"unknown before", one(-1, 1, 0), one(9, 1, 0), "unknown "},
		{"unknown after", one(9, 1, 0), nil, "unknown "},
	} {
		v := Judge(tt.before, tt.after)
		if got := v.Word + " " + strings.Join(v.Reasons, "; "); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestOnlyTargetsWithFiguresAreMeasured(t *testing.T) {
	s := shop(func(w, _ *state.Container, s *state.Snapshot) { w.HealthWord = "starting" })
	for _, tt := range []struct {
		kind    state.Kind
		target  string
		figures int
		pending string
	}{
		{state.ContainerRestart, "web", 6, "web is starting"},
		{state.ContainerRestart, "db", 6, ""},
		{state.ContainerPrune, "engine", 0, ""},
		{state.QueueRequeue, "t:failed", 0, ""},
		{state.ModuleRestart, "a/b", 1, ""},
		{"new.kind", "web", 0, ""},
	} {
		a := state.Action{Kind: tt.kind, Target: tt.target}
		if got := len(Measure(s, a, state.Window{})); got != tt.figures {
			t.Errorf("%s of %s: got %d figures, want %d", tt.kind, tt.target, got, tt.figures)
		}
		if got := PendingReason(s, a); got != tt.pending {
			t.Errorf("%s of %s: got %q, want %q", tt.kind, tt.target, got, tt.pending)
		}
	}
}

func TestWhatIsToStopIsNotJudgedByRunning(t *testing.T) {
	for _, tt := range []struct {
		kind state.Kind
		args map[string]string
		want bool
	}{
		{state.ContainerStop, nil, true}, {state.ContainerPause, nil, true}, {state.ContainerRemove, nil, true}, {state.ComposeDown, nil, true},
		{state.ContainerStart, nil, false}, {state.ContainerRestart, nil, false},
		{state.ContainerKill, map[string]string{"signal": "sigterm"}, true}, {state.ContainerKill, map[string]string{"signal": "20"}, true},
		{state.ContainerKill, map[string]string{"signal": "USR1"}, false}, {state.ContainerKill, nil, false},
		{state.ComposeScale, map[string]string{"replicas": "0"}, true}, {state.ComposeScale, map[string]string{"replicas": "1"}, false},
	} {
		if got := StopsTarget(state.Action{Kind: tt.kind, Args: tt.args}); got != tt.want {
			t.Errorf("%s %v: got %v, want %v", tt.kind, tt.args, got, tt.want)
		}
	}
}
