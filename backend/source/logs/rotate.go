package logs

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Rotation modes.
const (
	// Rename moves the file away and signals its writer to open a new one.
	Rename = "rename"
	// CopyTruncate copies the file and empties it: safe for a writer that does not
	// reopen. What is written between the two is lost, so the copy is continued
	// until nothing more comes, and then the file is emptied at once.
	CopyTruncate = "copytruncate"
)

// reopenWait is how long a writer may take to open its new file.
const reopenWait = 10 * time.Second

// Rotation configures how a file is rotated.
type Rotation struct {
	// Mode is Rename or CopyTruncate; "" is Rename where the writer can be told, else
	// CopyTruncate.
	Mode string
	// Keep is how many rotated files are kept; 0 is 5.
	Keep int
	// Plain leaves all rotated files uncompressed; else those older than .1 are gzipped.
	Plain bool
	// Signal ("HUP", "USR1", "USR2") goes to the process in PidFile after a rename.
	Signal, PidFile string
	// Reopen is a command and its arguments, run after a rename instead of a signal.
	Reopen []string
	// MaxBytes and MaxAge have the file rotated by itself once it is as large, or its
	// first line as old; 0 is never.
	MaxBytes int64
	MaxAge   time.Duration
}

// RotationRule is a rotation for some files.
type RotationRule struct {
	// Files are paths and globs, relative to the workspace.
	Files []string
	Rotation
}

// normal fills in the defaults.
func (r Rotation) normal() Rotation {
	if r.Keep <= 0 {
		r.Keep = 5
	}
	if r.Mode == "" {
		r.Mode = CopyTruncate
		if r.PidFile != "" || len(r.Reopen) > 0 {
			r.Mode = Rename
		}
	}
	if r.PidFile != "" && r.Signal == "" {
		r.Signal = "HUP"
	}
	return r
}

// String returns what a rotation does.
func (r Rotation) String() string {
	r = r.normal()
	parts := []string{r.Mode, "keep " + strconv.Itoa(r.Keep)}
	if r.Mode == CopyTruncate {
		parts[0] = "copy and truncate"
	}
	if !r.Plain {
		parts = append(parts, "gzip")
	}
	if r.MaxBytes > 0 {
		parts = append(parts, "by itself from "+strconv.FormatInt(r.MaxBytes, 10)+" bytes")
	}
	if r.MaxAge > 0 {
		parts = append(parts, "by itself after "+r.MaxAge.String())
	}
	out := strings.Join(parts, ", ")
	if r.Mode == Rename {
		switch {
		case len(r.Reopen) > 0:
			out += ", then run " + strings.Join(r.Reopen, " ")
		case r.PidFile != "":
			out += ", then signal " + r.Signal + " to pid in " + r.PidFile
		default:
			out += "; no signal is sent, so the writer must reopen by itself"
		}
	}
	return state.Clean(out)
}

// signals are those that may be sent to a log's writer.
var signals = map[string]syscall.Signal{"HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2}

// Kinds implements state.Executor.
func (s *Source) Kinds() []state.Kind {
	return []state.Kind{state.LogRotate, state.LogClear, state.LogRestore}
}

// Execute implements state.Executor: it rotates or clears one file, or puts back what
// was cleared. The target is a path, a source ID or a title.
func (s *Source) Execute(ctx context.Context, a state.Action, progress func(string, float64)) (state.Outcome, error) {
	path := strings.TrimPrefix(a.Target, "file:")
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.cfg.Root, path)
	}
	if p := s.paths.Load(); p != nil && !(*p)[path] {
		return state.Outcome{}, fmt.Errorf("logs: rotate %s: it is not a file that is followed here: see opsdeck logs", state.Clean(a.Target))
	}
	j := job{ctx: ctx, path: path, r: s.rotation(path), step: progress, settle: func() error { return s.readToEnd(ctx, path) }}
	switch a.Kind {
	case state.LogClear:
		return j.clear()
	case state.LogRestore:
		return j.restore(a.Args["print"], func() (func(int64), error) { return s.hold(ctx, path) })
	}
	return j.run()
}

// job is one rotation under way.
type job struct {
	ctx    context.Context
	path   string
	r      Rotation
	step   func(string, float64)
	settle func() error
	// cleared is set for a clear.
	cleared bool
	// undo holds what undoes the renames, in the order in which they were done.
	undo []func() error
}

