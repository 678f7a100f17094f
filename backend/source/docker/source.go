package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Timings that are not configured.
const (
	debounce    = 50 * time.Millisecond
	firstSweep  = 100 * time.Millisecond // between the first two samples, so that CPU shows soon
	pingEvery   = 5 * time.Second
	pingTimeout = 5 * time.Second
	callTimeout = 10 * time.Second
	topEvery    = 2 * time.Second
	// slowFrom is from how many containers on figures are published less often than
	// they are read.
	slowFrom = 5000
)

// Config selects the engine, and how often to measure.
type Config struct {
	// Title names the host where there are several: unique, without spaces and
	// slashes; "" is made of the address.
	Title string
	// Host is the engine's address: "unix:///path", "tcp://host:port" or
	// "ssh://[user@]host[:port][/path/to/socket]". Where it is empty, Context is a
	// context of the docker command; both empty is what that would use.
	Host, Context string
	// CA, Cert and Key are TLS files of a "tcp://" host; "" for none.
	CA, Cert, Key string
	// Interval is the time between two sweeps of figures; 0 is one second.
	Interval time.Duration
	// Mask hides known secrets in text; nil hides none but those that look like it.
	Mask func(string) string
	// Stored gives a container's figures over a span until some time from the store, as
	// means of step; nil where nothing is stored.
	Stored func(ctx context.Context, id string, until time.Time, span, step time.Duration) (state.Series, error)
	// Level reads a log line's level, for verdicts; nil leaves error rates unknown.
	Level func(string) state.Level
}

// Source is the containers source. Its methods may be called from any goroutine.
type Source struct {
	cfg       Config
	list      atomic.Pointer[[]state.Container]
	interests atomic.Pointer[state.Interests]
	wake      chan struct{} // interests changed
	seen      atomic.Bool   // an engine has answered once

	mu   sync.Mutex
	cli  *client.Client  // of the present run, or nil
	up   context.Context // ends with the present run; nil without one
	lost error           // why the last run ended, or did not begin; nil while one is up
}

// New makes a source. It does not connect.
func New(cfg Config) *Source {
	if cfg.Interval <= 0 {
		cfg.Interval = time.Second
	}
	if cfg.Mask == nil {
		cfg.Mask = func(s string) string { return s }
	}
	return &Source{cfg: cfg, wake: make(chan struct{}, 1)}
}

// Name implements state.Source.
func (s *Source) Name() string { return "docker" }

// Sections implements state.Source.
func (s *Source) Sections() []state.SectionName {
	return []state.SectionName{state.SectionContainers}
}

// Interest implements state.Interested: inspect and top are fetched for these.
func (s *Source) Interest(in state.Interests) {
	s.interests.Store(&in)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Containers returns the list as last published. It must not be written to.
func (s *Source) Containers() []state.Container {
	if l := s.list.Load(); l != nil {
		return *l
	}
	return nil
}

// engine returns the client of the present run, or an error that says why there is none.
func (s *Source) engine() (*client.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.cli != nil:
		return s.cli, nil
	case s.lost != nil:
		return nil, fmt.Errorf("the container engine does not answer: %w", s.lost)
	}
	return nil, errors.New("docker: the container engine has not answered yet")
}

