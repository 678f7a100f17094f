package engine

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

//go:embed shim.py
var shim []byte

// bootstrap is the program text on the interpreter's command line: it reads the
// shim from descriptor 3, so that nothing need lie on disk.
const bootstrap = `import os
f = os.fdopen(3, encoding="utf-8"); s = f.read(); f.close()
exec(compile(s, "<opsdeck-shim>", "exec"), {"__name__": "opsdeck_shim", "_opsdeck_shim_name": "<opsdeck-shim>"})`

const (
	// protocolVersion is that of doc.go.
	protocolVersion = 1
	// maxResult bounds one line from an adapter, in bytes.
	maxResult = 8 << 20
	// maxLog is how much of an adapter's log is kept, in bytes.
	maxLog = 32 << 10
	// graceful is how long an adapter gets to leave after "bye".
	graceful = 300 * time.Millisecond
)

// request is one message to an adapter. Op comes first, for simple adapters.
type request struct {
	Op       string `json:"op"`
	ID       int64  `json:"id,omitempty"`
	Protocol int    `json:"protocol,omitempty"`
	*configure
}

// configure is what an adapter is told before its first fetch.
type configure struct {
	Module      string         `json:"module"`
	Category    string         `json:"category"`
	Platform    string         `json:"platform"`
	Dir         string         `json:"dir"`
	Workspace   string         `json:"workspace"`
	EntryPoint  string         `json:"entry_point"`
	ClassName   string         `json:"class_name"`
	Shared      string         `json:"shared"`
	Credentials map[string]any `json:"credentials"`
	Settings    map[string]any `json:"settings"`
	Timeout     float64        `json:"timeout_seconds"`
}

// reply is one message from an adapter.
type reply struct {
	Op        string          `json:"op"`
	ID        int64           `json:"id"`
	Protocol  int             `json:"protocol"`
	Data      json.RawMessage `json:"data"`
	Metadata  json.RawMessage `json:"metadata"`
	RawCount  int             `json:"raw_count"`
	Errors    []string        `json:"errors"`
	Stage     string          `json:"stage"`
	Error     string          `json:"error"`
	Traceback string          `json:"traceback"`
	Missing   string          `json:"missing"`
}

// Failure is why an adapter did not do what it was asked: one line, and all of it.
type Failure struct {
	// Stage is "start", "import", "fetch_raw", "transform", "result", "fetch", "timeout" or "crash".
	Stage     string
	Text      string
	Traceback string
}

// Error implements error.
func (f *Failure) Error() string { return f.Text }

// python is an interpreter that adapters can run with.
type python struct{ path, version string }

// findPython asks an interpreter ("" for python3 on the PATH) where and what it is.
func findPython(ctx context.Context, name string) (python, error) {
	if name == "" {
		name = "python3"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return python{}, fmt.Errorf("%s was not found on the PATH: install Python 3.8 or later", name)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-c", `import sys; print(sys.executable); print("%d.%d.%d" % sys.version_info[:3]); print(int(sys.version_info >= (3, 8)))`)
	cmd.Env = childEnv()
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && len(exit.Stderr) > 0 {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return python{}, fmt.Errorf("%s does not run: %w", path, err)
	}
	lines := strings.Fields(string(out))
	if len(lines) != 3 {
		return python{}, fmt.Errorf("%s does not run: it answered %q", path, brief(string(out)))
	}
	if lines[2] != "1" {
		return python{}, fmt.Errorf("%s is Python %s: 3.8 or later was expected", path, lines[1])
	}
	return python{lines[0], lines[1]}, nil
}

// childEnv is all that adapters get to see of the environment. Nothing in it is
// secret; above all not the key of the credential store.
func childEnv() []string {
	env := []string{"PYTHONDONTWRITEBYTECODE=1", "PYTHONUTF8=1", "PYTHONUNBUFFERED=1"}
	for _, k := range []string{"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if v, ok := os.LookupEnv(k); ok {
			env = append(env, k+"="+v)
		}
	}
	return env
}

// spawner starts processes from one thread that lives as long as it does. Linux
// sends a child its parent-death signal when the thread that started it ends,
// which a thread of the Go runtime may do at any time.
type spawner struct {
	jobs chan func()
	done chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{jobs: make(chan func()), done: make(chan struct{})}
	go s.run()
	return s
}

func (s *spawner) run() {
	runtime.LockOSThread()
	if onMainThread() { // which ends with the process alone: held here, so that another is taken
		defer runtime.UnlockOSThread()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.run()
		}()
		<-ended
		return
	}
	defer close(s.done)
	for f := range s.jobs {
		f()
	}
}

func (s *spawner) start(cmd *exec.Cmd) error {
	res := make(chan error, 1)
	s.jobs <- func() { res <- cmd.Start() }
	return <-res
}

