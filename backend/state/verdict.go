package state

import (
	"context"
	"fmt"
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
	// Running says that it is about running and not failing, which a target that is to
	// stop is not judged by.
	Running bool `json:"-"`
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

// Summary returns the verdict in one line: "better: health unhealthy -> healthy, cpu 3.0 %
// of a core". What made it comes first, what was not known on either side is left
// out.
func (v *Verdict) Summary() string {
	parts := append([]string(nil), v.Reasons...)
	for i, b := range v.Before[:min(len(v.Before), len(v.After))] { // another engine's may differ
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

// String returns the figure with its unit.
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
