package pipeline

import (
	"encoding/json"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"time"
)

// Summary says in a few words what a category, or one module of it, holds.
type Summary struct {
	Items   int       `json:"items"`
	Modules int       `json:"modules,omitempty"`
	Newest  time.Time `json:"newest,omitzero"`
	// Oldest is the fetch time of the module that was fetched longest ago.
	Oldest time.Time `json:"oldest_fetch,omitzero"`
	// Failing are the modules whose last fetch failed: their data is of before.
	Failing []string `json:"failing,omitempty"`
}

// Module is what one module last gave.
type Module struct {
	Module    string    `json:"module_id"`
	Platform  string    `json:"platform"`
	Fetched   time.Time `json:"fetched_at"`
	Newest    time.Time `json:"newest,omitzero"`
	Items     int       `json:"items"`
	Truncated bool      `json:"truncated,omitempty"`
	// Restored says that it is of before the engine's last start.
	Restored bool `json:"restored,omitempty"`
	// Stale says that fetches fail since; Age is then how old the data is, in seconds.
	Stale bool              `json:"stale,omitempty"`
	Age   float64           `json:"age_seconds,omitempty"`
	Data  []json.RawMessage `json:"data"`
}

// Category is what all modules of one category last gave.
type Category struct {
	Category string    `json:"category"`
	Summary  Summary   `json:"summary"`
	Updated  time.Time `json:"updated_at"`
	Modules  []Module  `json:"modules"` // by ID
}

// Context is what /context serves.
type Context struct {
	Timestamp  time.Time            `json:"timestamp"`
	Categories map[string]*Category `json:"categories"`
}

// Store holds the merged results. What was delivered is never changed.
type Store struct {
	mu sync.Mutex
	// merged and summaries are work in progress; delivered is what is served.
	merged    map[string]map[string]Module
	summaries map[string]Summary
	delivered map[string]*Category
	// dirty are the modules whose delivered results are not on disk yet; their value
	// is the category, "" for those that were dropped.
	dirty map[string]string
	// before has, of each module, the hashes of the items of its fetch before the last.
	before map[string]map[uint64]bool
}

func newStore() *Store {
	return &Store{merged: map[string]map[string]Module{}, summaries: map[string]Summary{}, delivered: map[string]*Category{},
		dirty: map[string]string{}, before: map[string]map[uint64]bool{}}
}

// aggregate merges a module's items into its category: the newest fetch wins.
func (c *Store) aggregate(j *Job) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	cat := c.merged[j.category]
	if cat == nil {
		cat = map[string]Module{}
		c.merged[j.category] = cat
	}
	if old, ok := cat[j.module]; ok && old.Fetched.After(j.fetched) {
		return nil
	}
	data := j.items
	if data == nil {
		data = []json.RawMessage{}
	}
	if old, ok := cat[j.module]; ok {
		c.before[j.module] = hashes(old.Data)
	}
	cat[j.module] = Module{Module: j.module, Platform: j.platform, Fetched: j.fetched.UTC(), Newest: j.newest, Items: j.summary.Items, Truncated: j.truncated, Data: data}
	return nil
}

// synthesize summarises the category.
func (c *Store) synthesize(j *Job) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.summaries[j.category] = c.summary(j.category)
	return nil
}

func (c *Store) summary(category string) Summary {
	var s Summary
	for _, m := range c.merged[category] {
		s.Modules++
		s.Items += m.Items
		if m.Newest.After(s.Newest) {
			s.Newest = m.Newest
		}
		if s.Oldest.IsZero() || m.Fetched.Before(s.Oldest) {
			s.Oldest = m.Fetched
		}
	}
	return s
}

// deliver puts the category where /context finds it.
func (c *Store) deliver(j *Job) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.publish(j.category, j.fetched)
	c.dirty[j.module] = j.category
	return nil
}

func (c *Store) publish(category string, at time.Time) {
	mods := c.merged[category]
	if len(mods) == 0 {
		delete(c.delivered, category)
		return
	}
	out := &Category{Category: category, Summary: c.summaries[category], Updated: at.UTC()}
	for _, id := range slices.Sorted(maps.Keys(mods)) {
		out.Modules = append(out.Modules, mods[id])
	}
	c.delivered[category] = out
}

// Drop forgets a module that no longer runs.
func (c *Store) Drop(category, module string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.merged[category][module]; !ok {
		return
	}
	delete(c.merged[category], module)
	delete(c.before, module)
	c.dirty[module] = ""
	c.summaries[category] = c.summary(category)
	c.publish(category, time.Now())
}

// all returns everything delivered.
func (c *Store) all(now time.Time) Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Context{Timestamp: now.UTC(), Categories: maps.Clone(c.delivered)}
}

// unsaved returns the results that changed since the last call, and the modules whose
// results were dropped.
func (c *Store) unsaved() (changed []keptResult, dropped []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, category := range c.dirty {
		if m, ok := c.merged[category][id]; ok {
			changed = append(changed, keptResult{category, m})
		} else {
			dropped = append(dropped, id)
		}
	}
	clear(c.dirty)
	return changed, dropped
}

// again says that these were not saved.
func (c *Store) again(changed []keptResult, dropped []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range changed {
		if _, ok := c.dirty[k.module.Module]; !ok {
			c.dirty[k.module.Module] = k.category
		}
	}
	for _, id := range dropped {
		if _, ok := c.dirty[id]; !ok {
			c.dirty[id] = ""
		}
	}
}

// restore delivers results of before a restart, but none in place of a newer one.
func (c *Store) restore(kept []keptResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range kept {
		cat := c.merged[k.category]
		if cat == nil {
			cat = map[string]Module{}
			c.merged[k.category] = cat
		}
		if _, ok := cat[k.module.Module]; ok {
			continue
		}
		cat[k.module.Module] = k.module
		c.summaries[k.category] = c.summary(k.category)
		c.publish(k.category, k.module.Fetched)
	}
}

// hashes tell items from others.
func hashes(items []json.RawMessage) map[uint64]bool {
	out := make(map[uint64]bool, len(items))
	for _, it := range items {
		out[itemHash(it)] = true
	}
	return out
}

func itemHash(it json.RawMessage) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(it)
	return h.Sum64()
}
