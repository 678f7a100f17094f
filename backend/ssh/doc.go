// Package ssh starts the system's ssh, and is the one place that does. It owns the
// command line (the options of every ssh of ours, a host as a URL names it), the life
// of the process and the explanation of what ssh says when it ends.
//
// It refuses hosts and users that ssh would take for options, and passwords in URLs.
// It knows no engine, socket or log: what is run over there and what is forwarded is
// its callers' (backend/remote, backend/source/docker, backend/source/logs). It
// publishes nothing, and nobody writes to it.
//
// # Why the system's ssh
//
// Whoever is on call reaches hosts through a configuration of ssh that has grown:
// jump hosts, hardware keys, certificates, an agent, known_hosts that a team keeps. A
// library would know a part of it, and the part that it does not know shows at three
// in the morning.
//
// # Why every ssh of ours has these options
//
// -a and -x: no agent and no display goes to a host that is looked at. RemoteCommand
// and PermitLocalCommand are what a login's configuration may have, and would run in
// place of, or beside, what is asked for. Alive messages end a connection whose host
// is gone after 15 s, where TCP would take many minutes. LogLevel is that of the words
// that [Target.Explain] knows.
//
// # Why a guard
//
// An ssh that only forwards (-N) goes on forwarding for nobody when this process is
// killed. A guarded one runs under a shell that ends it when its standard input
// closes, which happens however this process ends. One that runs a command over there
// ends with that command's standard input, and needs none.
//
// # Adding a caller
//
// Make a [Command]. [Start] it where it goes on until [Process.Close], [Command.Read]
// its output where it is read to its end.
package ssh
