package state

import (
	"testing"
	"time"
)

// workplace returns a snapshot in which each kind of thing that actions act on is there in
// the states that matter.
func workplace() *Snapshot {
	at := time.Unix(1000, 0)
	return &Snapshot{
		At: at, You: "c1", Versions: map[SectionName]uint64{},
		Workspace: Workspace{ConfigFile: "/w/opsdeck.yaml", Started: at, Consoles: []Console{
			{ID: "c1", Actor: Actor{User: "ann", From: "pts/1", Via: "console"}, Control: true, Active: at.Add(-90 * time.Second)},
			{ID: "c2", Actor: Actor{User: "bob", From: "pts/2", Via: "console"}},
			{ID: "c3", Actor: Actor{User: "hall", Via: "wall"}},
		}},
		Modules: Modules{
			Keys: []KeyUse{{Fingerprint: "new", Rows: 3}, {Fingerprint: "old"}},
			List: []Module{
				{ID: "a/on", Platform: "on", Status: ModuleInstalled, HealthWord: "healthy", Credentials: CredentialsPresent},
				{ID: "a/off", Platform: "off", Status: ModuleDisabled, Credentials: CredentialsMissing},
				{ID: "a/bad", Platform: "bad", Status: ModuleFailed, Decided: ModuleInstalled},
				{ID: "a/refused", Platform: "bad", Status: ModuleFailed, Decided: ModuleFailed},
				{ID: "a/gone", Platform: "gone", Status: ModuleUninstalled},
				{ID: "a/new", Platform: "new", Status: ModulePending},
				{ID: "a/checked", Platform: "new", Status: ModuleValidated, CredentialFields: []string{"key"}},
				{ID: "a/changed", Platform: "changed", Status: ModuleInstalled, Digest: "d2", Change: &ProgramChange{Held: true, By: "ann", At: at},
					Versions: []ProgramVersion{{Digest: "d1", Approved: true}}},
				{ID: "a/seen", Platform: "seen", Status: ModuleInstalled, Change: &ProgramChange{}},
				{ID: "a/kept", Platform: "kept", Status: ModuleDisabled, Versions: []ProgramVersion{{Digest: "k2", Approved: true, OnDisk: true}, {Digest: "k1"}}},
			}},
		Pipeline: Pipeline{Stages: []Stage{{Title: "ingest", Depth: 2, InFlight: 1}, {Title: "deliver", Capacity: 8, Depth: 4, InFlight: 2, Workers: 3}},
			Jobs: []Job{{ID: "j1", Status: "failed", Module: "a/on", Stage: "deliver", Cause: "full"}, {ID: "j2", Status: "done"}}},
		Containers: Containers{Health: Health{Status: OK}, Compose: Compose{Version: "docker compose 2"},
			Projects: map[string]Project{"shop": {Dir: "/srv"}, "broken": {Err: "its files are gone"}},
			List: []Container{
				{ID: "id-alone", Title: "alone", State: "running", HealthWord: "healthy", Limits: Limits{Known: true}},
				{ID: "id-broken", Title: "broken", State: "running", Project: "broken", Service: "web"},
				{ID: "id-created", Title: "created", State: "created"},
				{ID: "id-dead", Title: "dead", State: "dead"},
				{ID: "id-exited", Title: "exited", State: "exited"},
				{ID: "id-new", Title: "new", State: "running", Project: "new", Service: "web"},
				{ID: "id-paused", Title: "paused", State: "paused"},
				{ID: "id-removing", Title: "removing", State: "removing", Limits: Limits{Known: true}},
				{ID: "id-restarting", Title: "restarting", State: "restarting"},
				{ID: "id-web", Title: "web", State: "running", Project: "shop", Service: "web"},
			}},
		Queues: Queues{List: []Queue{{Key: "t:failed", Kind: "list", Depth: 3}, {Key: "t", Kind: "list", Depth: 1}, {Key: "s:failed", Kind: "stream", Depth: 1}, {Key: "e:failed", Kind: "list"}}},
		Logs: Logs{
			Sources: []LogSource{{ID: "file:/w/a.log", Kind: "file", Title: "a.log", Path: "/w/a.log", Rotation: "by copy"}, {ID: "file:/w/b.log", Kind: "file", Title: "b.log", Path: "/w/b.log"},
				{ID: "file:/w/c.log", Kind: "file", Title: "c.log", Path: "/w/c.log", Err: "permission denied", Rotation: "by copy"},
				{ID: "container:1", Kind: "container", Title: "web"}, {ID: "journal:", Kind: "journal", Title: "journal"}, {ID: "remote:ssh://h/x", Kind: "remote", Title: "h:/x"}},
			Watches: []LogWatch{{Name: "errors"}}, Filters: []LogFilter{{Name: "mine"}}},
		Alerts: Alerts{List: []Alert{
			{ID: "f", Rule: "Fires", State: AlertFiring}, {ID: "p", Rule: "Pends", State: AlertPending}, {ID: "i", Rule: "Quiet", State: AlertInactive},
			{ID: "k", Rule: "Known", State: AlertFiring, AckedBy: "ann"}, {ID: "m", Rule: "Muted", State: AlertFiring, SilenceID: "s1", SilencedBy: "bob"}}},
		Routing: Routing{File: "/w/routing.json", JSON: "{}", Tag: "t1", Threshold: 0.7, Delegations: 5, Staged: &StagedRouting{Tag: "t2", Base: "t1"},
			History: []RoutingVersion{{Version: 2}, {Version: 1}},
			Rows:    []Route{{ID: "category/chat"}, {ID: "tier/heavy"}, {ID: "tier/ghost", Unlisted: true}}},
		Actions: Actions{List: []Progress{
			{ID: "r", Status: "running", Action: Action{Kind: ModuleReload, Target: "a/on", Actor: Actor{User: "ann"}}},
			{ID: "q", Status: "queued", Action: Action{Kind: ModuleReload, Target: "a/off"}},
			{ID: "d", Status: "done", Undo: &Action{Kind: ModuleEnable}}, {ID: "u", Status: "done", Undo: &Action{Kind: ModuleEnable}, Undone: true},
			{ID: "n", Status: "failed"}, {ID: "c", Status: "running", Action: Action{Kind: ActionCancel}}}},
	}
}

