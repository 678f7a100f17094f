package fake

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Now is the instant of every snapshot.
var Now = time.Date(2026, 2, 11, 3, 12, 40, 0, time.UTC)

// Names are the snapshots that [Named] knows.
var Names = []string{"connecting", "empty", "healthy", "incident", "stale", "error", "absent", "long", "wide", "many"}

// Named returns the snapshot of that name; it panics for an unknown one.
func Named(name string) *state.Snapshot {
	switch name {
	case "connecting":
		return sections(base(), health(state.Connecting, ""))
	case "empty":
		return sections(base(), health(state.OK, ""))
	case "healthy":
		return healthy()
	case "incident":
		return incident()
	case "stale":
		h := health(state.Stale, "docker: GET /containers/json: dial unix /var/run/docker.sock: connect: connection refused: is the daemon running?")
		h.LastOK = Now.Add(-42 * time.Second)
		return sections(incident(), h)
	case "error":
		h := health(state.Down, "redis: dial tcp 127.0.0.1:6379: connect: connection refused\nstart it, or name another server under queues.redis in opsdeck.yaml")
		h.NextTry, h.Attempt = Now.Add(8*time.Second), 4
		return sections(base(), h)
	case "absent":
		return sections(base(), health(state.Absent, "tried unix:///var/run/docker.sock: no such file; set DOCKER_HOST or docker.host in opsdeck.yaml"))
	case "long":
		return long()
	case "wide":
		return wide()
	case "many":
		return Many(200, 200)
	case "hosts":
		return hosts()
	}
	panic("fake: no snapshot " + name)
}

func health(s state.Status, err string) state.Health {
	h := state.Health{Status: s, Since: Now.Add(-time.Hour), Err: err}
	if s == state.OK {
		h.LastOK = Now.Add(-time.Second)
	}
	return h
}

// sections gives every section but the workspace's the health h.
func sections(s *state.Snapshot, h state.Health) *state.Snapshot {
	var secs []state.Section
	for _, n := range state.SectionNames() {
		if n != state.SectionWorkspace {
			secs = append(secs, state.WithHealth(s.Section(n), h))
		}
	}
	return s.With(s.Version+1, Now, secs...)
}

func base() *state.Snapshot {
	s := &state.Snapshot{}
	s.Workspace = state.Workspace{
		Health: health(state.OK, ""), Title: "nexus-prod", Dir: "/srv/nexus", ConfigFile: "/srv/nexus/opsdeck.yaml", Hostname: "ops-01",
		Listen: "127.0.0.1:8003", Started: Now.Add(-5 * time.Hour), PID: 4242, Version: "0.1.0", CPUPercent: 0.8, RSSBytes: 43 << 20,
		Found: []state.Finding{
			{What: "docker", Where: "unix:///var/run/docker.sock", Found: true, Note: "29.1"},
			{What: "modules", Where: "./modules", Found: true, Note: "8"},
			{What: "logs", Where: "./logs", Found: true, Note: "3 files"},
			{What: "redis", Where: "127.0.0.1:6379", Found: false, Note: "connection refused"},
		},
		Consoles: []state.Console{{Actor: state.Actor{User: "ada", From: "pts/3", Via: "console"}, Since: Now.Add(-time.Hour), Control: true}},
	}
	s.Modules.Dir = "/srv/nexus/modules"
	s.Queues.Server = "127.0.0.1:6379"
	s.Containers.Host = "unix:///var/run/docker.sock"
	s.Containers.CPUs = 8
	return s.With(1, Now, s.Workspace)
}

// wave returns n samples around mid.
func wave(n int, mid, swing, phase float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = math.Max(0, mid+swing*math.Sin(phase+float64(i)/3)+swing/3*math.Cos(phase*3+float64(i)*1.7))
	}
	return out
}

func module(i int, id string) state.Module {
	cat, plat, _ := strings.Cut(id, "/")
	m := state.Module{
		ID: id, Category: cat, Platform: plat, DisplayName: strings.ToUpper(plat[:1]) + plat[1:], Version: "1.2.0",
		Description: "Fetches from " + plat + ".", Status: state.ModuleInstalled, HealthWord: "healthy", Runner: "running", PID: 5000 + i,
		Interval: time.Minute, NextFetch: Now.Add(18 * time.Second), LastFetch: Now.Add(-time.Duration(7+i*5) * time.Second), LastOK: Now.Add(-time.Duration(7+i*5) * time.Second),
		Successes: int64(312 + i*17), Items: 5 + i, Latencies: wave(20, 120+float64(i*30), 40, float64(i)),
		Credentials: state.CredentialsNotNeeded, Dir: "/srv/nexus/modules/" + id,
		Manifest:   "{\n  \"name\": \"" + plat + "\",\n  \"category\": \"" + cat + "\",\n  \"platform\": \"" + plat + "\",\n  \"version\": \"1.2.0\",\n  \"entry_point\": \"adapter.py\"\n}",
		LastResult: "[\n  {\n    \"temperature\": 11.4,\n    \"unit\": \"C\"\n  }\n]",
		History:    []state.Event{{At: Now.Add(-5 * time.Hour), What: "runner started"}, {At: Now.Add(-26 * time.Hour), What: "enabled"}},
	}
	if i%2 == 0 {
		m.Credentials, m.RequiredCredentials, m.CredentialFields = state.CredentialsPresent, []string{"api_key"}, []string{"api_key"}
		m.CredentialsUpdated = Now.Add(-30 * 24 * time.Hour)
	}
	return m
}

