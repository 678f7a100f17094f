package state

import (
	"fmt"
	"sort"
	"strings"
)

// The kinds of action on containers.
const (
	ContainerRestart Kind = "container.restart"
	ContainerStop    Kind = "container.stop"
	ContainerStart   Kind = "container.start"
)

var containerSpecs = []Spec{
	{Kind: ContainerRestart, Key: "R", Verb: "restart", Past: "restarted", Noun: "container", Section: SectionContainers, Risk: Confirm,
		Disabled: containerDisabled(func(c *Container) string {
			if c.State == "removing" || c.State == "dead" {
				return "it is " + c.State
			}
			return ""
		}), Impact: containerImpact, Measured: true},
	{Kind: ContainerStop, Key: "S", Verb: "stop", Past: "stopped", Noun: "container", Section: SectionContainers, Risk: Confirm,
		Disabled: containerDisabled(func(c *Container) string {
			if c.State != "running" && c.State != "paused" && c.State != "restarting" {
				return "it is not running: it is " + c.State
			}
			return ""
		}), Impact: containerImpact},
	{Kind: ContainerStart, Key: "S", Verb: "start", Past: "started", Noun: "container", Section: SectionContainers, Risk: Safe,
		Disabled: containerDisabled(func(c *Container) string {
			if c.State != "exited" && c.State != "created" {
				return "it is " + c.State + " already"
			}
			return ""
		}), Measured: true},
}

func containerDisabled(f func(*Container) string) func(*Snapshot, string) string {
	return func(s *Snapshot, t string) string {
		if !s.Containers.Health.Known() {
			return "the container engine does not answer"
		}
		c := s.Containers.Container(t)
		if c == nil {
			return notFound("container", t)
		}
		return f(c)
	}
}

func containerImpact(s *Snapshot, t string) []string {
	c := s.Containers.Container(t)
	if c == nil {
		return nil
	}
	out := []string{fmt.Sprintf("%s is %s, image %s", c.Title, c.State, c.Image)}
	if len(c.Ports) > 0 {
		out = append(out, "published ports: "+strings.Join(c.Ports, ", "))
	}
	if c.Project != "" {
		var peers []string
		for _, o := range s.Containers.List {
			if o.Project == c.Project && o.ID != c.ID {
				peers = append(peers, o.Title)
			}
		}
		sort.Strings(peers)
		if len(peers) > 0 {
			out = append(out, fmt.Sprintf("project %s also runs %s", c.Project, strings.Join(peers, ", ")))
		}
	}
	return append(out, lastDone(s, c.Title)...)
}
