package pipeline

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/opsdeck/opsdeck/backend/state"
)

// What /context/summary, /context/relevance and /context/briefing serve: what is in
// /context, told in fewer words. All of it is worked out when it is asked for.

const (
	// maxAnswer bounds how many items an answer names.
	maxAnswer = 200
	// halfLife is after how long an item counts half as recent.
	halfLife = 24 * time.Hour
	// maxTitle bounds an item's title, in bytes.
	maxTitle = 200
	// maxReport bounds the briefing that is published, in bytes.
	maxReport = 64 << 10
)

// CategorySummary is one category in a few figures.
type CategorySummary struct {
	Category string `json:"category"`
	Summary
	// New and Gone are how many items the last fetches brought that were not there
	// before, and how many of those before are not there any more.
	New   int   `json:"new"`
	Gone  int   `json:"gone"`
	Bytes int64 `json:"bytes"`
	// Stale are the modules whose data is of before the last start.
	Stale []string `json:"stale,omitempty"`
}

// Summaries is what GET /context/summary serves.
type Summaries struct {
	Timestamp  time.Time         `json:"timestamp"`
	Categories []CategorySummary `json:"categories"` // by name
	Modules    int               `json:"modules"`
	Items      int               `json:"items"`
	Failing    []string          `json:"failing"`
}

// Relevant is one item and how much it wants looking at.
type Relevant struct {
	Category string `json:"category"`
	Module   string `json:"module_id"`
	Title    string `json:"title"`
	// Score is from 0 to 1; Reasons say what it is made of, the weightiest first.
	Score   float64         `json:"score"`
	Reasons []string        `json:"reasons"`
	At      time.Time       `json:"at,omitzero"`
	Item    json.RawMessage `json:"item"`
}

// Relevance is what GET /context/relevance serves: items, the most relevant first.
type Relevance struct {
	Timestamp time.Time  `json:"timestamp"`
	Query     string     `json:"query,omitempty"`
	Of        int        `json:"of"` // items looked at
	Items     []Relevant `json:"items"`
}

// Briefing is what GET /context/briefing serves: what an operator or a model should
// know before anything else.
type Briefing struct {
	Timestamp time.Time `json:"timestamp"`
	// Text is the whole briefing in sentences, one a line.
	Text string `json:"text"`
	// Headlines are the lines of the text about data, Attention those about what does
	// not work.
	Headlines []string   `json:"headlines"`
	Attention []string   `json:"attention"`
	Items     []Relevant `json:"items"`
}

// change counts what a module's last fetch brought and took away; nothing where
// there was none before.
func (d Delivered) change(m *Module) (fresh, gone int) {
	was := d.before[m.Module]
	if was == nil {
		return 0, 0
	}
	left := len(was)
	for _, it := range m.Data {
		if was[itemHash(it)] {
			left--
		} else {
			fresh++
		}
	}
	return fresh, max(0, left)
}

// Summary returns what was delivered, in figures.
func (d Delivered) Summary() Summaries {
	out := Summaries{Timestamp: d.Timestamp, Categories: []CategorySummary{}, Failing: slices.Sorted(maps.Keys(d.failing))}
	if out.Failing == nil {
		out.Failing = []string{}
	}
	for _, c := range d.sorted() {
		s := CategorySummary{Category: c.Category, Summary: c.Summary}
		for i := range c.Modules {
			m := &c.Modules[i]
			n, gone := d.change(m)
			s.New, s.Gone = s.New+n, s.Gone+gone
			for _, it := range m.Data {
				s.Bytes += int64(len(it))
			}
			if m.Restored {
				s.Stale = append(s.Stale, m.Module)
			}
		}
		out.Modules += s.Modules
		out.Items += s.Items
		out.Categories = append(out.Categories, s)
	}
	return out
}

// weights of what makes an item relevant; together 1.
const (
	weightMatch  = 0.4
	weightRecent = 0.3
	weightUrgent = 0.2
	weightNew    = 0.1
)

