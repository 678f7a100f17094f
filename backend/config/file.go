package config

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/goccy/go-yaml"

	"github.com/opsdeck/opsdeck/backend/state"
)

// FileName is the workspace file's name.
const FileName = "opsdeck.yaml"

// File is the workspace file. Every field may be left out.
type File struct {
	// Name is the workspace's title; default: its folder's name.
	Name string `yaml:"name"`
	// Data is the folder of databases, journal and metrics; default "data".
	Data string `yaml:"data"`
	// Listen is the admin API's address; default "127.0.0.1:8003"; "off" for none.
	Listen string `yaml:"listen"`
	// Dashboard is a second address of the same API, for what asks the dashboard of
	// NEXUS; "off" for none. Default: DefaultDashboard beside the default Listen, unless
	// a compose file here publishes that port.
	Dashboard string `yaml:"dashboard"`
	// TLS serves the admin API over TLS; default: not.
	TLS TLS `yaml:"tls"`
	// Hosts are further names by which the admin API is called: a Host header must have
	// one that is known.
	Hosts []string `yaml:"hosts"`
	// Engine is an orchestrator that takes the place of the engine inside.
	Engine  Engine  `yaml:"engine"`
	Modules Modules `yaml:"modules"`
	// Credentials says where the master key of the credential store comes from.
	Credentials Credentials `yaml:"credentials"`
	// Pipeline says what each stage, by its title, may do at a time.
	Pipeline map[string]Stage `yaml:"pipeline"`
	Routing  string           `yaml:"routing"`
	Logs     []Log            `yaml:"logs"`
	// Filters are filters of logs by name: @name in the console, in --where and in watches.
	Filters map[string]string `yaml:"filters"`
	// Watches count what is written into logs, and make alerts of it.
	Watches []Watch   `yaml:"watches"`
	Docker  Docker    `yaml:"docker"`
	Redis   Redis     `yaml:"redis"`
	Rules   []string  `yaml:"rules"`
	Service []Service `yaml:"services"`
	Metrics Metrics   `yaml:"metrics"`
	// Settle is how long after an action its verdict is taken; default 10s.
	Settle Duration `yaml:"settle"`
	// Keys rebinds the console's keys: action name to key.
	Keys map[string]string `yaml:"keys"`
	// Panes are those that the digits focus, by name, at most nine; default: the first.
	Panes []string `yaml:"panes"`
	// Theme is "dark", "light", "contrast" or "none"; default: what the terminal says.
	Theme string `yaml:"theme"`
}

// Engine is a NEXUS orchestrator that runs already.
type Engine struct {
	// URL is its admin API's; "" for the engine inside.
	URL string `yaml:"url"`
	// Token is sent with every request; ${NAME} is taken from the environment or
	// .env. Default: OPSDECK_TOKEN.
	Token string `yaml:"token"`
	// CA is a file of PEM certificates that may sign the server's.
	CA string `yaml:"ca"`
}

// Modules configures the engine.
type Modules struct {
	Dir string `yaml:"dir"`
	// Shared is the folder that adapters import as "shared"; default "shared".
	Shared string `yaml:"shared"`
	// Interval between fetches, default 30s; Timeout of one, default 10s.
	Interval Duration `yaml:"interval"`
	Timeout  Duration `yaml:"timeout"`
	// Resident is how many adapters stay in their processes between fetches, beside
	// those that keep something, 1 to 1000; default 32.
	Resident int `yaml:"resident"`
	// Python is the interpreter; default: python3 on the PATH.
	Python string `yaml:"python"`
	// Approval is "on", which is the default, or "off": then modules run whatever is in
	// their folders, and a change of their files needs no approval.
	Approval string `yaml:"approval"`
	// RequireTests has every module's own tests pass before it is enabled or approved.
	RequireTests bool `yaml:"require_tests"`
}

// Credentials configures the credential store.
type Credentials struct {
	// KeyFile has the master key in its first line and old keys, that only decrypt,
	// in the following ones; default: the environment, systemd, .env.
	KeyFile string `yaml:"key_file"`
}

// TLS names a certificate chain and its key, in PEM. They are read again when they
// change.
type TLS struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Stage configures one stage of the pipeline: ingest, aggregate, synthesize, deliver.
type Stage struct {
	// Workers is how many jobs it works on at a time, 1 to 64; default 2 for ingest, 1
	// for the others.
	Workers int `yaml:"workers"`
	// Capacity is how many jobs may wait before it, 1 to 10000; default 256.
	Capacity int `yaml:"capacity"`
}

