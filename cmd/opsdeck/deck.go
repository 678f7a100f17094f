package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strings"
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

// deck is a running engine with all that hangs on it: it holds the workspace.
type deck struct {
	ws      *config.Workspace
	hub     *backend.Hub
	wiring  *wiring
	lock    *remote.Lock
	journal *journal.Journal
	log     *slog.Logger
	logFile *ownLog
	socket  string

	cancel  context.CancelFunc
	wg      sync.WaitGroup
	servers []*http.Server
	// apiAddr is where the admin API is served, noAPI why it is not.
	apiAddr, noAPI string
	// dashboard is where it is served beside, "" for nowhere.
	dashboard string
}

// startDeck takes the workspace and starts everything in it. Where another
// process holds it, the error is remote.ErrHeld and owner says who.
func startDeck(ws *config.Workspace, serves bool) (d *deck, owner remote.Owner, err error) {
	me := remote.Owner{PID: os.Getpid(), Socket: remote.SocketPath(ws.Data), Started: time.Now(), User: userName(), Version: version(), Serves: serves}
	lock, owner, err := remote.Acquire(ws.Data, me)
	if err != nil {
		return nil, owner, err
	}
	d = &deck{ws: ws, lock: lock, socket: me.Socket}
	defer func() {
		if err != nil {
			d.Stop()
			d = nil
		}
	}()
	d.logFile, d.log = openLog(ws.Data)
	libraryLog(d.log)
	if d.journal, err = journal.Open(filepath.Join(ws.Data, "journal.jsonl")); err != nil {
		return d, owner, err
	}
	if d.wiring, err = wire(ws, d.journal, d.log); err != nil {
		return d, owner, err
	}
	d.hub = d.wiring.hub
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	d.wg.Go(func() { d.hub.Run(ctx) })
	d.wg.Go(func() { d.wiring.store.Run(ctx, time.Duration(ws.Metrics.Interval)) })
	d.wg.Go(func() { d.wiring.relay.Run(ctx) })
	d.wg.Go(func() { d.openStore() })
	d.wg.Go(func() { d.tellFindings(ctx) })
	if err = d.serveSocket(me.Socket); err != nil {
		return d, owner, err
	}
	d.serveAPI()
	return d, owner, nil
}

// openStore opens the time series, which may take a moment after a crash.
func (d *deck) openStore() {
	warning, err := d.wiring.store.Open(filepath.Join(d.ws.Data, "metrics"), time.Duration(d.ws.Metrics.Retention))
	if err != nil {
		warning = err.Error()
	}
	if warning != "" {
		d.log.Warn("metrics", "warning", warning)
		d.hub.SetWorkspace(func(w *state.Workspace) { w.Problems = append(w.Problems[:len(w.Problems):len(w.Problems)], warning) })
	}
}

// tellFindings adds what only running sources can tell: Docker and Redis.
func (d *deck) tellFindings(ctx context.Context) {
	base := d.ws.Found
	var after uint64
	for {
		s, err := d.hub.Wait(ctx, after)
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
		d.hub.SetWorkspace(func(w *state.Workspace) { w.Found = found })
		return
	}
}

// serveSocket serves consoles and the API on the workspace's own socket, which
// its file mode guards, and the kernel's word on who connects.
func (d *deck) serveSocket(path string) error {
	ln, err := remote.Listen(path)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(remote.Prefix, d.consoles())
	mux.Handle(profile.Prefix, profile.Handler()) // here alone: never over TCP
	if d.wiring.api != nil {
		mux.Handle("/", d.awaiting(d.wiring.api))
	}
	d.serve(ln, d.wiring.door.Socket(mux), nil)
	return nil
}

// awaiting holds calls back that come before the engine has read its registry.
func (d *deck) awaiting(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		d.wiring.engine.Await(ctx)
		cancel()
		h.ServeHTTP(w, r)
	})
}

func (d *deck) consoles() http.Handler {
	h := remote.NewHandler(d.hub, version(), d.log)
	h.Authorize, h.Actor = d.wiring.door.Authorize, d.wiring.door.Actor
	return h
}

// serveAPI serves the admin API on its address; where that cannot be, it runs
// without and says so.
func (d *deck) serveAPI() {
	addr := d.ws.Listen
	set := func(listen, why string) {
		d.apiAddr, d.noAPI = listen, why
		d.hub.SetWorkspace(func(w *state.Workspace) { w.Listen, w.ListenErr = listen, why })
	}
	if d.wiring.api == nil {
		set("", "the admin API is the orchestrator's own, at "+d.ws.Engine.URL)
		return
	}
	if addr == "off" {
		set("", "the admin API is off (listen: off)")
		return
	}
	if given, err := d.wiring.tokens.List(); !admin.Loopback(addr) && d.wiring.token == "" && len(given) == 0 {
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
	mux.Handle("/", d.awaiting(d.wiring.api))
	d.serve(ln, d.wiring.door.Guard(addr, mux), secure)
	set(ln.Addr().String(), "")
	d.serveDashboard(mux, secure)
}

// serveDashboard serves the same API where what asks the dashboard of NEXUS looks
// for it. An address that is taken, by that dashboard itself as a rule, is left to
// who has it.
func (d *deck) serveDashboard(h http.Handler, secure *tls.Config) {
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
	d.serve(ln, d.wiring.door.Guard(addr, h), secure)
}

// taken says what to do about an address that cannot be listened on.
func (d *deck) taken(addr string, err error) string {
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
// deadlines of their own, set by the door: streams and long actions go on.
func (d *deck) serve(ln net.Listener, h http.Handler, secure *tls.Config) {
	srv := &http.Server{
		Handler: h, TLSConfig: secure, ConnContext: d.wiring.door.Connect,
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
func (d *deck) Stop() {
	if d.cancel != nil { // first, so that nobody inherits control from who is cut off
		d.cancel()
	}
	for _, srv := range d.servers {
		srv.Close()
	}
	d.wg.Wait()
	if d.wiring != nil {
		if err := d.wiring.store.Close(); err != nil {
			d.log.Error("close metrics", "err", err)
		}
	}
	if d.journal != nil {
		d.journal.Close()
	}
	if d.logFile != nil {
		d.logFile.Close()
	}
	if d.lock != nil {
		_ = d.lock.Release()
	}
}

// userName returns who is at the keyboard, also behind sudo.
func userName() string {
	if u := os.Getenv("SUDO_USER"); u != "" {
		return state.Clean(u)
	}
	if u, err := user.Current(); err == nil {
		return state.Clean(u.Username)
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

// me returns who runs this process, and from where.
func me(via string) state.Actor {
	a := state.Actor{User: userName(), Via: via}
	if tty, err := os.Readlink("/proc/self/fd/0"); err == nil && strings.HasPrefix(tty, "/dev/") && tty != "/dev/null" {
		a.From = strings.TrimPrefix(tty, "/dev/")
	}
	if c := strings.Fields(os.Getenv("SSH_CONNECTION")); len(c) > 0 {
		a.From = strings.TrimSpace(a.From + " from " + state.Clean(c[0]))
	}
	if a.From == "" {
		a.From = fmt.Sprintf("pid %d", os.Getppid())
	}
	return a
}
