package index

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Looking at files beyond their tails.
const (
	// viewGap is the shortest time between two publications of one view, countsGap of
	// the counts of all.
	viewGap   = 100 * time.Millisecond
	countsGap = 20 * time.Millisecond
	// viewSlots are the slots of a histogram.
	viewSlots = 240
	// viewWorkers leaves a core to everything else.
	viewWorkers = 1
)

// Viewer answers the views of one log in a goroutine of its own: records first, then
// what was asked to be found, then counts and the index, each told as it comes.
type Viewer struct {
	path   string
	mask   func(string) string
	cancel context.CancelFunc
	wg     sync.WaitGroup
	want   chan struct{}
	seen   chan<- struct{}

	mu      sync.Mutex
	views   []state.LogView
	windows map[state.LogView]state.LogWindow

	// Of its goroutine alone.
	log      chain
	requests map[state.LogView]*viewRequest
	size     int64 // of the live file when the views were last answered
	notified time.Time
}

// viewRequest is how far a view has been answered.
type viewRequest struct {
	view          state.LogView
	keep          *selector // nil where nothing is left out
	find          *selector // nil where nothing is looked for
	at            int64     // of the record in the middle
	found         bool      // at is known
	missing       bool      // there is none
	seek          *walker   // that searches for it
	searched      int64     // bytes of a part that was read for it, and of how many
	toSearch      int64
	before, after *walker
	err           error
}

// StartViewer returns a viewer that answers the views of the log of that path, known secrets masked.
// seen is signalled whenever a window is another than before; it should be buffered.
func StartViewer(ctx context.Context, path string, mask func(string) string, seen chan<- struct{}) *Viewer {
	ctx, cancel := context.WithCancel(ctx)
	v := &Viewer{path: path, mask: mask, cancel: cancel, want: make(chan struct{}, 1), seen: seen, windows: map[state.LogView]state.LogWindow{},
		log: chain{path: path, mask: mask}, requests: map[state.LogView]*viewRequest{}}
	v.wg.Go(func() { v.run(ctx) })
	return v
}

// Stop ends it, and waits until its files are closed.
func (v *Viewer) Stop() {
	v.cancel()
	v.wg.Wait()
}

// Windows returns what is answered of the views, in no order.
func (v *Viewer) Windows() (out []state.LogWindow) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, view := range v.views {
		if w, ok := v.windows[view]; ok {
			out = append(out, w)
		}
	}
	return out
}

// Watch sets the views to answer from now on.
func (v *Viewer) Watch(views []state.LogView) {
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

// pending returns the views to answer.
func (v *Viewer) pending() []state.LogView {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.views)
}

// run answers until ctx ends. A change of the views interrupts what is being
// read, which goes on where it was.
func (v *Viewer) run(ctx context.Context) {
	defer v.log.close()
	grow := time.NewTicker(time.Second)
	defer grow.Stop()
	for {
		if len(v.pending()) > 0 {
			work, interrupt := context.WithCancel(ctx)
			var watch sync.WaitGroup
			ended, changed := make(chan struct{}), false
			watch.Go(func() {
				select {
				case <-v.want:
					changed = true
					interrupt()
				case <-ended:
				}
			})
			err := v.work(work)
			close(ended)
			watch.Wait()
			interrupt()
			switch {
			case ctx.Err() != nil:
				return
			case changed:
				continue
			case err != nil && !errors.Is(err, ErrReplaced):
				v.fail(err)
			}
		}
		for idle := true; idle; {
			select {
			case <-ctx.Done():
				return
			case <-v.want:
				idle = false
			case <-grow.C:
				idle = len(v.pending()) == 0 || !v.grown()
			}
		}
	}
}

// grown reports whether there is something that was not read yet.
func (v *Viewer) grown() bool {
	changed, err := v.log.refresh()
	if changed || err != nil || v.live() != v.size {
		return true
	}
	for _, p := range v.log.parts {
		if p.packed != nil && !p.live {
			continue
		}
		if size, indexed := p.extent(); size != indexed {
			if p.packed == nil {
				return true
			}
			if size, err := p.Size(); err != nil || size != indexed {
				return true
			}
		}
	}
	return false
}

// live returns the size of the live file in bytes, 0 while there is none.
func (v *Viewer) live() (size int64) {
	for _, p := range v.log.parts {
		if p.live {
			size, _ = p.extent()
		}
	}
	return size
}

