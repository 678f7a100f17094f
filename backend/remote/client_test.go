package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend"
	"github.com/opsdeck/opsdeck/backend/fake"
	"github.com/opsdeck/opsdeck/backend/journal"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// played is a source of whatever sections a test puts, and an executor that
// remembers what it was given.
type played struct {
	secs chan state.Section

	mu   sync.Mutex
	acts []state.Action
	in   state.Interests
	told chan struct{} // one token for each Interest
}

func newPlayed() *played {
	return &played{secs: make(chan state.Section), told: make(chan struct{}, 100)}
}

func (p *played) Name() string { return "played" }
func (p *played) Sections() []state.SectionName {
	return []state.SectionName{state.SectionModules, state.SectionPipeline, state.SectionServices, state.SectionContainers, state.SectionQueues,
		state.SectionLogs, state.SectionAlerts, state.SectionHost, state.SectionRouting}
}

func (p *played) Run(ctx context.Context, put func(state.Section)) error {
	for {
		select {
		case s := <-p.secs:
			put(s)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *played) Interest(in state.Interests) {
	p.mu.Lock()
	p.in = in
	p.mu.Unlock()
	p.told <- struct{}{}
}

func (p *played) Kinds() []state.Kind {
	return []state.Kind{state.CredentialSet, state.ModuleDisable, state.ModuleUninstall}
}

func (p *played) Execute(_ context.Context, a state.Action, _ func(string, float64)) (state.Outcome, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acts = append(p.acts, a)
	return state.Outcome{Result: "did it"}, nil
}

// served is a hub that is served on a socket.
type served struct {
	t      *testing.T
	hub    *backend.Hub
	src    *played
	socket string
	stop   func()
	log    *strings.Builder
}

func serve(t *testing.T) *served {
	t.Helper()
	dir := t.TempDir()
	j, err := journal.Open(filepath.Join(dir, "journal.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	e := &served{t: t, src: newPlayed(), socket: filepath.Join(dir, "s.sock"), log: &strings.Builder{}}
	e.hub = backend.New(backend.Options{Journal: j, Workspace: state.Workspace{Title: "far", Started: time.Now()}}, e.src)
	ln, err := Listen(e.socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: NewHandler(e.hub, "1.2.3", slog.New(slog.NewTextHandler(e.log, nil)))}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { e.hub.Run(ctx) })
	wg.Go(func() { _ = srv.Serve(ln) })
	var once sync.Once
	e.stop = func() {
		once.Do(func() {
			srv.Close()
			cancel()
			wg.Wait()
			j.Close()
		})
	}
	t.Cleanup(e.stop)
	return e
}

func (e *served) dial(user string) *Client {
	e.t.Helper()
	c, err := Dial(context.Background(), e.socket, state.Actor{User: user, From: "pts/1", Via: "console"})
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(c.Close)
	return c
}

// TestConsoleSeesWhatTheEngineSees plays snapshots through a real hub and socket.
func TestConsoleSeesWhatTheEngineSees(t *testing.T) {
	e := serve(t)
	early := e.dial("early")
	for i, name := range []string{"healthy", "incident", "wide", "healthy"} {
		s := fake.Named(name)
		for _, sec := range e.src.Sections() {
			if sec == state.SectionServices { // what marks the end of this round
				continue
			}
			e.src.secs <- s.Section(sec)
		}
		mark := fmt.Sprint("round ", i)
		e.src.secs <- state.Services{List: []state.Service{{Title: mark}}}
		here := func(s *state.Snapshot) bool { return len(s.Services.List) == 1 && s.Services.List[0].Title == mark }
		sourcetest.Snapshot(t, e.hub, "the hub has "+mark, here)
		late := e.dial("late")
		// The own figures of the engine move on: what all three have is compared at
		// one version.
		for _, c := range []*Client{early, late} {
			var want, got *state.Snapshot
			for want == nil || want.Version != got.Version {
				want = e.hub.Latest()
				got = sourcetest.Snapshot(t, c, "the version arrives", func(s *state.Snapshot) bool { return s.Version >= want.Version })
			}
			same(t, mark, got, want)
		}
		late.Close()
	}
}

func TestActionsGoOverTheWireWithTheirSecrets(t *testing.T) {
	e := serve(t)
	e.src.secs <- state.Modules{List: []state.Module{{ID: "a/b", Status: state.ModuleInstalled}}}
	c := e.dial("ada")
	sourcetest.Snapshot(t, c, "the module is there", func(s *state.Snapshot) bool { return s.Modules.Module("a/b") != nil })
	id, err := c.Submit(t.Context(), state.Action{Kind: state.CredentialSet, Target: "a/b", Secrets: map[string]state.Secret{"api_key": "s3cr3t-x"},
		Actor: state.Actor{User: "somebody else"}, Confirmed: "yes"})
	if err != nil {
		t.Fatal(err)
	}
	s := sourcetest.Snapshot(t, c, "it is done", func(s *state.Snapshot) bool { p := s.Actions.Progress(id); return p != nil && p.Done() })
	p := s.Actions.Progress(id)
	if p.Status != "done" || p.Result != "did it" || p.Action.Actor.User != "ada" || p.Action.Actor.From != "pts/1" {
		t.Errorf("progress is %+v", p)
	}
	e.src.mu.Lock()
	if len(e.src.acts) != 1 || e.src.acts[0].Secrets["api_key"].Reveal() != "s3cr3t-x" {
		t.Errorf("the executor got %+v", e.src.acts)
	}
	e.src.mu.Unlock()
	if strings.Contains(text(t, s), "s3cr3t-x") {
		t.Error("the secret is in the snapshot")
	}
	b, err := json.Marshal(request{Action: state.Action{Secrets: map[string]state.Secret{"k": "s3cr3t-x"}}})
	if err != nil || strings.Contains(string(b), "s3cr3t-x") {
		t.Errorf("an action gives its secret away by itself: %s %v", b, err)
	}
}

func TestRefusalsArriveAsRefusals(t *testing.T) {
	e := serve(t)
	e.src.secs <- state.Modules{List: []state.Module{{ID: "a/b", Status: state.ModuleDisabled}}}
	c := e.dial("ada")
	sourcetest.Snapshot(t, c, "the module is there", func(s *state.Snapshot) bool { return s.Modules.Module("a/b") != nil })
	for _, a := range []state.Action{
		{Kind: state.ModuleDisable, Target: "a/b"}, {Kind: state.ModuleDisable, Target: "no/where"}, {Kind: "no.such"},
		{Kind: state.ModuleUninstall, Target: "a/b", Confirmed: "a/c"}, {Kind: state.ContainerStop, Target: "x"},
	} {
		_, there := e.hub.Submit(t.Context(), a)
		_, here := c.Submit(t.Context(), a)
		if !errors.Is(here, backend.ErrRefused) || here.Error() != there.Error() {
			t.Errorf("%s %s is refused with %q, want %q", a.Kind, a.Target, here, there)
		}
	}
	if _, err := c.Submit(t.Context(), state.Action{Kind: state.ModuleDisable, Target: strings.Repeat("x", maxRequest)}); err == nil || errors.Is(err, backend.ErrRefused) {
		t.Errorf("an action that is too large: %v", err)
	}
	if n := len(e.hub.Latest().Actions.List); n != 0 {
		t.Errorf("%d actions were begun", n)
	}
}

func TestTheEnginesEndIsAnError(t *testing.T) {
	e := serve(t)
	c := e.dial("ada")
	s := sourcetest.Snapshot(t, c, "something arrives", func(*state.Snapshot) bool { return true })
	got := make(chan error)
	go func() {
		after := s.Version
		for {
			s, err := c.Wait(context.Background(), after)
			if err != nil {
				got <- err
				return
			}
			after = s.Version
		}
	}()
	e.stop()
	if err := <-got; !strings.Contains(err.Error(), "the link to the engine ended") {
		t.Errorf("Wait ends with %v", err)
	}
	if _, err := c.Submit(t.Context(), state.Action{Kind: state.ModuleDisable}); err == nil || errors.Is(err, backend.ErrRefused) {
		t.Errorf("Submit to an engine that is gone: %v", err)
	}
	if last, err := c.Wait(t.Context(), 0); err != nil || last.Version == 0 {
		t.Errorf("the last snapshot is gone: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Dial(ctx, e.socket, state.Actor{}); err == nil {
		t.Error("Dial to an engine that is gone succeeds")
	}
}

func TestPresenceAndInterestLastAsLongAsTheConsole(t *testing.T) {
	e := serve(t)
	a, b := e.dial("ada"), e.dial("bob\x1b[2J")
	s := sourcetest.Snapshot(t, a, "both are there", func(s *state.Snapshot) bool { return len(s.Workspace.Consoles) == 2 })
	if u := s.Workspace.Consoles[1].Actor.User; u != "bob^[[2J" {
		t.Errorf("the second console is %q", u)
	}
	looking := func(want ...string) {
		t.Helper()
		deadline := time.After(sourcetest.Patience)
		for {
			e.src.mu.Lock()
			ok := true
			for _, id := range want {
				ok = ok && e.src.in.Has(state.LookContainer, id)
			}
			ok = ok && len(e.src.in.Keys(state.LookContainer)) == len(want)
			in := e.src.in
			e.src.mu.Unlock()
			if ok {
				return
			}
			select {
			case <-e.src.told:
			case <-deadline:
				t.Fatalf("they look at %+v, want %v", in, want)
			}
		}
	}
	a.Watch(state.Interests{{Topic: state.LookContainer, Key: "c1"}})
	looking("c1")
	for i := range 50 { // the newest wins, and Watch never blocks
		b.Watch(state.Interests{{Topic: state.LookContainer, Key: fmt.Sprint("x", i)}})
	}
	b.Watch(state.Interests{{Topic: state.LookContainer, Key: "c2"}})
	looking("c1", "c2")
	a.Close()
	looking("c2")
	sourcetest.Snapshot(t, b, "one has left", func(s *state.Snapshot) bool { return len(s.Workspace.Consoles) == 1 })
	b.Close()
	looking()
}

// TestOtherAnswersSayWhatToDo dials servers that are not what they should be.
func TestOtherAnswersSayWhatToDo(t *testing.T) {
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		want    string
		other   bool // what answers is no opsdeck
	}{
		"another version": {func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(hello{Protocol: Protocol + 1, Version: "9.9.9"})
		}, fmt.Sprintf("its opsdeck is version 9.9.9, whose protocol is %d; this one speaks %d: use the same version", Protocol+1, Protocol), false},
		"no opsdeck":   {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "<html>welcome to nginx") }, "", true},
		"no such path": {http.NotFound, "404", true},
		"nothing":      {func(http.ResponseWriter, *http.Request) {}, "", true},
		"no token": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "a token is needed", http.StatusUnauthorized)
		}, "a token is needed", false},
		"no entry": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "the Host header names x", http.StatusForbidden)
		}, "the Host header names x", false},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(tt.handler)
			defer srv.Close()
			c, err := DialHTTP(t.Context(), srv.URL, Access{}, state.Actor{})
			if err == nil {
				c.Close()
				t.Fatal("it attaches")
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), srv.URL) || errors.Is(err, ErrNotOpsdeck) != tt.other {
				t.Errorf("the error is %v", err)
			}
		})
	}
	for _, at := range []string{"", "host:8003", "ftp://x", "http://", "unix:///x"} {
		if _, err := DialHTTP(t.Context(), at, Access{}, state.Actor{}); err == nil || !strings.Contains(err.Error(), "a URL such as") {
			t.Errorf("attach to %q: %v", at, err)
		}
	}
}

