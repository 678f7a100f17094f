package admin_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/opsdeck/opsdeck/backend/admin"
)

func TestDoorLetsInWhoSpeaksToThisAddressAlone(t *testing.T) {
	r := newRig(t, options{})
	for _, tt := range []struct {
		host, origin string
		want         int
	}{
		{"127.0.0.1:8003", "", 200},
		{"localhost:8003", "", 200},
		{"localhost", "", 200},
		{"[::1]:8003", "", 200},
		{"127.9.9.9:1", "", 200},
		{"nexus.localhost", "", 403},
		{"evil.example", "", 403},
		{"127.0.0.1.evil.example:8003", "", 403},
		{"10.0.0.7:8003", "", 403},
		{"localhost.evil.example", "", 403},
		{"", "", 200}, // the client puts in its own: the address
		{"localhost:8003", "http://localhost:5001", 200},
		{"localhost:8003", "http://127.0.0.1:5001", 200},
		{"localhost:8003", "http://evil.example", 403},
		{"localhost:8003", "https://localhost.evil.example", 403},
		{"localhost:8003", "null", 403},
		{"localhost:8003", "file://", 403},
		{"localhost:8003", "http://[::1", 403},
	} {
		status, body, _ := r.request("GET", "/admin/health", "", func(req *http.Request) {
			req.Host = tt.host
			if tt.origin != "" {
				req.Header.Set("Origin", tt.origin)
			}
		})
		if status != tt.want {
			t.Errorf("Host %q, Origin %q: %d, want %d: %s", tt.host, tt.origin, status, tt.want, body)
		}
		if tt.want == 403 && !strings.Contains(body, `"detail"`) {
			t.Errorf("the refusal does not say why: %s", body)
		}
	}
}

// stranger owns every connection, and is neither this user nor root.
func stranger(_, _ netip.AddrPort) (int, error) { return 54321, nil }

func TestDoorWantsTheTokenOfEveryRequest(t *testing.T) {
	r := newRig(t, options{token: "token-of-the-workspace", owner: stranger}, shell("host/load", false))
	for auth, want := range map[string]int{"Bearer token-of-the-workspace": 200, "Bearer token-of-the-hous": 401, "Bearer ": 401, "": 401,
		"Basic dG9rZW4tb2YtdGhlLWhvdXNl": 401} {
		for _, path := range []string{"/admin/health", "/metrics", "/stream/pipeline-state", "/admin/state/modules"} {
			if path == "/stream/pipeline-state" && want == 200 {
				continue // it does not end
			}
			status, body, header := r.request("GET", path, "", func(req *http.Request) {
				req.Header.Del("Authorization")
				if auth != "" {
					req.Header.Set("Authorization", auth)
				}
			})
			if status != want {
				t.Errorf("%s with %q: %d, want %d", path, auth, status, want)
			}
			if want == 401 && header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("a 401 without WWW-Authenticate: %s", body)
			}
		}
	}
	if status, _, _ := r.request("POST", "/admin/modules/host/load/disable", "", func(req *http.Request) { req.Header.Del("Authorization") }); status != 401 {
		t.Errorf("a change without the token: %d", status)
	}
	if s := r.hub.Latest(); len(s.Actions.List) != 0 {
		t.Errorf("it was done all the same: %+v", s.Actions.List)
	}
	r.nowhere("token-of-the-workspace")
}

func TestLoopbackAddressesAreTold(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:8003": true, "localhost:8003": true, "[::1]:8003": true, "127.1.2.3:1": true,
		"0.0.0.0:8003": false, ":8003": false, "10.0.0.1:8003": false, "[::]:8003": false, "8003": false, "": false, "example.com:80": false,
	} {
		if got := admin.Loopback(addr); got != want {
			t.Errorf("Loopback(%q) = %v", addr, got)
		}
	}
}

func TestUnknownPathsAndMethodsSayWhatIsThere(t *testing.T) {
	r := newRig(t, options{})
	for _, tt := range []struct {
		method, path string
		status       int
		allow, want  string
	}{
		{"GET", "/nothing", 404, "", "there is nothing at /nothing"},
		{"GET", "/admin/modules/a/b/c/d", 404, "", "there is nothing at"},
		{"PUT", "/admin/modules", 405, "GET", "PUT is not allowed here: use GET"},
		{"POST", "/admin/health", 405, "GET", "use GET"},
		{"GET", "/admin/modules/a/b/enable", 405, "POST", "use POST"},
		{"OPTIONS", "/admin/routing-config", 405, "GET", "use GET or PUT"},
		{"GET", "/admin/state/nothing", 404, "", "/admin/state lists them"},
		{"GET", "/admin/actions/nothing", 404, "", "no such action"},
		{"GET", "/context/nothing", 404, "", "no module of it has delivered"},
		{"GET", "/admin/routing-config", 404, "", "create config/routing_config.json"},
		{"GET", "/admin/modules/a/b", 404, "", "Module 'a/b' not found"},
		{"DELETE", "/admin/modules/a/b", 404, "", "Module not found: a/b"},
		{"GET", "/admin/credentials/nothing", 200, "", ""},
		{"GET", "/admin/credentials/nothing/check", 404, "", "Module not found: nothing"},
	} {
		status, body, header := r.request(tt.method, tt.path, "", nil)
		if status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s %s: %d %s, want %d with %q", tt.method, tt.path, status, body, tt.status, tt.want)
		}
		if tt.allow != "" && !strings.Contains(strings.Join(header.Values("Allow"), ","), tt.allow) {
			t.Errorf("%s %s: Allow is %q, want %q in it", tt.method, tt.path, header.Values("Allow"), tt.allow)
		}
		if got := header.Get("Content-Type"); got != "application/json" {
			t.Errorf("%s %s: Content-Type %q", tt.method, tt.path, got)
		}
	}
}