// disabled are cases of every kind of action: what is changed in the workplace, the target,
// and why it cannot be done, "" where it can.
var disabled = []struct {
	kind   Kind
	change func(*Snapshot)
	target string
	want   string
}{
	{ModuleEnable, nil, "a/off", ""},
	{ModuleEnable, nil, "a/refused", ""},
	{ModuleEnable, nil, "a/on", "it is enabled already"},
	{ModuleEnable, nil, "a/bad", "it is failed: its last error says why; fix that and reload it"},
	{ModuleEnable, nil, "a/none", `there is no module "a/none"`},
	{ModuleDisable, nil, "a/on", ""},
	{ModuleDisable, nil, "a/bad", ""},
	{ModuleDisable, nil, "a/off", "it is disabled already"},
	{ModuleDisable, nil, "a/gone", "it is uninstalled"},
	{ModuleDisable, nil, "a/new", "it is pending, not enabled"},
	{ModuleReload, nil, "a/on", ""},
	{ModuleReload, nil, "a/bad", ""},
	{ModuleReload, nil, "a/seen", ""},
	{ModuleReload, nil, "a/off", "it is disabled: enable it first"},
	{ModuleReload, nil, "a/changed", "its files changed since ann approved them on 1970-01-01 00:16 UTC: see its Changes, then approve them"},
	{ModuleApprove, nil, "a/changed", ""},
	{ModuleApprove, nil, "a/new", ""},
	{ModuleApprove, nil, "a/checked", ""},
	{ModuleApprove, nil, "a/on", "its files are as they were approved"},
	{ModuleApprove, nil, "a/kept", "its files are as they were approved"},
	{ModuleApprove, nil, "a/off", "it is disabled: enable it, which approves its files"},
	{ModuleRestart, nil, "a/on", ""},
	{ModuleRestart, nil, "a/gone", "it is uninstalled: enable it first"},
	{ModuleFetch, nil, "a/changed", ""},
	{ModuleFetch, nil, "a/off", "it is disabled: enable it first"},
	{ModuleUninstall, nil, "a/off", ""},
	{ModuleUninstall, nil, "a/gone", "it is uninstalled already"},
	{ModuleValidate, nil, "a/gone", ""},
	{ModuleValidate, nil, "a/none", `there is no module "a/none"`},
	{ModuleTest, nil, "a/off", ""},
	{ModuleTest, nil, "a/none", `there is no module "a/none"`},
	{ModuleRollback, nil, "a/kept", ""},
	{ModuleRollback, nil, "a/changed", ""},
	{ModuleRollback, nil, "a/on", "no other version of it is kept"},
	{ModuleClearCache, nil, "adapters", ""},

	{CredentialRotate, nil, "a/off", ""},
	{CredentialRotate, nil, "a/none", `there is no module "a/none"`},
	{CredentialRotate, locked, "a/on", "no key"},
	{CredentialSet, nil, "a/on", ""},
	{CredentialSet, locked, "a/on", "no key"},
	{CredentialDelete, nil, "a/on", ""},
	{CredentialDelete, nil, "a/checked", ""},
	{CredentialDelete, nil, "a/off", "it has no credentials stored"},
	{CredentialDelete, locked, "a/off", "no key"},
	{CredentialExpire, nil, "a/on", ""},
	{CredentialExpire, nil, "a/off", "it has no credentials stored"},
	{CredentialUndo, nil, "a/off", ""},
	{CredentialUndo, locked, "a/on", "no key"},
	{CredentialRekey, nil, "credentials", ""},
	{CredentialRekey, locked, "credentials", "no key"},
	{CredentialForget, nil, "credentials", ""},
	{CredentialForget, locked, "credentials", "no key"},
	{CredentialForget, func(s *Snapshot) { s.Modules.Keys = s.Modules.Keys[:1] }, "credentials", "no old key is given"},
	{CredentialForget, func(s *Snapshot) { s.Modules.Keys[1] = KeyUse{Rows: 1, Kept: 2} }, "credentials", "3 entries are still under an old key: change the key first"},
	{CredentialUnlock, locked, "credentials", ""},
	{CredentialUnlock, nil, "credentials", "it is not locked"},

	{PipelineResume, paused, "deliver", ""},
	{PipelineResume, func(s *Snapshot) { s.Pipeline.Closed = "ann" }, "ingest", ""},
	{PipelineResume, func(s *Snapshot) { s.Pipeline.Closed = "ann" }, "deliver", "it is not paused"},
	{PipelineResume, nil, "ingest", "it is not paused"},
	{PipelineResume, nil, "none", `there is no stage "none"`},
	{PipelinePause, nil, "deliver", ""},
	{PipelinePause, paused, "deliver", "it is paused already, by bob"},
	{PipelineDrain, nil, "pipeline", ""},
	{PipelineDrain, paused, "pipeline", "deliver is paused: resume it first"},
	{PipelineDrain, func(s *Snapshot) { s.Pipeline.Stages = nil }, "pipeline", "the pipeline does not run"},
	{PipelineWorkers, nil, "ingest", ""},
	{PipelineWorkers, nil, "none", `there is no stage "none"`},
	{PipelineRetry, nil, "j1", ""},
	{PipelineRetry, nil, "j2", "it is done, not failed"},
	{PipelineRetry, nil, "j9", `there is no failed job "j9"`},
	{PipelineDiscard, nil, "j1", ""},
	{PipelineDiscard, nil, "j2", "it is done, not failed"},

	{ContainerRestart, nil, "exited", ""},
	{ContainerRestart, nil, "id-web", ""},
	{ContainerRestart, nil, "dead", "it is dead"},
	{ContainerRestart, nil, "removing", "it is removing"},
	{ContainerRestart, nil, "none", `there is no container "none"`},
	{ContainerRestart, away, "web", "the container engine does not answer"},
	{ContainerRestart, func(s *Snapshot) { s.Containers.Health.Status = Stale }, "web", ""},
	{ContainerStop, nil, "web", ""},
	{ContainerStop, nil, "paused", ""},
	{ContainerStop, nil, "restarting", ""},
	{ContainerStop, nil, "exited", "it is not running: it is exited"},
	{ContainerStart, nil, "exited", ""},
	{ContainerStart, nil, "created", ""},
	{ContainerStart, nil, "paused", "it is paused already"},
	{ContainerKill, nil, "web", ""},
	{ContainerKill, nil, "created", "it is not running: it is created"},
	{ContainerPause, nil, "web", ""},
	{ContainerPause, nil, "paused", "it is not running: it is paused"},
	{ContainerUnpause, nil, "paused", ""},
	{ContainerUnpause, nil, "web", "it is not paused: it is running"},
	{ContainerUpdate, nil, "alone", ""},
	{ContainerUpdate, nil, "web", "its limits have not been read yet"},
	{ContainerUpdate, nil, "removing", "it is removing"},
	{ContainerUpdate, nil, "dead", "it is dead"},
	{ContainerRename, nil, "exited", ""},
	{ContainerRename, nil, "removing", "it is removing"},
	{ContainerRename, nil, "dead", "it is dead"},
	{ContainerRemove, nil, "exited", ""},
	{ContainerRemove, nil, "dead", ""},
	{ContainerRemove, nil, "web", "it is running: stop it first"},
	{ContainerRemove, nil, "paused", "it is paused: stop it first"},
	{ContainerRemove, nil, "restarting", "it is restarting: stop it first"},
	{ContainerRemove, nil, "removing", "it is being removed"},
	{ContainerPrune, nil, "engine", ""},
	{ContainerPrune, away, "engine", "the container engine does not answer"},
	{ContainerNote, nil, "exited", ""},
	{ContainerNote, nil, "none", `there is no container "none"`},

	{ComposeUp, nil, "web", ""},
	{ComposeUp, nil, "shop/*", ""},
	{ComposeUp, nil, "alone", "it does not belong to a compose project"},
	{ComposeUp, nil, "none", `there is no container or compose service "none"`},
	{ComposeUp, nil, "broken/web", "its files are gone"},
	{ComposeUp, nil, "new", "its compose files have not been looked for yet"},
	{ComposeUp, nil, "other/web", `no container of a project "other" is known, so neither are its files`},
	{ComposeUp, away, "web", "the container engine does not answer"},
	{ComposeUp, func(s *Snapshot) { s.Containers.Compose = Compose{} }, "web", "whether compose is installed is not known yet"},
	{ComposeUp, func(s *Snapshot) { s.Containers.Compose = Compose{Err: "none is installed"} }, "web", "none is installed"},
	{ComposeScale, nil, "shop/web", ""},
	{ComposeScale, nil, "shop/*", "one service is scaled at a time"},
	{ComposeScale, nil, "alone", "it does not belong to a compose project"},
	{ComposeRecreate, nil, "web", ""},
	{ComposeRecreate, nil, "alone", "it does not belong to a compose project"},
	{ComposePull, nil, "web", ""},
	{ComposePull, nil, "alone", "it does not belong to a compose project"},
	{ComposeBuild, nil, "web", ""},
	{ComposeBuild, nil, "alone", "it does not belong to a compose project"},
	{ComposeRebuild, nil, "web", ""},
	{ComposeRebuild, nil, "alone", "it does not belong to a compose project"},
	{ComposeDown, nil, "shop/*", ""},
	{ComposeDown, nil, "alone", "it does not belong to a compose project"},

	{QueueRequeue, nil, "t:failed", ""},
	{QueueRequeue, nil, "t", `its name does not end in ":failed", so where its items belong is unknown`},
	{QueueRequeue, nil, "s:failed", "only a list can be requeued; this is a stream"},
	{QueueRequeue, nil, "e:failed", "it is empty"},
	{QueueRequeue, nil, "none", `there is no queue "none"`},

	{LogRotate, nil, "a.log", ""},
	{LogRotate, nil, "/w/a.log", ""},
	{LogRotate, nil, "b.log", "it cannot be rotated"},
	{LogRotate, nil, "c.log", "permission denied"},
	{LogRotate, nil, "web", "it is a container's log: the container engine rotates it (log-opt max-size)"},
	{LogRotate, nil, "journal", "journald rotates its journal (journalctl --rotate)"},
	{LogRotate, nil, "h:/x", "it is on another host: rotate it there"},
	{LogRotate, nil, "", `there is no log source ""`},
	{LogClear, nil, "a.log", ""},
	{LogClear, nil, "b.log", "it cannot be rotated"},
	{LogRestore, nil, "a.log", ""},
	{LogRestore, nil, "none", `there is no log source "none"`},
	{LogWatchAdd, nil, "watches", ""},
	{LogWatchAdd, unbegun, "watches", "the engine has not begun"},
	{LogWatchRemove, nil, "watches", ""},
	{LogWatchRemove, func(s *Snapshot) { s.Logs.Watches = nil }, "watches", "nothing is watched"},
	{LogWatchRemove, unbegun, "watches", "the engine has not begun"},
	{LogFilterSave, nil, "filters", ""},
	{LogFilterSave, unbegun, "filters", "the engine has not begun"},
	{LogFilterRemove, nil, "filters", ""},
	{LogFilterRemove, func(s *Snapshot) { s.Logs.Filters = nil }, "filters", "no filter is saved"},
	{LogFilterRemove, unbegun, "filters", "the engine has not begun"},

	{RulesReload, nil, "rules", ""},
	{AlertAck, nil, "f", ""},
	{AlertAck, nil, "Pends", ""},
	{AlertAck, nil, "i", "it is inactive, not firing"},
	{AlertAck, nil, "k", "it is acknowledged already, by ann"},
	{AlertAck, nil, "none", `there is no alert "none"`},
	{AlertUnack, nil, "k", ""},
	{AlertUnack, nil, "f", "it is not acknowledged"},
	{AlertSilence, nil, "i", ""},
	{AlertSilence, nil, "m", "it is silenced already, by bob"},
	{AlertUnsilence, nil, "m", ""},
	{AlertUnsilence, nil, "f", "it is not silenced"},

	{RoutingReload, nil, "routing", ""},
	{RoutingReload, func(s *Snapshot) { s.Routing.File = "" }, "routing", "there is no routing configuration: create config/routing_config.json"},
	{RoutingSet, nil, "routing", ""},
	{RoutingStage, nil, "routing", ""},
	{RoutingConfirm, trial, "routing", ""},
	{RoutingConfirm, nil, "routing", "no change waits to be confirmed"},
	{RoutingApply, nil, "routing", ""},
	{RoutingApply, trial, "routing", "the last change, by eve, is not confirmed yet"},
	{RoutingApply, func(s *Snapshot) { s.Routing.Staged = nil }, "routing", "nothing is staged: change a row with x, or edit the whole with e"},
	{RoutingDiscard, nil, "routing", ""},
	{RoutingDiscard, func(s *Snapshot) { s.Routing.Staged = nil }, "routing", "nothing is staged"},
	{RoutingRevert, trial, "routing", ""},
	{RoutingRevert, nil, "routing", "no change waits to be confirmed: roll back to a version instead"},
	{RoutingRollback, nil, "routing", ""},
	{RoutingRollback, trial, "routing", "a change waits to be confirmed: revert it"},
	{RoutingRollback, func(s *Snapshot) { s.Routing.History = s.Routing.History[:1] }, "routing", "no earlier version is kept"},
	{RoutingThreshold, nil, "routing", ""},
	{RoutingThreshold, unrouted, "routing", "there is no routing configuration: create config/routing_config.json"},
	{RoutingThreshold, func(s *Snapshot) { s.Routing.JSON, s.Routing.Problem = "", "line 3: no comma" }, "routing", "line 3: no comma"},
	{RoutingThreshold, func(s *Snapshot) { s.Routing.Problem = "line 3: no comma" }, "routing", ""},
	{RoutingRoute, nil, "tier/heavy", ""},
	{RoutingRoute, nil, "tier/ghost", "categories name it, and the tiers do not list it: edit the whole with e"},
	{RoutingRoute, nil, "tier/none", `there is no category or tier "tier/none"`},
	{RoutingRoute, unrouted, "tier/heavy", "there is no routing configuration: create config/routing_config.json"},
	{RoutingRemove, nil, "category/chat", ""},
	{RoutingRemove, nil, "tier/heavy", "only categories can be removed here: edit the whole with e"},
	{RoutingTest, nil, "category/chat", ""},
	{RoutingTest, nil, "", "a request has a category: choose one, or an unknown one with opsdeck routing test"},
	{RoutingTest, nil, "tier/heavy", "a request has a category: choose one, or an unknown one with opsdeck routing test"},
	{RoutingTest, unrouted, "category/chat", "there is no routing configuration: create config/routing_config.json"},
	{RoutingReplay, nil, "routing", ""},
	{RoutingReplay, unrouted, "routing", "there is no routing configuration: create config/routing_config.json"},
	{RoutingReplay, func(s *Snapshot) { s.Routing.Delegations = 0 }, "routing", "none are known: they are read from JSON log lines with a complexity, or sent to POST /admin/delegations"},

	{ConfigReload, nil, "workspace", ""},
	{ConfigReload, func(s *Snapshot) { s.Workspace.ConfigFile = "" }, "workspace", "this workspace has no opsdeck.yaml: opsdeck init writes one"},
	{ControlRequest, you("c2"), "control", ""},
	{ControlRequest, you("c1"), "control", "this console has it already"},
	{ControlRequest, you("c3"), "control", "this console only looks"},
	{ControlRequest, you(""), "control", "only a console holds control; commands and the API act without"},
	{ControlRequest, func(s *Snapshot) {
		s.You, s.Workspace.Consoles[1].Asked = "c2", time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	}, "control", "it was asked for at 03:04:05: take control where nobody answers"},
	{ControlTake, you("c2"), "control", ""},
	{ControlTake, you("c1"), "control", "this console has it already"},
	{ControlGive, nil, "c2", ""},
	{ControlGive, you(""), "c2", ""},
	{ControlGive, nil, "c3", "it only looks"},
	{ControlGive, nil, "c1", "it holds control already"},
	{ControlGive, nil, "c9", `there is no console "c9"`},
	{ControlGive, you("c2"), "c2", "ann (pts/1) holds control"},
	{TokenCreate, nil, "ci", ""},
	{TokenCreate, unbegun, "ci", "the engine has not begun"},
	{TokenRevoke, nil, "ci", ""},
	{TokenRevoke, unbegun, "ci", "the engine has not begun"},
	{ActionCancel, nil, "r", ""},
	{ActionCancel, nil, "q", ""},
	{ActionCancel, nil, "d", "it is done already"},
	{ActionCancel, nil, "c", "it only cancels another"},
	{ActionCancel, nil, "x", `there is no action "x"`},
	{ActionUndo, nil, "d", ""},
	{ActionUndo, nil, "u", "it has been undone already"},
	{ActionUndo, nil, "n", "it cannot be undone"},
	{ActionUndo, nil, "x", `there is no action "x"`},
}