// stages are the pipeline's, in flow order.
var stages = []string{"ingest", "aggregate", "synthesize", "deliver"}

// Log is one glob of log files and how they are rotated.
type Log struct {
	Path   string   `yaml:"path"`
	Rotate Rotation `yaml:"rotate"`
}

// Remote reports whether it is a file on another host: ssh://[user@]host[:port]/path.
func (l Log) Remote() bool { return strings.HasPrefix(l.Path, "ssh://") }

// Rotation configures how a log file is rotated.
type Rotation struct {
	// Keep is how many old files stay; default 5.
	Keep int `yaml:"keep"`
	// Compress old files but the newest with gzip; default true.
	Compress *bool `yaml:"compress"`
	// Mode is "copytruncate" (default: it suits a writer that never reopens) or "rename".
	Mode string `yaml:"mode"`
	// Signal is sent, after a rename, to the process whose id is in PidFile.
	Signal  string `yaml:"signal"`
	PidFile string `yaml:"pid_file"`
	// Reopen is a command to run after a rename.
	Reopen []string `yaml:"reopen"`
	// MaxSize has a file rotated by itself once it is as large: "100MB"; MaxAge once its
	// first line is as old: "24h", "7d". Default: never.
	MaxSize string   `yaml:"max_size"`
	MaxAge  Duration `yaml:"max_age"`
}

// Bytes returns MaxSize in bytes, 0 for never.
func (r Rotation) Bytes() int64 {
	n, err := humanize.ParseBytes(r.MaxSize)
	if err != nil || n > math.MaxInt64 {
		return 0
	}
	return int64(n)
}

// Docker configures the container engine.
type Docker struct {
	// Host is its address; default: DOCKER_HOST, the current context, the local socket.
	Host string `yaml:"host"`
	// Hosts are several engines in one table, in place of Host.
	Hosts []DockerHost `yaml:"hosts"`
}

// DockerHost is one of several container engines.
type DockerHost struct {
	// Name is what the table calls it: unique, without spaces and slashes. Default: the
	// host's name in the address, or the context's.
	Name string `yaml:"name"`
	// Host is unix:///path, tcp://host:port or ssh://[user@]host[:port][/path/to/socket];
	// Context, in its place, a context of the docker command, "*" for one of each.
	// Neither is what the docker command would use.
	Host    string `yaml:"host"`
	Context string `yaml:"context"`
	// CA, Cert and Key are TLS files of a tcp:// host.
	CA   string `yaml:"ca"`
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Redis configures the queues.
type Redis struct {
	// URL is redis://[user:password@]host:port/db or unix://path; ${NAME} is taken
	// from the environment. Default redis://127.0.0.1:6379/0.
	URL string `yaml:"url"`
	// Keys are keys and globs to watch; default: what is found.
	Keys []string `yaml:"keys"`
}

// Service is one service whose health is probed.
type Service struct {
	Name string `yaml:"name"`
	// URL is http, https, tcp, redis or postgres.
	URL string `yaml:"url"`
}

// Metrics configures the embedded time series and rule evaluation.
type Metrics struct {
	// Interval between samples, default 5s; Retention, default 6h.
	Interval  Duration `yaml:"interval"`
	Retention Duration `yaml:"retention"`
	// Evaluate is how often rules without an interval of their own are evaluated;
	// default 15s.
	Evaluate Duration `yaml:"evaluate"`
	// Scrape are the services whose metrics are relayed, each ScrapeInterval, 15s.
	Scrape         []Scrape `yaml:"scrape"`
	ScrapeInterval Duration `yaml:"scrape_interval"`
}

// Scrape is one service whose metrics are stored and served with the engine's own.
type Scrape struct {
	// Name becomes the label "service".
	Name string `yaml:"name"`
	// URL serves the exposition format; ${NAME} is taken from the environment.
	URL string `yaml:"url"`
	// Match are the beginnings of the names that are taken; default: delegation,
	// providers, tools, RPC and inference.
	Match []string `yaml:"match"`
}

// Duration is a time.Duration written as "30s", "2h" or "7d".
type Duration time.Duration

// UnmarshalYAML reads a duration, with days as well.
func (d *Duration) UnmarshalYAML(b []byte) error {
	text := strings.Trim(strings.TrimSpace(string(b)), `"'`)
	v, err := state.ParseDuration(text)
	if err != nil {
		return durationError{text, err}
	}
	*d = Duration(v)
	return nil
}

// durationError is a bad duration. The library does not report the position of a
// value with its own unmarshaller, so its text is searched for.
type durationError struct {
	text string
	error
}

// MarshalYAML writes it as a string.
func (d Duration) MarshalYAML() ([]byte, error) {
	return []byte(state.ShortDuration(time.Duration(d))), nil
}

// Problems is a workspace file's errors: each with file, line, what was expected.
type Problems []string

// Error implements error.
func (p Problems) Error() string { return strings.Join(p, "\n") }

// ReadFile reads a workspace file. The error is a Problems if its content
// is invalid.
func ReadFile(path string) (*File, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the workspace file: %w", err)
	}
	return Parse(filepath.Base(path), b)
}

