package adapter

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

//go:embed shim.py
var shimText string

//go:embed holdings.py
var holdingsText string

//go:embed forkserver.py
var forkServerText string

// bootstrap is the program text on an interpreter's command line: it reads the
// rest from descriptor 3, so that nothing need lie on disk.
const bootstrap = `import os, json
f = os.fdopen(3, encoding="utf-8"); g = json.load(f); f.close()
exec(compile(g["server"], "<opsdeck-forkserver>", "exec"), {"__name__": "opsdeck_forkserver", "_opsdeck_given": g})`

// Limits bound one adapter with all that it starts.
type Limits struct {
	// Memory bounds what is private to it and written, in bytes.
	Memory int64
}

const (
	// DefaultMemory is an adapter's where its manifest says nothing, in MiB.
	DefaultMemory = 1024
	// maxFiles bounds the open files of one process of an adapter.
	maxFiles = 1024
	// maxFileSize bounds a file that an adapter writes, in bytes.
	maxFileSize = 1 << 30
	// maxProcesses and maxThreads bound what an adapter starts.
	maxProcesses = 64
	maxThreads   = 1024
	// maxMore is how many processes and threads of the engine's user there may be
	// beyond those that the host has when an adapter starts.
	maxMore = 4096
)

// addressSpace returns how much an adapter may map, written or not, in bytes: enough
// for libraries that reserve much and use little.
func (l Limits) addressSpace() int64 { return 2*l.Memory + 2<<30 }

// spawn is what is to be started.
type spawn struct {
	// Program is what to run, "" for the shim.
	Program string `json:"program,omitempty"`
	Dir     string `json:"dir"`
	Tmp     string `json:"tmp"`
	Memory  int64  `json:"memory"`
	Space   int64  `json:"address_space"`
	Files   int64  `json:"files"`
	Size    int64  `json:"file_size"`
	Nice    int    `json:"nice"`
	// Processors are those that it runs on, empty for all.
	Processors []int `json:"processors,omitempty"`
	// Tasks bounds the processes and threads of its user, 0 for no bound.
	Tasks int64 `json:"tasks"`
}

// exit is how a process came to its end.
type exit struct {
	status syscall.WaitStatus
	// lost says that not the adapter ended but what kept it.
	lost bool
	err  error
}

// process is an adapter's process, however it was started.
type process interface {
	pid() int
	// wait returns when it has ended; it is called once.
	wait() exit
	// end kills it with all that it started. It does not wait.
	end()
}

// Launcher starts adapters' processes, watches over what they use, and leaves
// nothing of them behind.
type Launcher struct {
	logger  *slog.Logger
	spawner *spawner
	root    string // of all private temporary folders
	rootErr error
	wg      sync.WaitGroup
	life    context.Context // until close
	stop    context.CancelFunc
	// idle is for how long an adapter may use half a core while nothing is asked of it.
	idle time.Duration
	// ahead holds one thing for every adapter that goes ahead of others.
	ahead chan struct{}

	// asked is how many adapters are asked something, and stir says that it was none
	// before, or that one has started.
	asked atomic.Int32
	stir  chan struct{}

	// weighing says that the memory of an adapter's processes is being looked at.
	weighing atomic.Bool

	mu      sync.Mutex
	next    int
	runners map[*Runner]bool

	serverMu sync.Mutex // held while a fork server is started
	server   *forkServer
	// retryAt is until when no fork server is tried, after one that did not start.
	retryAt time.Time
}

// TempPrefix returns how the temporary folders of one workspace's engines begin.
func TempPrefix(dataDir string) string {
	sum := sha256.Sum256([]byte(dataDir))
	return fmt.Sprintf("opsdeck-%x-", sum[:6])
}

// New removes what a killed engine of the same data folder left behind.
func New(dataDir string, idly time.Duration, log *slog.Logger) *Launcher {
	l := &Launcher{logger: log, spawner: newSpawner(), runners: map[*Runner]bool{}, idle: idly, ahead: make(chan struct{}, aheadPlaces()), stir: make(chan struct{}, 1)}
	prefix := TempPrefix(dataDir)
	old, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	for _, dir := range old {
		if fi, err := os.Lstat(dir); err == nil && fi.IsDir() && ours(fi) {
			killMarked(dir)
			_ = os.RemoveAll(dir)
		}
	}
	l.root, l.rootErr = os.MkdirTemp("", prefix)
	l.life, l.stop = context.WithCancel(context.Background())
	l.wg.Go(func() { l.watch(l.life) })
	return l
}

// look has the watch look at once.
func (l *Launcher) look() {
	select {
	case l.stir <- struct{}{}:
	default:
	}
}

