package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/opsdeck/opsdeck/backend/journal"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// guideCommands returns the commands of testdata/guide/curl.sh, whole ones.
func guideCommands(t *testing.T) (all []string) {
	t.Helper()
	b, err := os.ReadFile("testdata/guide/curl.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.ReplaceAll(string(b), "\\\n", " "), "\n") {
		if strings.HasPrefix(line, "curl ") {
			all = append(all, line)
		}
	}
	if len(all) != 12 {
		t.Fatalf("%d commands, want 12", len(all))
	}
	return all
}

// TestTheGuidesCommandsWorkAsPrinted runs each with the shell, curl and jq against a
// real engine in a workspace without a workspace file, in the guide's order. A file of
// curl's own sends their ports to where that engine listens: the commands are not touched.
func TestTheGuidesCommandsWorkAsPrinted(t *testing.T) {
	sourcetest.Program(t, "curl")
	sourcetest.Program(t, "jq")
	commands := guideCommands(t)
	dir := t.TempDir()
	makeWorkspace(t, dir, "", map[string]bool{"my_category/my_platform": false, "weather/openweather": false})
	if err := os.Remove(filepath.Join(dir, "opsdeck.yaml")); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".env", "MODULE_ENCRYPTION_KEY="+testKey+"\n")
	write("config/routing_config.json", `{
  "lidm_delegation_threshold": 0.7,
  "performance_constraints": {
    "max_latency_ms": 5000,
    "max_cost_per_request": 0.05
  }
}
`)
	ctx, cancel := context.WithTimeout(t.Context(), sourcetest.Patience)
	defer cancel()
	serve := exec.CommandContext(ctx, "opsdeck", "serve", "--workspace", dir, "--listen", "127.0.0.1:0")
	serve.Env = append(os.Environ(), "HOME="+dir, "DOCKER_HOST=unix:///nonexistent/docker.sock", "REDIS_URL=unix:///nonexistent/redis.sock", "OPSDECK_TOKEN=")
	var said lockedText
	serve.Stdout, serve.Stderr = &said, &said
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = serve.Process.Signal(syscall.SIGINT)
		if err := serve.Wait(); err != nil {
			t.Errorf("the engine ends with %v: %s", err, said.String())
		}
	}()
	at := regexp.MustCompile(`API at (127\.0\.0\.1:\d+)`)
	sourcetest.Until(t, "it serves", func() bool { return at.MatchString(said.String()) })
	addr := at.FindStringSubmatch(said.String())[1]
	write(".curlrc", fmt.Sprintf("connect-to = localhost:8003:%[1]s\nconnect-to = localhost:8001:%[1]s\nsilent\nshow-error\nfail-with-body\n", addr))

	answers := map[string]string{}
	for _, c := range commands {
		sh := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", c)
		sh.Dir = dir
		sh.Env = append(os.Environ(), "CURL_HOME="+dir, "HOME="+dir, "http_proxy=", "all_proxy=")
		var out, errOut strings.Builder
		sh.Stdout, sh.Stderr = &out, &errOut
		if err := sh.Run(); err != nil {
			t.Errorf("%s\n%v: %s%s", c, err, out.String(), errOut.String())
			continue
		}
		if !json.Valid([]byte(out.String())) {
			t.Errorf("%s\nanswers what is no JSON: %s", c, out.String())
		}
		answers[c] = out.String()
	}
	for part, want := range map[string]string{
		"/admin/health": `"status":"ok"`, ":8001/health": `"status":"healthy"`, "adapters/clear-cache": `"success":true`, "credentials/{platform}": `"has_credentials":false`, "my_platform/enable": `"success":true`,
		`select(.platform`: `"platform": "my_platform"`, "openweather/check": `"valid":true`, "routing-config | jq": `"max_cost_per_request": 0.05`,
		"openweather/reload": `"success":true`, "admin/credentials  ": `"success":true`,
	} {
		found := false
		for c, got := range answers {
			found = found || strings.Contains(c, part) && strings.Contains(got, want)
		}
		if !found {
			t.Errorf("no answer of %q has %s", part, want)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "config", "routing_config.json"))
	if err != nil || !strings.Contains(string(b), `"lidm_delegation_threshold": 0.8`) || !strings.Contains(string(b), "max_latency_ms") {
		t.Errorf("the routing file after it was put with dots: %s (%v)", b, err)
	}
	begun := 0
	if err := journal.Read(filepath.Join(dir, "data", "journal.jsonl"), func(e state.Entry) bool {
		if e.Phase == state.PhaseBegin {
			begun++
			if e.Actor.User == "" || e.Actor.Via != "api" || e.Actor.Request == "" {
				t.Errorf("entry %d is by %+v", e.Seq, e.Actor)
			}
		}
		if strings.Contains(fmt.Sprint(e), "new-key") {
			t.Errorf("entry %d has the credential in it", e.Seq)
		}
		return true
	}); err != nil || begun < 4 {
		t.Errorf("%d actions are in the journal, want those of the changes (%v)", begun, err)
	}
}