// changed has a module's files wait for a yes, with what a validation found of them.
func changed(m *state.Module) {
	was, is := strings.Repeat("9624cc501fb4", 6)[:64], strings.Repeat("fe47bbfc2ed1", 6)[:64]
	m.Digest = is
	m.Files = []state.ProgramFile{{Name: "adapter.py", Size: 824}, {Name: "helper.py", Size: 10}, {Name: "manifest.json", Size: 342}}
	m.Change = &state.ProgramChange{Digest: is, Approved: was, By: "grace", At: Now.Add(-50 * time.Hour), Held: true, Added: []string{"helper.py"}, Modified: []string{"adapter.py"}, Plus: 2, Minus: 1,
		Diff: "--- approved/adapter.py\n+++ disk/adapter.py\n@@ -12,4 +12,4 @@\n     async def fetch_raw(self, config):\n-        return await get(self.url)\n+        return await helper.get(self.url)\n--- /dev/null\n+++ disk/helper.py\n@@ -0,0 +1 @@\n+import httpx\n"}
	m.Reason = "it runs as it was approved: " + m.Change.Why()
	m.Checked = Now.Add(-4 * time.Minute)
	m.Findings = []state.ModuleFinding{{Severity: "error", Check: "dependencies", File: "adapter.py", Line: 3, Text: "it imports httpx, which is neither installed, nor beside it, nor in the standard library", Remedy: "python3 -m pip install httpx"},
		{Severity: "warning", Check: "credentials", Text: "it authenticates, and no credentials are stored for it", Remedy: "opsdeck credentials set " + m.ID}}
	m.Versions = []state.ProgramVersion{{Digest: was, At: Now.Add(-50 * time.Hour), How: "approved", By: "grace", Version: "1.2.0", Files: 2, Bytes: 1166, Approved: true}}
	m.Tests = &state.TestRun{At: Now.Add(-4 * time.Minute), Took: 312 * time.Millisecond, With: "pytest", Passed: 4, Failed: 1, Failures: []state.TestFailure{{Test: "test_transform", File: "test_adapter.py", Line: 12, Text: "AssertionError: assert 3 == 2"}}}
}

func container(i int, title string) state.Container {
	return state.Container{
		ID: fmt.Sprintf("%064x", 0xabc0000+i*7919), Title: title, Image: "registry.example/" + title + ":2.4", State: "running", HealthWord: "healthy",
		Created: Now.Add(-80 * time.Hour), Started: Now.Add(-time.Duration(2+i*9) * time.Hour), Project: "nexus", Service: title,
		Labels: map[string]string{"com.docker.compose.project": "nexus"}, Ports: []string{fmt.Sprintf("0.0.0.0:%d->80/tcp", 8000+i)},
		CPUPercent: 1.4 + float64(i*37%230)/10, CPUSeconds: 812, MemBytes: float64((48 + i*31%400)) * (1 << 20), MemLimit: 512 << 20, MemPercent: float64(48+i*31%400) / 512 * 100, Limits: state.Limits{Known: true, Memory: 512 << 20, Restart: "unless-stopped"},
		NetRx: 81e6, NetTx: 12e6, NetRxRate: float64(i*977%40) * 1024, NetTxRate: float64(i*577%20) * 1024, BlkRead: 4e6, BlkWrite: 9e6, BlkReadRate: 0, BlkWrRate: float64(i*91%9) * 4096,
		PIDs: float64(4 + i%9), Sampled: Now.Add(-time.Second),
		CPUHistory: wave(60, 8+float64(i%5)*4, 5, float64(i)), MemHistory: wave(60, 1e8, 1e7, float64(i)),
	}
}

// detail returns a container's, with every part.
func detail() state.ContainerDetail {
	at := Now.Add(-2 * time.Second)
	f := state.Fetch{At: at}
	series := func(step time.Duration, n int) state.Series {
		return state.Series{Step: step, CPU: wave(n, 20, 9, 1), Mem: wave(n, 2e8, 9e7, 2), NetRx: wave(n, 40000, 30000, 3), NetTx: wave(n, 9000, 8000, 4), BlkRead: make([]float64, n), BlkWrite: wave(n, 5e5, 4e5, 5)}
	}
	return state.ContainerDetail{
		At: at, Inspect: "{\n  \"Id\": \"abc\",\n  \"State\": {\n    \"Status\": \"running\"\n  }\n}",
		Command: "/usr/bin/api --listen :80 --token ***", Dir: "/srv", User: "app", LogDriver: "json-file", StopSignal: "SIGTERM",
		Env:      []state.EnvVar{{Title: "API_TOKEN", Value: "***", Masked: true}, {Title: "DATABASE_URL", Value: "postgres://api:***@db:5432/nexus", Masked: true}, {Title: "LOG_LEVEL", Value: "info"}, {Title: "PATH", Value: "/usr/local/bin:/usr/bin:/bin"}},
		Mounts:   []state.ContainerMount{{Kind: "bind", Source: "/srv/nexus/config", Path: "/etc/nexus"}, {Kind: "volume", Title: "nexus_data", Source: "/var/lib/docker/volumes/nexus_data/_data", Path: "/var/lib/nexus", Write: true, Driver: "local"}},
		Networks: []state.ContainerNetwork{{Title: "nexus_default", IPv4: "172.20.0.5/16", Gateway: "172.20.0.1", MAC: "02:42:ac:14:00:05", Aliases: []string{"api", "nexus-api-1"}}},
		Exposed:  []string{"80/tcp", "9090/tcp"},
		Check:    "curl -fs http://127.0.0.1/health, every 30s, unhealthy after 3 failures",
		Probes: []state.HealthProbe{{At: Now.Add(-12 * time.Second), Took: 41 * time.Millisecond, Output: "{\"status\":\"ok\"}"},
			{At: Now.Add(-42 * time.Second), Took: 5 * time.Second, ExitCode: -1, Output: "Health check exceeded timeout (5s)"}, {At: Now.Add(-72 * time.Second), Took: 12 * time.Millisecond, ExitCode: 22, Output: "curl: (22) The requested URL returned error: 503"}},
		TopTitles: []string{"UID", "PID", "PPID", "C", "CMD"},
		Top:       [][]string{{"root", "1201", "1180", "0", "/usr/bin/api --listen :80"}, {"root", "1240", "1201", "2", "api: worker"}},
		Image: &state.ContainerImage{ID: "sha256:9f2c8c4e0a51", Tags: []string{"registry.example/api:2.3"}, Digests: []string{"registry.example/api@sha256:77aa01c5"}, Created: Now.Add(-9 * 24 * time.Hour), Size: 181 << 20, Platform: "linux/amd64", Newer: true,
			Layers: []state.ImageLayer{{Created: Now.Add(-9 * 24 * time.Hour), By: "CMD [\"/usr/bin/api\"]"}, {Created: Now.Add(-9 * 24 * time.Hour), By: "COPY api /usr/bin/api # buildkit", Size: 41 << 20}, {Created: Now.Add(-40 * 24 * time.Hour), By: "/bin/sh -c #(nop) ADD file:4f in /", Size: 140 << 20}}},
		Changes:   []state.FileChange{{Kind: "changed", Path: "/etc/hosts"}, {Kind: "added", Path: "/tmp/api.pid"}, {Kind: "deleted", Path: "/usr/share/doc/readme"}},
		Events:    []state.ContainerEvent{{At: Now.Add(-2 * time.Hour), What: "health_status: healthy"}, {At: Now.Add(-2*time.Hour - 5*time.Second), What: "start"}, {At: Now.Add(-2*time.Hour - 6*time.Second), What: "die, exit code 137"}, {At: Now.Add(-2*time.Hour - 6*time.Second), What: "oom"}},
		Histories: &state.Histories{Minute: series(time.Second, 60), Hour: series(30*time.Second, 120), Day: series(12*time.Minute, 120), Read: Now},
		Parts: map[string]state.Fetch{state.PartTop: f, state.PartImage: f, state.PartEvents: f, state.PartHistory: f,
			state.PartDiff: {At: Now.Add(-40 * time.Second), Err: "diff: the engine did not answer within 30s"}},
	}
}