// Parse reads a workspace file's content; name is used in errors.
func Parse(name string, b []byte) (f *File, err error) {
	defer func() {
		if r := recover(); r != nil { // the parser's own faults must not be ours
			f, err = nil, Problems{fmt.Sprintf("%s:1: not YAML that can be read: %v", name, r)}
		}
	}()
	f = &File{}
	if err := yaml.UnmarshalWithOptions(b, f, yaml.Strict()); err != nil {
		return nil, Problems{position(name, b, err)}
	}
	var p Problems
	check := func(ok bool, path, format string, args ...any) {
		if !ok {
			p = append(p, fmt.Sprintf("%s:%d: %s: %s", name, lineOf(b, path), strings.TrimPrefix(path, "$."), fmt.Sprintf(format, args...)))
		}
	}
	check((f.TLS.Cert == "") == (f.TLS.Key == ""), "$.tls", "cert and key go together: one of them is missing")
	check(f.Modules.Approval == "" || f.Modules.Approval == "on" || f.Modules.Approval == "off", "$.modules.approval", "%q: expected on or off", f.Modules.Approval)
	for i, h := range f.Hosts {
		check(h != "" && !strings.ContainsAny(h, "/:* "), fmt.Sprintf("$.hosts[%d]", i), "%q: expected a host's name without scheme and port", h)
	}
	check(f.Docker.Host == "" || len(f.Docker.Hosts) == 0, "$.docker", "host and hosts exclude one another: move host into the list")
	hosts := map[string]bool{}
	for i, h := range f.Docker.Hosts {
		at := fmt.Sprintf("$.docker.hosts[%d]", i)
		check(!strings.ContainsAny(h.Name, "/ \t\n"), at+".name", "%q: expected a word without slashes", h.Name)
		check(h.Name == "" || !hosts[h.Name], at+".name", "%q: another host has that name", h.Name)
		check(h.Host == "" || h.Context == "", at, "host and context exclude one another")
		check(h.Context != "*" || h.Name == "", at+".name", "all contexts cannot have one name: leave it out")
		check((h.Cert == "") == (h.Key == ""), at, "cert and key go together: one of them is missing")
		hosts[h.Name] = true
	}
	for i, l := range f.Logs {
		at := fmt.Sprintf("$.logs[%d]", i)
		check(l.Path != "", at, "path is missing: expected a file or a glob such as logs/*.log")
		if l.Remote() {
			u, err := state.ParseRemoteFile(l.Path)
			check(err == nil, at+".path", "%v", err)
			check(err != nil || !strings.ContainsAny(u.EscapedPath(), "*["), at+".path", "name the files one by one: there are no globs over ssh")
			check(reflect.ValueOf(l.Rotate).IsZero(), at+".rotate", "a file on another host is rotated there")
			continue
		}
		_, gerr := filepath.Match(l.Path, "")
		check(gerr == nil, at+".path", "%q is not a glob", l.Path)
		check(l.Rotate.Mode == "" || l.Rotate.Mode == "rename" || l.Rotate.Mode == "copytruncate", at+".rotate.mode",
			"%q: expected rename or copytruncate", l.Rotate.Mode)
		check(l.Rotate.MaxSize == "" || l.Rotate.Bytes() > 0, at+".rotate.max_size", "%q: expected a size such as 100MB", l.Rotate.MaxSize)
		check(l.Rotate.Keep >= 0, at+".rotate.keep", "%d: expected 0 or more", l.Rotate.Keep)
		check(l.Rotate.Signal == "" || l.Rotate.PidFile != "", at+".rotate.signal", "needs pid_file, the file with the process id to signal")
	}
	f.checkWatches(check)
	check(f.Modules.Resident >= 0 && f.Modules.Resident <= 1000, "$.modules.resident", "%d: expected 1 to 1000", f.Modules.Resident)
	for title, s := range f.Pipeline {
		at := "$.pipeline." + title
		check(slices.Contains(stages, title), at, "there is no such stage: expected one of %s", strings.Join(stages, ", "))
		check(s.Workers >= 0 && s.Workers <= 64, at+".workers", "%d: expected 1 to 64", s.Workers)
		check(s.Capacity >= 0 && s.Capacity <= 10000, at+".capacity", "%d: expected 1 to 10000", s.Capacity)
	}
	check(len(f.Panes) <= 9, "$.panes", "%d are named: expected at most nine, one for each digit", len(f.Panes))
	for i, s := range f.Service {
		at := fmt.Sprintf("$.services[%d]", i)
		check(s.Name != "", at, "name is missing")
		check(strings.Contains(s.URL, "://"), at+".url", "%q: expected a URL such as http://127.0.0.1:3000/health", s.URL)
	}
	u, uerr := url.Parse(f.Engine.URL)
	check(f.Engine.URL == "" || uerr == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "", "$.engine.url",
		"%q: expected a URL such as http://127.0.0.1:8003", f.Engine.URL)
	check(f.Engine.URL != "" || f.Engine.Token == "" && f.Engine.CA == "", "$.engine", "url is missing: token and ca are for an orchestrator elsewhere")
	check(f.Engine.Token == "" || strings.Contains(f.Engine.Token, "${"), "$.engine.token", "a token does not belong in this file: write ${NAME}, and NAME into the environment or .env")
	names := map[string]bool{}
	for i, s := range f.Metrics.Scrape {
		at := fmt.Sprintf("$.metrics.scrape[%d]", i)
		check(s.Name != "" && !names[s.Name], at, "a name that no other has was expected")
		check(strings.HasPrefix(s.URL, "http://") || strings.HasPrefix(s.URL, "https://"), at+".url", "%q: expected a URL such as http://127.0.0.1:8001/metrics", s.URL)
		names[s.Name] = true
	}
	for i, r := range f.Rules {
		_, gerr := filepath.Match(r, "")
		check(gerr == nil, fmt.Sprintf("$.rules[%d]", i), "%q is not a glob", r)
	}
	switch f.Theme {
	case "", "dark", "light", "contrast", "none":
	default:
		check(false, "$.theme", "%q: expected dark, light, contrast or none", f.Theme)
	}
	if len(p) > 0 {
		return nil, p
	}
	return f, nil
}

