package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseNamesFileLineAndWhatWasExpected(t *testing.T) {
	for _, tt := range []struct{ name, yaml, want string }{
		{"unknown key", "name: x\nloggs: []\n", `opsdeck.yaml:2:1: unknown field "loggs"`},
		{"wrong type", "logs:\n  - 5\n", "opsdeck.yaml:2:"},
		{"bad duration", "modules:\n  interval: soon\n", `opsdeck.yaml:2: "soon" is not a duration: expected one such as 30s`},
		{"negative duration", "settle: -5s\n", "is not a duration"},
		{"missing path", "logs:\n  - rotate: {keep: 3}\n", "opsdeck.yaml:2: logs[0]: path is missing"},
		{"bad size", "logs:\n  - path: a.log\n    rotate:\n      max_size: big\n", "opsdeck.yaml:4: logs[0].rotate.max_size: \"big\": expected a size such as 100MB"},
		{"bad mode", "logs:\n  - path: a.log\n    rotate:\n      mode: move\n", "opsdeck.yaml:4: logs[0].rotate.mode: \"move\": expected rename or copytruncate"},
		{"bad url", "services:\n  - name: api\n    url: localhost\n", "opsdeck.yaml:3: services[0].url"},
		{"broken yaml", "logs: [\n", "opsdeck.yaml:"},
		{"bad approval", "modules:\n  approval: maybe\n", "opsdeck.yaml:2: modules.approval: \"maybe\": expected on or off"},
		{"bad engine", "engine: {url: \"localhost:8003\"}\n", "opsdeck.yaml:1: engine.url: \"localhost:8003\": expected a URL such as"},
		{"a token in the file", "engine:\n  url: http://h:1\n  token: s3cret\n", "opsdeck.yaml:3: engine.token: a token does not belong in this file"},
		{"a token for nothing", "engine: {token: \"${T}\"}\n", "opsdeck.yaml:1: engine: url is missing"},
		{"no stage", "pipeline:\n  digest: {workers: 2}\n", "opsdeck.yaml:2: pipeline.digest: there is no such stage: expected one of ingest, aggregate, synthesize, deliver"},
		{"too many resident", "modules:\n  resident: 5000\n", "opsdeck.yaml:2: modules.resident: 5000: expected 1 to 1000"},
		{"too many workers", "pipeline:\n  ingest:\n    workers: 100\n", "opsdeck.yaml:3: pipeline.ingest.workers: 100: expected 1 to 64"},
		{"scraping nothing", "metrics:\n  scrape:\n    - name: llm\n      url: localhost\n", "opsdeck.yaml:4: metrics.scrape[0].url: \"localhost\": expected a URL such as http://127.0.0.1:8001/metrics"},
		{"scraping twice", "metrics:\n  scrape:\n    - {name: llm, url: http://a}\n    - {name: llm, url: http://b}\n", "a name that no other has was expected"},
		{"bad theme", "theme: pink\n", "opsdeck.yaml:1: theme"},
		{"bad glob", "rules: [\"a[\"]\n", "is not a glob"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("opsdeck.yaml", []byte(tt.yaml))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("name: x\nlogs:\n  - path: a\nkeys: {a: b}\n"))
	f.Add([]byte("modules: {interval: 3d}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Parse("opsdeck.yaml", b)
		if (file == nil) == (err == nil) {
			t.Errorf("Parse(%q) = %v, %v: want exactly one of them", b, file, err)
		}
	})
}

func TestLoadResolvesDefaultsWithTheirOrigin(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("REDIS_URL", "")
	t.Setenv("MODULE_ENCRYPTION_KEY", "")
	write(t, filepath.Join(dir, "opsdeck.yaml"), "name: shop\nmodules:\n  interval: 1m\n  resident: 7\nredis:\n  url: redis://:${PW}@10.0.0.1/2\n")
	write(t, filepath.Join(dir, ".env"), "# comment\nexport PW=\"s3 cret\"\nMODULE_ENCRYPTION_KEY=abc # the key\n")
	write(t, filepath.Join(dir, "modules/weather/openweather/manifest.json"), "{}")
	w, err := Load(Flags{Workspace: dir, Listen: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := time.Duration(w.Modules.Interval), time.Minute; got != want {
		t.Errorf("interval = %v, want %v", got, want)
	}
	if got, want := w.Origin["modules.interval"], "opsdeck.yaml:3"; got != want {
		t.Errorf("origin of modules.interval = %q, want %q", got, want)
	}
	if got, want := w.Origin["modules.resident"], "opsdeck.yaml:4"; got != want || w.Modules.Resident != 7 {
		t.Errorf("modules.resident = %d from %q, want 7 from %q", w.Modules.Resident, got, want)
	}
	if got, want := w.Redis.URL, "redis://:s3 cret@10.0.0.1/2"; got != want {
		t.Errorf("redis.url = %q, want %q", got, want)
	}
	if got, want := w.Origin["listen"], "flag"; got != want {
		t.Errorf("origin of listen = %q, want %q", got, want)
	}
	if key, err := w.Key(); key != "abc" || err != nil {
		t.Errorf("Key() = %q, %v, want abc", key, err)
	}
	if got, want := w.Data, filepath.Join(dir, "data"); got != want {
		t.Errorf("data = %q, want %q", got, want)
	}
	if got, want := w.Note("modules"), "1 modules found"; got != want {
		t.Errorf("note = %q, want %q", got, want)
	}
}

func TestTheDashboardsAddressIsLeftToAComposeFileThatPublishesIt(t *testing.T) {
	for _, c := range []struct{ name, yaml, compose, listen, want, from string }{
		{"by default", "", "", "", DefaultDashboard, "default"},
		{"where a compose file publishes it", "", "services:\n  dashboard:\n    ports: [\"8001:8001\"]\n", "", "off", "found docker-compose.yaml:3"},
		{"named all the same", "dashboard: 127.0.0.1:9001\n", "ports: 8001", "", "127.0.0.1:9001", "opsdeck.yaml:1"},
		{"elsewhere", "", "", "127.0.0.1:1", "off", "default"},
		{"with an orchestrator in the engine's place", "engine: {url: http://a:1}\n", "", "", "off", "default"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if c.yaml != "" {
				write(t, filepath.Join(dir, FileName), c.yaml)
			}
			if c.compose != "" {
				write(t, filepath.Join(dir, "docker-compose.yaml"), c.compose)
			}
			w, err := Load(Flags{Workspace: dir, Listen: c.listen})
			if err != nil || len(w.Problems) > 0 {
				t.Fatal(err, w.Problems)
			}
			if w.Dashboard != c.want || w.Origin["dashboard"] != c.from {
				t.Errorf("got %s, %s; want %s, %s", w.Dashboard, w.Origin["dashboard"], c.want, c.from)
			}
		})
	}
}

func TestLoadOfABrokenFileStartsWithDefaultsAndSaysSo(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "opsdeck.yaml"), "logs: 5\n")
	w, err := Load(Flags{Workspace: dir})
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Problems) != 1 || !strings.HasPrefix(w.Problems[0], "opsdeck.yaml:1:") {
		t.Errorf("problems = %q, want one of line 1", w.Problems)
	}
	if len(w.Logs) != 1 {
		t.Errorf("logs = %v, want the default", w.Logs)
	}
}

