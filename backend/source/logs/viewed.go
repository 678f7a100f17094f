package logs

import (
	"slices"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/logs/index"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Looking at files beyond their tails.
const (
	// maxViewers bounds the files that are open for this, maxViews the stretches.
	maxViewers = 4
	maxViews   = 8
	// viewGrace is how long an index is kept that is not viewed any more.
	viewGrace = 30 * time.Second
)

// viewedFile is a followed file that is viewed beyond its tail.
type viewedFile struct {
	viewer *index.Viewer
	until  time.Time // unwatched since, zero while watched
}

// watchViews starts and stops viewers as consoles view files.
func (r *run) watchViews(now time.Time) {
	var in state.Interests
	if p := r.s.interests.Load(); p != nil {
		in = *p
	}
	byPath := map[string][]state.LogView{}
	for i, v := range in.Views() {
		// Only what is followed here can be viewed.
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
			v = &viewedFile{viewer: index.StartViewer(r.ctx, path, r.s.cfg.Mask, r.seen)}
			r.viewers[path] = v
		}
		v.until = time.Time{}
		v.viewer.Watch(views)
	}
	for path, v := range r.viewers {
		switch {
		case byPath[path] != nil:
		case v.until.IsZero():
			v.until = now
			v.viewer.Watch(nil)
			r.dirty = true
		case now.Sub(v.until) > viewGrace:
			v.viewer.Stop()
			delete(r.viewers, path)
		}
	}
}

// views returns the windows as they stand, in a fixed order.
func (r *run) views() (out []state.LogWindow) {
	for _, v := range r.viewers {
		out = append(out, v.viewer.Windows()...)
	}
	slices.SortFunc(out, func(a, b state.LogWindow) int {
		if c := strings.Compare(a.View.Source, b.View.Source); c != 0 {
			return c
		}
		return int(min(1, max(-1, a.View.At-b.View.At)))
	})
	return out
}