// position returns a YAML error in the form "file:line:column: what".
func position(name string, b []byte, err error) string {
	var bad durationError
	if errors.As(err, &bad) {
		n := 1
		for line := range strings.Lines(string(b)) {
			if _, v, ok := strings.Cut(line, ":"); ok && strings.Contains(v, bad.text) {
				return fmt.Sprintf("%s:%d: %v", name, n, bad.error)
			}
			n++
		}
		return fmt.Sprintf("%s:1: %v", name, bad.error)
	}
	var ye yaml.Error
	if errors.As(err, &ye) {
		msg := ye.GetMessage()
		if tok := ye.GetToken(); tok != nil && tok.Position != nil {
			return fmt.Sprintf("%s:%d:%d: %s", name, tok.Position.Line, tok.Position.Column, msg)
		}
		return fmt.Sprintf("%s:1: %s", name, msg)
	}
	return fmt.Sprintf("%s:1: %v", name, err)
}

// Line returns the line of a setting in the workspace file, by its path ("keys.follow"),
// or of its nearest parent that is there; 1 where none is.
func (w *Workspace) Line(path string) int {
	b, err := os.ReadFile(w.ConfigFile)
	if err != nil {
		return 1
	}
	return lineOf(b, "$."+path)
}

// lineOf returns the line of a YAML path in b, or of its nearest parent that is there; 1 where
// none is.
func lineOf(b []byte, path string) int {
	for path != "$" && path != "" {
		if p, err := yaml.PathString(path); err == nil {
			if node, err := p.ReadNode(strings.NewReader(string(b))); err == nil && node.GetToken() != nil {
				return node.GetToken().Position.Line
			}
		}
		path = path[:max(strings.LastIndexByte(path, '.'), strings.LastIndexByte(path, '['), 0)]
	}
	return 1
}
