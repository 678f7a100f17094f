package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/logs"
	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

const testImage = "opsdeck-test:busybox"

// engineHere skips the test without an engine; it makes an image of the host's busybox.
func engineHere(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("docker"); err != nil {
		sourcetest.Missing(t, "the docker command")
	}
	if err := exec.Command("docker", "version").Run(); err != nil {
		sourcetest.Missing(t, "a running Docker engine")
	}
	if exec.Command("docker", "image", "inspect", testImage).Run() == nil {
		return
	}
	box, err := exec.LookPath("busybox")
	if err != nil {
		sourcetest.Missing(t, "a static busybox")
	}
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(box)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "bin", "busybox"), b, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sh", "sleep", "echo", "dd", "cat", "true", "stty", "grep"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("sh", "-c", "tar -C "+root+" -c bin | docker import - "+testImage).CombinedOutput()
	if err != nil {
		t.Fatalf("docker import: %v: %s", err, out)
	}
}

// start runs a container that is removed after the test.
func start(t testing.TB, name string, args ...string) string {
	t.Helper()
	name = fmt.Sprintf("opsdeck-test-%d-%s", os.Getpid(), name)
	var opts, cmd []string
	for i, a := range args {
		if a == "--" {
			cmd = args[i+1:]
			break
		}
		opts = append(opts, a)
	}
	full := append([]string{"run", "-d", "--stop-timeout", "1", "--name", name}, opts...)
	full = append(full, testImage)
	full = append(full, cmd...)
	out, err := exec.Command("docker", full...).CombinedOutput()
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "-f", "-v", name).Run() })
	if err != nil {
		t.Fatalf("docker run: %v: %s", err, out)
	}
	return name
}

func docker(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %v: %v: %s", args, err, out)
	}
	return string(out)
}

func has(s state.Containers, name string, ok func(*state.Container) bool) bool {
	c := s.Container(name)
	return c != nil && ok(c)
}

func TestContract(t *testing.T) {
	engineHere(t)
	start(t, "contract", "--", "sleep", "1000")
	// A relay stands between source and engine, so that the engine can be taken away.
	relay := newRelay(t)
	sourcetest.Contract(t, sourcetest.Subject{
		New: func(*testing.T) state.Source { return New(Config{Host: "unix://" + relay.path}) },
		Ready: func(s state.Section) bool {
			for _, c := range s.(state.Containers).List {
				if c.CPUPercent >= 0 {
					return true
				}
			}
			return false
		},
		Down: func(*testing.T) { relay.down() },
		Up:   func(t *testing.T) { relay.up(t) },
	})
}

func TestAContainersLifecycleIsFollowedThroughEvents(t *testing.T) {
	engineHere(t)
	r := sourcetest.Run(t, New(Config{}))
	sourcetest.Wait(r, "the first list", func(state.Containers) bool { return true })
	name := start(t, "life", "--memory", "32m", "--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=web",
		"--", "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done")
	sourcetest.Wait(r, "it runs with figures, its limit and its labels", func(s state.Containers) bool {
		return has(s, name, func(c *state.Container) bool {
			return c.State == "running" && c.CPUPercent >= 0 && c.MemBytes > 0 && c.NetRx >= 0 && c.PIDs > 0 && len(c.CPUHistory) > 1 && !c.Started.IsZero() &&
				c.MemLimit == 32<<20 && c.Project == "shop" && c.Service == "web" && c.Image == testImage
		})
	})
	docker(t, "pause", name)
	sourcetest.Wait(r, "paused", func(s state.Containers) bool {
		return has(s, name, func(c *state.Container) bool { return c.State == "paused" })
	})
	docker(t, "unpause", name)
	docker(t, "update", "--memory", "48m", "--memory-swap", "96m", name)
	sourcetest.Wait(r, "the new limit", func(s state.Containers) bool {
		return has(s, name, func(c *state.Container) bool { return c.State == "running" && c.MemLimit == 48<<20 })
	})
	docker(t, "rename", name, name+"-b")
	sourcetest.Wait(r, "the new name", func(s state.Containers) bool { return s.Container(name+"-b") != nil && s.Container(name) == nil })
	docker(t, "rename", name+"-b", name)
	docker(t, "kill", name)
	sourcetest.Wait(r, "killed", func(s state.Containers) bool {
		return has(s, name, func(c *state.Container) bool {
			return c.State == "exited" && c.ExitCode == 137 && c.CPUPercent < 0 && len(c.CPUHistory) > 0
		})
	})
	docker(t, "start", name)
	sourcetest.Wait(r, "runs again", func(s state.Containers) bool {
		return has(s, name, func(c *state.Container) bool { return c.State == "running" && c.CPUPercent >= 0 })
	})
	docker(t, "rm", "-f", name)
	sourcetest.Wait(r, "gone", func(s state.Containers) bool { return s.Container(name) == nil })
}

