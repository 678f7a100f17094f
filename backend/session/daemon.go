package session

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend"
	"github.com/opsdeck/opsdeck/backend/admin"
	"github.com/opsdeck/opsdeck/backend/config"
	"github.com/opsdeck/opsdeck/backend/journal"
	"github.com/opsdeck/opsdeck/backend/profile"
	"github.com/opsdeck/opsdeck/backend/remote"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Parts are the parts of a daemon, which package main wires together.
type Parts struct {
	Hub           *backend.Hub
	Authenticator *admin.Authenticator
	// API is the admin API, nil without an engine of its own; Ready waits until the
	// engine has read its registry, or ctx ends.
	API   http.Handler
	Ready func(ctx context.Context)
	// Background are what runs beside the hub until ctx ends.
	Background []func(ctx context.Context)
	// OpenStore opens the time series, which may take a moment after a crash, and returns
	// a warning, "" for none. CloseStore closes it.
	OpenStore  func() (warning string, err error)
	CloseStore func() error
	// Guarded reports whether callers on other hosts can be told by a token; the error is
	// why no token is valid.
	Guarded func() (bool, error)
}

// Config is how a daemon is started.
type Config struct {
	Workspace *config.Workspace
	// Serves says that it is a service's, for which consoles wait.
	Serves bool
	// Version is the program's, User who started it.
	Version, User string
	// OpenLog opens the program's own log, once the workspace is held.
	OpenLog func() (*slog.Logger, io.Closer)
	// Wire puts the parts together; nothing runs yet.
	Wire func(j *journal.Journal, log *slog.Logger) (*Parts, error)
}

// Daemon is a running engine with all that hangs on it: it holds the workspace.
type Daemon struct {
	cfg     Config
	ws      *config.Workspace
	parts   *Parts
	lock    *remote.Lock
	journal *journal.Journal
	log     *slog.Logger
	logFile io.Closer
	socket  string

	cancel  context.CancelFunc
	wg      sync.WaitGroup
	servers []*http.Server
	// apiAddr is where the admin API is served, noAPI why it is not.
	apiAddr, noAPI string
	// dashboard is where it is served beside, "" for nowhere.
	dashboard string
}