func TestTokenGoesWithEveryRequest(t *testing.T) {
	e := serve(t)
	h := NewHandler(e.hub, "1", slog.New(slog.DiscardHandler))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer tok" {
			http.Error(w, "a token is needed", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	}))
	defer srv.Close()
	if _, err := DialHTTP(t.Context(), srv.URL, Access{Token: "wrong"}, state.Actor{}); err == nil {
		t.Error("a wrong token attaches")
	}
	c, err := DialHTTP(t.Context(), srv.URL, Access{Token: "tok"}, state.Actor{User: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sourcetest.Snapshot(t, c, "a snapshot arrives", func(s *state.Snapshot) bool { return s.Version > 0 })
	if _, err := c.Submit(t.Context(), state.Action{Kind: state.ModuleDisable, Target: "x"}); !errors.Is(err, backend.ErrRefused) {
		t.Errorf("submit: %v", err)
	}
}

func TestHandlerRefusesWhatIsNoConsole(t *testing.T) {
	e := serve(t)
	h := NewHandler(e.hub, "1", slog.New(slog.DiscardHandler))
	for _, tt := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "stream", "", 400},
		{"GET", "stream?session=x&actor=nope", "", 400},
		{"GET", "stream?actor=%7B%7D", "", 400},
		{"PUT", "interest?session=x", "{}", 404},
		{"POST", "actions", "{", 400},
		{"POST", "actions", `{"session":"x"}`, 404},
		{"GET", "actions", "", 405},
		{"GET", "nothing", "", 404},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tt.method, Prefix+tt.path, strings.NewReader(tt.body)))
		if w.Code != tt.want {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, w.Code, tt.want)
		}
	}
	if n := len(e.hub.Latest().Workspace.Consoles); n != 0 {
		t.Errorf("%d consoles are present", n)
	}
}

