package engine

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

//go:embed keeper.py
var keeperText string

// bootstrap is the program text on an interpreter's command line: it reads the
// rest from descriptor 3, so that nothing need lie on disk.
const bootstrap = `import os, json
f = os.fdopen(3, encoding="utf-8"); g = json.load(f); f.close()
exec(compile(g["keeper"], "<opsdeck-keeper>", "exec"), {"__name__": "opsdeck_keeper", "_opsdeck_given": g})`

// limits bound one adapter with all that it starts.
type limits struct {
	// memory bounds what is private to it and written, in bytes.
	memory int64
}

const (
	// defaultMemory is an adapter's where its manifest says nothing, in MiB.
	defaultMemory = 1024
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

// addressSpace is how much an adapter may map, written or not, in bytes: enough
// for libraries that reserve much and use little.
func (l limits) addressSpace() int64 { return 2*l.memory + 2<<30 }

// want is what is to be started.
type want struct {
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

// ended is how a process came to its end.
type ended struct {
	status syscall.WaitStatus
	// lost says that not the adapter ended but what kept it.
	lost bool
	err  error
}

// process is an adapter's process, however it was started.
type process interface {
	pid() int
	// wait returns when it has ended; it is called once.
	wait() ended
	// end kills it with all that it started. It does not wait.
	end()
}

// launcher starts adapters' processes, watches over what they use, and leaves
// nothing of them behind.
type launcher struct {
	log     *slog.Logger
	spawner *spawner
	root    string // of all private temporary folders
	rootErr error
	wg      sync.WaitGroup
	life    context.Context // until close
	stop    context.CancelFunc
	// idly is for how long an adapter may use half a core while nothing is asked of it.
	idly time.Duration
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
	runners map[*runner]bool

	keeping sync.Mutex // held while a keeper is started
	keeper  *keeper
	// unkept is until when no keeper is tried, after one that did not start.
	unkept time.Time
}

// leftover is how the temporary folders of one workspace's engines begin.
func leftover(dataDir string) string {
	sum := sha256.Sum256([]byte(dataDir))
	return fmt.Sprintf("opsdeck-%x-", sum[:6])
}

// newLauncher removes what a killed engine of the same data folder left behind.
func newLauncher(dataDir string, idly time.Duration, log *slog.Logger) *launcher {
	l := &launcher{log: log, spawner: newSpawner(), runners: map[*runner]bool{}, idly: idly, ahead: make(chan struct{}, places()), stir: make(chan struct{}, 1)}
	prefix := leftover(dataDir)
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
func (l *launcher) look() {
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

// close ends the keeper. Every runner must have ended before.
func (l *launcher) close() {
	l.stop()
	l.keeping.Lock()
	if l.keeper != nil {
		l.keeper.close()
	}
	l.keeping.Unlock()
	l.wg.Wait()
	l.spawner.stop()
	if l.root != "" {
		_ = os.RemoveAll(l.root)
	}
}

// folder makes a private temporary folder below dir.
func (l *launcher) folder(dir string) (string, error) {
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
func (l *launcher) start(ctx context.Context, py python, w want, files [3]*os.File) (p process, tmp string, err error) {
	if k := l.kept(py); k != nil {
		if w.Tmp, err = l.folder(k.tmp); err != nil {
			return nil, "", err
		}
		if p, err = k.start(ctx, w, files); err == nil {
			return p, w.Tmp, nil
		}
		_ = os.RemoveAll(w.Tmp)
		if !errors.Is(err, errKeeperGone) {
			return nil, "", err
		}
		l.log.Warn("the keeper of adapters ended; the next starts anew", "err", err)
		if k = l.kept(py); k != nil {
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

// keeperRetry is how long adapters are started without a keeper after one that
// did not start.
const keeperRetry = time.Minute

// kept is the keeper to start adapters with; nil where there can be none.
func (l *launcher) kept(py python) *keeper {
	if !forks || py.path == "" {
		return nil
	}
	l.keeping.Lock()
	defer l.keeping.Unlock()
	if l.keeper != nil && l.keeper.alive() && l.keeper.python == py.path {
		return l.keeper
	}
	if time.Now().Before(l.unkept) {
		return nil
	}
	if l.keeper != nil {
		l.keeper.close()
		_ = os.RemoveAll(l.keeper.tmp)
		l.keeper = nil
	}
	tmp, err := l.folder(l.root)
	if err == nil {
		l.keeper, err = startKeeper(l.life, l.spawner, py, tmp)
	}
	if err != nil {
		if l.life.Err() == nil {
			l.unkept = time.Now().Add(keeperRetry)
			l.log.Warn("adapters are started one by one: no keeper runs", "err", err)
		}
		return nil
	}
	return l.keeper
}

// given is what an interpreter reads from descriptor 3.
func given(one *want) []byte {
	b, _ := json.Marshal(map[string]any{"keeper": keeperText, "shim": shimText, "holdings": holdingsText, "one": one})
	return b
}

// direct starts a process as a child of the engine.
func (l *launcher) direct(py python, w want, files [3]*os.File) (process, error) {
	p := &direct{tmp: w.Tmp}
	var in, out *os.File
	if w.Program == "" {
		var err error
		if in, out, err = os.Pipe(); err != nil {
			return nil, err
		}
		defer in.Close()
		p.cmd = exec.Command(py.path, "-c", bootstrap)
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

func (d *direct) wait() ended {
	err := d.cmd.Wait()
	// What it started is in its group, or carries its mark, and goes with it.
	_ = syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
	killMarked(d.tmp)
	e := ended{err: err}
	if ps := d.cmd.ProcessState; ps != nil {
		e.status, _ = ps.Sys().(syscall.WaitStatus)
	}
	return e
}

func (d *direct) end() {
	killBelow(d.cmd.Process.Pid)
	_ = syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
}