// Start takes the workspace and starts everything in it. Where another process holds
// it, the error is remote.ErrHeld and owner says who.
func Start(cfg Config) (d *Daemon, owner remote.Owner, err error) {
	ws := cfg.Workspace
	me := remote.Owner{PID: os.Getpid(), Socket: remote.SocketPath(ws.Data), Started: time.Now(), User: cfg.User, Version: cfg.Version, Serves: cfg.Serves}
	lock, owner, err := remote.Acquire(ws.Data, me)
	if err != nil {
		return nil, owner, err
	}
	d = &Daemon{cfg: cfg, ws: ws, lock: lock, socket: me.Socket}
	defer func() {
		if err != nil {
			d.Stop()
			d = nil
		}
	}()
	d.log, d.logFile = cfg.OpenLog()
	if d.journal, err = journal.Open(filepath.Join(ws.Data, "journal.jsonl")); err != nil {
		return d, owner, err
	}
	if d.parts, err = cfg.Wire(d.journal, d.log); err != nil {
		return d, owner, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	d.wg.Go(func() { d.parts.Hub.Run(ctx) })
	for _, run := range d.parts.Background {
		d.wg.Go(func() { run(ctx) })
	}
	d.wg.Go(d.openStore)
	d.wg.Go(func() { d.tellFindings(ctx) })
	if err = d.serveSocket(me.Socket); err != nil {
		return d, owner, err
	}
	d.serveAPI()
	return d, owner, nil
}

// Hub returns the hub of the engine.
func (d *Daemon) Hub() *backend.Hub { return d.parts.Hub }

// Log returns the program's own log.
func (d *Daemon) Log() *slog.Logger { return d.log }

// Socket returns the path of the socket that consoles attach to.
func (d *Daemon) Socket() string { return d.socket }

// API returns where the admin API is served, and beside where the dashboard's address
// is; why says why it is not.
func (d *Daemon) API() (addr, dashboard, why string) { return d.apiAddr, d.dashboard, d.noAPI }

// openStore opens the time series and tells of what was wrong with it.
func (d *Daemon) openStore() {
	warning, err := d.parts.OpenStore()
	if err != nil {
		warning = err.Error()
	}
	if warning != "" {
		d.log.Warn("metrics", "warning", warning)
		d.parts.Hub.SetWorkspace(func(w *state.Workspace) { w.Problems = append(w.Problems[:len(w.Problems):len(w.Problems)], warning) })
	}
}

// tellFindings adds what only running sources can tell: Docker and Redis.
func (d *Daemon) tellFindings(ctx context.Context) {
	base := d.ws.Found
	var after uint64
	for {
		s, err := d.parts.Hub.Wait(ctx, after)
		if err != nil {
			return
		}
		after = s.Version
		if s.Containers.Health.Status == state.Connecting || s.Queues.Health.Status == state.Connecting {
			continue
		}
		found := append(base[:len(base):len(base)],
			state.Finding{What: "docker", Where: s.Containers.Host, Found: s.Containers.Health.Known(), Origin: d.ws.Origin["docker.host"]},
			state.Finding{What: "redis", Where: s.Queues.Server, Found: s.Queues.Health.Known(), Origin: d.ws.Origin["redis.url"]})
		d.parts.Hub.SetWorkspace(func(w *state.Workspace) { w.Found = found })
		return
	}
}

// serveSocket serves consoles and the API on the workspace's own socket, which
// its file mode guards, and the kernel's word on who connects.
func (d *Daemon) serveSocket(path string) error {
	ln, err := remote.Listen(path)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(remote.Prefix, d.consoles())
	mux.Handle(profile.Prefix, profile.Handler()) // here alone: never over TCP
	if d.parts.API != nil {
		mux.Handle("/", d.awaiting(d.parts.API))
	}
	d.serve(ln, d.parts.Authenticator.Socket(mux), nil)
	return nil
}

// awaiting holds calls back that come before the engine has read its registry.
func (d *Daemon) awaiting(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		d.parts.Ready(ctx)
		cancel()
		h.ServeHTTP(w, r)
	})
}

func (d *Daemon) consoles() http.Handler {
	h := remote.NewHandler(d.parts.Hub, d.cfg.Version, d.log)
	h.Authorize, h.Actor = d.parts.Authenticator.Authorize, d.parts.Authenticator.Actor
	return h
}

// serveAPI serves the admin API on its address; where that cannot be, it runs
// without and says so.
func (d *Daemon) serveAPI() {
	addr := d.ws.Listen
	set := func(listen, why string) {
		d.apiAddr, d.noAPI = listen, why
		d.parts.Hub.SetWorkspace(func(w *state.Workspace) { w.Listen, w.ListenErr = listen, why })
	}
	if d.parts.API == nil {
		set("", "the admin API is the orchestrator's own, at "+d.ws.Engine.URL)
		return
	}
	if addr == "off" {
		set("", "the admin API is off (listen: off)")
		return
	}
	if guarded, err := d.parts.Guarded(); !admin.Loopback(addr) && !guarded {
		why := fmt.Sprintf("%s is not a loopback address, and there is no token: opsdeck tokens create makes one, or put OPSDECK_TOKEN into the environment or .env", addr)
		if err != nil {
			why = fmt.Sprintf("%s is not a loopback address, and no token is valid: %v", addr, err)
		}
		set("", why)
		return
	}
	var secure *tls.Config
	if t := d.ws.TLS; t.Cert != "" {
		var err error
		if secure, err = admin.TLS(t.Cert, t.Key, d.log); err != nil {
			set("", fmt.Sprintf("the admin API is not served: %v", err))
			return
		}
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		set("", d.taken(addr, err))
		return
	}
	mux := http.NewServeMux()
	mux.Handle(remote.Prefix, d.consoles())
	mux.Handle("/", d.awaiting(d.parts.API))
	d.serve(ln, d.parts.Authenticator.Guard(addr, mux), secure)
	set(ln.Addr().String(), "")
	d.serveDashboard(mux, secure)
}

