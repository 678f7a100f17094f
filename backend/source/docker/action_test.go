package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/events"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

func quiet(string, float64) {}

// act does an action that must succeed.
func act(t *testing.T, src *Source, k state.Kind, target string, args map[string]string) state.Outcome {
	t.Helper()
	out, err := src.Execute(t.Context(), state.Action{Kind: k, Target: target, Args: args}, quiet)
	if err != nil {
		t.Fatalf("%s %s %v: %v", k, target, args, err)
	}
	return out
}

// undo takes it back.
func undo(t *testing.T, src *Source, out state.Outcome) {
	t.Helper()
	if out.Undo == nil {
		t.Fatalf("%q has no undo", out.Result)
	}
	act(t, src, out.Undo.Kind, out.Undo.Target, out.Undo.Args)
}

func TestEachActionIsDoneAndUndone(t *testing.T) {
	engineHere(t)
	src := New(Config{})
	name := start(t, "operations", "--memory", "64m", "--restart", "on-failure:3", "--", "sh", "-c", "trap 'exit 7' USR1; while :; do sleep 0.1; done")
	r := sourcetest.Run(t, src)
	wait := func(what, name string, ok func(*state.Container) bool) {
		t.Helper()
		sourcetest.Wait(r, what, func(s state.Containers) bool { return has(s, name, ok) })
	}
	wait("its limits", name, func(c *state.Container) bool {
		return c.State == "running" && c.Limits == state.Limits{Known: true, Memory: 64 << 20, MemorySwap: 128 << 20, Restart: "on-failure:3"}
	})

	out := act(t, src, state.ContainerPause, name, nil)
	wait("paused", name, func(c *state.Container) bool { return c.State == "paused" })
	undo(t, src, out)
	wait("unpaused", name, func(c *state.Container) bool { return c.State == "running" })

	out = act(t, src, state.ContainerUpdate, name, map[string]string{"memory": "96m", "cpus": "0.5", "restart": "no"})
	if !strings.Contains(out.Result, "memory 64m -> 96m, cpus no limit -> 0.5, restart policy on-failure:3 -> no") {
		t.Errorf("the result says %q", out.Result)
	}
	wait("the new limits", name, func(c *state.Container) bool {
		return c.Limits == state.Limits{Known: true, Memory: 96 << 20, MemorySwap: 160 << 20, CPUs: 0.5, Restart: "no"}
	})
	undo(t, src, out)
	wait("the old limits", name, func(c *state.Container) bool {
		return c.Limits.Memory == 64<<20 && c.Limits.MemorySwap == 128<<20 && c.Limits.Restart == "on-failure:3" && c.Limits.CPUs >= 1
	})
	if out := act(t, src, state.ContainerUpdate, name, map[string]string{"memory": "64m"}); out.Undo != nil || !strings.Contains(out.Result, "nothing was changed") {
		t.Errorf("the same limit again: %+v", out)
	}

	out = act(t, src, state.ContainerRename, name, map[string]string{"name": name + "-new"})
	wait("the new name", name+"-new", func(*state.Container) bool { return true })
	undo(t, src, out)
	wait("the old name", name, func(*state.Container) bool { return true })

	act(t, src, state.ContainerUpdate, name, map[string]string{"restart": "no"})
	wait("no policy", name, func(c *state.Container) bool { return c.Limits.Restart == "no" })
	act(t, src, state.ContainerKill, name, map[string]string{"signal": "sigusr1"})
	wait("its own end", name, func(c *state.Container) bool { return c.State == "exited" && c.ExitCode == 7 })
	act(t, src, state.ContainerRemove, name, map[string]string{"volumes": "yes"})
	sourcetest.Wait(r, "gone", func(s state.Containers) bool { return s.Container(name) == nil })
}

func TestTheFirstLimitIsUndoneToAllThatTheHostHas(t *testing.T) {
	engineHere(t)
	src := New(Config{})
	name := start(t, "nolimit", "--", "sleep", "1000")
	r := sourcetest.Run(t, src)
	sourcetest.Wait(r, "its limits", func(s state.Containers) bool {
		return has(s, name, func(c *state.Container) bool { return c.Limits.Known && c.Limits.Memory == 0 && c.MemLimit > 0 })
	})
	out := act(t, src, state.ContainerUpdate, name, map[string]string{"memory": "64m"})
	sourcetest.Wait(r, "the limit", func(s state.Containers) bool {
		return has(s, name, func(c *state.Container) bool { return c.Limits.Memory == 64<<20 && c.MemLimit == 64<<20 })
	})
	undo(t, src, out)
	sourcetest.Wait(r, "all of the host's", func(s state.Containers) bool {
		return has(s, name, func(c *state.Container) bool { return c.Limits.Memory > 64<<20 && c.MemLimit >= 0.99*c.Limits.Memory })
	})
}