// has reports whether the engine has a container of that ID or title. The source
// need not run.
func (s *Source) has(ctx context.Context, target string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	cli, leave, err := s.connect(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	_, err = cli.ContainerInspect(ctx, target, client.ContainerInspectOptions{})
	switch {
	case err == nil:
		return true, nil
	case errdefs.IsNotFound(err):
		return false, nil
	}
	return false, fmt.Errorf("docker: %s: %s", s.cfg.address(), s.clean(err.Error()))
}

// connect returns the client of the present run, or one of its own, and a
// function that closes it. If the engine is lost it returns the reason at once: a caller
// that retries would start an ssh each time. ctx bounds the connecting.
func (s *Source) connect(ctx context.Context) (*client.Client, func(), error) {
	s.mu.Lock()
	cli, lost := s.cli, s.lost
	s.mu.Unlock()
	switch {
	case cli != nil:
		return cli, func() {}, nil
	case lost != nil:
		return nil, nil, lost
	}
	e, err := s.cfg.resolve()
	if err != nil {
		return nil, nil, err
	}
	l, err := e.dial(ctx)
	if err != nil {
		return nil, nil, err
	}
	return l.Client, func() { _ = l.Close() }, nil
}

// setEngine notes the client of a run that ends with up.
func (s *Source) setEngine(c *client.Client, up context.Context) {
	s.mu.Lock()
	s.cli, s.up, s.lost = c, up, nil
	s.mu.Unlock()
}

// Run implements state.Source.
func (s *Source) Run(ctx context.Context, put func(state.Section)) error {
	err := s.run(ctx, put)
	s.mu.Lock()
	s.cli, s.up, s.lost = nil, nil, nil
	if ctx.Err() == nil {
		s.lost = err
	}
	s.mu.Unlock()
	return err
}

func (s *Source) run(ctx context.Context, put func(state.Section)) error {
	e, err := s.cfg.resolve()
	if err != nil {
		return err
	}
	l, err := e.dial(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	cli := l.Client
	defer func() { _ = l.Close() }()
	parent := ctx
	ctx, end := context.WithCancelCause(parent)

	r := &run{
		s: s, cli: cli, put: put, byID: map[string]*track{}, dirty: map[string]bool{}, earlyReaders: make(chan []earlyReader, 1),
		results: make(chan result, 1), statsDone: make(chan []statResult, 1), details: make(chan map[string]state.ContainerDetail, 1),
		engines: make(chan state.EngineDetail, 1), fetchedImpacts: make(chan impacts, 1), foundCompose: make(chan impacts, 1),
		buf: make([]byte, 64<<10), hostMem: hostMemory(), here: e.local() != "", version: make(chan string, 1),
	}
	r.section.Host = e.host
	if r.here {
		r.mounts, err = readMounts()
		r.local = err == nil
	}
	defer func() {
		end(nil)
		r.close()
	}()
	if r.local { // while the engine says what it runs
		r.wg.Go(func() { r.earlyReaders <- r.mounts.openRunning(r.hostMem) })
	}

	r.wg.Go(func() { // nor does the list wait for the version, for which an engine runs programs
		version, err := hello(ctx, cli)
		if err != nil {
			end(err)
			return
		}
		r.version <- version
	})
	err = r.loop(ctx)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if parent.Err() != nil {
		return parent.Err()
	}
	return s.explain(e, l.because(err))
}

// close waits for what is under way, which its context must have ended, and gives the
// descriptors back.
func (r *run) close() {
	r.wg.Wait()
	select {
	case readers := <-r.earlyReaders:
		for _, m := range readers {
			m.reader.close()
		}
	default:
	}
	for _, t := range r.byID {
		t.closeReader()
	}
}

// because returns ssh's message about a failure, where there is one, else the
// failure itself.
func (l *link) because(err error) error {
	if l.tunnel != nil && err != nil {
		if why := l.tunnel.why(); why != nil {
			return why
		}
	}
	return err
}

// hello requests the engine's version, which also negotiates the API's.
func hello(ctx context.Context, cli *client.Client) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	v, err := cli.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return "", err
	}
	name := "Docker Engine"
	for _, c := range v.Components {
		if strings.Contains(c.Name, "Podman") {
			name = "Podman"
		}
	}
	return state.Clean(fmt.Sprintf("%s %s (API %s)", name, v.Version, cli.ClientVersion())), nil
}

// explain turns a failure into what was tried, what happened and what to do.
func (s *Source) explain(e endpoint, err error) error {
	if err == nil {
		return nil
	}
	where := fmt.Sprintf("docker: %s (%s)", e.host, e.origin)
	sock := e.local()
	var op *net.OpError
	missing := false
	if sock != "" {
		_, serr := os.Stat(sock)
		missing = errors.Is(serr, fs.ErrNotExist)
	}
	switch {
	case missing && !e.chosen && !s.seen.Load():
		return state.Absence(fmt.Errorf("%s: there is no such socket: install or start Docker (systemctl start docker), or set DOCKER_HOST or docker.host in opsdeck.yaml", where))
	case missing:
		return fmt.Errorf("%s: the socket is gone: start the engine (systemctl start docker)", where)
	case errors.Is(err, syscall.ECONNREFUSED), strings.Contains(err.Error(), "Cannot connect to the Docker daemon"): // which hides it
		return fmt.Errorf("%s: connection refused: the engine is not running: start it (systemctl start docker)", where)
	case errors.Is(err, syscall.EACCES), errors.Is(err, fs.ErrPermission), strings.Contains(err.Error(), "permission denied"):
		return fmt.Errorf("%s: permission denied: add this user to the docker group (usermod -aG docker %s) and log in again", where, os.Getenv("USER"))
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: no answer in time: it is frozen or overloaded, or the connection to it is cut: see journalctl -u docker there", where)
	}
	if why := e.explainTLS(err.Error()); why != "" {
		return fmt.Errorf("%s: %s", where, why)
	}
	if errors.As(err, &op) {
		return fmt.Errorf("%s: %w: check the address and that the engine listens there", where, op)
	}
	return fmt.Errorf("%s: %s: opsdeck keeps trying", where, state.Clean(err.Error()))
}