// work answers all views as far as it comes until ctx ends.
func (v *Viewer) work(ctx context.Context) error {
	if _, err := v.log.refresh(); err != nil && len(v.log.parts) == 0 {
		return err
	}
	v.size = v.live() // what comes while the views are answered is for the next time
	views := v.pending()
	looks := make(map[state.LogView]*viewRequest, len(views))
	var keys []string
	for _, view := range views {
		l := v.requests[view]
		if l == nil || l.err != nil {
			l = newViewRequest(view)
		}
		l.renew()
		looks[view] = l
		for _, s := range []*selector{l.keep, l.find} {
			if s != nil {
				keys = append(keys, s.key)
			}
		}
	}
	v.requests = looks
	v.log.forget(keys)
	// What needs no search first.
	for _, quick := range []bool{true, false} {
		for _, view := range views {
			l := looks[view]
			if quick == (view.Time != 0 || view.Seek != "" || view.Filters()) {
				continue
			}
			if err := v.answer(ctx, l); err != nil {
				if ctx.Err() != nil || errors.Is(err, ErrReplaced) {
					return err
				}
				l.err = err
			}
			v.notify(l)
		}
	}
	for _, view := range views {
		for _, s := range []*selector{looks[view].keep, looks[view].find} {
			if s == nil || looks[view].err != nil {
				continue
			}
			if err := v.log.count(ctx, s, v.refresh); err != nil {
				return err
			}
		}
	}
	for _, p := range slices.Backward(v.log.parts) {
		if err := v.log.index(ctx, p, v.refresh); err != nil {
			return err
		}
	}
	for _, view := range views {
		v.notify(looks[view])
	}
	return nil
}

func newViewRequest(view state.LogView) *viewRequest {
	l := &viewRequest{view: view}
	if view.Filters() {
		l.keep = l.selector(view.Keep, view.Least)
	}
	if view.Find != "" {
		text := view.Find
		if view.Keep != "" {
			text = "(" + view.Keep + ") (" + view.Find + ")"
		}
		l.find = l.selector(text, view.Least)
	}
	return l
}

func (l *viewRequest) selector(text string, least state.Level) *selector {
	s := &selector{q: scan.Query{Least: least}, key: least.String() + ":" + text}
	if text != "" {
		f, err := record.Compile(text)
		if err != nil {
			l.err = err
			return nil
		}
		s.q.Where, s.q.Least = f, max(least, f.Least())
	}
	return s
}

// renew resets what had come to the log's end: it may have grown.
func (l *viewRequest) renew() {
	if l.view.At < 0 && l.view.Time == 0 && l.view.Seek == "" {
		l.found = false
	}
	if !l.found || l.missing || l.after != nil && l.after.done {
		l.after = nil
	}
	if !l.found || l.missing {
		l.found, l.missing, l.seek, l.before = false, false, nil, nil
	}
}

// answer finds a view's record and what stands around it.
func (v *Viewer) answer(ctx context.Context, l *viewRequest) error {
	if l.err != nil {
		return l.err
	}
	if !l.found {
		if err := v.locate(ctx, l); err != nil {
			return err
		}
		l.found = true
	}
	rows := min(max(l.view.Rows, 1), state.MaxViewRows)
	var err error
	if l.before == nil {
		if l.before, err = v.log.walk(l.at, true, rows, l.keep); err != nil {
			return err
		}
	}
	if l.after == nil {
		if l.after, err = v.log.walk(l.at, false, rows, l.keep); err != nil {
			return err
		}
	}
	// By turns, the one that has found less.
	for !l.before.ended() || !l.after.ended() {
		w := l.before
		if w.ended() || !l.after.ended() && len(l.after.found) <= len(w.found) {
			w = l.after
		}
		if err := w.step(ctx); err != nil {
			return err
		}
		v.notifySoon(l)
	}
	return nil
}

// locate finds the record that a view means.
func (v *Viewer) locate(ctx context.Context, l *viewRequest) (err error) {
	if l.view.Seek != "" {
		return v.seek(ctx, l)
	}
	l.at, err = v.place(ctx, l)
	return err
}