func TestAnUnrelatedFolderStaysClean(t *testing.T) {
	dir, home := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_STATE_HOME", "")
	w, err := Load(Flags{Workspace: dir})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(w.Data, filepath.Join(home, ".local/state/opsdeck")) {
		t.Errorf("data = %q, want it under %q", w.Data, home)
	}
}

func TestInitWritesAFileThatLoadsToTheSameSettings(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a: b #c")
	write(t, filepath.Join(dir, "logs/a.log"), "")
	before, err := Load(Flags{Workspace: dir})
	if err != nil {
		t.Fatal(err)
	}
	path, err := before.Init()
	if err != nil {
		t.Fatal(err)
	}
	after, err := Load(Flags{Workspace: dir})
	if err != nil || len(after.Problems) > 0 {
		b, _ := os.ReadFile(path)
		t.Fatalf("%v %v in\n%s", err, after.Problems, b)
	}
	if after.Name != before.Name || after.Modules != before.Modules || !reflect.DeepEqual(after.Metrics, before.Metrics) ||
		after.Logs[0].Path != before.Logs[0].Path || after.Rules[0] != before.Rules[0] || after.Settle != before.Settle {
		t.Errorf("got %+v, want %+v", after.File, before.File)
	}
	if _, err := after.Init(); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("second init: %v, want a refusal", err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLogsOnOtherHosts(t *testing.T) {
	for yaml, want := range map[string]string{
		"path: ssh://ops@edge-1:2222/var/log/app.log": "",
		"path: ssh://edge-1/var/log/*.log":            "there are no globs over ssh",
		"path: ssh://[::1]/var/log/app.log":           "",
		"path: ssh://edge-1/app.log#1":                "expected ssh://",
		"path: ssh://-oX/app.log":                     "can begin with -",
		"path: ssh://edge-1":                          "expected ssh://[user@]host[:port]/path/to/file",
		"path: ssh://ops:secret@edge-1/x":             "a password does not belong",
		"{path: ssh://edge-1/x, rotate: {keep: 2}}":   "is rotated there",
	} {
		_, err := Parse("opsdeck.yaml", []byte("logs:\n  - "+yaml+"\n"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret@")) {
			t.Errorf("%s: %v, want %q", yaml, err, want)
		}
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "opsdeck.yaml"), "logs:\n  - path: ssh://edge-1/var/log/app.log\n  - path: here.log\n")
	w, err := Load(Flags{Workspace: dir})
	if err != nil {
		t.Fatal(err)
	}
	if got := []string{w.Logs[0].Path, w.Logs[1].Path}; got[0] != "ssh://edge-1/var/log/app.log" || got[1] != filepath.Join(dir, "here.log") {
		t.Errorf("got %q", got)
	}
}

func TestHostsOfContainerEngines(t *testing.T) {
	for _, c := range []struct{ yaml, want string }{
		{"docker:\n  hosts:\n    - name: here\n    - name: edge\n      host: ssh://ops@edge\n    - context: \"*\"\n", ""},
		{"docker:\n  host: unix:///x\n  hosts:\n    - name: here\n", "opsdeck.yaml:2: docker: host and hosts exclude one another"},
		{"docker:\n  hosts:\n    - name: a/b\n", `opsdeck.yaml:3: docker.hosts[0].name: "a/b": expected a word without slashes`},
		{"docker:\n  hosts:\n    - name: a\n    - name: a\n", `opsdeck.yaml:4: docker.hosts[1].name: "a": another host has that name`},
		{"docker:\n  hosts:\n    - name: a\n      host: unix:///x\n      context: y\n", "host and context exclude one another"},
		{"docker:\n  hosts:\n    - cert: x.pem\n", "cert and key go together"},
	} {
		_, err := Parse("opsdeck.yaml", []byte(c.yaml))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q: %v, want %q", c.yaml, err, c.want)
		}
	}
}
