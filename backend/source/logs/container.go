package logs

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

// ContainerLogs opens the logs of containers. The docker source implements it.
type ContainerLogs interface {
	// Containers returns those that are present. The slice is not written to.
	Containers() []state.Container
	// OpenLog follows a log: the lines since a time, at most the last tail of them
	// (negative for all), each with its RFC 3339 time and a space before it. With tty
	// false the stream is in frames of an 8-byte header (stream, 3 zeros, length).
	OpenLog(ctx context.Context, id string, since time.Time, tail int) (rc io.ReadCloser, tty bool, err error)
}

// Container logs: how much history, and how long one is read on unwatched.
const (
	streamHistory = 200
	streamGrace   = 20 * time.Second
	streamRetry   = time.Second
	// streamGone is how long the log of a container that was removed is read on, for what
	// it said last.
	streamGone = 2 * time.Second
)

// streamReader reads a container's log: lines since last, at most tail of them at first.
// Those after began are new.
type streamReader struct {
	began, last time.Time
	tail        int
}

// follow reads the log over restarts of the container, and sends whole lines without
// the engine's times, which serve lines that have none.
func (f streamReader) follow(ctx context.Context, b *remoteStream, open func(context.Context, string, time.Time, int) (io.ReadCloser, bool, error), out chan<- chunk) {
	send := func(c chunk) {
		c.stream, c.gen, c.began = b, ctx, f.began
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
		case <-time.After(streamRetry):
		}
	}
}

// place is how far a container's log was read: to the latest of the engine's times, and
// as many pieces that bore it. An engine may cut its times to seconds, as Podman does: a
// log is resumed at that time, and as many pieces of it skipped.
type place struct {
	at     time.Time
	pieces int
}

// has reports whether a piece was read before the place, in a log that is resumed there.
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

// next returns the lines that have come, waiting for at least one. past says that all
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

// piece handles one message: a time, a space, and a line or a part of one.
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
	if len(d.part[stream]) < 4*scan.MaxLine {
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

// rest returns what was not finished when the stream ended.
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

// cutTime splits the engine's time from a message.
func cutTime(b []byte) (time.Time, []byte, bool) {
	for i := range min(len(b), 40) {
		if b[i] == ' ' {
			at, err := time.Parse(time.RFC3339Nano, string(b[:i]))
			return at, b[i+1:], err == nil
		}
	}
	return time.Time{}, b, false
}