// TestAReconnectingConsoleKeepsItsSession: a console's link is cut, and the engine does not
// know of it yet when the console is back.
func TestAReconnectingConsoleKeepsItsSession(t *testing.T) {
	e := serve(t)
	dial := func(user, session string) (*Client, error) {
		return dialSocket(t.Context(), e.socket, state.Actor{User: user, From: "pts/1", Via: "console"}, session, 0)
	}
	first, err := dial("ada", "s1")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	bob := e.dial("bob")
	before := sourcetest.Snapshot(t, bob, "both are there", func(s *state.Snapshot) bool { return len(s.Workspace.Consoles) == 2 })
	if c, err := dial("eve", "s1"); err == nil {
		c.Close()
		t.Error("eve takes ada's session")
	}
	again, err := dial("ada", "s1")
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	<-first.ended // its place is taken
	first.Close()
	s := sourcetest.Snapshot(t, again, "it is shown the consoles", func(s *state.Snapshot) bool { return len(s.Workspace.Consoles) > 0 })
	if h := s.Workspace.Holder(); len(s.Workspace.Consoles) != 2 || h == nil || h.ID != s.You || h.ID != before.Workspace.Holder().ID {
		t.Errorf("control is with %+v of %+v; this is %q", h, s.Workspace.Consoles, s.You)
	}
	again.Close()
	sourcetest.Snapshot(t, bob, "it has left, and control went on", func(s *state.Snapshot) bool { return len(s.Workspace.Consoles) == 1 && s.Workspace.Consoles[0].Control })
}