func TestRefusalsOfTheEngineSayWhatToDo(t *testing.T) {
	engineHere(t)
	src := New(Config{})
	a, b := start(t, "refused-a", "--", "sleep", "1000"), start(t, "refused-b", "--", "sleep", "1000")
	r := sourcetest.Run(t, src)
	sourcetest.Wait(r, "both", func(s state.Containers) bool { return s.Container(a) != nil && s.Container(b) != nil })
	for _, tt := range []struct {
		kind state.Kind
		args map[string]string
		want string
	}{
		{state.ContainerRename, map[string]string{"name": b}, "choose another name"},
		{state.ContainerRemove, nil, "cannot remove a running container"},
		{state.ContainerKill, map[string]string{"signal": "SIGNOTHING"}, "is not a signal"},
		{state.ContainerUpdate, map[string]string{"memory": "a lot"}, "is not a size"},
		{state.ContainerUnpause, nil, "is not paused"},
	} {
		_, err := src.Execute(t.Context(), state.Action{Kind: tt.kind, Target: a, Args: tt.args}, quiet)
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), tt.want) || !strings.Contains(err.Error(), verb(tt.kind)) {
			t.Errorf("%s %v: got %v, want %q in it", tt.kind, tt.args, err, tt.want)
		}
	}
}

func TestThePreviewOfAPruneCountsWhatIsUnused(t *testing.T) {
	engineHere(t)
	src := New(Config{})
	keep, gone := start(t, "kept", "-v", "/data", "--", "sleep", "1000"), start(t, "pruned", "--", "true")
	named := keep + "-volume"
	docker(t, "volume", "create", named)
	t.Cleanup(func() { _ = exec.Command("docker", "volume", "rm", named).Run() })
	var nets []string
	for _, which := range []string{"-unused", "-used"} {
		nets = append(nets, keep+which)
		docker(t, "network", "create", keep+which)
		t.Cleanup(func() { _ = exec.Command("docker", "network", "rm", keep+which).Run() })
	}
	stopped := start(t, "in-net", "--net", nets[1], "--", "true")
	r := sourcetest.Run(t, src)
	ended := func(name string) func(state.Containers) bool {
		return func(s state.Containers) bool {
			return has(s, name, func(c *state.Container) bool { return c.State == "exited" })
		}
	}
	sourcetest.Wait(r, "one ended", ended(gone))
	sourcetest.Wait(r, "another ended", ended(stopped))
	cli, err := src.engine()
	if err != nil {
		t.Fatal(err)
	}
	in := func(things []resource, name string) bool {
		return slices.ContainsFunc(things, func(t resource) bool { return t.name == name })
	}
	var u unused
	sourcetest.Until(t, "the engine counts what ended", func() bool {
		if u, err = count(t.Context(), cli); err != nil {
			t.Fatal(err)
		}
		return in(u.containers, gone) && in(u.containers, stopped)
	})
	if !in(u.networks, nets[0]) || in(u.networks, nets[1]) {
		t.Errorf("networks %v: a container that is stopped is in one of them", u.networks)
	}
	if in(u.containers, keep) || !in(u.named, named) || in(u.volumes, named) {
		t.Errorf("containers %v, volumes %v, named %v", u.containers, u.volumes, u.named)
	}
	src.Interest(state.Interests{{Topic: state.LookAction(state.ContainerPrune), Key: "engine"}})
	s := sourcetest.Wait(r, "the preview", func(s state.Containers) bool { return s.Reclaim != nil })
	if s.Reclaim.Err != "" || s.Reclaim.Containers.Count < 2 || s.Reclaim.Named.Count < 1 || s.Reclaim.Networks.Count < 1 {
		t.Fatalf("the preview says %+v", s.Reclaim)
	}
	src.Interest(nil)
	sourcetest.Wait(r, "no preview", func(s state.Containers) bool { return s.Reclaim == nil })
}

