// Package engine is the orchestrator inside opsdeck: it finds modules on disk,
// keeps their registry, runs their adapters in processes of their own, and lets
// what they fetch flow through a pipeline to /context.
//
// # What it owns
//
//   - data/module_registry.db, in the schema that NEXUS' registry writes, readable
//     by it at any time (registry.go).
//   - Which version of a module may run: those are kept in data/module_versions by
//     backend/engine/version.
//   - What a fetch gave, until it is handed to backend/engine/pipeline, which takes it to
//     /context.
//   - The routing configuration, kept by backend/routing, with its section.
//   - The sections modules and pipeline of the snapshot.
//   - Which adapters run, and when: how one is run is backend/engine/adapter's.
//
// [Engine] is a state.Source and a state.Executor. It writes what it knows as
// whole new sections, at most five times a second and only when something
// changed, and once a second while figures move.
//
// It is composed of nouns that share the modules and the lock over them (fleet.go), each
// knowing only those before it: approval, vault, fetcher, checker, discovery, rotation.
//
// # What it refuses
//
// A manifest that does not hold to its schema, with file, line and what was expected;
// what ran before keeps running on its last good one. A transition that the table in
// lifecycle.go does not have, with the reason. Secret values in anything that it
// publishes: text from adapters passes the mask and state.Clean.
//
// # Who may write
//
// Actions, through Execute, one at a time for each module. Nobody else changes
// the registry. Of the modules' own folders, a rollback alone writes the program files.
//
// # What a manifest may say
//
// Beside the members of both shapes, all optional:
//
//	interval_seconds           between fetches; that of the workspace
//	timeout_seconds            of one import and of one fetch with its retries; likewise
//	cache_ttl_seconds          how long a result serves in place of a fetch; 0. A fetch
//	                           that an operator asks for goes past it
//	stale_while_error_seconds  how long the last good data stays in /context, marked
//	                           as stale with its age, while fetches fail; 0, for ever
//	max_retries                of a failed fetch, within its timeout; 0. What fails on
//	                           import, by a limit or by time is not tried again
//	retry_delay_seconds        between them, give or take half; 1
//	rate_limit_per_minute      of fetches, also operators'; 0, none. A sixth may come at once
//	memory_limit_mb            1024
//	test_file                  what module.test runs; test_adapter.py
//	python_dependencies        distributions with versions ("requests>=2.31") that must
//	                           be installed before it is enabled
//	require_tests              whether its tests must pass before it is enabled
//	resident                   whether its process stays between fetches; as it is used
//	circuit_breaker            {"failures": 5, "open_seconds": 30}: after so many in a
//	                           row it is left alone so long, and twice as long each time
//	                           that it fails then, up to 5 minutes; reload, enable and
//	                           fetch try it at once (breaker.go)
//	http                       a request that the engine makes itself: no Python, no
//	                           entry_point
//
// # Modules that are a request
//
//	{"name": "weather", "version": "1", "category": "weather", "platform": "openweather",
//	 "http": {
//	   "url": "https://api.openweathermap.org/data/2.5/weather", "query": {"q": "Berlin"},
//	   "auth": {"type": "query", "name": "appid", "field": "api_key"},
//	   "transform": "{temperature: .main.temp, timestamp: .dt}"}}
//
// auth.type is none, bearer (field), header and query (name, field), or basic
// (username_field, password_field); field names a stored credential, "api_key" where
// it is left out. ${name} in url (not in its host), headers, query and body is the
// credential of that name. transform is a jq program: one result is the data, several
// are a list. pagination is {"next": a jq program for the next page's address,
// "max_pages": 10}. A status that is not in expect_status, 2xx where that is left out,
// is a failure, with the first line of the answer. Answers of over 8 MiB are refused,
// TLS is verified, and neither redirects nor pages are followed to another host. A
// transform ends with the fetch's timeout, or when it takes 256 MiB.
//
// # Validation
//
// check.go checks a module as it lies on disk: its manifest and files, its entry
// point, Python syntax and imports (validate.py, which executes nothing of the module),
// declared distributions, the names of its stored credentials, and its own tests where
// the manifest or the workspace asks for them (testshim.py). What it finds has a place
// and a remedy. Errors refuse enabling and approving; warnings do not, and neither does
// a check that could not be made because there is no Python. It runs when it is asked
// for, when a module is enabled or approved, and after its files changed: never for all
// modules at the start.
//
// # Approval
//
// A module's program may run as it was when somebody said yes to it: by enabling it, or
// by approving a change whose diff was shown, named by the digest of the files. What was
// enabled before the engine first saw it is approved as it was found. When the program
// changes on disk, what is in memory runs on, and nothing of what lies there is executed
// until it is approved: no reload, no restart, no fork of an adapter that left while it
// was idle (mayRun). Files that are put back as they were need no yes. Validating
// compiles changed files and executes none; a run of its tests is asked for by itself,
// and has no credentials. With Config.NoApproval changed files are taken as they come,
// and their versions kept when they are loaded.
//
// What belongs to a program, and how its versions are kept, is backend/engine/version's.
//
// # Adding a lifecycle transition
//
// Add a row to transitions in lifecycle.go; TestLifecycle walks the whole table.
//
// # Why the circuit breaker is its own
//
// It opens for longer each time, its figures may change with a manifest, and an operator's
// fetch tries it at once. github.com/sony/gobreaker has one fixed time to stay open and
// refuses every call until then; github.com/failsafe-go/failsafe-go can be tried by hand,
// but asks how long to stay open only of calls that run through its executor. Either would
// be made anew at each opening, and decide nothing. The rate limit is golang.org/x/time's.
//
// # Why the disk is polled
//
// A look at 200 modules takes 3 ms, once a second. It sees what file
// watchers miss (network mounts, bind mounts, a folder that is not there yet) and
// needs no descriptor for each folder.
//
// # Why a failing module stays "installed" in the registry
//
// The registry holds what the operator decided; whether it works is measured. A
// module whose fetch fails is shown as failed and recorded as unhealthy, and is
// enabled again by itself when a fetch succeeds, without anybody's decision.
package engine
