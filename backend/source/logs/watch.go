package logs

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Watch has the records of some sources counted that pass a filter, as they come.
type Watch struct {
	// Name is unique among the watches.
	Name string
	// Source is a title or path or a glob of them; "container:" before it means
	// containers alone.
	Source string
	// Where is the filter as it was written, Filter as it was compiled.
	Where  string
	Filter *record.Filter
	// Window is how long a record counts.
	Window time.Duration
}

// steps are in how many parts a window is counted.
const steps = 60

// lastBytes is how much is kept of the newest record that passed.
const lastBytes = 2 << 10

// watcher is a watch with its counts. It belongs to the loop's goroutine.
type watcher struct {
	Watch
	searcher *scan.Searcher
	since    time.Time
	total    uint64
	// slots has what passed in each part of the window, slot the number of the newest
	// part since the epoch.
	slots [steps]uint64
	slot  int64
	// last is the newest record that passed, as it was written.
	last       string
	lastSource string
	lastAt     time.Time
	sources    int
	recent     uint64 // as published
}

func newWatcher(w Watch, now time.Time) *watcher {
	x := &watcher{Watch: w, searcher: scan.NewSearcher(&scan.Query{Where: w.Filter, Parse: true}, 0), since: now}
	x.turn(now)
	return x
}

// turn advances the window to now.
func (w *watcher) turn(now time.Time) {
	slot := now.UnixNano() / max(1, int64(w.Window)/steps)
	for n := min(slot-w.slot, steps); n > 0; n-- {
		w.slots[(slot-n+1)%steps] = 0
	}
	w.slot = max(w.slot, slot)
}

// within returns what passed in the window that ends with the last turn.
func (w *watcher) within() (n uint64) {
	for _, x := range w.slots {
		n += x
	}
	return n
}

// matches reports whether a source is watched.
func (w *watcher) matches(src *state.LogSource) bool {
	pattern, container := strings.CutPrefix(w.Source, "container:")
	if container && src.Kind != "container" {
		return false
	}
	for _, name := range []string{src.Title, src.Path} {
		if ok, _ := path.Match(pattern, filepath.ToSlash(name)); name != "" && (ok || name == pattern) {
			return true
		}
	}
	return false
}

// state returns the watch as it is published.
func (w *watcher) state() state.LogWatch {
	w.recent = w.within()
	return state.LogWatch{Name: w.Name, Source: state.Clean(w.Source), Sources: w.sources, Where: state.Clean(w.Where), Window: w.Window, Since: w.since,
		Matches: w.total, Recent: w.recent, Last: state.Clean(w.last), LastSource: w.lastSource, LastAt: w.lastAt}
}

// watched are the lines of one source on their way to its watches. What its last
// record goes on with may be still to come, so that it is held back until another
// begins or nothing has come for a moment. However many watches there are, the source
// is read once.
type watched struct {
	watchers []*watcher
	block    scan.Found
	at       time.Time // when lines came last
}

// add adds whole lines that are new.
func (s *stream) watch(data []byte, now time.Time) {
	w := s.watched
	if w == nil {
		return
	}
	w.block.Data = append(w.block.Data, s.mask(string(data))...)
	w.at = now
	n := scan.LastHead(w.block.Data)
	if n == 0 && len(w.block.Data) >= blockSize {
		n = len(w.block.Data)
	}
	s.judge(n, now)
}

// rest counts what was held back once it has been quiet for long enough, and reports
// whether there was anything.
func (s *stream) rest(now time.Time) bool {
	w := s.watched
	if w == nil || len(w.block.Data) == 0 || now.Sub(w.at) < scan.QuietFor {
		return false
	}
	s.judge(len(w.block.Data), now)
	return true
}

// judge counts the first n bytes of what is held in the watches.
func (s *stream) judge(n int, now time.Time) {
	if n == 0 {
		return
	}
	w := s.watched
	all := w.block.Data
	w.block.Data = all[:n]
	for _, x := range w.watchers {
		x.searcher.Search(&w.block)
		if w.block.Matched == 0 {
			continue
		}
		x.turn(now)
		x.total += uint64(w.block.Matched)
		x.slots[x.slot%steps] += uint64(w.block.Matched)
		last := w.block.Hits[len(w.block.Hits)-1]
		x.last = strings.Clone(cutText(w.block.Text(last), lastBytes))
		x.lastSource, x.lastAt = s.src.Title, now
		if !last.Guessed {
			x.lastAt = time.Unix(0, last.Nanos)
		}
	}
	w.block.Data = append(all[:0], all[n:]...)
	if cap(w.block.Data) > 2*blockSize {
		w.block.Data = slices.Clone(w.block.Data)
	}
}

// cutText returns at most n bytes of s, whole characters.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + " ..."
}

// Watching is what is watched, and the filters that have a name.
type Watching struct {
	Watches []Watch
	Filters []state.LogFilter
}

// SetWatching replaces the watches. One that is unchanged, in its name and all else,
// continues to count.
func (s *Source) SetWatching(w Watching) {
	s.watching.Store(&w)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// rewatch applies what was set last.
func (r *run) rewatch(now time.Time) {
	set := r.s.watching.Load()
	if set == r.watching {
		return
	}
	r.watching, r.dirty = set, true
	var next []*watcher
	for _, w := range set.Watches {
		i := slices.IndexFunc(r.s.watchers, func(x *watcher) bool {
			return x.Name == w.Name && x.Source == w.Source && x.Where == w.Where && x.Window == w.Window
		})
		if i < 0 {
			next = append(next, newWatcher(w, now))
			continue
		}
		was := r.s.watchers[i] // a filter that it names may have changed
		was.Watch, was.searcher = w, scan.NewSearcher(&scan.Query{Where: w.Filter, Parse: true}, 0)
		next = append(next, was)
	}
	r.s.watchers = next
	r.assign()
}

// assign sets the watches of every source.
func (r *run) assign() {
	for _, w := range r.s.watchers {
		w.sources = 0
	}
	for _, f := range r.files {
		r.assignTo(f.stream)
	}
	for _, b := range r.remotes {
		r.assignTo(b.stream)
	}
}

func (r *run) assignTo(s *stream) {
	var by []*watcher
	for _, w := range r.s.watchers {
		if w.matches(&s.src) {
			w.sources++
			by = append(by, w)
		}
	}
	switch {
	case len(by) == 0:
		s.watched = nil
	case s.watched == nil:
		s.watched = &watched{watchers: by}
	default:
		s.watched.watchers = by
	}
}

// watches advances the windows, and reports whether a count has changed.
func (r *run) watches(now time.Time) (changed bool) {
	for _, w := range r.s.watchers {
		w.turn(now)
		changed = changed || w.within() != w.recent
	}
	return changed
}