// place returns where a view begins.
func (v *Viewer) place(ctx context.Context, l *viewRequest) (int64, error) {
	switch {
	case l.view.Time != 0:
		return v.log.at(ctx, l.view.Time, func(p *part) {
			l.toSearch, l.searched = p.extent()
			v.notifySoon(l)
		})
	case l.view.At < 0:
		i, off, err := v.log.find(-1)
		if err != nil {
			return 0, err
		}
		return v.log.parts[i].place(off), nil
	}
	return v.log.align(l.view.At)
}

// seek moves from a view's place to the next record that it names.
func (v *Viewer) seek(ctx context.Context, l *viewRequest) error {
	s := l.find
	if l.view.Seek == state.SeekError {
		if s = l.selector(l.view.Keep, max(l.view.Least, state.LevelError)); s == nil {
			return l.err
		}
	}
	if s == nil {
		return errors.New("there is nothing to search for")
	}
	from, err := v.place(ctx, l)
	if err != nil {
		return err
	}
	w := l.seek
	if w == nil {
		n := 1
		if !l.view.Back {
			n = 2 // the record that it begins with may be one
		}
		if w, err = v.log.walk(from, l.view.Back, n, s); err != nil {
			return err
		}
		l.seek = w
	}
	size, _, before := v.log.extent(from)
	if l.toSearch = size - before; l.view.Back {
		l.toSearch = before
	}
	hit := func() (int64, bool) {
		for _, e := range w.found {
			if e.Offset != from {
				return e.Offset, true
			}
		}
		return 0, false
	}
	for {
		if at, ok := hit(); ok {
			l.at = at
			return nil
		}
		if w.ended() {
			l.at, l.missing = from, true
			return nil
		}
		if err := w.step(ctx); err != nil {
			return err
		}
		l.searched = w.searched
		v.notifySoon(l)
	}
}

// fail sets the error of every view.
func (v *Viewer) fail(err error) {
	v.mu.Lock()
	for _, view := range v.views {
		w := v.windows[view]
		w.View, w.Err = view, state.Clean(err.Error())
		v.windows[view] = w
	}
	v.mu.Unlock()
	v.signal()
}

// signal signals that a window has changed.
func (v *Viewer) signal() {
	v.notified = time.Now()
	select {
	case v.seen <- struct{}{}:
	default:
	}
}

// notify publishes a view as far as it is answered.
func (v *Viewer) notify(l *viewRequest) {
	w := v.window(l)
	v.mu.Lock()
	if slices.Contains(v.views, l.view) {
		v.windows[l.view] = w
	}
	v.mu.Unlock()
	v.signal()
}

// notifySoon calls notify, but not too often.
func (v *Viewer) notifySoon(l *viewRequest) {
	if time.Since(v.notified) >= viewGap {
		v.notify(l)
	}
}

// refresh publishes the counts of all views.
func (v *Viewer) refresh() {
	if time.Since(v.notified) < countsGap {
		return // work publishes the last of it
	}
	for _, l := range v.requests {
		v.notify(l)
	}
}

// window returns a view as far as it is answered.
func (v *Viewer) window(l *viewRequest) state.LogWindow {
	w := state.LogWindow{View: l.view, Middle: l.at, Files: len(v.log.parts), Unread: v.log.unread}
	if l.err != nil {
		w.Err = state.Clean(l.err.Error())
		return w
	}
	if !l.found {
		w.Pending, w.Looked, w.ToLook = true, min(l.searched, l.toSearch), l.toSearch
	}
	w.Missing = l.missing
	if l.before != nil && l.after != nil {
		for _, found := range [][]Entry{l.before.found, l.after.found} {
			for _, e := range found {
				w.Records, w.Offsets = append(w.Records, e.LogRecord), append(w.Offsets, e.Offset)
			}
		}
		w.Filling = !l.before.ended() || !l.after.ended()
		w.First, w.Last = l.before.done, l.after.done
	}
	w.Size, w.Indexed, w.Before = v.log.extent(l.at)
	passed, matched := "", ""
	for _, p := range v.log.parts {
		for i, n := range p.Stat().Levels {
			w.Levels[i] += n
		}
	}
	if l.keep != nil {
		passed = l.keep.key
		w.Passed, w.Searched = v.log.counted(passed)
	}
	if l.find != nil {
		matched = l.find.key
		n, searched := v.log.counted(matched)
		if w.Matches = n; l.keep == nil || searched < w.Searched {
			w.Searched = searched
		}
	}
	w.Searched = min(w.Searched, w.Size)
	w.Slots = v.log.histogram(viewSlots, passed, matched)
	return w
}
