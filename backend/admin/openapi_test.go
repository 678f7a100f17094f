package admin_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// operation is one call as the document has it.
type operation struct {
	method, path string
	Role         string `json:"x-role"`
	Action       string `json:"x-action"`
	ID           string `json:"operationId"`
	Parameters   []struct {
		Name, In string
		Required bool
	}
	RequestBody *struct {
		Required bool
		Content  map[string]struct {
			Example json.RawMessage
		}
	}
	Responses map[string]struct {
		Content map[string]any
	}
}

// operations returns the calls of the document that r serves, and its schemas.
func operations(t *testing.T, r *rig) ([]operation, func(pointer string) *jsonschema.Schema) {
	t.Helper()
	status, text, _ := r.request("GET", "/openapi.json", "", nil)
	if status != 200 {
		t.Fatalf("the document: %d", status)
	}
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]operation
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil || doc.OpenAPI != "3.1.0" {
		t.Fatalf("the document is of OpenAPI %q (%v)", doc.OpenAPI, err)
	}
	whole, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("opsdeck:api", whole); err != nil {
		t.Fatal(err)
	}
	var all []operation
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			op := doc.Paths[path][method]
			op.method, op.path = strings.ToUpper(method), path
			all = append(all, op)
		}
	}
	return all, func(pointer string) *jsonschema.Schema {
		t.Helper()
		s, err := c.Compile("opsdeck:api#" + pointer)
		if err != nil {
			t.Fatalf("%s: %v", pointer, err)
		}
		return s
	}
}

// pointer returns the JSON pointer of op in the document.
func (op operation) pointer(more ...string) string {
	out := ""
	for _, part := range append([]string{"paths", op.path, strings.ToLower(op.method)}, more...) {
		part = strings.ReplaceAll(strings.ReplaceAll(part, "~", "~0"), "/", "~1")
		out += "/" + strings.NewReplacer("{", "%7B", "}", "%7D").Replace(part)
	}
	return out
}

// fill puts real names into a pattern's place holders.
func fill(pattern, actionID, job string) string {
	name := "modules"
	switch {
	case strings.Contains(pattern, "routing-config"):
		name = "finance"
	case strings.Contains(pattern, "tokens"):
		name = "grafana"
	}
	return strings.NewReplacer("{category}", "host", "{platform}", "load", "{name}", name, "{id}", actionID, "{job}", job, "{version}", "1", "{section}", "modules").Replace(pattern)
}

// wholeRig has everything that the examples of the document name.
func wholeRig(t *testing.T, o options) *rig {
	o.token = "token-of-the-workspace"
	r := newRig(t, o, shell("host/load", false), map[string]string{
		"config/routing_config.json": `{"categories": {"finance": {"tier": "heavy", "priority": "low"}}}`,
	})
	r.until("the pipeline delivered", func(s *state.Snapshot) bool { return len(s.Pipeline.Stages) == 4 && s.Pipeline.Stages[3].Done > 0 })
	return r
}

