package state

import "slices"

// Interest says what is being looked at, so that heavy data is fetched only
// while somebody looks. The zero Interest asks for nothing heavy.
type Interest struct {
	// Container is the full ID of the container whose inspect and top are wanted.
	Container string `json:"container,omitempty"`
	// Part is the part of its detail that is in sight: one of the Part constants, or "".
	Part string `json:"part,omitempty"`
	// Logs are the container log sources to follow, by source ID; "container:*" asks
	// for all. Files are always followed.
	Logs []string `json:"logs,omitempty"`
	// Queue is the key whose first items are wanted.
	Queue string `json:"queue,omitempty"`
	// Keys rises, at most once in some seconds, when keys are pressed: it is how others
	// see whether somebody sits there.
	Keys uint64 `json:"keys,omitempty"`
	// Job is the pipeline job whose way through the stages is wanted; "*" asks for the
	// last jobs of all modules.
	Job string `json:"job,omitempty"`
	// Brief asks for the briefing of what was delivered.
	Brief bool `json:"brief,omitempty"`
}

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

// Queue reports whether anybody looks into the queue.
func (in Interests) Queue(key string) bool {
	return slices.ContainsFunc(in, func(i Interest) bool { return i.Queue == key })
}

// Job reports whether anybody looks at the pipeline job; "*" asks after all.
func (in Interests) Job(id string) bool {
	return slices.ContainsFunc(in, func(i Interest) bool { return i.Job == id })
}
