package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/journal"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

func jsonWord(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return fmt.Sprint(v)
}

// TestGuidesCredentialCalls walks through "Rotate Credentials" of the operations guide.
func TestGuidesCredentialCalls(t *testing.T) {
	r := newRig(t, options{}, shell("weather/openweather", true), shell("backup/openweather", true), shell("host/load", false))
	const wrong, right = "wrong-key-7319", "right-key-123"

	check := func(wantHas, wantValid bool) {
		t.Helper()
		status, got := r.call("GET", "/admin/credentials/openweather", "")
		if status != 200 || got["platform"] != "openweather" || got["has_credentials"] != wantHas {
			t.Errorf("%d %v, want has_credentials %v", status, got, wantHas)
		}
		fields := []any{}
		if wantHas {
			fields = []any{"api_key"}
		}
		if g, ok := got["fields"].([]any); !ok || !slices.Equal(g, fields) {
			t.Errorf("fields are %v, want %v", got["fields"], fields)
		}
		status, got = r.call("GET", "/admin/credentials/openweather/check", "")
		if status != 200 || got["platform"] != "openweather" || got["valid"] != wantValid {
			t.Errorf("%d %v, want valid %v", status, got, wantValid)
		}
		if at, err := time.Parse(time.RFC3339, fmt.Sprint(got["checked_at"])); err != nil || time.Since(at) > time.Hour {
			t.Errorf("checked_at is %v (%v)", got["checked_at"], err)
		}
	}
	check(false, false)
	if status, got := r.call("POST", "/admin/credentials", `{"platform": "openweather", "credentials": {"api_key": "`+wrong+`"}}`); status != 200 || got["success"] != true {
		t.Fatalf("store: %d %v", status, got)
	}
	check(true, false)
	if status, got := r.call("POST", "/admin/credentials", `{"platform": "openweather", "credentials": {"api_key": "`+right+`"}}`); status != 200 {
		t.Fatalf("store: %d %v", status, got)
	}
	if status, got := r.call("POST", "/admin/modules/weather/openweather/reload", ""); status != 200 || got["success"] != true {
		t.Fatalf("reload: %d %v", status, got)
	}
	check(true, true)
	for _, id := range []string{"weather/openweather", "backup/openweather"} { // a platform names every module of it
		if _, got := r.call("GET", "/admin/modules/"+id, ""); got["has_credentials"] != true {
			t.Errorf("%s has no credentials", id)
		}
	}
	if status, _ := r.call("DELETE", "/admin/modules/weather/openweather/credentials", ""); status != 200 {
		t.Errorf("delete: %d", status)
	}
	if _, got := r.call("GET", "/admin/modules/weather/openweather", ""); got["has_credentials"] != false {
		t.Errorf("it still has credentials: %v", got["has_credentials"])
	}
	r.nowhere(wrong)
	r.nowhere(right)
}

func TestLockedStoreSaysSoAndChangesNothing(t *testing.T) {
	r := newRig(t, options{locked: true}, shell("weather/openweather", true))
	status, got := r.call("GET", "/admin/credentials/openweather", "")
	if status != 200 || !strings.Contains(fmt.Sprint(got["locked"]), "MODULE_ENCRYPTION_KEY") {
		t.Errorf("%d %v, want the reason why it is locked", status, got)
	}
	status, got = r.call("POST", "/admin/credentials", `{"platform": "openweather", "credentials": {"api_key": "s3cr3t-e"}}`)
	if status != 409 || !strings.Contains(fmt.Sprint(got["detail"]), "MODULE_ENCRYPTION_KEY") {
		t.Errorf("%d %v, want a refusal with its reason", status, got)
	}
	r.nowhere("s3cr3t-e")
}

