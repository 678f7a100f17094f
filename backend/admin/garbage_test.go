package admin_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
)

// raw sends a request as it is, with the target that no client library lets through.
func raw(t *testing.T, r *rig, method, target string) (int, string) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: localhost:8003\r\nConnection: close\r\n\r\n", method, target)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b := make([]byte, 4096)
	n, _ := resp.Body.Read(b)
	return resp.StatusCode, string(b[:n])
}

func TestPathsThatLeadElsewhereAreRefused(t *testing.T) {
	r := newRig(t, options{}, shell("host/load", false))
	for _, tt := range []struct {
		target string
		want   int
	}{
		{"/admin/modules/../../etc/passwd", 400}, {"/admin/modules/..%2f..%2fetc/passwd", 400}, {"/admin/modules/%2e%2e/load", 400},
		{"/admin/modules/host/..", 400}, {"/admin/modules/host%2fload", 404}, {"/admin/modules/host%2Fx/load", 400}, {"/admin/modules/host/load%00", 400},
		{"/admin/modules/host/lo%0aad", 400}, {"/admin/modules/host/%ff%fe", 400}, {"/admin/modules/host/%5c..%5cx", 400}, {"//admin/modules", 400},
		{"/admin/modules/host/%e2%80%ae", 400}, // turns what follows round on a terminal
		{"/admin/modules/" + strings.Repeat("a", 900) + "/load", 400}, {"/" + strings.Repeat("a", 3000), 414},
		{"/context/%2e%2e%2f%2e%2e", 400}, {"/admin/credentials/..%2f..%2fx", 400}, {"/admin/state/..%2fmodules", 400},
	} {
		status, text := raw(t, r, "GET", tt.target)
		if status != tt.want || !strings.Contains(text, `"detail"`) {
			t.Errorf("%.60s: %d %s, want %d", tt.target, status, text, tt.want)
		}
	}
	if status, text := raw(t, r, "GET", "/admin/modules/host/load"); status != 200 {
		t.Errorf("the module itself: %d %s", status, text)
	}
}

func TestBodiesAreBoundedBeforeTheyAreRead(t *testing.T) {
	r := newRig(t, options{}, shell("host/load", false))
	for _, tt := range []struct {
		name, body string
		want       int
		text       string
	}{
		{"deep", `{"kind": ` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}", 422, "nested deeper than 64"},
		{"deep objects", strings.Repeat(`{"a":`, 200_000), 422, "nested deeper than 64"},
		{"brackets in text", `{"kind": "` + strings.Repeat("[", 1000) + `"}`, 404, "there is no action"},
		{"not UTF-8", "{\"kind\": \"\xff\xfe\"}", 422, "not UTF-8: an error at byte 10"},
		{"huge", `{"kind": "` + strings.Repeat("x", 2<<20) + `"}`, 413, "larger than 1048576 bytes"},
	} {
		status, text, _ := r.request("POST", "/admin/actions", tt.body, nil)
		if status != tt.want || !strings.Contains(text, tt.text) {
			t.Errorf("%s: %d %.300s, want %d with %q", tt.name, status, text, tt.want, tt.text)
		}
	}
}

func TestRequestsHaveAnID(t *testing.T) {
	r := newRig(t, options{}, shell("host/load", false))
	for sent, kept := range map[string]bool{"trace-4711.a:b_c": true, "": false, "a b": false, "x\x1b[31m": false, strings.Repeat("a", 65): false} {
		_, body, h := r.request("GET", "/nothing", "", func(q *http.Request) {
			if sent != "" {
				q.Header["X-Request-Id"] = []string{strings.ReplaceAll(sent, "\x1b", "?")}
			}
		})
		got := h.Get("X-Request-Id")
		if got == "" || kept != (got == sent) || !strings.Contains(body, `"request_id":"`+got+`"`) {
			t.Errorf("sent %q, answered %q in %s", sent, got, body)
		}
	}
	if status, _, _ := r.request("POST", "/admin/modules/host/load/fetch", "", func(q *http.Request) { q.Header.Set("X-Request-Id", "ticket-77") }); status != 200 {
		t.Fatal(status)
	}
	a := r.hub.Latest().Actions.List[0].Action.Actor
	if a.Request != "ticket-77" || a.User == "" || !strings.Contains(a.From, fmt.Sprintf("operator, uid %d", os.Geteuid())) {
		t.Errorf("the action is by %+v", a)
	}
	if !strings.Contains(r.log.String(), "ticket-77") {
		t.Error("the log does not have the id")
	}
}

