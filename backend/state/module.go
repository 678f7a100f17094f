package state

import "time"

// ModuleStatus is a module's place in its lifecycle. The words are those of
// NEXUS' registry; "installed" is what its guides call enabled.
type ModuleStatus string

// Module statuses.
const (
	ModulePending     ModuleStatus = "pending"
	ModuleValidating  ModuleStatus = "validating"
	ModuleValidated   ModuleStatus = "validated"
	ModuleApproved    ModuleStatus = "approved"
	ModuleInstalled   ModuleStatus = "installed"
	ModuleDisabled    ModuleStatus = "disabled"
	ModuleFailed      ModuleStatus = "failed"
	ModuleUninstalled ModuleStatus = "uninstalled"
)

// Word returns the status as operators say it: installed reads "enabled".
func (s ModuleStatus) Word() string {
	if s == ModuleInstalled {
		return "enabled"
	}
	return string(s)
}

// Modules is the engine's registry and what its adapters last did.
type Modules struct {
	Health Health `json:"health"`
	// Dir is the folder that modules are discovered in.
	Dir  string   `json:"dir"`
	List []Module `json:"list"` // by ID
	// Locked says why the credential store cannot be read; "" when it can.
	Locked string `json:"locked,omitempty"`
	// KeyFrom says where the master key of the store came from; Keys what lies under
	// it and under the old keys that are given, the one that encrypts first.
	KeyFrom string   `json:"key_from,omitempty"`
	Keys    []KeyUse `json:"keys,omitempty"`
	// Python says which interpreter runs adapters; PythonErr why there is none.
	Python    string `json:"python,omitempty"`
	PythonErr string `json:"python_err,omitempty"`
	// Cannot says, by kind, why actions cannot be done on any of these modules.
	Cannot map[Kind]string `json:"cannot,omitempty"`
}

