package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/opsdeck/opsdeck/backend/config"
	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/session"
	"github.com/opsdeck/opsdeck/backend/state"
)

//go:embed all:demo
var demoFiles embed.FS

func newDemo(g *globals, c *consoleFlags) *cobra.Command {
	dir, keep := "", false
	cmd := &cobra.Command{Use: "demo", Short: "open the console on a workspace made for trying it out", Args: cobra.NoArgs,
		Long: "Makes a workspace in a temporary folder and runs the real engine on it: modules that report on\n" +
			"this host, one of which fails because its API key was changed (find out why, and fix it with T),\n" +
			"a small service that they ask, its logs, rules over all of it, and what the host has of Docker\n" +
			"and Redis. Nothing outside of the folder is changed.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needTerminal(); err != nil {
				return err
			}
			if dir == "" {
				tmp, err := os.MkdirTemp("", "opsdeck-demo-")
				if err != nil {
					return fmt.Errorf("demo: %w", err)
				}
				dir = tmp
				if !keep {
					defer os.RemoveAll(tmp)
				}
			}
			d, err := startDemo(dir)
			if err != nil {
				return err
			}
			defer d.Stop()
			ws, err := config.Load(config.Flags{Workspace: dir, Listen: g.Listen})
			if err != nil {
				return err
			}
			s := dial(cmd.Context(), ws, me("console"))
			defer s.Stop()
			ctx, cancel := context.WithCancel(cmd.Context())
			var wg sync.WaitGroup
			defer func() { cancel(); wg.Wait() }()
			wg.Go(func() { enableOnce(ctx, s, "host/disk") })
			return openConsole(cmd.Context(), ws, s, c, cmd.ErrOrStderr())
		}}
	cmd.Flags().StringVar(&dir, "dir", "", "make the workspace in `DIR` and leave it there")
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the temporary folder there")
	cmd.Flags().StringVar(&g.Listen, "listen", "", "the admin API's `ADDR`, or off (default 127.0.0.1:8003)")
	c.register(cmd)
	return cmd
}

// enableOnce enables a module that was found and never decided on: its manifest is
// of the shape that cannot say so itself.
func enableOnce(ctx context.Context, s *session.Session, id string) {
	for after := uint64(0); ; {
		snap, err := s.Wait(ctx, after)
		if err != nil {
			return
		}
		after = snap.Version
		switch m := snap.Modules.Module(id); {
		case m == nil:
		case m.Status == state.ModuleValidated:
			_, _ = s.Submit(ctx, state.Action{Kind: state.ModuleEnable, Target: id}) // its result is on the screen
			return
		case m.Status != state.ModulePending && m.Status != state.ModuleValidating:
			return
		}
	}
}

// depot is the demo's service: it lists the files of the workspace over HTTP to
// who has its key, checks files of this host for what it calls integrity, and
// logs both.
type depot struct {
	dir    string
	key    string
	access *reopening
	log    *reopening
	srv    *http.Server
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// startDemo makes the demo's workspace in dir and starts its service.
func startDemo(dir string) (*depot, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("demo: its service cannot listen: %w", err)
	}
	base := "http://" + ln.Addr().String()
	if err := makeDemo(dir, base); err != nil {
		ln.Close()
		return nil, fmt.Errorf("demo: make its workspace in %s: %w", dir, err)
	}
	key, err := os.ReadFile(filepath.Join(dir, "DEPOT_KEY.txt"))
	if err != nil {
		ln.Close()
		return nil, fmt.Errorf("demo: %w", err)
	}
	d := &depot{dir: dir, key: strings.TrimSpace(string(key)),
		access: &reopening{path: filepath.Join(dir, "logs", "access.log")}, log: &reopening{path: filepath.Join(dir, "logs", "depot.log")}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", d.health)
	mux.HandleFunc("GET /v1/inventory", d.inventory)
	d.srv = &http.Server{Handler: d.logged(mux), ReadHeaderTimeout: 5 * time.Second}
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	d.wg.Go(func() { _ = d.srv.Serve(ln) })
	d.wg.Go(func() { d.scan(ctx) })
	d.write("warn", "the API key was changed; clients that still use the old one are refused", map[string]any{"new_key_in": "DEPOT_KEY.txt"})
	return d, nil
}

// Stop ends the service.
func (d *depot) Stop() {
	d.cancel()
	d.srv.Close()
	d.wg.Wait()
	d.access.Close()
	d.log.Close()
}

// makeDemo writes the workspace, unless one is there.
func makeDemo(dir, base string) error {
	if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o755); err != nil {
		return err
	}
	err := fs.WalkDir(demoFiles, "demo", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := demoFiles.ReadFile(path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, strings.TrimPrefix(path, "demo/"))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(to, ".sh") {
			mode = 0o755
		}
		return os.WriteFile(to, []byte(strings.ReplaceAll(string(b), "@DEPOT@", base)), mode)
	})
	if err != nil {
		return err
	}
	file := fmt.Sprintf("name: demo\nservices:\n  - name: depot\n    url: %s/health\n"+
		"logs:\n  - path: logs/*.log\n    rotate: {mode: rename, keep: 3}\nmetrics: {interval: 2s, evaluate: 3s}\nmodules: {interval: 5s}\n", base)
	if err := os.WriteFile(filepath.Join(dir, config.FileName), []byte(file), 0o644); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "DEPOT_KEY.txt")); err == nil {
		return nil
	}
	master := make([]byte, 32)
	if _, err := rand.Read(master); err != nil {
		return err
	}
	key := base64.URLEncoding.EncodeToString(master)
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte("MODULE_ENCRYPTION_KEY="+key+"\n"), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "DEPOT_KEY.txt"), []byte("depot-"+strings.ToLower(rand.Text()[:12])+"\n"), 0o600); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o755); err != nil {
		return err
	}
	store := secrets.Open(filepath.Join(dir, "data", "module_credentials.db"), func() (string, error) { return key, nil }, &secrets.Mask{})
	if why := store.Unlock(); why != "" {
		return fmt.Errorf("credential store: %s", why)
	}
	old := "depot-" + strings.ToLower(rand.Text()[:12])
	if _, err := store.Set("depot/inventory", secrets.NewValues(map[string]any{"api_key": old}), false); err != nil {
		return err
	}
	return store.Close()
}