// urgent are words that want looking at, wherever they stand in an item.
var urgent = []string{"critical", "error", "failed", "failure", "fatal", "urgent", "overdue", "outage", "alert", "emergency", "expired", "denied", "warning", "deadline", "breach", "down"}

// Relevance ranks the items in /context. query, which may be "", is words that an
// item should hold; category "" stands for all; limit is at most 200, 0 for 20.
func (d Delivered) Relevance(query, category string, limit int) Relevance {
	now := d.Timestamp
	limit = min(cmp.Or(max(limit, 0), 20), maxAnswer)
	words := strings.Fields(strings.ToLower(query))
	out := Relevance{Timestamp: now, Query: query, Items: []Relevant{}}
	for _, c := range d.sorted() {
		if category != "" && c.Category != category {
			continue
		}
		for i := range c.Modules {
			m := &c.Modules[i]
			was := d.before[m.Module]
			for _, it := range m.Data {
				out.Of++
				r := relevant(it, words, now, m.Fetched, was != nil && !was[itemHash(it)])
				if len(words) > 0 && r.Score < 0 {
					continue
				}
				r.Category, r.Module, r.Item = c.Category, m.Module, it
				out.Items = append(out.Items, r)
			}
		}
	}
	slices.SortStableFunc(out.Items, func(a, b Relevant) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), b.At.Compare(a.At), strings.Compare(a.Module, b.Module))
	})
	out.Items = slices.Clip(out.Items[:min(len(out.Items), limit)])
	for i := range out.Items {
		out.Items[i].Title = d.clean(titleOf(out.Items[i].Item))
	}
	return out
}

// relevant scores one item; below 0 where it holds none of the words.
func relevant(it json.RawMessage, words []string, now, fetched time.Time, fresh bool) Relevant {
	r := Relevant{At: stampOf(it)}
	text := strings.ToLower(string(it))
	type part struct {
		worth float64
		why   string
	}
	var parts []part
	if len(words) > 0 {
		var hit []string
		for _, w := range words {
			if strings.Contains(text, w) {
				hit = append(hit, w)
			}
		}
		if len(hit) == 0 {
			r.Score = -1
			return r
		}
		parts = append(parts, part{weightMatch * float64(len(hit)) / float64(len(words)), "it holds " + strings.Join(hit, ", ")})
	}
	at, when := r.At, "it is of"
	if at.IsZero() {
		at, when = fetched, "it was fetched"
	}
	// What is to come is as near as what was: an appointment in an hour wants looking
	// at as much as a message of an hour ago.
	age := now.Sub(at)
	word := "ago"
	if age < 0 {
		age, word = -age, "from now"
	}
	parts = append(parts, part{weightRecent * math.Exp2(-age.Hours()/halfLife.Hours()), fmt.Sprintf("%s %s %s", when, roughly(age), word)})
	for _, u := range urgent {
		if strings.Contains(text, u) {
			parts = append(parts, part{weightUrgent, "it says " + u})
			break
		}
	}
	if fresh {
		parts = append(parts, part{weightNew, "it was not there the fetch before"})
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(b.worth, a.worth) })
	whole := 1.0
	if len(words) == 0 {
		whole = 1 - weightMatch
	}
	for _, p := range parts {
		r.Score += p.worth / whole
		r.Reasons = append(r.Reasons, p.why)
	}
	r.Score = math.Round(1000*min(r.Score, 1)) / 1000
	return r
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// roughly returns a duration in its largest unit.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return counted(int(d/time.Second), "second")
	case d < time.Hour:
		return counted(int(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return counted(int(d/time.Hour), "hour")
	}
	return counted(int(d/(24*time.Hour)), "day")
}

// titleFields are where an item says what it is, the most telling first.
var titleFields = []string{"title", "headline", "subject", "summary", "name", "message", "text", "description", "label", "id"}

