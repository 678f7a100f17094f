package state

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEverySectionNamesTheTargetsOfItsActions(t *testing.T) {
	for _, tt := range []struct {
		kind Kind
		want string
	}{
		{ModuleEnable, "a/on a/off a/bad a/refused a/gone a/new a/checked a/changed a/seen a/kept"},
		{PipelinePause, "ingest deliver"},
		{PipelineRetry, "j1"},
		{PipelineDiscard, "j1"},
		{PipelineDrain, "pipeline"},
		{ContainerStart, "alone broken created dead exited new paused removing restarting web"},
		{ComposeUp, "broken/web new/web shop/web"},
		{ComposeDown, "broken/* new/* shop/*"},
		{QueueRequeue, "t:failed t s:failed e:failed"},
		{LogRotate, "/w/a.log /w/b.log /w/c.log"},
		{AlertAck, "f p i k m"},
		{RoutingRoute, "category/chat tier/heavy tier/ghost"},
		{ControlGive, "c2"},
		{ActionUndo, "r q d u n c"},
	} {
		if got := strings.Join(SpecOf(tt.kind).Targets(workplace()), " "); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.kind, got, tt.want)
		}
	}
	s := workplace()
	s.Services.List = []Service{{Title: "api"}}
	if got := servicesSection.Targets(s, nil); !slices.Equal(got, []string{"api"}) {
		t.Errorf("services: got %q", got)
	}
}