func TestActions(t *testing.T) {
	engineHere(t)
	src := New(Config{})
	name := start(t, "act", "--", "sleep", "1000")
	r := sourcetest.Run(t, src)
	sourcetest.Wait(r, "it runs", func(s state.Containers) bool { return s.Container(name) != nil })
	for _, step := range []struct {
		kind state.Kind
		want string
	}{{state.ContainerRestart, "running"}, {state.ContainerStop, "exited"}, {state.ContainerStart, "running"}} {
		out, err := src.Execute(context.Background(), state.Action{Kind: step.kind, Target: name}, func(string, float64) {})
		if err != nil || !strings.Contains(out.Result, name) {
			t.Fatalf("%s: %q, %v", step.kind, out.Result, err)
		}
		sourcetest.Wait(r, string(step.kind), func(s state.Containers) bool {
			return has(s, name, func(c *state.Container) bool { return c.State == step.want })
		})
	}
	_, err := src.Execute(context.Background(), state.Action{Kind: state.ContainerStop, Target: "no-such"}, func(string, float64) {})
	if err == nil || !strings.Contains(err.Error(), "there is no such container") {
		t.Errorf("unknown container: got %v", err)
	}
}

func TestDetailsOnlyWhileShownAndWithoutSecrets(t *testing.T) {
	engineHere(t)
	src := New(Config{Mask: func(s string) string { return strings.ReplaceAll(s, "hunter2", "***") }})
	name := start(t, "detail", "-e", "API_KEY=abc123secret", "-e", "NOTE=hunter2", "-e", "REDIS_URL=redis://u:pw9@h/0", "--", "sh", "-c", "sleep 1000", "--password", "pw8")
	r := sourcetest.Run(t, src)
	s := sourcetest.Wait(r, "it runs", func(s state.Containers) bool {
		return has(s, name, func(c *state.Container) bool { return c.State == "running" })
	})
	if len(s.Details) != 0 {
		t.Errorf("details without interest: %v", s.Details)
	}
	id := s.Container(name).ID
	src.Interest(state.Interests{{Topic: state.LookContainer, Key: id}, {Topic: state.LookPart(state.PartTop), Key: id}})
	s = sourcetest.Wait(r, "details", func(s state.Containers) bool {
		return s.Details[id].Inspect != "" && len(s.Details[id].Top) > 0
	})
	for _, secret := range []string{"abc123secret", "hunter2", "pw9", `"pw8"`} {
		if strings.Contains(s.Details[id].Inspect, secret) {
			t.Errorf("inspect shows %s:\n%s", secret, s.Details[id].Inspect)
		}
	}
	src.Interest(nil)
	sourcetest.Wait(r, "no details", func(s state.Containers) bool { return len(s.Details) == 0 })
}

func TestFiguresEqualDockerStats(t *testing.T) {
	engineHere(t)
	name := start(t, "figures", "--memory", "64m", "--cpus", "0.4", "-v", "/data", "--", "sh", "-c", "while :; do :; done")
	docker(t, "exec", name, "dd", "if=/dev/zero", "of=/data/x", "bs=1M", "count=8", "conv=fsync") // over before anything is compared
	written := time.Now()
	src := New(Config{})
	r := sourcetest.Run(t, src)
	s := sourcetest.Wait(r, "a minute's start, sampled after all was written", func(s state.Containers) bool {
		return has(s, name, func(c *state.Container) bool { return len(c.CPUHistory) > 4 && c.Sampled.After(written) })
	})
	local := *s.Container(name)
	// The same container through the engine's own account.
	cli, err := src.engine()
	if err != nil {
		t.Fatal(err)
	}
	rr := &run{cli: cli, statsDone: make(chan []statResult, 1)}
	rr.fetchStats(context.Background(), []string{local.ID})
	got := <-rr.statsDone
	rr.wg.Wait()
	if len(got) != 1 || !got[0].ok {
		t.Fatal("the engine gave no stats")
	}
	api := got[0].s
	near := func(what string, a, b, rel, abs float64) {
		if d := a - b; d > abs+rel*b || -d > abs+rel*b {
			t.Errorf("%s: ours %v, the engine's %v", what, a, b)
		}
	}
	near("memory", local.MemBytes, api.mem, 0.01, 256<<10)
	near("limit", local.MemLimit, api.limit, 0, 0)
	near("pids", local.PIDs, api.pids, 0, 0)
	near("block write", local.BlkWrite, api.blkWrite, 0.01, 64<<10)
	near("block read", local.BlkRead, api.blkRead, 0.01, 64<<10)
	near("network", local.NetRx, api.netRx, 0.2, 2048)
	near("CPU seconds", local.CPUSeconds, api.cpu/1e9, 0.05, 1)
	t.Logf("ours: cpu %.2f%% mem %.0f of %.0f net %.0f/%.0f blk %.0f/%.0f pids %.0f", local.CPUPercent, local.MemBytes, local.MemLimit, local.NetRx, local.NetTx, local.BlkRead, local.BlkWrite, local.PIDs)
	t.Logf("docker stats: %s", docker(t, "stats", "--no-stream", "--format", "{{.CPUPerc}} {{.MemUsage}} {{.NetIO}} {{.BlockIO}} {{.PIDs}}", name))
}