// TestActionsGoTheWayOfTheConsole submits rows of the table with curl's means and
// wants the same trail.
func TestActionsGoTheWayOfTheConsole(t *testing.T) {
	r := newRig(t, options{}, shell("weather/openweather", true), shell("host/load", false))
	act := func(body string) (int, map[string]any) {
		t.Helper()
		return r.call("POST", "/admin/actions", body)
	}
	status, got := act(`{"kind": "credential.rotate", "target": "weather/openweather", "secrets": {"api_key": "wrong-key-42"}}`)
	if status != 500 || !strings.Contains(fmt.Sprint(got["detail"]), "401 Unauthorized") {
		t.Errorf("a rotation to a wrong key: %d %v", status, got)
	}
	status, got = act(`{"kind": "credential.rotate", "target": "weather/openweather", "secrets": {"api_key": "right-key-123"}}`)
	if status != 200 || got["status"] != "done" || got["id"] == "" {
		t.Fatalf("a rotation to the right key: %d %v", status, got)
	}
	id := fmt.Sprint(got["id"])
	r.until("the module works", func(s *state.Snapshot) bool { return s.Modules.Module("weather/openweather").HealthWord == "healthy" })
	if status, got := r.call("GET", "/admin/actions/"+id, ""); status != 200 || got["id"] != id {
		t.Errorf("its progress: %d %v", status, got)
	}
	for _, body := range []string{
		`{"kind": "module.restart", "target": "host/load"}`, `{"kind": "module.fetch", "target": "host/load"}`,
		`{"kind": "module.disable", "target": "host/load"}`, `{"kind": "module.enable", "target": "host/load"}`,
		`{"kind": "module.uninstall", "target": "host/load", "confirmed": "host/load"}`,
	} {
		if status, got := act(body); status != 200 || got["status"] != "done" {
			t.Errorf("%s: %d %v", body, status, got)
		}
	}
	status, got = r.call("GET", "/admin/actions?target=host/load", "")
	if status != 200 {
		t.Fatal(status)
	}
	reasons := map[string]string{}
	for _, a := range got["actions"].([]any) {
		row := a.(map[string]any)
		reasons[row["kind"].(string)] = fmt.Sprint(row["disabled"])
		for _, k := range []string{"kind", "title", "risk"} {
			if row[k] == nil {
				t.Errorf("a row without %s: %v", k, row)
			}
		}
	}
	if why := reasons["module.uninstall"]; why != "it is uninstalled already" {
		t.Errorf("uninstall is disabled because %q", why)
	}
	if _, ok := reasons["credential.restore"]; ok {
		t.Error("a hidden action is offered")
	}
	if n := len(got["recent"].([]any)); n != 7 {
		t.Errorf("%d recent actions, want 7", n)
	}

	var kinds []string
	path := filepath.Join(r.dir, "data", "journal.jsonl")
	if err := journal.Read(path, func(e state.Entry) bool {
		if e.Actor.Via != "api" || !strings.Contains(e.Actor.From, "127.0.0.1") || !strings.Contains(e.Actor.From, "Go-http-client") {
			t.Errorf("entry %d is by %+v", e.Seq, e.Actor)
		}
		if e.Phase == state.PhaseEnd {
			kinds = append(kinds, string(e.Kind)+" "+e.Target+" "+e.Outcome)
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{"credential.rotate weather/openweather failed", "credential.rotate weather/openweather ok", "module.restart host/load ok",
		"module.fetch host/load ok", "module.disable host/load ok", "module.enable host/load ok", "module.uninstall host/load ok"}
	if !slices.Equal(kinds, want) {
		t.Errorf("the journal has\n%s\nwant\n%s", strings.Join(kinds, "\n"), strings.Join(want, "\n"))
	}
	if _, err := journal.Verify(path); err != nil {
		t.Error(err)
	}
	r.nowhere("wrong-key-42")
	r.nowhere("right-key-123")
}

func TestAnActionOutlivesItsCaller(t *testing.T) {
	r := newRig(t, options{}, shell("host/load", false))
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "POST", r.url+"/admin/modules/host/load/restart", nil)
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if resp, err := r.client.Do(req); err == nil {
			resp.Body.Close()
		}
	}()
	r.until("it is submitted", func(s *state.Snapshot) bool { return len(s.Actions.List) == 1 })
	cancel()
	<-gone
	s := r.until("it is over", func(s *state.Snapshot) bool { return s.Actions.List[0].Done() })
	if p := s.Actions.List[0]; p.Status != "done" {
		t.Errorf("it ended as %s: %s", p.Status, p.Err)
	}
}

// TestSectionsAreServed reads every section as the console has it.
func TestSectionsAreServed(t *testing.T) {
	r := newRig(t, options{}, shell("host/load", false))
	status, got := r.call("GET", "/admin/state", "")
	if status != 200 || len(got["sections"].(map[string]any)) != len(state.SectionNames()) {
		t.Errorf("%d %v", status, got)
	}
	for _, name := range state.SectionNames() {
		if status, got := r.call("GET", "/admin/state/"+string(name), ""); status != 200 || got["health"] == nil {
			t.Errorf("%s: %d %v", name, status, got)
		}
	}
	r.until("the pipeline delivered", func(s *state.Snapshot) bool {
		return len(s.Pipeline.Stages) == 4 && s.Pipeline.Stages[3].Done > 0
	})
	status, got = r.call("GET", "/context/host", "")
	if status != 200 {
		t.Errorf("/context/host: %d %v", status, got)
	}
	if b, _ := json.Marshal(got); !strings.Contains(string(b), `"n":1`) {
		t.Errorf("what the module fetched is not in %s", b)
	}
	if status, got := r.call("GET", "/context", ""); status != 200 {
		t.Errorf("/context: %d %v", status, got)
	}
}

// TestPipelineStreamHasBothShapes reads the first event of each kind.
func TestPipelineStreamHasBothShapes(t *testing.T) {
	r := newRig(t, options{sections: []state.Section{state.Services{List: []state.Service{
		{Title: "dashboard", Word: "healthy", LatencyMS: 5, StatusCode: 200, Checked: time.Now()},
		{Title: "llm", Word: "down", Checked: time.Now()}, {Title: "new", Word: "unknown"},
	}}}}, shell("host/load", false), shell("weather/openweather", true))
	r.until("the failing module is failed, the services are known", func(s *state.Snapshot) bool {
		return s.Modules.Module("weather/openweather").Status == state.ModuleFailed && s.Services.Health.Status == state.OK
	})
	ctx, cancel := context.WithTimeout(context.Background(), sourcetest.Patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", r.url+"/stream/pipeline-state", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type is %q", got)
	}
	events := map[string]map[string]any{} // by name, "" for none
	name, count := "", 0
	sc := bufio.NewScanner(resp.Body)
	for count < 4 && sc.Scan() { // two rounds: it goes on
		line := sc.Text()
		switch {
		case strings.HasPrefix(line, "event: "):
			name = strings.TrimPrefix(line, "event: ")
		case strings.HasPrefix(line, "data: "):
			var v map[string]any
			if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &v); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			events[name] = v
			count++
		case line == "":
			name = ""
		case strings.HasPrefix(line, ":"), strings.HasPrefix(line, "retry: "), strings.HasPrefix(line, "id: "):
		default:
			t.Errorf("unexpected line %q", line)
		}
	}
	if count < 4 {
		t.Fatalf("the stream ended after %d events: %v", count, sc.Err())
	}

	d := events["pipeline-state"]
	if _, err := time.Parse(time.RFC3339, fmt.Sprint(d["timestamp"])); err != nil {
		t.Errorf("timestamp: %v", err)
	}
	if got, want := fmt.Sprint(d["pipeline_stages"]), "[ingest aggregate synthesize deliver]"; got != want {
		t.Errorf("stages are %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(d["services"].(map[string]any)["dashboard"]), "map[healthy:true latency_ms:5]"; got != want {
		t.Errorf("dashboard is %s, want %s", got, want)
	}
	if got := fmt.Sprint(d["services"].(map[string]any)["llm"]); !strings.Contains(got, "healthy:false") {
		t.Errorf("llm is %s", got)
	}
	if _, ok := d["services"].(map[string]any)["orchestrator"]; !ok {
		t.Error("the orchestrator is missing")
	}
	if got, want := fmt.Sprint(d["modules"]), "[map[category:host platform:load status:enabled] map[category:weather platform:openweather status:failed]]"; got != want {
		t.Errorf("modules are %s, want %s", got, want)
	}

	s := events[""]
	if _, ok := s["timestamp"].(float64); !ok {
		t.Errorf("timestamp is %T", s["timestamp"])
	}
	if n, ok := s["adapters_count"].(float64); !ok || n < 1 {
		t.Errorf("adapters_count is %v", s["adapters_count"])
	}
	services := s["services"].(map[string]any)
	for name, want := range map[string]string{"dashboard": "running", "llm": "error", "new": "idle", "orchestrator": "running"} {
		sv, _ := services[name].(map[string]any)
		if sv["state"] != want || sv["name"] != name {
			t.Errorf("service %s is %v, want it %s", name, sv, want)
		}
	}
	if got, want := fmt.Sprint(s["modules"]), "[map[category:host id:host/load name:load state:running] map[category:weather id:weather/openweather name:openweather state:error]]"; got != want {
		t.Errorf("modules are %s, want %s", got, want)
	}
}

