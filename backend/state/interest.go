package state

import (
	"reflect"
	"slices"
)

// Interest says what is being looked at, so that heavy data is fetched only
// while somebody looks. The zero Interest asks for nothing heavy.
type Interest struct {
	// Container is the full ID of the container whose inspect and top are wanted.
	Container string `json:"container,omitempty"`
	// Part is the part of its detail that is in sight: one of the Part constants, or "".
	Part string `json:"part,omitempty"`
	// Logs are the other log sources to follow, by source ID; "container:*" asks
	// for all. Files are always followed.
	Logs []string `json:"logs,omitempty"`
	// View is a stretch of a log file beyond its tail.
	View LogView `json:"view,omitzero"`
	// Queue is the key whose first items are wanted.
	Queue string `json:"queue,omitempty"`
	// Keys rises, at most once in some seconds, when keys are pressed: it is how others
	// see whether somebody sits there.
	Keys uint64 `json:"keys,omitempty"`
	// Job is the pipeline job whose way through the stages is wanted; "*" asks for the
	// last jobs of all modules.
	Job string `json:"job,omitempty"`
	// Asking is the kind of the action whose confirmation is on the screen, and Targets
	// are what it would be done to: what its impact is made of is fetched meanwhile.
	Asking  Kind     `json:"asking,omitempty"`
	Targets []string `json:"targets,omitempty"`
	// Brief asks for the briefing of what was delivered.
	Brief bool `json:"brief,omitempty"`
	// Host asks for the host's processes and who listens where.
	Host bool `json:"host,omitempty"`
}

// Equal reports whether both ask for the same.
func (i Interest) Equal(o Interest) bool { return reflect.DeepEqual(i, o) }

// Interests is what all consoles together look at.
type Interests []Interest

// Container reports whether anybody looks at the container.
func (in Interests) Container(id string) bool {
	return slices.ContainsFunc(in, func(i Interest) bool { return i.Container == id })
}

// Log reports whether anybody looks at the log source.
func (in Interests) Log(id string) bool {
	return slices.ContainsFunc(in, func(i Interest) bool {
		return slices.Contains(i.Logs, id) || slices.Contains(i.Logs, "container:*")
	})
}

// Views are the stretches of log files that anybody looks at, each once.
func (in Interests) Views() (views []LogView) {
	for _, i := range in {
		if i.View != (LogView{}) && !slices.Contains(views, i.View) {
			views = append(views, i.View)
		}
	}
	return views
}

// Queue reports whether anybody looks into the queue.
func (in Interests) Queue(key string) bool {
	return slices.ContainsFunc(in, func(i Interest) bool { return i.Queue == key })
}

// Host reports whether anybody looks at the host's processes.
func (in Interests) Host() bool {
	return slices.ContainsFunc(in, func(i Interest) bool { return i.Host })
}

// Job reports whether anybody looks at the pipeline job; "*" asks after all.
func (in Interests) Job(id string) bool {
	return slices.ContainsFunc(in, func(i Interest) bool { return i.Job == id })
}

// Asked is whether an action of that kind is being asked about anywhere.
func (in Interests) Asked(k Kind) bool {
	return slices.ContainsFunc(in, func(i Interest) bool { return i.Asking == k })
}
