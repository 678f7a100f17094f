package pipeline

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestRelevanceRanksWhatWantsLookingAt(t *testing.T) {
	now := time.Now()
	item := func(text string, age time.Duration) json.RawMessage {
		return json.RawMessage(fmt.Sprintf(`{"title": %q, "timestamp": %q}`, text, now.Add(-age).UTC().Format(time.RFC3339)))
	}
	score := func(it json.RawMessage, fresh bool, words ...string) float64 {
		return relevant(it, words, now, now, fresh).Score
	}
	for _, c := range []struct {
		name       string
		more, less float64
	}{
		{"recent before old", score(item("a", time.Minute), false), score(item("a", 72*time.Hour), false)},
		{"soon before far", score(item("a", -time.Hour), false), score(item("a", -90*time.Hour), false)},
		{"urgent before idle", score(item("disk failed", time.Hour), false), score(item("disk is fine", time.Hour), false)},
		{"new before known", score(item("a", time.Hour), true), score(item("a", time.Hour), false)},
		{"both words before one", score(item("red car", time.Hour), false, "red", "car"), score(item("red bus", time.Hour), false, "red", "car")},
		{"a match before a recent urgent other", score(item("the car", 300*time.Hour), false, "car"), score(item("error", 0), true, "car")},
	} {
		if c.more <= c.less {
			t.Errorf("%s: %v against %v", c.name, c.more, c.less)
		}
	}
	if got := score(item("error", 0), true); got > 1 || got < 0.9 {
		t.Errorf("the most there is without a query scores %v", got)
	}
	if got := relevant(item("x", 0), []string{"car"}, now, now, true); got.Score >= 0 {
		t.Errorf("an item without the word scores %v", got.Score)
	}
}

func TestTitles(t *testing.T) {
	for in, want := range map[string]string{
		`{"name": "n", "title": "  a\n b "}`: "a b", `"plain"`: "plain", `5`: "5", `{"title": 5, "id": "x"}`: "x", `{"a": [1, 2]}`: `{"a": [1, 2]}`,
		`{"title": "` + strings.Repeat("ä", 150) + `"}`: strings.Repeat("ä", 100) + "...",
	} {
		if got := titleOf(json.RawMessage(in)); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

// One fetch's way through all four stages.
func BenchmarkPipelineJob(b *testing.B) {
	store := newStore()
	raw, _ := json.Marshal([]map[string]any{{"temperature": 21.5, "timestamp": "2026-02-11T12:00:00Z"}, {"temperature": 22, "timestamp": 1770811200.5}})
	b.ReportAllocs()
	for b.Loop() {
		j := &Job{module: "a/b", category: "a", platform: "b", fetched: time.Now(), raw: raw}
		for _, f := range []func(*Job) error{ingest, store.aggregate, store.synthesize, store.deliver} {
			if err := f(j); err != nil {
				b.Fatal(err)
			}
		}
	}
}