// TestAPruneRemovesWhatWasAskedForAndNothingElse has an engine of its own: the real
// one may be others' too.
func TestAPruneRemovesWhatWasAskedForAndNothingElse(t *testing.T) {
	anon := strings.Repeat("ab", 32)
	const df = `{"Containers":[{"Id":"c1","Names":["/old"],"State":"exited","SizeRw":1000,"NetworkSettings":{"Networks":{"used":{"NetworkID":"n2"}}}},
		{"Id":"c2","Names":["/live"],"State":"running","SizeRw":5},{"Id":"c3","Names":["/again"],"State":"exited","SizeRw":10}],
		"Images":[{"Id":"sha256:i1","RepoTags":["<none>:<none>"],"Containers":0,"Size":2000,"SharedSize":500},{"Id":"sha256:i2","RepoTags":["web:1"],"Containers":0,"Size":9},
		{"Id":"sha256:i3","RepoTags":null,"Containers":1,"Size":9,"SharedSize":0}],
		"Volumes":[{"Name":"ANON","UsageData":{"RefCount":0,"Size":300}},{"Name":"data","UsageData":{"RefCount":0,"Size":400}},{"Name":"busy","UsageData":{"RefCount":1,"Size":400}}],
		"BuildCache":[{"ID":"b1","InUse":false,"Shared":false,"Size":70}]}`
	for _, tt := range []struct {
		name   string
		args   map[string]string
		want   string // the calls that remove
		result string
	}{
		{"nothing", map[string]string{"containers": "no"}, "", "nothing selected was unused"},
		{"containers, of which one was started again", map[string]string{"containers": "yes"}, "containers/c1 containers/c3", "removed 1 container (1 stayed: it runs again); 1000 B freed"},
		{"all but volumes", map[string]string{"containers": "yes", "images": "yes", "networks": "yes", "cache": "yes"},
			"containers/c1 containers/c3 networks/n1 images/sha256:i1 build/prune", "removed 1 container (1 stayed: it runs again), 1 network, 1 image, 1 record of build cache; 2.5 KiB freed"},
		{"volumes without a name", map[string]string{"volumes": "yes"}, "volumes/" + anon, "removed 1 volume without a name; 300 B freed"},
		{"named ones too", map[string]string{"volumes": "all"}, "volumes/" + anon + " volumes/data", "removed 1 volume without a name, 1 named volume; 700 B freed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			var removed []string
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Api-Version", "1.41")
				w.Header().Set("Content-Type", "application/json")
				_, at, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
				if r.Method == http.MethodDelete || r.Method == http.MethodPost {
					mu.Lock()
					removed = append(removed, at)
					mu.Unlock()
					if r.URL.Query().Get("force") == "1" || r.URL.Query().Get("v") == "1" {
						t.Errorf("%s: by force, or with volumes: %s", at, r.URL.RawQuery)
					}
				}
				switch {
				case strings.HasSuffix(r.URL.Path, "/_ping"):
				case at == "system/df":
					_, _ = io.WriteString(w, strings.ReplaceAll(df, "ANON", anon))
				case at == "networks":
					_, _ = io.WriteString(w, `[{"Id":"n1","Name":"free","Scope":"local"},{"Id":"n2","Name":"used","Scope":"local"},{"Id":"n3","Name":"bridge","Scope":"local"},`+
						`{"Id":"n4","Name":"mesh","Scope":"swarm"},{"Id":"n5","Name":"ingress","Scope":"local","Ingress":true}]`)
				case at == "containers/c3":
					w.WriteHeader(http.StatusConflict)
					_, _ = io.WriteString(w, `{"message":"it runs again"}`)
				case at == "build/prune":
					_, _ = io.WriteString(w, `{"CachesDeleted":["b1"],"SpaceReclaimed":70}`)
				case strings.HasPrefix(at, "images/"):
					_, _ = io.WriteString(w, `[{"Deleted":"sha256:i1"}]`)
				default:
					w.WriteHeader(http.StatusNoContent)
				}
			}))
			defer srv.Close()
			src := New(Config{Host: "tcp://" + srv.Listener.Addr().String()})
			cli, leave, err := src.connect(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer leave()
			out, err := src.prune(t.Context(), cli, tt.args, quiet)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(removed, " "); got != tt.want || strings.Replace(out.Result, "Error response from daemon: ", "", 1) != tt.result {
				t.Errorf("removed %q: %q\nwant    %q: %q", got, out.Result, tt.want, tt.result)
			}
		})
	}
}