// fitting brings about what a call of the versions of host/load is for, and is the
// body that names it.
func (r *rig) fitting(op operation, body string) string {
	switch folder := filepath.Join(r.dir, "modules/host/load"); {
	case !strings.HasPrefix(op.path, "/admin/modules/"):
	case strings.HasSuffix(op.path, "/approve"):
		if err := os.WriteFile(filepath.Join(folder, "helper.sh"), []byte("#!/bin/sh\n"), 0o755); err != nil {
			r.t.Fatal(err)
		}
		r.until("the change is seen", func(s *state.Snapshot) bool { return s.Modules.Module("host/load").Change != nil })
		_, got := r.call("GET", "/admin/modules/host/load/changes", "")
		return fmt.Sprintf(`{"digest": %q}`, got["digest"])
	case strings.HasSuffix(op.path, "/rollback"):
		r.until("there is a version before", func(s *state.Snapshot) bool { return len(s.Modules.Module("host/load").Versions) == 2 })
		return ""
	case strings.HasSuffix(op.path, "/test") && op.method == "POST":
		needPython(r.t)
		if err := os.WriteFile(filepath.Join(folder, "test_adapter.py"), []byte("def test_it():\n    pass\n"), 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
	return body
}

// TestEveryCallAnswersAsTheDocumentSays calls each row with its example, as an admin,
// and holds the answer against the schema; then again in a way that must fail.
func TestEveryCallAnswersAsTheDocumentSays(t *testing.T) {
	r := wholeRig(t, options{})
	// The one of the house is slowed down by the failures below; those of the file are not.
	_, got := r.call("POST", "/admin/tokens", `{"name": "walker", "role": "admin"}`)
	r.token = got["token"].(string)
	all, compile := operations(t, r)
	fault := compile("/components/schemas/Error")
	if len(all) < 40 {
		t.Fatalf("the document has %d calls", len(all))
	}
	// What takes away comes last, so that the others find what they name.
	slices.SortStableFunc(all, func(a, b operation) int { return rank(a) - rank(b) })
	id, job, ids := "", "", map[string]bool{}
	for _, op := range all {
		if ids[op.ID] {
			t.Errorf("two calls have the operationId %s", op.ID)
		}
		ids[op.ID] = true
		if strings.HasPrefix(op.path, "/admin/actions/") {
			if p := r.hub.Latest().Actions.List; len(p) > 0 {
				id = string(p[0].ID)
			}
		}
		if len(r.engine.Pipeline().Jobs()) > 0 {
			job = r.engine.Pipeline().Jobs()[0].ID
		}
		t.Run(op.ID, func(t *testing.T) {
			body := ""
			if op.RequestBody != nil {
				example := op.RequestBody.Content["application/json"].Example
				body = string(example)
				v, err := jsonschema.UnmarshalJSON(bytes.NewReader(example))
				if err != nil {
					t.Fatalf("its example: %v", err)
				}
				if err := compile(op.pointer("requestBody", "content", "application/json", "schema")).Validate(v); err != nil {
					t.Errorf("its example: %v", err)
				}
			}
			body = r.fitting(op, body)
			for media := range op.Responses["200"].Content {
				if media == "text/event-stream" {
					return // TestPipelineStreamHasBothShapes
				}
				status, text, header := r.request(op.method, fill(op.path, id, job), body, nil)
				if status != 200 {
					t.Fatalf("%s %s: %d %s", op.method, fill(op.path, id, job), status, text)
				}
				if got, _, _ := mime.ParseMediaType(header.Get("Content-Type")); got != media {
					t.Errorf("Content-Type is %q, the document says %q", got, media)
				}
				if header.Get("X-Request-Id") == "" || header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("headers: %v", header)
				}
				if media != "application/json" {
					return
				}
				v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
				if err != nil {
					t.Fatal(err)
				}
				if err := compile(op.pointer("responses", "200", "content", media, "schema")).Validate(v); err != nil {
					t.Errorf("%s\n%v", text, err)
				}
			}
			// The same with a body that is no JSON, from nobody, and at no place.
			for _, edit := range []func(*http.Request){
				func(q *http.Request) { q.Header.Set("Authorization", "Bearer wrong") },
				func(q *http.Request) { q.Host = "evil.example" },
			} {
				status, text, _ := r.request(op.method, fill(op.path, id, job), body, edit)
				v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
				if err == nil {
					err = fault.Validate(v)
				}
				if status < 400 || status > 499 || err != nil {
					t.Errorf("refused with %d %s: %v", status, text, err)
				}
			}
			if op.RequestBody != nil {
				status, text, _ := r.request(op.method, fill(op.path, id, job), `{"a": `, nil)
				v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
				if err == nil {
					err = fault.Validate(v)
				}
				if status != 422 || err != nil {
					t.Errorf("half a body: %d %s: %v", status, text, err)
				}
			}
		})
	}
}

func rank(op operation) int {
	n := 0
	if op.method == "DELETE" {
		n += 10
	}
	if strings.HasSuffix(op.path, "/disable") || strings.HasSuffix(op.path, "/credentials") {
		n++
	}
	if op.path == "/admin/modules/{category}/{platform}" {
		n += 5
	}
	if op.path == "/admin/actions" && op.method == "POST" {
		n--
	}
	return n
}

// TestNobodyGoesBeyondTheRole has each role call each row, and each token with scopes.
func TestNobodyGoesBeyondTheRole(t *testing.T) {
	r := wholeRig(t, options{owner: stranger})
	all, _ := operations(t, r)
	give := func(name, role string, scopes ...string) string {
		t.Helper()
		b, _ := json.Marshal(map[string]any{"name": name, "role": role, "scopes": scopes})
		status, got := r.call("POST", "/admin/tokens", string(b))
		if status != 200 {
			t.Fatalf("make a token: %d %v", status, got)
		}
		return got["token"].(string)
	}
	tokens := map[string]string{"viewer": give("v", "viewer"), "operator": give("o", "operator"), "admin": give("a", "admin")}
	rankOf := map[string]int{"viewer": 0, "operator": 1, "admin": 2}
	as := func(token, method, path, body string) int {
		t.Helper()
		status, _, _ := r.request(method, path, body, func(q *http.Request) { q.Header.Set("Authorization", "Bearer "+token) })
		return status
	}
	before := len(r.hub.Latest().Actions.List)
	for _, op := range all {
		if rankOf[op.Role] == 0 && op.method != "GET" || op.Role == "" {
			t.Errorf("%s %s changes something and is for the role %q", op.method, op.path, op.Role)
		}
		for role, token := range tokens {
			if rankOf[role] >= rankOf[op.Role] {
				continue // that they may: TestEveryCallAnswersAsTheDocumentSays
			}
			if got := as(token, op.method, fill(op.path, "x", "x"), `{"kind": "module.restart", "target": "host/load"}`); got != 403 {
				t.Errorf("a %s calls %s %s: %d", role, op.method, op.path, got)
			}
		}
	}
	if n := len(r.hub.Latest().Actions.List); n != before {
		t.Errorf("%d actions were done all the same", n-before)
	}
	if got := as(tokens["operator"], "POST", "/admin/actions", `{"kind": "token.create", "target": "me", "args": {"role": "admin"}}`); got != 403 {
		t.Errorf("an operator makes a token by the table of actions: %d", got)
	}

	restarter := give("restarter", "operator", "container.*", "module.fetch")
	narrow := give("narrow", "operator", "/admin/modules/host")
	for _, tt := range []struct {
		token, method, path, body string
		want                      int
	}{
		{restarter, "GET", "/admin/modules", "", 200},
		{restarter, "POST", "/admin/modules/host/load/fetch", "", 200},
		{restarter, "POST", "/admin/modules/host/load/restart", "", 403},
		{restarter, "POST", "/admin/actions", `{"kind": "module.fetch", "target": "host/load"}`, 200},
		{restarter, "POST", "/admin/actions", `{"kind": "module.disable", "target": "host/load"}`, 403},
		{restarter, "POST", "/admin/actions", `{"kind": "container.restart", "target": "nothing"}`, 409}, // in scope; there is no container
		{narrow, "GET", "/admin/modules/host/load", "", 200},
		{narrow, "GET", "/admin/modules", "", 403},
		{narrow, "GET", "/admin/modules/hostile/load", "", 403},
		{narrow, "POST", "/admin/modules/host/load/restart", "", 200},
		{narrow, "POST", "/admin/actions", `{"kind": "module.fetch", "target": "host/load"}`, 403},
	} {
		if got := as(tt.token, tt.method, tt.path, tt.body); got != tt.want {
			t.Errorf("%s %s %s: %d, want %d", tt.method, tt.path, tt.body, got, tt.want)
		}
	}
	// What it may not do, it may not undo or cancel either.
	if status, got := r.call("POST", "/admin/modules/host/load/disable", ""); status != 200 {
		t.Fatalf("%d %v", status, got)
	}
	undo := string(r.hub.Latest().Actions.List[0].ID)
	undoer := give("undoer", "operator", "action.*")
	for _, kind := range []string{"action.undo", "action.cancel"} {
		if got := as(undoer, "POST", "/admin/actions", `{"kind": "`+kind+`", "target": "`+undo+`"}`); got != 403 {
			t.Errorf("%s of what is out of scope: %d", kind, got)
		}
	}
	// Revoked is revoked, over is over.
	if status, _ := r.call("DELETE", "/admin/tokens/narrow", ""); status != 200 {
		t.Fatal("it cannot be revoked")
	}
	if got := as(narrow, "GET", "/admin/modules/host/load", ""); got != 401 {
		t.Errorf("a revoked token: %d", got)
	}
	status, got := r.call("POST", "/admin/tokens", `{"name": "brief", "expires": "`+time.Now().Add(time.Second).UTC().Truncate(time.Second).Add(time.Second).Format(time.RFC3339)+`"}`)
	if status != 200 {
		t.Fatalf("%d %v", status, got)
	}
	brief, over := got["token"].(string), 0
	pace := time.NewTicker(20 * time.Millisecond) // slower than the reads that it may do
	defer pace.Stop()
	for deadline := time.Now().Add(sourcetest.Patience); over != 401 && time.Now().Before(deadline); <-pace.C {
		over = as(brief, "GET", "/health", "")
		if over == 429 {
			t.Fatal("the reads of a token that is over are counted as failures")
		}
	}
	if over != 401 {
		t.Errorf("a token that is over: %d", over)
	}
	for _, tok := range []string{restarter, narrow, brief, tokens["admin"]} {
		if b := r.log.String(); strings.Contains(b, tok) {
			t.Error("a token is in the log")
		}
	}
}
