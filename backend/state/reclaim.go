package state

import (
	"fmt"
	"strings"
	"time"
)

// Connections are the established TCP connections in a container's network at one
// instant.
type Connections struct {
	At time.Time `json:"at"`
	// In counts those to a port that the container listens on, Out those that it
	// opened, by the other end: "172.18.0.3:6379".
	In  map[int]int    `json:"in,omitempty"`
	Out map[string]int `json:"out,omitempty"`
	// Err says why they cannot be told; "" when they can.
	Err string `json:"err,omitempty"`
}

// Reclaim counts the unused objects that a prune would remove, at one instant.
type Reclaim struct {
	At         time.Time `json:"at"`
	Containers Unused    `json:"containers"`
	Images     Unused    `json:"images"`
	Networks   Unused    `json:"networks"`
	Cache      Unused    `json:"cache"`
	// Volumes are those without a name; Named, of which any may hold data that
	// somebody wants back, those with one.
	Volumes Unused `json:"volumes"`
	Named   Unused `json:"named"`
	Err     string `json:"err,omitempty"`
}

// Unused is one kind of things that nothing uses.
type Unused struct {
	Count int `json:"count"`
	// Bytes are freed; negative where the engine does not say.
	Bytes float64 `json:"bytes"`
	// Some are the names of the largest.
	Some []string `json:"some,omitempty"`
}

// line returns what would be removed: "3 stopped containers, 1.2 MiB: web, db, old".
func (u Unused) line(noun string) string {
	if u.Count == 0 {
		return "no " + noun
	}
	out := fmt.Sprintf("%d %s", u.Count, noun)
	if u.Bytes >= 0 {
		out += ", " + Size(u.Bytes)
	}
	if len(u.Some) > 0 {
		out += ": " + strings.Join(u.Some, ", ")
		if u.Count > len(u.Some) {
			out += ", ..."
		}
	}
	return out
}

// Lines say what would go.
func (r *Reclaim) Lines() []string {
	switch {
	case r == nil:
		return []string{"what would go: not counted yet"}
	case r.Err != "":
		return []string{"what would go is unknown: " + r.Err}
	}
	return []string{
		"containers: " + r.Containers.line("stopped ones"), "images: " + r.Images.line("dangling ones"), "networks: " + r.Networks.line("unused ones"),
		"build cache: " + r.Cache.line("unused records"), "volumes, when asked for: " + r.Volumes.line("unused ones without a name"),
		"volumes with a name, when asked for: " + r.Named.line("unused ones"),
	}
}

// Project returns the containers of a compose project but the one of that ID.
func (c Containers) Project(name, except string) (out []*Container) {
	for i := range c.List {
		if o := &c.List[i]; name != "" && o.Project == name && o.ID != except {
			out = append(out, o)
		}
	}
	return out
}