// TestOfTwoWhoEditOneIsTold that the configuration is another by now, however they race.
func TestOfTwoWhoEditOneIsTold(t *testing.T) {
	r := newRig(t, options{}, map[string]string{"config/routing_config.json": `{"mine": 1, "categories": {"a": {"tier": "x"}, "b": {"tier": "x"}}}`})
	get := func() string {
		_, _, h := r.request("GET", "/admin/routing-config", "", nil)
		return h.Get("ETag")
	}
	match := func(tag string) func(*http.Request) {
		return func(q *http.Request) { q.Header.Set("If-Match", tag) }
	}
	tag := get()
	if len(tag) < 10 {
		t.Fatalf("the ETag is %q", tag)
	}
	if status, body, _ := r.request("GET", "/admin/routing-config", "", func(q *http.Request) { q.Header.Set("If-None-Match", tag) }); status != 304 || body != "" {
		t.Errorf("what is known already: %d %q", status, body)
	}
	for _, tt := range []struct {
		method, path, body, tag string
		want                    int
	}{
		{"PATCH", "/category/a", `{"priority": "high"}`, `"0123456789abcdef"`, 412},
		{"DELETE", "/category/a", "", `"0123456789abcdef"`, 412},
		{"PUT", "", `{"categories": {}}`, `"0123456789abcdef", W/` + tag, 412},
		{"PUT", "", `{"categories": {}}`, "garbage", 412},
		{"PATCH", "/category/a", `{"priority": "high"}`, `"0123456789abcdef", ` + tag, 200},
		{"PATCH", "/category/a", `{"priority": "low"}`, tag, 412},
		{"PATCH", "/category/a", `{"priority": "low"}`, "*", 200},
		{"DELETE", "/category/nothing", "", "*", 404},
	} {
		status, body, h := r.request(tt.method, "/admin/routing-config"+tt.path, tt.body, match(tt.tag))
		if status != tt.want {
			t.Errorf("%s %s If-Match %s: %d %s, want %d", tt.method, tt.path, tt.tag, status, body, tt.want)
		}
		if now := get(); status != 404 && h.Get("ETag") != now {
			t.Errorf("%s %s: ETag %s, and it is %s", tt.method, tt.path, h.Get("ETag"), now)
		}
	}
	tag = get()
	var wg sync.WaitGroup
	statuses := make([]int, 8)
	for i := range statuses {
		wg.Go(func() {
			req, _ := http.NewRequest("PATCH", r.url+"/admin/routing-config/category/b", strings.NewReader(fmt.Sprintf(`{"priority": "%d"}`, i)))
			req.Header.Set("If-Match", tag)
			resp, err := r.client.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
			statuses[i] = resp.StatusCode
		})
	}
	wg.Wait()
	done := 0
	for _, s := range statuses {
		switch s {
		case 200:
			done++
		case 412:
		default:
			t.Errorf("statuses %v", statuses)
		}
	}
	if done != 1 {
		t.Errorf("%d of 8 that had read the same were let in: %v", done, statuses)
	}
	// The guide's own form: what the dots stand for stays.
	if status, body, _ := r.request("PUT", "/admin/routing-config", `{"lidm_delegation_threshold": 0.8, ...}`, nil); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	_, got := r.call("GET", "/admin/routing-config", "")
	if got["mine"] != 1.0 || got["lidm_delegation_threshold"] != 0.8 || got["categories"] == nil {
		t.Errorf("after a PUT with dots: %v", got)
	}
}

// FuzzGarbageIsRefused throws paths and bodies at the API: no panic, no 500, and no
// secret that comes back.
func FuzzGarbageIsRefused(f *testing.F) {
	const secret = "s3cr3t-of-the-fuzzer"
	for _, seed := range []struct{ method, path, body string }{
		{"POST", "/admin/actions", `{"kind": "module.fetch", "target": "host/load", "args": {"a": "b"}}`},
		{"POST", "/admin/actions", `{"kind": "action.undo", "target": "x"}`},
		{"PUT", "/admin/routing-config", `{"categories": {"a": {"tier": "x"}}, ...}`},
		{"PATCH", "/admin/routing-config/category/%ff", `{"tier": null}`},
		{"POST", "/admin/credentials", `{"platform": "load", "credentials": {"api_key": "` + secret + `"}`},
		{"POST", "/admin/modules/host/load/credentials", `{"credentials": ["` + secret + `"]}`},
		{"POST", "/admin/tokens", `{"name": "../x", "scopes": ["["], "expires": "99999999999d"}`},
		{"POST", "/adapters/clear-cache", `{"category": {}}`},
		{"GET", "/admin/modules/..%2f/x", ""}, {"DELETE", "/admin/state/%00", "{}"}, {"GET", "/context/\x80", "[[[["},
	} {
		f.Add(seed.method, seed.path, []byte(seed.body))
	}
	r := newRig(f, options{token: "token-of-the-workspace"})
	auth := r.auth.Guard("127.0.0.1:8003", r.api)
	f.Fuzz(func(t *testing.T, method, path string, body []byte) {
		req := httptest.NewRequest("GET", "http://localhost:8003/", strings.NewReader(string(body)))
		req.Method = method
		if u, err := req.URL.Parse(path); err == nil {
			req.URL = u
		} else {
			req.URL.Path = path
		}
		if req.URL.Path == "/stream/pipeline-state" || strings.Contains(string(body), "token.") {
			return // the one does not end; what the other tries may fail, and says so
		}
		req.Host, req.RemoteAddr = "localhost:8003", "127.0.0.1:4444"
		req.Header.Set("Authorization", "Bearer token-of-the-workspace")
		w := httptest.NewRecorder()
		auth.ServeHTTP(w, req)
		if w.Code >= 500 {
			t.Errorf("%s %q %q: %d %s", method, path, body, w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), secret) && !strings.Contains(path, secret) {
			t.Errorf("%s %q: the secret comes back in %s", method, path, w.Body)
		}
	})
}
