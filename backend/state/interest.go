package state

import (
	"encoding/json"
	"slices"
	"strings"
)

// Topic is a kind of thing that can be looked at.
type Topic string

// Interest is one thing that is being looked at: a topic, and which of its kind. Heavy
// data is fetched only while somebody looks.
type Interest struct {
	Topic Topic  `json:"topic"`
	Key   string `json:"key,omitempty"`
}

// The topics. Those of a source are named beside its section; a new one needs no change
// here.
const (
	// LookContainer is one container, by its full ID; [LookPart] a part of its detail.
	LookContainer Topic = "container"
	// LookLog is a log source to follow, by its ID; [AllContainers] asks for those of
	// all containers. Files are always followed.
	LookLog Topic = "log"
	// LookView is a stretch of a log file beyond its tail: see [LogView.Interest].
	LookView Topic = "view"
	// LookQueue is a queue whose first items are wanted.
	LookQueue Topic = "queue"
	// LookJob is a pipeline job whose way through the stages is wanted; "*" asks for the
	// last jobs of all modules.
	LookJob Topic = "job"
	// LookBrief is the briefing of what was delivered.
	LookBrief Topic = "brief"
	// LookProcesses is the host's processes and who listens where.
	LookProcesses Topic = "processes"
	// LookKeys is not looked at: its key changes, at most once in some seconds, when
	// keys are pressed. It is how others see whether somebody sits there.
	LookKeys Topic = "keys"
)

// AllContainers is the key of [LookLog] that asks for the logs of all containers.
const AllContainers = "container:*"

// LookPart returns the topic of a part of a container's detail, one of the Part
// constants; its keys are full IDs.
func LookPart(part string) Topic { return LookContainer + "." + Topic(part) }

// LookAction returns the topic of an action whose confirmation is on a screen; its keys
// are the targets. What the impact is made of is fetched meanwhile.
func LookAction(k Kind) Topic { return actionTopic + Topic(k) }

const actionTopic = "action:"

// Action returns the kind of action that the topic is of; "" for another topic.
func (t Topic) Action() Kind {
	k, ok := strings.CutPrefix(string(t), actionTopic)
	if !ok {
		return ""
	}
	return Kind(k)
}

// Interests lists the interests of one console, or of all of them together.
type Interests []Interest

// Add returns in with what is not in it yet.
func (in Interests) Add(topic Topic, keys ...string) Interests {
	for _, k := range keys {
		if i := (Interest{topic, k}); !slices.Contains(in, i) {
			in = append(in, i)
		}
	}
	return in
}

// Has reports whether anybody looks at that.
func (in Interests) Has(topic Topic, key string) bool {
	return slices.Contains(in, Interest{topic, key})
}

// Keys returns what is looked at of a topic, each once, in order.
func (in Interests) Keys(topic Topic) (keys []string) {
	for _, i := range in {
		if i.Topic == topic && !slices.Contains(keys, i.Key) {
			keys = append(keys, i.Key)
		}
	}
	return keys
}

// Log reports whether anybody looks at the log source, or at those of all containers.
func (in Interests) Log(id string) bool {
	return in.Has(LookLog, id) || in.Has(LookLog, AllContainers)
}

// Views returns the stretches of log files that anybody looks at, each once.
func (in Interests) Views() (views []LogView) {
	for _, k := range in.Keys(LookView) {
		var v LogView
		if json.Unmarshal([]byte(k), &v) == nil && v != (LogView{}) {
			views = append(views, v)
		}
	}
	return views
}

// Interest returns what asks for the view. Its key is the view's JSON form.
func (v LogView) Interest() Interest {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // it holds text and numbers alone
	}
	return Interest{LookView, string(b)}
}
