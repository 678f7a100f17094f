// Package ssh starts the system's ssh, and is the one place that does. It owns the
// command line (the options of every ssh, a host as a URL names it), the life of the
// process and the explanation of the error with which ssh ends.
//
// It refuses hosts and users that ssh would take for options, and passwords in URLs.
// It knows no engine, socket or log: what is run over there and what is forwarded is
// its callers' (backend/remote, backend/source/docker, backend/source/logs). It
// publishes nothing, and has no state to write.
//
// # Why the system's ssh
//
// Operators reach hosts through a configuration of ssh that has grown: jump hosts, hardware keys, certificates, an agent, known_hosts that a team keeps. A
// library would support a part of it, and the other part would be missed during an
// incident.
//
// # Why every ssh has these options
//
// -a and -x: no agent and no display is forwarded to the host. RemoteCommand
// and PermitLocalCommand are what a login's configuration may have, and would run in
// place of, or beside, what is asked for. Alive messages end a connection whose host
// is gone after 15 s, where TCP would take many minutes. LogLevel is that of the messages
// that [Target.Explain] knows.
//
// # Why a guard
//
// An ssh that only forwards (-N) goes on forwarding in vain when this process is
// killed. A guarded one runs under a shell that ends it when its standard input
// closes, which happens however this process ends. One that runs a command over there
// ends with that command's standard input, and needs none.
//
// # Adding a caller
//
// Make a [Command]. [Start] it if it runs until [Process.Close]; [Command.Read] its
// output if that is read to its end.
package ssh
