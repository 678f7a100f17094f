package logs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// ContainerLogs gives the logs of containers. The docker source is one.
type ContainerLogs interface {
	// Containers are those that are present. The slice is not written to.
	Containers() []state.Container
	// OpenLog follows a log: the lines since a time, at most the last tail of them
	// (negative for all), each with its RFC 3339 time and a space before it. With tty
	// false the stream is in frames of an 8-byte header (stream, 3 zeros, length).
	OpenLog(ctx context.Context, id string, since time.Time, tail int) (rc io.ReadCloser, tty bool, err error)
}

// Container logs: how much history, and how long one is read on unwatched.
const (
	boxHistory = 200
	boxGrace   = 20 * time.Second
	boxRetry   = time.Second
	// boxGone is how long the log of a container that was removed is read on, for what
	// it said last.
	boxGone = 2 * time.Second
)

// box is a container's log, the journal, or a file on another host. The first two are read
// while somebody looks at them, and, where they are watched, while the container runs.
type box struct {
	*stream
	id     string // of the container
	always bool   // it was named, and is read whoever looks
	follow func(ctx context.Context, f boxReader, b *box, out chan<- chunk)
	wanted bool
	looked bool      // somebody looks at it, or did a moment ago
	seen   time.Time // when it was last listed
	until  time.Time // nobody has looked at it since, zero while somebody does
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
	box   *box
	gen   context.Context
	lines []byte
	times []int64
	past  bool
	began time.Time
	// rotations and truncations happened to a file on another host.
	rotations, truncations int
	// err is why the log cannot be read now, "" once it can; nil where nothing is said of it.
	err *string
}