// Module is one module.
type Module struct {
	// ID is "category/platform".
	ID          string       `json:"id"`
	Category    string       `json:"category"`
	Platform    string       `json:"platform"`
	DisplayName string       `json:"display_name"`
	Description string       `json:"description,omitempty"`
	Version     string       `json:"version"`
	Status      ModuleStatus `json:"status"`
	// Decided is the status that the registry has: an enabled module that does not work
	// is shown as failed, and is installed there.
	Decided ModuleStatus `json:"decided,omitempty"`
	// HealthWord is "healthy", "degraded", "unhealthy" or "unknown".
	HealthWord string `json:"health_word"`
	// Reason says why the module is in its status, when that is not by choice.
	Reason string `json:"reason,omitempty"`
	// Runner is the adapter process: "running", "starting", "backoff", "stopped", or
	// "idle": it loaded well and left until its next fetch, to be forked then.
	Runner string `json:"runner"`
	PID    int    `json:"pid,omitempty"`
	// Restarts counts how often the runner was started again since the engine began.
	Restarts int `json:"restarts,omitempty"`
	// Interval between fetches; NextFetch is when the next is due.
	Interval  time.Duration `json:"interval"`
	NextFetch time.Time     `json:"next_fetch,omitzero"`
	LastFetch time.Time     `json:"last_fetch,omitzero"`
	LastOK    time.Time     `json:"last_ok,omitzero"`
	Fetching  bool          `json:"fetching,omitempty"`
	Successes int64         `json:"successes"`
	Failures  int64         `json:"failures"`
	// Latencies of the last fetches in milliseconds, oldest first; -1 marks a failure.
	Latencies []float64 `json:"latencies,omitempty"`
	// Items is how many items the last good fetch gave.
	Items int `json:"items"`
	// Breaker is the circuit: "closed", "open" (no fetch until BreakerUntil) or
	// "half-open" (one fetch tries); "" while the module does not run.
	Breaker      string    `json:"breaker,omitempty"`
	BreakerUntil time.Time `json:"breaker_until,omitzero"`
	// CacheTTL is how long a result serves in place of a fetch; CachedAt is its time.
	CacheTTL time.Duration `json:"cache_ttl,omitempty"`
	CachedAt time.Time     `json:"cached_at,omitzero"`
	// Keeps says what the process holds between fetches, for which it does not leave.
	Keeps string `json:"keeps,omitempty"`
	// Capabilities are those that its adapter said it has when it was last loaded.
	Capabilities []string `json:"capabilities,omitempty"`
	// Request is the method and URL of a module that is a request of the engine's own,
	// "" for one with an adapter.
	Request string `json:"request,omitempty"`
	// Stale says that its fetches fail and that what it gave at LastOK is served still:
	// until StaleUntil, zero for no end.
	Stale      bool      `json:"stale,omitempty"`
	StaleUntil time.Time `json:"stale_until,omitzero"`
	// Credentials: "none needed", "present", "missing", "locked".
	Credentials CredentialState `json:"credentials"`
	// CredentialFields are the names of the stored fields, never their values.
	CredentialFields []string `json:"credential_fields,omitempty"`
	// RequiredCredentials are the names the manifest asks for.
	RequiredCredentials []string  `json:"required_credentials,omitempty"`
	CredentialsUpdated  time.Time `json:"credentials_updated,omitzero"`
	// CredentialsUsed is when they were last used, to the minute. CredentialsExpire
	// is when they end, zero where nobody says, and CredentialsExpireBy who says so.
	CredentialsUsed     time.Time `json:"credentials_used,omitzero"`
	CredentialsExpire   time.Time `json:"credentials_expire,omitzero"`
	CredentialsExpireBy string    `json:"credentials_expire_by,omitempty"`
	// CredentialsServe are the other modules that have the same stored credentials.
	CredentialsServe []string `json:"credentials_serve,omitempty"`

	// LastError is the last failure's one-line reason; Traceback its full text.
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	Traceback   string    `json:"traceback,omitempty"`
	// Manifest and LastResult are JSON text, cleaned; LastResult is cut at 64 KiB.
	Manifest   string `json:"manifest,omitempty"`
	LastResult string `json:"last_result,omitempty"`
	// Dir is the module's folder.
	Dir string `json:"dir,omitempty"`
	// Files are its program on disk, at most 100 of them.
	Files []ProgramFile `json:"files,omitempty"`
	// Digest names what they hold.
	Digest string `json:"digest,omitempty"`
	// Change is how they differ from what was approved; nil where they do not, or
	// nothing was.
	Change *ProgramChange `json:"change,omitempty"`
	// Versions are those that are kept, the newest first.
	Versions []ProgramVersion `json:"versions,omitempty"`
	// Findings are what the last validation found, errors first, at most 100; Checked
	// is when that was.
	Findings []ModuleFinding `json:"findings,omitempty"`
	Checked  time.Time       `json:"checked,omitzero"`
	// Tests are what came of its own tests when they last ran; nil where they did not.
	Tests *TestRun `json:"tests,omitempty"`
	// History has the last transitions and failures, newest first.
	History []Event `json:"history,omitempty"`
}

// KeyUse says what is encrypted under one master key.
type KeyUse struct {
	// Fingerprint tells the key from others; "" stands for entries that no key opens.
	Fingerprint string `json:"fingerprint"`
	// Rows are credentials in use, Kept replaced versions of them.
	Rows int `json:"rows"`
	Kept int `json:"kept"`
}

// UnderOldKeys returns how many stored entries are not under the key that encrypts.
func (m Modules) UnderOldKeys() int {
	n := 0
	for _, k := range m.Keys[min(1, len(m.Keys)):] {
		n += k.Rows + k.Kept
	}
	return n
}

// CredentialState says whether a module has what it needs to authenticate.
type CredentialState string

// Credential states.
const (
	CredentialsNotNeeded CredentialState = "not needed"
	CredentialsPresent   CredentialState = "present"
	CredentialsMissing   CredentialState = "missing"
	CredentialsLocked    CredentialState = "locked"
)

// Event is one thing that happened to something.
type Event struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
}

// Module returns the module of that ID, or nil.
func (m Modules) Module(id string) *Module {
	for i := range m.List {
		if m.List[i].ID == id {
			return &m.List[i]
		}
	}
	return nil
}

