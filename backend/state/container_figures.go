package state

import (
	"fmt"
	"strings"
	"time"
)

// healthScore orders health words from best to worst, from 0; unknown words are -1.
func healthScore(word string) float64 {
	switch word {
	case "healthy", "running":
		return 0
	case "starting", "created", "restarting":
		return 1
	case "degraded", "paused":
		return 2
	case "unhealthy", "exited", "failed", "dead", "disabled":
		return 3
	}
	return -1
}

// Subjects returns the containers that an action on containers is done to.
func (s *Snapshot) Subjects(a Action) []*Container {
	if strings.Contains(a.Target, "/") {
		return s.Containers.Replicas(a.Target)
	}
	target := a.Target
	if name := a.Args["name"]; a.Kind == ContainerRename && s.Containers.Container(target) == nil {
		target = name
	}
	if c := s.Containers.Container(target); c != nil {
		return []*Container{c}
	}
	return nil
}

// Condition returns a container's health in a word: what its check says while it runs,
// else its state.
func (c *Container) Condition() string {
	if c.HealthWord == "" || c.State != "running" {
		return c.State
	}
	return c.HealthWord
}

// containerFigures returns the health, restarts, CPU and memory of the containers that an
// action is done to, and what else of their project is in trouble.
func containerFigures(s *Snapshot, a Action, w Window) []Figure {
	health := Figure{Title: "health", Value: -1, Weight: 100, Running: true}
	restarts := Figure{Title: "restarts", Value: -1, Weight: 30, Running: true, Unit: "in " + w.Length.String()}
	cpu := Figure{Title: "cpu", Value: -1, Unit: "% of a core"}
	mem := Figure{Title: "memory", Value: -1, Unit: "% of its limit"}
	others := Figure{Title: "others of the project in trouble", Value: -1, Weight: 50}
	firing := Figure{Title: "firing alerts", Value: -1, Weight: 20}
	figures := func() []Figure { return []Figure{health, restarts, cpu, mem, others, firing} }
	if s.Containers.Health.Status != OK {
		return figures() // what is not fresh says nothing of now
	}
	subjects := s.Subjects(a)
	if len(subjects) == 0 {
		health.Text = "gone"
		if a.Kind != ContainerRemove && a.Kind != ComposeDown { // a container that was to stay
			health.Value = healthScore("dead")
		}
	}
	words := map[string]int{}
	for _, c := range subjects {
		word := c.Condition()
		words[word]++
		if score := healthScore(word); word != "starting" && health.Value >= -1 {
			health.Value = max(health.Value, score)
		} else {
			health.Value = -2 // a check that has not answered says nothing
		}
		restarts.Value = max(0, restarts.Value) + restarted(s, w, c)
		if n := min(len(c.CPUHistory), max(1, int(w.Length/time.Second))); n > 0 && c.State == "running" {
			cpu.Value = max(0, cpu.Value) + mean(c.CPUHistory[len(c.CPUHistory)-n:])
		}
		if c.State == "running" {
			mem.Value = max(mem.Value, c.MemPercent)
		}
	}
	health.Value = max(-1, health.Value)
	switch {
	case len(subjects) == 1:
		health.Text = subjects[0].Condition()
	case len(subjects) > 1:
		health.Text = counted(words)
	}
	project, _, _ := strings.Cut(a.Target, "/")
	var sample *Container
	if len(subjects) > 0 {
		sample, project = subjects[0], subjects[0].Project
	} else if w.From != nil { // it is gone: its project stays
		if was := w.From.Subjects(a); len(was) > 0 {
			sample, project = was[0], was[0].Project
		}
	}
	if project != "" {
		own := map[string]bool{}
		for _, c := range subjects {
			own[c.ID] = true
		}
		bad := 0.0
		for _, o := range s.Containers.Project(project, "") {
			if !own[o.ID] && (o.HealthWord == "unhealthy" && o.State == "running" || o.State == "restarting" || o.State == "dead" || o.State == "exited" && o.ExitCode != 0) {
				bad++
			}
		}
		others.Value = bad
	}
	if s.Alerts.Health.Status == OK && sample != nil {
		firing.Value = float64(len(s.AlertsOf(sample)))
	}
	return figures()
}

// restarted returns how often the engine restarted c in the window: exactly where the
// count at its beginning is known, else at least.
func restarted(s *Snapshot, w Window, c *Container) float64 {
	if w.From != nil {
		for i := range w.From.Containers.List {
			if was := &w.From.Containers.List[i]; was.ID == c.ID && was.Restarts <= c.Restarts {
				return float64(c.Restarts - was.Restarts)
			}
		}
		return float64(c.Restarts) // it is another one, or was started anew
	}
	if c.Restarts > 0 && (c.State == "restarting" || s.At.Sub(c.Started) < w.Length) {
		return 1
	}
	return 0
}

func mean(vs []float64) float64 {
	sum := 0.0
	for _, v := range vs {
		sum += v
	}
	return sum / float64(len(vs))
}

// counted returns words with how often each occurs, worst first: "1 exited, 2 healthy".
func counted(words map[string]int) string {
	var out []string
	for score := 3.0; score >= -1; score-- {
		for _, w := range []string{"unhealthy", "exited", "dead", "paused", "restarting", "created", "starting", "healthy", "running", "removing"} {
			if words[w] > 0 && healthScore(w) == score {
				out = append(out, fmt.Sprintf("%d %s", words[w], w))
			}
		}
	}
	return strings.Join(out, ", ")
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

// AlertsOf returns the rules that fire for a container or its project.
func (s *Snapshot) AlertsOf(c *Container) (out []string) {
	names := append(s.Containers.Project(c.Project, c.ID), c)
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
