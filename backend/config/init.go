package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/opsdeck/opsdeck/backend/state"
)

var initTemplate = template.Must(template.New("").Funcs(template.FuncMap{
	"dur": func(d Duration) string { return state.ShortDuration(time.Duration(d)) },
	"q": func(s string) (string, error) { // one YAML scalar, quoted where YAML needs it
		b, err := yaml.Marshal(s)
		return strings.TrimSpace(string(b)), err
	},
}).Parse(`# The workspace of opsdeck: what the console stands on. Every line may be left
# out; what is commented is the default. "opsdeck doctor" checks this file,
# ":reload workspace file" or "opsdeck config reload" puts a change into force.

name: {{q .Name}}

# Databases, journal and metrics.
data: {{q (.Rel .Data)}}

# The admin API. "off" for none. Callers from elsewhere need a token ("opsdeck tokens
# create"), and should find TLS.
listen: {{q .Listen}}

# The same API where what asks the dashboard of NEXUS looks for it. "off" for none.
dashboard: {{q .Dashboard}}
# tls:
#   cert: tls/cert.pem     # PEM; read again when they change
#   key: tls/key.pem
# hosts: [ops.example]     # further names by which it is called

# Modules: {{.Note "modules"}}.
modules:
  dir: {{q (.Rel .Modules.Dir)}}
  shared: {{q (.Rel .Modules.Shared)}}   # what adapters import as "shared"
  interval: {{dur .Modules.Interval}}    # between fetches
  timeout: {{dur .Modules.Timeout}}     # of one fetch
  resident: {{.Modules.Resident}}           # adapters that wait for their next fetch in a process
  # python: /usr/bin/python3
  # approval: off          # changed files run without a yes
  # require_tests: true    # a module's own tests pass before it is enabled

# The credential store's master key is MODULE_ENCRYPTION_KEY, in the environment, among
# systemd's credentials or in .env, or else stands in a file, old keys below it:
# credentials:
#   key_file: /etc/nexus/module_encryption_key

# A NEXUS orchestrator that runs already, in place of the engine inside.
# engine:
#   url: http://127.0.0.1:8003
#   token: ${OPSDECK_TOKEN}
#   ca: /etc/ssl/private-ca.pem

# What each stage of the pipeline may do at a time:
# pipeline:
#   ingest: {workers: 2, capacity: 256}

# Routing configuration: {{.Note "routing"}}.
routing: {{q (.Rel .Routing)}}

# Log files that are followed: {{.Note "logs"}}.
logs:
{{- range .Logs}}
  - path: {{q ($.Rel .Path)}}
    # rotate:
    #   keep: 5
    #   max_size: 100MB        # by itself, once it is as large
    #   max_age: 7d            #   or its first line is as old
    #   compress: true
    #   mode: copytruncate     # or rename, for a writer that reopens:
    #   signal: HUP            #   sent to the process
    #   pid_file: run/app.pid  #   whose id is in this file
    #   reopen: [make, reopen-logs]
{{- end}}
# A file on another host, for which ssh has a key and knows the host:
#   - path: ssh://ops@edge-1/var/log/app.log

# Filters of logs with a name: @name in the console, in "opsdeck logs --where" and below.
# filters:
#   api-errors: status>=500 path~^/api not healthz

# What is counted as it is written into logs: opsdeck_log_watch_matches{watch="NAME"} has
# the records within the window. With "above" it is an alert.
# watches:
#   - name: api-errors
#     source: logs/*.log     # or container:api, container:*
#     where: "@api-errors"
#     window: 5m
#     above: 10
#     for: 1m
#     severity: critical     # default: warning
#     runbook: https://wiki.example/runbooks/api-errors

# Container engine. Default: DOCKER_HOST, the current context, the local socket.
# docker:
#   host: unix:///var/run/docker.sock
# Or several in one table; ssh needs nothing on the host but the socket:
#   hosts:
#     - name: here
#     - name: edge-1
#       host: ssh://ops@edge-1
#     - name: db
#       host: tcp://10.0.0.5:2376
#       ca: certs/ca.pem
#       cert: certs/cert.pem
#       key: certs/key.pem
#     - context: staging       # of the docker command; "*" for each

# Queues. ${NAME} is taken from the environment or .env.
# redis:
#   url: redis://127.0.0.1:6379/0
#   keys: ["task:queue", "task:queue:failed", "task:in-progress:*", "worker:*"]

# Prometheus rule files: {{.Note "rules"}}.
rules:
{{- range .Rules}}
  - {{q ($.Rel .)}}
{{- end}}

# Services whose health is probed.
# services:
#   - name: orchestrator
#     url: http://127.0.0.1:8003/admin/health
#   - name: api
#     url: http://127.0.0.1:3000/health

metrics:
  interval: {{dur .Metrics.Interval}}     # between samples
  retention: {{dur .Metrics.Retention}}
  evaluate: {{dur .Metrics.Evaluate}}    # rules without an interval of their own
  # Services whose delegation, provider, tool and inference figures are stored, asked
  # for in rules and served at /metrics/prometheus with the engine's own.
  # scrape:
  #   - name: llm
  #     url: http://127.0.0.1:8002/metrics

# How long after a restart or reload its verdict is taken.
settle: {{dur .Settle}}

# panes: [modules, containers, logs]   # on the keys 1 to 9, in this order; 0 lists all
# theme: dark            # light, contrast, none
# keys:                  # rebind: action: key ("opsdeck doctor" reports clashes)
#   follow: f5
`))

// Note returns what was found of a kind, for the comments of init.
func (w *Workspace) Note(what string) string {
	for _, f := range w.Found {
		if f.What == what && f.Found {
			if f.Note == "" {
				return "found"
			}
			return f.Note + " found"
		}
	}
	return "none found"
}

// Init writes the workspace file of w and returns its path. It never overwrites
// one.
func (w *Workspace) Init() (string, error) {
	path := filepath.Join(w.Dir, FileName)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("init: %s exists already: edit it, or remove it first", path)
	}
	if err != nil {
		return "", fmt.Errorf("init: write the workspace file: %w", err)
	}
	if err := errors.Join(initTemplate.Execute(f, w), f.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("init: write %s: %w", path, err), os.Remove(path))
	}
	return path, nil
}