// TestMetricsAnswerTheGuidesQueries reads the exposition, and asks what the guide asks.
func TestMetricsAnswerTheGuidesQueries(t *testing.T) {
	r := newRig(t, options{sections: []state.Section{state.Containers{List: []state.Container{
		{ID: "c1", Title: "orchestrator", Image: "nexus:1", State: "running", CPUSeconds: 12.5, MemBytes: 100, MemLimit: 1000, Sampled: time.Now(), Started: time.Now()},
		{ID: "c2", Title: "redis", Image: "redis:7", State: "running", CPUSeconds: 1, MemBytes: 1, MemLimit: 10, Sampled: time.Now(), Started: time.Now()},
	}}}}, shell("host/load", false), shell("host/disk", false), shell("weather/openweather", true))
	if status, _ := r.call("POST", "/admin/modules/host/disk/disable", ""); status != 200 {
		t.Fatal("disable fails")
	}
	r.until("all is as the test wants it", func(s *state.Snapshot) bool {
		return s.Modules.Module("weather/openweather").Status == state.ModuleFailed && s.Modules.Module("host/disk").Status == state.ModuleDisabled &&
			s.Containers.Health.Status == state.OK
	})
	for _, path := range []string{"/metrics", "/metrics/prometheus"} {
		status, body, header := r.request("GET", path, "", nil)
		if status != 200 || !strings.HasPrefix(header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s: %d %s", path, status, header.Get("Content-Type"))
		}
		for _, want := range []string{"# TYPE nexus_module_builds_total counter", "nexus_module_validations_total{result=\"failure\"} 0", "nexus_module_installs_total ",
			`nexus_module_status{category="host",platform="disk",status="disabled"} 0`, `nexus_module_status{category="host",platform="load",status="enabled"} 1`,
			`nexus_module_status{category="weather",platform="openweather",status="failed"} 2`, "nexus_credential_operations_total{",
			"container_cpu_usage_seconds_total{", "container_memory_usage_bytes{"} {
			if !strings.Contains(body, want) {
				t.Errorf("%s has no %s", path, want)
			}
		}
		if n := strings.Count(body, "\nnexus_module_status{"); n != 3 {
			t.Errorf("%s has %d series of nexus_module_status, want each module once", path, n)
		}
	}
	if status, body, _ := r.request("GET", "/metrics", "", func(req *http.Request) { req.Header.Set("Accept", "application/json") }); status != 200 || !json.Valid([]byte(body)) {
		t.Errorf("metrics in JSON: %d %.80s", status, body)
	}

	ctx, now := t.Context(), time.Now()
	if err := r.store.Sample(ctx, now); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		`nexus_module_status{status="failed"}`:                                 "openweather=2",
		`nexus_module_status == 2`:                                             "openweather=2",
		`nexus_module_status{category="host", platform="load"}`:                "load=1",
		`sum(nexus_module_status == bool 1)`:                                   "=1",
		`count(nexus_module_status{status="failed"}) > 0`:                      "=1",
		`container_cpu_usage_seconds_total{name=~"orchestrator|dashboard"}`:    "=12.5",
		`rate(nexus_module_validations_total{result="failure"}[5m])`:           "",
		`container_memory_usage_bytes{name="redis"}`:                           "=1",
		`container_memory_usage_bytes / container_spec_memory_limit_bytes > 0`: "=0.1 =0.1",
	} {
		v, err := r.store.Query(ctx, query, now)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		var got []string
		for _, s := range v {
			got = append(got, fmt.Sprintf("%s=%g", s.Metric.Get("platform"), s.F))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s gives %q, want %q", query, got, want)
		}
	}
}