// engine returns what a container engine says of itself.
func engine() state.EngineDetail {
	return state.EngineDetail{
		Fetch: state.Fetch{At: Now.Add(-2 * time.Second)}, Version: "29.1", API: "1.52", System: "Debian GNU/Linux 13, kernel 6.12.57, x86_64", Storage: "overlay2", Root: "/var/lib/docker", Cgroup: "v2, by systemd",
		CPUs: 8, Mem: 32 << 30, Containers: 8, Running: 7, Stopped: 1, Images: 21, Warnings: []string{"WARNING: No swap limit support"},
		Disk:      []state.DiskUse{{Kind: "images", Count: 21, Active: 8, Size: 9.4e9, Free: 3.1e9}, {Kind: "containers", Count: 8, Active: 7, Size: 1.2e8, Free: 4e6}, {Kind: "volumes", Count: 5, Active: 3, Size: 2.2e10, Free: 0}, {Kind: "build cache", Count: 140, Size: 6.6e9, Free: 6.6e9}},
		DiskFetch: state.Fetch{At: Now.Add(-20 * time.Second)},
	}
}

func logLines(start time.Time, n int, line func(int) (state.Level, string)) state.Tail {
	t := state.Tail{Records: make([]state.LogRecord, n)}
	for i := range t.Records {
		lv, text := line(i)
		t.Records[i] = state.LogRecord{Seq: uint64(i + 1), Nanos: start.Add(time.Duration(i) * 900 * time.Millisecond).UnixNano(), Level: lv, Text: text}
	}
	return t
}

