package state

import (
	"fmt"
	"math"
	"time"
)

// Phase is where a submitted action stands.
type Phase string

// Phases of an action. Queued, Begin, End and Interrupted are journalled.
const (
	PhaseQueued      Phase = "queued"
	PhaseBegin       Phase = "begin"
	PhaseEnd         Phase = "end"
	PhaseVerdict     Phase = "verdict"
	PhaseInterrupted Phase = "interrupted"
)

// Actions is what was submitted lately, newest first.
type Actions struct {
	Health Health     `json:"health"`
	List   []Progress `json:"list"`
}

// Progress is one submitted action and how far it came.
type Progress struct {
	ID     ActionID `json:"id"`
	Action Action   `json:"action"`
	// Status is "queued", "running", "done", "failed", "interrupted" or "refused".
	Status string `json:"status"`
	// Step says what it does now; Percent is 0 to 100, negative where unknown.
	Step    string  `json:"step,omitempty"`
	Percent float64 `json:"percent"`
	// Left is an estimate of the time that it still takes; 0 where there is none.
	Left time.Duration `json:"left,omitempty"`
	// Result says what came of it; Err what was tried, what happened, what to do.
	Result  string    `json:"result,omitempty"`
	Err     string    `json:"err,omitempty"`
	Queued  time.Time `json:"queued"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	// Verdict follows after a settling time for measured actions.
	Verdict *Verdict `json:"verdict,omitempty"`
	// Settling says until when the verdict is being watched for.
	Settling time.Time `json:"settling,omitzero"`
	// Undo is what would take it back; nil where nothing would.
	Undo   *Action `json:"undo,omitempty"`
	Undone bool    `json:"undone,omitempty"`
}

// Over reports whether the action will not go on.
func (p Progress) Over() bool { return p.Status != "queued" && p.Status != "running" }

// Progress is the action of that ID, or nil.
func (a Actions) Progress(id ActionID) *Progress {
	for i := range a.List {
		if a.List[i].ID == id {
			return &a.List[i]
		}
	}
	return nil
}

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
}

// Verdict compares a target before and after an action.
type Verdict struct {
	// Word is "better", "the same", "worse" or "unknown".
	Word   string   `json:"word"`
	Before []Figure `json:"before"`
	After  []Figure `json:"after"`
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

// Measure reads the figures by which an action on target is judged: its health
// and its error rate. It is nil for a target without such figures.
func Measure(s *Snapshot, k Kind, target string) []Figure {
	spec := SpecOf(k)
	if spec == nil {
		return nil
	}
	switch spec.Section {
	case SectionModules:
		m := s.Modules.Module(target)
		if m == nil {
			return []Figure{{Title: "health", Value: -1, Text: "gone", Weight: 100}}
		}
		word := m.HealthWord
		if m.Status != ModuleInstalled {
			word = string(m.Status)
		}
		bad, n := 0.0, 0.0
		for _, l := range m.Latencies[max(0, len(m.Latencies)-3):] {
			n++
			if l < 0 {
				bad++
			}
		}
		rate := -1.0
		if n > 0 {
			rate = 100 * bad / n
		}
		return []Figure{
			{Title: "health", Value: healthScore(word), Text: word, Weight: 100},
			{Title: "failed of the last 3 fetches", Value: rate, Unit: "%", Weight: 1},
		}
	case SectionContainers:
		c := s.Containers.Container(target)
		if c == nil {
			return []Figure{{Title: "health", Value: -1, Text: "gone", Weight: 100}}
		}
		word := c.HealthWord
		if word == "" || c.State != "running" {
			word = c.State
		}
		rate := -1.0
		if l := s.Logs.Source("container:" + c.ID); l != nil && l.Lines > 0 {
			rate = 100 * float64(l.Errors) / float64(l.Lines)
		}
		return []Figure{
			{Title: "health", Value: healthScore(word), Text: word, Weight: 100},
			{Title: "restarts", Value: float64(c.Restarts), Weight: 10},
			{Title: "error lines", Value: rate, Unit: "% of lines", Weight: 1},
			{Title: "cpu", Value: c.CPUPercent, Unit: "% of a core"},
			{Title: "memory", Value: c.MemPercent, Unit: "% of its limit"},
		}
	}
	return nil
}

// Judge compares figures of one target, taken by [Measure] before and after.
func Judge(before, after []Figure) *Verdict {
	v := &Verdict{Word: "unknown", Before: before, After: after}
	sum, known := 0.0, false
	for _, b := range before {
		for _, a := range after {
			if a.Title != b.Title || a.Value < 0 || b.Value < 0 || math.IsNaN(a.Value) || math.IsNaN(b.Value) {
				continue
			}
			if b.Weight != 0 {
				known = true
				sum += (a.Value - b.Value) * b.Weight
			}
		}
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

// Summary is the verdict in one line: "better: health failed -> healthy".
func (v *Verdict) Summary() string {
	out := v.Word
	sep := ": "
	for _, b := range v.Before {
		for _, a := range v.After {
			if a.Title != b.Title {
				continue
			}
			was, is := b.String(), a.String()
			if was == is {
				out += sep + fmt.Sprintf("%s %s", b.Title, is)
			} else {
				out += sep + fmt.Sprintf("%s %s -> %s", b.Title, was, is)
			}
			sep = ", "
		}
	}
	return out
}

// String is the figure with its unit.
func (f Figure) String() string {
	switch {
	case f.Text != "":
		return f.Text
	case f.Value < 0:
		return "unknown"
	case f.Unit == "":
		return fmt.Sprintf("%.0f", f.Value)
	}
	return fmt.Sprintf("%.1f %s", f.Value, f.Unit)
}

// Journal is the newest entries of the journal.
type Journal struct {
	Health  Health  `json:"health"`
	Entries []Entry `json:"entries"` // newest first
	// Broken says where the chain does not hold; "" when it does.
	Broken string `json:"broken,omitempty"`
}

// Entry is one line of the journal.
type Entry struct {
	Seq    uint64            `json:"seq"`
	At     time.Time         `json:"at"`
	Phase  Phase             `json:"phase"`
	Action ActionID          `json:"action"`
	Kind   Kind              `json:"kind"`
	Target string            `json:"target"`
	Args   map[string]string `json:"args,omitempty"`
	Actor  Actor             `json:"actor"`
	// Outcome is "ok", "failed" or "interrupted" at the end, a verdict's word after it.
	Outcome string `json:"outcome,omitempty"`
	// Detail is the result or the error.
	Detail string `json:"detail,omitempty"`
	// Prev and Hash chain the entries: Hash is SHA-256 over Prev and the entry, in hex.
	Prev string `json:"prev"`
	Hash string `json:"hash"`
}