func TestStatsOfTheEngineWhereCgroupsAreElsewhere(t *testing.T) {
	engineHere(t)
	name := start(t, "api", "--", "sleep", "1000")
	// A TCP relay makes the engine look remote.
	r := sourcetest.Run(t, New(Config{Host: tcpRelay(t)}))
	sourcetest.Wait(r, "figures from the engine", func(s state.Containers) bool {
		return has(s, name, func(c *state.Container) bool { return c.CPUPercent >= 0 && c.MemBytes > 0 && c.PIDs > 0 })
	})
}

func TestLogAndShell(t *testing.T) {
	engineHere(t)
	src := New(Config{})
	name := start(t, "log", "--", "sh", "-c", "echo one; echo two >&2; sleep 1000")
	r := sourcetest.Run(t, src)
	s := sourcetest.Wait(r, "it runs", func(s state.Containers) bool { return s.Container(name) != nil })
	id := s.Container(name).ID
	ctx, cancel := context.WithTimeout(context.Background(), sourcetest.Patience)
	defer cancel()
	rc, tty, err := src.OpenLog(ctx, id, time.Time{}, 10)
	if err != nil || tty {
		t.Fatalf("OpenLog: tty %v, %v", tty, err)
	}
	var got strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(got.String(), "one\n") || !strings.Contains(got.String(), "two\n") {
		n, err := rc.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			t.Fatalf("log ended with %v after %q", err, got.String())
		}
	}
	_ = rc.Close()

	var out strings.Builder
	size := make(chan [2]uint16, 1)
	size <- [2]uint16{91, 33}
	keys, typed := io.Pipe()
	defer func() { _ = typed.Close() }()
	go func() {
		_, _ = io.WriteString(typed, "until stty size | grep -v '^0'; do sleep 0.1; done; echo $((6*7)); exit\n")
	}()
	err = src.Shell(ctx, id, keys, &out, size)
	if err != nil || !strings.Contains(out.String(), "42") || !strings.Contains(out.String(), "33 91") {
		t.Errorf("shell: %v, %q", err, out.String())
	}
}

