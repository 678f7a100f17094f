package admin

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/opsdeck/opsdeck/backend/state"
)

// route is one call of the API. The mux, the check of roles and scopes, the OpenAPI
// document and the test that walks every call are made from it.
type route struct {
	method, pattern string
	// role is the least that may call it.
	role    Role
	summary string
	// kind is the action that it submits; "" where it submits none, or any.
	kind state.Kind
	// query are its query parameters, name to meaning; headers its optional headers.
	query, headers map[string]string
	// body is the schema of the request's body, nil for none; example is one that
	// holds. optional bodies may be left out.
	body     schema
	example  string
	optional bool
	// media is the answer's type, "" for JSON; answer the schema of it.
	media  string
	answer schema
	// also are further statuses of success, beside 200, without a body.
	also    []int
	handler http.HandlerFunc
}

const (
	eventStream = "text/event-stream"
	exposition  = "text/plain"
)

// ifMatch and ifNoneMatch are the headers of what has a tag.
var (
	ifMatch     = map[string]string{"If-Match": "the ETag that the configuration must still have, else 412"}
	ifNoneMatch = map[string]string{"If-None-Match": "the ETag that is known: 304 where it is still so"}
)

// routes returns the table of calls.
func (s *Server) routes() []route {
	return []route{
		{method: "GET", pattern: "/health", role: Viewer, summary: "Whether the engine answers", answer: ref("Health"), handler: s.health("healthy")},
		{method: "GET", pattern: "/admin/health", role: Viewer, summary: "Whether the engine answers, in the recorded dialect", answer: ref("Health"), handler: s.health("ok")},
		{method: "GET", pattern: "/admin/whoami", role: Viewer, summary: "As whom the caller is known", answer: ref("Principal"), handler: s.whoami},
		{method: "GET", pattern: "/openapi.json", role: Viewer, summary: "This document", answer: object("openapi", str, "info", anything, "paths", anything), handler: s.openAPI},
		{method: "GET", pattern: "/admin/openapi.json", role: Viewer, summary: "This document", answer: object("openapi", str, "info", anything, "paths", anything), handler: s.openAPI},

		{method: "GET", pattern: "/admin/modules", role: Viewer, summary: "All modules", answer: ref("Modules"), handler: s.modules},
		{method: "GET", pattern: "/modules", role: Viewer, summary: "All modules, as the dashboard serves them", answer: ref("Modules"), handler: s.modules},
		{method: "GET", pattern: "/admin/modules/{category}/{platform}", role: Viewer, summary: "One module with its row in the registry", answer: ref("Module"), handler: s.module},
		{method: "POST", pattern: "/admin/modules/{category}/{platform}/enable", role: Operator, kind: state.ModuleEnable, summary: "Enable a module", answer: ref("ModuleDone"), handler: s.moduleAction(state.ModuleEnable, "enabled")},
		{method: "POST", pattern: "/admin/modules/{category}/{platform}/disable", role: Operator, kind: state.ModuleDisable, summary: "Disable a module", answer: ref("ModuleDone"), handler: s.moduleAction(state.ModuleDisable, "disabled")},
		{method: "POST", pattern: "/admin/modules/{category}/{platform}/reload", role: Operator, kind: state.ModuleReload, summary: "Read a module's manifest and adapter again", answer: ref("ModuleDone"), handler: s.moduleAction(state.ModuleReload, "reloaded")},
		{method: "POST", pattern: "/admin/modules/{category}/{platform}/restart", role: Operator, kind: state.ModuleRestart, summary: "Start a module's adapter again", answer: ref("ModuleDone"), handler: s.moduleAction(state.ModuleRestart, "restarted")},
		{method: "POST", pattern: "/admin/modules/{category}/{platform}/fetch", role: Operator, kind: state.ModuleFetch, summary: "Fetch now", answer: ref("ModuleDone"), handler: s.moduleAction(state.ModuleFetch, "fetched")},
		{method: "POST", pattern: "/admin/modules/{category}/{platform}/validate", role: Operator, kind: state.ModuleValidate, summary: "Check a module as it lies on disk; nothing of it is executed",
			answer: object("success", boolean, "module_id", str, "message", str, "valid", boolean, "findings", list(ref("Finding")), "checked_at", str), handler: s.validateModule},
		{method: "POST", pattern: "/admin/modules/{category}/{platform}/test", role: Operator, kind: state.ModuleTest, summary: "Run a module's own tests, under limits and without credentials",
			answer: object("success", boolean, "module_id", str, "message", str, "tests", object("passed", integer, "failed", integer, "skipped", integer)), handler: s.testModule},
		{method: "GET", pattern: "/admin/modules/{category}/{platform}/changes", role: Viewer, summary: "How a module's files differ from what was approved",
			answer: object("module_id", str, "changed", boolean, "digest", str, "change", nullable(object("digest", str, "approved", str, "diff", str))), handler: s.changes},
		{method: "POST", pattern: "/admin/modules/{category}/{platform}/approve", role: Operator, kind: state.ModuleApprove, summary: "Approve a module's files, by the digest that its changes gave, and load them",
			body: object("digest", str), example: `{"digest": "0123456789ab"}`, answer: ref("ModuleDone"), handler: s.approveModule},
		{method: "GET", pattern: "/admin/modules/{category}/{platform}/versions", role: Viewer, summary: "The versions of a module's files that are kept, the newest first",
			answer: object("module_id", str, "versions", list(object("digest", str, "at", str, "how", str, "files", integer))), handler: s.versions},
		{method: "POST", pattern: "/admin/modules/{category}/{platform}/rollback", role: Operator, kind: state.ModuleRollback, summary: "Put a kept version's files back: the one before, where none is named",
			body: object("version?", str), example: `{"version": "0123456789ab"}`, optional: true, answer: ref("ModuleDone"), handler: s.rollbackModule},
		{method: "DELETE", pattern: "/admin/modules/{category}/{platform}", role: Operator, kind: state.ModuleUninstall, summary: "Uninstall a module; its files stay", answer: ref("ModuleDone"), handler: s.moduleAction(state.ModuleUninstall, "uninstalled")},

		{method: "POST", pattern: "/admin/modules/{category}/{platform}/credentials", role: Operator, kind: state.CredentialSet, summary: "Store a module's credentials",
			body: object("credentials", values), example: `{"credentials": {"api_key": "new-key"}}`, answer: ref("ModuleDone"), handler: s.storeModuleCredentials},
		{method: "DELETE", pattern: "/admin/modules/{category}/{platform}/credentials", role: Operator, kind: state.CredentialDelete, summary: "Delete a module's credentials", answer: ref("ModuleDone"), handler: s.moduleAction(state.CredentialDelete, "credentials deleted")},
		{method: "POST", pattern: "/admin/credentials", role: Operator, kind: state.CredentialSet, summary: "Store the credentials of every module of a platform",
			body: object("platform", str, "credentials", values), example: `{"platform": "load", "credentials": {"api_key": "new-key"}}`,
			answer: object("success", boolean, "platform", str, "modules", list(str), "message", str), handler: s.storeCredentials},
		{method: "GET", pattern: "/admin/credentials/{platform}", role: Viewer, summary: "Whether credentials are stored, and the names of their fields",
			answer: object("platform", str, "has_credentials", boolean, "fields", list(str), "updated_at?", str, "locked?", str), handler: s.credentials},
		{method: "GET", pattern: "/admin/credentials/{platform}/check", role: Operator, summary: "Whether credentials work: makes a real fetch",
			answer: object("platform", str, "valid", boolean, "checked_at", str, "error?", str), handler: s.checkCredentials},

		{method: "GET", pattern: "/adapters", role: Viewer, summary: "All adapters and what they can do", answer: object("adapters", list(ref("Adapter")), "total", integer, "running", integer), handler: s.adapters},
		{method: "POST", pattern: "/adapters/clear-cache", role: Operator, kind: state.ModuleClearCache, summary: "Forget what adapters have cached: of one module, a category, or all", optional: true,
			body: object("category?", str, "platform?", str), example: `{"category": "host"}`, answer: object("success", boolean, "cleared", integer, "modules", list(str), "message", str), handler: s.clearCache},

		{method: "GET", pattern: "/admin/routing-config", role: Viewer, headers: ifNoneMatch, summary: "The routing configuration, as in its file", answer: ref("Routing"), also: []int{http.StatusNotModified}, handler: s.routing},
		{method: "PUT", pattern: "/admin/routing-config", role: Operator, kind: state.RoutingSet, headers: ifMatch, summary: "Put another routing configuration in force",
			query: map[string]string{"why": "what the history says of it", "confirm_within": "a time such as 2m: it is undone unless the action routing.confirm comes within it"},
			body:  ref("Routing"), example: `{"lidm_delegation_threshold": 0.8, "categories": {"finance": {"tier": "heavy"}}}`,
			answer: object("status", str, "categories", integer, "tiers", integer), handler: s.putRouting},
		{method: "PATCH", pattern: "/admin/routing-config/category/{name}", role: Operator, kind: state.RoutingSet, headers: ifMatch, summary: "Change members of one category",
			body: object(), example: `{"priority": "high"}`, answer: object("status", str, "category", str, "tier", anything), handler: s.patchCategory},
		{method: "DELETE", pattern: "/admin/routing-config/category/{name}", role: Operator, kind: state.RoutingSet, headers: ifMatch, summary: "Delete one category", answer: object("status", str, "category", str), handler: s.deleteCategory},
		{method: "POST", pattern: "/admin/routing-config/reload", role: Operator, kind: state.RoutingReload, summary: "Read the routing file again", answer: object("status", str, "categories", integer), handler: s.reloadRouting(false)},
		{method: "POST", pattern: "/admin/reload", role: Operator, kind: state.RoutingReload, summary: "Read the routing file again, in the recorded dialect", answer: object("status", str, "categories", integer, "tiers", integer, "message", str), handler: s.reloadRouting(true)},
		{method: "GET", pattern: "/admin/routing-config/history", role: Viewer, summary: "The versions of the routing configuration that were in force, newest first", answer: object("versions", list(ref("RoutingVersion"))), handler: s.routingHistory},
		{method: "GET", pattern: "/admin/routing-config/history/{version}", role: Viewer, summary: "One version as it was in force", answer: ref("Routing"), handler: s.routingVersion},
		{method: "POST", pattern: "/admin/routing-config/rollback", role: Operator, kind: state.RoutingRollback, summary: "Put an earlier version in force again",
			body: object("version", integer, "why?", str, "confirm_within?", str), example: `{"version": 1, "why": "too slow"}`, answer: object("status", str, "message", str), handler: s.rollbackRouting},
		{method: "POST", pattern: "/admin/routing-config/test", role: Operator, summary: "Where a request of a category and complexity would go, and why; under another configuration where one is given",
			body: object("category", str, "complexity", number, "config?", object()), example: `{"category": "finance", "complexity": 0.9}`, answer: ref("Decision"), handler: s.decide},
		{method: "POST", pattern: "/admin/routing-config/replay", role: Operator, summary: "What another configuration, or threshold, would have made of the last delegations",
			body: object("config?", object(), "threshold?", number, "since?", str), example: `{"threshold": 0.8, "since": "24h"}`,
			answer: object("of", integer, "moved", integer, "tiers", list(object("tier", str, "before", integer, "after", integer)), "moves", list(object("category", str, "from", str, "to", str, "n", integer)), "lines", list(str)), handler: s.replay},
		{method: "GET", pattern: "/admin/routing-config/figures", role: Viewer, summary: "What the services that own them count of tiers and providers; negative where not known", answer: object("tiers", object(), "providers", object()),
			handler: func(w http.ResponseWriter, _ *http.Request) {
				s.reply(w, http.StatusOK, map[string]any{"tiers": s.cfg.Engine.Routing().TierFigures(), "providers": s.cfg.Engine.Routing().ProviderFigures()})
			}},
		{method: "POST", pattern: "/admin/delegations", role: Operator, summary: "Tell of delegations that happened, one or up to 1000: what changes of routing are replayed against",
			body: map[string]any{"type": []any{"object", "array"}}, example: `{"category": "finance", "complexity": 0.9, "tier": "heavy", "latency_ms": 2100, "cost": 0.02}`, answer: object("taken", integer), handler: s.delegations},
		{method: "GET", pattern: "/admin/system-info", role: Viewer, summary: "Routing, modules and adapters in short", answer: object("routing", object("categories", anything, "tiers", anything, "performance", anything), "modules", object("total", integer, "loaded", integer), "adapters", object("count", integer)),
			handler: func(w http.ResponseWriter, _ *http.Request) { s.reply(w, http.StatusOK, s.cfg.Engine.SystemInfo()) }},
		{method: "GET", pattern: "/admin/providers", role: Viewer, summary: "The providers and models that the routing configuration names", answer: object("providers", object(), "lidm_tier_models", object(), "tiers", object()),
			handler: func(w http.ResponseWriter, _ *http.Request) {
				s.reply(w, http.StatusOK, s.cfg.Engine.Routing().Providers())
			}},

		{method: "GET", pattern: "/context", role: Viewer, summary: "What every enabled module last gave", answer: object("timestamp", str, "categories", object()),
			handler: func(w http.ResponseWriter, _ *http.Request) {
				s.reply(w, http.StatusOK, s.cfg.Engine.Delivered().Context)
			}},
		{method: "GET", pattern: "/context/summary", role: Viewer, summary: "What is in /context, in figures", answer: object("timestamp", str, "categories", list(object("category", str, "items", integer, "modules", integer, "new", integer, "gone", integer, "bytes", integer)), "modules", integer, "items", integer, "failing", list(str)),
			handler: func(w http.ResponseWriter, _ *http.Request) {
				s.reply(w, http.StatusOK, s.cfg.Engine.Delivered().Summary())
			}},
		{method: "GET", pattern: "/context/briefing", role: Viewer, summary: "What is in /context, what changed and what does not work, in sentences", answer: object("timestamp", str, "text", str, "headlines", list(str), "attention", list(str), "items", list(ref("Relevant"))),
			handler: func(w http.ResponseWriter, _ *http.Request) {
				s.reply(w, http.StatusOK, s.cfg.Engine.Delivered().Briefing())
			}},
		{method: "GET", pattern: "/context/relevance", role: Viewer, summary: "The items in /context, the most relevant first, with their reasons",
			query:  map[string]string{"query": "words that an item should hold", "category": "this category alone", "limit": "how many at most, up to 200; 20"},
			answer: object("timestamp", str, "query?", str, "of", integer, "items", list(ref("Relevant"))), handler: s.relevance},
		{method: "GET", pattern: "/context/{category}", role: Viewer, summary: "What the modules of one category last gave", answer: object("category", str, "summary", object(), "updated_at", str, "modules", list(object("module_id", str, "platform", str, "data", list(anything)))), handler: s.contextCategory},
		{method: "GET", pattern: "/stream/pipeline-state", role: Viewer, headers: map[string]string{"Last-Event-ID": "the id that was seen last: the same state is not sent again"},
			summary: "The pipeline's state every 2 seconds: an event named pipeline-state in the documented shape, one without a name in the recorded shape", media: eventStream, answer: str, handler: s.pipelineStream},

		{method: "GET", pattern: "/pipeline/jobs", role: Viewer, summary: "The last jobs of the pipeline and those that failed, newest first", query: map[string]string{"module": "of this module alone", "status": "in this status alone"},
			answer: object("jobs", list(ref("Job"))), handler: s.jobs},
		{method: "GET", pattern: "/pipeline/jobs/{job}", role: Viewer, summary: "One job's way through the stages", answer: ref("Job"), handler: s.job},

		{method: "GET", pattern: "/metrics", role: Viewer, summary: "Metrics; in JSON with Accept: application/json", media: exposition, answer: str, handler: s.metrics},
		{method: "GET", pattern: "/metrics/prometheus", role: Viewer, summary: "Metrics in the exposition format", media: exposition, answer: str,
			handler: promhttp.HandlerFor(s.cfg.Metrics, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}).ServeHTTP},

		{method: "GET", pattern: "/admin/actions", role: Viewer, query: map[string]string{"target": "say for this target what cannot be done, and why"}, summary: "The table of actions, and those of late", answer: object("actions", list(ref("ActionRow")), "recent", list(ref("Progress"))), handler: s.actions},
		{method: "POST", pattern: "/admin/actions", role: Operator, summary: "Submit an action of the table and wait for its end",
			body:    object("kind", str, "target?", str, "args?", map[string]any{"type": []any{"object", "null"}, "additionalProperties": str}, "secrets?", map[string]any{"type": []any{"object", "null"}}, "confirmed?", str),
			example: `{"kind": "module.fetch", "target": "host/load"}`, answer: ref("Progress"), handler: s.act},
		{method: "GET", pattern: "/admin/actions/{id}", role: Viewer, summary: "How an action goes", answer: ref("Progress"), handler: s.progress},
		{method: "GET", pattern: "/admin/state", role: Viewer, summary: "The health of every section of the console", answer: object("version", integer, "at", str, "sections", object()), handler: s.sections},
		{method: "GET", pattern: "/admin/state/{section}", role: Viewer, summary: "One section, as the console has it", answer: schema{"anyOf": sectionAnswers()}, handler: s.section},

		{method: "GET", pattern: "/admin/tokens", role: Admin, summary: "All tokens, without their values", answer: object("tokens", list(ref("Token"))), handler: s.tokens},
		{method: "POST", pattern: "/admin/tokens", role: Admin, kind: state.TokenCreate, summary: "Make a token; it is answered this once",
			body:    object("name", str, "role?", oneOf("viewer", "operator", "admin"), "scopes?", map[string]any{"type": []any{"array", "null"}, "items": str}, "expires?", str),
			example: `{"name": "grafana", "role": "viewer", "expires": "30d"}`, answer: object("name", str, "role", str, "token", str, "message", str), handler: s.createToken},
		{method: "DELETE", pattern: "/admin/tokens/{name}", role: Admin, kind: state.TokenRevoke, summary: "Revoke a token", answer: object("success", boolean, "message", str), handler: s.revokeToken},
	}
}
