package adapter

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// MaxResult bounds one line from an adapter, in bytes.
	MaxResult = 8 << 20
	// maxAside bounds how many messages an adapter may send that nobody asked for
	// while one that was asked for is waited for.
	maxAside = 1000
	// graceful is how long an adapter gets to leave after "bye".
	graceful = 300 * time.Millisecond
)

// Runner is one adapter process. Its methods but dead and log are called by one
// goroutine at a time.
type Runner struct {
	process
	launcher *Launcher
	limits   Limits
	share    share
	tmp      string
	cost     time.Duration // of loading it, in processor time
	// capability is what it said that it can do; nil for nothing.
	capability map[string]any
	in         *os.File
	replies    chan line
	dead       chan struct{}           // closed when the process has ended and was reaped
	logged     chan struct{}           // closed when its log has ended
	how        exit                    // once dead is closed
	fate       atomic.Pointer[Failure] // why the engine ended it
	wg         sync.WaitGroup
	stderr     Log
	next       int64
	stopped    bool // the engine ended it
	once       sync.Once
}

// line is one line of an adapter's output, or why there is none.
type line struct {
	text []byte
	err  error
}

var errTooLong = fmt.Errorf("it wrote a line of over %d MiB", MaxResult>>20)

// Spec is an adapter that is to be started: the program entryPoint in the folder dir,
// which the shim runs where its name ends in .py.
type Spec struct {
	Dir, EntryPoint string
	Limits          Limits
}

// Start starts the adapter's process.
func (l *Launcher) Start(ctx context.Context, py Python, s Spec) (*Runner, error) {
	dir, entry, lim := s.Dir, s.EntryPoint, s.Limits
	r := &Runner{launcher: l, limits: lim, replies: make(chan line), dead: make(chan struct{}), logged: make(chan struct{})}
	var files []*os.File
	fail := func(err error) (*Runner, error) {
		for _, f := range files {
			_ = f.Close()
		}
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, &Failure{Stage: "start", Text: err.Error()}
	}
	for range 3 {
		a, b, err := os.Pipe()
		if err != nil {
			return fail(err)
		}
		files = append(files, a, b)
	}
	inR, inW, outR, outW, errR, errW := files[0], files[1], files[2], files[3], files[4], files[5]
	w := spawn{Dir: dir, Memory: lim.Memory, Space: lim.addressSpace(), Files: maxFiles, Size: maxFileSize, Nice: adapterPriority(), Processors: adapterProcessors()}
	if all, _ := hostTasks(); all > 0 && os.Geteuid() != 0 { // the kernel holds root to no such bound
		w.Tasks = int64(all + maxMore)
	}
	if filepath.Ext(entry) != ".py" {
		w.Program = filepath.Join(dir, entry)
	}
	var err error
	if r.process, r.tmp, err = l.start(ctx, py, w, [3]*os.File{inR, outW, errW}); err != nil {
		return fail(fmt.Errorf("its adapter %s does not start: %w", entry, err))
	}
	for _, f := range []*os.File{inR, outW, errW} {
		_ = f.Close()
	}
	r.in = inW
	l.mu.Lock()
	l.runners[r] = true
	l.mu.Unlock()
	l.look()
	r.wg.Go(func() {
		defer close(r.logged)
		copyLog(&r.stderr, errR)
		_ = errR.Close()
	})
	r.wg.Go(func() { r.read(outR) })
	r.wg.Go(func() {
		r.how = r.wait()
		l.mu.Lock()
		delete(l.runners, r)
		l.mu.Unlock()
		// What left it may still hold the pipes open; nobody waits for it.
		_ = outR.SetReadDeadline(time.Now().Add(graceful))
		_ = errR.SetReadDeadline(time.Now().Add(graceful))
		close(r.dead)
		_ = os.RemoveAll(r.tmp)
	})
	return r, nil
}

// PID returns the process ID.
func (r *Runner) PID() int { return r.pid() }

// Ended returns what is closed when the process has ended and was reaped.
func (r *Runner) Ended() <-chan struct{} { return r.dead }

// WhyEnded returns why the process was ended from here, nil where it was not.
func (r *Runner) WhyEnded() *Failure { return r.fate.Load() }

// Log returns what the process writes to its log.
func (r *Runner) Log() *Log { return &r.stderr }

// LoadCost returns how long loading the adapter took the processor.
func (r *Runner) LoadCost() time.Duration { return r.cost }

// Capabilities returns what the adapter said that it can do, nil for nothing.
func (r *Runner) Capabilities() map[string]any { return r.capability }

