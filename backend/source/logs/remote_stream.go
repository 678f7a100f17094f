package logs

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

// remoteStream is a container's log, the journal, or a file on another host. The first two are read
// while they are shown, and, where they are watched, while the container runs.
type remoteStream struct {
	*stream
	id     string // of the container
	always bool   // it was named, and is read even if it is not shown
	follow func(ctx context.Context, f streamReader, b *remoteStream, out chan<- chunk)
	wanted bool
	viewed bool      // it is shown, or was a moment ago
	seen   time.Time // when it was last listed
	until  time.Time // since when it is not shown, zero while it is
	// idle is when it was last neither read nor worth it; what is written after that is
	// new to its watches. halted and gone are since when the container does not run, or
	// is not there; zero while it does, or is.
	idle, halted, gone time.Time
	created, started   time.Time
	cancel             context.CancelFunc
	wg                 *sync.WaitGroup
}

// chunk is what a reader of such a log sends to the loop.
type chunk struct {
	stream *remoteStream
	gen    context.Context
	lines  []byte
	times  []int64
	past   bool
	began  time.Time
	// rotations and truncations happened to a file on another host.
	rotations, truncations int
	// err is why the log cannot be read now, "" once it can; nil where nothing is said of it.
	err *string
}

// watchRemotes lists the containers that are present, the journal where there is one, and
// the files on other hosts, and reads those that are shown or watched.
func (r *run) watchRemotes(now time.Time) {
	var in state.Interests
	if p := r.s.interests.Load(); p != nil {
		in = *p
	}
	changed := false
	see := func(src state.LogSource, build func() *remoteStream) *remoteStream {
		id := src.ID
		b := r.remotes[id]
		if b == nil {
			b = build()
			b.stream = r.s.newStream(src)
			r.remotes[id] = b
			r.dirty, changed = true, true
		}
		if b.src.Title != src.Title {
			b.src.Title = src.Title
			r.dirty, changed = true, true
		}
		b.gone, b.seen = time.Time{}, now
		switch {
		case b.always || in.Log(id):
			r.dirty = r.dirty || !b.viewed
			b.viewed, b.until = true, time.Time{}
		case b.viewed && b.until.IsZero():
			b.until = now
		case b.viewed && now.Sub(b.until) > streamGrace:
			b.viewed, b.until = false, time.Time{}
			r.dirty = true
		}
		return b
	}
	if all := r.s.cfg.Containers; all != nil {
		for _, c := range all.Containers() {
			b := see(state.LogSource{ID: "container:" + c.ID, Kind: "container", Title: c.Title}, func() *remoteStream {
				return &remoteStream{id: c.ID, created: c.Created, follow: func(ctx context.Context, f streamReader, b *remoteStream, out chan<- chunk) {
					f.follow(ctx, b, all.OpenLog, out)
				}}
			})
			b.started = c.Started
			switch c.State {
			case "created", "exited", "dead":
				if b.halted.IsZero() {
					b.halted = now
				}
			default:
				b.halted = time.Time{}
			}
		}
	}
	if r.s.journalled() {
		see(state.LogSource{ID: "journal:", Kind: "journal", Title: "journal"}, func() *remoteStream { return &remoteStream{follow: followJournal} })
	}
	for _, at := range r.s.cfg.Remote {
		see(state.LogSource{ID: "remote:" + at, Kind: "remote", Title: remoteTitle(at)}, func() *remoteStream {
			return &remoteStream{always: true, follow: followRemote(at, r.s.cfg.SSH)}
		})
	}
	for id, b := range r.remotes {
		if b.seen.Equal(now) {
			continue
		}
		if b.gone.IsZero() {
			b.gone = now
		}
		if b.watched == nil || !b.wanted || now.Sub(b.gone) > streamGone {
			b.stop(now)
			delete(r.remotes, id)
			r.dirty, changed = true, true
		}
	}
	if changed {
		r.assign()
	}
	changed = false
	for _, b := range r.remotes {
		running := b.halted.IsZero() || b.wanted && now.Sub(b.halted) <= streamGrace
		switch want := b.viewed || b.watched != nil && (running || !b.wanted && b.restarted()); {
		case want && !b.wanted:
			b.start(r, now)
			r.dirty = true
		case !want && b.wanted:
			b.stop(now)
			src := b.src
			src.Rate, src.Err = 0, ""
			b.stream = r.s.newStream(src)
			r.dirty, changed = true, true
		case !want:
			b.idle = now
		}
	}
	if changed {
		r.assign()
	}
}