// Pipeline is the engine's way from fetch to delivery.
type Pipeline struct {
	Health Health  `json:"health"`
	Stages []Stage `json:"stages"` // in flow order: ingest, aggregate, synthesize, deliver
	// Services are those that an orchestrator elsewhere reports on, itself among them.
	Services []Service `json:"services,omitempty"`
	// Stream says why its pipeline stream cannot be followed; "" when it can.
	Stream string `json:"stream,omitempty"`
	// Reports are what it says of itself: its providers, its system; of the engine the
	// briefing, while somebody looks at it.
	Reports []Report `json:"reports,omitempty"`
	// ControlHeldBy is how many modules wait with their fetch because the first stage is full,
	// or takes nothing.
	Held int `json:"held,omitempty"`
	// Closed says who closed the intake, and when, as a drain does; "" while it is open.
	Closed string `json:"closed,omitempty"`
	// Jobs are those that failed and are kept, and the last others, newest first.
	Jobs []Job `json:"jobs,omitempty"`
	// Problem says why results do not survive a restart; "" when they do.
	Problem string `json:"problem,omitempty"`
}

// Report is one text that tells of the whole, cleaned, cut at 64 KiB: the engine's
// briefing of what it delivered, or indented JSON of an orchestrator elsewhere.
type Report struct {
	Title string    `json:"title"`
	Text  string    `json:"text"`
	At    time.Time `json:"at"`
}

// Job is one fetch's way through the pipeline.
type Job struct {
	ID     string `json:"id"`
	Module string `json:"module"`
	// Status is "waiting", "running", "done", "failed" or "superseded": what a later
	// fetch of the same module made up for.
	Status string    `json:"status"`
	At     time.Time `json:"at"`
	Items  int       `json:"items"`
	// Stage is where it is, or where it failed: "fetch" where it never got in.
	Stage string `json:"stage"`
	// Cause is why it failed; Times how often in a row, for the same stage.
	Cause string    `json:"cause,omitempty"`
	Times int       `json:"times,omitempty"`
	Steps []JobStep `json:"steps,omitempty"`
}