// watchBoxes lists the containers that are present, the journal where there is one, and
// the files on other hosts, and reads those that are looked at or watched.
func (r *run) watchBoxes(now time.Time) {
	var in state.Interests
	if p := r.s.interests.Load(); p != nil {
		in = *p
	}
	changed := false
	see := func(src state.LogSource, build func() *box) *box {
		id := src.ID
		b := r.boxes[id]
		if b == nil {
			b = build()
			b.stream = r.s.newStream(src)
			r.boxes[id] = b
			r.dirty, changed = true, true
		}
		if b.src.Title != src.Title {
			b.src.Title = src.Title
			r.dirty, changed = true, true
		}
		b.gone, b.seen = time.Time{}, now
		switch {
		case b.always || in.Log(id):
			r.dirty = r.dirty || !b.looked
			b.looked, b.until = true, time.Time{}
		case b.looked && b.until.IsZero():
			b.until = now
		case b.looked && now.Sub(b.until) > boxGrace:
			b.looked, b.until = false, time.Time{}
			r.dirty = true
		}
		return b
	}
	if all := r.s.cfg.Containers; all != nil {
		for _, c := range all.Containers() {
			b := see(state.LogSource{ID: "container:" + c.ID, Kind: "container", Title: c.Title}, func() *box {
				return &box{id: c.ID, created: c.Created, follow: func(ctx context.Context, f boxReader, b *box, out chan<- chunk) {
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
		see(state.LogSource{ID: "journal:", Kind: "journal", Title: "journal"}, func() *box { return &box{follow: followJournal} })
	}
	for _, at := range r.s.cfg.Remote {
		see(state.LogSource{ID: "remote:" + at, Kind: "remote", Title: remoteTitle(at)}, func() *box {
			return &box{always: true, follow: followRemote(at, r.s.cfg.SSH)}
		})
	}
	for id, b := range r.boxes {
		if b.seen.Equal(now) {
			continue
		}
		if b.gone.IsZero() {
			b.gone = now
		}
		if b.watched == nil || !b.wanted || now.Sub(b.gone) > boxGone {
			b.stop(now)
			delete(r.boxes, id)
			r.dirty, changed = true, true
		}
	}
	if changed {
		r.assign()
	}
	changed = false
	for _, b := range r.boxes {
		running := b.halted.IsZero() || b.wanted && now.Sub(b.halted) <= boxGrace
		switch want := b.looked || b.watched != nil && (running || !b.wanted && b.ran()); {
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

func (r *run) sortedBoxes() []*box {
	out := make([]*box, 0, len(r.boxes))
	for _, b := range r.boxes {
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b *box) int {
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
		c.box.addBlock(old, c.times[:n], true)
		c.box.addBlock(fresh, c.times[n:], c.past)
		r.dirty = true
	}
	if c.rotations+c.truncations > 0 {
		c.box.src.Rotations += c.rotations
		c.box.src.Truncations += c.truncations
		r.dirty = true
	}
	if c.err != nil && c.box.src.Err != *c.err {
		c.box.src.Err = *c.err
		r.dirty = true
	}
}

// ran reports whether the container has begun since it was last looked after, though
// it may be over already.
func (b *box) ran() bool {
	since := b.idle
	if since.IsZero() {
		since = b.since(time.Now())
	}
	return b.created.After(since) || b.started.After(since)
}

// since is from when on what is written is new to the watches, now where there are none.
func (b *box) since(now time.Time) time.Time {
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

// addBlock adds lines with the times that the engine gave them.
func (b *box) addBlock(lines []byte, times []int64, past bool) {
	if len(lines) > 0 {
		b.add(lines, past, time.Now())
		b.pend[len(b.pend)-1].times = times
	}
}

// start reads the log in a goroutine until stop. To its watches is new what was written
// since they began, or since it was read last.
func (b *box) start(r *run, now time.Time) {
	b.wanted = true
	f := boxReader{began: b.since(now), tail: boxHistory}
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
func (b *box) stop(now time.Time) {
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

// boxReader reads a container's log: lines since last, at most tail of them at first.
// Those after began are new.
type boxReader struct {
	began, last time.Time
	tail        int
}

// follow reads the log over restarts of the container, and sends whole lines without
// the engine's times, which serve lines that have none.
func (f boxReader) follow(ctx context.Context, b *box, open func(context.Context, string, time.Time, int) (io.ReadCloser, bool, error), out chan<- chunk) {
	send := func(c chunk) {
		c.box, c.gen, c.began = b, ctx, f.began
		select {
		case out <- c:
		case <-ctx.Done():
		}
	}
	var none string
	read, tail := place{at: f.last.Truncate(time.Second)}, f.tail // or its own lines were before it
	for ctx.Err() == nil {
		rc, tty, err := open(ctx, b.id, read.at, tail)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			why := state.Clean(err.Error())
			send(chunk{err: &why})
		} else {
			stop := context.AfterFunc(ctx, func() { _ = rc.Close() })
			d := demux{r: bufio.NewReaderSize(rc, 64<<10), tty: tty, read: read, again: read, began: f.began}
			for {
				lines, past, err := d.next()
				if len(lines) > 0 {
					send(chunk{lines: lines, times: d.times, past: past, err: &none})
				}
				if err != nil {
					if lines := d.rest(); len(lines) > 0 {
						send(chunk{lines: lines, err: &none})
					}
					break
				}
			}
			if stop() {
				_ = rc.Close()
			}
			if read = d.read; !read.at.IsZero() {
				tail = -1
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(boxRetry):
		}
	}
}

// place is how far a container's log was read: to the latest of the engine's times, and
// as many pieces that bore it. An engine may cut its times to seconds, as Podman does: a
// log is taken up at that time again, and as many pieces of it passed over.
type place struct {
	at     time.Time
	pieces int
}

// has reports whether a piece was read before the place, in a log that is taken up there.
func (p *place) has(at time.Time) bool {
	if p.pieces == 0 || at.After(p.at) {
		return false
	}
	if at.Equal(p.at) {
		p.pieces--
	}
	return true
}

// reach moves the place to a piece that was read.
func (p *place) reach(at time.Time) {
	switch {
	case at.After(p.at):
		*p = place{at: at, pieces: 1}
	case at.Equal(p.at):
		p.pieces++
	}
}

// demux makes lines of an engine's stream.
type demux struct {
	r   *bufio.Reader
	tty bool
	// part has what each stream has not finished: the engine cuts lines at 16 KiB and
	// puts a time before every piece.
	part  [3][]byte
	begun [3]int64 // the time of each part's beginning
	// read is how far the log was read, again what of this stream was read before.
	read, again place
	began       time.Time
	out         []byte
	times       []int64 // of each line in out
	past        bool
}

// next is the lines that have come, waiting for at least one. past says that all
// of them were written before reading began.
func (d *demux) next() ([]byte, bool, error) {
	d.out, d.times, d.past = nil, nil, true
	for {
		if err := d.frame(); err != nil {
			return d.out, d.past, err
		}
		if len(d.out) > 0 && (d.r.Buffered() == 0 || len(d.out) > 256<<10) {
			return d.out, d.past, nil
		}
	}
}

var errFrame = errors.New("the engine's log stream is broken")

func (d *demux) frame() error {
	if d.tty {
		line, err := d.r.ReadSlice('\n')
		if len(line) > 0 {
			d.piece(0, line)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			return nil
		}
		return err
	}
	var h [8]byte
	if _, err := io.ReadFull(d.r, h[:]); err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint32(h[4:]))
	if h[0] > 2 || n > 64<<20 {
		return errFrame
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(d.r, data); err != nil {
		return err
	}
	d.piece(int(h[0]), data)
	return nil
}

// piece takes one message: a time, a space, and a line or a part of one.
func (d *demux) piece(stream int, data []byte) {
	if at, rest, ok := cutTime(data); ok && (len(d.part[stream]) == 0 || !d.tty) {
		if d.again.has(at) {
			return
		}
		data = rest
		d.read.reach(at)
		if at.After(d.began) {
			d.past = false
		}
		if len(d.part[stream]) == 0 {
			d.begun[stream] = at.UnixNano()
		}
	}
	if len(d.part[stream]) < 4*maxLine {
		d.part[stream] = append(d.part[stream], data...)
	}
	if len(data) > 0 && data[len(data)-1] == '\n' {
		p := d.part[stream]
		if p[len(p)-1] != '\n' {
			p = append(p, '\n')
		}
		d.out = append(d.out, p...)
		d.times = append(d.times, d.begun[stream])
		d.part[stream] = d.part[stream][:0]
	}
}

// rest is what was not finished when the stream ended.
func (d *demux) rest() []byte {
	var out []byte
	for i, p := range d.part {
		if len(p) > 0 {
			out = append(append(out, p...), '\n')
		}
		d.part[i] = nil
	}
	return out
}

// cutTime takes the engine's time off a message.
func cutTime(b []byte) (time.Time, []byte, bool) {
	for i := range min(len(b), 40) {
		if b[i] == ' ' {
			at, err := time.Parse(time.RFC3339Nano, string(b[:i]))
			return at, b[i+1:], err == nil
		}
	}
	return time.Time{}, b, false
}
