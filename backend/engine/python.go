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