// JobStep is a job's time in one stage.
type JobStep struct {
	Stage   string    `json:"stage"`
	Queued  time.Time `json:"queued"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	Err     string    `json:"err,omitempty"`
}

// Job returns the job of that ID, or nil.
func (p Pipeline) Job(id string) *Job {
	for i := range p.Jobs {
		if p.Jobs[i].ID == id {
			return &p.Jobs[i]
		}
	}
	return nil
}

// Stage returns the stage of that title, or nil.
func (p Pipeline) Stage(title string) *Stage {
	for i := range p.Stages {
		if p.Stages[i].Title == title {
			return &p.Stages[i]
		}
	}
	return nil
}

// Stage is one stage of the pipeline.
type Stage struct {
	Title string `json:"title"`
	// State is "idle", "running", "error", "paused", or "unknown" where only the name is
	// known: then the figures are negative.
	State string `json:"state"`
	// Paused says who paused it, and when; "" while it works.
	Paused string `json:"paused,omitempty"`
	// Workers is how many jobs it works on at a time, at most.
	Workers int `json:"workers,omitempty"`
	// Depth is jobs waiting; Capacity the bound of that queue; InFlight jobs in work.
	Depth    int `json:"depth"`
	Capacity int `json:"capacity"`
	InFlight int `json:"in_flight"`
	// Rate is jobs a second over the last minute.
	Rate float64 `json:"rate"`
	// P50 and P95 are latencies in milliseconds over the last 256 jobs.
	P50 float64 `json:"p50_ms"`
	P95 float64 `json:"p95_ms"`
	// Done and Errors count since the engine started.
	Done   int64 `json:"done"`
	Errors int64 `json:"errors"`
	// LastError is the newest error's reason.
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	// Oldest is how long the job at the head of the queue has waited.
	Oldest time.Duration `json:"oldest,omitempty"`
	// Depths are the last depths, one a second, oldest first.
	Depths []float64 `json:"depths,omitempty"`
}

// Services is the health of the services that the workspace names.
type Services struct {
	Health Health    `json:"health"`
	List   []Service `json:"list"` // in the workspace's order
}

// Service is one probed service.
type Service struct {
	Title string `json:"title"`
	URL   string `json:"url"`
	// Word is "healthy", "degraded", "unhealthy", "down" or "unknown".
	Word string `json:"word"`
	// LatencyMS is the last probe's, in milliseconds; StatusCode its HTTP status, 0 for none.
	LatencyMS  float64   `json:"latency_ms"`
	StatusCode int       `json:"status_code,omitempty"`
	Err        string    `json:"err,omitempty"`
	Since      time.Time `json:"since,omitzero"`
	Checked    time.Time `json:"checked,omitzero"`
	// Latencies are the last probes' in milliseconds, oldest first; -1 marks a failure.
	Latencies []float64 `json:"latencies,omitempty"`
	// Checks are the component checks that the service reported of itself.
	Checks []Check `json:"checks,omitempty"`
}

// Check is one component's health as its service reports it.
type Check struct {
	Title   string `json:"title"`
	Word    string `json:"word"`
	Message string `json:"message,omitempty"`
}

// Routing is the loaded routing configuration.
type Routing struct {
	Health Health `json:"health"`
	File   string `json:"file"`
	// Loaded is when the configuration in force was read.
	Loaded time.Time `json:"loaded,omitzero"`
	// Problem says what is wrong with the file on disk, with its line; the last
	// good configuration stays in force. "" when all is well.
	Problem    string `json:"problem,omitempty"`
	Categories int    `json:"categories"`
	Tiers      int    `json:"tiers"`
	// JSON is the configuration in force, indented, cleaned; Tag names it.
	JSON string `json:"json,omitempty"`
	Tag  string `json:"tag,omitempty"`
	// Threshold is the complexity from which on is delegated, ThresholdFrom the member
	// that says so, "default" where none does. MaxLatencyMS and MaxCost are the guide's
	// constraints; negative where there are none.
	Threshold     float64 `json:"threshold"`
	ThresholdFrom string  `json:"threshold_from,omitempty"`
	MaxLatencyMS  float64 `json:"max_latency_ms"`
	MaxCost       float64 `json:"max_cost"`
	// Rows are the categories and tiers, by name.
	Rows []Route `json:"rows,omitempty"`
	// Warnings are what holds to the schema and is odd all the same.
	Warnings []string `json:"warnings,omitempty"`
	// Tests are the last answers where a request would go, newest first; Replay is what
	// was last replayed on demand, nil for nothing.
	Tests  []RouteTest  `json:"tests,omitempty"`
	Replay *RouteReplay `json:"replay,omitempty"`
	// Staged is a change that waits to be applied; nil for none.
	Staged *StagedRouting `json:"staged,omitempty"`
	// Trial is a change that is undone unless it is confirmed; nil for none.
	Trial *RoutingTrial `json:"trial,omitempty"`
	// History are the last versions that were in force, newest first; Unkept says why
	// there are none.
	History []RoutingVersion `json:"history,omitempty"`
	Unkept  string           `json:"unkept,omitempty"`
	// Delegations is how many are known for a replay; Figures says why requests and
	// latencies are not, "" where they are.
	Delegations int    `json:"delegations,omitempty"`
	Figures     string `json:"figures,omitempty"`
	// Providers are what their services count of them.
	Providers []RouteFigures `json:"providers,omitempty"`
}

// Route is one category or tier of the routing configuration.
type Route struct {
	// ID is "category/NAME" or "tier/NAME".
	ID   string `json:"id"`
	Name string `json:"name"`
	// Tier, Provider and Model are a category's, "" for none.
	Tier     string `json:"tier,omitempty"`
	Provider string `json:"provider,omitempty"`
	Model    string `json:"model,omitempty"`
	// Priority is a category's word or a tier's number.
	Priority string `json:"priority,omitempty"`
	// MaxLatencyMS is a category's, negative for none.
	MaxLatencyMS float64 `json:"max_latency_ms"`
	// Endpoint, MaxConcurrent (0 for none) and Enabled are a tier's.
	Endpoint      string `json:"endpoint,omitempty"`
	MaxConcurrent int    `json:"max_concurrent,omitempty"`
	Enabled       bool   `json:"enabled,omitempty"`
	// Unlisted says that categories name this tier and the tiers do not.
	Unlisted bool `json:"unlisted,omitempty"`
	// Goes says where requests of a category go, by their complexity.
	Goes []RouteDestination `json:"goes,omitempty"`
	// Figures are what its service counts of a tier.
	Figures RouteFigures `json:"figures"`
}

// RouteDestination is where requests go: "below 0.7", "standard, directly".
type RouteDestination struct {
	When  string `json:"when"`
	Where string `json:"where"`
}

// RouteFigures are counts of the services that own them; negative where unknown.
type RouteFigures struct {
	Title     string  `json:"title,omitempty"`
	Requests  float64 `json:"requests"`
	Errors    float64 `json:"errors"`
	LatencyMS float64 `json:"latency_ms"`
	// Fallbacks are requests that went to another tier than was meant; tiers only.
	Fallbacks float64 `json:"fallbacks"`
}

// StagedRouting is a change of the routing configuration that waits to be applied.
type StagedRouting struct {
	By   Actor     `json:"by"`
	At   time.Time `json:"at"`
	What string    `json:"what"`
	// Base is the tag of the configuration that it changes, Tag that of the changed one.
	Base string `json:"base"`
	Tag  string `json:"tag"`
	// Diff is unified, cleaned; Added and Removed count its lines.
	Diff    string `json:"diff"`
	Added   int    `json:"added"`
	Removed int    `json:"removed"`
	// JSON is the changed configuration, indented, cleaned.
	JSON string `json:"json,omitempty"`
	// ReplayDiff says what the last delegations would have done under it, a line each.
	ReplayDiff []string `json:"shift,omitempty"`
	// Warnings are those of the changed configuration; its threshold, constraints and
	// rows are as those of [Routing].
	Warnings     []string `json:"warnings,omitempty"`
	Threshold    float64  `json:"threshold"`
	MaxLatencyMS float64  `json:"max_latency_ms"`
	MaxCost      float64  `json:"max_cost"`
	Rows         []Route  `json:"rows,omitempty"`
}

// RouteTest is where a request would go, and why.
type RouteTest struct {
	By         Actor     `json:"by"`
	At         time.Time `json:"at"`
	Category   string    `json:"category"`
	Complexity float64   `json:"complexity"`
	// Tag names the configuration that was asked; Staged says that it was the staged one.
	Tag    string `json:"tag"`
	Staged bool   `json:"staged,omitempty"`
	// Tier is "" for nowhere; Strategy "direct", "delegate", "fallback" or "none".
	Tier     string   `json:"tier"`
	Strategy string   `json:"strategy"`
	Endpoint string   `json:"endpoint,omitempty"`
	Provider string   `json:"provider,omitempty"`
	Model    string   `json:"model,omitempty"`
	Steps    []string `json:"steps"`
}

// RouteReplay is what a change would have made of the last delegations, a line each.
type RouteReplay struct {
	By    Actor     `json:"by"`
	At    time.Time `json:"at"`
	What  string    `json:"what"`
	Lines []string  `json:"lines"`
}

// RoutingTrial is a change that is in force and not confirmed.
type RoutingTrial struct {
	By    Actor     `json:"by"`
	Why   string    `json:"why,omitempty"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
}

// RoutingVersion is one configuration that was in force.
type RoutingVersion struct {
	Version int64     `json:"version"`
	At      time.Time `json:"at"`
	By      Actor     `json:"by"`
	// How it came: "found", "file", "set", "applied", "reverted" or "rolled back".
	How string `json:"how"`
	Why string `json:"why,omitempty"`
	Tag string `json:"tag"`
	// Added and Removed count the lines that differ from the version before it; Diff is
	// the difference, of the newest versions, cleaned.
	Added   int    `json:"added"`
	Removed int    `json:"removed"`
	Diff    string `json:"diff,omitempty"`
}

// Prepared returns r with what is staged in place of what is in force: what the next edit
// goes on from.
func (r Routing) Prepared() Routing {
	if g := r.Staged; g != nil && g.Base == r.Tag {
		r.JSON, r.Threshold, r.MaxLatencyMS, r.MaxCost, r.Rows = g.JSON, g.Threshold, g.MaxLatencyMS, g.MaxCost, g.Rows
	}
	return r
}

// Row returns the category or tier of that ID, or nil.
func (r Routing) Row(id string) *Route {
	for i := range r.Rows {
		if r.Rows[i].ID == id {
			return &r.Rows[i]
		}
	}
	return nil
}
