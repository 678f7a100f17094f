package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// scripted is an engine that speaks the API, with containers of its own.
type scripted struct {
	mu    sync.Mutex
	names []string
	calls []string
	srv   *httptest.Server
	gone  chan struct{} // closed to cut the event streams
}

func newScripted(t *testing.T, names ...string) *scripted {
	e := &scripted{names: names, gone: make(chan struct{})}
	e.srv = httptest.NewServer(http.HandlerFunc(e.serve))
	t.Cleanup(func() { e.cut(); e.srv.Close() })
	return e
}

func (e *scripted) host() string { return "tcp://" + e.srv.Listener.Addr().String() }

// cut ends what is open, and refuses what comes.
func (e *scripted) cut() {
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case <-e.gone:
	default:
		close(e.gone)
	}
}

func (e *scripted) mend() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gone = make(chan struct{})
}

func (e *scripted) did(what string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.calls {
		if strings.Contains(c, what) {
			return true
		}
	}
	return false
}

func (e *scripted) id(name string) string { return fmt.Sprintf("%x", e.srv.URL+name) }

func (e *scripted) serve(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	gone := e.gone
	e.calls = append(e.calls, r.Method+" "+r.URL.Path)
	names := e.names
	e.mu.Unlock()
	select {
	case <-gone:
		http.Error(w, `{"message":"the engine is broken"}`, http.StatusInternalServerError)
		return
	default:
	}
	w.Header().Set("Api-Version", "1.41")
	w.Header().Set("Ostype", "linux")
	reply := func(v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	p := r.URL.Path
	switch {
	case strings.HasSuffix(p, "/_ping"):
		_, _ = io.WriteString(w, "OK")
	case strings.HasSuffix(p, "/version"):
		reply(map[string]string{"Version": "20.10", "ApiVersion": "1.41", "MinAPIVersion": "1.12"})
	case strings.HasSuffix(p, "/info"):
		reply(map[string]any{"NCPU": 4, "ServerVersion": "20.10"})
	case strings.HasSuffix(p, "/events"):
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		select {
		case <-gone:
		case <-r.Context().Done():
		}
	case strings.HasSuffix(p, "/containers/json"):
		var list []map[string]any
		for _, n := range names {
			list = append(list, map[string]any{"Id": e.id(n), "Names": []string{"/" + n}, "Image": "x", "State": "running", "Status": "Up", "Labels": map[string]string{projectLabel: "p-" + n}})
		}
		reply(list)
	case strings.HasSuffix(p, "/json"):
		for _, n := range names {
			if strings.Contains(p, "/"+e.id(n)+"/") || strings.Contains(p, "/"+n+"/") {
				reply(map[string]any{"Id": e.id(n), "Name": "/" + n, "State": map[string]any{"Status": "running", "Pid": 0}, "Config": map[string]any{"Image": "x", "Labels": map[string]string{projectLabel: "p-" + n}}})
				return
			}
		}
		http.Error(w, `{"message":"no such container"}`, http.StatusNotFound)
	case strings.HasSuffix(p, "/restart"):
		w.WriteHeader(http.StatusNoContent)
	default:
		http.NotFound(w, r)
	}
}

func hostsOf(t *testing.T, cfgs ...Config) *Hosts {
	t.Helper()
	h, err := NewHosts(cfgs)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func hostHealth(s state.Containers, title string) state.Health {
	for _, h := range s.Hosts {
		if h.Title == title {
			return h.Health
		}
	}
	return state.Health{}
}

func TestSeveralHostsAreOneTable(t *testing.T) {
	a, b := newScripted(t, "web", "db"), newScripted(t, "web", "cache")
	h := hostsOf(t, Config{Title: "a", Host: a.host()}, Config{Title: "b", Host: b.host()})
	r := sourcetest.Run(t, h)
	s := sourcetest.Wait(r, "all rows, and both engines' versions", func(s state.Containers) bool {
		return len(s.List) == 4 && len(s.Hosts) == 2 && s.Hosts[0].Engine != "" && s.Hosts[1].Engine != ""
	})
	var got []string
	for i := range s.List {
		got = append(got, s.List[i].Target())
		if c := s.Container(s.List[i].Target()); c != &s.List[i] {
			t.Errorf("%s does not lead back to its container", s.List[i].Target())
		}
	}
	if g := strings.Join(got, " "); g != "cache db a/web b/web" {
		t.Errorf("targets %s, want a host only before what both have", g)
	}
	if s.Container("web") != nil {
		t.Error("web is said to be one container, but two have that name")
	}
	if s.Hosts[0].Title != "a" || s.Hosts[1].Health.Status != state.OK || s.Hosts[0].Address != a.host() {
		t.Errorf("hosts: %+v", s.Hosts)
	}

	// An action goes to the engine that its target is on, and to no other.
	for _, act := range []struct {
		target string
		on     *scripted
		path   string
	}{{"b/web", b, b.id("web") + "/restart"}, {"db", a, a.id("db") + "/restart"}, {b.id("cache"), b, b.id("cache") + "/restart"}} {
		if _, err := h.Execute(t.Context(), state.Action{Kind: state.ContainerRestart, Target: act.target}, func(string, float64) {}); err != nil {
			t.Fatalf("restart %s: %v", act.target, err)
		}
		if !act.on.did(act.path) {
			t.Errorf("restart %s did not reach its engine", act.target)
		}
	}
	if a.did(a.id("web") + "/restart") {
		t.Error("restart b/web restarted that of a")
	}
	for _, wrong := range []string{"web", "nowhere", "c/web"} {
		if _, err := h.Execute(t.Context(), state.Action{Kind: state.ContainerRestart, Target: wrong}, func(string, float64) {}); err == nil {
			t.Errorf("restart %s: no error", wrong)
		}
	}
}

func TestAHostThatIsDownDoesNotHurtTheOthers(t *testing.T) {
	a, b := newScripted(t, "web"), newScripted(t, "db")
	r := sourcetest.Run(t, hostsOf(t, Config{Title: "a", Host: a.host()}, Config{Title: "b", Host: b.host()}, Config{Title: "never", Host: "unix:///nonexistent/docker.sock"}))
	sourcetest.Wait(r, "both that there are", func(s state.Containers) bool {
		return len(s.List) == 2 && hostHealth(s, "never").Status == state.Down && strings.Contains(hostHealth(s, "never").Err, "/nonexistent/docker.sock")
	})
	b.cut()
	s := sourcetest.Wait(r, "b stale", func(s state.Containers) bool { return hostHealth(s, "b").Status == state.Stale })
	if s.Container("db") == nil || hostHealth(s, "a").Status != state.OK || hostHealth(s, "b").Err == "" || hostHealth(s, "b").LastOK.IsZero() {
		t.Errorf("with b away: %+v", s)
	}
	b.mend()
	sourcetest.Wait(r, "b back", func(s state.Containers) bool { return hostHealth(s, "b").Status == state.OK })
	a.cut()
	b.cut()
	if err := r.WaitErr(0, "none answers"); !strings.Contains(err.Error(), "none of 3 container hosts answers") || !strings.Contains(err.Error(), "a: ") {
		t.Errorf("with all away: %v", err)
	}
	a.mend()
	sourcetest.Wait(r, "a back alone", func(s state.Containers) bool {
		return hostHealth(s, "a").Status == state.OK && hostHealth(s, "b").Status == state.Stale && len(s.List) == 2
	})
}

// What opens shells does not run: it finds the container by asking.
func TestAContainerIsFoundOnTheHostThatHasIt(t *testing.T) {
	a, b := newScripted(t, "web", "db"), newScripted(t, "web", "cache")
	h := hostsOf(t, Config{Title: "a", Host: a.host()}, Config{Title: "b", Host: b.host()})
	for _, c := range []struct{ target, want, wrong string }{
		{"cache", b.host(), ""}, {a.id("web"), a.host(), ""}, {"b/web", b.host(), ""}, {"web", "", "several hosts"}, {"none", "", "no host has"},
	} {
		s, _, err := h.Of(t.Context(), c.target)
		switch {
		case c.wrong != "":
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%s: %v, want %q", c.target, err, c.wrong)
			}
		case err != nil || s.cfg.Host != c.want:
			t.Errorf("%s: %v", c.target, err)
		}
	}
}

func TestNamesOfHosts(t *testing.T) {
	for _, c := range []struct {
		cfgs  []Config
		want  string
		wrong string
	}{
		{[]Config{{Host: "ssh://ops@edge-1"}, {Host: "tcp://10.0.0.5:2376"}, {Context: "staging"}, {Host: "unix:///x"}}, "edge-1, 10.0.0.5, staging, local", ""},
		{[]Config{{Title: "x"}, {Title: "x", Host: "unix:///x"}}, "", "two hosts are named"},
		{[]Config{{Title: "a/b"}}, "", "slash"},
	} {
		h, err := NewHosts(c.cfgs)
		switch {
		case c.wrong != "":
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%v, want %q", err, c.wrong)
			}
		case err != nil || h.titles() != c.want:
			t.Errorf("%v, %v, want %s", h, err, c.want)
		}
	}
}

