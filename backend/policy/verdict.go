package policy

import (
	"fmt"
	"math"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Measure returns the figures by which an action is judged, as s has them at the end
// of a window. It is nil for a target without such figures.
func Measure(s *state.Snapshot, a state.Action, w state.Window) []state.Figure {
	spec := state.SpecOf(a.Kind)
	if spec == nil || spec.Global != "" {
		return nil
	}
	d := state.DescriptorOf(spec.Section)
	if d.Figures == nil {
		return nil
	}
	figures := d.Figures(s, a, w)
	for i := range figures {
		if figures[i].Running && StopsTarget(a) {
			figures[i].Weight = 0
		}
	}
	return figures
}

// PendingReason returns why a verdict on an action would be early: a health check has not
// answered since; "" where none would.
func PendingReason(s *state.Snapshot, a state.Action) string {
	spec := state.SpecOf(a.Kind)
	if spec == nil {
		return ""
	}
	if d := state.DescriptorOf(spec.Section); d.Pending != nil {
		return d.Pending(s, a)
	}
	return ""
}

// Judge returns how figures of one target compare, taken before and after.
func Judge(before, after []state.Figure) *state.Verdict {
	v := &state.Verdict{Word: "unknown"}
	sum, known := 0.0, false
	for _, b := range before {
		a := state.Figure{Title: b.Title, Value: -1, Unit: b.Unit, Weight: b.Weight}
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

// StopsTarget reports whether an action is meant to leave nothing running, so that what it
// was done to is neither worse for not running nor better for failing no more.
func StopsTarget(a state.Action) bool {
	switch a.Kind {
	case state.ContainerStop, state.ContainerPause, state.ContainerRemove, state.ComposeDown:
		return true
	case state.ContainerKill:
		signal, _ := ParseSignal(a.Args["signal"])
		switch signal {
		case "KILL", "TERM", "INT", "QUIT", "ABRT", "STOP", "TSTP", "9", "15", "2", "3", "6", "19", "20":
			return true
		}
	case state.ComposeScale:
		return a.Args["replicas"] == "0"
	}
	return false
}
