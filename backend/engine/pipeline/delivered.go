package pipeline

import (
	"maps"
	"slices"
	"time"
)

// Delivered is what all enabled modules last gave, as of one moment.
type Delivered struct {
	Context
	// failing are the modules that fail, with why.
	failing map[string]string
	// before has, of each module, the hashes of the items of its fetch before the last.
	before map[string]map[uint64]bool
	clean  func(string) string
}

// Delivered returns what was delivered by now. stale are the modules, by category, whose
// last fetch failed: their data is of before. failing are those that fail, with why.
func (p *Pipeline) Delivered(now time.Time, stale map[string][]string, failing map[string]string) Delivered {
	d := Delivered{Context: p.data.all(now), failing: failing, clean: p.clean}
	p.data.mu.Lock()
	d.before = maps.Clone(p.data.before)
	p.data.mu.Unlock()
	for name, ids := range stale {
		if cat := d.Categories[name]; cat != nil {
			slices.Sort(ids)
			with := *cat
			with.Summary.Failing = ids
			with.Modules = slices.Clone(with.Modules)
			for i := range with.Modules {
				if o := &with.Modules[i]; slices.Contains(ids, o.Module) {
					o.Stale, o.Age = true, d.Timestamp.Sub(o.Fetched).Round(time.Millisecond).Seconds()
				}
			}
			d.Categories[name] = &with
		}
	}
	return d
}

// Category returns the part of one category; false where nothing was delivered.
func (d Delivered) Category(name string) (*Category, bool) {
	c, ok := d.Categories[name]
	return c, ok
}

// sorted returns the categories by name.
func (d Delivered) sorted() (out []*Category) {
	for _, name := range slices.Sorted(maps.Keys(d.Categories)) {
		out = append(out, d.Categories[name])
	}
	return out
}