func TestConnectionsAreThoseInTheContainersOwnNetwork(t *testing.T) {
	engineHere(t)
	src := New(Config{})
	name := start(t, "conns", "-p", "127.0.0.1::7000", "--", "sh", "-c", "while :; do busybox nc -l -p 7000 -e cat; done")
	r := sourcetest.Run(t, src)
	s := sourcetest.Wait(r, "figures", func(s state.Containers) bool {
		return has(s, name, func(c *state.Container) bool { return c.MemBytes > 0 && len(c.Ports) > 0 })
	})
	id := s.Container(name).ID
	host, _, _ := strings.Cut(s.Container(name).Ports[0], "->")
	ask := func() { src.Interest(state.Interests{{Topic: state.LookAction(state.ContainerStop), Key: name}}) }
	ask()
	s = sourcetest.Wait(r, "it is asked about", func(s state.Containers) bool { _, ok := s.Connections[id]; return ok })
	if n := s.Connections[id]; n.Err != "" || len(n.In) != 0 {
		t.Errorf("nobody is connected: %+v", n)
	}
	defer connected(t, host).Close()
	sourcetest.Wait(r, "the connection", func(s state.Containers) bool { return s.Connections[id].In[7000] == 1 })
	src.Interest(nil)
	sourcetest.Wait(r, "nothing is asked about", func(s state.Containers) bool { return len(s.Connections) == 0 })
}

// connected returns a connection to a server that echoes, once it has: docker's proxy takes a
// connection before the container listens, and drops it again.
func connected(t *testing.T, address string) (c net.Conn) {
	t.Helper()
	sourcetest.Until(t, "the container answers", func() bool {
		var err error
		if c, err = net.Dial("tcp", address); err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write([]byte{'x'})
		if n, _ := c.Read(make([]byte, 1)); n == 1 {
			return true
		}
		c.Close()
		return false
	})
	return c
}

func TestAddressesOfProcNetTCP(t *testing.T) {
	for in, want := range map[string]string{
		"0100007F:1F90": "127.0.0.1:8080", "020011AC:18EB": "172.17.0.2:6379",
		"0000000000000000FFFF0000020011AC:18EB": "172.17.0.2:6379", "00000000000000000000000001000000:0016": "[::1]:22", "zz:1": "?",
	} {
		if got := address(in); got != want {
			t.Errorf("address(%q) = %q, want %q", in, got, want)
		}
	}
}