// TestPatchChangesWhatItNames and leaves the rest of a category, and of the file.
func TestPatchChangesWhatItNames(t *testing.T) {
	r := newRig(t, options{}, map[string]string{"config/routing_config.json": `{"mine": 1, "categories": {"finance": {"tier": "heavy", "priority": "low", "note": "n"}}}`})
	status, got := r.call("PATCH", "/admin/routing-config/category/finance", `{"priority": "high"}`)
	if status != 200 || got["tier"] != "heavy" {
		t.Errorf("%d %v", status, got)
	}
	_, got = r.call("GET", "/admin/routing-config", "")
	if want := "map[categories:map[finance:map[note:n priority:high tier:heavy]] mine:1]"; fmt.Sprint(got) != want {
		t.Errorf("the configuration is %v, want %s", got, want)
	}
	if status, got := r.call("PATCH", "/admin/routing-config/category/new", `{"priority": "high"}`); status != 422 {
		t.Errorf("a new category without its tier: %d %v", status, got)
	}
	if status, got := r.call("PUT", "/admin/routing-config", `{"categories": {"a": {"tier": "x"}}}`); status != 200 || got["categories"] != 1.0 {
		t.Errorf("%d %v", status, got)
	}
	if status, got := r.call("PUT", "/admin/routing-config", `{"categories": {"a": {"tier": []}}}`); status != 422 {
		t.Errorf("%d %v", status, got)
	}
	if _, got = r.call("GET", "/admin/routing-config", ""); fmt.Sprint(got) != "map[categories:map[a:map[tier:x]]]" {
		t.Errorf("the configuration is %v after a bad one was refused", got)
	}
}

