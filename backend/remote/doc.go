// Package remote connects consoles to an engine in another process over HTTP; a
// [Client] behaves as the engine's own hub does.
//
// It owns the wire between the two ([Handler] on the engine's side, [Client] on
// the console's) and the workspace's lock ([Lock]), by which a second opsdeck
// finds the first. It refuses to know what sections mean, and never lets a
// secret travel anywhere but inside the request that carries an action.
//
// # The wire
//
//	GET  /console/v1/stream?session=S     JSON lines: a hello, then a frame for
//	                                      each snapshot: changed sections only,
//	                                      and log records not yet sent
//	PUT  /console/v1/interest?session=S   state.Interests
//	POST /console/v1/actions              an action with its secrets; gives its id
//	GET  /console/v1/alive                204 once the hub has published again
//
// A session lasts as long as its stream. A frame is the newest state, never one
// of a backlog: a console on a slow link gets fewer of them. A stream that has
// nothing new repeats its last frame without sections, so that a console can tell a
// quiet engine from a dead link; one that reads nothing is cut off, so that a
// console whose host is gone does not stay present, or in control.
//
// # Other hosts
//
// [Link] is the client of an engine on another host: it keeps a connection made by
// [SSH] or [DialHTTP], and while there is none it reports since when, why, and when it
// tries again. An action that was submitted without a link is not sent later.
//
// [SSH] starts one process of package ssh, which asks on the terminal before the
// console opens, and never afterwards; it forwards the engine's socket, and ends with
// this process, however that ends, since the remote command reads its standard input.
// Host keys are checked, and none is trusted without a question, whatever is configured.
//
// # A NEXUS orchestrator
//
// [Orchestrator] takes the engine's place for an orchestrator that runs already: engine.url in the workspace file, or attach URL. It speaks the dialect
// that was recorded and the one that the guide documents, and distinguishes them by
// 404 and 405 alone. It polls modules, routing and health, follows the pipeline
// stream in both its shapes, and asks each half minute for what changes rarely.
// The failure of one of these is shown beside it and hides none of the others;
// only modules that cannot be read make the source fail. Every kind of
// action on its sections that it does not list is disabled with a reason, so that
// an action added for the engine inside is never offered against it. Credentials
// can be rotated only as far as the API goes: it does not return the old ones, so they
// cannot be restored, and the outcome says so. A change of its routing is staged here and
// put there as a whole when it is applied, where its configuration is still the one
// that the change was made for; it has no history, and undoes nothing by itself.
//
// # Adding a section
//
// Nothing to do: sections are decoded by name through package state, and one that this
// program does not know is kept under its name.
//
// # Why JSON
//
// Both ends may be of different versions after an upgrade, and an unknown field
// must not end an on-call session. Only what changed is sent.
package remote
