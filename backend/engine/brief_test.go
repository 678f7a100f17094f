package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
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

func TestSummaryAndBriefingTellWhatChangedAndWhatFails(t *testing.T) {
	needPython(t)
	r := newRig(t, adapterOf("news", `
import os
@register_adapter
class A(BaseAdapter):
    async def fetch_raw(self, config):
        with open(os.path.join(os.path.dirname(__file__), "items")) as f:
            return [{"title": line.strip()} for line in f]
`))
	for name, text := range adapterOf("bad", "\n@register_adapter\nclass A(BaseAdapter):\n    async def fetch_raw(self, config):\n        raise ValueError('no data today')\n") {
		r.write(name, text)
	}
	r.write("modules/t/news/items", "one\ntwo\n")
	r.start(Config{Interval: time.Hour})
	r.module("t/news", "works", healthy)
	r.module("t/bad", "fails", func(m *state.Module) bool { return m.Status == state.ModuleFailed })
	r.write("modules/t/news/items", "two\nthree\nfour: urgent\n")
	if _, err := r.do(state.ModuleFetch, "t/news", nil, nil); err != nil {
		t.Fatal(err)
	}
	r.until("three items are delivered", func(*state.Snapshot) bool { c, ok := r.e.ContextCategory("t"); return ok && c.Summary.Items == 3 })
	s := r.e.ContextSummary()
	if len(s.Categories) != 1 || s.Categories[0].New != 2 || s.Categories[0].Gone != 1 || s.Items != 3 || len(s.Failing) != 1 || s.Failing[0] != "t/bad" || s.Categories[0].Bytes == 0 {
		t.Errorf("got %+v", s)
	}
	rel := r.e.Relevance("two three", "t", 1)
	if rel.Of != 3 || len(rel.Items) != 1 || rel.Items[0].Title != "three" {
		t.Errorf("got %+v", rel)
	}
	if got := r.e.Relevance("", "no such", 0); len(got.Items) != 0 || got.Items == nil {
		t.Errorf("got %+v", got)
	}
	b := r.e.Briefing()
	for _, want := range []string{"t: 3 items from 1 module, 2 new and 1 gone since the fetch before", "t/bad fails: ValueError: no data today", "t/news: four: urgent ("} {
		if !strings.Contains(b.Text, want) {
			t.Errorf("the briefing lacks %q:\n%s", want, b.Text)
		}
	}
}