func (r *run) sortedRemotes() []*remoteStream {
	out := make([]*remoteStream, 0, len(r.remotes))
	for _, b := range r.remotes {
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b *remoteStream) int {
		if c := strings.Compare(a.src.Title, b.src.Title); c != 0 {
			return c
		}
		return strings.Compare(a.src.ID, b.src.ID)
	})
	return out
}

// take adds what the reader of a box sent.
func (r *run) take(c chunk) {
	if c.gen.Err() != nil {
		return
	}
	if len(c.lines) > 0 {
		old, fresh, n := c.split()
		c.stream.addBlock(old, c.times[:n], true)
		c.stream.addBlock(fresh, c.times[n:], c.past)
		r.dirty = true
	}
	if c.rotations+c.truncations > 0 {
		c.stream.src.Rotations += c.rotations
		c.stream.src.Truncations += c.truncations
		r.dirty = true
	}
	if c.err != nil && c.stream.src.Err != *c.err {
		c.stream.src.Err = *c.err
		r.dirty = true
	}
}

// restarted reports whether the container has been started since it was last read, though
// it may be over already.
func (b *remoteStream) restarted() bool {
	since := b.idle
	if since.IsZero() {
		since = b.since(time.Now())
	}
	return b.created.After(since) || b.started.After(since)
}

// since returns from when on what is written is new to the watches, now where there are none.
func (b *remoteStream) since(now time.Time) time.Time {
	if b.watched != nil {
		for _, w := range b.watched.watchers {
			if w.since.Before(now) {
				now = w.since
			}
		}
	}
	return now
}

// split parts the lines that were written before following began from those that were
// written since, and says how many they are.
func (c *chunk) split() (old, fresh []byte, n int) {
	if c.past {
		return nil, c.lines, 0
	}
	fresh = c.lines
	for n < len(c.times) && c.times[n] < c.began.UnixNano() {
		fresh = fresh[bytes.IndexByte(fresh, '\n')+1:]
		n++
	}
	return c.lines[:len(c.lines)-len(fresh)], fresh, n
}

// addBlock adds lines with the engine's times.
func (b *remoteStream) addBlock(lines []byte, times []int64, past bool) {
	if len(lines) > 0 {
		b.add(lines, past, time.Now())
		b.pend[len(b.pend)-1].times = times
	}
}

// start reads the log in a goroutine until stop. To its watches is new what was written
// since they began, or since it was read last.
func (b *remoteStream) start(r *run, now time.Time) {
	b.wanted = true
	f := streamReader{began: b.since(now), tail: streamHistory}
	if b.watched != nil {
		switch {
		case b.idle.After(f.began):
			f.began, f.last, f.tail = b.idle, b.idle, -1
		case b.created.After(f.began):
			f.tail = -1
		}
	}
	ctx, cancel := context.WithCancel(r.ctx)
	var wg sync.WaitGroup
	b.cancel, b.wg = cancel, &wg
	wg.Go(func() { b.follow(ctx, f, b, r.chunks) })
}

// stop ends the reader and waits for it.
func (b *remoteStream) stop(now time.Time) {
	if b.wanted {
		b.idle = now
	}
	b.wanted = false
	if b.cancel != nil {
		b.cancel()
		b.wg.Wait()
		b.cancel = nil
	}
}

// remoteFeed sends the loop what an input reads.
type remoteFeed struct {
	ctx    context.Context
	stream *remoteStream
	out    chan<- chunk
	caught bool // what was there when it began has been sent
}

// scan sends an input's lines until it ends. With proves set they prove that it can be read.
func (t *remoteFeed) scan(in scan.Input, proves bool) error {
	return scan.Scan(t.ctx, in, scan.Query{}, 1, nil, func(f *scan.Found) error {
		c := chunk{lines: bytes.Clone(f.Data), past: !t.caught}
		t.caught = t.caught || f.CaughtUp
		if proves {
			c.err = new(string)
		}
		return t.send(c)
	})
}

// fails sends why the input cannot be read now, "" once it can.
func (t *remoteFeed) fails(why string) error {
	why = state.Clean(why)
	return t.send(chunk{err: &why})
}

func (t *remoteFeed) send(c chunk) error {
	c.stream, c.gen = t.stream, t.ctx
	select {
	case t.out <- c:
		return nil
	case <-t.ctx.Done():
		return t.ctx.Err()
	}
}
