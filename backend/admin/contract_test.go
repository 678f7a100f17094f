package admin_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opsdeck/opsdeck/backend/journal"
	"github.com/opsdeck/opsdeck/backend/state"
)

const contractDir = "../../testdata/contract/nexus/admin-api"

// recording is one request to the real service and its answer.
type recording struct {
	Request struct {
		Method, Path string
		Body         json.RawMessage
	}
	Response struct {
		Status int
		Body   map[string]any
	}
}

func recordings(t *testing.T) (names []string, all map[string]recording) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(contractDir, "*.json"))
	if err != nil || len(files) != 24 {
		t.Fatalf("%d recordings in %s, want 24 (%v)", len(files), contractDir, err)
	}
	all = map[string]recording{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var r recording
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		name := strings.TrimSuffix(filepath.Base(f), ".json")
		names, all[name] = append(names, name), r
	}
	return names, all
}

// recordedModules makes the modules of the recorded list, with adapters that work.
func recordedModules(t *testing.T, list recording) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, m := range list.Response.Body["modules"].([]any) {
		manifest := maps.Clone(m.(map[string]any))
		id := manifest["module_id"].(string)
		// What the service adds to a manifest in its list.
		for _, k := range []string{"is_loaded", "loaded_at", "error", "module_id", "persistent_status", "has_credentials"} {
			delete(manifest, k)
		}
		b, err := json.Marshal(manifest)
		if err != nil {
			t.Fatal(err)
		}
		files["modules/"+id+"/manifest.json"] = string(b)
		files["modules/"+id+"/adapter.py"] = fmt.Sprintf(`from shared.adapters.base import BaseAdapter
from shared.adapters.registry import register_adapter


@register_adapter(category=%[1]q, platform=%[2]q, display_name=%[2]q, description="", icon="", requires_auth=False, auth_type="none")
class %[3]s(BaseAdapter[dict]):
    category = %[1]q
    platform = %[2]q

    async def fetch_raw(self, config):
        return [1]

    def transform(self, raw):
        return raw

    def get_capabilities(self):
        return {"read": True}
`, manifest["category"], manifest["platform"], manifest["class_name"])
	}
	return files
}

// quirks are the answers of the real service that a server need not repeat: what
// is not there is 404, what was done is 200.
var quirks = map[string]struct {
	status int
	body   map[string]any
}{
	"09-reload-missing":     {404, map[string]any{"detail": "Module not found: x/y"}},
	"10-enable-missing":     {404, map[string]any{"detail": "Module not found: x/y"}},
	"11-store-credentials":  {200, map[string]any{"success": true, "module_id": "showroom/metrics_demo", "message": "Credentials stored for showroom/metrics_demo"}},
	"14-delete-credentials": {200, map[string]any{"success": true, "module_id": "showroom/metrics_demo"}},
}

// volatile are members whose values are of the moment of recording, and the health
// of what does not run: the real service calls it healthy, here it is unknown.
var volatile = []string{"health_status", "loaded_at", "updated_at", "installed_at", "last_used", "success_count", "failure_count", "manifest_json", "adapters", "has_credentials"}

// TestAnswersAreThoseOfTheRecordedService makes every recorded request, in order,
// and wants the same status and at least the same members with the same types and,
// where they are not of the moment, values.
func TestAnswersAreThoseOfTheRecordedService(t *testing.T) {
	needPython(t)
	names, all := recordings(t)
	routing, err := json.Marshal(all["15-routing-get"].Response.Body)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, options{}, recordedModules(t, all["02-modules-list"]), map[string]string{"config/routing_config.json": string(routing)})
	r.until("the enabled modules work", func(s *state.Snapshot) bool {
		n := 0
		for _, m := range s.Modules.List {
			if m.HealthWord == "healthy" {
				n++
			}
		}
		return n == 2
	})
	// What the real service counted before its routing changed.
	expected := map[string]any{"01-health.modules_loaded": 2.0}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			rec := all[name]
			wantStatus, want := rec.Response.Status, rec.Response.Body
			if q, ok := quirks[name]; ok {
				wantStatus, want = q.status, q.body
			}
			body := string(rec.Request.Body)
			if body == "null" {
				body = ""
			}
			status, got := r.call(rec.Request.Method, rec.Request.Path, body)
			if status != wantStatus {
				t.Errorf("%s %s answers %d, want %d: %v", rec.Request.Method, rec.Request.Path, status, wantStatus, got)
			}
			compare(t, name, want, got, expected)
		})
	}
	r.nowhere("s3cr3t-value-1")
	if _, err := journal.Verify(filepath.Join(r.dir, "data", "journal.jsonl")); err != nil {
		t.Error(err)
	}
}

// compare wants every member of want in got.
func compare(t *testing.T, at string, want, got any, expected map[string]any) {
	t.Helper()
	if want == nil {
		return // the recording tells neither type nor value
	}
	if v, ok := expected[at]; ok {
		want = v
	}
	if got == nil && slices.Contains(volatile, at[strings.LastIndexByte(at, '.')+1:]) {
		return
	}
	if reflect.TypeOf(want) != reflect.TypeOf(got) {
		t.Errorf("%s is a %T (%v), the recorded one a %T (%v)", at, got, got, want, want)
		return
	}
	switch w := want.(type) {
	case map[string]any:
		g := got.(map[string]any)
		for _, k := range slices.Sorted(maps.Keys(w)) {
			if _, ok := g[k]; !ok {
				t.Errorf("%s.%s is missing", at, k)
				continue
			}
			if slices.Contains(volatile, k) {
				if w[k] != nil && g[k] != nil && reflect.TypeOf(w[k]) != reflect.TypeOf(g[k]) {
					t.Errorf("%s.%s is a %T, the recorded one a %T", at, k, g[k], w[k])
				}
				continue
			}
			compare(t, at+"."+k, w[k], g[k], expected)
		}
	case []any:
		g := got.([]any)
		if len(g) != len(w) {
			t.Errorf("%s has %d elements, the recorded one %d", at, len(g), len(w))
			return
		}
		for i := range w {
			compare(t, fmt.Sprintf("%s[%d]", at, i), w[i], sameID(w[i], g, i), expected)
		}
	default:
		if want != got {
			t.Errorf("%s is %v, the recorded one %v", at, got, want)
		}
	}
}

// sameID returns the element of list with the module_id of v, or its i-th.
func sameID(v any, list []any, i int) any {
	if m, ok := v.(map[string]any); ok && m["module_id"] != nil {
		for _, e := range list {
			if em, ok := e.(map[string]any); ok && em["module_id"] == m["module_id"] {
				return e
			}
		}
	}
	return list[i]
}