func locked(s *Snapshot)   { s.Modules.Locked = "no key" }
func paused(s *Snapshot)   { s.Pipeline.Stages[1].Paused = "bob" }
func away(s *Snapshot)     { s.Containers.Health.Status = Down }
func unbegun(s *Snapshot)  { s.Workspace.Started = time.Time{} }
func trial(s *Snapshot)    { s.Routing.Trial = &RoutingTrial{By: Actor{User: "eve"}} }
func unrouted(s *Snapshot) { s.Routing.JSON = "" }

func you(id string) func(*Snapshot) { return func(s *Snapshot) { s.You = id } }

func TestEveryActionSaysWhyItCannotBeDone(t *testing.T) {
	allowed, denied := map[Kind]bool{}, map[Kind]bool{}
	for _, tt := range disabled {
		s := workplace()
		if tt.change != nil {
			tt.change(s)
		}
		if got := Why(s, tt.kind, tt.target); got != tt.want {
			t.Errorf("%s on %q: got %q, want %q", tt.kind, tt.target, got, tt.want)
		}
		if tt.want == "" {
			allowed[tt.kind] = true
		} else {
			denied[tt.kind] = true
		}
	}
	for _, spec := range Specs() {
		if !allowed[spec.Kind] {
			t.Errorf("%s: no row says when it can be done", spec.Kind)
		}
		if !denied[spec.Kind] && spec.Disabled != nil {
			t.Errorf("%s: no row says when it cannot be done", spec.Kind)
		}
		s := workplace()
		s.Modules.Cannot = map[Kind]string{spec.Kind: "not here"}
		if got := Why(s, spec.Kind, "x"); got != "not here" {
			t.Errorf("%s where the engine cannot do it: got %q", spec.Kind, got)
		}
	}
}

func TestWhoHoldsControlIsNamedToThoseWhoDoNot(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Snapshot)
		want   string
	}{
		{"the holder", nil, ""},
		{"no console", you(""), ""},
		{"another", you("c2"), "ann (pts/1) holds control"},
		{"a wall", you("c3"), "this console only looks"},
		{"nobody does", func(s *Snapshot) { s.You, s.Workspace.Consoles[0].Control = "c2", false }, "nobody holds control: take it first"},
	} {
		s := workplace()
		if tt.change != nil {
			tt.change(s)
		}
		if got := ControlHeldBy(s); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