// stop ends the thread; every child must have ended before.
func (s *spawner) stop() {
	close(s.jobs)
	<-s.done
}

// runner is one adapter process. Its methods but dead and log are called by one
// goroutine at a time.
type runner struct {
	cmd     *exec.Cmd
	in      *os.File
	replies chan line
	dead    chan struct{} // closed when the process has ended and was reaped
	logged  chan struct{} // closed when its log has ended
	exit    error         // why, once dead is closed
	wg      sync.WaitGroup
	log     ring
	next    int64
	stopped bool // the engine ended it
	once    sync.Once
}

// line is one line of an adapter's output, or why there is none.
type line struct {
	text []byte
	err  error
}

var errTooLong = fmt.Errorf("it wrote a line of over %d MiB", maxResult>>20)

// startRunner starts the adapter's process.
func startRunner(sp *spawner, py python, dir, entry string) (*runner, error) {
	r := &runner{replies: make(chan line), dead: make(chan struct{}), logged: make(chan struct{})}
	files := []*os.File{}
	fail := func(err error) (*runner, error) {
		for _, f := range files {
			_ = f.Close()
		}
		return nil, &Failure{Stage: "start", Text: err.Error()}
	}
	pipe := func() (*os.File, *os.File, error) {
		a, b, err := os.Pipe()
		if err == nil {
			files = append(files, a, b)
		}
		return a, b, err
	}
	inR, inW, err := pipe()
	if err != nil {
		return fail(err)
	}
	outR, outW, err := pipe()
	if err != nil {
		return fail(err)
	}
	errR, errW, err := pipe()
	if err != nil {
		return fail(err)
	}
	var shimR, shimW *os.File
	if filepath.Ext(entry) == ".py" {
		r.cmd = exec.Command(py.path, "-c", bootstrap)
		if shimR, shimW, err = pipe(); err != nil {
			return fail(err)
		}
		r.cmd.ExtraFiles = []*os.File{shimR}
	} else {
		r.cmd = exec.Command(filepath.Join(dir, entry))
	}
	r.cmd.Dir, r.cmd.Env, r.cmd.SysProcAttr = dir, childEnv(), ownGroup()
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = inR, outW, errW
	if err := sp.start(r.cmd); err != nil {
		if errors.Is(err, os.ErrPermission) {
			err = fmt.Errorf("%w: an entry point that does not end in .py must be executable (chmod +x %s)", err, entry)
		}
		return fail(fmt.Errorf("its adapter %s does not start: %w", entry, err))
	}
	for _, f := range []*os.File{inR, outW, errW, shimR} {
		if f != nil {
			_ = f.Close()
		}
	}
	r.in = inW
	if shimW != nil {
		r.wg.Go(func() {
			_, _ = shimW.Write(shim)
			_ = shimW.Close()
		})
	}
	r.wg.Go(func() {
		defer close(r.logged)
		_, _ = io.Copy(&r.log, errR)
		_ = errR.Close()
	})
	r.wg.Go(func() { r.read(outR) })
	r.wg.Go(func() {
		err := r.cmd.Wait()
		// What it started is in its group, and goes with it. One that left the group
		// may still hold the pipes open; nobody waits for it.
		_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
		_ = outR.SetReadDeadline(time.Now().Add(graceful))
		_ = errR.SetReadDeadline(time.Now().Add(graceful))
		if err == nil {
			err = errors.New("it ended by itself")
		}
		r.exit = err
		close(r.dead)
	})
	return r, nil
}

