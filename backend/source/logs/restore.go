package logs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

// A cleared log is put back while its writer goes on. Bytes cannot be put in front of
// a file in one step, but an append is one step, even beside other writers, and returns
// where it was written. So:
//
//	WWWW            what was written since the log was cleared
//	WWWW----ww      as many line ends as were cleared are written at the end, in one
//	                piece or several; the writer goes on behind them, which is where its
//	                lines will stand in the end
//	CCCCWWWWww      in what lies before that, and is touched by no other program, the cleared
//	                lines and then those since are written over
//
// What was written since is kept in a file beside it until that is done, and what was
// cleared until all is on disk: nothing is lost if this is cut off. A writer that keeps
// a place of its own left a hole as large as what was cleared; that is filled.

// pad is a piece that was written at the end of a file, by its place there.
type pad struct{ from, to int64 }

// fingerprintOf returns what identifies a rotated file: a number that the file system gave to another
// since does not fit its beginning.
func fingerprintOf(f *os.File) (string, error) {
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	head := make([]byte, 4096)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	id := scan.IDOf(st)
	return fmt.Sprintf("%x:%x:%x", id.Dev, id.Ino, sha256.Sum256(head[:n])), nil
}

// clear rotates so that it can be undone, and returns in the outcome what undo needs.
func (j *job) clear() (state.Outcome, error) {
	j.r.Keep++ // the oldest goes with the next rotation, when this cannot be undone any more
	j.cleared = true
	out, err := j.run()
	if err != nil {
		return out, err
	}
	f, err := os.Open(j.numbered(1))
	if err != nil {
		return out, fmt.Errorf("logs: %s was cleared, but cannot be put back: %w", j.path, err)
	}
	defer func() { _ = f.Close() }()
	print, err := fingerprintOf(f)
	if err != nil {
		return out, fmt.Errorf("logs: %s was cleared, but cannot be put back: %w", j.path, err)
	}
	out.Undo = &state.Action{Kind: state.LogRestore, Target: j.path, Args: map[string]string{"print": print}}
	return out, nil
}

// restore restores what was cleared in front of what was written since. hold stops the
// file's followers, and returns what makes them continue with their place
// moved by so many bytes.
func (j *job) restore(print string, hold func() (func(moved int64), error)) (state.Outcome, error) {
	refuse := func(format string, args ...any) (state.Outcome, error) {
		return state.Outcome{}, fmt.Errorf("logs: put %s back: %w: nothing was changed", j.path, fmt.Errorf(format, args...))
	}
	kept, err := os.Open(j.numbered(1))
	if errors.Is(err, os.ErrNotExist) {
		return refuse("%s is not there any more, so that what was cleared is gone or elsewhere", j.numbered(1))
	} else if err != nil {
		return refuse("%w", err)
	}
	defer func() { _ = kept.Close() }()
	switch now, err := fingerprintOf(kept); {
	case err != nil:
		return refuse("%w", err)
	case now != print:
		return refuse("it was rotated again since: what was cleared is in an older file than %s", j.numbered(1))
	}
	live, err := os.OpenFile(j.path, os.O_RDWR, 0)
	if err != nil {
		return refuse("%w", err)
	}
	defer func() { _ = live.Close() }()
	ks, err := kept.Stat()
	if err != nil {
		return refuse("%w", err)
	}
	ls, err := live.Stat()
	switch {
	case err != nil:
		return refuse("%w", err)
	case !ls.Mode().IsRegular():
		return refuse("it is not a regular file")
	}
	for _, w := range writers(ks) {
		return refuse("%s still writes to %s: have it reopen its log first", w, j.numbered(1))
	}
	n := ks.Size()
	hole := n > 0 && ls.Size() >= n && zeros(live, n)
	if !hole && ls.Size() > 0 {
		for _, w := range writers(ls) {
			if !w.appends {
				return refuse("%s writes to it at a place of its own, not at its end, and would write over what is put back: have it reopen its log first", w)
			}
		}
	}
	if err := roomFor(j.path, n+ls.Size()); err != nil {
		return refuse("%w", err)
	}
	if err := j.ctx.Err(); err != nil {
		return refuse("%w", err)
	}
	release, err := hold()
	if err != nil {
		return refuse("%w", err)
	}
	moved := int64(0)
	defer func() { release(moved) }()
	since := ls.Size()
	switch {
	case hole:
		j.step("filling the hole", 20)
		if _, err := io.Copy(io.NewOffsetWriter(live, 0), io.NewSectionReader(kept, 0, n)); err != nil {
			return refuse("%w", err)
		}
		since -= n
	case n > 0:
		if since, err = j.prepend(live, kept, n, ls); err != nil {
			return state.Outcome{}, fmt.Errorf("logs: put %s back: %w", j.path, err)
		}
		moved = n
	}
	if err := live.Sync(); err != nil {
		return state.Outcome{}, fmt.Errorf("logs: put %s back: %w: what was cleared is still in %s too", j.path, err, j.numbered(1))
	}
	out := state.Outcome{Result: fmt.Sprintf("put %d bytes back in front of %d that were written since", n, since)}
	if st, err := kept.Stat(); err != nil || st.Size() != n {
		return out, fmt.Errorf("logs: %s was put back, but another program wrote to %s meanwhile: it stays; check its end", j.path, j.numbered(1))
	}
	j.step("tidying", 95)
	if err := j.unshift(); err != nil {
		return out, fmt.Errorf("logs: %s was put back, but the rotated files could not be given their old names: %w: check %s.*", j.path, err, j.path)
	}
	return out, nil
}

