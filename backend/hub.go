package backend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opsdeck/opsdeck/backend/journal"
	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/backend/supervisor"
)

// Options are what a Hub is made of. Journal may be nil, in which case nothing
// is journalled and every action is refused.
type Options struct {
	Journal *journal.Journal
	// Log receives what goes wrong behind the screen; nil discards it.
	Log *slog.Logger
	// Mask hides known secrets in errors; nil hides nothing.
	Mask func(string) string
	// Settle is how long after a measured action its verdict is taken; 0 means 10 s.
	Settle time.Duration
	// Workspace is the first workspace section.
	Workspace state.Workspace
}

// Hub publishes snapshots and runs sources and actions. Make one with New.
type Hub struct {
	opts Options
	log  *slog.Logger

	snap atomic.Pointer[state.Snapshot]

	mu        sync.Mutex
	pending   map[state.SectionName]state.Section
	health    map[state.SectionName]state.Health
	published time.Time
	notify    chan struct{} // closed and replaced at each publication
	dirty     chan struct{} // wakes the publisher; capacity 1
	workspace state.Workspace
	consoles  map[*Console]struct{}
	attached  uint64 // how many consoles ever were
	slots     []*slot
	actions   *actions
}

// slot is a place for one source; the source in it may be replaced.
type slot struct {
	src  state.Source // guarded by Hub.mu
	loop supervisor.Loop
}

const (
	// publishEvery is the shortest time between two snapshots.
	publishEvery = 100 * time.Millisecond
	// publishSoon is that interval during the first starting: a user waits for these
	// sections.
	publishSoon = 10 * time.Millisecond
	starting    = 2 * time.Second
)

// New returns a hub with its first, empty snapshot: version 1, every section of
// sources connecting.
func New(opts Options, sources ...state.Source) *Hub {
	h := &Hub{
		opts:      opts,
		log:       opts.Log,
		pending:   map[state.SectionName]state.Section{},
		health:    map[state.SectionName]state.Health{},
		notify:    make(chan struct{}),
		dirty:     make(chan struct{}, 1),
		workspace: opts.Workspace,
		consoles:  map[*Console]struct{}{},
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.opts.Mask == nil {
		h.opts.Mask = func(s string) string { return s }
	}
	if h.opts.Settle == 0 {
		h.opts.Settle = 10 * time.Second
	}
	now := time.Now()
	ws := opts.Workspace
	ws.Health = state.Health{Status: state.OK, Since: now, LastOK: now}
	secs := []state.Section{ws}
	for _, src := range sources {
		h.slots = append(h.slots, &slot{src: src, loop: supervisor.Loop{Name: src.Name()}})
		for _, name := range src.Sections() {
			hl := state.Health{Status: state.Connecting, Since: now}
			h.health[name] = hl
			secs = append(secs, state.WithHealth(state.NewSection(name), hl))
		}
	}
	h.actions = newActions(h, sources)
	h.actions.register(controller{h})
	h.snap.Store((&state.Snapshot{}).With(1, now, append(secs, h.actions.sections()...)...))
	return h
}

// Run runs every source until ctx ends, and returns when all of them and all
// actions have stopped.
func (h *Hub) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, sl := range h.slots {
		wg.Go(func() { h.supervise(ctx, sl) })
	}
	wg.Go(func() { h.publisher(ctx) })
	wg.Go(func() { h.watchSelf(ctx) })
	wg.Go(func() { h.actions.run(ctx) })
	wg.Wait()
	h.publish()
}