// titleOf returns an item in one line.
func titleOf(it json.RawMessage) string {
	it = bytes.TrimSpace(it)
	line := string(it)
	var s string
	var m map[string]json.RawMessage
	switch {
	case json.Unmarshal(it, &s) == nil:
		line = s
	case json.Unmarshal(it, &m) == nil:
		for _, f := range titleFields {
			if v, ok := m[f]; ok && json.Unmarshal(v, &s) == nil && strings.TrimSpace(s) != "" {
				line = s
				break
			}
		}
	}
	line = strings.Join(strings.Fields(line), " ")
	if len(line) > maxTitle {
		cut := maxTitle
		for cut > 0 && !utf8.RuneStart(line[cut]) {
			cut--
		}
		line = line[:cut] + "..."
	}
	return line
}

// briefItems is how many items a briefing names.
const briefItems = 10

// Briefing returns what is in /context, what changed and what does not work.
func (d Delivered) Briefing() Briefing {
	now := d.Timestamp
	out := Briefing{Timestamp: now, Headlines: []string{}, Attention: []string{}, Items: d.Relevance("", "", briefItems).Items}
	for _, c := range d.sorted() {
		fresh, gone := 0, 0
		var oldest *Module
		for i := range c.Modules {
			m := &c.Modules[i]
			n, g := d.change(m)
			fresh, gone = fresh+n, gone+g
			if oldest == nil || m.Fetched.Before(oldest.Fetched) {
				oldest = m
			}
		}
		line := fmt.Sprintf("%s: %s from %s", c.Category, counted(c.Summary.Items, "item"), counted(c.Summary.Modules, "module"))
		if fresh+gone > 0 {
			line += fmt.Sprintf(", %d new and %d gone since the fetch before", fresh, gone)
		}
		if oldest != nil {
			line += ", fetched up to " + roughly(now.Sub(oldest.Fetched)) + " ago"
			if oldest.Restored {
				out.Attention = append(out.Attention, fmt.Sprintf("%s has not delivered since the engine started: its data is of %s ago", oldest.Module, roughly(now.Sub(oldest.Fetched))))
			}
		}
		out.Headlines = append(out.Headlines, line)
	}
	for _, id := range slices.Sorted(maps.Keys(d.failing)) {
		why, _, _ := strings.Cut(d.failing[id], "\n")
		out.Attention = append(out.Attention, id+" fails: "+why)
	}
	lines := slices.Clone(out.Headlines)
	if len(lines) == 0 {
		lines = []string{"No module has delivered anything yet."}
	}
	if len(out.Attention) > 0 {
		lines = append(append(lines, "", "Wants looking at:"), out.Attention...)
	}
	if len(out.Items) > 0 {
		lines = append(lines, "", "Most relevant now:")
		for _, it := range out.Items {
			lines = append(lines, fmt.Sprintf("%s: %s (%s)", it.Module, it.Title, strings.Join(it.Reasons, ", ")))
		}
	}
	out.Text = strings.Join(lines, "\n")
	return out
}

// briefEvery is how often the briefing is made anew while somebody looks at it.
const briefEvery = 5 * time.Second

// briefReport is the briefing as published, at most briefEvery old.
type briefReport struct {
	mu   sync.Mutex
	last state.Report
}

// Briefing returns the briefing as it is published; delivered is called where it is to be
// made anew.
func (p *Pipeline) Briefing(now time.Time, delivered func() Delivered) state.Report {
	p.brief.mu.Lock()
	last := p.brief.last
	p.brief.mu.Unlock()
	if now.Sub(last.At) < briefEvery {
		return last
	}
	text := p.clean(delivered().Briefing().Text)
	last = state.Report{Title: "briefing of /context", Text: strings.ToValidUTF8(text[:min(len(text), maxReport)], ""), At: now}
	p.brief.mu.Lock()
	p.brief.last = last
	p.brief.mu.Unlock()
	return last
}