// numbered returns the i-th rotated file's name.
func (j *job) numbered(i int) string { return j.path + "." + strconv.Itoa(i) }

func (j *job) fail(doing string, err error) (state.Outcome, error) {
	for i := len(j.undo) - 1; i >= 0; i-- {
		if uerr := j.undo[i](); uerr != nil {
			return state.Outcome{}, fmt.Errorf("logs: rotate %s: %s: %w; putting back: %w: check %s.*", j.path, doing, err, uerr, j.path)
		}
	}
	hint := "nothing was changed"
	switch {
	case errors.Is(err, syscall.ENOSPC):
		hint = "everything was put back: free some space on its disk first"
	case errors.Is(err, os.ErrPermission):
		hint = "everything was put back: this user may not write there"
	case len(j.undo) > 0:
		hint = "everything was put back"
	}
	return state.Outcome{}, fmt.Errorf("logs: rotate %s: %s: %w: %s", j.path, doing, err, hint)
}

func (j *job) run() (state.Outcome, error) {
	st, err := os.Stat(j.path)
	if err != nil {
		return j.fail("inspect it", err)
	}
	if !st.Mode().IsRegular() {
		return j.fail("inspect it", errors.New("it is not a regular file"))
	}
	var writer *os.Process
	switch {
	case j.r.Mode == Rename && j.r.PidFile != "":
		if writer, err = j.writer(); err != nil {
			return j.fail("find its writer", err)
		}
	case j.r.Mode != Rename && j.r.Mode != CopyTruncate:
		return j.fail("choose how", fmt.Errorf("the mode %q is unknown: write rename or copytruncate", j.r.Mode))
	}
	j.step("making room", 5)
	doomed, err := j.shift()
	if err != nil {
		return j.fail("make room for it", err)
	}
	if j.r.Mode == Rename {
		err = j.rename(st, writer)
	} else {
		err = j.copyTruncate(st)
	}
	if err != nil {
		return j.fail(j.r.Mode, err)
	}
	// From here on the new file has begun: what follows is tidying.
	out := state.Outcome{Result: fmt.Sprintf("rotated %s to %s, %d bytes", filepath.Base(j.path), filepath.Base(j.numbered(1)), st.Size())}
	if j.cleared {
		out.Result = fmt.Sprintf("cleared %s: %d bytes are in %s until the next rotation", filepath.Base(j.path), st.Size(), filepath.Base(j.numbered(1)))
	}
	for _, d := range doomed {
		if err := os.Remove(d); err != nil {
			return out, fmt.Errorf("logs: %s was rotated, but %s could not be removed: %w: remove it by hand", j.path, d, err)
		}
	}
	if !j.r.Plain {
		for i := 2; i <= j.r.Keep; i++ {
			if err := j.compress(j.numbered(i)); err != nil {
				return out, fmt.Errorf("logs: %s was rotated, but %s could not be compressed: %w: it stays as it is; free some space on its disk", j.path, j.numbered(i), err)
			}
		}
	}
	j.step("done", 100)
	return out, nil
}

// writer returns the process to signal, before anything is changed.
func (j *job) writer() (*os.Process, error) {
	if signals[j.r.Signal] == 0 {
		return nil, fmt.Errorf("the signal %q is unknown: write HUP, USR1 or USR2", j.r.Signal)
	}
	b, err := os.ReadFile(j.r.PidFile)
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 1 {
		return nil, fmt.Errorf("%s does not hold a process ID", j.r.PidFile)
	}
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Signal(syscall.Signal(0))
	}
	if err != nil {
		return nil, fmt.Errorf("process %d of %s: %w", pid, j.r.PidFile, err)
	}
	return p, nil
}

// shift moves .1 to .2 and so on. What falls out at the end, the one more that a clear
// kept among it, is set aside under a name of its own, to be removed when all has gone
// well.
func (j *job) shift() (doomed []string, err error) {
	move := func(from, to string) error {
		if err := os.Rename(from, to); err != nil {
			return err
		}
		j.undo = append(j.undo, func() error { return os.Rename(to, from) })
		return nil
	}
	for i := j.r.Keep + 1; i >= 1; i-- {
		for _, ext := range []string{"", ".gz"} {
			from := j.numbered(i) + ext
			if _, err := os.Lstat(from); errors.Is(err, os.ErrNotExist) {
				continue
			} else if err != nil {
				return nil, err
			}
			to := j.numbered(i+1) + ext
			if i >= j.r.Keep {
				to = from + ".removing.tmp"
				doomed = append(doomed, to)
			}
			if err := move(from, to); err != nil {
				return nil, err
			}
		}
	}
	return doomed, nil
}