// composeHere returns a project of one service in a folder of its own, brought up.
func composeHere(t *testing.T) (project, dir string) {
	t.Helper()
	engineHere(t)
	if _, err := findCompose(t.Context()); err != nil {
		sourcetest.Missing(t, "docker's compose plugin or docker-compose")
	}
	dir = t.TempDir()
	project = fmt.Sprintf("opsdecktest%d", os.Getpid())
	yaml := "version: '3'\nservices:\n  web:\n    image: " + testImage + "\n    command: sleep 1000\n    stop_grace_period: 1s\n" +
		"  built:\n    build: .\n    command: sleep 1000\n    stop_grace_period: 1s\n"
	write(t, filepath.Join(dir, "compose.yaml"), yaml)
	write(t, filepath.Join(dir, "Dockerfile"), "FROM "+testImage+"\nENV X=1\n")
	how, err := findCompose(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) error {
		cmd := exec.Command(how.command[0], append(append(how.command[1:len(how.command):len(how.command)], "-p", project, "-f", "compose.yaml"), args...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Logf("%s", out)
		}
		return err
	}
	t.Cleanup(func() { _ = run("down", "--rmi", "local", "-v") })
	if err := run("up", "-d", "web"); err != nil {
		t.Fatal(err)
	}
	return project, dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestComposeActsOnAServiceFromItsContainersLabels(t *testing.T) {
	project, dir := composeHere(t)
	src := New(Config{})
	r := sourcetest.Run(t, src)
	snap := func(s state.Containers) *state.Snapshot {
		s.Health = state.Health{Status: state.OK}
		return &state.Snapshot{Containers: s}
	}
	target := project + "/web"
	s := sourcetest.Wait(r, "compose and the project", func(s state.Containers) bool {
		return len(s.Replicas(target)) == 1 && s.Compose.Version != "" && s.Projects[project].Dir != ""
	})
	web := s.Replicas(target)[0]
	if why := state.Why(snap(s), state.ComposeScale, web.Title); why != "" {
		t.Fatalf("it cannot be scaled: %s", why)
	}
	if of := state.SpecOf(state.ComposeScale).Of(snap(s), web.Title); of != target {
		t.Errorf("%s stands for %q, want %q", web.Title, of, target)
	}
	var steps []string
	out, err := src.Execute(t.Context(), state.Action{Kind: state.ComposeScale, Target: target, Args: map[string]string{"replicas": "3"}}, func(step string, _ float64) { steps = append(steps, step) })
	if err != nil {
		t.Fatal(err)
	}
	sourcetest.Wait(r, "three of them", func(s state.Containers) bool { return len(s.Replicas(target)) == 3 })
	if len(steps) < 2 || !strings.Contains(strings.Join(steps, "\n"), "reating") {
		t.Errorf("its progress was %q", steps)
	}
	undo(t, src, out)
	sourcetest.Wait(r, "one again", func(s state.Containers) bool { return len(s.Replicas(target)) == 1 })
	before := sourcetest.Wait(r, "one", func(s state.Containers) bool { return len(s.Replicas(target)) == 1 }).Replicas(target)[0].ID
	act(t, src, state.ComposeRecreate, target, nil)
	sourcetest.Wait(r, "another one", func(s state.Containers) bool {
		l := s.Replicas(target)
		return len(l) == 1 && l[0].ID != before && l[0].State == "running"
	})
	act(t, src, state.ComposeBuild, project+"/built", nil)
	act(t, src, state.ComposeRebuild, project+"/built", nil)
	sourcetest.Wait(r, "what was built", func(s state.Containers) bool { return len(s.Replicas(project+"/built")) == 1 })
	_, err = src.Execute(t.Context(), state.Action{Kind: state.ComposePull, Target: target}, quiet)
	if err == nil || !strings.Contains(err.Error(), "exit status") || !strings.Contains(err.Error(), "pull") {
		t.Errorf("there is no registry to pull from: got %v", err)
	}
	if err := os.Rename(filepath.Join(dir, "compose.yaml"), filepath.Join(dir, "away")); err != nil {
		t.Fatal(err)
	}
	if _, err = src.Execute(t.Context(), state.Action{Kind: state.ComposeUp, Target: target}, quiet); err == nil || !strings.Contains(err.Error(), "compose file is gone") {
		t.Errorf("without its file: %v", err)
	}
	if err := os.Rename(filepath.Join(dir, "away"), filepath.Join(dir, "compose.yaml")); err != nil {
		t.Fatal(err)
	}
	act(t, src, state.ComposeDown, project+"/*", nil)
	sourcetest.Wait(r, "all gone", func(s state.Containers) bool { return len(s.Replicas(project+"/*")) == 0 })
}

func TestACancelledProgramTakesItsWholeGroupAlong(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	fifo := filepath.Join(dir, "held")
	// The child of the child holds the lock for as long as it lives.
	script := "sh -c 'exec 9>" + fifo + "; flock 9; echo held; sleep 1000' & wait"
	if _, err := exec.LookPath("flock"); err != nil {
		sourcetest.Missing(t, "flock")
	}
	_, err := runGroup(ctx, "/bin/sh", []string{"-c", script}, dir, os.Environ(), func(line string) {
		if line == "held" {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if out, err := exec.Command("flock", "-n", fifo, "true").CombinedOutput(); err != nil {
		t.Errorf("a process of the group is alive: %v %s", err, out)
	}
}

// What Podman 4 answers and reports otherwise than Docker does.
func TestPodmanIsUnderstood(t *testing.T) {
	r := &run{s: New(Config{}), byID: map[string]*track{}, dirty: map[string]bool{}}
	tell := func(what events.Action) {
		r.event(events.Message{Action: what, Actor: events.Actor{ID: "c1", Attributes: map[string]string{"name": "web"}}})
	}
	tell(events.ActionDie)
	delete(r.dirty, "c1") // it was inspected, while it was stopping
	tell("cleanup")
	if !r.dirty["c1"] {
		t.Error("a container that has been cleaned up after is not looked at again")
	}
	tell("remove")
	if len(r.byID) != 0 || len(r.dirty) != 0 {
		t.Error("a container that was removed is still there")
	}
	err := actionError("update", "web", errdefs.ErrNotFound.WithMessage("Error response from daemon: Not Found"))
	if !strings.Contains(err.Error(), "no such call") {
		t.Errorf("got %v", err)
	}
	if err := actionError("update", "web", errdefs.ErrNotFound.WithMessage("Error response from daemon: No such container: web")); !strings.Contains(err.Error(), "gone") {
		t.Errorf("got %v", err)
	}
}
