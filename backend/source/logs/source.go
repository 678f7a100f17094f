package logs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Timings of the loop.
const (
	pollIdle = 100 * time.Millisecond
	pollBusy = 10 * time.Millisecond
	// rateEvery is how often the rates of container logs are computed; they are means
	// over a second.
	rateEvery = 200 * time.Millisecond
	pollHot   = time.Millisecond
	rescan    = time.Second
	// publishGap is the shortest time between two publications in a flood, whose lines
	// then need not all be parsed; without one they are made at once.
	publishGap  = 100 * time.Millisecond
	quickGap    = 20 * time.Millisecond
	partAfter   = time.Second
	forgetAfter = time.Minute
)

// hotBytes is how much a look must have read for the next one to follow at once:
// some 6 MB/s. What is written and truncated away between two polls is lost.
const hotBytes = 64 << 10

// Default sizes of what is retained, in bytes.
const (
	DefaultMaxBytes = 4 << 20
	DefaultMaxTotal = 24 << 20
)

// Config selects what is followed.
type Config struct {
	// Files are paths and globs. A path without a wildcard is listed even while
	// there is no such file.
	Files []string
	// Remote are files on other hosts, ssh://[user@]host[:port]/path, read without
	// prompting for a password. SSH is the program that reads them, by default ssh.
	Remote []string
	SSH    string
	// Root is what titles are relative to, by default the working directory.
	Root string
	// Containers opens container logs; nil for none.
	Containers ContainerLogs
	// Journals are folders of systemd's journal: where one holds something, the journal
	// is listed. nil for none.
	Journals []string
	// Mask hides secrets in text that may hold many lines; it must keep line ends.
	// nil hides none.
	Mask func(string) string
	// MaxBytes bounds what is retained of one source, MaxTotal of all; 0 is the default.
	MaxBytes, MaxTotal int
	// Rotations say how files are rotated: the first whose Files match wins, and a
	// file that none matches is rotated by copy and truncate.
	Rotations []RotationRule
	// Rotate asks for the rotation of a file that is due, and why; nil: none is. It
	// must not wait.
	Rotate func(ctx context.Context, path, why string)
	// Tap is given the lines that speak of a "complexity", of files, also on other hosts, and
	// of container logs that are shown, with their times; it may be nil. It must not wait.
	Tap func(at time.Time, line string)
	// Watching is what is watched at first; [Source.SetWatching] changes it.
	Watching Watching
}

// newStream returns the stream of one source.
func (s *Source) newStream(src state.LogSource) *stream {
	st := newStream(src, s.cfg.MaxBytes, s.cfg.Mask)
	st.tap = s.cfg.Tap
	return st
}

// Source is the logs source. Its methods may be called from any goroutine.
type Source struct {
	cfg       Config
	interests atomic.Pointer[state.Interests]
	wake      chan struct{}
	polls     bool // files are never watched, for comparison
	calls     chan call
	paths     atomic.Pointer[map[string]bool] // files that are followed
	watching  atomic.Pointer[Watching]
	watchers  []*watcher // of the loop's goroutine; they outlast a run that fails
	running   atomic.Bool
}

// call asks the loop to read what there is to its end, and then to do something, which
// may be nothing.
type call struct {
	do   func(*run)
	done chan struct{}
}

// New makes a source. It opens nothing.
func New(cfg Config) *Source {
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	if cfg.MaxTotal <= 0 {
		cfg.MaxTotal = DefaultMaxTotal
	}
	if cfg.Mask == nil {
		cfg.Mask = func(s string) string { return s }
	}
	if cfg.Root == "" {
		cfg.Root = "."
	}
	if cfg.SSH == "" {
		cfg.SSH = "ssh"
	}
	if abs, err := filepath.Abs(cfg.Root); err == nil {
		cfg.Root = abs
	}
	for i, f := range cfg.Files {
		if !filepath.IsAbs(f) {
			cfg.Files[i] = filepath.Join(cfg.Root, f)
		}
	}
	s := &Source{cfg: cfg, wake: make(chan struct{}, 1), calls: make(chan call)}
	s.watching.Store(&cfg.Watching)
	return s
}

// Name implements state.Source.
func (s *Source) Name() string { return "logs" }

// Sections implements state.Source.
func (s *Source) Sections() []state.SectionName { return []state.SectionName{state.SectionLogs} }

