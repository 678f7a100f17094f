package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/opsdeck/opsdeck/backend"
	"github.com/opsdeck/opsdeck/backend/admin"
	"github.com/opsdeck/opsdeck/backend/alerting"
	"github.com/opsdeck/opsdeck/backend/config"
	"github.com/opsdeck/opsdeck/backend/engine"
	"github.com/opsdeck/opsdeck/backend/engine/pipeline"
	"github.com/opsdeck/opsdeck/backend/journal"
	"github.com/opsdeck/opsdeck/backend/metrics"
	"github.com/opsdeck/opsdeck/backend/remote"
	"github.com/opsdeck/opsdeck/backend/routing"
	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/source/docker"
	"github.com/opsdeck/opsdeck/backend/source/health"
	"github.com/opsdeck/opsdeck/backend/source/host"
	"github.com/opsdeck/opsdeck/backend/source/logs"
	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/source/queue"
	"github.com/opsdeck/opsdeck/backend/state"
)

// wiring is every dependency of a running engine, on one page.
type wiring struct {
	hub    *backend.Hub
	engine *engine.Engine // nil where an orchestrator elsewhere takes its place
	docker *docker.Hosts
	logs   *logs.Source
	alerts *alerting.Source
	store  *metrics.Store
	relay  *metrics.Relay
	api    *admin.Server // nil without an engine
	auth   *admin.Authenticator
	tokens *admin.Tokens
	mask   *secrets.Mask
	token  string
	log    *slog.Logger

	mu sync.Mutex
	ws *config.Workspace // in force
}

// wire puts everything together; nothing runs yet.
func wire(ws *config.Workspace, j *journal.Journal, log *slog.Logger) (*wiring, error) {
	w := &wiring{ws: ws, log: log, mask: &secrets.Mask{}, token: ws.Getenv("OPSDECK_TOKEN")}
	if w.token != "" {
		w.mask.Add(w.token)
	}
	if key, err := ws.Key(); err == nil {
		w.mask.Add(secrets.SplitKeys(key)...)
	}
	orchestrator, err := w.newOrchestrator(ws)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	w.relay = newRelay(ws, w.mask.Mask, log)
	all := prometheus.Gatherers{registry, w.relay}
	w.store = metrics.NewStore(all, log)
	if w.docker, err = newDocker(ws, w.mask.Mask, w.store); err != nil {
		return nil, err
	}

	w.hub = backend.New(backend.Options{
		Journal: j, Log: log, Mask: w.mask.Mask, Settle: time.Duration(ws.Settle), Workspace: describe(ws),
	},
		orchestrator,
		w.docker,
		w.newLogs(ws),
		w.newQueue(ws),
		host.New(w.mask.Mask),
		w.newHealth(ws),
		w.newAlerting(ws),
	)
	w.hub.AddExecutor(reloader{w})
	w.hub.AddExecutor(editor{w})

	w.tokens = admin.NewTokens(filepath.Join(ws.Data, admin.TokensFile), log)
	w.hub.AddExecutor(w.tokens)
	w.auth = admin.NewAuthenticator(admin.AuthConfig{Tokens: w.tokens, Token: w.token, Hosts: ws.Hosts, Latest: w.hub.Latest, Mask: w.mask, Log: log})

	registry.MustRegister(metrics.NewCollector(w.hub.Latest))
	if w.engine == nil {
		return w, nil
	}
	registry.MustRegister(w.engine.Collector())
	w.api = admin.New(admin.Config{Hub: w.hub, Engine: w.engine, Authenticator: w.auth, Metrics: all, Mask: w.mask.Mask, Log: log})
	return w, nil
}

// describe returns the workspace section as it begins.
func describe(ws *config.Workspace) state.Workspace {
	hostname, _ := os.Hostname()
	return state.Workspace{
		Title: state.Clean(ws.Name), Dir: ws.Dir, ConfigFile: ws.ConfigFile, Hostname: hostname, Started: time.Now(), PID: os.Getpid(),
		Version: version(), Found: ws.Found, Problems: ws.Problems,
	}
}

// newOrchestrator returns the engine, or the orchestrator that takes its place.
func (w *wiring) newOrchestrator(ws *config.Workspace) (_ state.Source, err error) {
	if ws.Engine.URL != "" {
		return w.newRemote(ws)
	}
	w.engine, err = engine.New(engine.Config{
		Workspace: ws.Dir, ModulesDir: ws.Modules.Dir, DataDir: ws.Data, SharedDir: ws.Modules.Shared, RoutingFile: ws.Routing,
		Python: ws.Modules.Python, Interval: time.Duration(ws.Modules.Interval), Timeout: time.Duration(ws.Modules.Timeout),
		NoApproval: ws.Modules.Approval == "off", RequireTests: ws.Modules.RequireTests,
		Resident: ws.Modules.Resident, Query: w.query, Stages: stages(ws.Pipeline),
		Key: ws.Key, KeyFile: ws.KeyFile, KeyFrom: keyFrom(ws), Mask: w.mask, Log: w.log,
	})
	return w.engine, err
}

// stages returns the pipeline's settings in the terms of the engine.
func stages(in map[string]config.Stage) map[string]pipeline.StageConfig {
	out := map[string]pipeline.StageConfig{}
	for title, s := range in {
		out[title] = pipeline.StageConfig(s)
	}
	return out
}

