// Package routing keeps a workspace's routing configuration: which tier a request of a
// category and a complexity goes to.
//
// # What it owns
//
//   - config/routing_config.json: it is read, validated, watched, and changed only
//     through an action, atomically (file.go).
//     A change is staged (stage.go), applied on trial and confirmed, or taken back when
//     nobody confirms it (trial.go).
//   - data/routing.db: every configuration that was in force, with who and why (history.go).
//   - data/delegations.jsonl, the last delegations that logs and callers told of, a line
//     each; what routing would make of them is replayed from it (delegation.go, replay.go).
//   - The section routing of the snapshot ([Service.Section]).
//
// # What it refuses
//
// A file that does not hold to its schema, with file, line and what was expected: what was
// in force stays in force. A change that was meant for another configuration than the one
// in force ([ErrChanged]). A second change while one waits to be confirmed.
//
// # Who may write
//
// Actions, through [Service.Execute], one at a time, and people with an editor: a file that
// is edited by hand is never undone.
//
// # How a routing configuration is read
//
// Nothing here routes a request: it answers where the services that share the file send
// one ([Decide]), in both of its shapes and in any mixture of them.
//
//   - The threshold is lidm_delegation_threshold, else
//     performance.complexity_threshold_direct, else 0.7.
//   - A request of less complexity is answered directly, by the tier "standard". One of
//     as much or more is delegated to its category's tier, to "heavy" where the category
//     is not configured. So a lower threshold sends more to the heavy tier.
//   - A tier that is disabled, or not listed where tiers are, gives way to the enabled one
//     of the lowest priority number. "external" need not be listed. Without any tiers a
//     tier's name stands for itself.
//   - Limits of latency and cost move nothing. What they mean is told by what requests to
//     the tier took ([Limits]).
//
// What holds to the schema and is likely not meant is a warning, never an error.
//
// # Adding a field of the configuration
//
// Add it to routing.schema.json; where a form sets it, to argsOf, and where a row shows it,
// to describe. What is not known to the schema is kept as it is.
//
// # Why a change on trial is written down first
//
// It must be undone whatever happens meanwhile, also when the engine is killed: the text of
// before has reached the disk before the change is in force, and the next start undoes it.
//
// # Why a draft
//
// An orchestrator elsewhere keeps its own file and history. [Draft] stages changes for it
// with the same checks, and puts nothing in force.
package routing
