package logs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// FollowOptions say how [Follow] reads.
type FollowOptions struct {
	// FromStart reads the whole file, not only its last 256 KiB.
	FromStart bool
	// Once ends at the file's end instead of waiting for more.
	Once bool
	// Mask hides secrets; nil hides none.
	Mask func(string) string
}

// Batch is what [Follow] read: records in order, and what happened to the file.
type Batch struct {
	Records []state.LogRecord
	// Source has counts, and in Err why the file cannot be read now.
	Source state.LogSource
}

// Follow reads one file and calls emit with its records, as they come, until ctx
// ends; with Once until its end. It retains nothing and leaves nothing out. emit
// is called from this goroutine and may keep the records. A file that is not there
// is an error with Once, and waited for without.
func Follow(ctx context.Context, path string, opts FollowOptions, emit func(Batch)) error {
	if opts.Mask == nil {
		opts.Mask = func(s string) string { return s }
	}
	if opts.Once {
		if _, err := os.Stat(path); err != nil {
			return &fs.PathError{Op: "read the log", Path: path, Err: errors.Unwrap(err)}
		}
	}
	f := newFollower(path, opts.FromStart)
	defer f.close()
	s := newStream(state.LogSource{ID: "file:" + path, Kind: "file", Title: path, Path: path}, 1<<62, opts.Mask)
	buf := make([]byte, blockSize)
	lastErr, held := "", time.Time{}
	flush := func(all bool) {
		s.settle()
		n := len(s.tail)
		// The last record may go on: it waits until nothing has come for a moment.
		if n > 0 && !all {
			n--
		}
		if n == 0 && f.err == lastErr {
			return
		}
		lastErr = f.err
		s.src.Err, s.src.Size = f.err, f.size
		s.src.Rotations, s.src.Truncations, s.src.LostBytes = f.rotations, f.truncations, f.lost
		out := s.tail[:n:n]
		s.tail, s.bytes, s.pub = append([]state.LogRecord(nil), s.tail[n:]...), 0, 0
		emit(Batch{Records: out, Source: s.src})
	}
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			flush(true)
			return ctx.Err()
		case <-wait.C:
		}
		now := time.Now()
		took := 0
		read := func(past bool) sink {
			return func(lines []byte) {
				s.add(lines, past, now)
				if took += len(lines); took >= 4*blockSize {
					took = 0
					flush(false)
				}
			}
		}
		got, more := f.look(now, buf, read(true), read(false))
		if got || s.pending() {
			held = now
		}
		quiet := now.Sub(held) > 2*lookIdle
		if opts.Once && !more && !got {
			if f.cur != nil {
				f.cur.split.finish(read(false))
			}
			flush(true)
			return nil
		}
		flush(quiet)
		switch {
		case more || opts.Once:
			wait.Reset(0)
		case f.took >= hotBytes:
			wait.Reset(lookHot)
		case quiet:
			wait.Reset(lookIdle)
		default:
			wait.Reset(lookBusy)
		}
	}
}