// wanted are the events that change what is shown. Those of exec, which health
// checks cause by the thousand, are not asked for. The last two are Podman's: a container
// that died is only then no longer stopping, and one that is removed is not destroyed.
var (
	wantedEvents = []string{"create", "start", "die", "stop", "kill", "oom", "pause", "unpause", "destroy", "rename", "update", "restart", "health_status",
		"cleanup", "remove"}
	wanted = client.Filters{}.Add("type", "container").Add("event", wantedEvents...)
)

// run is one connection. All its fields belong to the loop's goroutine, but for
// what workers send back over its channels.
type run struct {
	s       *Source
	cli     *client.Client
	put     func(state.Section)
	section state.Containers
	byID    map[string]*track
	order   []*track // by title, then ID
	resort  bool
	// published is when the section was last put.
	published time.Time
	dirty     map[string]bool // to be inspected
	left      []string        // those that were listed and did not run, to be inspected after all else

	inspecting, sweeping            bool
	results                         chan result
	statsDone                       chan []statResult
	details                         chan map[string]state.ContainerDetail
	engines                         chan state.EngineDetail
	fetchingDetails, fetchingEngine bool
	// here says that the engine's socket is on this host, and so its files. asking and
	// looking are what is under way; looked is when compose was looked for.
	here, fetchingImpacts, findingCompose bool
	fetchedImpacts, foundCompose          chan impacts
	composeChecked                        time.Time
	wg                                    sync.WaitGroup

	local        bool
	mounts       mounts
	earlyReaders chan []earlyReader // once, where local
	version      chan string        // of the engine, once
	buf          []byte
	hostMem      float64
}

// loop follows the engine until ctx ends or the engine fails.
func (r *run) loop(ctx context.Context) error {
	// Events first, the list second: what happens in between is told twice, never missed.
	ev := r.cli.Events(ctx, client.EventsListOptions{Filters: wanted})
	if err := r.readList(ctx); err != nil {
		return err
	}
	r.s.seen.Store(true)
	r.s.setEngine(r.cli, ctx)
	measured := time.Time{}
	if r.local { // figures need not wait for what only an inspect returns
		measured = r.adoptReader(<-r.earlyReaders)
	}
	r.publish()
	if r.newProject() {
		r.findProjects(ctx)
	}

	soon := time.NewTimer(time.Hour)
	soon.Stop()
	sweep := time.NewTimer(firstSweep - time.Since(measured)) // at once where nothing was
	signs := time.NewTicker(pingEvery)
	top := time.NewTicker(topEvery)
	defer soon.Stop()
	defer sweep.Stop()
	defer signs.Stop()
	defer top.Stop()
	pinged := make(chan error, 1)
	pinging, pending, sweeps := false, false, 0
	later := func() {
		if !pending {
			pending = true
			soon.Reset(debounce)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r.section.Engine = <-r.version:
			r.publish()
		case m := <-ev.Messages:
			r.event(m)
			later()
		case err := <-ev.Err:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err == nil {
				err = errors.New("the event stream ended")
			}
			return fmt.Errorf("the connection was lost: %w", err)
		case <-soon.C:
			pending = false
			r.publish()
			r.inspect(ctx)
		case res := <-r.results:
			r.inspecting = false
			first := r.take(res)
			if first || r.toInspect() == 0 {
				r.publish()
			} else {
				r.publishFigures() // not with each batch of thousands of stopped ones
			}
			r.inspect(ctx)
			if first {
				sweep.Reset(0)
			}
		case <-sweep.C:
			next := r.s.cfg.Interval
			if r.sweep(ctx) {
				if sweeps++; sweeps < 3 {
					next = min(next, firstSweep)
				}
				r.histories()
				r.publishFigures()
			}
			sweep.Reset(next)
			r.inspect(ctx) // which the first figures need not share the host with
		case got := <-r.statsDone:
			r.sweeping = false
			r.takeStats(got)
			r.histories()
			r.publishFigures()
		case <-r.s.wake:
			r.detail(ctx)
			r.fetchImpacts(ctx)
		case <-top.C:
			r.detail(ctx)
			r.fetchImpacts(ctx)
			if r.newProject() {
				r.findProjects(ctx)
			}
		case a := <-r.fetchedImpacts:
			r.fetchingImpacts = false
			r.section.Connections = a.connections
			if a.reclaim != nil {
				r.section.Reclaim = a.reclaim
			}
			r.publish()
		case a := <-r.foundCompose:
			r.findingCompose = false
			if a.compose != nil {
				r.section.Compose, r.composeChecked = *a.compose, time.Now()
			}
			if a.compose != nil || !reflect.DeepEqual(a.projects, r.section.Projects) {
				r.section.Projects = a.projects
				r.publish()
			}
		case d := <-r.details:
			r.fetchingDetails = false
			r.takeDetails(d)
		case d := <-r.engines:
			r.takeEngine(d)
		case <-signs.C:
			r.findProjects(ctx)
			if pinging {
				continue
			}
			pinging = true
			r.wg.Go(func() {
				pinged <- ping(ctx, r.cli)
			})
		case err := <-pinged:
			pinging = false
			if err != nil {
				return err
			}
		}
	}
}