func (d *depot) health(w http.ResponseWriter, _ *http.Request) {
	checks := []map[string]any{{"name": "workspace", "status": "healthy", "message": d.dir}}
	status := "healthy"
	if _, err := os.Stat(d.dir); err != nil {
		status = "unhealthy"
		checks[0]["status"], checks[0]["message"] = "unhealthy", err.Error()
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "timestamp": time.Now().UTC(), "checks": checks})
}

func (d *depot) inventory(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Api-Key") != d.key {
		d.write("error", "refused a client: unknown API key", map[string]any{"path": r.URL.Path, "statusCode": 401, "userAgent": r.UserAgent()})
		http.Error(w, "unknown API key: it was changed, the current one is in DEPOT_KEY.txt", http.StatusUnauthorized)
		return
	}
	type item struct {
		Path     string    `json:"path"`
		Bytes    int64     `json:"bytes"`
		Modified time.Time `json:"modified"`
	}
	items := []item{}
	_ = filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil
		}
		if st, err := e.Info(); err == nil {
			rel, _ := filepath.Rel(d.dir, path)
			items = append(items, item{rel, st.Size(), st.ModTime().UTC()})
		}
		return nil
	})
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"items": items})
}

// logged writes an access log as nginx does.
func (d *depot) logged(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(rec, r)
		ip, _, _ := net.SplitHostPort(r.RemoteAddr)
		d.access.Write(fmt.Sprintf("%s - - [%s] \"%s %s %s\" %d %d \"-\" \"%s\"\n", ip, time.Now().Format("02/Jan/2006:15:04:05 -0700"),
			r.Method, r.URL.RequestURI(), r.Proto, rec.status, rec.n, cmp.Or(r.UserAgent(), "-")))
	})
}

type recorder struct {
	http.ResponseWriter
	status, n int
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) { r.status = status; r.ResponseWriter.WriteHeader(status) }

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	n, err := r.ResponseWriter.Write(b)
	r.n += n
	return n, err
}

// write logs as winston does.
func (d *depot) write(level, message string, fields map[string]any) {
	if fields == nil {
		fields = map[string]any{}
	}
	fields["timestamp"], fields["level"], fields["message"], fields["service"] = time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), level, message, "depot"
	if b, err := json.Marshal(fields); err == nil {
		d.log.Write(string(b) + "\n")
	}
}

// Integrity checks: how often, and the largest file.
const (
	scanEvery   = 700 * time.Millisecond
	scanLargest = 4 << 20
)

// scan checks one file of the host's programs after the other.
func (d *depot) scan(ctx context.Context) {
	tick := time.NewTicker(scanEvery)
	defer tick.Stop()
	for {
		entries, err := os.ReadDir("/usr/bin")
		if err != nil {
			d.write("error", "integrity check: "+err.Error(), nil)
		}
		for _, e := range append(entries, nil) {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if e != nil && e.Type().IsRegular() {
				d.check(filepath.Join("/usr/bin", e.Name()))
			}
		}
	}
}

func (d *depot) check(path string) {
	began := time.Now()
	f, err := os.Open(path)
	if err != nil {
		d.write("warn", "integrity check skipped", map[string]any{"file": path, "reason": err.Error()})
		return
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(f, scanLargest))
	if err != nil {
		d.write("error", "integrity check failed", map[string]any{"file": path, "error": err.Error()})
		return
	}
	d.write("info", "integrity check done", map[string]any{"file": path, "bytes": n, "sha256": hex.EncodeToString(h.Sum(nil))[:16],
		"duration_ms": time.Since(began).Milliseconds()})
}

// reopening is a log file that is opened again when it was moved away, as a
// daemon does that watches its own log.
type reopening struct {
	path string

	mu sync.Mutex
	f  *os.File
}

// rotateAt is when the demo's service rotates a log by itself, in bytes.
const rotateAt = 512 << 10

// Write appends text; a log that cannot be written loses it, as logs do.
func (r *reopening) Write(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.f != nil {
		mine, err := r.f.Stat()
		there, serr := os.Stat(r.path)
		if err == nil && mine.Size() > rotateAt && os.Rename(r.path, r.path+".1") == nil {
			serr = fs.ErrNotExist
		}
		if err != nil || serr != nil || !os.SameFile(mine, there) {
			r.f.Close()
			r.f = nil
		}
	}
	if r.f == nil {
		f, err := os.OpenFile(r.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return
		}
		r.f = f
	}
	_, _ = r.f.WriteString(text)
}

// Close closes the file.
func (r *reopening) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.f != nil {
		r.f.Close()
		r.f = nil
	}
}