// rename moves the file away and has its writer open a new one.
func (j *job) rename(st os.FileInfo, writer *os.Process) error {
	j.step("renaming", 20)
	to := j.numbered(1)
	if err := os.Rename(j.path, to); err != nil {
		return err
	}
	j.undo = append(j.undo, func() error {
		if _, err := os.Lstat(j.path); err == nil {
			return fmt.Errorf("%s exists again", j.path)
		}
		return os.Rename(to, j.path)
	})
	switch {
	case len(j.r.Reopen) > 0:
		j.step("running "+j.r.Reopen[0], 40)
		ctx, cancel := context.WithTimeout(j.ctx, 30*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, j.r.Reopen[0], j.r.Reopen[1:]...)
		cmd.Dir = filepath.Dir(j.path)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", j.r.Reopen[0], err, state.Clean(string(bytes.TrimSpace(out[:min(len(out), 400)]))))
		}
	case writer != nil:
		j.step("sending "+j.r.Signal, 40)
		if err := writer.Signal(signals[j.r.Signal]); err != nil {
			return err
		}
	default:
		// No writer can be signalled: a new file is there for writers that check for one.
		f, err := os.OpenFile(j.path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, st.Mode().Perm())
		if err != nil {
			return err
		}
		return f.Close()
	}
	j.step("waiting for the new file", 60)
	deadline := time.NewTimer(reopenWait)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(j.path); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return fmt.Errorf("its writer was signalled, but opened no new file within %s", reopenWait)
		case <-j.ctx.Done():
			return j.ctx.Err()
		}
	}
}

// copyTruncate copies the file, until nothing more comes, and empties it.
func (j *job) copyTruncate(st os.FileInfo) (err error) {
	src, err := os.OpenFile(j.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	to := j.numbered(1)
	tmp := to + ".tmp"
	dst, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, st.Mode().Perm())
	if err != nil {
		return err
	}
	defer func() {
		_ = dst.Close()
		if err != nil {
			_ = os.Remove(tmp)
		}
	}()
	keepOwner(dst, st)
	buf := make([]byte, blockSize)
	var off int64
	copyRest := func() error {
		for {
			if j.ctx.Err() != nil {
				return j.ctx.Err()
			}
			n, rerr := src.ReadAt(buf, off)
			if n > 0 {
				if _, werr := dst.Write(buf[:n]); werr != nil {
					return werr
				}
				off += int64(n)
				j.step("copying", 10+70*min(1, float64(off)/float64(max(1, st.Size()))))
			}
			if errors.Is(rerr, io.EOF) || n == 0 && rerr == nil {
				return nil
			}
			if rerr != nil {
				return rerr
			}
		}
	}
	if err = copyRest(); err != nil {
		return err
	}
	if err = dst.Sync(); err != nil {
		return err
	}
	if err = j.settle(); err != nil {
		return err
	}
	// The copy takes its name before the file is emptied, so that a program that follows
	// the file finds there what was not read yet.
	if err = os.Rename(tmp, to); err != nil {
		return err
	}
	j.undo = append(j.undo, func() error { return os.Remove(to) })
	if err = copyRest(); err != nil {
		return err
	}
	j.step("truncating", 85)
	if err = copyRest(); err != nil {
		return err
	}
	if err = src.Truncate(0); err != nil {
		return err
	}
	_ = dst.Sync()
	return nil
}

// compress makes path.gz of path, and removes path only when all of it is on disk.
func (j *job) compress(path string) (err error) {
	src, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	st, err := src.Stat()
	if err != nil {
		return err
	}
	j.step("compressing "+filepath.Base(path), 90)
	tmp := path + ".gz.tmp"
	dst, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, st.Mode().Perm())
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp)
		}
	}()
	keepOwner(dst, st)
	z := gzip.NewWriter(dst)
	z.Name, z.ModTime = filepath.Base(path), st.ModTime()
	if _, err = io.Copy(z, src); err == nil {
		err = z.Close()
	}
	if err == nil {
		err = dst.Sync()
	}
	if cerr := dst.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err = os.Rename(tmp, path+".gz"); err != nil {
		return err
	}
	_ = os.Chtimes(path+".gz", st.ModTime(), st.ModTime())
	return os.Remove(path)
}