// prepend puts the n bytes of kept in front of those of live, while others write at
// its end. It returns how many bytes were before it.
func (j *job) prepend(live, kept *os.File, n int64, st os.FileInfo) (since int64, err error) {
	j.step("making room", 10)
	pads, err := padEnd(j.path, st, n)
	if err != nil {
		return 0, fmt.Errorf("%w: lines without text may stand at its end, and nothing is lost: what was cleared is in %s", err, j.numbered(1))
	}
	beside := j.path + ".written-since.tmp"
	side, err := os.OpenFile(beside, os.O_CREATE|os.O_RDWR|os.O_TRUNC, st.Mode().Perm())
	if err != nil {
		return 0, err
	}
	defer func() { _ = side.Close() }()
	keepOwner(side, st)
	at := int64(0)
	for _, p := range pads {
		m, err := io.Copy(side, io.NewSectionReader(live, at, p.from-at))
		if since += m; err == nil && m < p.from-at {
			err = errors.New("another program truncated it meanwhile")
		}
		if err != nil {
			return 0, errors.Join(fmt.Errorf("%w: lines without text stand at its end, and nothing is lost: what was cleared is in %s", err, j.numbered(1)), os.Remove(beside))
		}
		at = p.to
	}
	if err := side.Sync(); err != nil {
		return 0, errors.Join(err, os.Remove(beside))
	}
	j.step("putting it back", 40)
	_, err = io.Copy(io.NewOffsetWriter(live, 0), io.NewSectionReader(kept, 0, n))
	if err == nil {
		_, err = io.Copy(io.NewOffsetWriter(live, n), io.NewSectionReader(side, 0, since))
	}
	if err == nil {
		err = live.Sync()
	}
	if err != nil {
		return 0, fmt.Errorf("%w: what was cleared is in %s, what was written since in %s", err, j.numbered(1), beside)
	}
	return since, os.Remove(beside)
}

// padEnd writes n line ends at the end of the file at path, which is st, and returns where
// they were written.
func padEnd(path string, st os.FileInfo, n int64) (pads []pad, err error) {
	end, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = end.Close() }()
	if now, err := end.Stat(); err != nil || !os.SameFile(now, st) {
		return nil, errors.Join(err, errors.New("it has just been rotated"))
	}
	lines := bytes.Repeat([]byte("\n"), int(min(n, blockSize)))
	for n > 0 {
		m, werr := end.Write(lines[:min(n, blockSize)])
		at, err := end.Seek(0, io.SeekCurrent) // where the last write ended
		if err != nil {
			return nil, err
		}
		if werr != nil {
			return nil, werr
		}
		pads = append(pads, pad{at - int64(m), at})
		n -= int64(m)
	}
	return pads, nil
}

// zeros reports whether a file begins with n NULs.
func zeros(f *os.File, n int64) bool {
	buf := make([]byte, blockSize)
	for at := scan.DataAt(f, 0) / blockSize * blockSize; at < n; {
		m, err := f.ReadAt(buf[:min(int64(len(buf)), n-at)], at)
		if len(bytes.TrimLeft(buf[:m], "\x00")) > 0 || err != nil && !errors.Is(err, io.EOF) || m == 0 {
			return false
		}
		at += int64(m)
	}
	return true
}

// roomFor returns an error if a file's disk has no room for n bytes more.
func roomFor(path string, n int64) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(path), &fs); err != nil {
		return nil // writing will tell
	}
	if free := fs.Bavail * uint64(fs.Bsize); n > 0 && uint64(n) > free {
		return fmt.Errorf("it takes %d bytes, and its disk has %d: free some space first", n, free)
	}
	return nil
}

// unshift removes the first rotated file, and gives the others the names that they had
// before it was made.
func (j *job) unshift() error {
	if err := os.Remove(j.numbered(1)); err != nil {
		return err
	}
	for i := 2; ; i++ {
		moved := false
		for _, ext := range []string{"", ".gz"} {
			switch err := os.Rename(j.numbered(i)+ext, j.numbered(i-1)+ext); {
			case err == nil:
				moved = true
			case !errors.Is(err, os.ErrNotExist):
				return err
			}
		}
		if !moved {
			return nil
		}
	}
}

// hold makes the loop read a file to its end and pause it. The function that it returns
// makes the loop continue after the bytes that were put in front.
func (s *Source) hold(ctx context.Context, path string) (func(moved int64), error) {
	set := func(ctx context.Context, do func(*file)) error {
		return s.inLoop(ctx, path, func(r *run) {
			if f := r.files[path]; f != nil {
				do(f)
			}
		})
	}
	if err := set(ctx, func(f *file) { f.held = true }); err != nil {
		return nil, err
	}
	return func(moved int64) {
		// Also when the action was cancelled or the loop is busy: nothing else resumes it.
		for s.running.Load() && set(context.WithoutCancel(ctx), func(f *file) {
			if f.held {
				f.held = false
				f.moved(moved)
			}
		}) != nil {
		}
	}, nil
}

// moved continues after n bytes that were put in front of what was read.
func (f *follower) moved(n int64) {
	h := f.cur
	if h == nil {
		return
	}
	h.off += n
	h.size += n
	h.readTo, h.holes = 0, false
	head := make([]byte, min(int64(fingerprintSize), h.off))
	m, _ := h.f.ReadAt(head, 0)
	h.head = head[:m]
	if n == 0 && int64(len(h.mark)) > 0 { // a hole before it was filled
		mark := make([]byte, len(h.mark))
		if m, _ := h.f.ReadAt(mark, h.off-int64(len(mark))); m == len(mark) {
			h.mark = mark
		}
	}
}