// ours reports whether a file belongs to the engine's user.
func ours(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// Close ends the fork server. Every runner must have ended before.
func (l *Launcher) Close() {
	l.stop()
	l.serverMu.Lock()
	if l.server != nil {
		l.server.close()
	}
	l.serverMu.Unlock()
	l.wg.Wait()
	l.spawner.stop()
	if l.root != "" {
		_ = os.RemoveAll(l.root)
	}
}

// Root returns the folder that has the private folders of all adapters.
func (l *Launcher) Root() string { return l.root }

// ForkServerPID returns the process that adapters are forked from, 0 where there is none.
func (l *Launcher) ForkServerPID() int {
	l.serverMu.Lock()
	defer l.serverMu.Unlock()
	if l.server == nil {
		return 0
	}
	return l.server.cmd.Process.Pid
}

// folder makes a private temporary folder below dir.
func (l *Launcher) folder(dir string) (string, error) {
	if l.rootErr != nil {
		return "", l.rootErr
	}
	l.mu.Lock()
	l.next++
	n := l.next
	l.mu.Unlock()
	tmp := filepath.Join(dir, strconv.Itoa(n))
	return tmp, os.Mkdir(tmp, 0o700)
}

// start starts a process with files as its standard input, output and error. tmp
// is its private folder, which the caller removes.
func (l *Launcher) start(ctx context.Context, py Python, w spawn, files [3]*os.File) (p process, tmp string, err error) {
	if k := l.forkServer(py); k != nil {
		if w.Tmp, err = l.folder(k.tmp); err != nil {
			return nil, "", err
		}
		if p, err = k.start(ctx, w, files); err == nil {
			return p, w.Tmp, nil
		}
		_ = os.RemoveAll(w.Tmp)
		if !errors.Is(err, ErrForkServerGone) {
			return nil, "", err
		}
		l.logger.Warn("the fork server of adapters ended; the next starts anew", "err", err)
		if k = l.forkServer(py); k != nil {
			if w.Tmp, err = l.folder(k.tmp); err != nil {
				return nil, "", err
			}
			if p, err = k.start(ctx, w, files); err == nil {
				return p, w.Tmp, nil
			}
			_ = os.RemoveAll(w.Tmp)
			return nil, "", err
		}
	}
	if w.Tmp, err = l.folder(l.root); err != nil {
		return nil, "", err
	}
	if p, err = l.direct(py, w, files); err != nil {
		_ = os.RemoveAll(w.Tmp)
		return nil, "", err
	}
	return p, w.Tmp, nil
}

// retryTime is how long adapters are started without a fork server after one that
// did not start.
const retryTime = time.Minute

// forkServer returns the fork server to start adapters with; nil where there can be none.
func (l *Launcher) forkServer(py Python) *forkServer {
	if !Forks || py.Path == "" {
		return nil
	}
	l.serverMu.Lock()
	defer l.serverMu.Unlock()
	if l.server != nil && l.server.alive() && l.server.python == py.Path {
		return l.server
	}
	if time.Now().Before(l.retryAt) {
		return nil
	}
	if l.server != nil {
		l.server.close()
		_ = os.RemoveAll(l.server.tmp)
		l.server = nil
	}
	tmp, err := l.folder(l.root)
	if err == nil {
		l.server, err = startForkServer(l.life, l.spawner, py, tmp)
	}
	if err != nil {
		if l.life.Err() == nil {
			l.retryAt = time.Now().Add(retryTime)
			l.logger.Warn("adapters are started one by one: no fork server runs", "err", err)
		}
		return nil
	}
	return l.server
}

// given returns what an interpreter reads from descriptor 3.
func given(one *spawn) []byte {
	b, _ := json.Marshal(map[string]any{"server": forkServerText, "shim": shimText, "holdings": holdingsText, "one": one})
	return b
}

// direct starts a process as a child of the engine.
func (l *Launcher) direct(py Python, w spawn, files [3]*os.File) (process, error) {
	p := &direct{tmp: w.Tmp}
	var in, out *os.File
	if w.Program == "" {
		var err error
		if in, out, err = os.Pipe(); err != nil {
			return nil, err
		}
		defer in.Close()
		p.cmd = exec.Command(py.Path, "-c", bootstrap)
		p.cmd.ExtraFiles = []*os.File{in}
	} else {
		p.cmd = exec.Command(w.Program)
	}
	p.cmd.Dir, p.cmd.Env, p.cmd.SysProcAttr = w.Dir, childEnv(w.Tmp), ownGroup()
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = files[0], files[1], files[2]
	if err := l.spawner.start(p.cmd); err != nil {
		if out != nil {
			_ = out.Close()
		}
		if errors.Is(err, os.ErrPermission) {
			err = fmt.Errorf("%w: an entry point that does not end in .py must be executable (chmod +x %s)", err, filepath.Base(w.Program))
		}
		return nil, err
	}
	if w.Program != "" {
		confine(p.cmd.Process.Pid, w)
	} else {
		l.wg.Go(func() {
			_, _ = out.Write(given(&w))
			_ = out.Close()
		})
	}
	return p, nil
}

// direct is a process that the engine itself is the parent of.
type direct struct {
	cmd *exec.Cmd
	tmp string
}

func (d *direct) pid() int { return d.cmd.Process.Pid }

func (d *direct) wait() exit {
	err := d.cmd.Wait()
	// What it started is in its group, or carries its mark, and goes with it.
	_ = syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
	killMarked(d.tmp)
	e := exit{err: err}
	if ps := d.cmd.ProcessState; ps != nil {
		e.status, _ = ps.Sys().(syscall.WaitStatus)
	}
	return e
}

func (d *direct) end() {
	killBelow(d.cmd.Process.Pid)
	_ = syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
}
