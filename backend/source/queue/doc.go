// Package queue is the source of the queues section: the depth of lists, streams
// and sorted sets of a Redis server, and counts of keys that match a pattern.
//
// It owns the connection, the histories and the requeue action. It refuses KEYS,
// and anything else that would block the server: sizes are requested in one
// pipeline a second, and scans are spread so that they take at most 20 ms of a
// second's time. No other package writes [state.Queues]. Passwords stay in the client.
//
// # What is known and what is not
//
// A stream counts what was ever added (entries-added, Redis 7) and what each group
// has read, so its rates are true. Of a list only the net change can be seen:
// NetOnly says so. The age of the oldest item comes from a stream's first ID, from
// a time in a list's first or last item where that is JSON, from the lowest score
// of a sorted set where scores are times; elsewhere it is unknown.
//
// # Requeueing
//
// Items go from the head of the failed list to the tail of its queue, one LMOVE
// each (a script where the server is older than 6.2), so that none is ever in
// neither or in both, and their order stays. The operator's manual moves them with
// RPUSH and LPOP of whatever is first: two steps, between which another worker's
// item is lost. Only as many are moved as there were at the beginning, so that
// items that fail again at once are not moved for ever.
//
// # Adding a kind of queue
//
// Add its commands to ask and their answers to take in sample.go.
//
// # Why the scan keeps its last count
//
// A pass over a large keyspace takes many seconds. A count in the making is less
// than what is there, and would look like a queue being drained.
package queue
