package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// lab is what the parts share: a folder, and what was started beside it.
type lab struct {
	soak       time.Duration // length of the long run; 0 for none
	ctx        context.Context
	bin        string
	dir        string
	containers int
	window     time.Duration
	runs       int
	cycles     int // of engines broken and mended
	figures    []figure

	image     bool
	running   int // containers of ours
	redis     *exec.Cmd
	redisPort int
	client    *redis.Client
}

func (l *lab) open() (err error) {
	if _, err := exec.LookPath("tmux"); err != nil {
		return fmt.Errorf("tmux is needed: %w", err)
	}
	l.dir, err = os.MkdirTemp("", "opsdeck-measure-")
	return err
}

// close ends and removes what was started.
func (l *lab) close(keep bool) {
	if l.image {
		label := "label=opsdeck.measure=" + l.name()
		if out, _ := command("docker", "ps", "-aq", "--filter", label); out != "" {
			_, _ = command("docker", append([]string{"rm", "-f"}, strings.Fields(out)...)...)
		}
		_, _ = command("docker", "rmi", l.name()+":1")
	}
	l.stopRedis()
	if keep {
		fmt.Fprintln(os.Stderr, "measure: left in", l.dir)
		return
	}
	os.RemoveAll(l.dir)
}

// name returns this run's, for containers, image and tmux server.
func (l *lab) name() string { return "opsdeck-measure-" + strconv.Itoa(os.Getpid()) }

// command runs a command, not ended by an interrupt, and gives what it printed.
func command(name string, args ...string) (string, error) {
	var errOut bytes.Buffer
	c := exec.Command(name, args...)
	c.Stderr = &errOut
	out, err := c.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args[:min(2, len(args))], " "), err, strings.TrimSpace(errOut.String()))
	}
	return strings.TrimSpace(string(out)), err
}

var errNoDocker = errors.New("docker does not answer here, or there is no static /bin/busybox")

// withContainers makes sure that n containers run that log a line a second.
func (l *lab) withContainers(n int) error {
	if !l.image {
		if _, err := command("docker", "version"); err != nil {
			return errNoDocker
		}
		box, err := os.ReadFile("/bin/busybox")
		if err != nil {
			return errNoDocker
		}
		c := exec.Command("docker", "import", "-", l.name()+":1")
		c.Stdin = rootfs(box)
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("import the image: %w: %s", err, out)
		}
		l.image = true
	}
	names, err := command("docker", "ps", "-a", "--format", "{{.Names}}", "--filter", "label=opsdeck.measure="+l.name())
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for _, name := range strings.Fields(names) {
		have[name] = true
	}
	var wg sync.WaitGroup
	gate := make(chan struct{}, 4)
	errs := make([]error, n)
	for i := range n {
		name := l.container(i)
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			if have[name] {
				_, errs[i] = command("docker", "start", name)
				return
			}
			_, errs[i] = command("docker", "run", "-d", "--name", name, "--label", "opsdeck.measure="+l.name(), "--network", "none", "--log-opt", "max-size=10m",
				l.name()+":1", "/bin/busybox", "sh", "-c", `i=0; while :; do i=$((i+1)); echo "INFO worker $i handled a request in $((i*7%90)) ms"; sleep 1; done`)
		})
	}
	wg.Wait()
	l.running = n
	return errors.Join(errs...)
}

func (l *lab) container(i int) string { return fmt.Sprintf("m%d-%03d", os.Getpid(), i) }

// rootfs returns a file system with nothing but busybox.
func rootfs(box []byte) io.Reader {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755})
	_ = w.WriteHeader(&tar.Header{Name: "bin/busybox", Mode: 0o755, Size: int64(len(box))})
	_, _ = w.Write(box)
	for _, name := range []string{"sh", "sleep", "echo"} {
		_ = w.WriteHeader(&tar.Header{Name: "bin/" + name, Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777})
	}
	_ = w.Close()
	return &b
}

