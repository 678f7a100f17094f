package logs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Looking at files beyond their tails.
const (
	// maxViewers bounds the files that are open for this, maxViews the stretches.
	maxViewers = 4
	maxViews   = 8
	// viewGrace is how long an index is kept that nobody looks at.
	viewGrace = 30 * time.Second
	// viewSlots are the slots of a histogram.
	viewSlots = 240
	// viewWorkers leaves a core to everything else.
	viewWorkers = 1
)

// viewer answers the views of one file in a goroutine of its own: records first, then
// the index, then the search, each told as it comes.
type viewer struct {
	path   string
	until  time.Time // unwatched since, zero while watched
	cancel context.CancelFunc
	wg     sync.WaitGroup
	want   chan struct{}

	mu      sync.Mutex
	views   []state.LogView
	windows map[state.LogView]state.LogWindow
}

// watchViews starts and stops viewers as consoles look at files.
func (r *run) watchViews(now time.Time) {
	var in state.Interests
	if p := r.s.interests.Load(); p != nil {
		in = *p
	}
	byPath := map[string][]state.LogView{}
	for i, v := range in.Views() {
		// Only what is followed here can be looked at.
		path, ok := strings.CutPrefix(v.Source, "file:")
		if !ok || r.files[path] == nil || i >= maxViews {
			continue
		}
		byPath[path] = append(byPath[path], v)
	}
	for path, views := range byPath {
		v := r.viewers[path]
		if v == nil {
			if len(r.viewers) >= maxViewers {
				continue
			}
			v = startViewer(r.ctx, path, r.s.cfg.Mask, r.seen)
			r.viewers[path] = v
		}
		v.until = time.Time{}
		v.watch(views)
	}
	for path, v := range r.viewers {
		switch {
		case byPath[path] != nil:
		case v.until.IsZero():
			v.until = now
			v.watch(nil)
			r.dirty = true
		case now.Sub(v.until) > viewGrace:
			v.stop()
			delete(r.viewers, path)
		}
	}
}

// views are the windows as they stand, in a fixed order.
func (r *run) views() (out []state.LogWindow) {
	for _, v := range r.viewers {
		v.mu.Lock()
		for _, view := range v.views {
			if w, ok := v.windows[view]; ok {
				out = append(out, w)
			}
		}
		v.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b state.LogWindow) int {
		if c := strings.Compare(a.View.Source, b.View.Source); c != 0 {
			return c
		}
		return int(min(1, max(-1, a.View.At-b.View.At)))
	})
	return out
}

func startViewer(ctx context.Context, path string, mask func(string) string, seen chan<- struct{}) *viewer {
	ctx, cancel := context.WithCancel(ctx)
	v := &viewer{path: path, cancel: cancel, want: make(chan struct{}, 1), windows: map[state.LogView]state.LogWindow{}}
	v.wg.Go(func() { v.run(ctx, mask, seen) })
	return v
}

func (v *viewer) stop() {
	v.cancel()
	v.wg.Wait()
}

// watch says what is looked at from now on.
func (v *viewer) watch(views []state.LogView) {
	v.mu.Lock()
	same := slices.Equal(v.views, views)
	v.views = slices.Clone(views)
	for old := range v.windows {
		if !slices.Contains(views, old) {
			delete(v.windows, old)
		}
	}
	v.mu.Unlock()
	if !same {
		select {
		case v.want <- struct{}{}:
		default:
		}
	}
}

// pending is what is looked at.
func (v *viewer) pending() []state.LogView {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.views)
}