func healthy() *state.Snapshot {
	s := base()
	var m state.Modules
	m.Dir, m.Python = "/srv/nexus/modules", "/usr/bin/python3 (3.13.5)"
	for i, id := range []string{"finance/stocks", "mail/imap", "news/hackernews", "social/mastodon", "system/host", "weather/noaa", "weather/openweather"} {
		m.List = append(m.List, module(i, id))
	}
	m.List[3].Status, m.List[3].HealthWord, m.List[3].Runner, m.List[3].PID = state.ModuleDisabled, "unknown", "stopped", 0
	m.List[3].Latencies = nil
	idle, request := &m.List[0], &m.List[5]
	idle.Runner, idle.PID, idle.Capabilities = "idle", 0, []string{"batch", "read"}
	request.Request, request.PID = "GET https://api.weather.gov/gridpoints/LWX/96,70/forecast", 0
	request.Manifest = "{\n  \"name\": \"noaa\",\n  \"category\": \"weather\",\n  \"platform\": \"noaa\",\n  \"version\": \"1.2.0\",\n" +
		"  \"http\": {\n    \"url\": \"https://api.weather.gov/gridpoints/LWX/96,70/forecast\",\n    \"transform\": \".properties.periods\"\n  }\n}"
	p := state.Pipeline{Stages: []state.Stage{
		{Title: "ingest", Workers: 2, State: "running", Capacity: 256, InFlight: 1, Rate: 2.4, P50: 4.2, P95: 18, Done: 8123, Depths: wave(30, 1, 1, 1)},
		{Title: "aggregate", Workers: 1, State: "idle", Capacity: 256, Rate: 2.4, P50: 1.1, P95: 3.8, Done: 8122, Depths: wave(30, 0, 0, 1)},
		{Title: "synthesize", Workers: 1, State: "running", Capacity: 256, Depth: 2, InFlight: 1, Rate: 2.3, P50: 31, P95: 122, Done: 8119, Depths: wave(30, 2, 1, 2)},
		{Title: "deliver", Workers: 1, State: "idle", Capacity: 256, Rate: 2.3, P50: 2.7, P95: 9.4, Done: 8119, Depths: wave(30, 0, 0, 1)},
	}}
	sv := state.Services{List: []state.Service{
		{Title: "dashboard", URL: "http://127.0.0.1:8080/health", Word: "healthy", LatencyMS: 5, StatusCode: 200, Since: Now.Add(-5 * time.Hour), Checked: Now.Add(-3 * time.Second), Latencies: wave(20, 5, 2, 1),
			Checks: []state.Check{{Title: "database", Word: "healthy", Message: "12 connections"}}},
		{Title: "llm-gateway", URL: "http://127.0.0.1:9001/health", Word: "healthy", LatencyMS: 41, StatusCode: 200, Since: Now.Add(-2 * time.Hour), Checked: Now.Add(-3 * time.Second), Latencies: wave(20, 40, 9, 2)},
	}}
	c := state.Containers{Host: "unix:///var/run/docker.sock", Engine: "Docker 29.1", CPUs: 8}
	for i, n := range []string{"api", "db", "gateway", "llm", "redis", "web", "worker-1", "worker-2"} {
		c.List = append(c.List, container(i, n))
	}
	c.List[1].HealthWord = ""
	c.Details = map[string]state.ContainerDetail{c.List[0].ID: detail()}
	c.Engines = map[string]state.EngineDetail{"": engine()}
	q := state.Queues{Server: "127.0.0.1:6379", Version: "8.0.2", Scan: "1,204 keys in 12 ms", List: []state.Queue{
		{Key: "task:queue", Kind: "list", Depth: 37, In: 12.4, Out: 13.1, Trend: -0.7, Drain: 53 * time.Second, Oldest: 4 * time.Second, Depths: wave(60, 40, 8, 1), Sampled: Now, Peek: []string{`{"id":"t-1","kind":"fetch"}`, `{"id":"t-2","kind":"deliver"}`}},
		{Key: "task:queue:failed", Kind: "list", Depth: 0, Drain: -1, Oldest: -1, Depths: wave(60, 0, 0, 1), Sampled: Now},
		{Key: "events", Kind: "stream", Depth: 10412, In: 41, Out: 0, Trend: 0, Drain: -1, Oldest: 3 * time.Hour, Depths: wave(60, 10400, 10, 1), Sampled: Now, Groups: []state.StreamGroup{{Title: "billing", Consumers: 2, Pending: 4, Lag: 12}}},
		{Key: "task:in-progress:*", Kind: "keys", Depth: 6, NetOnly: true, Drain: -1, Oldest: -1, Depths: wave(60, 6, 2, 1), Sampled: Now},
	}}
	l := state.Logs{Sources: []state.LogSource{
		{ID: "file:/srv/nexus/logs/combined.log", Kind: "file", Title: "logs/combined.log", Path: "/srv/nexus/logs/combined.log", Size: 1 << 20, Lines: 4120, Errors: 3, Rate: 4.2, LastAt: Now, Rotation: "rename, then signal 1 to process 4100 (nginx); keeps 5, compressed"},
		{ID: "file:/srv/nexus/logs/error.log", Kind: "file", Title: "logs/error.log", Path: "/srv/nexus/logs/error.log", Size: 1 << 12, Lines: 12, Errors: 12, Rate: 0, LastAt: Now.Add(-time.Hour), Rotation: "copy and truncate; keeps 5, compressed"},
		{ID: "container:" + c.List[0].ID, Kind: "container", Title: "api", Lines: 0},
	}, Tails: map[string]state.Tail{}}
	l.Tails[l.Sources[0].ID] = logLines(Now.Add(-63*time.Second), 70, func(i int) (state.Level, string) {
		switch i % 9 {
		case 4:
			return state.LevelWarn, fmt.Sprintf(`{"level":"warn","message":"slow upstream","ms":%d,"service":"llm-gateway"}`, 900+i)
		case 7:
			return state.LevelDebug, "GET /health 200 1ms"
		}
		return state.LevelInfo, fmt.Sprintf("request %d handled in %d ms", 1000+i, 3+i%40)
	})
	l.Tails[l.Sources[1].ID] = logLines(Now.Add(-50*time.Second), 3, func(i int) (state.Level, string) {
		return state.LevelError, "TypeError: cannot read properties of undefined (reading 'id')\n    at handle (/app/server.js:41:7)\n    at next (/app/router.js:12:3)"
	})
	a := state.Alerts{Interval: 15 * time.Second, Evaluated: Now.Add(-4 * time.Second),
		Groups: []state.RuleGroup{{Title: "containers", File: "rules/containers.yml", Interval: 15 * time.Second, Rules: 3, LastEval: Now.Add(-4 * time.Second), Duration: 800 * time.Microsecond}, {Title: "nexus", File: "rules/nexus.yml", Interval: 15 * time.Second, Rules: 2, LastEval: Now.Add(-4 * time.Second), Duration: 600 * time.Microsecond}}}
	for i, n := range []string{"ContainerCPUHigh", "ContainerMemoryHigh", "ContainerRestarting", "ModuleFailed", "QueueBacklog"} {
		g := a.Groups[min(1, i/3)]
		a.List = append(a.List, state.Alert{ID: n, Rule: n, Group: g.Title, File: g.File, State: state.AlertInactive, Severity: []string{"warning", "warning", "critical", "critical", "warning"}[i],
			Query: "nexus_module_status{status=\"failed\"} > 0", For: time.Minute, Annotations: map[string]string{"summary": "Module {{ $labels.name }} has failed"}})
	}
	hs := state.Host{Hostname: "ops-01", OS: "Debian 13", Cores: 8, CPUPercent: 12, Load1: 0.7, Load5: 0.6, Load15: 0.5, MemTotal: 32 << 30, MemUsed: 11 << 30,
		SwapTotal: 4 << 30, SwapUsed: 64 << 20, Uptime: 41 * 86400, Tasks: 812, Files: 9120, FilesMax: 1 << 20, ClockSet: true, ClockErr: 0.012, Looked: Now.Add(-time.Second),
		Disks: []state.Disk{{Mount: "/", Device: "/dev/sda1", FSType: "ext4", Total: 80 << 30, Avail: 31 << 30, Inodes: 5 << 20, InodesFree: 4 << 20, Full: -1},
			{Mount: "/var/lib/docker", Device: "/dev/sdb1", FSType: "xfs", Total: 200 << 30, Avail: 9 << 30, Inodes: 100 << 20, InodesFree: 90 << 20, Full: 5*time.Hour + 20*time.Minute}},
		Nets: []state.NetInterface{{Name: "eth0", RxRate: 182_000, TxRate: 1_204_000}},
		Processes: []state.Process{
			{PID: 1, Name: "systemd", User: "root", Command: "/sbin/init", State: "S", CPUPercent: 0, CPUSeconds: 81, RSS: 12 << 20, Threads: 1, Started: Now.Add(-41 * 24 * time.Hour)},
			{PID: 812, Parent: 1, Name: "postgres", User: "postgres", Command: "/usr/lib/postgresql/17/bin/postgres -D /var/lib/postgresql/17/main", State: "S", CPUPercent: 3.1, CPUSeconds: 40210, RSS: 410 << 20, Threads: 1, Started: Now.Add(-12 * 24 * time.Hour), Ports: []string{"tcp 127.0.0.1:5432"}},
			{PID: 4711, Parent: 1, Name: "node", User: "node", Command: "node server.js --token *** 日本語", State: "R", CPUPercent: 61, CPUSeconds: 9120, RSS: 310 << 20, Threads: 11, Started: Now.Add(-6 * time.Hour), Ports: []string{"tcp [::]:8080"}},
			{PID: 5120, Parent: 4711, Name: "sh", User: "node", State: "Z", CPUPercent: 0, RSS: 0, Threads: 1, Started: Now.Add(-3 * time.Minute)},
			{Name: "?", State: "?", CPUPercent: -1, CPUSeconds: -1, RSS: -1, Ports: []string{"udp 0.0.0.0:51820"}, Command: "owner not visible to this user: run opsdeck as root to see all"},
		}}
	unknown := state.RouteFigures{Requests: -1, Errors: -1, LatencyMS: -1, Fallbacks: -1}
	r := state.Routing{File: "config/routing_config.json", Loaded: Now.Add(-time.Hour), Categories: 3, Tiers: 2, Tag: "5d41402abc4b2a76", JSON: "{\n  \"tiers\": 3\n}",
		Threshold: 0.7, ThresholdFrom: "lidm_delegation_threshold", MaxLatencyMS: 5000, MaxCost: 0.05, Delegations: 4210,
		Rows: []state.Route{
			{ID: "category/coding", Name: "coding", Tier: "heavy", Priority: "high", MaxLatencyMS: -1, Figures: unknown,
				Goes: []state.RouteDestination{{When: "below 0.7", Where: "standard, answered directly"}, {When: "from 0.7", Where: "heavy, as the category says"}}},
			{ID: "category/finance", Name: "finance", Tier: "standard", Provider: "local", Model: "small-3", Priority: "medium", MaxLatencyMS: 900, Figures: unknown},
			{ID: "category/verification", Name: "verification", Tier: "ultra", Priority: "high", MaxLatencyMS: -1, Figures: unknown},
			{ID: "tier/heavy", Name: "heavy", Endpoint: "llm_service:50051", Priority: "1", MaxConcurrent: 10, Enabled: true, MaxLatencyMS: -1, Figures: state.RouteFigures{Requests: 1204, Errors: 3, LatencyMS: 2140, Fallbacks: 7}},
			{ID: "tier/standard", Name: "standard", Endpoint: "llm_service_standard:50051", Priority: "2", MaxConcurrent: 10, Enabled: true, MaxLatencyMS: -1, Figures: state.RouteFigures{Requests: 8120, Errors: 0, LatencyMS: 310, Fallbacks: 0}},
			{ID: "tier/ultra", Name: "ultra", Unlisted: true, MaxLatencyMS: -1, Figures: unknown},
		},
		Warnings:  []string{"tier ultra is not among the tiers; it is that of verification"},
		Providers: []state.RouteFigures{{Title: "local", Requests: 9324, Errors: 3, LatencyMS: 540, Fallbacks: -1}},
		History: []state.RoutingVersion{{Version: 12, At: Now.Add(-time.Hour), By: state.Actor{User: "ada"}, How: "applied", Why: "finance answers were too slow", Tag: "5d41402abc4b2a76", Added: 1, Removed: 1,
			Diff: "@@ -12,3 +12,3 @@\n   \"finance\": {\n-    \"tier\": \"heavy\",\n+    \"tier\": \"standard\",\n     \"priority\": \"medium\"\n"}, {Version: 11, At: Now.Add(-48 * time.Hour), By: state.Actor{User: "unknown"}, How: "file", Tag: "7d793037a0760186", Added: 4}},
	}
	acts := state.Actions{List: []state.Progress{
		{ID: "a-2", Action: state.Action{Kind: state.ContainerRestart, Target: "web", Actor: state.Actor{User: "ada", From: "pts/3", Via: "console"}}, Status: "done", Percent: -1, Result: "restarted in 1.2 s", Queued: Now.Add(-9 * time.Minute), Started: Now.Add(-9 * time.Minute), Ended: Now.Add(-9*time.Minute + 1200*time.Millisecond),
			Verdict: &state.Verdict{Word: "better", Before: []state.Figure{{Title: "health", Value: 3, Text: "unhealthy", Weight: 100}}, After: []state.Figure{{Title: "health", Value: 0, Text: "healthy", Weight: 100}}}},
		{ID: "a-1", Action: state.Action{Kind: state.ModuleDisable, Target: "social/mastodon", Actor: state.Actor{User: "ada", Via: "cli"}}, Status: "done", Percent: -1, Result: "disabled", Queued: Now.Add(-40 * time.Minute), Started: Now.Add(-40 * time.Minute), Ended: Now.Add(-40 * time.Minute), Undo: &state.Action{Kind: state.ModuleEnable, Target: "social/mastodon"}},
	}}
	j := state.Journal{Entries: []state.Entry{
		{Seq: 6, At: Now.Add(-9 * time.Minute), Phase: state.PhaseEnd, Action: "a-2", Kind: state.ContainerRestart, Target: "web", Actor: state.Actor{User: "ada", Via: "console"}, Outcome: "ok", Detail: "restarted in 1.2 s", Hash: "9f2c"},
		{Seq: 2, At: Now.Add(-26 * time.Hour), Phase: state.PhaseEnd, Action: "a-0", Kind: state.CredentialRotate, Target: "weather/openweather", Actor: state.Actor{User: "grace", Via: "api"}, Outcome: "failed", Detail: "probe failed: 401; the old credentials are back", Hash: "11ab"},
	}}
	s = s.With(3, Now, m, p, sv, c, q, l, a, hs, r, acts, j)
	return sections(s, health(state.OK, ""))
}

