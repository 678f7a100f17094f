package state

import (
	"fmt"
	"slices"
)

var containersSection = Descriptor{
	Name: SectionContainers, Noun: "container", Actions: slices.Concat(containerSpecs, composeSpecs),
	Targets: func(s *Snapshot, _ *Spec) (ids []string) {
		for i := range s.Containers.List {
			ids = append(ids, s.Containers.List[i].Target())
		}
		return ids
	},
	Canonical: func(s *Snapshot, target string) string {
		if c := s.Containers.Container(target); c != nil {
			return c.Target()
		}
		return ""
	},
	Figures: containerFigures,
	Pending: func(s *Snapshot, a Action) string {
		for _, c := range s.Subjects(a) {
			if c.Condition() == "starting" || c.State == "restarting" {
				return c.Title + " is " + c.Condition()
			}
		}
		return ""
	},
	Summary: func(s *Snapshot) string {
		running := 0
		for i := range s.Containers.List {
			if s.Containers.List[i].State == "running" {
				running++
			}
		}
		return fmt.Sprintf("%d of %d running", running, len(s.Containers.List))
	},
	Troubles: func(s *Snapshot) (out []Trouble) {
		for i := range s.Containers.List {
			if c := &s.Containers.List[i]; containerBad(c) {
				out = append(out, Trouble{RankUnhealthy, fmt.Sprintf("container %s is %s %s", c.Title, c.State, c.HealthWord), c.Target()})
			}
		}
		return out
	},
	Sampled: func(s *Snapshot) bool {
		return !connectingHost(s) && !slices.ContainsFunc(s.Containers.List, func(c Container) bool { return c.State == "running" && c.Sampled.IsZero() })
	},
	// The CPU of those that run, and what an engine's list does not say of each.
	Detailed: func(s *Snapshot) bool {
		many := len(s.Containers.List) >= manyStopped
		return !slices.ContainsFunc(s.Containers.List, func(c Container) bool {
			if c.State != "running" {
				return !many && !c.Limits.Known
			}
			return c.CPUPercent < 0 || !c.Limits.Known
		})
	},
	ReadyFor: func(s *Snapshot, a Action) bool {
		c := s.Containers.Container(a.Target)
		if c == nil && connectingHost(s) {
			return false // it may be on the host that has not answered yet
		}
		return a.Kind != ContainerUpdate || c == nil || c.Limits.Known
	},
	Urgent: func(a, b *Snapshot) bool {
		return !slices.EqualFunc(a.Containers.List, b.Containers.List, func(x, y Container) bool {
			return x.ID == y.ID && x.State == y.State && x.HealthWord == y.HealthWord && (x.CPUPercent >= 0 || y.CPUPercent < 0)
		})
	},
	Lists: []List{{Short: "list all containers with their figures",
		Columns: []string{"CONTAINER", "STATE", "HEALTH", "CPU", "MEMORY", "LIMIT", "PIDS", "RESTARTS", "STARTED", "IMAGE"},
		JSON:    func(s *Snapshot) any { return s.Containers.List },
		Rows: func(s *Snapshot) []Row {
			return rowsOf(s.Containers.List, func(c *Container) Row {
				cells := []any{c.Target(), c.State, c.HealthWord, nil, nil, nil, nil, c.Restarts, c.Started, c.Image}
				switch c.State {
				case "exited", "dead":
					cells[1] = fmt.Sprintf("%s %d", c.State, c.ExitCode)
				case "running":
					cells[3], cells[4], cells[5], cells[6] = Unit{c.CPUPercent, 2, "%"}, Bytes(c.MemBytes), Bytes(c.MemLimit), c.PIDs
				}
				return Row{ID: c.Target(), Bad: containerBad(c), Cells: cells}
			})
		}}},
}

// manyStopped is from how many containers on the stopped ones are not waited for: each
// is asked for alone.
const manyStopped = 500

// Describe implements Section.
func (Containers) Describe() *Descriptor { return &containersSection }

func containerBad(c *Container) bool {
	return c.HealthWord == "unhealthy" || c.State == "restarting" || c.State == "dead"
}

// connectingHost reports whether there is a host that neither answers nor fails yet.
func connectingHost(s *Snapshot) bool {
	return slices.ContainsFunc(s.Containers.Hosts, func(h ContainerHost) bool { return h.Health.Status == Connecting })
}