func TestATargetIsJournalledUnderOneNameAndCalledByAnother(t *testing.T) {
	for _, tt := range []struct {
		kind                            Kind
		target, wantCanonical, wantCall string
	}{
		{ContainerStop, "id-web", "web", "id-web"},
		{ContainerStop, "none", "none", "none"},
		{ComposeUp, "web", "shop/web", "web"},
		{ComposeUp, "alone", "alone", "alone"},
		{ComposeDown, "shop/web", "shop/*", "shop/web"},
		{AlertAck, "Fires", "f", "Fires"},
		{AlertAck, "f", "f", "Fires"},
		{AlertAck, "none", "none", "none"},
		{LogRotate, "a.log", "/w/a.log", "a.log"},
		{LogRotate, "none", "none", "none"},
		{ModuleEnable, "a/on", "a/on", "a/on"},
		{ControlGive, "bob", "c2", "bob"},
		{ControlGive, "bob (pts/2)", "c2", "bob (pts/2)"},
		{ControlGive, "c2", "c2", "bob (pts/2)"},
		{ControlGive, "ann", "ann", "ann"},
		{ControlGive, "hall", "hall", "hall"},
		{ControlGive, "c3", "c3", "hall"},
		{ActionUndo, "r", "r", "reload module a/on"},
		{ActionUndo, "x", "x", "x"},
	} {
		s := workplace()
		if got := SpecOf(tt.kind).Canonical(s, tt.target); got != tt.wantCanonical {
			t.Errorf("%s: %q is journalled as %q, want %q", tt.kind, tt.target, got, tt.wantCanonical)
		}
		if got := SpecOf(tt.kind).Called(s, tt.target); got != tt.wantCall {
			t.Errorf("%s: %q is called %q, want %q", tt.kind, tt.target, got, tt.wantCall)
		}
	}
	if got := SpecOf(AlertAck).Called(nil, "f"); got != "f" {
		t.Errorf("without a snapshot: got %q", got)
	}
	for _, tt := range []struct {
		a    Action
		want string
	}{
		{Action{Kind: ContainerStop, Target: "web"}, "stop container web"},
		{Action{Kind: RulesReload, Target: "rules"}, "reload rule files"},
		{Action{Kind: "new.kind", Target: "x"}, "new.kind x"},
	} {
		if got := tt.a.Title(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestAUserWithTwoConsolesIsGivenControlByTheConsoleAlone(t *testing.T) {
	s := workplace()
	s.Workspace.Consoles = append(s.Workspace.Consoles, Console{ID: "c4", Actor: Actor{User: "bob", From: "pts/7", Via: "console"}})
	for target, want := range map[string]string{"bob": "bob", "bob (pts/7)": "c4", "bob (pts/2)": "c2"} {
		if got := SpecOf(ControlGive).Canonical(s, target); got != want {
			t.Errorf("%s: got %q, want %q", target, got, want)
		}
	}
	if got, want := Why(s, ControlGive, SpecOf(ControlGive).Canonical(s, "bob")), `there is no console "bob"`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUrgentIsWhatChangedAndNotWhatOnlyMoved(t *testing.T) {
	for _, tt := range []struct {
		section SectionName
		name    string
		change  func(*Snapshot)
		want    bool
	}{
		{SectionModules, "nothing", func(*Snapshot) {}, false},
		{SectionModules, "a figure", func(s *Snapshot) { s.Modules.List[0].Successes = 9 }, false},
		{SectionModules, "another status", func(s *Snapshot) { s.Modules.List[0].Status = ModuleFailed }, true},
		{SectionModules, "another health", func(s *Snapshot) { s.Modules.List[0].HealthWord = "degraded" }, true},
		{SectionModules, "another ID", func(s *Snapshot) { s.Modules.List[0].ID = "b/on" }, true},
		{SectionModules, "one less", func(s *Snapshot) { s.Modules.List = s.Modules.List[1:] }, true},
		{SectionContainers, "nothing", func(*Snapshot) {}, false},
		{SectionContainers, "memory", func(s *Snapshot) { s.Containers.List[0].MemBytes = 9 }, false},
		{SectionContainers, "another state", func(s *Snapshot) { s.Containers.List[0].State = "exited" }, true},
		{SectionContainers, "another health", func(s *Snapshot) { s.Containers.List[0].HealthWord = "unhealthy" }, true},
		{SectionContainers, "another container of the name", func(s *Snapshot) { s.Containers.List[0].ID = "other" }, true},
		{SectionContainers, "CPU is not known any more", func(s *Snapshot) { s.Containers.List[0].CPUPercent = -1 }, false},
		{SectionAlerts, "nothing", func(*Snapshot) {}, false},
		{SectionAlerts, "a value", func(s *Snapshot) { s.Alerts.List[0].Value = 9 }, false},
		{SectionAlerts, "another state", func(s *Snapshot) { s.Alerts.List[0].State = AlertResolved }, true},
		{SectionAlerts, "another alert", func(s *Snapshot) { s.Alerts.List[0].ID = "other" }, true},
		{SectionWorkspace, "nothing", func(*Snapshot) {}, false},
		{SectionWorkspace, "a key is pressed", func(s *Snapshot) { s.Workspace.Consoles[1].Active = time.Unix(9, 0) }, false},
		{SectionWorkspace, "one leaves", func(s *Snapshot) { s.Workspace.Consoles = s.Workspace.Consoles[:2] }, true},
		{SectionWorkspace, "another comes in its place", func(s *Snapshot) { s.Workspace.Consoles[2].ID = "c4" }, true},
		{SectionWorkspace, "control is taken", func(s *Snapshot) { s.Workspace.Consoles[1].Control = true }, true},
		{SectionWorkspace, "control is asked for", func(s *Snapshot) { s.Workspace.Consoles[1].Asked = time.Unix(9, 0) }, true},
		{SectionActions, "nothing", func(*Snapshot) {}, false},
		{SectionActions, "any", func(s *Snapshot) { s.Versions[SectionActions] = 2 }, true},
	} {
		b := workplace()
		tt.change(b)
		if got := DescriptorOf(tt.section).Urgent(workplace(), b); got != tt.want {
			t.Errorf("%s, %s: got %v, want %v", tt.section, tt.name, got, tt.want)
		}
	}
	unknown := workplace()
	unknown.Containers.List[0].CPUPercent = -1
	if !containersSection.Urgent(unknown, workplace()) {
		t.Error("the first CPU of a container waits for the clock")
	}
}

func TestEverySectionIsSummedUpAndSaysItsTroubles(t *testing.T) {
	s := workplace()
	s.Workspace.Problems = []string{"opsdeck.yaml:3: expected a list"}
	s.Modules.List[2].LastError = "no route to host\nat line 3"
	s.Containers.List[0].HealthWord = "unhealthy"
	s.Services.List = []Service{{Title: "api", Word: "down", Err: "refused\nmore"}, {Title: "db", Word: "unhealthy"}, {Title: "ok", Word: "healthy"}}
	s.Alerts.Problems = []string{"rules.yaml:1: no group"}
	s.Alerts.List = s.Alerts.List[:3]
	s.Alerts.List[0].Annotations = map[string]string{"summary": "it is hot"}
	s.Alerts.Groups = []RuleGroup{{Title: "g"}}
	s.Journal.Broken = "entry 4 does not follow from 3"
	s.Host = Host{CPUPercent: 12.4, Cores: 2, Load1: 0.5}
	for _, tt := range []struct {
		section SectionName
		summary string
		trouble []Trouble
	}{
		{SectionWorkspace, "", []Trouble{{RankConfig, "opsdeck.yaml:3: expected a list", ""}}},
		{SectionModules, "3 of 10 enabled", []Trouble{{RankFailed, "module a/bad is failed: no route to host", "a/bad"}, {RankFailed, "module a/refused is failed: ", "a/refused"}}},
		{SectionContainers, "4 of 10 running", []Trouble{{RankUnhealthy, "container alone is running unhealthy", "alone"}, {RankUnhealthy, "container dead is dead ", "dead"}, {RankUnhealthy, "container restarting is restarting ", "restarting"}}},
		{SectionServices, "3 probed", []Trouble{{RankUnreachable, "service api is down: refused", "api"}, {RankUnreachable, "service db is unhealthy: ", "db"}}},
		{SectionQueues, "4 watched", nil},
		{SectionLogs, "6 followed", nil},
		{SectionAlerts, "1 rule group, not evaluated yet: the engine has just started", []Trouble{{RankAlert, "alert Fires is firing: it is hot", "f"}, {RankConfig, "rules.yaml:1: no group", ""}}},
		{SectionHost, "cpu 12% of 2 cores, load 0.50", nil},
		{SectionJournal, "", []Trouble{{RankProof, "journal: entry 4 does not follow from 3", ""}}},
	} {
		d := DescriptorOf(tt.section)
		if d.Summary != nil || tt.summary != "" {
			if got := d.Summary(s); got != tt.summary {
				t.Errorf("%s: got %q, want %q", tt.section, got, tt.summary)
			}
		}
		if d.Troubles != nil || tt.trouble != nil {
			if got := d.Troubles(s); !reflect.DeepEqual(got, tt.trouble) {
				t.Errorf("%s: got %+v, want %+v", tt.section, got, tt.trouble)
			}
		}
	}
	s.Alerts.Evaluated, s.Journal.Broken = s.At, ""
	if got, want := alertsSection.Summary(s), "1 rule group"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := journalSection.Troubles(s); got != nil {
		t.Errorf("a whole journal: got %+v", got)
	}
}

func TestASectionSaysWhatHasNotBeenReadYet(t *testing.T) {
	s := workplace()
	if modulesSection.Sampled(s) {
		t.Error("an enabled module that was not fetched is waited for")
	}
	for i := range s.Modules.List {
		if s.Modules.List[i].Status == ModuleInstalled {
			s.Modules.List[i].LastFetch = s.At
		}
	}
	if !modulesSection.Sampled(s) {
		t.Error("one that is disabled is waited for")
	}
	s = workplace()
	for i := range s.Containers.List {
		s.Containers.List[i].Sampled = s.At
	}
	if !containersSection.Sampled(s) {
		t.Error("all are sampled")
	}
	for _, tt := range []struct {
		name, target string
		kind         Kind
		status       Status
		want         bool
	}{
		{"it is here", "web", ContainerStop, Connecting, true},
		{"it may be on a host that connects", "none", ContainerStop, Connecting, false},
		{"it is nowhere", "none", ContainerUpdate, OK, true},
		{"limits are read", "alone", ContainerUpdate, OK, true},
		{"limits are not read", "web", ContainerUpdate, OK, false},
	} {
		s.Containers.Hosts = []ContainerHost{{Title: "edge", Health: Health{Status: tt.status}}}
		if got := containersSection.ReadyFor(s, Action{Kind: tt.kind, Target: tt.target}); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
		if got, want := containersSection.Sampled(s), tt.status == OK; got != want {
			t.Errorf("%s: sampled is %v, want %v", tt.name, got, want)
		}
	}
	for _, tt := range []struct{ target, want string }{{"web", ""}, {"restarting", "restarting is restarting"}, {"new/web", "new is starting"}} {
		s.Containers.Container("new").HealthWord = "starting"
		if got := containersSection.Pending(s, Action{Kind: ContainerRestart, Target: tt.target}); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.target, got, tt.want)
		}
	}
}

// cells returns the rows of a section's list as text, those that need attention with a "!".
func cells(s *Snapshot, name SectionName, list int) string {
	var out []string
	for _, r := range DescriptorOf(name).Lists[list].Rows(s) {
		line := r.ID + ":"
		if r.Bad {
			line = "!" + line
		}
		for _, c := range r.Cells {
			if at, ok := c.(time.Time); ok {
				c = at.UTC().Format("15:04:05")
			}
			line += fmt.Sprintf(" %v", c)
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

func TestTheTablesOfSectionsSayWhatIsKnown(t *testing.T) {
	at := time.Unix(3661, 0)
	noon := time.Date(2026, 1, 2, 12, 30, 0, 0, time.Local)
	s := &Snapshot{
		Workspace: Workspace{Consoles: []Console{{ID: "c1", Actor: Actor{User: "ann", From: "pts/1", Via: "console"}, Since: at, Active: at, Control: true},
			{ID: "c2", Actor: Actor{User: "bob", Via: "console"}, Since: at, Active: at, Asked: at}, {ID: "c3", Actor: Actor{User: "hall", Via: "wall"}, Since: at, Active: at}}},
		Modules: Modules{KeyFrom: "file", Keys: []KeyUse{{"new", 3, 1}, {"old", 2, 0}, {"", 1, 0}}, List: []Module{
			{ID: "a/on", Status: ModuleInstalled, HealthWord: "healthy", Version: "1", LastFetch: at, Successes: 4, Failures: 1, Credentials: CredentialsPresent, CredentialFields: []string{"k", "l"}, CredentialsUpdated: at, CredentialsUsed: at, CredentialsExpire: noon, CredentialsServe: []string{"b/on"}},
			{ID: "a/bad", Status: ModuleFailed, HealthWord: "unhealthy", LastFetch: at, LastError: "no route\nx", CredentialsUpdated: at, CredentialsUsed: at}}},
		Pipeline: Pipeline{Closed: "ann", Stages: []Stage{{Title: "ingest", State: "idle", Depth: 1, InFlight: 2, Workers: 3, Rate: 0.5, P95: 12.34, Done: 7, Errors: 1}, {Title: "deliver", State: "paused", Paused: "bob"}, {Title: "end", State: "idle"}}},
		Services: Services{List: []Service{{Title: "api", Word: "healthy", LatencyMS: 3.14, URL: "http://a"}, {Title: "db", Word: "down", Err: "refused\nx"}, {Title: "q", Word: "unhealthy"}}},
		Containers: Containers{List: []Container{{Title: "web", State: "running", HealthWord: "healthy", CPUPercent: 3, MemBytes: 1024, MemLimit: 2048, PIDs: 5, Restarts: 1, Started: at, Image: "nginx"},
			{Title: "job", State: "exited", ExitCode: 3, Started: at, Image: "job"}, {Title: "lost", State: "dead", ExitCode: 1, Started: at}, {Title: "wait", State: "created", Started: at}}},
		Queues: Queues{List: []Queue{{Key: "t", Kind: "list", Depth: 3, Trend: -0.5, Oldest: 1500 * time.Millisecond, Drain: -1}, {Key: "x", Kind: "list", Oldest: 0, Drain: time.Minute, Err: "gone"}}},
		Logs: Logs{Sources: []LogSource{{Title: "a.log", Kind: "file", Size: 10, Lines: 3, Errors: 1, LastAt: at, Rotation: "by copy"}, {Title: "b.log", Kind: "file", LastAt: at, Err: "denied", Rotation: "by copy"}},
			Watches: []LogWatch{{Name: "w", Source: "a.log", Sources: 1, Window: time.Minute, Recent: 2, Matches: 9, LastAt: at, Where: "level>=error"}}},
		Alerts: Alerts{Problems: []string{"rules.yaml:1"}, Groups: []RuleGroup{{Title: "g", File: "f", Rules: 2, Interval: time.Minute, LastEval: at}, {Title: "h", LastEval: at, Err: "bad"}}, List: []Alert{
			{ID: "f", Rule: "Fires", State: AlertFiring, Severity: "critical", Value: 0.123456789, Since: at, AckedBy: "ann", SilenceID: "s", SilencedUntil: noon, Annotations: map[string]string{"summary": "hot"}},
			{ID: "i", Rule: "Quiet", State: AlertInactive, Since: at, Err: "no data"}}},
		Host: Host{Disks: []Disk{{Mount: "/", FSType: "ext4", Total: 100, Avail: 50, Device: "sda"}}},
		Routing: Routing{Rows: []Route{{ID: "category/chat", Tier: "heavy", Priority: "high", Provider: "p", Model: "m", MaxLatencyMS: 50}, {ID: "tier/heavy", Endpoint: "http://h"}, {ID: "tier/ghost", Unlisted: true}},
			History: []RoutingVersion{{Version: 2, At: noon, How: "applied", By: Actor{User: "ann"}, Added: 1, Removed: 2, Why: "cost"}}},
		Actions: Actions{List: []Progress{{ID: "1", Action: Action{Kind: ModuleReload, Target: "a/on", Actor: Actor{User: "ann"}}, Status: "done", Queued: noon, Result: "fine"}, {ID: "2", Status: "failed", Queued: noon, Err: "no\nway", Result: "x"}}},
	}
	for _, tt := range []struct {
		section SectionName
		list    int
		want    string
	}{
		{SectionWorkspace, 0, "c1: c1 ann pts/1 console 01:01:01 01:01:01 holds it\nc2: c2 bob  console 01:01:01 01:01:01 {asked for it " + at.String() + "}\nc3: c3 hall  wall 01:01:01 01:01:01 "},
		{SectionModules, 0, "a/on: a/on enabled healthy 1 01:01:01 4 1 present \n!a/bad: a/bad failed unhealthy  01:01:01 0 0  no route"},
		{SectionModules, 1, "a/on: a/on present k,l 01:01:01 01:01:01 2026-01-02 b/on\na/bad: a/bad   01:01:01 01:01:01  "},
		{SectionModules, 2, ": new encrypts, from file 3 1\n: old old, decrypts 2 0\n:  none: no key that is given opens them 1 0"},
		{SectionPipeline, 0, "ingest: ingest idle 1 2 3 0.50/s 12.3ms 7 1 drained by ann\ndeliver: deliver paused 0 0 0 0.00/s 0.0ms 0 0 bob\nend: end idle 0 0 0 0.00/s 0.0ms 0 0 "},
		{SectionServices, 0, "api: api healthy {3.14 1 ms} http://a \n!db: db down {0 1 ms}  refused\n!q: q unhealthy {0 1 ms}  "},
		{SectionContainers, 0, "web: web running healthy {3 2 %} 1024 2048 5 1 01:01:01 nginx\njob: job exited 3  <nil> <nil> <nil> <nil> 0 01:01:01 job\n!lost: lost dead 1  <nil> <nil> <nil> <nil> 0 01:01:01 \nwait: wait created  <nil> <nil> <nil> <nil> 0 01:01:01 "},
		{SectionQueues, 0, "t: t list 3 {-0.5 /s} 2s <nil>\n!x: x list 0 {0 /s} 0s 1m0s"},
		{SectionLogs, 0, "a.log: a.log file 10 3 1 01:01:01 by copy\n!b.log: b.log file 0 0 0 01:01:01 denied"},
		{SectionLogs, 1, "w: w a.log 1 1m0s 2 9 01:01:01 level>=error"},
		{SectionAlerts, 0, "!f: f firing critical 0.12346 01:01:01 ann until 12:30 hot\ni: Quiet inactive   01:01:01   no data"},
		{SectionAlerts, 1, "g: g f 2 1m0s 01:01:01 \n!h: h  0 0s 01:01:01 bad\n!: (not loaded) <nil> <nil> <nil> <nil> rules.yaml:1"},
		{SectionHost, 0, "/: / ext4 100 50 sda"},
		{SectionRouting, 0, "category/chat: category/chat heavy high p m {50 -1 ms} 0 0 {0 -1 ms}\ntier/heavy: tier/heavy http://h   {0 -1 ms} 0 0 {0 -1 ms}\n!tier/ghost: tier/ghost (not listed)   {0 -1 ms} 0 0 {0 -1 ms}"},
		{SectionRouting, 1, ": 2 2026-01-02 12:30:00 applied ann +1 -2 cost"},
		{SectionActions, 0, "1: 1 module.reload a/on done ann 2026-01-02 12:30:00 fine\n!2: 2   failed  2026-01-02 12:30:00 no"},
	} {
		if got := cells(s, tt.section, tt.list); got != tt.want {
			t.Errorf("%s, list %d: got\n%s\nwant\n%s", tt.section, tt.list, got, tt.want)
		}
	}
}

func TestASectionOfANewerEngineIsKept(t *testing.T) {
	sec, err := DecodeSection("metrics", []byte(`{"health":{"status":"ok"},"x":1}`))
	if err != nil {
		t.Fatal(err)
	}
	s := (&Snapshot{}).With(3, time.Unix(1, 0), sec)
	if got := s.HealthOf("metrics").Status; got != OK {
		t.Errorf("health: got %q", got)
	}
	if got := NameOf(s.Section("metrics")); got != "metrics" {
		t.Errorf("name: got %q", got)
	}
	if got := HealthOf(WithHealth(sec, Health{Status: Stale})).Status; got != Stale {
		t.Errorf("with another health: got %q", got)
	}
	if u, ok := sec.(Unknown); !ok || string(u.JSON) != `{"health":{"status":"ok"},"x":1}` {
		t.Errorf("got %+v", sec)
	}
	if s := s.With(4, time.Unix(2, 0), Unknown{Section: "more"}); len(s.Unknown) != 2 {
		t.Errorf("got %d, want both", len(s.Unknown))
	}
	for _, name := range []SectionName{"metrics", SectionHost} {
		if _, err := DecodeSection(name, []byte(`[`)); err == nil {
			t.Errorf("%s: no error for what is no JSON", name)
		}
	}
	known, err := DecodeSection(SectionHost, []byte(`{"hostname":"h"}`))
	if err != nil || known.(Host).Hostname != "h" {
		t.Errorf("got %+v, %v", known, err)
	}
	if got := (&Snapshot{Host: Host{Health: Health{Status: Down}}}).HealthOf(SectionHost).Status; got != Down {
		t.Errorf("host: got %q", got)
	}
	if NewSection(SectionHost) == nil || NewSection("metrics") != nil {
		t.Error("an empty section is of a name that is registered")
	}
}
