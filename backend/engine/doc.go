// Package engine is the orchestrator inside opsdeck: it finds modules on disk,
// keeps their registry, runs their adapters in processes of their own, and lets
// what they fetch flow through a pipeline to /context.
//
// # What it owns
//
//   - data/module_registry.db, in the schema that NEXUS' registry writes, readable
//     by it at any time (registry.go).
//   - config/routing_config.json: it is read, validated, watched, and changed only
//     through an action, atomically (routing.go).
//   - The sections modules, pipeline and routing of the snapshot.
//   - Every adapter process, with its children.
//
// [Engine] is a state.Source and a state.Executor. It writes what it knows as
// whole new sections, at most five times a second and only when something
// changed, and once a second while figures move.
//
// # What it refuses
//
// A manifest or routing file that does not hold to its schema, with file, line
// and what was expected; what ran before keeps running on its last good one. A
// transition that the table in lifecycle.go does not have, with the reason. A
// result that is too large, an adapter that does not answer, a value without a
// JSON form. Secret values in anything that it publishes: text from adapters
// passes the mask and state.Clean.
//
// # Who may write
//
// Actions, through Execute, one at a time for each module. Nobody else changes
// the registry or the routing file. The modules' own folders are never written.
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
//	adapter: {"op":"ready"}                    or {"op":"error","error":"why"}
//	engine:  {"op":"fetch","id":1}             at every interval
//	adapter: {"op":"result","id":1,"data":[...],"metadata":{...}}
//	                                           or {"op":"error","id":1,"error":"why","traceback":"..."}
//	engine:  {"op":"bye"}                      and the end of input
//
// data is an array of items, or one item. An id that is left out means the fetch
// under way. A line that is not a JSON object goes to the adapter's log. Members
// that are not known are ignored, on both sides.
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
//     all), 1024 open files in one process, or a file of over 1 GiB;
//   - gain privileges (no_new_privs) or leave a core file;
//   - write a line of over 8 MiB, or more than 1000 messages that nobody asked for.
//     What it prints is read slowly after 1 MiB in a second.
//
// Going over one fails the module with that as its reason. Whatever an adapter
// started ends with it, also in a session of its own or forked twice, and also when
// the engine is killed. Outside Linux, only what Python can set on itself holds.
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
// # Why the disk is polled
//
// A look at 200 modules takes under 1 ms, once a second. It sees what file
// watchers miss (network mounts, bind mounts, a folder that is not there yet) and
// needs no descriptor for each folder.
//
// # Why a failing module stays "installed" in the registry
//
// The registry holds what the operator decided; whether it works is measured. A
// module whose fetch fails is shown as failed and recorded as unhealthy, and is
// enabled again by itself when a fetch succeeds, without anybody's decision.
package engine
