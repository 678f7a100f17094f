package views

import (
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// edges returns a snapshot whose rows stand at the borders of what panes tell apart: known
// and unknown, none and one, at a limit and below it.
func edges(now time.Time) *state.Snapshot {
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	ok := state.Health{Status: state.OK, LastOK: now}
	ann := state.Actor{User: "ann", Via: "console", From: "pts/1"}
	fetched := map[string]state.Fetch{}
	for _, p := range state.ContainerParts {
		fetched[p] = state.Fetch{At: ago(time.Second)}
	}
	series := state.Series{Step: time.Second, CPU: []float64{1, 3, -1, 5}, Mem: []float64{1 << 20, 2 << 20}, NetRx: []float64{0, 0}, NetTx: []float64{512}, BlkRead: []float64{-1}}
	hour := series
	hour.Step = time.Minute
	s := &state.Snapshot{Version: 1, At: now, Versions: map[state.SectionName]uint64{},
		Workspace: state.Workspace{Health: ok, Problems: []string{"opsdeck.yaml:3: expected a list"}, ListenErr: "the port is taken"},
		Modules: state.Modules{Health: ok, PythonErr: "python3 was not found", Locked: "no key opens it", Keys: []state.KeyUse{{Rows: 1}, {Rows: 2}}, List: []state.Module{
			{ID: "a/bad", Status: state.ModuleFailed, HealthWord: "unhealthy", LastError: "no route", LastErrorAt: ago(time.Minute), Traceback: "at line 3", Latencies: []float64{5, -1}, Failures: 2, Reason: "it fails", Runner: "backoff", Breaker: "open", BreakerUntil: now.Add(time.Minute), Credentials: state.CredentialsMissing, RequiredCredentials: []string{"key"}, Stale: true, StaleUntil: now.Add(time.Hour), LastOK: ago(time.Hour), LastFetch: ago(30 * time.Second), Version: "2"},
			{ID: "a/changed", Status: state.ModuleInstalled, HealthWord: "healthy", Reason: "files changed", Change: &state.ProgramChange{Held: true, By: "ann", Approved: "0123456789abcdef", Digest: "fedcba9876543210", At: ago(time.Hour), Modified: []string{"x.py"}, Plus: 1, Minus: 2, Diff: "--- a\n+++ b\n@@ -1 +1 @@\n-old\n+new\n same\n"}},
			{ID: "a/heldbad", Status: state.ModuleFailed, HealthWord: "unknown", Change: &state.ProgramChange{Held: true}},
			{ID: "a/off", Status: state.ModuleDisabled, Reason: "by hand", LastError: "old", Breaker: "closed", Files: []state.ProgramFile{{Name: "x.py", Size: 2048}}},
			{ID: "a/on", DisplayName: "On", Status: state.ModuleInstalled, HealthWord: "degraded", Fetching: true, LastFetch: ago(3 * time.Minute), LastOK: ago(3 * time.Minute), NextFetch: now.Add(time.Minute), Interval: time.Minute, CacheTTL: time.Hour, Successes: 1234, Failures: 1, Items: 3, Latencies: []float64{12, 9.5}, Runner: "idle", PID: 7, Restarts: 2, Credentials: state.CredentialsPresent, CredentialFields: []string{"key"}, CredentialsUpdated: ago(time.Hour), CredentialsUsed: ago(time.Minute), CredentialsExpire: now.Add(13 * 24 * time.Hour), CredentialsExpireBy: "set by ann", CredentialsServe: []string{"b/on"}, LastError: "slow", LastResult: "{}", Findings: []state.ModuleFinding{{Severity: "warning", Check: "files", Text: "odd", File: "x.py", Line: 1}}, Tests: &state.TestRun{At: now, Passed: 1, Failed: 1}, History: []state.Event{{At: ago(time.Minute), What: "enabled"}}},
			{ID: "a/ill", Status: state.ModuleInstalled, HealthWord: "unhealthy", CredentialsExpire: now.Add(15 * 24 * time.Hour), Tests: &state.TestRun{Passed: 1}, Credentials: state.CredentialsLocked},
			{ID: "a/gone", Status: state.ModuleUninstalled}, {ID: "a/new", Status: state.ModulePending},
		}},
		Pipeline: state.Pipeline{Health: ok, Held: 2, Closed: "ann", Problem: "results do not survive", Stream: "no stream", Reports: []state.Report{{Title: "briefing", Text: "all is well", At: now}},
			Stages: []state.Stage{
				{Title: "ingest", State: "running", Depth: 3, Capacity: 8, InFlight: 1, Workers: 2, Rate: 0.5, P50: 3, P95: 20, Done: 7, Errors: 1, LastError: "full", LastErrorAt: ago(time.Minute), Oldest: 3 * time.Second, Depths: []float64{1, 2, 3}},
				{Title: "synthesize", State: "idle", Depth: 0, Oldest: time.Second, Depths: []float64{4, 2, 0}},
				{Title: "other", State: "unknown", Depth: -1, InFlight: -1, Rate: -1, Errors: -1},
				{Title: "deliver", State: "paused", Paused: "bob", Depth: 2, Rate: 1, Depths: []float64{4, 2}},
			},
			Jobs: []state.Job{{ID: "j1", Module: "a/on", Status: "failed", At: ago(time.Minute), Items: 3, Stage: "deliver", Cause: "refused", Times: 2, Steps: []state.JobStep{
				{Stage: "ingest", Queued: ago(9 * time.Second), Started: ago(8 * time.Second), Ended: ago(6 * time.Second)}, {Stage: "deliver", Queued: ago(5 * time.Second), Started: ago(4 * time.Second), Err: "refused"}, {Stage: "end", Queued: ago(time.Second)}}},
				{ID: "j2", Module: "a/off", Status: "failed", Times: 1, Cause: "x"}, {ID: "j3", Status: "done"}},
			Services: []state.Service{{Title: "told", Word: "degraded", LatencyMS: -1}}},
		Services: state.Services{Health: ok, List: []state.Service{{Title: "api", Word: "down", URL: "http://a", LatencyMS: 3, StatusCode: 502, Err: "refused", Since: ago(time.Hour), Checked: now, Latencies: []float64{1, 2, -1, 9}, Checks: []state.Check{{Title: "db", Word: "unhealthy", Message: "gone"}}}, {Title: "db", Word: "healthy", Latencies: []float64{-1}}}},
		Containers: state.Containers{Health: ok, Host: "unix:///x", CPUs: 2,
			Hosts: []state.ContainerHost{{Title: "edge", Address: "ssh://edge", Health: state.Health{Status: state.Stale, Err: "no route"}}, {Title: "here", Address: "unix", Health: ok}},
			List: []state.Container{
				{ID: "0123456789abcdef", Title: "alone", Host: "here", State: "running", Image: "nginx", Sampled: now, CPUPercent: 45, MemBytes: 90, MemLimit: 100, MemPercent: 90, PIDs: 90, PIDsLimit: 100, Limits: state.Limits{Known: true, CPUs: 0.5, Memory: 100, Restart: "always"}, NetRx: 10, NetTx: 20, NetRxRate: 1, NetTxRate: 2, BlkRead: 30, BlkReadRate: 3, BlkWrRate: 4, Started: ago(time.Hour), Created: ago(2 * time.Hour), CPUHistory: []float64{1, 10}, MemHistory: []float64{10, 90}, Labels: map[string]string{"b": "2", "a": "1"}, Ports: []string{"0.0.0.0:80->80/tcp"}, HealthWord: "unhealthy", OOMKilled: true},
				{ID: "1", Title: "below", Host: "edge", State: "running", Sampled: now, CPUPercent: 44.9, MemPercent: 89.9, PIDs: 89, PIDsLimit: 100, Limits: state.Limits{Known: true, CPUs: 0.5, Memory: 100}, Restarts: 3, Started: ago(119 * time.Second), HealthWord: "healthy"},
				{ID: "2", Title: "calm", Host: "here", State: "running", Sampled: now, MemPercent: 99, Restarts: 3, Started: ago(2 * time.Minute), HealthWord: "starting"},
				{ID: "3", Title: "dead", Host: "here", State: "dead", ExitCode: 1},
				{ID: "4", Title: "ended", Host: "here", State: "exited", Finished: ago(3 * time.Second)},
				{ID: "5", Title: "failed", Host: "here", State: "exited", ExitCode: 2, Finished: ago(time.Hour), Project: "shop", Service: "job"},
				{ID: "6", Title: "killed", Host: "here", State: "exited", ExitCode: 137, OOMKilled: true, Finished: ago(time.Hour), Project: "shop", Service: "web"},
				{ID: "7", Title: "new", Host: "here", State: "created"},
				{ID: "8", Title: "paused", Host: "here", State: "paused", Restarts: 1},
				{ID: "9", Title: "unread", Host: "here", State: "running", Started: ago(time.Hour)},
			},
			Details: map[string]state.ContainerDetail{"0123456789abcdef": {At: ago(time.Second), Inspect: "{}", Command: "nginx -g", User: "root", Error: "it could not start", LogDriver: "json-file",
				Env: []state.EnvVar{{Title: "A", Value: "1"}, {Title: "PASS", Value: "***", Masked: true}}, Mounts: []state.ContainerMount{{Kind: "bind", Source: "/srv", Path: "/data"}, {Kind: "volume", Title: "v", Path: "/v", Write: true, Driver: "nfs"}, {Kind: "volume", Path: "/w", Write: true, Driver: "local"}},
				Networks: []state.ContainerNetwork{{Title: "bridge", IPv4: "10.0.0.2/16", Gateway: "10.0.0.1", MAC: "aa", Aliases: []string{"x", "y"}}}, Exposed: []string{"80/tcp", "443/tcp"}, Check: "curl", Probes: []state.HealthProbe{{At: now, Took: time.Second, Output: "fine\n"}, {At: now, ExitCode: 1, Output: "bad"}, {At: now, ExitCode: -1}},
				TopTitles: []string{"PID", "CMD"}, Top: [][]string{{"1", "nginx"}, {"22", "worker"}}, Image: &state.ContainerImage{ID: "sha256:1", Tags: []string{"nginx:1"}, Created: ago(time.Hour), Size: 1024, Platform: "linux/amd64", Newer: true, Layers: []state.ImageLayer{{By: "RUN  x", Size: 10, Created: now}, {By: "CMD", Created: now}}},
				Changes: []state.FileChange{{Kind: "added", Path: "/a"}, {Kind: "changed", Path: "/b"}, {Kind: "deleted", Path: "/c"}}, MoreChanges: 1, Events: []state.ContainerEvent{{At: now, What: "die (exit code 1)"}, {At: now, What: "die (exit code 0)"}, {At: now, What: "oom"}, {At: now, What: "start"}, {At: now, What: "health_status: unhealthy"}},
				Histories: &state.Histories{Minute: series, Hour: hour, Day: state.Series{Step: time.Hour}}, Parts: fetched},
				"1": {At: now, Check: "x", Parts: map[string]state.Fetch{state.PartTop: {Err: "it went away"}, state.PartImage: {At: now}, state.PartDiff: {At: now}, state.PartEvents: {At: now}, state.PartHistory: {At: now}}, Histories: &state.Histories{Minute: series, Hour: hour, Err: "the store is busy"}},
				"2": {Err: "no such container"}},
			Engines: map[string]state.EngineDetail{"here": {Fetch: state.Fetch{At: now}, Version: "29", API: "1.5", CPUs: 2, Mem: 1 << 30, Storage: "overlay2", Root: "/var", Containers: 3, Running: 1, Paused: 1, Stopped: 1, Images: 2, Warnings: []string{"no swap limit"}, DiskFetch: state.Fetch{At: now}, Disk: []state.DiskUse{{Kind: "images", Count: 2, Active: 1, Size: 2048, Free: 1024}}}},
		},
		Queues: state.Queues{Health: ok, Server: "redis:6379", Version: "7", Scan: "3 keys", List: []state.Queue{
			{Key: "a", Kind: "list", Depth: 3, In: 1, Out: 2, Trend: -1, Drain: 3 * time.Second, Oldest: 0, Sampled: now, Depths: []float64{6, 3}, Peek: []string{"first", "second"}},
			{Key: "b:failed", Kind: "list", Depth: 2, Trend: 0.06, Drain: -1, Oldest: time.Minute, NetOnly: true},
			{Key: "c", Kind: "stream", Trend: 0.05, Drain: 0, Oldest: -1, Groups: []state.StreamGroup{{Title: "g", Consumers: 1, Pending: 2, Lag: -1}}},
			{Key: "d", Kind: "zset", Depth: 1, Trend: -0.05, Drain: 0, Err: "wrong type"},
			{Key: "e:*", Kind: "keys", Depth: 5, Trend: -0.06, Drain: -1, Oldest: -1},
		}},
		Logs: state.Logs{Health: ok, Tails: map[string]state.Tail{"container:0123456789abcdef": {Records: []state.LogRecord{{Seq: 1, Nanos: now.UnixNano(), Level: state.LevelError, Text: `{"msg":"it broke","code":3}`}, {Seq: 2, Nanos: now.UnixNano(), Text: "plain"}}}}},
		Alerts: state.Alerts{Health: ok, Problems: []string{"rules.yaml:1: no group"}, Evaluated: now, Groups: []state.RuleGroup{{Title: "g", File: "f", Rules: 2, Interval: time.Minute, LastEval: now, Duration: time.Millisecond, Err: "slow"}, {Title: "g", File: "other", Rules: 3}},
			Silences: []state.Silence{{Matchers: []string{"a=1", "b=2"}, Ends: now.Add(time.Hour), By: "bob", Comment: "known"}},
			List: []state.Alert{
				{ID: "1", Rule: "Hot", State: state.AlertFiring, Severity: "critical", Group: "g", File: "f", Value: 0.123456, Since: ago(time.Hour), Fired: ago(time.Minute), For: time.Minute, Query: "x > 1", Labels: map[string]string{"alertname": "Hot", "container": "web", "job": "j"}, Annotations: map[string]string{"summary": "it is hot"}},
				{ID: "2", Rule: "Known", State: state.AlertFiring, Severity: "page", AckedBy: "ann", AckedAt: now, Since: ago(time.Minute), Labels: map[string]string{"z": "1", "a": "2"}, Query: "y"},
				{ID: "3", Rule: "Muted", State: state.AlertFiring, Severity: "warning", SilenceID: "s", SilencedBy: "bob", SilencedUntil: now.Add(time.Hour)},
				{ID: "4", Rule: "Soon", State: state.AlertPending, Severity: "warning", Annotations: map[string]string{"description": "soon"}},
				{ID: "5", Rule: "Over", State: state.AlertResolved, Severity: "high", Resolved: now}, {ID: "6", Rule: "Quiet", State: state.AlertInactive, Severity: "info", Value: 3},
				{ID: "7", Rule: "Wrong", State: state.AlertInactive, Err: "no such metric"}, {ID: "8", Rule: "Word", State: state.AlertFiring, Severity: "info"},
			}},
		Host: state.Host{Health: ok, OS: "Linux", Cores: 2, CPUPercent: 80, Load1: 4.1, MemTotal: 100, MemUsed: 95, SwapTotal: 10, SwapUsed: 5, Files: 51, FilesMax: 100, Tasks: 0, Uptime: 60, ClockErr: 0.5, Looked: now, CPUHistory: []float64{1, 80},
			Nets:  []state.NetInterface{{Name: "a", RxRate: 1, TxRate: 2}, {Name: "b"}, {Name: "c"}, {Name: "d"}},
			Disks: []state.Disk{{Mount: "/", Total: 100, Avail: 4, Full: 23 * time.Hour, Inodes: 100, InodesFree: 9}, {Mount: "/d", Total: 100, Avail: 4, Full: -1, ReadOnly: true}, {Mount: "/e", Total: 100, Avail: 15, Full: 24 * time.Hour}, {Mount: "/f", Total: 100, Full: -1, ReadOnly: true}, {Mount: "/g", Total: 100, Avail: 5, Full: -1}},
			Processes: []state.Process{
				{PID: 1, Name: "init", User: "root", State: "S", CPUPercent: 1, RSS: 100, Threads: 1, Started: ago(time.Hour)},
				{PID: 2, Parent: 1, Name: "web", User: "www", Command: "web -p 80", State: "R", CPUPercent: 90, CPUSeconds: 61, RSS: 200, Threads: 4, Started: ago(time.Minute), Container: "0123456789abcdef", Ports: []string{"tcp 0.0.0.0:80", "tcp [::]:80", "udp [::]:53"}},
				{PID: 3, Parent: 9, Name: "zed", State: "Z", CPUPercent: -1, RSS: -1, Container: "fedcba9876543210"}, {PID: 4, Name: "disk", State: "D"}, {PID: 5, Name: "halt", State: "T"},
				{PID: 0, Ports: []string{"tcp 0.0.0.0:22"}, CPUPercent: -1, RSS: -1},
			}},
		Routing: state.Routing{Health: ok, File: "f.json", Loaded: now, JSON: "{}", Tag: "t1", Threshold: 0.7, ThresholdFrom: "default", MaxLatencyMS: 200, MaxCost: 0.5, Problem: "line 3", Unkept: "no store", Categories: 1, Tiers: 3, Delegations: 2, Warnings: []string{"odd"}, Figures: "not counted",
			Rows:      []state.Route{{ID: "category/chat", Name: "chat", Tier: "heavy", Provider: "p", Model: "m", Priority: "high", MaxLatencyMS: 50, Goes: []state.RouteDestination{{When: "below 0.7", Where: "heavy"}}}, {ID: "category/code", Name: "code", Tier: "air", MaxLatencyMS: -1}, {ID: "tier/ghost", Name: "ghost", Unlisted: true, MaxLatencyMS: -1}, {ID: "tier/heavy", Name: "heavy", Enabled: true, Endpoint: "http://h", MaxConcurrent: 2, MaxLatencyMS: -1, Figures: state.RouteFigures{Requests: 5, Errors: 1, LatencyMS: 9, Fallbacks: 2}}, {ID: "tier/off", Name: "off", MaxLatencyMS: -1}, {ID: "tier/plain", Name: "plain", Enabled: true, MaxLatencyMS: 0}},
			Providers: []state.RouteFigures{{Title: "p", Requests: 3, Errors: -1, LatencyMS: 2}},
			Tests:     []state.RouteTest{{By: ann, At: now, Category: "chat", Complexity: 0.5, Tag: "t1", Tier: "heavy", Strategy: "direct", Endpoint: "http://h", Provider: "p", Model: "m", Steps: []string{"one", "two"}}, {By: ann, Category: "x", Tag: "t2", Staged: true, Strategy: "none"}, {By: ann, Category: "y", Tag: "t0", Strategy: "none"}},
			Staged:    &state.StagedRouting{By: ann, At: now, What: "threshold", Tag: "t2", Base: "t1", Diff: "--- a\n+++ b\n@@ x\n-1\n+2\n 3\n", Added: 1, Removed: 1, ReplayDiff: []string{"3 more"}, Warnings: []string{"low"}},
			Trial:     &state.RoutingTrial{By: ann, Until: now.Add(time.Minute)}, Replay: &state.RouteReplay{By: ann, At: now, What: "threshold 0.5", Lines: []string{"2 change"}},
			History: []state.RoutingVersion{{Version: 2, At: now, By: ann, How: "applied", Why: "cost", Tag: "0123456789abcdef", Added: 1, Removed: 1, Diff: "-a\n+b\n"}, {Version: 1, How: "found", Tag: "0", Diff: "+x\n"}}},
		Actions: state.Actions{Health: ok, List: []state.Progress{
			{ID: "r", Action: state.Action{Kind: state.ContainerStop, Target: "web", Actor: ann, Args: map[string]string{"b": "2", "a": "1"}}, Status: "running", Step: "stopping", Percent: 40, Left: 3 * time.Second, Queued: ago(time.Minute), Started: ago(time.Minute)},
			{ID: "z", Action: state.Action{Kind: "new.kind", Target: "x", Actor: state.Actor{User: "bob", Via: "cli"}}, Status: "running", Step: "begins", Percent: 0, Queued: ago(20 * time.Hour)},
			{ID: "d", Action: state.Action{Kind: state.ModuleEnable, Target: "a/on", Actor: ann}, Status: "done", Result: "enabled", Percent: 100, Queued: ago(21 * time.Hour), Ended: now, Undo: &state.Action{}, Verdict: &state.Verdict{Word: "worse", Note: "it starts still", Reasons: []string{"cpu 1 -> 2"}, Before: []state.Figure{{Title: "cpu", Value: 1}}, After: []state.Figure{{Title: "cpu", Value: 2}}}},
			{ID: "u", Action: state.Action{Kind: state.ModuleDisable, Target: "a/on", Actor: ann}, Status: "done", Undone: true, Undo: &state.Action{}, Settling: now.Add(time.Minute)},
			{ID: "f", Action: state.Action{Kind: state.ModuleReload, Target: "a/off", Actor: ann}, Status: "failed", Err: "no files", Queued: ago(time.Second)},
		}},
		Journal: state.Journal{Health: ok, Broken: "entry 4", Entries: []state.Entry{{Seq: 5, At: now, Action: "d", Phase: state.PhaseEnd, Outcome: "ok", Detail: "enabled", Hash: "h5"}, {Seq: 4, Action: "d", Phase: state.PhaseBegin, Hash: "h4"},
			{Seq: 3, At: ago(time.Hour), Action: "o", Kind: state.RulesReload, Phase: state.PhaseEnd, Outcome: "ok", Detail: "2 files", Actor: ann, Hash: "h3"}, {Seq: 2, Action: "i", Kind: state.RulesReload, Phase: state.PhaseInterrupted, Actor: ann}, {Seq: 1, Action: "e", Kind: state.RulesReload, Phase: state.PhaseEnd, Outcome: "failed"}}},
	}
	return s
}
