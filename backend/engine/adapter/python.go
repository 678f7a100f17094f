package adapter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Python is an interpreter that adapters can run with.
type Python struct{ Path, Version string }

// FindPython asks an interpreter ("" for python3 on the PATH) where and what it is.
func FindPython(ctx context.Context, name string) (Python, error) {
	if name == "" {
		name = "python3"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return Python{}, fmt.Errorf("%s was not found on the PATH: install Python 3.8 or later", name)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-c", `import sys; print(sys.executable); print("%d.%d.%d" % sys.version_info[:3]); print(int(sys.version_info >= (3, 8)))`)
	cmd.Env = childEnv(os.TempDir())
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && len(exit.Stderr) > 0 {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return Python{}, fmt.Errorf("%s does not run: %w", path, err)
	}
	lines := strings.Fields(string(out))
	if len(lines) != 3 {
		return Python{}, fmt.Errorf("%s does not run: it answered %q", path, shortened(string(out)))
	}
	if lines[2] != "1" {
		return Python{}, fmt.Errorf("%s is Python %s: 3.8 or later was expected", path, lines[1])
	}
	return Python{lines[0], lines[1]}, nil
}

// childEnv returns all that adapters get to see of the environment. Nothing in it is
// secret; above all not the key of the credential store.
// tmp is the private temporary folder.
func childEnv(tmp string) []string {
	env := []string{"PYTHONDONTWRITEBYTECODE=1", "PYTHONUTF8=1", "PYTHONUNBUFFERED=1", "TMPDIR=" + tmp}
	for _, k := range []string{"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if v, ok := os.LookupEnv(k); ok {
			env = append(env, k+"="+v)
		}
	}
	return env
}

const (
	// pythonRetry is how often a missing interpreter is looked for again.
	pythonRetry = 15 * time.Second
	// pythonLater is when an interpreter is looked for at the latest that nobody waits for.
	pythonLater = 2 * time.Second
)

// Interpreter is the Python that adapters run with, once it was looked for.
type Interpreter struct {
	name    string
	changed func()
	ready   chan struct{} // closed once it was looked for
	wanted  chan struct{} // of one: somebody waits for it

	mu    sync.Mutex
	found Python
	err   string
	tried time.Time
}

// NewInterpreter prepares the interpreter of that name, "" for python3 on the PATH.
// changed is called whenever it was looked for.
func NewInterpreter(name string, changed func()) *Interpreter {
	return &Interpreter{name: name, changed: changed, ready: make(chan struct{}), wanted: make(chan struct{}, 1)}
}

// Find looks for it: at once, or where later is set when somebody waits for it, after 2 s
// at the latest: some are found by shell scripts, which what is shown first would wait for.
// It is called once.
func (i *Interpreter) Find(ctx context.Context, later bool) {
	defer close(i.ready)
	if later {
		select {
		case <-i.wanted:
		case <-time.After(pythonLater):
		case <-ctx.Done():
		}
	}
	i.look(ctx)
}

func (i *Interpreter) look(ctx context.Context) {
	py, err := FindPython(ctx, i.name)
	i.mu.Lock()
	i.found, i.err, i.tried = py, "", time.Now()
	if err != nil && ctx.Err() == nil {
		i.err = "Python adapters cannot run: " + err.Error()
	}
	i.mu.Unlock()
	i.changed()
}

// Known returns what was found so far, and why there is none.
func (i *Interpreter) Known() (py Python, problem string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.found, i.err
}

// Await returns the interpreter once it was looked for. Its error is a *Failure, or why
// ctx ended. A missing one is looked for again.
func (i *Interpreter) Await(ctx context.Context) (Python, error) {
	select {
	case i.wanted <- struct{}{}:
	default:
	}
	select {
	case <-i.ready:
	case <-ctx.Done():
		return Python{}, context.Cause(ctx)
	}
	i.mu.Lock()
	again := i.err != "" && time.Since(i.tried) > pythonRetry
	if again {
		i.tried = time.Now()
	}
	i.mu.Unlock()
	if again {
		i.look(ctx)
	}
	py, problem := i.Known()
	if problem != "" {
		return Python{}, &Failure{Stage: "start", Text: problem}
	}
	return py, nil
}