// TestAskingForWhatIsSoIsDone asks twice for each, also of a module that fails.
func TestAskingForWhatIsSoIsDone(t *testing.T) {
	r := newRig(t, options{}, shell("weather/openweather", true))
	r.until("it fails", func(s *state.Snapshot) bool {
		return s.Modules.Module("weather/openweather").Status == state.ModuleFailed
	})
	for _, what := range []string{"enable", "disable", "disable", "enable", "enable", "uninstall", "uninstall", "enable"} {
		method, path := "POST", "/admin/modules/weather/openweather/"+what
		if what == "uninstall" {
			method, path = "DELETE", "/admin/modules/weather/openweather"
		}
		if status, got := r.call(method, path, ""); status != 200 || got["success"] != true {
			t.Errorf("%s: %d %v", what, status, got)
		}
	}
}

// TestAdaptersAreServedWithWhatTheySay has one whose manifest says less.
func TestAdaptersAreServedWithWhatTheySay(t *testing.T) {
	r := newRig(t, options{}, map[string]string{
		"modules/host/load/manifest.json": `{"name": "load", "version": "1", "category": "host", "platform": "load", "entry_point": "adapter.sh", "auth_type": "none", "status": "installed", "capabilities": {"read": false}}`,
		"modules/host/load/adapter.sh": `#!/bin/sh
echo '{"op":"hello","protocol":1}'
while read -r line; do
  case $line in
    '{"op":"configure"'*) echo '{"op":"ready","capabilities":{"read":true,"batch":5}}' ;;
    '{"op":"fetch"'*) echo '{"op":"result","data":[1]}' ;;
    '{"op":"bye"'*) exit 0 ;;
  esac
done
`})
	r.until("it works", func(s *state.Snapshot) bool {
		m := s.Modules.Module("host/load")
		return m != nil && m.HealthWord == "healthy"
	})
	_, got := r.call("GET", "/adapters", "")
	row := got["adapters"].([]any)[0].(map[string]any)
	if got, want := fmt.Sprint(row["capabilities"]), "map[batch:5 read:true]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