// run answers until ctx ends. A change of what is looked at interrupts reading in the
// background, which goes on where it was.
func (v *viewer) run(ctx context.Context, mask func(string) string, seen chan<- struct{}) {
	var x *Index
	found := map[string]Matches{}
	closeIndex := func() {
		if x != nil {
			_ = x.Close()
			x, found = nil, map[string]Matches{}
		}
	}
	defer closeIndex()
	tell := func() {
		select {
		case seen <- struct{}{}:
		default:
		}
	}
	answer := func() {
		for _, view := range v.pending() {
			w := v.window(ctx, x, view, found)
			v.mu.Lock()
			if slices.Contains(v.views, view) {
				v.windows[view] = w
			}
			v.mu.Unlock()
		}
		tell()
	}
	// refresh renews counts and keeps the records, which do not change.
	refresh := func() {
		s, slots := x.Stat(), x.Histogram(viewSlots)
		v.mu.Lock()
		for view, w := range v.windows {
			count(&w, s, slots, found[view.Find])
			v.windows[view] = w
		}
		v.mu.Unlock()
		tell()
	}
	grow := time.NewTicker(time.Second)
	defer grow.Stop()
	for {
		if len(v.pending()) > 0 {
			if x == nil {
				var err error
				if x, err = OpenIndex(v.path, mask); err != nil {
					v.fail(err)
					tell()
				}
			}
			if x != nil {
				known := x.Stat().Done
				answer()
				work, interrupt := context.WithCancel(ctx)
				var watch sync.WaitGroup
				ended := make(chan struct{})
				changed := false
				watch.Go(func() {
					select {
					case <-v.want:
						changed = true
						interrupt()
					case <-ended:
					}
				})
				err := v.background(work, x, found, refresh)
				close(ended)
				watch.Wait()
				interrupt()
				switch {
				case ctx.Err() != nil:
					return
				case changed:
					continue
				case errors.Is(err, ErrReplaced):
					closeIndex()
				case err != nil:
					v.fail(err)
					tell()
				case !known: // where a time is, only the index could say
					answer()
				}
			}
		}
		for idle := true; idle; {
			select {
			case <-ctx.Done():
				return
			case <-v.want:
				idle = false
			case <-grow.C:
				if len(v.pending()) == 0 {
					continue
				}
				if x == nil { // it could not be opened
					idle = false
					continue
				}
				size, err := x.Size()
				if errors.Is(err, ErrReplaced) {
					closeIndex()
					idle = false
				} else if err == nil && size > x.Stat().Indexed {
					idle = false
				}
			}
		}
	}
}

// background indexes the file and looks for what is to be found in it.
func (v *viewer) background(ctx context.Context, x *Index, found map[string]Matches, refresh func()) error {
	if s := x.Stat(); !s.Done || s.Indexed < s.Size {
		if err := x.Build(ctx, viewWorkers, func(IndexStat) { refresh() }); err != nil {
			return err
		}
	}
	for _, view := range v.pending() {
		if view.Find == "" || found[view.Find].Searched >= x.Stat().Size {
			continue
		}
		filter, err := record.Compile(view.Find)
		if err != nil {
			continue // the window says so
		}
		m, err := x.Search(ctx, Query{Where: filter}, viewWorkers, found[view.Find], func(m Matches) {
			m.Offsets = slices.Clone(m.Offsets)
			found[view.Find] = m
			refresh()
		})
		if err != nil {
			return err
		}
		found[view.Find] = m
		refresh()
	}
	return nil
}

// fail tells every view why there is nothing to see.
func (v *viewer) fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, view := range v.views {
		w := v.windows[view]
		w.View, w.Err, w.Previous, w.Next = view, state.Clean(err.Error()), -1, -1
		v.windows[view] = w
	}
}

// window reads a view's records.
func (v *viewer) window(ctx context.Context, x *Index, view state.LogView, found map[string]Matches) state.LogWindow {
	w := state.LogWindow{View: view, Previous: -1, Next: -1}
	size, err := x.Size()
	rows := min(max(view.Rows, 1), state.MaxViewRows)
	if err == nil && view.Find != "" {
		_, err = record.Compile(view.Find)
	}
	at := view.At
	switch {
	case err != nil:
	case view.Time != 0:
		at, _, err = x.At(ctx, view.Time)
	case at < 0 || at > size:
		at = size
	default:
		at, err = x.Align(at)
	}
	var before, after []Entry
	if err == nil {
		before, err = x.Before(at, rows)
	}
	if err == nil {
		after, err = x.After(at, rows)
	}
	if err != nil {
		w.Err = state.Clean(err.Error())
		return w
	}
	w.Middle = at
	for _, e := range append(before, after...) {
		w.Records, w.Offsets = append(w.Records, e.LogRecord), append(w.Offsets, e.Offset)
	}
	count(&w, x.Stat(), x.Histogram(viewSlots), found[view.Find])
	return w
}

// count puts what is known of the whole file into a window.
func count(w *state.LogWindow, s IndexStat, slots []state.LogSlot, m Matches) {
	if w.Err != "" {
		return
	}
	w.Size, w.Indexed, w.Levels, w.Slots = s.Size, s.Indexed, s.Levels, slots
	w.Searched, w.Matches, w.Previous, w.Next = m.Searched, m.Count, -1, -1
	if at, ok := m.Previous(w.Middle); ok {
		w.Previous = at
	}
	if at, ok := m.Next(w.Middle); ok {
		w.Next = at
	}
}