func TestLogAndShellOfASourceThatDoesNotRun(t *testing.T) {
	engineHere(t)
	src := New(Config{})
	name := start(t, "notrun", "--", "sh", "-c", "echo one; sleep 1000")
	ctx, cancel := context.WithTimeout(t.Context(), sourcetest.Patience)
	defer cancel()
	rc, _, err := src.OpenLog(ctx, name, time.Time{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	var head [8]byte
	if _, err := io.ReadFull(rc, head[:]); err != nil {
		t.Errorf("read the log: %v", err)
	}
	for range 2 { // closing it again is harmless
		_ = rc.Close()
	}
	var out strings.Builder
	keys, typed := io.Pipe()
	defer func() { _ = typed.Close() }()
	go func() { _, _ = io.WriteString(typed, "echo $((6*7)); exit\n") }()
	if err := src.Shell(ctx, name, keys, &out, nil); err != nil || !strings.Contains(out.String(), "42") {
		t.Errorf("shell: %v, %q", err, out.String())
	}
	if _, _, err := New(Config{Host: "unix:///nowhere.sock"}).OpenLog(ctx, name, time.Time{}, 10); err == nil {
		t.Error("a log of an engine that is not there was opened")
	}
}

// TestLogsOfARealContainerJoinTheLogs follows a container's log through its
// restart, as the wiring joins this source with that of logs.
func TestLogsOfARealContainerJoinTheLogs(t *testing.T) {
	engineHere(t)
	name := start(t, "joined", "--", "sh", "-c", "echo INFO out-$(cat /proc/uptime); echo ERROR err >&2; sleep 1000")
	src := New(Config{})
	containers := sourcetest.Run(t, src)
	s := sourcetest.Wait(containers, "it runs", func(s state.Containers) bool { return s.Container(name) != nil })
	id := "container:" + s.Container(name).ID
	followed := logs.New(logs.Config{Containers: src})
	r := sourcetest.Run(t, followed)
	sourcetest.Wait(r, "it is listed", func(l state.Logs) bool { return l.Source(id) != nil })
	followed.Interest(state.Interests{{Topic: state.LookLog, Key: id}})
	lines := func(l state.Logs) (all []string) {
		for _, rec := range l.Tails[id].Records {
			all = append(all, rec.Text)
		}
		return all
	}
	l := sourcetest.Wait(r, "both of its streams", func(l state.Logs) bool { return len(lines(l)) == 2 })
	for _, rec := range l.Tails[id].Records {
		if want := map[bool]state.Level{true: state.LevelError, false: state.LevelInfo}[strings.Contains(rec.Text, "err")]; rec.Level != want {
			t.Errorf("%q: level %v, want %v", rec.Text, rec.Level, want)
		}
		if age := time.Since(rec.Time()); age < 0 || age > time.Hour {
			t.Errorf("%q: it is said to be %s old", rec.Text, age)
		}
	}
	docker(t, "restart", "-t", "0", name)
	l = sourcetest.Wait(r, "the lines after its restart", func(l state.Logs) bool { return len(lines(l)) >= 4 })
	seen := map[string]int{}
	for _, line := range lines(l) {
		seen[line]++
	}
	if len(lines(l)) != 4 || seen["ERROR err"] != 2 || len(seen) != 3 {
		t.Errorf("after its restart: %q", lines(l))
	}
}

func TestReadLogOfARealContainerEnds(t *testing.T) {
	engineHere(t)
	name := start(t, "history", "--", "sh", "-c", "echo one; echo two >&2; sleep 1000")
	src := New(Config{})
	if has, err := src.HasContainer(t.Context(), name); !has || err != nil {
		t.Fatalf("%s: got %v, %v", name, has, err)
	}
	if has, err := src.HasContainer(t.Context(), name+"x"); has || err != nil {
		t.Fatalf("%sx: got %v, %v", name, has, err)
	}
	read := func(in scan.Input) (got []string) {
		err := scan.Scan(t.Context(), in, scan.Query{Parse: true}, 1, nil, func(f *scan.Found) error {
			for _, h := range f.Hits {
				got = append(got, strings.Clone(f.Text(h)))
				if age := time.Since(time.Unix(0, h.Nanos)); h.Guessed || age < 0 || age > time.Hour {
					t.Errorf("%q: it is said to be %s old", f.Text(h), age)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got) // the two streams are not in order to each other
		return got
	}
	for got := []string(nil); !slices.Equal(got, []string{"one", "two"}); { // it needs a moment to say it
		if got = read(logs.Container(name, name, src.ReadLog, time.Time{}, -1, false)); len(got) > 2 {
			t.Fatalf("got %q", got)
		}
	}
	if got := read(logs.Container(name, name, src.ReadLog, time.Time{}, 1, false)); len(got) != 1 {
		t.Errorf("the last line: got %q", got)
	}
	if got := read(logs.Container(name, name, src.ReadLog, time.Now().Add(time.Hour), -1, false)); len(got) != 0 {
		t.Errorf("since an hour from now: got %q", got)
	}
	if _, _, err := src.ReadLog(t.Context(), name+"x", time.Time{}, -1, false); err == nil || !strings.Contains(err.Error(), "No such container") {
		t.Errorf("got %v", err)
	}
}

func TestAbsentEngine(t *testing.T) {
	t.Setenv("DOCKER_HOST", "")
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	s := New(Config{})
	e := endpoint{host: "unix:///nonexistent/docker.sock", origin: "default"}
	if err := s.explain(e, os.ErrNotExist); !errors.Is(err, state.ErrAbsent) || !strings.Contains(err.Error(), "/nonexistent/docker.sock") {
		t.Errorf("default socket missing: %v", err)
	}
	s.seen.Store(true)
	if err := s.explain(e, os.ErrNotExist); errors.Is(err, state.ErrAbsent) {
		t.Errorf("an engine that was here and went away is a failure: %v", err)
	}
	if err := New(Config{Host: "unix:///nonexistent/x.sock"}).Run(t.Context(), func(state.Section) {}); err == nil || errors.Is(err, state.ErrAbsent) {
		t.Errorf("a configured socket that is missing is a failure: %v", err)
	}
	if err := New(Config{Host: "ssh://u:pw@h"}).Run(t.Context(), func(state.Section) {}); err == nil || !strings.Contains(err.Error(), "ssh-add") || strings.Contains(err.Error(), "pw") {
		t.Errorf("ssh with a password: %v", err)
	}
	if err := New(Config{Host: "ftp://h"}).Run(t.Context(), func(state.Section) {}); err == nil || !strings.Contains(err.Error(), "unknown scheme") {
		t.Errorf("ftp: %v", err)
	}
}
