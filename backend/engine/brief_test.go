package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

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
	r.until("three items are delivered", func(*state.Snapshot) bool { c, ok := r.e.Delivered().Category("t"); return ok && c.Summary.Items == 3 })
	s := r.e.Delivered().Summary()
	if len(s.Categories) != 1 || s.Categories[0].New != 2 || s.Categories[0].Gone != 1 || s.Items != 3 || len(s.Failing) != 1 || s.Failing[0] != "t/bad" || s.Categories[0].Bytes == 0 {
		t.Errorf("got %+v", s)
	}
	rel := r.e.Delivered().Relevance("two three", "t", 1)
	if rel.Of != 3 || len(rel.Items) != 1 || rel.Items[0].Title != "three" {
		t.Errorf("got %+v", rel)
	}
	if got := r.e.Delivered().Relevance("", "no such", 0); len(got.Items) != 0 || got.Items == nil {
		t.Errorf("got %+v", got)
	}
	b := r.e.Delivered().Briefing()
	for _, want := range []string{"t: 3 items from 1 module, 2 new and 1 gone since the fetch before", "t/bad fails: ValueError: no data today", "t/news: four: urgent ("} {
		if !strings.Contains(b.Text, want) {
			t.Errorf("the briefing lacks %q:\n%s", want, b.Text)
		}
	}
}