func incident() *state.Snapshot {
	s := healthy()
	m := s.Modules
	m.List = append([]state.Module(nil), m.List...)
	f := &m.List[6]
	f.Status, f.HealthWord, f.Runner, f.Failures = state.ModuleFailed, "unhealthy", "backoff", 14
	f.Reason, f.LastError, f.LastErrorAt = "three fetches in a row failed", "fetch_raw: KeyError: 'main'", Now.Add(-25*time.Second)
	f.Traceback = "Traceback (most recent call last):\n  File \"/srv/nexus/modules/weather/openweather/adapter.py\", line 41, in fetch_raw\n    return raw[\"main\"]\nKeyError: 'main'"
	f.Latencies = append(wave(14, 140, 30, 1), -1, -1, -1)
	f.Breaker, f.BreakerUntil, f.NextFetch = "open", Now.Add(35*time.Second), Now.Add(35*time.Second)
	f.History = append([]state.Event{{At: Now.Add(-25 * time.Second), What: "its circuit is open until 03:13:15, after 5 failures in a row"}}, f.History...)
	old := &m.List[1]
	old.HealthWord, old.LastError, old.Failures = "degraded", "timeout after 10s", 3
	old.LastOK, old.Stale, old.StaleUntil = Now.Add(-10*time.Minute), true, Now.Add(20*time.Minute)
	m.List[2].Credentials = state.CredentialsMissing
	changed(&m.List[2])
	c := s.Containers
	c.List = append([]state.Container(nil), c.List...)
	c.List[5].HealthWord, c.List[5].Restarts, c.List[5].CPUPercent = "unhealthy", 4, 187.2
	c.List[7].State, c.List[7].HealthWord, c.List[7].ExitCode, c.List[7].Finished = "exited", "", 137, Now.Add(-3*time.Minute)
	c.List[7].OOMKilled = true
	q := s.Queues
	q.List = append([]state.Queue(nil), q.List...)
	q.List[0].Depth, q.List[0].In, q.List[0].Out, q.List[0].Trend, q.List[0].Drain, q.List[0].Oldest = 1893, 14.2, 3.1, 11.1, -1, 6*time.Minute
	q.List[0].Depths = []float64{40, 80, 160, 220, 300, 420, 560, 700, 860, 1010, 1190, 1370, 1560, 1730, 1893}
	q.List[1].Depth, q.List[1].Trend = 41, 0.3
	a := s.Alerts
	a.List = append([]state.Alert(nil), a.List...)
	a.List[3].State, a.List[3].Since, a.List[3].Fired, a.List[3].Value = state.AlertFiring, Now.Add(-4*time.Minute), Now.Add(-3*time.Minute), 1
	a.List[3].Labels = map[string]string{"alertname": "ModuleFailed", "module": "weather/openweather", "severity": "critical"}
	a.List[3].Annotations = map[string]string{"summary": "Module weather/openweather has failed", "runbook_url": "https://wiki.example/runbooks/module-failed"}
	a.List[4].State, a.List[4].Since, a.List[4].Value = state.AlertPending, Now.Add(-50*time.Second), 1893
	a.List[4].Labels = map[string]string{"queue": "task:queue"}
	a.List[4].Annotations = map[string]string{"summary": "task:queue holds 1893 items"}
	a.List[0].State, a.List[0].Since, a.List[0].Fired, a.List[0].Value = state.AlertFiring, Now.Add(-9*time.Minute), Now.Add(-8*time.Minute), 187.2
	a.List[0].Labels, a.List[0].AckedBy, a.List[0].AckedAt = map[string]string{"container": "web"}, "ada", Now.Add(-2*time.Minute)
	a.List[0].Annotations = map[string]string{"summary": "web uses 187% of a core"}
	a.Problems = []string{"rules/broken.yml:14: group \"x\", rule 2: could not parse expression: unexpected \")\""}
	p := s.Pipeline
	p.Stages = append([]state.Stage(nil), p.Stages...)
	p.Stages[0].State, p.Stages[0].Errors, p.Stages[0].LastError, p.Stages[0].LastErrorAt = "error", 14, "weather/openweather: KeyError: 'main'", Now.Add(-25*time.Second)
	p.Stages[3].State, p.Stages[3].Paused, p.Stages[3].Depth, p.Held = "paused", "ada, 03:02:11", 256, 3
	p.Jobs = []state.Job{
		{ID: "mwuf-2k", Module: "weather/openweather", Status: "failed", At: Now.Add(-25 * time.Second), Stage: "fetch", Cause: "KeyError: 'main'", Times: 14},
		{ID: "mwuf-2j", Module: "news/hackernews", Status: "failed", At: Now.Add(-4 * time.Minute), Items: 30, Stage: "ingest", Cause: "ingest takes nothing now: 256 jobs wait there already; what was fetched is kept", Times: 1,
			Steps: []state.JobStep{{Stage: "ingest", Queued: Now.Add(-4 * time.Minute), Started: Now.Add(-4*time.Minute + 3*time.Millisecond), Ended: Now.Add(-4*time.Minute + 9*time.Millisecond), Err: "it is paused"}}},
		{ID: "mwuf-2l", Module: "finance/stocks", Status: "done", At: Now.Add(-2 * time.Second), Items: 12, Stage: "delivered"},
	}
	r := s.Routing
	r.Trial = &state.RoutingTrial{By: state.Actor{User: "ada"}, Why: "spare the heavy tier", At: Now.Add(-30 * time.Second), Until: Now.Add(90 * time.Second)}
	r.Staged = &state.StagedRouting{By: state.Actor{User: "bob"}, At: Now.Add(-10 * time.Second), What: "category finance", Base: r.Tag, Added: 1, Removed: 1,
		Diff:       "--- in force\n+++ changed\n@@ -3,3 +3,3 @@\n   \"finance\": {\n-    \"tier\": \"standard\"\n+    \"tier\": \"heavy\"\n   }\n",
		ReplayDiff: []string{"412 of 4210 delegations go elsewhere: finance from standard to heavy", "expected latency 0.55 s -> 0.73 s"}}
	r.Staged.Tag, r.Staged.JSON, r.Staged.Threshold, r.Staged.MaxLatencyMS, r.Staged.MaxCost, r.Staged.Rows = "5e1f", r.JSON, r.Threshold, r.MaxLatencyMS, r.MaxCost, r.Rows
	r.Tests = []state.RouteTest{
		{By: state.Actor{User: "bob"}, At: Now.Add(-20 * time.Second), Category: "finance", Complexity: 0.8, Tag: "5e1f", Staged: true, Tier: "heavy", Strategy: "delegate", Endpoint: "llm_service:50051",
			Steps: []string{"complexity 0.8 reaches the threshold 0.7 (lidm_delegation_threshold): it is delegated", "category finance names the tier heavy",
				"performance_constraints.max_latency_ms is 5000 ms; p95 of heavy is 4120 ms over 1204: within it"}},
		{By: state.Actor{User: "ada"}, At: Now.Add(-8 * time.Minute), Category: "verification", Complexity: 0.9, Tag: "0001", Tier: "heavy", Strategy: "fallback", Endpoint: "llm_service:50051",
			Steps: []string{"complexity 0.9 reaches the threshold 0.7 (lidm_delegation_threshold): it is delegated", "category verification names the tier ultra", "tier ultra is not among the tiers: heavy is the enabled one that is tried first"}},
	}
	r.Replay = &state.RouteReplay{By: state.Actor{User: "ada"}, At: Now.Add(-3 * time.Minute), What: "the configuration in force with the threshold 0.8, over the last 24h",
		Lines: []string{"412 of the last 4210 delegations go elsewhere", "expected latency 833 ms -> 654 ms, p95 3390 ms -> 2980 ms, over the 4210 whose tiers are measured",
			"expected cost unknown: none of them has tiers whose cost is known before and after",
			"tier heavy: 1204 (29 %) -> 792 (19 %), takes 2140 ms, p95 4120 ms, measured over 1204, 3 failed",
			"tier standard: 3006 (71 %) -> 3418 (81 %), takes 310 ms, p95 720 ms, measured over 3006", "coding: 412 from heavy to standard"}}
	sv := s.Services
	sv.List = append([]state.Service(nil), sv.List...)
	sv.List[1].Word, sv.List[1].Err, sv.List[1].LatencyMS, sv.List[1].StatusCode = "down", "GET http://127.0.0.1:9001/health: connect: connection refused", -1, 0
	sv.List[1].Latencies = append(wave(12, 40, 9, 2), -1, -1, -1, -1)
	acts := s.Actions
	acts.List = append([]state.Progress{{ID: "a-3", Action: state.Action{Kind: state.ModuleRestart, Target: "weather/openweather", Actor: state.Actor{User: "ada", Via: "console"}}, Status: "running", Step: "waiting for the first good fetch", Percent: 40, Queued: Now.Add(-6 * time.Second), Started: Now.Add(-6 * time.Second)}}, acts.List...)
	return sections(s.With(9, Now, m, c, q, a, p, sv, acts, r), health(state.OK, ""))
}