func TestContextsOfTheDockerCommand(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	for name, host := range map[string]string{"staging": "ssh://ops@staging", "edge": "tcp://10.0.0.9:2376"} {
		// The folder's name is the SHA-256 of the context's; Contexts reads what is in it.
		meta := filepath.Join(dir, "contexts", "meta", map[string]string{"staging": "ad9a52ed5a7e2cabd7bcd2b5ef1bf2d6ca9bbaf40ca3a7b2a3c3fca4a4ea1cf2", "edge": "e"}[name])
		if err := os.MkdirAll(meta, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(meta, "meta.json"), []byte(fmt.Sprintf(`{"Name":%q,"Endpoints":{"docker":{"Host":%q}}}`, name, host)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(Contexts(), " "); got != "default edge staging" {
		t.Errorf("contexts: %s", got)
	}
	if _, err := (Config{Context: "nowhere"}).resolve(); err == nil || !strings.Contains(err.Error(), `context "nowhere"`) {
		t.Errorf("a context that is not there: %v", err)
	}
}

// farHost starts an SSH server of the test's own, whose client configuration knows
// it as "far". The relay stands between the two, so that it can be cut off.
func farHost(t *testing.T) *relay {
	t.Helper()
	const server = "/usr/sbin/sshd"
	for _, need := range []string{server, "ssh", "ssh-keygen"} {
		if _, err := exec.LookPath(need); err != nil {
			sourcetest.Missing(t, need)
		}
	}
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"host", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
	}
	if os.Getuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	_ = ln.Close()
	pub, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	link := &relay{path: "127.0.0.1:0", target: fmt.Sprintf("127.0.0.1:%d", port), conns: map[net.Conn]bool{}}
	link.up(t)
	t.Cleanup(func() { link.down(); link.wg.Wait() })
	near := link.ln.Addr().(*net.TCPAddr).Port
	link.path = link.ln.Addr().String()
	write("known_hosts", fmt.Sprintf("[127.0.0.1]:%d %s", near, pub), 0o600)
	// A shell that runs nothing: forwarding the socket is all that is needed there.
	write("sshd_config", fmt.Sprintf("ListenAddress 127.0.0.1:%d\nHostKey %s/host\nAuthorizedKeysFile %s/user.pub\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nStrictModes no\nPidFile none\nForceCommand /bin/false\n", port, dir, dir), 0o600)
	write("ssh_config", fmt.Sprintf("Host far stranger\n  HostName 127.0.0.1\n  Port %d\n  IdentityFile %s/user\n  GlobalKnownHostsFile none\nHost far\n  UserKnownHostsFile %s/known_hosts\nHost stranger\n  UserKnownHostsFile %s/none\n", near, dir, dir, dir), 0o600)
	real, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	write("bin/ssh", fmt.Sprintf("#!/bin/sh\nexec %s -F %s/ssh_config \"$@\"\n", real, dir), 0o755)
	t.Setenv("PATH", filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
	t.Setenv("SSH_AUTH_SOCK", "")
	cmd := exec.Command(server, "-D", "-e", "-f", filepath.Join(dir, "sshd_config"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	sourcetest.Until(t, "sshd listens", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return link
}

func TestAnEngineBehindSSH(t *testing.T) {
	engineHere(t)
	link := farHost(t)
	t.Setenv("TMPDIR", t.TempDir())
	name := start(t, "far", "--", "sleep", "1000")
	src := New(Config{Host: "ssh://far"})
	r := sourcetest.Run(t, src)
	s := sourcetest.Wait(r, "its containers and figures", func(s state.Containers) bool {
		return has(s, name, func(c *state.Container) bool { return c.State == "running" && c.MemBytes > 0 })
	})
	if s.Host != "ssh://far" {
		t.Errorf("host: %q", s.Host)
	}
	id := s.Container(name).ID
	ctx, cancel := context.WithTimeout(t.Context(), sourcetest.Patience)
	defer cancel()
	rc, _, err := New(Config{Host: "ssh://far"}).OpenLog(ctx, id, time.Time{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	_ = rc.Close()
	link.down()
	if err := r.WaitErr(0, "the host is cut off"); !strings.Contains(err.Error(), "ssh") {
		t.Errorf("cut off: %v", err)
	}
	link.up(t)
	start(t, "far-too", "--", "sleep", "1000")
	sourcetest.Wait(r, "it is back", func(s state.Containers) bool {
		return has(s, name[:len(name)-3]+"far-too", func(c *state.Container) bool { return c.MemBytes > 0 })
	})
	r.Stop()
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "opsdeck-docker-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWhatIsWrongWithAHostBehindSSH(t *testing.T) {
	farHost(t)
	t.Setenv("TMPDIR", t.TempDir())
	for _, c := range []struct{ host, want string }{
		{"ssh://far/nonexistent/docker.sock", "/nonexistent/docker.sock there cannot be opened"},
		{"ssh://stranger", "Host key verification failed"},
		{"ssh://nobody-at-all@far", "Permission denied"},
		{"ssh://-oProxyCommand=x", "was expected"},
	} {
		err := New(Config{Host: c.host}).Run(t.Context(), func(state.Section) {})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.host, err, c.want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "opsdeck-docker-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