// serveDashboard serves the same API where what asks the dashboard of NEXUS looks
// for it. An address that is taken, by that dashboard itself as a rule, is left to
// who has it.
func (d *Daemon) serveDashboard(h http.Handler, secure *tls.Config) {
	addr := d.ws.Dashboard
	if addr == "off" || addr == "" {
		return
	}
	if !admin.Loopback(addr) && admin.Loopback(d.ws.Listen) {
		d.log.Warn("the dashboard's address is not served: it is open to other hosts, and listen is not", "addr", addr)
		return
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		d.log.Info("the dashboard's address is not served", "err", err)
		return
	}
	d.dashboard = ln.Addr().String()
	d.serve(ln, d.parts.Authenticator.Guard(addr, h), secure)
}

// taken says what to do about an address that cannot be listened on.
func (d *Daemon) taken(addr string, err error) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, rerr := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/admin/health", nil)
	if rerr == nil {
		if resp, herr := http.DefaultClient.Do(req); herr == nil {
			defer resp.Body.Close()
			var h struct{ Status, Service string }
			if json.NewDecoder(resp.Body).Decode(&h) == nil && h.Status != "" {
				what := "an orchestrator"
				if h.Service == "opsdeck" {
					what = "another opsdeck"
				}
				return fmt.Sprintf("%s is taken by %s (%s): opsdeck attach http://%s looks at that one, --listen takes another address for this one", addr, what, h.Status, addr)
			}
		}
	}
	return fmt.Sprintf("the admin API is not served: %v: free %s or take another address with --listen", err, addr)
}

// serve serves h on ln, over TLS where secure is not nil. Bodies and answers have
// deadlines of their own, set by the authenticator: streams and long actions go on.
func (d *Daemon) serve(ln net.Listener, h http.Handler, secure *tls.Config) {
	srv := &http.Server{
		Handler: h, TLSConfig: secure, ConnContext: d.parts.Authenticator.Connect,
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelWarn),
	}
	d.servers = append(d.servers, srv)
	d.wg.Go(func() {
		var err error
		if secure != nil {
			err = srv.ServeTLS(ln, "", "")
		} else {
			err = srv.Serve(ln)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("serve", "addr", ln.Addr().String(), "err", err)
		}
	})
}

// Stop ends everything, in the reverse order, and gives the workspace back.
func (d *Daemon) Stop() {
	if d.cancel != nil { // first, so that nobody inherits control from who is cut off
		d.cancel()
	}
	for _, srv := range d.servers {
		srv.Close()
	}
	d.wg.Wait()
	if d.parts != nil {
		if err := d.parts.CloseStore(); err != nil {
			d.log.Error("close metrics", "err", err)
		}
	}
	if d.journal != nil {
		d.journal.Close()
	}
	if d.logFile != nil {
		_ = d.logFile.Close()
	}
	if d.lock != nil {
		_ = d.lock.Release()
	}
}

// enginePatience is how old the engine's last word may be: it puts its pipeline
// once a second, whatever else it does.
const enginePatience = 15 * time.Second

// Alive returns why the engine is not alive: its socket does not answer, its hub does not
// publish, or it has stopped to put sections.
func (d *Daemon) Alive(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := remote.Alive(ctx, d.socket); err != nil {
		return err
	}
	h := d.parts.Hub.Latest().Pipeline.Health
	if d.parts.API != nil && h.Status == state.OK && time.Since(h.LastOK) > max(enginePatience, limit) {
		return errors.New("the engine has said nothing since " + h.LastOK.Format(time.TimeOnly))
	}
	return nil
}