// Hostile is text that tries to break the screen, as it arrives.
const Hostile = "\x1b[2J\x1b]0;owned\x07\x1b[31mred\u202eevil\u200b\x00\x9b"

func relabel(s *state.Snapshot, f func(string) string) *state.Snapshot {
	m := s.Modules
	m.List = append([]state.Module(nil), m.List...)
	for i := range m.List {
		r := &m.List[i]
		r.ID, r.LastError, r.Reason, r.Traceback, r.LastResult = f(r.ID), f(r.LastError), f(r.Reason), f(r.Traceback), f(r.LastResult)
	}
	c := s.Containers
	c.List = append([]state.Container(nil), c.List...)
	for i := range c.List {
		r := &c.List[i]
		r.Title, r.Image, r.Project = f(r.Title), f(r.Image), f(r.Project)
	}
	q := s.Queues
	q.List = append([]state.Queue(nil), q.List...)
	for i := range q.List {
		q.List[i].Key, q.List[i].Peek = f(q.List[i].Key), []string{f("item")}
	}
	a := s.Alerts
	a.List = append([]state.Alert(nil), a.List...)
	for i := range a.List {
		r := &a.List[i]
		r.Rule, r.Query, r.Annotations, r.Labels = f(r.Rule), f(r.Query), map[string]string{"summary": f("summary")}, map[string]string{f("k"): f("v")}
	}
	p, sv := s.Pipeline, s.Services
	p.Stages = append([]state.Stage(nil), p.Stages...)
	for i := range p.Stages {
		p.Stages[i].Title, p.Stages[i].LastError = f(p.Stages[i].Title), f(p.Stages[i].LastError)
	}
	rt := s.Routing
	rt.Rows = append([]state.Route(nil), rt.Rows...)
	for i := range rt.Rows {
		r := &rt.Rows[i]
		r.ID, r.Name, r.Tier, r.Endpoint = f(r.ID), f(r.Name), f(r.Tier), f(r.Endpoint)
	}
	p.Jobs = append([]state.Job(nil), p.Jobs...)
	for i := range p.Jobs {
		p.Jobs[i].Module, p.Jobs[i].Cause = f(p.Jobs[i].Module), f(p.Jobs[i].Cause)
	}
	sv.List = append([]state.Service(nil), sv.List...)
	for i := range sv.List {
		sv.List[i].Title, sv.List[i].Err = f(sv.List[i].Title), f("err")
	}
	l := s.Logs
	l.Sources = append([]state.LogSource(nil), l.Sources...)
	l.Tails = map[string]state.Tail{}
	for i := range l.Sources {
		t := s.Logs.Tails[l.Sources[i].ID]
		t.Records = append([]state.LogRecord(nil), t.Records...)
		for n := range t.Records {
			t.Records[n].Text = f(t.Records[n].Text)
		}
		l.Sources[i].Title = f(l.Sources[i].Title)
		l.Tails[l.Sources[i].ID] = t
	}
	acts, w := s.Actions, s.Workspace
	acts.List = append([]state.Progress(nil), acts.List...)
	for i := range acts.List {
		acts.List[i].Action.Target, acts.List[i].Result, acts.List[i].Step = f(acts.List[i].Action.Target), f(acts.List[i].Result), f(acts.List[i].Step)
	}
	w.Title, w.Hostname = f(w.Title), f(w.Hostname)
	return s.With(s.Version+1, Now, m, c, q, a, p, rt, sv, l, acts, w)
}

