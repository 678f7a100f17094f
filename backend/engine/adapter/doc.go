// Package adapter runs adapters: programs of other people, one process each, which it
// speaks JSON lines with, holds to limits, and ends with all that they start.
//
// # What it owns
//
//   - Every adapter process with its children ([Launcher], [Runner]), and their private
//     temporary folders.
//   - The interpreter that they run with ([Interpreter]), and the Python that is part of the
//     program: forkserver.py, shim.py, holdings.py.
//   - The protocol, and what an adapter writes to its log ([Log]).
//   - Which adapters stay in their processes between fetches ([Pool]).
//
// It knows no module: who starts an adapter says where it lies ([Spec]) and what it is told
// ([Configure]), and decides what a [Failure] means.
//
// # What it refuses
//
// An entry point that leads out of its folder, a result that is too large, an adapter that
// does not answer, a value without a JSON form. All that goes over a limit.
//
// # Who may write
//
// One goroutine at a time calls a runner. Adapters write to their own folders and nowhere
// else that this package knows of.
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
// # Adding a limit
//
// What the kernel holds is set in become of forkserver.py, and in confine for programs that
// no fork server starts. What it does not is counted in count (confine_linux.go), which
// condemns the runner with a reason of one line.
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
// An interpreter of its own costs each adapter 10 MiB and 100 ms. forkserver.py is one
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
// # Why some go ahead of others
//
// Measured on two processors by the benchmarks of share_bench_linux_test.go, beside two
// adapters that take all they get: a fetch that takes nothing of the processor has a 95th
// percentile of 2.4 to 3.5 ms and a 99th of 8 ms where it goes ahead, and of 4.3 to 5.8 ms
// and 11 to 22 ms where priority alone speaks for it; beside four of them 1.4 to 2.3 ms
// and 4 to 8 ms, and 6 to 10 ms and 17 to 30 ms. A fetch that takes 20 ms of the
// processor has a median of 24 to 26 ms where those have the lowest priority, and of 32 to
// 55 ms where they have not.
package adapter