// withRedis makes sure that a redis-server of our own runs.
func (l *lab) withRedis() error {
	if l.redis != nil {
		return nil
	}
	if l.redisPort == 0 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		l.redisPort = ln.Addr().(*net.TCPAddr).Port
		ln.Close()
		l.client = redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", l.redisPort), DisableIdentity: true, Protocol: 2})
	}
	c := exec.Command("redis-server", "--port", strconv.Itoa(l.redisPort), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", l.dir)
	if err := c.Start(); err != nil {
		return fmt.Errorf("redis-server: %w", err)
	}
	l.redis = c
	for end := time.Now().Add(10 * time.Second); ; {
		if err := l.client.Ping(l.ctx).Err(); err == nil {
			return nil
		} else if time.Now().After(end) {
			return fmt.Errorf("redis-server does not answer: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (l *lab) stopRedis() {
	if l.redis != nil {
		_ = l.redis.Process.Kill()
		_ = l.redis.Wait()
		l.redis = nil
	}
}

// workspace is one that opsdeck is run on.
type workspace struct {
	dir string
}

// newWorkspace writes one with modules, a routing file, rules and a log.
func (l *lab) newWorkspace(name, extra string) (*workspace, error) {
	w := &workspace{dir: filepath.Join(l.dir, name)}
	file := fmt.Sprintf("name: measure\nredis: {url: redis://127.0.0.1:%d/0}\nlogs: [{path: logs/*.log}]\nmodules: {interval: 2s, timeout: 3s, approval: off}\n%s", l.redisPort, extra)
	for path, text := range map[string]string{
		"opsdeck.yaml":                         file,
		"logs/app.log":                         strings.Repeat("2026-01-01 00:00:00,000 - app - INFO - before\n", 20),
		"config/prometheus/rules/rules.yml":    rules,
		"modules/host/load/manifest.json":      manifest("host", "load", "adapter.py"),
		"modules/host/load/adapter.py":         adapter("host", "load", "[{'load': os.getloadavg()[0]}]"),
		"modules/host/uptime/manifest.json":    manifest("host", "uptime", "adapter.sh"),
		"modules/host/uptime/adapter.sh":       shellAdapter,
		"modules/host/victim/manifest.json":    manifest("host", "victim", "adapter.py"),
		"modules/host/victim/adapter.py":       adapter("host", "victim", victimData),
		"modules/host/victim/data":             "something",
		"modules/host/bystander/manifest.json": manifest("host", "bystander", "adapter.py"),
		"modules/host/bystander/adapter.py":    adapter("host", "bystander", "[1, 2, 3]"),
	} {
		if err := w.write(path, text); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *workspace) path(p string) string { return filepath.Join(w.dir, p) }

func (w *workspace) write(path, text string) error {
	path = w.path(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if strings.HasSuffix(path, ".sh") {
		mode = 0o755
	}
	return os.WriteFile(path, []byte(text), mode)
}

// log appends a line to the workspace's log.
func (w *workspace) log(text string) error {
	f, err := os.OpenFile(w.path("logs/app.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s - app - INFO - %s\n", time.Now().UTC().Format("2006-01-02 15:04:05,000"), text)
	return errors.Join(err, f.Close())
}

const rules = `groups:
  - name: measure
    rules:
      - alert: ModuleFailed
        expr: nexus_module_status == 2
        annotations: {summary: "{{ $labels.platform }} is failed"}
      - alert: ContainerHighCPU
        expr: sum by (name) (rate(container_cpu_usage_seconds_total[1m])) > 0.9
        for: 1m
      - alert: QueueLong
        expr: opsdeck_queue_depth > 1e6
`

func manifest(category, platform, entry string) string {
	return fmt.Sprintf(`{"name": %[2]q, "version": "1.0.0", "category": %[1]q, "platform": %[2]q, "entry_point": %[3]q, "auth_type": "none", "status": "installed", "interval_seconds": 2}`,
		category, platform, entry)
}

// adapter returns a Python adapter whose data is an expression.
func adapter(category, platform, data string) string {
	return fmt.Sprintf(`import os, time
from shared.adapters.base import BaseAdapter
from shared.adapters.registry import register_adapter

@register_adapter(category=%[1]q, platform=%[2]q, display_name=%[2]q, description="", icon="", requires_auth=False, auth_type="none")
class Adapter(BaseAdapter[dict]):
    category = %[1]q
    platform = %[2]q

    async def fetch_raw(self, config):
        return %[3]s

    def transform(self, raw):
        return raw

    def get_capabilities(self):
        return {}
`, category, platform, data)
}

// victimData reads a file beside the adapter, and leaves its process id there.
const victimData = "[open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'data')).read(), " +
	"open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'pid'), 'w').write(str(os.getpid()))]"

const shellAdapter = `#!/bin/sh
echo '{"op":"hello","protocol":1}'
while read -r line; do
  case $line in
    '{"op":"configure"'*) echo '{"op":"ready"}' ;;
    '{"op":"fetch"'*) echo '{"op":"result","data":[{"up":1}]}' ;;
    '{"op":"bye"'*) exit 0 ;;
  esac
done
`
