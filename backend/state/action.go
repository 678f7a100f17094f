package state

import (
	"fmt"
	"log/slog"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Kind names an action: "module.enable". Its part before the dot names the
// section whose rows it acts on.
type Kind string

// The kinds of action.
const (
	ModuleEnable     Kind = "module.enable"
	ModuleDisable    Kind = "module.disable"
	ModuleReload     Kind = "module.reload"
	ModuleRestart    Kind = "module.restart"
	ModuleFetch      Kind = "module.fetch"
	ModuleUninstall  Kind = "module.uninstall"
	ModuleClearCache Kind = "module.clear-cache"
	ModuleValidate   Kind = "module.validate"
	ModuleApprove    Kind = "module.approve"
	ModuleRollback   Kind = "module.rollback"
	ModuleTest       Kind = "module.test"
	CredentialRotate Kind = "credential.rotate"
	CredentialSet    Kind = "credential.set"
	CredentialDelete Kind = "credential.delete"
	CredentialUndo   Kind = "credential.restore"
	CredentialExpire Kind = "credential.expire"
	CredentialRekey  Kind = "credential.rekey"
	CredentialForget Kind = "credential.forget-keys"
	CredentialUnlock Kind = "credential.unlock"
	PipelinePause    Kind = "pipeline.pause"
	PipelineResume   Kind = "pipeline.resume"
	PipelineDrain    Kind = "pipeline.drain"
	PipelineWorkers  Kind = "pipeline.workers"
	PipelineRetry    Kind = "pipeline.retry"
	PipelineDiscard  Kind = "pipeline.discard"
	RoutingReload    Kind = "routing.reload"
	RoutingSet       Kind = "routing.set"
	RoutingStage     Kind = "routing.stage"
	RoutingThreshold Kind = "routing.threshold"
	RoutingRoute     Kind = "routing.route"
	RoutingRemove    Kind = "routing.remove"
	RoutingApply     Kind = "routing.apply"
	RoutingDiscard   Kind = "routing.discard"
	RoutingConfirm   Kind = "routing.confirm"
	RoutingRevert    Kind = "routing.revert"
	RoutingRollback  Kind = "routing.rollback"
	RoutingTest      Kind = "routing.test"
	RoutingReplay    Kind = "routing.replay"
	RulesReload      Kind = "rules.reload"
	ConfigReload     Kind = "config.reload"
	ContainerRestart Kind = "container.restart"
	ContainerStop    Kind = "container.stop"
	ContainerStart   Kind = "container.start"
	LogRotate        Kind = "log.rotate"
	AlertAck         Kind = "alert.ack"
	AlertUnack       Kind = "alert.unack"
	AlertSilence     Kind = "alert.silence"
	AlertUnsilence   Kind = "alert.unsilence"
	QueueRequeue     Kind = "queue.requeue"
	ControlRequest   Kind = "control.request"
	ControlTake      Kind = "control.take"
	ControlGive      Kind = "control.give"
	ActionUndo       Kind = "action.undo"
	ActionCancel     Kind = "action.cancel"
	TokenCreate      Kind = "token.create"
	TokenRevoke      Kind = "token.revoke"
)

// Risk says how much an action asks before it acts.
type Risk string

// Risks.
const (
	// Safe acts at once.
	Safe Risk = "safe"
	// Confirm asks, with the cursor on Cancel.
	Confirm Risk = "confirm"
	// Typed wants the target's name typed.
	Typed Risk = "typed"
)

// Secret is a value that must not be seen: it prints, logs and marshals as "***".
type Secret string

// String implements fmt.Stringer without the value.
func (Secret) String() string { return "***" }

// GoString implements fmt.GoStringer without the value.
func (Secret) GoString() string { return "***" }

// Format implements fmt.Formatter, so that no verb prints the value.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("***")) }

// MarshalText implements encoding.TextMarshaler without the value.
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// LogValue implements slog.LogValuer without the value.
func (Secret) LogValue() slog.Value { return slog.StringValue("***") }

// Reveal is the value itself, for the one who needs it.
func (s Secret) Reveal() string { return string(s) }

// Actor is who asks for an action, and from where.
type Actor struct {
	User string `json:"user"`
	// From is the terminal and, over SSH, the address it was opened from.
	From string `json:"from,omitempty"`
	// Via is "console", "wall", "cli", "api" or "engine".
	Via string `json:"via"`
	// Request is the id of the API request that it came by; "" for none.
	Request string `json:"request,omitempty"`
}

// Action is one request to change something.
type Action struct {
	Kind   Kind   `json:"kind"`
	Target string `json:"target"`
	// Args are the action's plain arguments, by field name.
	Args map[string]string `json:"args,omitempty"`
	// Secrets are its secret arguments; they are never journalled or published.
	Secrets map[string]Secret `json:"-"`
	Actor   Actor             `json:"actor"`
	// Console is the ID of the console that asks, "" for none; the hub sets it.
	Console string `json:"console,omitempty"`
	// Confirmed is the target's name as the operator typed it, for Typed actions,
	// or "yes" for Confirm ones.
	Confirmed string `json:"confirmed,omitempty"`
}

// ActionID names one submitted action, uniquely over restarts.
type ActionID string

// Field is one argument that an action asks for.
type Field struct {
	Key   string
	Label string
	// Hint says what is expected: "a duration such as 2h".
	Hint    string
	Default string
	Secret  bool
	// Required fields may not be left empty.
	Required bool
}

// Spec is one row of the table of actions.
type Spec struct {
	Kind Kind
	// Key is the console key, "" for none. Several kinds may share one: the first
	// that is not disabled for the target is meant.
	Key string
	// Verb, Past and Noun read "restart", "restarted", "container".
	Verb, Past, Noun string
	// Section is whose rows it acts on.
	Section SectionName
	Risk    Risk
	// Global actions need no row: their target is the one given here.
	Global string
	// Hidden actions are submitted by others (undo), never offered.
	Hidden bool
	// Looks actions answer a question and change nothing: they need no control.
	Looks bool
	// Admin actions are for the API's role admin alone: they change who may do what,
	// or the key of the credential store.
	Admin bool
	// Disabled says why the action cannot be done on the target now; "" when it can.
	// Callers ask [Why], which asks this.
	Disabled func(*Snapshot, string) string
	// Impact lists what will be touched, for the confirmation; nil for nothing to say.
	Impact func(*Snapshot, string) []string
	// Fields are the arguments it asks for; nil for none.
	Fields func(*Snapshot, string) []Field
	// Given are arguments that go along unasked: what the operator was shown.
	Given func(*Snapshot, string) map[string]string
	// Measured says that a verdict follows: figures before and after.
	Measured bool
}

// Title is how the action is named in lists: "restart container".
func (s Spec) Title() string { return s.Verb + " " + s.Noun }

// Targets lists the IDs of all rows that the action could be meant for.
func (s Spec) Targets(snap *Snapshot) []string {
	if s.Global != "" {
		return []string{s.Global}
	}
	var ids []string
	switch s.Section {
	case SectionModules:
		for _, m := range snap.Modules.List {
			ids = append(ids, m.ID)
		}
	case SectionContainers:
		for _, c := range snap.Containers.List {
			ids = append(ids, c.Title)
		}
	case SectionLogs:
		for _, l := range snap.Logs.Sources {
			if l.Kind == "file" {
				ids = append(ids, l.Path)
			}
		}
	case SectionAlerts:
		for _, a := range snap.Alerts.List {
			ids = append(ids, a.ID)
		}
	case SectionQueues:
		for _, q := range snap.Queues.List {
			ids = append(ids, q.Key)
		}
	case SectionWorkspace:
		for _, c := range snap.Workspace.Consoles {
			if c.ID != snap.You && c.Controls() {
				ids = append(ids, c.ID)
			}
		}
	case SectionRouting:
		for _, r := range snap.Routing.Rows {
			ids = append(ids, r.ID)
		}
	case SectionPipeline:
		failed := s.Kind == PipelineRetry || s.Kind == PipelineDiscard
		for _, st := range snap.Pipeline.Stages {
			if !failed {
				ids = append(ids, st.Title)
			}
		}
		for _, j := range snap.Pipeline.Jobs {
			if failed && j.Status == "failed" {
				ids = append(ids, j.ID)
			}
		}
	case SectionActions:
		for _, p := range snap.Actions.List {
			ids = append(ids, string(p.ID))
		}
	}
	return ids
}

// Specs is the table of actions.
var Specs = []Spec{
	{Kind: ModuleEnable, Key: "E", Verb: "enable", Past: "enabled", Noun: "module", Section: SectionModules, Risk: Confirm,
		Disabled: moduleDisabled(func(m *Module) string {
			switch {
			case m.Status == ModuleInstalled:
				return "it is enabled already"
			case m.Status == ModuleFailed && m.Decided != ModuleFailed:
				return "it is failed: its last error says why; mend that and reload it"
			}
			return ""
		}), Impact: programImpact},
	{Kind: ModuleDisable, Key: "E", Verb: "disable", Past: "disabled", Noun: "module", Section: SectionModules, Risk: Confirm,
		Disabled: moduleDisabled(func(m *Module) string {
			if m.Status == ModuleDisabled {
				return "it is disabled already"
			}
			if m.Status == ModuleUninstalled {
				return "it is uninstalled"
			}
			if m.Status != ModuleInstalled && m.Status != ModuleFailed {
				return "it is " + m.Status.Word() + ", not enabled"
			}
			return ""
		}), Impact: moduleImpact},
	{Kind: ModuleReload, Key: "L", Verb: "reload", Past: "reloaded", Noun: "module", Section: SectionModules, Risk: Safe,
		Disabled: moduleDisabled(unchangedOnly), Measured: true},
	{Kind: ModuleApprove, Key: "L", Verb: "approve", Past: "approved", Noun: "changed files and load module", Section: SectionModules, Risk: Confirm,
		Disabled: moduleDisabled(func(m *Module) string {
			if m.Change == nil && (len(m.Versions) > 0 || m.Status == ModuleInstalled) {
				return "its files are as they were approved"
			}
			if m.Change == nil && m.Status != ModuleValidated && m.Status != ModulePending {
				return "it is " + m.Status.Word() + ": enable it, which approves its files"
			}
			return ""
		}), Impact: changeImpact, Given: func(s *Snapshot, t string) map[string]string {
			if m := s.Modules.Module(t); m != nil {
				return map[string]string{"digest": m.Digest}
			}
			return nil
		}, Measured: true},
	{Kind: ModuleRestart, Key: "R", Verb: "restart", Past: "restarted", Noun: "module runner", Section: SectionModules, Risk: Confirm,
		Disabled: moduleDisabled(unchangedOnly), Impact: moduleImpact, Measured: true},
	{Kind: ModuleFetch, Verb: "fetch", Past: "fetched", Noun: "module now", Section: SectionModules, Risk: Safe,
		Disabled: moduleDisabled(enabledOnly)},
	{Kind: ModuleUninstall, Verb: "uninstall", Past: "uninstalled", Noun: "module", Section: SectionModules, Risk: Typed,
		Disabled: moduleDisabled(func(m *Module) string {
			if m.Status == ModuleUninstalled {
				return "it is uninstalled already"
			}
			return ""
		}), Impact: moduleImpact},
	{Kind: ModuleValidate, Verb: "validate", Past: "validated", Noun: "module", Section: SectionModules, Risk: Safe,
		Disabled: moduleDisabled(func(*Module) string { return "" })},
	{Kind: ModuleTest, Verb: "run", Past: "ran", Noun: "tests of module", Section: SectionModules, Risk: Confirm,
		Disabled: moduleDisabled(func(*Module) string { return "" }), Impact: testImpact},
	{Kind: ModuleRollback, Verb: "roll back", Past: "rolled back", Noun: "module", Section: SectionModules, Risk: Confirm,
		Disabled: moduleDisabled(func(m *Module) string {
			if previous(m) == "" {
				return "no other version of it is kept"
			}
			return ""
		}), Impact: rollbackImpact, Fields: func(s *Snapshot, t string) []Field {
			if m := s.Modules.Module(t); m != nil {
				return []Field{{Key: "version", Label: "Version", Hint: "its digest, or how that begins: see Versions in its detail", Default: previous(m)}}
			}
			return nil
		}, Measured: true},
	{Kind: ModuleClearCache, Verb: "clear", Past: "cleared", Noun: "adapter caches", Section: SectionModules, Risk: Safe, Global: "adapters"},
	{Kind: CredentialRotate, Key: "T", Verb: "rotate", Past: "rotated", Noun: "credentials", Section: SectionModules, Risk: Confirm,
		Disabled: credentialsDisabled, Impact: credentialImpact, Fields: credentialFields, Measured: true},
	{Kind: CredentialSet, Verb: "set", Past: "set", Noun: "credentials without a check", Section: SectionModules, Risk: Confirm,
		Disabled: credentialsDisabled, Fields: credentialFields},
	{Kind: CredentialDelete, Verb: "delete", Past: "deleted", Noun: "credentials", Section: SectionModules, Risk: Typed,
		Disabled: storedCredentials, Impact: credentialImpact},
	{Kind: CredentialExpire, Verb: "note", Past: "noted", Noun: "the end of credentials", Section: SectionModules, Risk: Safe,
		Disabled: storedCredentials, Fields: func(*Snapshot, string) []Field {
			return []Field{{Key: "at", Label: "They end", Hint: "a date such as 2027-01-31, or from now: 90d; empty for never"}}
		}},
	{Kind: CredentialRekey, Verb: "change", Past: "changed", Noun: "the key of the credential store", Section: SectionModules, Risk: Confirm, Global: "credentials", Admin: true,
		Disabled: func(s *Snapshot, _ string) string { return s.Modules.Locked }, Impact: keyImpact,
		Fields: func(*Snapshot, string) []Field {
			return []Field{{Key: "new_key", Label: "New key", Hint: "empty: a new one is made", Secret: true}}
		}},
	{Kind: CredentialForget, Verb: "forget", Past: "forgot", Noun: "old keys of the credential store", Section: SectionModules, Risk: Typed, Global: "credentials", Admin: true,
		Disabled: func(s *Snapshot, _ string) string {
			switch n := s.Modules.UnderOldKeys(); {
			case s.Modules.Locked != "":
				return s.Modules.Locked
			case len(s.Modules.Keys) < 2:
				return "no old key is given"
			case n > 0:
				return fmt.Sprintf("%d entries are still under an old key: change the key first", n)
			}
			return ""
		}, Impact: func(*Snapshot, string) []string {
			return []string{"backups that were taken before the change of keys no longer open here: keep the old key where they are"}
		}},
	{Kind: CredentialUnlock, Verb: "unlock", Past: "unlocked", Noun: "the credential store", Section: SectionModules, Risk: Safe, Global: "credentials",
		Disabled: func(s *Snapshot, _ string) string {
			if s.Modules.Locked == "" {
				return "it is not locked"
			}
			return ""
		}, Fields: func(*Snapshot, string) []Field {
			return []Field{{Key: "key", Label: "Key", Hint: "kept in memory until opsdeck ends", Secret: true, Required: true}}
		}},
	{Kind: CredentialUndo, Verb: "restore", Past: "restored", Noun: "credentials", Section: SectionModules, Risk: Confirm, Hidden: true,
		Disabled: credentialsDisabled},

	{Kind: PipelineResume, Key: "S", Verb: "resume", Past: "resumed", Noun: "stage", Section: SectionPipeline, Risk: Safe,
		Disabled: stageDisabled(func(p *Pipeline, st *Stage) string {
			if st.Paused == "" && (p.Closed == "" || st != &p.Stages[0]) {
				return "it is not paused"
			}
			return ""
		})},
	{Kind: PipelinePause, Key: "S", Verb: "pause", Past: "paused", Noun: "stage", Section: SectionPipeline, Risk: Confirm,
		Disabled: stageDisabled(func(_ *Pipeline, st *Stage) string {
			if st.Paused != "" {
				return "it is paused already, by " + st.Paused
			}
			return ""
		}), Impact: func(s *Snapshot, t string) []string {
			st := s.Pipeline.Stage(t)
			if st == nil {
				return nil
			}
			return []string{fmt.Sprintf("%d jobs wait before it, %d are in work and will be finished", st.Depth, st.InFlight),
				fmt.Sprintf("when %d wait, the stages before it stop, and then the modules' fetches", st.Capacity)}
		}},
	{Kind: PipelineDrain, Verb: "drain", Past: "drained", Noun: "pipeline", Section: SectionPipeline, Risk: Confirm, Global: "pipeline",
		Disabled: func(s *Snapshot, _ string) string {
			if len(s.Pipeline.Stages) == 0 {
				return "the pipeline does not run"
			}
			for _, st := range s.Pipeline.Stages {
				if st.Paused != "" {
					return st.Title + " is paused: resume it first"
				}
			}
			return ""
		}, Impact: func(s *Snapshot, _ string) []string {
			n := 0
			for _, st := range s.Pipeline.Stages {
				n += st.Depth + st.InFlight
			}
			return []string{fmt.Sprintf("%d jobs are worked off; fetches wait until ingest is resumed", n)}
		}},
	{Kind: PipelineWorkers, Verb: "set", Past: "set", Noun: "workers of stage", Section: SectionPipeline, Risk: Safe,
		Disabled: stageDisabled(func(*Pipeline, *Stage) string { return "" }),
		Fields: func(s *Snapshot, t string) []Field {
			n := "1"
			if st := s.Pipeline.Stage(t); st != nil {
				n = fmt.Sprint(st.Workers)
			}
			return []Field{{Key: "workers", Label: "Workers", Hint: "jobs that it works on at a time, 1 to 64; until the next start", Default: n, Required: true}}
		}},
	{Kind: PipelineRetry, Key: "Q", Verb: "retry", Past: "retried", Noun: "failed job", Section: SectionPipeline, Risk: Safe, Disabled: jobDisabled},
	{Kind: PipelineDiscard, Verb: "discard", Past: "discarded", Noun: "failed job", Section: SectionPipeline, Risk: Confirm, Disabled: jobDisabled,
		Impact: func(s *Snapshot, t string) []string {
			if j := s.Pipeline.Job(t); j != nil {
				return []string{fmt.Sprintf("what %s fetched is lost; it failed in %s: %s", j.Module, j.Stage, j.Cause)}
			}
			return nil
		}},

	{Kind: RoutingReload, Key: "L", Verb: "reload", Past: "reloaded", Noun: "routing configuration", Section: SectionRouting, Risk: Safe, Global: "routing",
		Disabled: func(s *Snapshot, _ string) string {
			if s.Routing.File == "" {
				return "there is no routing configuration: create config/routing_config.json"
			}
			return ""
		}},
	{Kind: RoutingSet, Verb: "set", Past: "set", Noun: "routing configuration", Section: SectionRouting, Risk: Confirm, Global: "routing", Hidden: true},
	{Kind: RoutingStage, Verb: "stage", Past: "staged", Noun: "change of routing", Section: SectionRouting, Risk: Safe, Global: "routing", Hidden: true},
	{Kind: RoutingConfirm, Key: "A", Verb: "confirm", Past: "confirmed", Noun: "change of routing", Section: SectionRouting, Risk: Safe, Global: "routing",
		Disabled: func(s *Snapshot, _ string) string {
			if s.Routing.Trial == nil {
				return "no change waits to be confirmed"
			}
			return ""
		}},
	{Kind: RoutingApply, Key: "E", Verb: "apply", Past: "applied", Noun: "staged change of routing", Section: SectionRouting, Risk: Confirm, Global: "routing",
		Disabled: func(s *Snapshot, _ string) string {
			switch {
			case s.Routing.Trial != nil:
				return "the last change, by " + s.Routing.Trial.By.User + ", is not confirmed yet"
			case s.Routing.Staged == nil:
				return "nothing is staged: change a row with x, or edit the whole with e"
			}
			return ""
		}, Impact: stagedImpact, Fields: func(s *Snapshot, _ string) []Field { return routingFields(s) },
		Given: func(s *Snapshot, _ string) map[string]string {
			if g := s.Routing.Staged; g != nil {
				return map[string]string{"staged": g.Tag}
			}
			return nil
		}},
	{Kind: RoutingDiscard, Verb: "discard", Past: "discarded", Noun: "staged change of routing", Section: SectionRouting, Risk: Confirm, Global: "routing",
		Disabled: func(s *Snapshot, _ string) string {
			if s.Routing.Staged == nil {
				return "nothing is staged"
			}
			return ""
		}},
	{Kind: RoutingRevert, Verb: "revert", Past: "reverted", Noun: "unconfirmed change of routing", Section: SectionRouting, Risk: Confirm, Global: "routing",
		Disabled: func(s *Snapshot, _ string) string {
			if s.Routing.Trial == nil {
				return "no change waits to be confirmed: roll back to a version instead"
			}
			return ""
		}},
	{Kind: RoutingRollback, Verb: "roll back", Past: "rolled back", Noun: "routing configuration", Section: SectionRouting, Risk: Confirm, Global: "routing",
		Disabled: func(s *Snapshot, _ string) string {
			switch {
			case s.Routing.Trial != nil:
				return "a change waits to be confirmed: revert it"
			case len(s.Routing.History) < 2:
				return "no earlier version is kept"
			}
			return ""
		}, Fields: func(s *Snapshot, _ string) []Field {
			to := ""
			if h := s.Routing.History; len(h) > 1 {
				to = fmt.Sprint(h[1].Version)
			}
			return append([]Field{{Key: "version", Label: "To version", Hint: "the tab History lists them", Default: to, Required: true}}, routingFields(s)...)
		}},
	{Kind: RoutingThreshold, Verb: "change", Past: "changed", Noun: "threshold and constraints", Section: SectionRouting, Risk: Safe, Global: "routing",
		Disabled: routingEditable, Fields: func(s *Snapshot, _ string) []Field {
			r := s.Routing.Prepared()
			return []Field{
				{Key: "threshold", Label: "Threshold", Hint: "complexity from which on is delegated, 0 to 1; lower sends more to the heavy tier", Default: plain(r.Threshold)},
				{Key: "max_latency_ms", Label: "Max latency", Hint: "in ms; empty for none", Default: plain(r.MaxLatencyMS)},
				{Key: "max_cost_per_request", Label: "Max cost", Hint: "of a request; empty for none", Default: plain(r.MaxCost)},
			}
		}},
	{Kind: RoutingRoute, Verb: "change", Past: "changed", Noun: "category or tier", Section: SectionRouting, Risk: Safe,
		Disabled: routeDisabled(func(*Route) string { return "" }), Fields: func(s *Snapshot, t string) []Field {
			r := s.Routing.Prepared().Row(t)
			switch {
			case r == nil:
				return nil
			case strings.HasPrefix(t, "tier/"):
				enabled := "no"
				if r.Enabled {
					enabled = "yes"
				}
				return []Field{
					{Key: "enabled", Label: "Enabled", Hint: "yes or no", Default: enabled, Required: true},
					{Key: "endpoint", Label: "Endpoint", Default: r.Endpoint},
					{Key: "max_concurrent_requests", Label: "At a time", Hint: "requests", Default: plain(float64(r.MaxConcurrent))},
					{Key: "priority", Label: "Priority", Hint: "1 is tried first", Default: r.Priority},
				}
			}
			return []Field{
				{Key: "tier", Label: "Tier", Default: r.Tier, Required: true},
				{Key: "provider", Label: "Provider", Hint: "empty for the tier's", Default: r.Provider},
				{Key: "model", Label: "Model", Hint: "empty for the tier's", Default: r.Model},
				{Key: "priority", Label: "Priority", Hint: "low, medium or high", Default: r.Priority},
				{Key: "max_latency_ms", Label: "Max latency", Hint: "in whole ms; empty for none", Default: plain(r.MaxLatencyMS)},
			}
		}},
	{Kind: RoutingRemove, Verb: "remove", Past: "removed", Noun: "category", Section: SectionRouting, Risk: Confirm,
		Disabled: routeDisabled(func(r *Route) string {
			if strings.HasPrefix(r.ID, "tier/") {
				return "only categories can be removed here: edit the whole with e"
			}
			return ""
		}), Impact: func(*Snapshot, string) []string {
			return []string{"it is staged only: nothing changes before that is applied"}
		}},
	{Kind: RoutingTest, Verb: "test", Past: "tested", Noun: "where a request goes", Section: SectionRouting, Risk: Safe, Looks: true,
		Disabled: func(s *Snapshot, t string) string {
			if why := routingEditable(s, t); why != "" {
				return why
			}
			if t == "" || strings.HasPrefix(t, "tier/") {
				return "a request has a category: choose one, or an unknown one with opsdeck routing test"
			}
			return ""
		}, Fields: func(_ *Snapshot, t string) []Field {
			return []Field{
				{Key: "category", Label: "Category", Hint: "of the request; one that is not configured goes to heavy", Default: strings.TrimPrefix(t, "category/"), Required: true},
				{Key: "complexity", Label: "Complexity", Hint: "0 to 1", Default: "0.7", Required: true},
			}
		}},
	{Kind: RoutingReplay, Verb: "replay", Past: "replayed", Noun: "the last delegations", Section: SectionRouting, Risk: Safe, Looks: true, Global: "routing",
		Disabled: func(s *Snapshot, t string) string {
			if why := routingEditable(s, t); why != "" {
				return why
			}
			if s.Routing.Delegations == 0 {
				return "none are known: they are read from JSON log lines with a complexity, or sent to POST /admin/delegations"
			}
			return ""
		}, Fields: func(s *Snapshot, _ string) []Field {
			return []Field{
				{Key: "threshold", Label: "Threshold", Hint: "0 to 1: another than what is staged, or in force, has", Default: plain(s.Routing.Prepared().Threshold)},
				{Key: "since", Label: "Of the last", Hint: "a time such as 2h or 7d; empty for all"},
			}
		}},
	{Kind: RulesReload, Key: "L", Verb: "reload", Past: "reloaded", Noun: "rule files", Section: SectionAlerts, Risk: Safe, Global: "rules"},
	{Kind: ConfigReload, Key: "L", Verb: "reload", Past: "reloaded", Noun: "workspace file", Section: SectionWorkspace, Risk: Safe, Global: "workspace",
		Disabled: func(s *Snapshot, _ string) string {
			if s.Workspace.ConfigFile == "" {
				return "this workspace has no opsdeck.yaml: opsdeck init writes one"
			}
			return ""
		}},

	{Kind: ContainerRestart, Key: "R", Verb: "restart", Past: "restarted", Noun: "container", Section: SectionContainers, Risk: Confirm,
		Disabled: containerDisabled(func(c *Container) string {
			if c.State == "removing" || c.State == "dead" {
				return "it is " + c.State
			}
			return ""
		}), Impact: containerImpact, Measured: true},
	{Kind: ContainerStop, Key: "S", Verb: "stop", Past: "stopped", Noun: "container", Section: SectionContainers, Risk: Confirm,
		Disabled: containerDisabled(func(c *Container) string {
			if c.State != "running" && c.State != "paused" && c.State != "restarting" {
				return "it is not running: it is " + c.State
			}
			return ""
		}), Impact: containerImpact},
	{Kind: ContainerStart, Key: "S", Verb: "start", Past: "started", Noun: "container", Section: SectionContainers, Risk: Safe,
		Disabled: containerDisabled(func(c *Container) string {
			if c.State != "exited" && c.State != "created" {
				return "it is " + c.State + " already"
			}
			return ""
		}), Measured: true},

	{Kind: LogRotate, Key: "T", Verb: "rotate", Past: "rotated", Noun: "log file", Section: SectionLogs, Risk: Confirm,
		Disabled: func(s *Snapshot, t string) string {
			l := s.Logs.Source(t)
			switch {
			case l == nil:
				return notFound("log source", t)
			case l.Kind != "file":
				return "it is a container's log: the container engine rotates it (log-opt max-size)"
			case l.Err != "":
				return l.Err
			case l.Rotation == "":
				return "it cannot be rotated"
			}
			return ""
		}, Impact: func(s *Snapshot, t string) []string {
			if l := s.Logs.Source(t); l != nil {
				return []string{l.Rotation}
			}
			return nil
		}},

	{Kind: AlertAck, Key: "A", Verb: "acknowledge", Past: "acknowledged", Noun: "alert", Section: SectionAlerts, Risk: Safe,
		Disabled: alertDisabled(func(a *Alert) string {
			switch {
			case a.State != AlertFiring && a.State != AlertPending:
				return "it is " + string(a.State) + ", not firing"
			case a.AckedBy != "":
				return "it is acknowledged already, by " + a.AckedBy
			}
			return ""
		})},
	{Kind: AlertUnack, Key: "A", Verb: "take back the acknowledgement of", Past: "unacknowledged", Noun: "alert", Section: SectionAlerts, Risk: Safe,
		Disabled: alertDisabled(func(a *Alert) string {
			if a.AckedBy == "" {
				return "it is not acknowledged"
			}
			return ""
		})},
	{Kind: AlertSilence, Key: "M", Verb: "silence", Past: "silenced", Noun: "alert", Section: SectionAlerts, Risk: Confirm,
		Disabled: alertDisabled(func(a *Alert) string {
			if a.SilenceID != "" {
				return "it is silenced already, by " + a.SilencedBy
			}
			return ""
		}),
		Fields: func(*Snapshot, string) []Field {
			return []Field{
				{Key: "duration", Label: "For", Hint: "a duration such as 30m, 2h or 1d", Default: "1h", Required: true},
				{Key: "comment", Label: "Why", Hint: "what the next person should know"},
			}
		}},
	{Kind: AlertUnsilence, Key: "M", Verb: "end the silence of", Past: "unsilenced", Noun: "alert", Section: SectionAlerts, Risk: Safe,
		Disabled: alertDisabled(func(a *Alert) string {
			if a.SilenceID == "" {
				return "it is not silenced"
			}
			return ""
		})},

	{Kind: QueueRequeue, Key: "Q", Verb: "requeue", Past: "requeued", Noun: "failed items", Section: SectionQueues, Risk: Confirm,
		Disabled: func(s *Snapshot, t string) string {
			for i := range s.Queues.List {
				q := &s.Queues.List[i]
				if q.Key != t {
					continue
				}
				switch {
				case q.Kind != "list":
					return "only a list can be requeued; this is a " + q.Kind
				case RequeueTarget(q.Key) == "":
					return `its name does not end in ":failed", so where its items belong is unknown`
				case q.Depth == 0:
					return "it is empty"
				}
				return ""
			}
			return notFound("queue", t)
		}, Impact: func(s *Snapshot, t string) []string {
			for _, q := range s.Queues.List {
				if q.Key == t {
					return []string{fmt.Sprintf("moves %.0f items from %s to %s, each in one atomic step", q.Depth, q.Key, RequeueTarget(q.Key))}
				}
			}
			return nil
		}},

	{Kind: ControlRequest, Verb: "ask for", Past: "asked for", Noun: "control", Section: SectionWorkspace, Risk: Safe, Global: "control",
		Disabled: func(s *Snapshot, _ string) string {
			if why := controlDisabled(s); why != "" {
				return why
			}
			if at := s.Workspace.Console(s.You).Asked; !at.IsZero() {
				return "it was asked for at " + at.Local().Format(time.TimeOnly) + ": take control where nobody answers"
			}
			return ""
		}},
	{Kind: ControlTake, Verb: "take", Past: "took", Noun: "control", Section: SectionWorkspace, Risk: Confirm, Global: "control",
		Disabled: func(s *Snapshot, _ string) string { return controlDisabled(s) },
		Impact: func(s *Snapshot, _ string) []string {
			h := s.Workspace.Holder()
			if h == nil {
				return nil
			}
			return []string{
				fmt.Sprintf("%s holds control; the last key there was pressed %s ago", h.Title(), s.At.Sub(h.Active).Round(time.Second)),
				"that console is told who took it, and only looks from then on; the journal has it too",
			}
		}},
	{Kind: ControlGive, Verb: "hand over", Past: "handed over", Noun: "control to", Section: SectionWorkspace, Risk: Safe,
		Disabled: func(s *Snapshot, t string) string {
			to, you := s.Workspace.Console(t), s.Workspace.Console(s.You)
			switch {
			case to == nil:
				return notFound("console", t)
			case !to.Controls():
				return "it only looks"
			case to.Control:
				return "it holds control already"
			case you != nil && !you.Control:
				return Held(s)
			}
			return ""
		}},

	{Kind: ActionCancel, Verb: "cancel", Past: "cancelled", Noun: "running action", Section: SectionActions, Risk: Confirm,
		Disabled: func(s *Snapshot, t string) string {
			switch p := s.Actions.Progress(ActionID(t)); {
			case p == nil:
				return notFound("action", t)
			case p.Over():
				return "it is " + p.Status + " already"
			case p.Action.Kind == ActionCancel:
				return "it only cancels another"
			}
			return ""
		},
		Impact: func(s *Snapshot, t string) []string {
			if p := s.Actions.Progress(ActionID(t)); p != nil {
				return []string{fmt.Sprintf("%s %s by %s stops where it is; what it has done stays done", p.Action.Kind, p.Action.Target, p.Action.Actor.User)}
			}
			return nil
		}},
	{Kind: ActionUndo, Key: "u", Verb: "undo", Past: "undone", Noun: "last action", Section: SectionActions, Risk: Confirm,
		Disabled: func(s *Snapshot, t string) string {
			for _, a := range s.Actions.List {
				if string(a.ID) == t {
					if a.Undo == nil {
						return "it cannot be undone"
					}
					if a.Undone {
						return "it has been undone already"
					}
					return ""
				}
			}
			return notFound("action", t)
		}},

	{Kind: TokenCreate, Verb: "create", Past: "created", Noun: "API token", Section: SectionWorkspace, Risk: Confirm, Hidden: true, Admin: true, Disabled: notBegun},
	{Kind: TokenRevoke, Verb: "revoke", Past: "revoked", Noun: "API token", Section: SectionWorkspace, Risk: Confirm, Hidden: true, Admin: true, Disabled: notBegun},
}

// RequeueTarget is the queue whose failures key holds ("task:queue" for
// "task:queue:failed"), or "".
func RequeueTarget(key string) string {
	if to, ok := strings.CutSuffix(key, ":failed"); ok {
		return to
	}
	return ""
}

// SpecOf is the table's row for a kind, or nil.
func SpecOf(k Kind) *Spec {
	for i := range Specs {
		if Specs[i].Kind == k {
			return &Specs[i]
		}
	}
	return nil
}

// Why is the reason why kind cannot be done on target now; "" when it can.
func Why(s *Snapshot, k Kind, target string) string {
	spec := SpecOf(k)
	if spec == nil {
		return fmt.Sprintf("there is no action %q", string(k))
	}
	if why := s.Modules.Cannot[k]; why != "" {
		return why
	}
	if spec.Disabled == nil {
		return ""
	}
	return spec.Disabled(s, target)
}

// Held says who holds control in place of the console that was given s; "" where
// that one may act.
func Held(s *Snapshot) string {
	you, h := s.Workspace.Console(s.You), s.Workspace.Holder()
	switch {
	case you == nil || you.Control:
		return ""
	case !you.Controls():
		return "this console only looks"
	case h == nil:
		return "nobody holds control: take it first"
	}
	return h.Title() + " holds control"
}

func controlDisabled(s *Snapshot) string {
	you := s.Workspace.Console(s.You)
	switch {
	case you == nil:
		return "only a console holds control; commands and the API act without"
	case !you.Controls():
		return "this console only looks"
	case you.Control:
		return "this console has it already"
	}
	return ""
}

// notBegun is for what the file of tokens alone can tell.
func notBegun(s *Snapshot, _ string) string {
	if s.Workspace.Started.IsZero() {
		return "the engine has not begun"
	}
	return ""
}

func notFound(noun, target string) string { return fmt.Sprintf("there is no %s %q", noun, target) }

func moduleDisabled(f func(*Module) string) func(*Snapshot, string) string {
	return func(s *Snapshot, t string) string {
		m := s.Modules.Module(t)
		if m == nil {
			return notFound("module", t)
		}
		return f(m)
	}
}

func enabledOnly(m *Module) string {
	if m.Status != ModuleInstalled && m.Status != ModuleFailed {
		return "it is " + m.Status.Word() + ": enable it first"
	}
	return ""
}

// routingFields are what every change of routing that is put in force asks for.
func routingFields(s *Snapshot) []Field {
	why := Field{Key: "why", Label: "Why", Hint: "what the next person should know"}
	if s.Modules.Cannot[RoutingConfirm] != "" { // nobody would undo it
		return []Field{why}
	}
	return []Field{
		why,
		{Key: "confirm_within", Label: "Undo after", Hint: "unless confirmed within this time, such as 2m; empty: never", Default: "2m"},
	}
}

// stagedImpact is what the staged change would do.
func stagedImpact(s *Snapshot, _ string) []string {
	g := s.Routing.Staged
	if g == nil {
		return nil
	}
	out := []string{fmt.Sprintf("%s, by %s: +%d -%d lines", g.What, g.By.User, g.Added, g.Removed)}
	return append(append(out, g.Shift...), g.Warnings...)
}

func routingEditable(s *Snapshot, _ string) string {
	switch {
	case s.Routing.JSON == "" && s.Routing.Problem != "":
		return s.Routing.Problem
	case s.Routing.JSON == "":
		return "there is no routing configuration: create config/routing_config.json"
	}
	return ""
}

func routeDisabled(f func(*Route) string) func(*Snapshot, string) string {
	return func(s *Snapshot, t string) string {
		if why := routingEditable(s, t); why != "" {
			return why
		}
		r := s.Routing.Row(t)
		if r == nil {
			return notFound("category or tier", t)
		}
		if r.Unlisted {
			return "categories name it, and the tiers do not list it: edit the whole with e"
		}
		return f(r)
	}
}

// plain is a number as one types it; "" for one below 0.
func plain(v float64) string {
	if v < 0 {
		return ""
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// unchangedOnly refuses what would run files that nobody has approved.
func unchangedOnly(m *Module) string {
	if m.Change != nil && m.Change.Held {
		return m.Change.Why()
	}
	return enabledOnly(m)
}

func stageDisabled(f func(*Pipeline, *Stage) string) func(*Snapshot, string) string {
	return func(s *Snapshot, t string) string {
		st := s.Pipeline.Stage(t)
		if st == nil {
			return notFound("stage", t)
		}
		return f(&s.Pipeline, st)
	}
}

func jobDisabled(s *Snapshot, t string) string {
	switch j := s.Pipeline.Job(t); {
	case j == nil:
		return notFound("failed job", t)
	case j.Status != "failed":
		return "it is " + j.Status + ", not failed"
	}
	return ""
}

func containerDisabled(f func(*Container) string) func(*Snapshot, string) string {
	return func(s *Snapshot, t string) string {
		if !s.Containers.Health.Known() {
			return "the container engine does not answer"
		}
		c := s.Containers.Container(t)
		if c == nil {
			return notFound("container", t)
		}
		return f(c)
	}
}

func alertDisabled(f func(*Alert) string) func(*Snapshot, string) string {
	return func(s *Snapshot, t string) string {
		a := s.Alerts.Alert(t)
		if a == nil {
			return notFound("alert", t)
		}
		return f(a)
	}
}

func credentialsDisabled(s *Snapshot, t string) string {
	if s.Modules.Module(t) == nil {
		return notFound("module", t)
	}
	return s.Modules.Locked
}

func storedCredentials(s *Snapshot, t string) string {
	if r := credentialsDisabled(s, t); r != "" {
		return r
	}
	if m := s.Modules.Module(t); m.Credentials != CredentialsPresent && len(m.CredentialFields) == 0 {
		return "it has no credentials stored"
	}
	return ""
}

// credentialImpact says what depends on a module's credentials.
func credentialImpact(s *Snapshot, t string) []string {
	out := moduleImpact(s, t)
	if m := s.Modules.Module(t); m != nil && len(m.CredentialsServe) > 0 {
		out = append(out, "the same credentials serve "+strings.Join(m.CredentialsServe, ", "))
	}
	return out
}

// keyImpact says what a change of the master key touches.
func keyImpact(s *Snapshot, _ string) []string {
	out := []string{"the key comes from " + s.Modules.KeyFrom}
	rows := 0
	for _, k := range s.Modules.Keys {
		rows += k.Rows + k.Kept
	}
	if n := s.Modules.UnderOldKeys(); n > 0 {
		out = append(out, fmt.Sprintf("%d of %d entries are still under an old key: without a new one given, those are put under the present one", n, rows))
	} else {
		out = append(out, fmt.Sprintf("%d entries are encrypted anew, all or none; the old key stays beside the new one", rows))
	}
	return append(out, "other programs that read the store need the new key")
}

func credentialFields(s *Snapshot, t string) []Field {
	m := s.Modules.Module(t)
	if m == nil {
		return nil
	}
	names := m.RequiredCredentials
	if len(names) == 0 {
		names = m.CredentialFields
	}
	if len(names) == 0 {
		names = []string{"api_key"}
	}
	fields := make([]Field, 0, len(names))
	for _, n := range names {
		fields = append(fields, Field{Key: n, Label: n, Hint: "the new value; it is not shown", Secret: true, Required: true})
	}
	return fields
}

func moduleImpact(s *Snapshot, t string) []string {
	m := s.Modules.Module(t)
	if m == nil {
		return nil
	}
	out := []string{fmt.Sprintf("%s is %s, %s", m.ID, m.Status.Word(), m.HealthWord)}
	if m.Fetching {
		out = append(out, "a fetch is in flight and will be cut short")
	}
	same := 0
	for _, o := range s.Modules.List {
		if o.Platform == m.Platform && o.ID != m.ID {
			same++
		}
	}
	if same > 0 {
		out = append(out, fmt.Sprintf("%d other modules share the platform %s", same, m.Platform))
	}
	return append(out, lastDone(s, t)...)
}

func containerImpact(s *Snapshot, t string) []string {
	c := s.Containers.Container(t)
	if c == nil {
		return nil
	}
	out := []string{fmt.Sprintf("%s is %s, image %s", c.Title, c.State, c.Image)}
	if len(c.Ports) > 0 {
		out = append(out, "published ports: "+strings.Join(c.Ports, ", "))
	}
	if c.Project != "" {
		var peers []string
		for _, o := range s.Containers.List {
			if o.Project == c.Project && o.ID != c.ID {
				peers = append(peers, o.Title)
			}
		}
		sort.Strings(peers)
		if len(peers) > 0 {
			out = append(out, fmt.Sprintf("project %s also runs %s", c.Project, strings.Join(peers, ", ")))
		}
	}
	return append(out, lastDone(s, c.Title)...)
}

// lastDone says who acted on the target last.
func lastDone(s *Snapshot, target string) []string {
	for _, e := range s.Journal.Entries {
		if e.Target == target && e.Phase == PhaseEnd {
			return []string{fmt.Sprintf("last: %s by %s, %s, %s", e.Kind, e.Actor.User, e.At.Local().Format(time.DateTime), e.Outcome)}
		}
	}
	return nil
}