// Replace stops the source of the same name and runs src instead. The sections of the
// old one stay until the new one publishes.
func (h *Hub) Replace(src state.Source) error {
	if ex, ok := src.(state.Executor); ok {
		h.actions.register(ex) // before h.mu is taken: publishing actions takes it second
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, sl := range h.slots {
		if sl.src.Name() != src.Name() {
			continue
		}
		sl.src = src
		if in, ok := src.(state.Interested); ok {
			in.Interest(h.interests())
		}
		sl.loop.Restart()
		return nil
	}
	return fmt.Errorf("there is no source %q to replace", src.Name())
}

// supervise runs the source in a slot until ctx ends, and keeps its health.
func (h *Hub) supervise(ctx context.Context, sl *slot) {
	var src state.Source // of the present run
	logged := ""
	sl.loop.Run = func(ctx context.Context, ok func()) error {
		h.mu.Lock()
		src = sl.src
		h.mu.Unlock()
		return src.Run(ctx, func(sec state.Section) {
			ok()
			h.put(sec)
		})
	}
	sl.loop.Recovered = func(attempts int) {
		h.log.Info("source answers again", "source", sl.loop.Name, "attempts", attempts)
	}
	sl.loop.Failed = func(f supervisor.Failure) {
		if f.Attempt == 1 {
			logged = ""
		}
		level := slog.LevelWarn
		if errors.Is(f.Err, state.ErrAbsent) {
			level = slog.LevelInfo
		}
		if text := h.opts.Mask(f.Err.Error()); text != logged { // and not with every attempt
			h.log.Log(ctx, level, "source failed", "source", sl.loop.Name, "attempt", f.Attempt, "err", text)
			logged = text
		}
		h.failed(src, f.Err, f.Attempt, time.Now().Add(f.Pause))
	}
	sl.loop.Do(ctx)
}

// put stores a section of a source for publishing. A source may report a failure of its
// own by setting a Status other than OK; otherwise the section is OK as of now.
func (h *Hub) put(sec state.Section) {
	name, now := state.NameOf(sec), time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.health[name]
	own := state.HealthOf(sec)
	hl := state.Health{Status: state.OK, Since: was.Since, LastOK: now}
	if own.Status != "" && own.Status != state.OK {
		hl = own
		hl.LastOK = was.LastOK
		hl.Since = was.Since
	}
	if hl.Status != was.Status {
		hl.Since = now
	}
	h.health[name] = hl
	h.pending[name] = state.WithHealth(sec, hl)
	h.wake()
}

// failed marks the sections of a source, keeping their last good data.
func (h *Hub) failed(src state.Source, err error, attempt int, next time.Time) {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range src.Sections() {
		hl := h.health[name]
		status := state.Down
		switch {
		case !hl.LastOK.IsZero():
			status = state.Stale
		case errors.Is(err, state.ErrAbsent):
			status = state.Absent
		}
		if hl.Status != status {
			hl.Status, hl.Since = status, now
		}
		hl.Err, hl.Attempt, hl.NextTry = state.Clean(h.opts.Mask(err.Error())), attempt, next
		h.health[name] = hl
		sec, ok := h.pending[name]
		if !ok {
			sec = h.snap.Load().Section(name)
		}
		h.pending[name] = state.WithHealth(sec, hl)
	}
	h.wake()
}

// owns reports whether the hub itself writes the section: no source does.
func (h *Hub) owns(name state.SectionName) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, sl := range h.slots {
		if slices.Contains(sl.src.Sections(), name) {
			return false
		}
	}
	return true
}

// own stores a section that the hub itself writes. The caller holds h.mu.
func (h *Hub) own(sec state.Section) {
	now := time.Now()
	h.pending[state.NameOf(sec)] = state.WithHealth(sec, state.Health{Status: state.OK, Since: h.opts.Workspace.Started, LastOK: now})
	h.wake()
}

func (h *Hub) wake() {
	select {
	case h.dirty <- struct{}{}:
	default:
	}
}

// publisher turns what is pending into snapshots, at most ten a second.
func (h *Hub) publisher(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	began := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.dirty:
		}
		every := publishEvery
		if time.Since(began) < starting {
			every = publishSoon
		}
		h.mu.Lock()
		rest := every - time.Since(h.published)
		h.mu.Unlock()
		if rest > 0 {
			timer.Reset(rest)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
		}
		h.publish()
	}
}

func (h *Hub) publish() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pending) == 0 {
		return
	}
	secs := make([]state.Section, 0, len(h.pending))
	for _, sec := range h.pending {
		secs = append(secs, sec)
	}
	clear(h.pending)
	old := h.snap.Load()
	h.published = time.Now()
	h.snap.Store(old.With(old.Version+1, h.published, secs...))
	close(h.notify)
	h.notify = make(chan struct{})
}

// Latest returns the newest published snapshot. It is never nil.
func (h *Hub) Latest() *state.Snapshot { return h.snap.Load() }

// Wait returns the newest snapshot as soon as its Version is above after.
func (h *Hub) Wait(ctx context.Context, after uint64) (*state.Snapshot, error) {
	for {
		h.mu.Lock()
		notify := h.notify
		h.mu.Unlock()
		if s := h.snap.Load(); s.Version > after {
			return s, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-notify:
		}
	}
}

// Beat makes the hub publish and waits until it has: with it, a watchdog detects a
// hub that hangs.
func (h *Hub) Beat(ctx context.Context) error {
	was := h.Latest().Version
	h.SetWorkspace(func(*state.Workspace) {})
	_, err := h.Wait(ctx, was)
	return err
}

// Submit checks an action, journals it and queues it. The error says why it was
// refused. The ID is that of the action's Progress in the actions section.
func (h *Hub) Submit(ctx context.Context, a state.Action) (state.ActionID, error) {
	a.Console = ""
	return h.actions.submit(ctx, a)
}

// SetWorkspace changes the workspace section through f.
func (h *Hub) SetWorkspace(f func(*state.Workspace)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.workspace
	f(&w)
	h.workspace = w
	h.own(w)
}

// interests returns the interests of all consoles together. The caller holds h.mu.
func (h *Hub) interests() state.Interests {
	var all state.Interests
	for c := range h.consoles {
		all = append(all, c.interest...)
	}
	return all
}

// sendInterest sends the interests to the sources, in the order in which they change. The
// caller holds h.mu.
func (h *Hub) sendInterest() {
	all := h.interests()
	for _, sl := range h.slots {
		if in, ok := sl.src.(state.Interested); ok {
			in.Interest(all)
		}
	}
}