// Interest implements state.Interested: containers' logs are read for these.
func (s *Source) Interest(in state.Interests) {
	s.interests.Store(&in)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// file is one followed file.
type file struct {
	*stream
	*follower
	literal bool
	hot     bool  // it is being flooded, or has more
	held    bool  // it is being put back in order: nobody may look
	since   int64 // bytes read since the last poll of all files
}

// run is one run of the source. It belongs to the loop's goroutine.
type run struct {
	s        *Source
	ctx      context.Context
	files    map[string]*file
	order    []*file // by path
	remotes  map[string]*remoteStream
	watching *Watching // in force
	rated    time.Time // when the rates of remote streams were last computed
	chunks   chan chunk
	viewers  map[string]*viewedFile // by path
	seen     chan struct{}          // a viewer has something new
	waker    *waker
	buf      []byte
	dirty    bool
	started  bool
	gotAny   bool
	lastPut  time.Time
	lastScan time.Time
	lastFull time.Time // poll of all files
}

// Run implements state.Source.
func (s *Source) Run(ctx context.Context, put func(state.Section)) error {
	if len(s.cfg.Files) == 0 && len(s.cfg.Remote) == 0 && s.cfg.Containers == nil && !s.journalled() {
		return state.Absence(errors.New("logs: no log files are configured and there are no containers: list files or globs under logs in opsdeck.yaml, each as path: logs/app.log"))
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &run{s: s, ctx: ctx, files: map[string]*file{}, remotes: map[string]*remoteStream{}, chunks: make(chan chunk, 64), viewers: map[string]*viewedFile{}, seen: make(chan struct{}, 1), waker: newWaker(s.polls), buf: make([]byte, blockSize), dirty: true}
	defer func() {
		cancel()
		for _, b := range r.remotes {
			b.stop(time.Now())
		}
		for _, v := range r.viewers {
			v.viewer.Stop()
		}
		r.waker.close()
		for _, f := range r.files {
			f.close()
		}
		none := map[string]bool{}
		s.paths.Store(&none)
	}()
	s.running.Store(true)
	defer s.running.Store(false)
	if s.cfg.Rotate != nil {
		var wg sync.WaitGroup
		wg.Go(func() { s.schedule(ctx, scheduleEvery, scheduleRetry) })
		defer wg.Wait()
		defer cancel()
	}

	r.rewatch(time.Now())
	r.assign()
	timer := time.NewTimer(0)
	defer timer.Stop()
	busyUntil, woken := time.Time{}, false
	for {
		var asked call
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case <-s.wake:
			r.rewatch(time.Now())
			r.watchRemotes(time.Now())
			r.watchViews(time.Now())
		case <-r.seen:
			r.dirty = true
		case c := <-r.chunks:
			r.take(c)
			for more := true; more; {
				select {
				case c = <-r.chunks:
					r.take(c)
				default:
					more = false
				}
			}
		case asked = <-s.calls:
			r.lastFull = time.Time{}
		case <-r.waker.C:
			r.lastFull = time.Time{}
			woken = true
		}
		now := time.Now()
		if woken { // what changes again and again without growing must not be watched each time
			woken = false
			busyUntil = latest(busyUntil, now.Add(pollIdle))
		}
		if now.Sub(r.lastScan) >= rescan {
			r.lastScan = now
			r.scan()
			r.watchRemotes(now)
			r.watchViews(now)
		}
		more := r.poll(now)
		r.dirty = r.watches(now) || r.dirty
		if asked.done != nil {
			for r.poll(now) {
			}
			if asked.do != nil {
				asked.do(r)
			}
			close(asked.done)
		}
		if r.dirty && now.Sub(r.lastPut) >= r.gap() {
			put(r.publish(now))
		}
		switch {
		case more:
			busyUntil = now.Add(time.Second)
			timer.Reset(0)
		case r.hot():
			r.gotAny = false
			busyUntil = now.Add(300 * time.Millisecond)
			timer.Reset(pollHot)
		case now.Before(busyUntil):
			timer.Reset(pollBusy)
		case len(r.files) == 0 && len(r.viewers) == 0: // what containers write comes by itself
			timer.Reset(rescan)
		case !r.gotAny:
			timer.Reset(r.pause(now))
		}
		if r.gotAny {
			r.gotAny = false
			busyUntil = now.Add(300 * time.Millisecond)
			timer.Reset(pollBusy)
		}
	}
}

// pause returns how long nothing needs to be polled, now that nothing is being written:
// short, unless every file is watched.
func (r *run) pause(now time.Time) time.Duration {
	fresh, watched := false, true
	for _, f := range r.order {
		new, ok := false, false
		if f.idle() {
			new, ok = r.waker.watch(f.path, now)
		}
		fresh, watched = fresh || new, watched && ok
	}
	switch {
	case fresh:
		r.lastFull = time.Time{}
		return 0
	case r.dirty:
		return pollBusy
	case !watched:
		return pollIdle
	case r.timed():
		return rateEvery
	}
	return pollWatched
}

// timed reports whether something changes with time alone: the window of a log watch, or
// the rate of a container's log.
func (r *run) timed() bool {
	for _, w := range r.s.watchers {
		if w.recent > 0 {
			return true
		}
	}
	for _, b := range r.remotes {
		if b.wanted {
			return true
		}
	}
	return false
}

// idle reports whether a file is read to its end and nothing of it waits to be shown.
func (f *file) idle() bool {
	if f.held || f.pending() || !f.follower.idle() {
		return false
	}
	h := f.cur
	return h.split.total == 0 || string(h.split.text()) == f.part
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// scan finds files that appeared, and forgets those of globs that are long gone.
func (r *run) scan() {
	found := map[string]bool{}
	for _, g := range r.s.cfg.Files {
		if !hasMeta(g) {
			found[g] = true
			continue
		}
		matches, _ := filepath.Glob(g)
		for _, m := range matches {
			if !compressed(m) {
				found[m] = true
			}
		}
	}
	changed := false
	for path := range found {
		if r.files[path] != nil {
			continue
		}
		src := state.LogSource{ID: "file:" + path, Kind: "file", Title: r.title(path), Path: path, Rotation: r.s.rotation(path).String()}
		r.files[path] = &file{
			stream:   r.s.newStream(src),
			follower: newFollower(path, r.started && hasGlob(r.s.cfg.Files, path)),
			literal:  !hasGlob(r.s.cfg.Files, path),
		}
		changed = true
	}
	for path, f := range r.files {
		if !found[path] && !f.literal && !f.goneSince.IsZero() && time.Since(f.goneSince) > forgetAfter {
			f.close()
			r.waker.forget(path)
			delete(r.files, path)
			changed = true
		}
	}
	r.started = true
	if !changed {
		return
	}
	r.dirty = true
	r.assign()
	r.order = slices.SortedFunc(maps.Values(r.files), func(a, b *file) int { return strings.Compare(a.path, b.path) })
	paths := make(map[string]bool, len(r.files))
	for p := range r.files {
		paths[p] = true
	}
	r.s.paths.Store(&paths)
}

func hasMeta(p string) bool { return strings.ContainsAny(p, `*?[\`) }

// hasGlob reports whether path was found by a glob rather than named.
func hasGlob(globs []string, path string) bool { return !slices.Contains(globs, path) }

// compressed reports whether a name is that of a compressed or half-made file.
func compressed(p string) bool {
	switch filepath.Ext(p) {
	case ".gz", ".bz2", ".xz", ".zst", ".zip", ".tmp", ".swp":
		return true
	}
	return false
}

// title returns the path relative to the workspace where it is inside it.
func (r *run) title(path string) string {
	if rel, err := filepath.Rel(r.s.cfg.Root, path); err == nil && !strings.HasPrefix(rel, "..") {
		return state.Clean(rel)
	}
	return state.Clean(path)
}

// gap returns the shortest time until the next publication.
func (r *run) gap() time.Duration {
	if r.hot() {
		return publishGap
	}
	return quickGap
}

// hot reports whether a file is being flooded.
func (r *run) hot() bool {
	return slices.ContainsFunc(r.order, func(f *file) bool { return f.hot })
}

// poll reads what is new in every file; in files that are not flooded no more often
// than every pollBusy. It reports whether there is more.
func (r *run) poll(now time.Time) (more bool) {
	full := now.Sub(r.lastFull) >= pollBusy
	if full {
		r.lastFull = now
	}
	for _, f := range r.order {
		if !full && !f.hot {
			continue
		}
		if f.held {
			continue
		}
		was := [...]int{f.rotations, f.truncations}
		err, size := f.err, f.size
		got, m := f.poll(now, r.buf,
			func(lines []byte) { f.add(lines, true, now); r.dirty = true },
			func(lines []byte) { f.add(lines, false, now); r.dirty = true })
		more = more || m
		r.gotAny = r.gotAny || got
		f.since += f.took
		if full || m {
			f.hot, f.since = m || f.since >= hotBytes, 0
		}
		if was != [...]int{f.rotations, f.truncations} || err != f.err || size != f.size {
			r.dirty = true
		}
		f.stream.rest(now)
		if f.stream.rate(now) {
			r.dirty = true
			if f.src.Rate == 0 {
				f.releaseScratch()
			}
		}
		if h := f.cur; h != nil && h.split.total > 0 && now.Sub(h.active) > partAfter && !f.pending() {
			if line := string(h.split.text()); line != f.part {
				f.showPart(line, now)
				r.dirty = true
			}
		}
	}
	if now.Sub(r.rated) >= rateEvery {
		r.rated = now
		for _, b := range r.remotes { // of thousands hardly one is read
			if !b.wanted {
				continue
			}
			b.stream.rest(now)
			if b.stream.rate(now) {
				r.dirty = true
			}
		}
	}
	return more
}

// publish makes the section.
func (r *run) publish(now time.Time) state.Logs {
	r.dirty, r.lastPut = false, now
	streams := make([]*stream, 0, len(r.order)+len(r.remotes))
	for _, f := range r.order {
		f.src.Size, f.src.Err = f.size, state.Clean(f.err)
		f.src.Rotations, f.src.Truncations, f.src.LostBytes = f.rotations, f.truncations, f.lost
		streams = append(streams, f.stream)
	}
	for _, b := range r.sortedRemotes() {
		streams = append(streams, b.stream)
	}
	for _, s := range streams {
		s.settle()
	}
	fit(streams, r.s.cfg.MaxTotal)
	out := state.Logs{Sources: make([]state.LogSource, len(streams)), Tails: make(map[string]state.Tail, len(streams))}
	out.Views = r.views()
	out.Filters = r.watching.Filters
	for _, w := range r.s.watchers {
		out.Watches = append(out.Watches, w.state())
	}
	for i, s := range streams {
		out.Sources[i] = s.src
		if s.src.Kind == "file" || r.remotes[s.src.ID].viewed {
			out.Tails[s.src.ID] = s.publish()
		}
	}
	return out
}

// fit trims the largest tails until all together are within total bytes.
func fit(streams []*stream, total int) {
	sum := 0
	for _, s := range streams {
		sum += s.bytes
	}
	if sum <= total {
		return
	}
	bySize := slices.SortedFunc(slices.Values(streams), func(a, b *stream) int { return a.bytes - b.bytes })
	left := total
	for i, s := range bySize {
		share := left / (len(bySize) - i)
		s.trim(share)
		left -= s.bytes
	}
}

// rotation returns the rule for a file.
func (s *Source) rotation(path string) Rotation {
	for _, rule := range s.cfg.Rotations {
		for _, g := range rule.Files {
			if !filepath.IsAbs(g) {
				g = filepath.Join(s.cfg.Root, g)
			}
			if ok, _ := filepath.Match(g, path); ok || g == path {
				return rule.Rotation.normal()
			}
		}
	}
	return Rotation{}.normal()
}

// readToEnd makes the loop read a file to its end, so that a truncation destroys
// nothing that was not read.
func (s *Source) readToEnd(ctx context.Context, path string) error {
	return s.inLoop(ctx, path, nil)
}

// inLoop makes the loop read all files to their ends and then call do, and waits for it.
// Where the loop does not run, nothing is done.
func (s *Source) inLoop(ctx context.Context, path string, do func(*run)) error {
	if !s.running.Load() {
		return nil
	}
	c := call{do: do, done: make(chan struct{})}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	select {
	case s.calls <- c:
	case <-ctx.Done():
		return fmt.Errorf("the reader of %s is busy: %w", path, ctx.Err())
	}
	select {
	case <-c.done:
	case <-ctx.Done():
	}
	return nil
}
