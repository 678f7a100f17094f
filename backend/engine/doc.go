// Package engine is the orchestrator inside opsdeck: it finds modules on disk,
// keeps their registry, runs their adapters in processes of their own, and lets
// what they fetch flow through a pipeline to /context.
//
// # What it owns
//
//   - data/module_registry.db, in the schema that NEXUS' registry writes, readable
//     by it at any time (registry.go).
//   - data/module_versions: what was approved of every module, by content (versions.go).
//   - data/pipeline.db: the last results, and failed jobs until they are retried or
//     discarded (results.go, steer.go).
//   - The routing configuration, kept by backend/routing, with its section.
//   - The sections modules and pipeline of the snapshot.
//   - Every adapter process, with its children.
//
// [Engine] is a state.Source and a state.Executor. It writes what it knows as
// whole new sections, at most five times a second and only when something
// changed, and once a second while figures move.
//
// # What it refuses
//
// A manifest that does not hold to its schema, with file, line
// and what was expected; what ran before keeps running on its last good one. A
// transition that the table in lifecycle.go does not have, with the reason. A
// result that is too large, an adapter that does not answer, a value without a
// JSON form. Secret values in anything that it publishes: text from adapters
// passes the mask and state.Clean.
//
// # Who may write
//
// Actions, through Execute, one at a time for each module. Nobody else changes
// the registry. Of the modules' own folders, a rollback alone writes the program files.
//
// # The adapter protocol
//
// An adapter is a program that reads JSON objects, one a line, on standard input
// and writes JSON objects, one a line, on standard output. Standard error is its
// log. It runs in its module's folder; of the environment it gets PATH, HOME, the
// locale, TZ and SSL_CERT_*, and TMPDIR, a folder of its own that goes with it. It
// ends when its input ends. "op" is always the first member of what the engine sends.
//
//	adapter: {"op":"hello","protocol":1}                     within the timeout
//	engine:  {"op":"configure","module":"weather/x","category":"weather","platform":"x",
//	          "dir":"/ws/modules/weather/x","workspace":"/ws","entry_point":"adapter.sh","class_name":"",
//	          "shared":"/ws/shared","credentials":{...},"settings":{...},"timeout_seconds":10}
//	          and rate_limit_per_minute, max_retries, retry_delay_seconds where its manifest has them
//	adapter: {"op":"ready","load_seconds":0.01,"capabilities":{"read":true}} or {"op":"error","error":"why"}
//	engine:  {"op":"fetch","id":1}             at every interval
//	adapter: {"op":"result","id":1,"data":[...],"metadata":{...},"keeps":"its cache"}
//	                                           or {"op":"error","id":1,"error":"why","traceback":"..."}
//	engine:  {"op":"bye"}                      and the end of input
//
// keeps says what would be lost with the process, load_seconds the processor time
// that loading took: both may be left out. data is an array of items, or one item.
// An id that is left out means the fetch under way. A line that is not a JSON object
// goes to the adapter's log. Members that are not known are ignored, on both sides.
//
// A Python adapter does not speak this itself: entry points that end in .py are
// run by the embedded shim.py, which does, and which provides the packages
// shared.adapters.base and shared.adapters.registry. Any other entry point is run
// as a program, so it must be executable. The smallest one, in sh:
//
//	#!/bin/sh
//	echo '{"op":"hello","protocol":1}'
//	while read -r line; do
//	  case $line in
//	    '{"op":"configure"'*) echo '{"op":"ready"}' ;;
//	    '{"op":"fetch"'*) echo '{"op":"result","data":[{"load":"'"$(cut -d' ' -f1 /proc/loadavg)"'"}]}' ;;
//	    '{"op":"bye"'*) exit 0 ;;
//	  esac
//	done
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
// # The limits of an adapter
//
// An adapter, with all that it starts, may not
//
//   - hold more private memory than memory_limit_mb of its manifest, 1024 MiB
//     otherwise (RLIMIT_DATA for each process, twice that and 2 GiB of mapped
//     space, and the memory of all of them together, counted once a second);
//   - run longer than its timeout for one import or one fetch;
//   - have more than 64 processes or 1024 threads (counted at once when the number
//     of tasks on the host jumps: RLIMIT_NPROC counts a user's, and root's not at
//     all; it is 4096 above the host's, where the engine is not root), 1024 open files in one process, or a file of over 1 GiB;
//   - gain privileges (no_new_privs) or leave a core file;
//   - write a line of over 8 MiB, or more than 1000 messages that nobody asked for.
//     What it prints is read slowly after 1 MiB in a second.
//
// It runs on all processors but the first that the engine has, which is left to the
// engine, and its priority is 5 below the engine's. One that takes much of the processor within
// a fetch has the lowest priority until the fetch ends, with all that it started
// (share_linux.go), so that others' fetches do not wait for it. One whose last fetch
// took less than 5 ms of the processor runs ahead of all others (SCHED_RR) for the first
// 25 ms of the next, where the engine may have it so (CAP_SYS_NICE) and the host has two
// processors: what is cheap does not wait for what is not. One that uses more than
// half a core for 30 s while nothing is asked of it is stopped, with that as a warning,
// and started again for its next fetch.
//
// Going over a limit fails the module with that as its reason. Whatever an adapter
// started ends with it, also in a session of its own or forked twice, and also when
// the engine is killed. Outside Linux, only what Python can set on itself holds.
//
// # Validation
//
// validate.go checks a module as it lies on disk: its manifest and files, its entry
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
// Its program (content.go) is manifest.json, what an interpreter loads or runs, what may
// be executed, templates, and configuration as people write it. A link that leads out
// of the folder is refused; what editors and interpreters leave is passed over.
//
// # Why data files need no approval
//
// Real adapters keep caches, cursors and databases beside their code. If these counted,
// such a module would stand still after its own first write, and a rollback would undo
// what it learned. So files that hold no program are neither approved, kept nor put back.
//
// # Why a version is an exchange of folders
//
// Files written one by one leave a mixture when the engine is killed. A version is put
// together in a folder beside the module's, with its data files linked in, and takes its
// name in one step where the file system can exchange two names (Linux), in two elsewhere,
// which the next start mends. The index says before what is to come (pending) and after
// that it came, so that the version that lies there is approved, whichever it is.
//
// # Adding a lifecycle transition
//
// Add a row to transitions in lifecycle.go; TestLifecycle walks the whole table.
//
// # Adding a pipeline stage
//
// Give it a title in state.Stage's order and a function in pipeline.go; newPipeline
// chains them.
//
// # Why credentials travel on the pipe
//
// Arguments and environments of a process can be read by others of the same user
// and are kept in crash dumps and process listings. A pipe is read once.
//
// # Why a process for each module
//
// One adapter's hang, leak, crash or sys.exit must not touch another's fetches,
// and a reload must really load the code again. A process is the only unit of
// Python that can be stopped from outside.
//
// # Why adapters are forked
//
// An interpreter of its own costs each adapter 10 MiB and 100 ms. keeper.py is one
// interpreter that has imported what adapters commonly use; they fork from it in
// milliseconds and share its memory until they write to it. It never runs a
// module's code, so that none can harm it; where it ends all the same, another is
// started and what was under way is done again. It is the subreaper of all adapters
// and each adapter of its own children, so that whatever leaves its family is found
// below one of them; when the engine's end of its socket closes, it ends all it
// keeps. Programs are started by it too. Where there is no Python, and outside
// Linux, adapters are children of the engine: those of a killed engine die by the
// parent-death signal, and what they left behind is known by its TMPDIR.
//
// # Why a module stays resident
//
// Adapters leave after a fetch where over 32 are resident (pool.go; "resident" of the
// workspace's modules says how many), and are forked again for the next. Many keep something in class attributes or globals between
// fetches, as the operations guide advises for caching: holdings.py looks for what
// changed since loading, for threads, tasks, child processes and open files, and such
// an adapter stays. So does one whose loading takes over a 200th of its interval, and
// a program, unless its manifest says "resident": false.
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
