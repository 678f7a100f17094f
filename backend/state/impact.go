package state

import (
	"fmt"
	"net"
	"sort"
	"strconv"
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

// Lines say what the connections are. queues is the address of the queues' server,
// "" for none.
func (c Connections) lines(queues string) (out []string) {
	if c.Err != "" {
		return []string{"connections: unknown: " + c.Err}
	}
	var in []string
	total := 0
	ports := make([]int, 0, len(c.In))
	for p := range c.In {
		ports = append(ports, p)
	}
	sort.Ints(ports)
	for _, p := range ports {
		in = append(in, fmt.Sprintf("%d to port %d", c.In[p], p))
		total += c.In[p]
	}
	sent, consumers := 0, 0
	_, queuePort, _ := net.SplitHostPort(queues)
	for to, n := range c.Out {
		sent += n
		if _, p, _ := net.SplitHostPort(to); p != "" && p == queuePort {
			consumers += n
		}
	}
	switch {
	case total > 0:
		out = append(out, "established connections: "+strings.Join(in, ", ")+"; they break")
	default:
		out = append(out, "no established connections to it")
	}
	if sent > 0 {
		out = append(out, fmt.Sprintf("connections that it holds to others: %d, to %s", sent, someOf(c.Out)))
	}
	if consumers > 0 {
		out = append(out, fmt.Sprintf("it may consume queues: %d of them go to port %s, as the queues' server has it", consumers, queuePort))
	}
	return out
}

// someOf names the most frequent keys, three at most.
func someOf(counts map[string]int) string {
	keys := make([]string, 0, len(counts))
	for k := range counts {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		if counts[keys[i]] != counts[keys[j]] {
			return counts[keys[i]] > counts[keys[j]]
		}
		return keys[i] < keys[j]
	})
	more := ""
	if n := len(keys); n > 3 {
		more = ", and " + strconv.Itoa(n-3) + " more"
		keys = keys[:3]
	}
	return strings.Join(keys, ", ") + more
}

// Reclaim is what a prune would take, as the engine counted it at one instant.
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

// Line is what would go: "3 stopped containers, 1.2 MiB: web, db, old".
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

// project is the other containers of its compose project.
func (c Containers) project(name, except string) (out []*Container) {
	for i := range c.List {
		if o := &c.List[i]; name != "" && o.Project == name && o.ID != except {
			out = append(out, o)
		}
	}
	return out
}

// dependsLabel is where compose (since its version 2) writes what a service needs:
// "db:service_started:false,cache:service_healthy:true".
const dependsLabel = "com.docker.compose.depends_on"

// needs reports whether c's service depends on that service.
func (c *Container) needs(service string) bool {
	for _, d := range strings.Split(c.Labels[dependsLabel], ",") {
		if name, _, _ := strings.Cut(d, ":"); name != "" && name == service {
			return true
		}
	}
	return false
}

// dependants are the containers that need c: what uses its network, and those of
// its project whose services depend on its own, also over others.
func (c Containers) dependants(of *Container) (out []string) {
	services, grown := map[string]bool{of.Service: of.Service != ""}, true
	peers := c.project(of.Project, of.ID)
	for grown {
		grown = false
		for _, o := range peers {
			if services[o.Service] {
				continue
			}
			for s, in := range services {
				if in && o.needs(s) {
					services[o.Service], grown = true, true
					break
				}
			}
		}
	}
	for i := range c.List {
		o := &c.List[i]
		switch {
		case o.NetworkOf != "" && o.NetworkOf == of.ID:
			out = append(out, o.Title+" (uses its network)")
		case o.Project == of.Project && o.ID != of.ID && o.Service != of.Service && services[o.Service]:
			word := o.State
			if o.HealthWord != "" && o.State == "running" {
				word = o.HealthWord
			}
			out = append(out, o.Title+" ("+word+")")
		}
	}
	return out
}

// containerImpact is what an action that interrupts a container touches.
func containerImpact(s *Snapshot, t string) []string {
	c := s.Containers.Container(t)
	if c == nil {
		return nil
	}
	out := []string{fmt.Sprintf("%s is %s, image %s", c.Title, c.State, c.Image)}
	if len(c.Ports) > 0 {
		out = append(out, "published ports: "+strings.Join(c.Ports, ", "))
	}
	if n, ok := s.Containers.Connections[c.ID]; ok && c.State == "running" {
		out = append(out, n.lines(s.Queues.Server)...)
	}
	if deps := s.Containers.dependants(c); len(deps) > 0 {
		out = append(out, "depends on it: "+strings.Join(deps, ", "))
	}
	var others []string
	for _, o := range s.Containers.project(c.Project, c.ID) {
		others = append(others, o.Title)
	}
	sort.Strings(others)
	if len(others) > 0 {
		out = append(out, fmt.Sprintf("project %s also runs %s", c.Project, strings.Join(others, ", ")))
	}
	if len(c.Volumes) > 0 {
		out = append(out, "volumes: "+strings.Join(c.Volumes, ", "))
	}
	if n := len(projectAlerts(s, c)); n > 0 {
		out = append(out, fmt.Sprintf("alerts firing now: %s", strings.Join(projectAlerts(s, c), ", ")))
	}
	return append(out, lastDone(s, c.Target(), c.Project+"/"+c.Service, c.Project+"/*")...)
}

// alertLabels are the labels by which the usual exporters name a container, a
// compose service or a project.
var alertLabels = []struct {
	label string
	of    func(*Container) string
}{
	{"container", title}, {"container_name", title}, {"name", title}, {"id", func(c *Container) string { return c.ID }},
	{"project", project}, {"compose_project", project}, {"container_label_com_docker_compose_project", project},
}

func title(c *Container) string   { return c.Title }
func project(c *Container) string { return c.Project }

// projectAlerts are the rules that fire for c or its project.
func projectAlerts(s *Snapshot, c *Container) (out []string) {
	names := append(s.Containers.project(c.Project, c.ID), c)
	for i := range s.Alerts.List {
		a := &s.Alerts.List[i]
		if a.State == AlertFiring && concerns(a, names) {
			out = append(out, a.Rule)
		}
	}
	return out
}

func concerns(a *Alert, cs []*Container) bool {
	for _, l := range alertLabels {
		v := a.Labels[l.label]
		if v == "" {
			continue
		}
		for _, c := range cs {
			if l.of(c) == v {
				return true
			}
		}
	}
	return false
}