// TestASlowConsoleGetsFewerFrames lets one read nothing for many versions.
func TestASlowConsoleGetsFewerFrames(t *testing.T) {
	e := serve(t)
	conn, err := net.Dial("unix", e.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %sstream?session=slow&actor=%%7B%%7D HTTP/1.1\r\nHost: x\r\n\r\n", Prefix)
	sourcetest.Snapshot(t, e.hub, "it is there", func(s *state.Snapshot) bool { return len(s.Workspace.Consoles) == 1 })
	quick := e.dial("quick")
	long := strings.Repeat("x", 1<<20) // more than the socket holds
	for i := range 5 {
		e.src.secs <- state.Modules{List: []state.Module{{ID: fmt.Sprint("a/", i), Manifest: long}}}
		sourcetest.Snapshot(t, quick, "the other one has it", func(s *state.Snapshot) bool { return s.Modules.Module(fmt.Sprint("a/", i)) != nil })
	}
}

func TestAnEngineThatHangsIsNotWaitedForForEver(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, as a stopped process does
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := attach(t.Context(), &http.Client{Transport: &http.Transport{}}, "http://"+ln.Addr().String(), "it", state.Actor{}, "", 10*time.Millisecond, 0)
	if !errors.Is(err, ErrSilent) {
		t.Errorf("attach = %v, %v; want %v", c, err, ErrSilent)
	}
}