func long() *state.Snapshot {
	return relabel(incident(), func(s string) string { return s + strings.Repeat("-and-on-and-on", 40) })
}

func wide() *state.Snapshot {
	bits := []string{"日本語のログ", "👩‍👩‍👧‍👦 family", "e\u0301\u0302\u0303 combining", "שלום עולם", "🇩🇪 flag ❤️", "ไทย नमस्ते", "tab\there", state.Clean(Hostile), "\u0301lone mark", "zalgo " + strings.Repeat("\u0335", 60) + "x"}
	i := 0
	return relabel(incident(), func(s string) string {
		i++
		return bits[i%len(bits)] + " " + s
	})
}

// hosts returns three container engines, of which one does not answer any more and one
// never did.
func hosts() *state.Snapshot {
	s := incident()
	c := s.Containers
	c.Host = "3 hosts"
	away := state.Health{Status: state.Stale, Since: Now.Add(-70 * time.Second), LastOK: Now.Add(-70 * time.Second), Attempt: 9, NextTry: Now.Add(4 * time.Second),
		Err: "docker: ssh://ops@edge-1 (configured): ssh: Timeout, server edge-1 not responding."}
	never := state.Health{Status: state.Down, Since: Now.Add(-time.Hour), Attempt: 90, NextTry: Now.Add(2 * time.Second),
		Err: "docker: tcp://10.0.0.5:2376 (configured): connection refused: the engine is not running: start it (systemctl start docker)"}
	c.Hosts = []state.ContainerHost{
		{Title: "here", Address: "unix:///var/run/docker.sock", Engine: "Docker Engine 29.1 (API 1.52)", Health: health(state.OK, "")},
		{Title: "edge-1", Address: "ssh://ops@edge-1", Engine: "Docker Engine 28.0 (API 1.48)", Health: away},
		{Title: "db", Address: "tcp://10.0.0.5:2376", Health: never}}
	list := append([]state.Container(nil), c.List...)
	for i := range list {
		list[i].Host = "here"
	}
	for i, n := range []string{"web", "cache"} {
		x := container(20+i, n)
		x.Host, x.Project, x.Twin = "edge-1", "edge", n == "web"
		x.Sampled = away.LastOK
		list = append(list, x)
	}
	list[5].Twin = true
	c.List = list
	c.Engines = map[string]state.EngineDetail{"here": engine()}
	return s.With(s.Version+1, Now, c)
}

// Many returns a snapshot with that many modules and containers.
func Many(modules, containers int) *state.Snapshot {
	s := healthy()
	m, c := s.Modules, s.Containers
	m.List, c.List = nil, nil
	for i := range modules {
		m.List = append(m.List, module(i, fmt.Sprintf("category%02d/platform-%03d", i%12, i)))
	}
	for i := range containers {
		x := container(i, fmt.Sprintf("service-%03d", i))
		if i%40 == 7 {
			x.HealthWord = "unhealthy"
		}
		c.List = append(c.List, x)
	}
	return sections(s.With(7, Now, m, c), health(state.OK, ""))
}
