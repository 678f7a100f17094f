// Package remote is the console's seam over HTTP: it lets a console hold an
// engine that runs in another process as if it were its own.
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
//	PUT  /console/v1/interest?session=S   state.Interest
//	POST /console/v1/actions              an action with its secrets; gives its id
//	GET  /console/v1/alive                204 once the hub has published anew
//
// A session lasts as long as its stream. A frame is the newest state, never one
// of a backlog: a console on a slow link gets fewer of them.
//
// # Adding a section
//
// Nothing to do: sections are told apart by name through package state.
//
// # Why JSON
//
// Both ends may be of different versions after an upgrade, and an unknown field
// must not end an on-call session. Only what changed is sent.
package remote