func TestErrorsSpeakBothDialects(t *testing.T) {
	r := newRig(t, options{}, shell("weather/openweather", true), shell("host/load", false))
	for _, tt := range []struct {
		method, path, body string
		status             int
		loc, kind          string // of a 422's first fault
	}{
		{"GET", "/admin/modules/x/y", "", 404, "", ""},
		{"POST", "/admin/modules/weather/openweather/credentials", `{"credentials": "s3cr3t-in-a-string"}`, 422, "body.credentials", "type_error.dict"},
		{"POST", "/admin/modules/weather/openweather/credentials", `{}`, 422, "body.credentials", "value_error.missing"},
		{"POST", "/admin/modules/weather/openweather/credentials", `{"credentials": {}}`, 422, "body.credentials", "value_error.missing"},
		{"POST", "/admin/modules/weather/openweather/credentials", `[]`, 422, "body", "type_error.dict"},
		{"POST", "/admin/modules/weather/openweather/credentials", `null`, 422, "body.credentials", "value_error.missing"},
		{"POST", "/admin/modules/weather/openweather/credentials", `{"credentials": {"api_key": "s3cr3t-cut-off`, 422, "body", "value_error.jsondecode"},
		{"POST", "/admin/modules/weather/openweather/credentials", `{"credentials": s3cr3t}`, 422, "body.17", "value_error.jsondecode"},
		{"POST", "/admin/modules/weather/openweather/credentials", `{"credentials": {"api_key": "s3cr3t-a"}} s3cr3t`, 422, "body", "value_error.jsondecode"},
		{"POST", "/admin/modules/weather/openweather/credentials", ``, 422, "body", "value_error.jsondecode"},
		{"POST", "/admin/credentials", `{"credentials": {"api_key": "s3cr3t-b"}}`, 422, "body.platform", "value_error.missing"},
		{"POST", "/admin/credentials", `{"platform": 7, "credentials": {"api_key": "s3cr3t-c"}}`, 422, "body.platform", "type_error.str"},
		{"POST", "/admin/credentials", `{"platform": "nothing", "credentials": {"api_key": "s3cr3t-d"}}`, 404, "", ""},
		{"POST", "/admin/modules/weather/openweather/credentials", `{"credentials": {"k": "` + strings.Repeat("s3cr3t", 200_000) + `"}}`, 413, "", ""},
		{"POST", "/admin/actions", `{}`, 422, "body.kind", "value_error.missing"},
		{"POST", "/admin/actions", `{"kind": "module.explode"}`, 404, "", ""},
		{"POST", "/admin/actions", `{"kind": "module.uninstall", "target": "weather/openweather"}`, 422, "body.confirmed", "value_error"},
		{"POST", "/admin/actions", `{"kind": "module.enable", "target": "host/load"}`, 409, "", ""},
		{"POST", "/admin/actions", `{"kind": "container.restart", "target": "api"}`, 409, "", ""},
		{"POST", "/admin/actions", `{"kind": "module.enable", "target": "no/where"}`, 404, "", ""},
		{"PUT", "/admin/routing-config", `{"categories": 7}`, 422, "body.categories", "type_error.dict"},
		{"PATCH", "/admin/routing-config/category/x", `{"tier": "heavy", "max_latency_ms": "soon"}`, 422, "body.categories.x.max_latency_ms", "type_error.integer"},
		{"PATCH", "/admin/routing-config/category/x", `null`, 422, "body", "type_error.dict"},
	} {
		name := tt.method + " " + tt.path + " " + tt.body[:min(len(tt.body), 60)]
		status, got := r.call(tt.method, tt.path, tt.body)
		if status != tt.status {
			t.Errorf("%s: %d, want %d: %v", name, status, tt.status, got)
		}
		for _, k := range []string{"detail", "error", "details", "timestamp"} {
			if got[k] == nil || got[k] == "" {
				t.Errorf("%s: %q is missing in %v", name, k, got)
			}
		}
		if tt.status != 422 {
			continue
		}
		faults, _ := got["detail"].([]any)
		if len(faults) == 0 {
			t.Errorf("%s: a 422 without a list of faults: %v", name, got)
			continue
		}
		f := faults[0].(map[string]any)
		loc := []string{}
		for _, l := range f["loc"].([]any) {
			loc = append(loc, jsonWord(l))
		}
		if strings.Join(loc, ".") != tt.loc || f["type"] != tt.kind {
			t.Errorf("%s: %v %v, want %s %s", name, f["loc"], f["type"], tt.loc, tt.kind)
		}
	}
	if s := r.hub.Latest(); len(s.Actions.List) != 0 {
		t.Errorf("something was done: %+v", s.Actions.List)
	}
	r.nowhere("s3cr3t")
}
