package logs

import (
	"bufio"
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
)

// box is a container's log.
type box struct {
	*stream
	id     string
	wanted bool
	until  time.Time // unwatched since, zero while watched
	cancel context.CancelFunc
	wg     *sync.WaitGroup
}

// chunk is what a reader of a container's log sends to the loop.
type chunk struct {
	box   *box
	gen   context.Context
	lines []byte
	times []int64
	past  bool
	err   string
}

// watchBoxes lists the containers that are present, and reads those looked at.
func (r *run) watchBoxes(now time.Time) {
	if r.s.cfg.Containers == nil {
		return
	}
	var in state.Interests
	if p := r.s.interests.Load(); p != nil {
		in = *p
	}
	present := map[string]bool{}
	for _, c := range r.s.cfg.Containers.Containers() {
		id := "container:" + c.ID
		present[id] = true
		b := r.boxes[id]
		if b == nil {
			b = &box{id: c.ID, stream: r.s.newStream(state.LogSource{ID: id, Kind: "container", Title: c.Title})}
			r.boxes[id] = b
			r.dirty = true
		}
		if b.src.Title != c.Title {
			b.src.Title = c.Title
			r.dirty = true
		}
		switch {
		case in.Log(id):
			b.until = time.Time{}
			if !b.wanted {
				b.wanted = true
				b.start(r)
				r.dirty = true
			}
		case b.wanted && b.until.IsZero():
			b.until = now
		case b.wanted && now.Sub(b.until) > boxGrace:
			b.stop()
			src := b.src
			src.Rate, src.Err = 0, ""
			b.stream = r.s.newStream(src)
			r.dirty = true
		}
	}
	for id, b := range r.boxes {
		if !present[id] {
			b.stop()
			delete(r.boxes, id)
			r.dirty = true
		}
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
		return strings.Compare(a.id, b.id)
	})
	return out
}

// take adds what a container's reader sent.
func (r *run) take(c chunk) {
	if c.gen.Err() != nil {
		return
	}
	if len(c.lines) > 0 {
		c.box.add(c.lines, c.past, time.Now())
		c.box.pend[len(c.box.pend)-1].times = c.times
		r.dirty = true
	}
	if c.box.src.Err != c.err {
		c.box.src.Err = c.err
		r.dirty = true
	}
}

// start reads the log in a goroutine until stop.
func (b *box) start(r *run) {
	ctx, cancel := context.WithCancel(r.ctx)
	var wg sync.WaitGroup
	b.cancel, b.wg = cancel, &wg
	open, out := r.s.cfg.Containers.OpenLog, r.chunks
	wg.Go(func() { followContainer(ctx, b, open, out) })
}

// stop ends the reader and waits for it.
func (b *box) stop() {
	b.wanted = false
	b.until = time.Time{}
	if b.cancel != nil {
		b.cancel()
		b.wg.Wait()
		b.cancel = nil
	}
}

// followContainer reads a container's log, over its restarts, and sends whole
// lines without the engine's times, which serve lines that have none.
func followContainer(ctx context.Context, b *box, open func(context.Context, string, time.Time, int) (io.ReadCloser, bool, error), out chan<- chunk) {
	began := time.Now()
	send := func(c chunk) {
		c.box, c.gen = b, ctx
		select {
		case out <- c:
		case <-ctx.Done():
		}
	}
	var last time.Time
	tail := boxHistory
	for ctx.Err() == nil {
		since := last
		if !since.IsZero() {
			since = since.Add(1)
		}
		rc, tty, err := open(ctx, b.id, since, tail)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			send(chunk{err: state.Clean(err.Error())})
		} else {
			stop := context.AfterFunc(ctx, func() { _ = rc.Close() })
			d := demux{r: bufio.NewReaderSize(rc, 64<<10), tty: tty, last: last, began: began}
			for {
				lines, past, err := d.next()
				if len(lines) > 0 {
					send(chunk{lines: lines, times: d.times, past: past})
				}
				if err != nil {
					if lines := d.rest(); len(lines) > 0 {
						send(chunk{lines: lines})
					}
					break
				}
			}
			if stop() {
				_ = rc.Close()
			}
			last = d.last
			if !last.IsZero() {
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

// demux makes lines of an engine's stream.
type demux struct {
	r   *bufio.Reader
	tty bool
	// part has what each stream has not finished: the engine cuts lines at 16 KiB and
	// puts a time before every piece.
	part  [3][]byte
	begun [3]int64 // the time of each part's beginning
	last  time.Time
	began time.Time
	out   []byte
	times []int64 // of each line in out
	past  bool
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
		data = rest
		if at.After(d.last) {
			d.last = at
		}
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
