package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

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
	cmd.Env = childEnv(os.TempDir())
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

// pythonRetry is how often a missing interpreter is looked for again.
const pythonRetry = 15 * time.Second

// pythonLater is when the interpreter is looked for where no module is registered that
// needs it: some are found by shell scripts, which what is shown first would wait for.
const pythonLater = 2 * time.Second

func (e *Engine) lookForPython(ctx context.Context) {
	py, err := findPython(ctx, e.cfg.Python)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.python, e.pyErr, e.pyTried = py, "", time.Now()
	if err != nil && ctx.Err() == nil {
		e.pyErr = "Python adapters cannot run: " + err.Error()
	}
	for _, m := range e.modules {
		e.touched(m)
	}
	e.changed = true
}

// interpreter is the Python to run adapters with, once it is known.
func (e *Engine) interpreter(ctx context.Context) (python, error) {
	e.mu.Lock()
	ready, wanted := e.pyReady, e.pyWanted
	e.mu.Unlock()
	select {
	case wanted <- struct{}{}:
	default:
	}
	select {
	case <-ready:
	case <-ctx.Done():
		return python{}, context.Cause(ctx)
	}
	e.mu.Lock()
	again := e.pyErr != "" && time.Since(e.pyTried) > pythonRetry
	if again {
		e.pyTried = time.Now()
	}
	e.mu.Unlock()
	if again {
		e.lookForPython(ctx)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pyErr != "" {
		return python{}, &Failure{Stage: "start", Text: e.pyErr}
	}
	return e.python, nil
}