// read passes on lines until the output ends.
func (r *runner) read(out *os.File) {
	defer close(r.replies)
	defer out.Close()
	br := bufio.NewReaderSize(out, 64<<10)
	var buf []byte
	for {
		part, err := br.ReadSlice('\n')
		if len(buf)+len(part) > maxResult {
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
				_, _ = r.log.Write(append(bytes.Clone(text), '\n'))
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
func (r *runner) send(l line) bool {
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

// tell sends one message.
func (r *runner) tell(ctx context.Context, m request) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = r.in.SetWriteDeadline(time.Now()) })
	defer stop()
	_, err := r.in.Write(b.Bytes())
	return err
}

// hear waits for the next message that is wanted.
func (r *runner) hear(ctx context.Context, want func(*reply) bool) (*reply, error) {
	for {
		select {
		case l, ok := <-r.replies:
			if !ok {
				return nil, r.crashed(ctx)
			}
			if l.err != nil {
				return nil, &Failure{Stage: "result", Text: "its result was refused: " + l.err.Error()}
			}
			var m reply
			if err := json.Unmarshal(l.text, &m); err != nil || m.Op == "" {
				_, _ = r.log.Write(append(l.text[:min(len(l.text), 512)], '\n'))
				continue
			}
			if want(&m) {
				return &m, nil
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// crashed waits for the end of a process whose output has ended, and tells of it.
func (r *runner) crashed(ctx context.Context) error {
	select {
	case <-r.dead:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(graceful):
		return &Failure{Stage: "crash", Text: "its adapter closed its output but still runs", Traceback: r.log.String()}
	}
	text := "its runner died: " + r.exit.Error()
	if ps := r.cmd.ProcessState; ps != nil {
		if ws, ok := ps.Sys().(syscall.WaitStatus); ok {
			switch {
			case ws.Signaled():
				text = fmt.Sprintf("its runner was killed by signal %d (%s)", int(ws.Signal()), ws.Signal())
			case ws.Exited():
				text = fmt.Sprintf("its runner exited with code %d", ws.ExitStatus())
			}
		}
	}
	<-r.logged // the reasons are in its last lines
	if last := r.log.lastLine(); last != "" {
		text += ": " + last
	}
	return &Failure{Stage: "crash", Text: text, Traceback: r.log.String()}
}

// configure waits for hello, sends what the adapter needs, waits for ready.
func (r *runner) configure(ctx context.Context, c *configure) error {
	hello, err := r.hear(ctx, func(m *reply) bool { return m.Op == "hello" || m.Op == "error" })
	if err != nil {
		return err
	}
	if hello.Op == "error" {
		return failed(hello, "import")
	}
	if hello.Protocol > protocolVersion {
		return &Failure{Stage: "start", Text: fmt.Sprintf("its adapter speaks protocol %d; this engine speaks %d", hello.Protocol, protocolVersion)}
	}
	if c.Credentials == nil {
		c.Credentials = map[string]any{}
	}
	if c.Settings == nil {
		c.Settings = map[string]any{}
	}
	if err := r.tell(ctx, request{Op: "configure", Protocol: protocolVersion, configure: c}); err != nil {
		return r.broken(ctx, err)
	}
	m, err := r.hear(ctx, func(m *reply) bool { return m.Op == "ready" || m.Op == "error" })
	if err != nil {
		return err
	}
	if m.Op == "error" {
		return failed(m, "import")
	}
	return nil
}

// fetch asks for data and waits for it.
func (r *runner) fetch(ctx context.Context) (*reply, error) {
	r.next++
	id := r.next
	if err := r.tell(ctx, request{Op: "fetch", ID: id}); err != nil {
		return nil, r.broken(ctx, err)
	}
	m, err := r.hear(ctx, func(m *reply) bool { return (m.Op == "result" || m.Op == "error") && (m.ID == id || m.ID == 0) })
	if err != nil {
		return nil, err
	}
	if m.Op == "error" {
		return nil, failed(m, "fetch")
	}
	if len(m.Data) == 0 {
		m.Data = json.RawMessage("[]")
	}
	return m, nil
}

// broken explains a write that failed: the process is gone, or time is up.
func (r *runner) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-r.dead:
		return r.crashed(ctx)
	case <-time.After(graceful):
		return &Failure{Stage: "crash", Text: "its adapter does not read its input: " + err.Error(), Traceback: r.log.String()}
	}
}

func failed(m *reply, stage string) error {
	f := &Failure{Stage: m.Stage, Text: m.Error, Traceback: m.Traceback}
	if f.Stage == "" {
		f.Stage = stage
	}
	if f.Text == "" {
		f.Text = "its adapter reported an error without a reason"
	}
	if m.Missing != "" {
		f.Text += fmt.Sprintf("; install it for the interpreter that runs adapters: python3 -m pip install %s", m.Missing)
	}
	return f
}

// alive reports whether the process runs.
func (r *runner) alive() bool {
	select {
	case <-r.dead:
		return false
	default:
		return true
	}
}

// stop ends the process and all that it started, and waits for it. Polite gives
// it a moment to leave by itself.
func (r *runner) stop(polite bool) {
	r.once.Do(func() {
		r.stopped = true
		if polite && r.alive() {
			ctx, cancel := context.WithTimeout(context.Background(), graceful)
			_ = r.tell(ctx, request{Op: "bye"})
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
			_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
		}
		<-r.dead
		for range r.replies { // lets the reader go
		}
		r.wg.Wait()
	})
}

// ring keeps the newest of what is written to it.
type ring struct {
	mu  sync.Mutex
	buf []byte
}

// Write implements io.Writer.
func (r *ring) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf = append(r.buf, p...)
	if over := len(r.buf) - maxLog; over > 0 {
		r.buf = append(r.buf[:0], r.buf[over:]...)
	}
	return len(p), nil
}

// String is what is kept.
func (r *ring) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.ToValidUTF8(string(r.buf), "?")
}

func (r *ring) lastLine() string {
	s := strings.TrimSpace(r.String())
	s = s[strings.LastIndexByte(s, '\n')+1:]
	return brief(strings.TrimSpace(s))
}