// LowPriority reports whether the process has the lowest priority.
func (r *Runner) LowPriority() bool { return r.share.isLow() }

// condemn ends the process for a reason.
func (r *Runner) condemn(why *Failure) {
	if r.fate.CompareAndSwap(nil, why) {
		_ = syscall.Kill(-r.pid(), syscall.SIGSTOP) // all of its group at once: they start nothing more
		r.end()
	}
}

// read passes on lines until the output ends.
func (r *Runner) read(out *os.File) {
	defer close(r.replies)
	defer out.Close()
	br := bufio.NewReaderSize(out, 64<<10)
	var buf []byte
	var p pace
	for {
		part, err := br.ReadSlice('\n')
		if len(buf)+len(part) > MaxResult {
			r.send(line{err: errTooLong})
			_, _ = io.Copy(io.Discard, br)
			return
		}
		buf = append(buf, part...)
		if err == bufio.ErrBufferFull {
			continue
		}
		if text := bytes.TrimSpace(buf); len(text) > 0 {
			if text[0] != '{' {
				// Programs print; what is no message is log.
				_, _ = r.stderr.Write(append(bytes.Clone(text), '\n'))
				p.took(len(text))
			} else if !r.send(line{text: bytes.Clone(text)}) {
				return
			}
		}
		buf = buf[:0]
		if cap(buf) > 1<<20 {
			buf = nil
		}
		if err != nil {
			return
		}
	}
}

// send gives a line to whoever waits for one. Unasked lines of a process that
// has ended are dropped.
func (r *Runner) send(l line) bool {
	select {
	case r.replies <- l:
		return true
	case <-r.dead:
		// The answer may have been written just before the end.
		select {
		case r.replies <- l:
			return true
		case <-time.After(graceful):
			return false
		}
	}
}

// Crashed waits for the end of a process whose output has ended, and tells of it.
func (r *Runner) Crashed(ctx context.Context) error {
	select {
	case <-r.dead:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(graceful):
		if r.orphaned() {
			return ErrForkServerGone
		}
		return &Failure{Stage: "crash", Text: "its adapter closed its output but still runs", Traceback: r.stderr.String()}
	}
	if f := r.fate.Load(); f != nil {
		<-r.logged
		return &Failure{Stage: f.Stage, Text: f.Text, Traceback: r.stderr.String()}
	}
	if r.how.lost {
		return ErrForkServerGone
	}
	text := "its runner ended by itself"
	switch ws := r.how.status; {
	case ws.Signaled():
		text = fmt.Sprintf("its runner was killed by signal %d (%s)", int(ws.Signal()), ws.Signal())
	case ws.Exited():
		text = fmt.Sprintf("its runner exited with code %d", ws.ExitStatus())
	case r.how.err != nil:
		text = "its runner died: " + r.how.err.Error()
	}
	<-r.logged // the reasons are in its last lines
	if last := r.stderr.lastLine(); last != "" {
		text += ": " + last
	}
	return &Failure{Stage: "crash", Text: text, Traceback: r.stderr.String()}
}

// broken explains a write that failed: the process is gone, or time is up.
func (r *Runner) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-r.dead:
		return r.Crashed(ctx)
	case <-time.After(graceful):
		if r.orphaned() {
			return ErrForkServerGone
		}
		return &Failure{Stage: "crash", Text: "its adapter does not read its input: " + err.Error(), Traceback: r.stderr.String()}
	}
}

// orphaned reports whether what kept the process is ending: the process goes with
// it, and what it left behind is looked for before its end is told.
func (r *Runner) orphaned() bool {
	f, ok := r.process.(*forked)
	return ok && f.lost()
}

// alive reports whether the process runs.
func (r *Runner) alive() bool {
	select {
	case <-r.dead:
		return false
	default:
		return true
	}
}

// Stop ends the process and all that it started, and waits for it. Polite gives
// it a moment to leave by itself.
func (r *Runner) Stop(polite bool) {
	r.once.Do(func() {
		r.stopped = true
		if polite && r.alive() {
			ctx, cancel := context.WithTimeout(context.Background(), graceful)
			_ = r.tell(ctx, message{Op: "bye"})
			cancel()
		}
		_ = r.in.Close()
		if polite {
			select {
			case <-r.dead:
			case <-time.After(graceful):
			}
		}
		if r.alive() {
			r.end()
		}
		<-r.dead
		for range r.replies { // lets the reader go
		}
		r.wg.Wait()
	})
}
