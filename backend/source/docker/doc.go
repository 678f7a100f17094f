// Package docker is the source of the containers section: what a container
// engine that speaks the Docker Engine API (1.40 and later; Podman's compatible
// socket too) runs, and what each container uses.
//
// It owns the connection to each engine, the list, the figures and their
// histories, and the actions on containers. It refuses to poll what the engine
// sends by itself: the list is read once and then follows the event stream; an
// inspect is made only of a container that an event named. No other package writes
// [state.Containers].
//
// # Where figures come from
//
// On the engine's own host CPU, memory, block I/O and PIDs are read from the
// cgroup file systems (v1, v2 and hybrid) and network from /proc/<pid>/net/dev
// of the container's init process. The descriptors stay open, so a sweep is one
// pread a file. A container's cgroup is the one that /proc/<pid>/cgroup names,
// and only when that path holds the container's own ID: on Docker Desktop, or
// with a forwarded socket, the PID means some other process here. Everywhere
// else the engine's one-shot stats are requested.
//
// The arithmetic is that of docker stats: CPU in percent of one core over the
// time between two samples; memory is usage less inactive_file (v2) or
// total_inactive_file (v1); a missing limit is the host's memory; network is the
// sum over all interfaces but lo, and nothing for a container in the host's own
// network.
//
// # Why cgroups
//
// 200 stats streams keep a daemon 40 % busy; a sweep of 200 cgroups takes 4 ms.
//
// # What the first figures wait for
//
// CPU needs two samples. So the cgroups are gone through, which are named by the
// containers' IDs, while the engine is asked for its list: by the time that is there,
// the first sample is [firstSweep] old or nearly so. Inspects, and the version, for
// which an engine runs programs, come after the figures.
//
// # What is fetched only for a confirmation
//
// The connections in a container's network (/proc/<pid>/net/tcp of its init
// process, every line of the kernel's table) and what a prune would free (the
// engine adds up every layer) cost too much to know always. They are fetched while
// a confirmation is on a screen: [state.Interest] names its action and targets.
//
// # Compose
//
// What compose makes is done by compose: docker's plugin or docker-compose, run in
// a process group of its own, in the folder and from the files that the labels of
// the project's containers name. Labels are set by the container's creator, and
// may come from its image: so project and service are checked to be names, and the
// confirmation shows the folder and the files. The variables of the files come from
// their .env file and from opsdeck's own environment, not from that of the user who ran
// compose first.
//
// # Why there is no reconnect loop here
//
// Run ends with an error when the event stream breaks or the engine stops
// answering pings (a frozen one keeps its sockets open), and the hub runs it
// again: backoff, health and staleness are the hub's. What is kept over runs is
// whether an engine was ever seen, so that one that went away is an error while
// one that never was here is merely absent.
//
// # Several engines
//
// [Hosts] runs a [Source] for each and merges what they publish, so that a Source
// knows nothing of others and an action reaches it by the bare name of its target.
// There each has a [supervisor.Loop] of its own: a section has one health, but every
// host needs its own. Run ends, and the section goes stale, when none answers.
//
// # Why the socket is forwarded
//
// The docker command runs "docker system dial-stdio" on the far host, which needs
// a docker client there and a shell that runs it. ssh -L needs sshd and the socket,
// and works where the account may forward and nothing else.
//
// # Engines that are frozen
//
// A frozen engine, or one behind a link that is cut, keeps its connections open. So a
// run ends once a ping has had no answer for 5 s, and is shown as stale. What is in
// progress and has no limit of its own, an action or a shell, is abandoned after 15 s of
// silence: longer, since it cannot be resumed. Its error says what is known and
// what is not; it is [ErrLost] where the engine was silent.
//
// # Adding a figure
//
// Add it to sample, read it in cgroup_linux.go and in stats.go, and turn it into
// a field of [state.Container] in track.apply.
package docker
