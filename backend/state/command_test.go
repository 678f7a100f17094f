package state

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestACommandIsDerivedFromItsSpec(t *testing.T) {
	fields := func(*Snapshot, string) []Field {
		return []Field{{Key: "max_size", Hint: "how much", Default: "1", Required: true}, {Key: "why", Required: true}, {Key: "pass", Secret: true}, {Key: "name"}}
	}
	for _, tt := range []struct {
		name string
		spec Spec
		want string // "" for none
	}{
		{"words from kind and section", Spec{Kind: "queue.drop", Section: SectionQueues, Verb: "drop", Noun: "queue"}, "queues drop QUEUE: drop queue []"},
		{"no target where it is global", Spec{Kind: "queue.drop", Section: SectionQueues, Global: "all", Verb: "drop", Noun: "queues"}, "queues drop: drop queues []"},
		{"flags from plain fields", Spec{Kind: "queue.drop", Section: SectionQueues, Global: "all", Fields: fields, CLI: CLI{Short: "drop", Keys: []string{"name"}}}, "queues drop: drop [max-size=1 (how much) why! ()]"},
		{"flags of its own", Spec{Kind: "queue.drop", Section: SectionQueues, Fields: fields, CLI: CLI{Use: "drop it", Short: "s", Flags: []Flag{{Key: "a_b"}, {Key: "c", Name: "d_e"}}}}, "drop it: s [a-b () d_e ()]"},
		{"none where it is for consoles", Spec{Kind: "queue.drop", CLI: CLI{None: true, Use: "x"}}, ""},
		{"none where it is hidden", Spec{Kind: "queue.drop", Hidden: true}, ""},
		{"hidden with words of its own", Spec{Kind: "queue.drop", Hidden: true, CLI: CLI{Use: "drop it", Short: "s"}}, "drop it: s []"},
	} {
		c, ok := tt.spec.Command()
		var flags []string
		for _, f := range c.Flags {
			text := f.Name
			if f.Required {
				text += "!"
			}
			if f.Default != "" {
				text += "=" + f.Default
			}
			flags = append(flags, text+" ("+f.Help+")")
		}
		got := fmt.Sprintf("%s: %s %v", c.Use, c.Short, flags)
		if !ok {
			got = ""
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestFieldsHaveWhatIsInForceAsTheirDefault(t *testing.T) {
	s := workplace()
	s.Containers.List[0].Limits = Limits{Known: true, Memory: 512 << 20, CPUs: 1.5, Restart: "no"}
	s.Modules.List[0].RequiredCredentials = []string{"user", "pass"}
	s.Routing.Staged = nil
	s.Routing.MaxLatencyMS, s.Routing.MaxCost = 200, -1
	s.Routing.Rows = []Route{{ID: "category/chat", Tier: "heavy", Provider: "p", Model: "m", Priority: "high", MaxLatencyMS: -1}, {ID: "tier/heavy", Enabled: true, Endpoint: "http://h", MaxConcurrent: 4, Priority: "1"}, {ID: "tier/off"}}
	for _, tt := range []struct {
		kind         Kind
		target, want string
	}{
		{ContainerUpdate, "alone", "memory=512m cpus=1.5 restart=no"},
		{ContainerUpdate, "web", "memory= cpus= restart="},
		{ContainerUpdate, "none", ""},
		{ContainerRename, "web", "name!=web"},
		{ContainerKill, "web", "signal!=KILL"},
		{ContainerRemove, "web", "volumes=no"},
		{ContainerPrune, "engine", "containers=yes images=yes networks=yes cache=yes volumes=no"},
		{ComposeScale, "shop/web", "replicas!=1"},
		{ComposeDown, "shop/*", "volumes=no"},
		{CredentialSet, "a/on", "user!*= pass!*="},
		{CredentialSet, "a/checked", "key!*="},
		{CredentialSet, "a/off", "api_key!*="},
		{CredentialSet, "none", ""},
		{CredentialExpire, "a/on", "at="},
		{CredentialRekey, "credentials", "new_key*="},
		{CredentialUnlock, "credentials", "key!*="},
		{PipelineWorkers, "deliver", "workers!=3"},
		{PipelineWorkers, "none", "workers!=1"},
		{ModuleRollback, "a/kept", "version=k1"},
		{ModuleRollback, "none", ""},
		{AlertSilence, "f", "duration!=1h comment="},
		{LogWatchRemove, "watches", "name!=errors"},
		{LogFilterRemove, "filters", "name!=mine"},
		{RoutingApply, "routing", "why= confirm_within=2m"},
		{RoutingRollback, "routing", "version!=1 why= confirm_within=2m"},
		{RoutingThreshold, "routing", "threshold=0.7 max_latency_ms=200 max_cost_per_request="},
		{RoutingRoute, "category/chat", "tier!=heavy provider=p model=m priority=high max_latency_ms="},
		{RoutingRoute, "tier/heavy", "enabled!=yes endpoint=http://h max_concurrent_requests=4 priority=1"},
		{RoutingRoute, "tier/off", "enabled!=no endpoint= max_concurrent_requests=0 priority="},
		{RoutingRoute, "none", ""},
		{RoutingTest, "category/chat", "category!=chat complexity!=0.7"},
		{RoutingReplay, "routing", "threshold=0.7 since="},
	} {
		var got []string
		for _, f := range SpecOf(tt.kind).Fields(s, tt.target) {
			text := f.Key
			if f.Required {
				text += "!"
			}
			if f.Secret {
				text += "*"
			}
			got = append(got, text+"="+f.Default)
		}
		if got := strings.Join(got, " "); got != tt.want {
			t.Errorf("%s of %s: got %q, want %q", tt.kind, tt.target, got, tt.want)
		}
	}
	s.Modules.Cannot = map[Kind]string{RoutingConfirm: "an orchestrator elsewhere has no trials"}
	if got := SpecOf(RoutingApply).Fields(s, "routing"); len(got) != 1 || got[0].Key != "why" {
		t.Errorf("where nobody would undo it: got %+v", got)
	}
	s.Routing.History, s.Logs.Watches = nil, append(s.Logs.Watches, LogWatch{Name: "more"})
	if got := SpecOf(RoutingRollback).Fields(s, "routing")[0].Default; got != "" {
		t.Errorf("without a history: got %q", got)
	}
	if got := SpecOf(LogWatchRemove).Fields(s, "watches")[0]; got.Default != "" || got.Hint != "errors, more" {
		t.Errorf("of two watches: got %+v", got)
	}
}

func TestWhatTheOperatorWasShownGoesAlong(t *testing.T) {
	s := workplace()
	for _, tt := range []struct {
		kind   Kind
		target string
		want   map[string]string
	}{
		{ModuleApprove, "a/changed", map[string]string{"digest": "d2"}},
		{ModuleApprove, "none", nil},
		{RoutingApply, "routing", map[string]string{"staged": "t2"}},
	} {
		if got := SpecOf(tt.kind).Given(s, tt.target); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s of %s: got %v, want %v", tt.kind, tt.target, got, tt.want)
		}
	}
	s.Routing.Staged = nil
	if got := SpecOf(RoutingApply).Given(s, "routing"); got != nil {
		t.Errorf("nothing is staged: got %v", got)
	}
}

func TestArgumentsAreChecked(t *testing.T) {
	s := workplace()
	for _, tt := range []struct {
		kind   Kind
		target string
		args   map[string]string
		want   string
	}{
		{ContainerRename, "web", map[string]string{"name": "w2"}, ""},
		{ContainerRename, "web", map[string]string{"name": "w"}, `"w" is not a name: expected letters, digits, _ . and -, at least two of them`},
		{ContainerRename, "web", map[string]string{"name": "web"}, "that is its name already"},
		{ContainerRename, "web", map[string]string{"name": "alone"}, "alone is another container's name"},
		{ContainerNote, "web", map[string]string{"what": "sh"}, ""},
		{ContainerNote, "web", map[string]string{"what": strings.Repeat("x", 500)}, ""},
		{ContainerNote, "web", map[string]string{"what": strings.Repeat("x", 501)}, "what: 1 to 500 bytes that say what was done"},
		{ContainerNote, "web", nil, "what: 1 to 500 bytes that say what was done"},
		{ComposeScale, "shop/web", map[string]string{"replicas": "0"}, ""},
		{ComposeScale, "shop/web", map[string]string{"replicas": "100"}, ""},
		{ComposeScale, "shop/web", map[string]string{"replicas": "101"}, `"101" is not a number of containers from 0 to 100`},
		{ComposeScale, "shop/web", map[string]string{"replicas": "-1"}, `"-1" is not a number of containers from 0 to 100`},
		{ComposeScale, "shop/web", map[string]string{"replicas": "x"}, `"x" is not a number of containers from 0 to 100`},
		{LogWatchAdd, "watches", map[string]string{"name": "new", "above": "0", "window": "1s", "for": "100h"}, ""},
		{LogWatchAdd, "watches", map[string]string{"name": "new", "window": "24h"}, ""},
		{LogWatchAdd, "watches", map[string]string{"name": " errors "}, `there is a watch " errors " already`},
		{LogWatchAdd, "watches", map[string]string{"above": "-1"}, `"-1": expected a number of records, 0 or more`},
		{LogWatchAdd, "watches", map[string]string{"above": "x"}, `"x": expected a number of records, 0 or more`},
		{LogWatchAdd, "watches", map[string]string{"window": "500ms"}, "the window: expected 1s to 24h"},
		{LogWatchAdd, "watches", map[string]string{"window": "25h"}, "the window: expected 1s to 24h"},
		{LogWatchAdd, "watches", map[string]string{"for": "soon"}, `"soon" is not a duration: expected one such as 30s, 5m, 2h or 7d`},
		{LogFilterSave, "filters", map[string]string{"name": "new"}, ""},
		{LogFilterSave, "filters", map[string]string{"name": "mine"}, "there is a filter @mine already"},
	} {
		if got := SpecOf(tt.kind).Check(s, tt.target, tt.args); got != tt.want {
			t.Errorf("%s %v: got %q, want %q", tt.kind, tt.args, got, tt.want)
		}
	}
}

func TestAnActionSaysWhatItDoesToItsTarget(t *testing.T) {
	s := workplace()
	on := s.Modules.Module("a/on")
	on.Fetching, on.CredentialsServe = true, []string{"b/on", "c/on"}
	s.Modules.Module("a/off").Platform = "on"
	s.Modules.KeyFrom = "a file"
	for i := range 10 {
		on.Files = append(on.Files, ProgramFile{Name: fmt.Sprint("f", i), Size: int64(i)})
	}
	for range 5 {
		on.Findings = append(on.Findings, ModuleFinding{Severity: "warning", File: "x.py", Line: 3, Text: "odd", Remedy: "even it"})
	}
	changed := s.Modules.Module("a/changed")
	changed.Dir, changed.HealthWord, changed.Versions[0].How = "/m", "healthy", "found"
	*changed.Change = ProgramChange{Approved: "0123456789abcdef", By: "ann", At: s.At, Added: []string{"x"}, Modified: []string{"y", "z"}, Plus: 4, Minus: 1}
	s.Journal.Entries = []Entry{{Phase: PhaseBegin, Target: "a/off", Kind: ModuleEnable}, {Phase: PhaseEnd, Target: "web", Kind: ContainerNote, Detail: "sh", Actor: Actor{User: "ann"}, At: s.At, Outcome: "ok"}}
	s.Routing.Staged = &StagedRouting{What: "threshold", By: Actor{User: "ann"}, Added: 1, Removed: 2, ReplayDiff: []string{"3 more go to heavy"}, Warnings: []string{"odd"}}
	s.Containers.Reclaim = &Reclaim{Containers: Unused{Count: 3, Bytes: 1024, Some: []string{"a", "b"}}, Images: Unused{Count: 1, Bytes: -1, Some: []string{"i"}}, Cache: Unused{Count: 2}}
	last := "last: sh by ann, " + s.At.Local().Format("2006-01-02 15:04:05") + ", ok"
	for _, tt := range []struct {
		kind         Kind
		target, want string
	}{
		{ModuleDisable, "a/on", "a/on is enabled, healthy|a fetch is in flight and will be cut short|1 other module shares the platform on"},
		{ModuleDisable, "a/gone", "a/gone is uninstalled, "},
		{ModuleDisable, "none", ""},
		{ModuleEnable, "a/on", "this will run: f0 (0 bytes), f1 (1 bytes), f2 (2 bytes), f3 (3 bytes), f4 (4 bytes), f5 (5 bytes), f6 (6 bytes), f7 (7 bytes), and 2 more|" + strings.Repeat("warning: x.py:3: odd (even it)|", 4) + "1 more findings"},
		{ModuleEnable, "a/changed", "its files changed since 1970-01-01: 1 added, 2 changed; +4 -1 lines; this approves them"},
		{ModuleEnable, "none", ""},
		{ModuleApprove, "a/changed", "1 added, 2 changed; +4 -1 lines|added: x|changed: y, z|approved before: 0123456789ab by ann, 1970-01-01 00:16 UTC"},
		{ModuleApprove, "none", ""},
		{ModuleTest, "a/on", "its tests run as its adapter does: under limits, and without credentials"},
		{ModuleTest, "a/changed", "its tests run as its adapter does: under limits, and without credentials|they, and what they test, changed since they were approved: 1 added, 2 changed; +4 -1 lines"},
		{ModuleTest, "none", ""},
		{ModuleRollback, "a/changed", "the program files in /m are replaced, and its data files stay; what lies there now is kept as a version|d1 found, 0001-01-01 00:00 UTC|a/changed is enabled, healthy"},
		{ModuleRollback, "none", ""},
		{CredentialRotate, "a/on", "a/on is enabled, healthy|a fetch is in flight and will be cut short|1 other module shares the platform on|the same credentials serve b/on, c/on"},
		{CredentialRekey, "credentials", "the key comes from a file|3 entries are re-encrypted, all or none; the old key stays beside the new one|other programs that read the store need the new key"},
		{PipelinePause, "deliver", "4 jobs wait before it, 2 are in work and will be finished|when 8 wait, the stages before it stop, and then the modules' fetches"},
		{PipelinePause, "none", ""},
		{PipelineDrain, "pipeline", "9 jobs are worked off; fetches wait until ingest is resumed"},
		{PipelineDiscard, "j1", "what a/on fetched is lost; it failed in deliver: full"},
		{PipelineDiscard, "none", ""},
		{ContainerRename, "web", "others find it under its new name at once, and no longer under web|compose still knows it as service web of project shop|" + last},
		{ContainerRename, "alone", "others find it under its new name at once, and no longer under alone"},
		{ContainerRename, "none", ""},
		{ContainerPrune, "engine", "containers: 3 stopped ones, 1.0 KiB: a, b, ...|images: 1 dangling ones: i|networks: no unused ones|build cache: 2 unused records, 0 B|volumes, when asked for: no unused ones without a name|volumes with a name, when asked for: no unused ones"},
		{QueueRequeue, "t:failed", "moves 3 items from t:failed to t, each in one atomic step"},
		{QueueRequeue, "none", ""},
		{LogRotate, "a.log", "by copy"},
		{LogRotate, "none", ""},
		{LogClear, "a.log", "by copy|undo puts it back in front of what is written from now on, until the next rotation"},
		{LogClear, "none", ""},
		{RoutingApply, "routing", "threshold, by ann: +1 -2 lines|3 more go to heavy|odd"},
		{ControlTake, "control", "ann (pts/1) holds control; the last key there was pressed 1m30s ago|that console is told who took it, and only looks from then on; the journal has it too"},
		{ActionCancel, "r", "module.reload a/on by ann stops where it is; what it has done stays done"},
		{ActionCancel, "none", ""},
	} {
		if got := strings.Join(SpecOf(tt.kind).Impact(s, tt.target), "|"); got != tt.want {
			t.Errorf("%s of %s: got\n%s\nwant\n%s", tt.kind, tt.target, got, tt.want)
		}
	}
	s.Modules.Keys[1] = KeyUse{Rows: 1, Kept: 2}
	s.Workspace.Consoles[0].Control, s.Routing.Staged = false, nil
	s.Containers.Reclaim.Err = "no answer"
	for kind, want := range map[Kind]string{
		CredentialRekey: "the key comes from a file|3 of 6 entries are still under an old key: without a new one given, those are put under the present one|other programs that read the store need the new key",
		ControlTake:     "", RoutingApply: "", ContainerPrune: "what would go is unknown: no answer",
	} {
		if got := strings.Join(SpecOf(kind).Impact(s, "x"), "|"); got != want {
			t.Errorf("%s: got %q, want %q", kind, got, want)
		}
	}
	if got, want := strings.Join((*Reclaim)(nil).Lines(), "|"), "what would go: not counted yet"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
