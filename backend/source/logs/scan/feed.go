package scan

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"
)

// Input is something that records are read from.
type Input struct {
	// Title is what it is called in front of its lines.
	Title string
	// Live is set where data may come slowly: records are passed on as they come.
	Live bool
	// Fallback is the time of records without any, in Unix nanoseconds: when the file
	// was last written. 0 is the time of arrival.
	Fallback int64
	// Read reads it to its end, or until ctx ends.
	Read func(ctx context.Context, to *Feed) error
}

// Feed turns what an input reads into blocks of whole records.
type Feed struct {
	ctx      context.Context
	buf      []byte
	stamps   []stamp
	notes    []string
	caughtUp bool
	offset   int64 // of buf in the input
	give     func(*Found) error
	free     *sync.Pool
	size     int // of a block
	// live says that what comes is given on once it is quietFor old, though more comes;
	// given is when something was given last.
	live  bool
	given time.Time
}

// block returns an empty Found.
func (f *Feed) block() *Found {
	b, _ := f.free.Get().(*Found)
	if b == nil {
		b = &Found{Data: make([]byte, 0, f.size+4096)}
	}
	b.ready = make(chan struct{})
	return b
}

// cut passes on the first n bytes.
func (f *Feed) cut(n int) error {
	if n == 0 && len(f.notes) == 0 && !f.caughtUp {
		return nil
	}
	b := f.block()
	rest := f.buf[n:]
	b.Data, f.buf = f.buf[:n], append(b.Data[:0], rest...)
	b.Offset = f.offset
	f.offset += int64(n)
	b.stamps = b.stamps[:0]
	if len(f.stamps) > 0 {
		i, _ := slices.BinarySearchFunc(f.stamps, n, func(s stamp, n int) int { return s.at - n })
		b.stamps = append(b.stamps, f.stamps[:i]...)
		left := f.stamps[:0]
		for _, s := range f.stamps[i:] {
			left = append(left, stamp{s.at - n, s.ns})
		}
		f.stamps = left
	}
	b.Notes, b.CaughtUp = f.notes, f.caughtUp
	f.notes, f.caughtUp = nil, false
	f.given = time.Now()
	return f.give(b)
}

// spill passes on what is complete once there is enough.
func (f *Feed) spill() error {
	for len(f.buf) >= f.size {
		n := LastHead(f.buf)
		if n == 0 {
			if len(f.buf) < MaxScanned {
				return nil
			}
			if n = len(trimmed(f.buf)); n == 0 {
				n = len(f.buf)
			}
		}
		if err := f.cut(n); err != nil {
			return err
		}
	}
	if f.live && len(f.buf) > 0 && time.Since(f.given) >= QuietFor {
		// All but the last record, which may go on.
		if n := LastHead(f.buf); n > 0 {
			return f.cut(n)
		}
	}
	return nil
}

// From reads r to its end.
func (f *Feed) From(r io.Reader) error {
	for {
		if err := f.ctx.Err(); err != nil {
			return err
		}
		if cap(f.buf)-len(f.buf) < 4096 {
			f.buf = slices.Grow(f.buf, max(f.size, len(f.buf)))
		}
		n, err := r.Read(f.buf[len(f.buf):cap(f.buf)])
		f.buf = f.buf[:len(f.buf)+n]
		if serr := f.spill(); serr != nil {
			return serr
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// StartAt sets the offset of the input at which reading begins, in bytes.
func (f *Feed) StartAt(at int64) { f.offset = at }

// BlockSize returns how much is searched at a time, in bytes.
func (f *Feed) BlockSize() int { return f.size }

// EndLine ends a line that was begun: what comes next begins another.
func (f *Feed) EndLine() {
	if n := len(f.buf); n > 0 && f.buf[n-1] != '\n' {
		f.buf = append(f.buf, '\n')
	}
}

// Lines adds bytes that have come.
func (f *Feed) Lines(data []byte) error {
	f.buf = append(f.buf, data...)
	return f.spill()
}

// Stamped adds a line with the time at which it was written.
func (f *Feed) Stamped(line []byte, ns int64) error {
	f.stamps = append(f.stamps, stamp{len(f.buf), ns})
	f.buf = append(f.buf, line...)
	return f.spill()
}

// Flush passes on all whole lines: the last record is not expected to go on.
func (f *Feed) Flush() error {
	for i := len(f.buf); i > 0; i-- {
		if f.buf[i-1] == '\n' {
			return f.cut(i)
		}
	}
	return f.cut(0)
}

// CaughtUp marks that all that existed when reading began has been passed on.
func (f *Feed) CaughtUp() { f.caughtUp = true }

// Noted reports whether notes wait to be given on.
func (f *Feed) Noted() bool { return len(f.notes) > 0 }

// Note adds a note of what happened to the input; it is shown in its place.
func (f *Feed) Note(text string) { f.notes = append(f.notes, text) }

// Live reads r to its end, and passes on what comes once nothing more has come for a
// moment. Then it has caught up, or, where that can be told, when caught says so of as many
// bytes. When ctx ends it waits for r to end too, as it must then, unless abandon is
// set: nothing ends the reading of a terminal.
func (f *Feed) Live(r io.Reader, abandon bool, caught func(n int64) bool) error {
	type piece struct {
		data []byte
		err  error
	}
	pieces := make(chan piece, 4)
	bufs := make(chan []byte, 6)
	defer func() {
		for !abandon {
			if _, more := <-pieces; !more {
				return
			}
		}
	}()
	go func() {
		defer close(pieces)
		for {
			var b []byte
			select {
			case b = <-bufs:
			default:
				b = make([]byte, f.size)
			}
			n, err := r.Read(b[:cap(b)])
			select {
			case pieces <- piece{b[:n], err}:
			case <-f.ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	timer := time.NewTimer(QuietFor)
	defer timer.Stop()
	var n int64
	for {
		if caught != nil && caught(n) {
			f.CaughtUp()
			if err := f.Flush(); err != nil {
				return err
			}
			caught = func(int64) bool { return false }
		}
		select {
		case <-f.ctx.Done():
			return f.ctx.Err()
		case <-timer.C:
			if caught == nil {
				f.CaughtUp()
			}
			if err := f.Flush(); err != nil {
				return err
			}
		case p := <-pieces:
			n += int64(len(p.data))
			if err := f.Lines(p.data); err != nil {
				return err
			}
			select {
			case bufs <- p.data:
			default:
			}
			if p.err != nil {
				if errors.Is(p.err, io.EOF) {
					return nil
				}
				return p.err
			}
			timer.Reset(QuietFor)
		}
	}
}
