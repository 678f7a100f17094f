package config

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Watch counts the records of some logs that pass a filter, as they are written.
type Watch struct {
	// Name is that of its series' label and of its alert: letters, digits, "-", "_", ".".
	Name string `yaml:"name"`
	// Source is a log source's title or path, or a glob of them: "logs/*.log",
	// "container:api", "container:*".
	Source string `yaml:"source"`
	// Where is the filter, in the language of `opsdeck logs --where`.
	Where string `yaml:"where"`
	// Window is how long a record counts, 1s to 24h; default 5m.
	Window Duration `yaml:"window,omitempty"`
	// Above makes an alert of it: it fires while more records than that passed within
	// the window, for longer than For. Without it there is only the series.
	Above    *int     `yaml:"above,omitempty"`
	For      Duration `yaml:"for,omitempty"`
	Severity string   `yaml:"severity,omitempty"` // default "warning"
	// Runbook is a URL, or a line of what to do.
	Runbook string `yaml:"runbook,omitempty"`
}

// DefaultWindow is a watch's window where it names none.
const DefaultWindow = 5 * time.Minute

// Span returns the window with its default.
func (w Watch) Span() time.Duration { return cmp.Or(time.Duration(w.Window), DefaultWindow) }

// Names returns the filters that may be named after an @: the built-in ones and the file's.
func (f *File) Names() record.Names { return record.BuiltinFilters().With(f.Filters) }

// checkWatches calls check with each mistake in filters and watches.
func (f *File) checkWatches(check func(ok bool, path, format string, args ...any)) {
	names := f.Names()
	for _, name := range record.Names(f.Filters).Sorted() {
		at := "$.filters.'" + name + "'"
		check(record.ValidName(name), at, "%q is no name for a filter: expected letters, digits, - and _", name)
		_, shipped := record.BuiltinFilters()[name]
		check(!shipped, at, "@%s is there already, among those that opsdeck brings: choose another name", name)
		check(f.Filters[name] != "", at, "the filter is empty: expected one such as status>=500 not healthz")
		_, err := record.CompileWith(f.Filters[name], names)
		check(err == nil, at, "%v", err)
	}
	for i, w := range f.Watches {
		at := fmt.Sprintf("$.watches[%d]", i)
		check(record.ValidName(w.Name), at+".name", "%q: expected a word of letters, digits, - and _", w.Name)
		check(!slices.ContainsFunc(f.Watches[:i], func(x Watch) bool { return x.Name == w.Name }), at+".name", "%q: another watch has that name", w.Name)
		_, err := path.Match(w.Source, "")
		check(w.Source != "" && err == nil, at+".source", "%q: expected a log's title or a glob, such as logs/app.log, logs/*.log or container:api", w.Source)
		check(w.Where != "", at+".where", "expected a filter, such as level>=error or status>=500 not healthz")
		_, err = record.CompileWith(w.Where, names)
		check(err == nil, at+".where", "%v", err)
		check(w.Window == 0 || time.Duration(w.Window) >= time.Second && time.Duration(w.Window) <= 24*time.Hour, at+".window", "%s: expected 1s to 24h", time.Duration(w.Window))
		check(w.For >= 0, at+".for", "%s: expected a duration such as 1m", time.Duration(w.For))
		check(w.Above == nil || *w.Above >= 0, at+".above", "expected 0 or more")
		check(w.Above != nil || w.For == 0 && w.Severity == "" && w.Runbook == "", at, "for, severity and runbook are those of an alert: add above, the number of records from which it fires")
	}
}

// FiltersOf returns the file's own filters in the terms of the logs section, by name.
func (f *File) FiltersOf() (out []state.LogFilter) {
	for _, name := range record.Names(f.Filters).Sorted() {
		out = append(out, state.LogFilter{Name: name, Where: f.Filters[name]})
	}
	return out
}
