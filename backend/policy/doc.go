// Package policy says what an action means for what depends on its target: what it would
// touch before it ([Impact]), whether it helped after it ([Judge]), and which arguments it
// may have ([Check] and the parsers of limits).
//
// It reads a snapshot and the table of actions in package state, and writes nothing. It
// refuses I/O, and knowledge of any client library.
//
// # Adding an impact
//
// What an action does to its own target stands in its row, in package state. What depends
// on the target stands here, by the action's kind.
//
// # Why it is not in package state
//
// State is the vocabulary that every package shares. What an action means joins sections
// (containers, connections, queues, alerts, the journal), and grows with each of them.
package policy
