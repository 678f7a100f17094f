package state

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"
)

// Figure is one measured quantity of a target.
type Figure struct {
	Title string  `json:"title"`
	Value float64 `json:"value"` // negative where unknown
	Unit  string  `json:"unit,omitempty"`
	// Text is shown in place of Value where it is a word: "healthy".
	Text string `json:"text,omitempty"`
	// Weight is what one unit more is worth: positive is worse, negative better,
	// 0 tells nothing.
	Weight float64 `json:"weight"`
	// Slack is how large a change may be that tells nothing either.
	Slack float64 `json:"slack,omitempty"`
}

// Verdict compares a target before and after an action.
type Verdict struct {
	// Word is "better", "the same", "worse" or "unknown".
	Word string `json:"word"`
	// Before and After have the same figures in the same order.
	Before []Figure `json:"before"`
	After  []Figure `json:"after"`
	// Reasons are the changes that made the word; Note is what casts doubt on it.
	Reasons []string `json:"reasons,omitempty"`
	Note    string   `json:"note,omitempty"`
}

// Measurer is an [Executor] that knows figures of its targets that no section has.
type Measurer interface {
	// Figures are those of what a is done to between two times. One that cannot be
	// known is negative.
	Figures(ctx context.Context, a Action, since, until time.Time) []Figure
}

// Window is the time that figures are taken over.
type Window struct {
	// From is the snapshot at its beginning; nil where none was kept.
	From *Snapshot
	// Length is how long it is.
	Length time.Duration
}

// healthScore orders health words from best to worst; unknown words are -1.
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

// Measure reads the figures by which an action is judged, as s has them at the end
// of a window. It is nil for a target without such figures.
func Measure(s *Snapshot, a Action, w Window) []Figure {
	spec := SpecOf(a.Kind)
	if spec == nil || spec.Global != "" {
		return nil
	}
	if d := DescriptorOf(spec.Section); d.Figures != nil {
		return d.Figures(s, a, w)
	}
	return nil
}

// Subjects are the containers that an action on containers is done to.
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

// Ends reports whether an action is meant to leave nothing running, so that what it
// was done to is neither worse for not running nor better for failing no more.
func Ends(a Action) bool {
	switch a.Kind {
	case ContainerStop, ContainerPause, ContainerRemove, ComposeDown:
		return true
	case ContainerKill:
		signal, _ := ParseSignal(a.Args["signal"])
		switch signal {
		case "KILL", "TERM", "INT", "QUIT", "ABRT", "STOP", "TSTP", "9", "15", "2", "3", "6", "19", "20":
			return true
		}
	case ComposeScale:
		return a.Args["replicas"] == "0"
	}
	return false
}

// condition is a container's health in a word: what its check says while it runs,
// else its state.
func (c *Container) condition() string {
	if c.HealthWord == "" || c.State != "running" {
		return c.State
	}
	return c.HealthWord
}

// Unsettled says why a verdict on an action would be early: a health check has not
// answered since; "" where none would.
func Unsettled(s *Snapshot, a Action) string {
	spec := SpecOf(a.Kind)
	if spec == nil {
		return ""
	}
	if d := DescriptorOf(spec.Section); d.Pending != nil {
		return d.Pending(s, a)
	}
	return ""
}

func containerFigures(s *Snapshot, a Action, w Window) []Figure {
	health := Figure{Title: "health", Value: -1, Weight: 100}
	restarts := Figure{Title: "restarts", Value: -1, Weight: 30, Unit: "in " + w.Length.String()}
	if Ends(a) {
		health.Weight, restarts.Weight = 0, 0
	}
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
		word := c.condition()
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
		health.Text = subjects[0].condition()
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
		for _, o := range s.Containers.project(project, "") {
			if !own[o.ID] && (o.HealthWord == "unhealthy" && o.State == "running" || o.State == "restarting" || o.State == "dead" || o.State == "exited" && o.ExitCode != 0) {
				bad++
			}
		}
		others.Value = bad
	}
	if s.Alerts.Health.Status == OK && sample != nil {
		firing.Value = float64(len(projectAlerts(s, sample)))
	}
	return figures()
}

// restarted is how often the engine restarted c in the window: exactly where the
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

// counted are words with how often each occurs, worst first: "1 exited, 2 healthy".
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

// Judge compares figures of one target, taken before and after.
func Judge(before, after []Figure) *Verdict {
	v := &Verdict{Word: "unknown"}
	sum, known := 0.0, false
	for _, b := range before {
		a := Figure{Title: b.Title, Value: -1, Unit: b.Unit, Weight: b.Weight}
		for _, f := range after {
			if f.Title == b.Title {
				a = f
			}
		}
		v.Before, v.After = append(v.Before, b), append(v.After, a)
		if a.Value < 0 || b.Value < 0 || math.IsNaN(a.Value) || math.IsNaN(b.Value) || b.Weight == 0 {
			continue
		}
		known = true
		d := a.Value - b.Value
		if d == 0 || math.Abs(d) <= max(a.Slack, b.Slack) {
			continue
		}
		sum += d * b.Weight
		v.Reasons = append(v.Reasons, fmt.Sprintf("%s %s -> %s", b.Title, b.String(), a.String()))
	}
	switch {
	case !known:
	case sum < -1:
		v.Word = "better"
	case sum > 1:
		v.Word = "worse"
	default:
		v.Word = "the same"
	}
	return v
}

// Summary is the verdict in one line: "better: health unhealthy -> healthy, cpu 3.0 %
// of a core". What made it comes first, what was not known on either side is left
// out.
func (v *Verdict) Summary() string {
	parts := append([]string(nil), v.Reasons...)
	for i, b := range v.Before {
		was, is := b.String(), v.After[i].String()
		text := fmt.Sprintf("%s %s -> %s", b.Title, was, is)
		switch {
		case contains(v.Reasons, text) || was == unknownText && is == unknownText:
			continue
		case was == is:
			text = b.Title + " " + is
		}
		parts = append(parts, text)
	}
	if v.Note != "" {
		parts = append([]string{v.Note}, parts...)
	}
	if len(parts) == 0 {
		return v.Word
	}
	return v.Word + ": " + strings.Join(parts, ", ")
}

func contains(in []string, s string) bool {
	for _, t := range in {
		if t == s {
			return true
		}
	}
	return false
}

const unknownText = "unknown"

// String is the figure with its unit.
func (f Figure) String() string {
	switch {
	case f.Text != "":
		return f.Text
	case f.Value < 0:
		return unknownText
	case f.Unit == "":
		return fmt.Sprintf("%.0f", f.Value)
	case strings.HasPrefix(f.Unit, "in "):
		return fmt.Sprintf("%.0f %s", f.Value, f.Unit)
	}
	return fmt.Sprintf("%.1f %s", f.Value, f.Unit)
}