// newRelay relays the metrics of the services that the workspace names, and of an
// orchestrator in the engine's place: all but the status of its modules, which is
// made from what it says of them.
func newRelay(ws *config.Workspace, mask func(string) string, log *slog.Logger) *metrics.Relay {
	var targets []metrics.Target
	for _, s := range ws.Metrics.Scrape {
		targets = append(targets, metrics.Target{Name: s.Name, URL: s.URL, Match: s.Match})
	}
	if ws.Engine.URL != "" {
		targets = append(targets, metrics.Target{Name: "orchestrator", URL: strings.TrimSuffix(ws.Engine.URL, "/") + "/metrics", Token: ws.Engine.Token,
			Match: append(slices.Clone(metrics.Relayed), "nexus_module_builds", "nexus_module_validations", "nexus_module_installs", "nexus_credential_operations", "nexus_pipeline_")})
	}
	return metrics.NewRelay(targets, time.Duration(ws.Metrics.ScrapeInterval), mask, log)
}

// query asks the embedded time series.
func (w *wiring) query(ctx context.Context, promql string) ([]routing.Sample, error) {
	v, err := w.store.Query(ctx, promql, time.Now())
	if err != nil {
		return nil, err
	}
	out := make([]routing.Sample, 0, len(v))
	for _, s := range v {
		out = append(out, routing.Sample{Labels: s.Metric.Map(), Value: s.F})
	}
	return out, nil
}

// keyFrom says where the workspace's master key comes from.
func keyFrom(ws *config.Workspace) func() string {
	return func() string {
		k, err := ws.MasterKey()
		if err != nil {
			return ""
		}
		return k.From
	}
}

// newRemote returns the orchestrator that stands where the engine would.
func (w *wiring) newRemote(ws *config.Workspace) (state.Source, error) {
	if ws.Engine.Token != "" {
		w.mask.Add(ws.Engine.Token)
	}
	return remote.NewOrchestrator(ws.Engine.URL, remote.Access{Token: ws.Engine.Token, CA: ws.Engine.CA}, w.mask.Mask)
}

// newDocker returns the container engines: the one that docker.host names, or those of
// docker.hosts. store has their past, nil for none.
func newDocker(ws *config.Workspace, mask func(string) string, store *metrics.Store) (*docker.Hosts, error) {
	level := func(line string) state.Level { return scan.Parse(line).Level }
	var cfgs []docker.Config
	add := func(c docker.Config) {
		c.Mask, c.Level = mask, level
		if store != nil {
			c.Stored = store.Container
		}
		cfgs = append(cfgs, c)
	}
	for _, h := range ws.Docker.Hosts {
		c := docker.Config{Title: h.Name, Host: h.Host, Context: h.Context, CA: h.CA, Cert: h.Cert, Key: h.Key}
		if h.Context != "*" {
			add(c)
			continue
		}
		for _, c.Context = range docker.Contexts() {
			add(c)
		}
	}
	if len(cfgs) == 0 {
		add(docker.Config{Host: ws.Docker.Host})
	}
	return docker.NewHosts(cfgs)
}

func (w *wiring) newLogs(ws *config.Workspace) *logs.Source {
	cfg := logs.Config{Root: ws.Dir, Containers: w.docker, Mask: w.mask.Mask, Rotate: w.rotateLog, Watching: watching(ws),
		Journals: []string{"/var/log/journal", "/run/log/journal"}}
	if w.engine != nil {
		cfg.Tap = w.engine.Routing().TapLog
	}
	for _, l := range ws.Logs {
		if l.Remote() {
			cfg.Remote = append(cfg.Remote, l.Path)
			continue
		}
		cfg.Files = append(cfg.Files, l.Path)
		cfg.Rotations = append(cfg.Rotations, logs.RotationRule{Files: []string{l.Path}, Rotation: rotation(l.Rotate)})
	}
	w.logs = logs.New(cfg)
	return w.logs
}

// rotateLog asks for a rotation that is due. What is refused is due again.
func (w *wiring) rotateLog(ctx context.Context, path, why string) {
	_, err := w.hub.Submit(ctx, state.Action{Kind: state.LogRotate, Target: path, Actor: logs.Scheduled(why), Confirmed: "yes"})
	if err != nil && ctx.Err() == nil {
		w.log.Warn("a log file that is due was not rotated", "file", path, "err", err)
	}
}

// rotation returns the workspace file's rotation in the terms of its source.
func rotation(r config.Rotation) logs.Rotation {
	return logs.Rotation{Keep: r.Keep, Plain: r.Compress != nil && !*r.Compress, Mode: r.Mode, Signal: r.Signal, PidFile: r.PidFile, Reopen: r.Reopen,
		MaxBytes: r.Bytes(), MaxAge: time.Duration(r.MaxAge)}
}

func (w *wiring) newQueue(ws *config.Workspace) *queue.Source {
	cfg := queue.Config{URL: ws.Redis.URL, Keys: ws.Redis.Keys, Mask: w.mask.Mask}
	if ws.Origin["redis.url"] == "default" {
		cfg.URL = "" // one that nobody asked for may be missing
	}
	return queue.New(cfg)
}

func (w *wiring) newHealth(ws *config.Workspace) *health.Source {
	cfg := health.Config{Mask: w.mask.Mask}
	for _, s := range ws.Service {
		cfg.Services = append(cfg.Services, health.Service{Title: s.Name, URL: s.URL})
	}
	return health.New(cfg)
}

func (w *wiring) newAlerting(ws *config.Workspace) *alerting.Source {
	w.alerts = alerting.New(alerting.Config{
		Store: w.store, Files: ws.Rules, Root: ws.Dir, Interval: time.Duration(ws.Metrics.Evaluate),
		Watches: watchAlerts(ws), Evidence: w.evidence,
		MarksFile: filepath.Join(ws.Data, "alerts.json"), Mask: w.mask.Mask, Log: w.log,
	})
	return w.alerts
}