// publishFigures publishes figures, which are not urgent: less often the more containers there
// are, since each time is a copy of all of them. For thousands, that is some seconds.
func (r *run) publishFigures() {
	gap := r.s.cfg.Interval * time.Duration(len(r.order)) / slowFrom
	if len(r.order) < slowFrom || time.Since(r.published) >= gap {
		r.publish()
	}
}

// publish publishes the section with a copy of the list.
func (r *run) publish() {
	if r.resort {
		r.sort()
	}
	list := make([]state.Container, len(r.order))
	for i, t := range r.order {
		list[i] = t.c
	}
	r.section.List = list
	r.published = time.Now()
	r.s.list.Store(&list)
	r.put(r.section)
}

// event applies what an event itself says, so that it shows even while the
// engine is too busy to be asked, and marks its container for an inspect.
func (r *run) event(m events.Message) {
	id := m.Actor.ID
	if id == "" {
		return
	}
	t := r.byID[id]
	if m.Action == events.ActionDestroy || m.Action == events.ActionRemove {
		if t != nil {
			t.closeReader()
			delete(r.byID, id)
			delete(r.dirty, id)
			r.resort = true
		}
		return
	}
	if t == nil {
		t = &track{c: state.Container{ID: id, State: "created", Image: state.Clean(m.Actor.Attributes["image"])}}
		t.unknown()
		t.c.Title = state.Clean(m.Actor.Attributes["name"])
		r.byID[id] = t
		r.resort = true
	}
	at := time.Unix(0, m.TimeNano)
	t.events = append(t.events[max(0, len(t.events)-maxEvents+1):], eventOf(m))
	switch {
	case m.Action == events.ActionStart:
		t.c.State, t.c.Started = "running", at
	case m.Action == events.ActionDie:
		t.c.State, t.c.Finished = "exited", at
		if v, ok := number([]byte(m.Actor.Attributes["exitCode"])); ok {
			t.c.ExitCode = int(v)
		}
		t.closeReader()
		t.unknown()
		t.pid = 0
	case m.Action == events.ActionPause:
		t.c.State = "paused"
	case m.Action == events.ActionUnPause:
		t.c.State = "running"
	case m.Action == events.ActionOOM:
		t.c.OOMKilled = true
	case m.Action == events.ActionUpdate && t.reader != nil:
		t.reader.readLimit()
	case strings.HasPrefix(string(m.Action), "health_status"):
		if _, word, ok := strings.Cut(string(m.Action), ": "); ok {
			t.c.HealthWord = state.Clean(word)
		}
	}
	r.dirty[id] = true
}
