package state

import (
	"fmt"
	"strings"
)

// The kinds of action on queues.
const (
	QueueRequeue Kind = "queue.requeue"
)

var queueSpecs = []Spec{
	{Kind: QueueRequeue, Key: "Q", Verb: "requeue", Past: "requeued", Noun: "failed items", Section: SectionQueues, Risk: Confirm, CLI: CLI{Use: "queues requeue QUEUE", Short: "move the items of a :failed queue back"},
		Disabled: func(s *Snapshot, t string) string {
			for i := range s.Queues.List {
				q := &s.Queues.List[i]
				if q.Key != t {
					continue
				}
				switch {
				case q.Kind != "list":
					return "only a list can be requeued; this is a " + q.Kind
				case RequeueTarget(q.Key) == "":
					return `its name does not end in ":failed", so where its items belong is unknown`
				case q.Depth == 0:
					return "it is empty"
				}
				return ""
			}
			return notFound("queue", t)
		}, Impact: func(s *Snapshot, t string) []string {
			for _, q := range s.Queues.List {
				if q.Key == t {
					return []string{fmt.Sprintf("moves %.0f items from %s to %s, each in one atomic step", q.Depth, q.Key, RequeueTarget(q.Key))}
				}
			}
			return nil
		}},
}

// RequeueTarget returns the queue whose failures key holds ("task:queue" for
// "task:queue:failed"), or "".
func RequeueTarget(key string) string {
	if to, ok := strings.CutSuffix(key, ":failed"); ok {
		return to
	}
	return ""
}
