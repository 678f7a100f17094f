package policy

import (
	"fmt"
	"net"
	"sort"
	"strconv"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
)

// impacts lists what actions of a kind touch beside their target: what depends on it, what
// is in flight, who did this last.
var impacts = map[state.Kind]func(*state.Snapshot, string) []string{
	state.ContainerRestart: containerImpact,
	state.ContainerStop:    containerImpact,
	state.ContainerKill:    containerImpact,
	state.ContainerPause:   containerImpact,
	state.ContainerRemove:  containerImpact,
	state.ContainerUpdate:  limitsImpact,
	state.ComposeUp:        composeImpact,
	state.ComposeScale:     composeImpact,
	state.ComposeRecreate:  composeImpact,
	state.ComposePull:      composeImpact,
	state.ComposeBuild:     composeImpact,
	state.ComposeRebuild:   composeImpact,
	state.ComposeDown:      composeImpact,
}

// Impact returns what an action on target would touch, a line each: what its row in the
// table says, then what depends on the target.
func Impact(s *state.Snapshot, spec *state.Spec, target string) (lines []string) {
	if spec.Impact != nil {
		lines = spec.Impact(s, target)
	}
	if more := impacts[spec.Kind]; more != nil {
		lines = append(lines, more(s, target)...)
	}
	return lines
}

// connectionLines returns what the connections are. queues is the address of the queues' server,
// "" for none.
func connectionLines(c state.Connections, queues string) (out []string) {
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

// dependsLabel is where compose (since its version 2) writes what a service needs:
// "db:service_started:false,cache:service_healthy:true".
const dependsLabel = "com.docker.compose.depends_on"

// needs reports whether c's service depends on that service.
func needs(c *state.Container, service string) bool {
	for _, d := range strings.Split(c.Labels[dependsLabel], ",") {
		if name, _, _ := strings.Cut(d, ":"); name != "" && name == service {
			return true
		}
	}
	return false
}

// dependants returns the containers that need c: what uses its network, and those of
// its project whose services depend on its own, also over others.
func dependants(c *state.Containers, of *state.Container) (out []string) {
	services, grown := map[string]bool{of.Service: of.Service != ""}, true
	peers := c.Project(of.Project, of.ID)
	for grown {
		grown = false
		for _, o := range peers {
			if services[o.Service] {
				continue
			}
			for s, in := range services {
				if in && needs(o, s) {
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

// containerImpact returns what an action that interrupts a container touches.
func containerImpact(s *state.Snapshot, t string) []string {
	c := s.Containers.Container(t)
	if c == nil {
		return nil
	}
	out := []string{fmt.Sprintf("%s is %s, image %s", c.Title, c.State, c.Image)}
	if len(c.Ports) > 0 {
		out = append(out, "published ports: "+strings.Join(c.Ports, ", "))
	}
	if n, ok := s.Containers.Connections[c.ID]; ok && c.State == "running" {
		out = append(out, connectionLines(n, s.Queues.Server)...)
	}
	if deps := dependants(&s.Containers, c); len(deps) > 0 {
		out = append(out, "depends on it: "+strings.Join(deps, ", "))
	}
	var others []string
	for _, o := range s.Containers.Project(c.Project, c.ID) {
		others = append(others, o.Title)
	}
	sort.Strings(others)
	if len(others) > 0 {
		out = append(out, fmt.Sprintf("project %s also runs %s", c.Project, strings.Join(others, ", ")))
	}
	if len(c.Volumes) > 0 {
		out = append(out, "volumes: "+strings.Join(c.Volumes, ", "))
	}
	if firing := s.AlertsOf(c); len(firing) > 0 {
		out = append(out, "alerts firing now: "+strings.Join(firing, ", "))
	}
	return append(out, state.LastDone(s, c.Target(), c.Project+"/"+c.Service, c.Project+"/*")...)
}

// limitsImpact returns what a change of limits touches.
func limitsImpact(s *state.Snapshot, t string) []string {
	c := s.Containers.Container(t)
	if c == nil {
		return nil
	}
	out := []string{"it is changed in place: nothing restarts"}
	if c.MemBytes >= 0 && c.State == "running" {
		out = append(out, "it uses "+state.Size(c.MemBytes)+" of memory now: the kernel ends a process of it that finds no more below the limit")
	}
	if c.Limits.Memory <= 0 || c.Limits.CPUs <= 0 {
		out = append(out, "a limit that it has not had cannot be taken away again: undo sets it to all that the host has")
	}
	if c.Project != "" {
		out = append(out, "compose does not know of it: a recreate brings back what its files say")
	}
	return append(out, state.LastDone(s, c.Target())...)
}

// composeImpact returns what an action on a service, or on all of a project, touches.
func composeImpact(s *state.Snapshot, t string) []string {
	project, service, _ := strings.Cut(state.ServiceOf(s, t), "/")
	p := s.Containers.Projects[project]
	out := []string{fmt.Sprintf("by %s, in %s, from %s", s.Containers.Compose.Version, p.Dir, strings.Join(p.Files, ", "))}
	var names, deps []string
	for _, c := range s.Containers.Replicas(project + "/" + service) {
		word := c.State
		if c.HealthWord != "" && c.State == "running" {
			word = c.HealthWord
		}
		names = append(names, c.Title+" ("+word+")")
		if len(deps) == 0 && service != "*" {
			deps = dependants(&s.Containers, c)
		}
	}
	if len(names) > 0 {
		out = append(out, "containers: "+strings.Join(names, ", "))
	}
	if len(deps) > 0 {
		out = append(out, "depends on it: "+strings.Join(deps, ", "))
	}
	for _, c := range s.Containers.Replicas(project + "/" + service) {
		if n, ok := s.Containers.Connections[c.ID]; ok && c.State == "running" {
			for _, l := range connectionLines(n, s.Queues.Server) {
				out = append(out, c.Title+": "+l)
			}
		}
		if len(c.Volumes) > 0 {
			out = append(out, c.Title+" has volumes: "+strings.Join(c.Volumes, ", "))
		}
		if len(c.Ports) > 0 {
			out = append(out, c.Title+" publishes "+strings.Join(c.Ports, ", "))
		}
	}
	targets := []string{project + "/" + service, project + "/*"}
	for _, c := range s.Containers.Replicas(project + "/" + service) {
		targets = append(targets, c.Title)
	}
	return append(out, state.LastDone(s, targets...)...)
}
