package config

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Workspace is a folder with its settings resolved. Paths are absolute.
type Workspace struct {
	File
	Dir        string
	ConfigFile string // "" where there is none
	// Found lists what was looked for, and whether it exists.
	Found []state.Finding
	// Origin says for each setting, by its yaml path, where it came from: "default",
	// "found", "env NAME", "flag", "opsdeck.yaml:LINE".
	Origin map[string]string
	// Problems are the workspace file's errors; the settings are then the defaults.
	Problems []string
	env      map[string]string
}

// Flags are the values of the command line; empty if not given.
type Flags struct {
	Workspace, Config, Listen string
}

// Defaults.
const (
	DefaultListen = "127.0.0.1:8003"
	// DefaultDashboard is where the dashboard of NEXUS serves adapters and context.
	DefaultDashboard = "127.0.0.1:8001"
	DefaultRedis     = "redis://127.0.0.1:6379/0"
)

// Load finds the workspace and resolves its settings. An error means that there
// is no such folder or file; for a file whose content is invalid it returns
// Problems and the defaults, so that the console starts and shows them.
func Load(fl Flags) (*Workspace, error) {
	dir, err := findDir(fl)
	if err != nil {
		return nil, err
	}
	w := &Workspace{Dir: dir, Origin: map[string]string{}}
	w.env = readDotEnv(filepath.Join(dir, ".env"))
	var raw []byte
	path := cmp.Or(fl.Config, filepath.Join(dir, FileName))
	if path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("workspace file: %w", err)
	}
	f, err := ReadFile(path)
	var problems Problems
	switch {
	case err == nil:
		w.File, w.ConfigFile = *f, path
		raw, _ = os.ReadFile(path)
	case errors.As(err, &problems):
		w.ConfigFile, w.Problems = path, problems
	case errors.Is(err, fs.ErrNotExist) && fl.Config == "":
	default:
		return nil, err
	}
	w.resolve(fl, raw)
	return w, nil
}

// findDir returns the folder that is meant: the flag's, OPSDECK_WORKSPACE's, the
// nearest one upwards with a workspace file, the current one.
func findDir(fl Flags) (string, error) {
	dir := cmp.Or(fl.Workspace, os.Getenv("OPSDECK_WORKSPACE"))
	if dir == "" && fl.Config != "" {
		dir = filepath.Dir(fl.Config)
	}
	if dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", fmt.Errorf("workspace %s: %w", dir, err)
		}
		st, err := os.Stat(abs)
		if err != nil {
			return "", fmt.Errorf("workspace: %w: name a folder that exists with --workspace", err)
		}
		if !st.IsDir() {
			return "", fmt.Errorf("workspace %s is a file: name a folder with --workspace, a file with --config", abs)
		}
		return abs, nil
	}
	cwd, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("workspace: the current folder is unknown: %w: name one with --workspace", err)
	}
	for d := cwd; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, FileName)); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return cwd, nil
		}
	}
}

// resolve fills in what the file leaves out.
func (w *Workspace) resolve(fl Flags, raw []byte) {
	set := func(path string, v *string, fallback, origin string) {
		if *v != "" {
			w.Origin[path] = fmt.Sprintf("%s:%d", FileName, lineOf(raw, "$."+path))
			return
		}
		*v, w.Origin[path] = fallback, origin
	}
	dur := func(path string, v *Duration, fallback time.Duration) {
		if *v != 0 {
			w.Origin[path] = fmt.Sprintf("%s:%d", FileName, lineOf(raw, "$."+path))
			return
		}
		*v, w.Origin[path] = Duration(fallback), "default"
	}
	number := func(path string, v *int, fallback int) {
		if *v != 0 {
			w.Origin[path] = fmt.Sprintf("%s:%d", FileName, lineOf(raw, "$."+path))
			return
		}
		*v, w.Origin[path] = fallback, "default"
	}
	abs := func(p string) string {
		if p == "" || filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(w.Dir, p)
	}
	set("name", &w.Name, filepath.Base(w.Dir), "default")
	set("modules.dir", &w.Modules.Dir, "modules", "default")
	w.Modules.Dir = abs(w.Modules.Dir)
	set("modules.shared", &w.Modules.Shared, "shared", "default")
	w.Modules.Shared = abs(w.Modules.Shared)
	dur("modules.interval", &w.Modules.Interval, 30*time.Second)
	dur("modules.timeout", &w.Modules.Timeout, 10*time.Second)
	number("modules.resident", &w.Modules.Resident, 32)
	set("modules.python", &w.Modules.Python, "", "default")
	set("modules.approval", &w.Modules.Approval, "on", "default")
	set("credentials.key_file", &w.Credentials.KeyFile, "", "default")
	w.Credentials.KeyFile = abs(w.Credentials.KeyFile)
	set("routing", &w.Routing, "config/routing_config.json", "default")
	w.Routing = abs(w.Routing)
	dur("metrics.interval", &w.Metrics.Interval, 5*time.Second)
	dur("metrics.retention", &w.Metrics.Retention, 6*time.Hour)
	dur("metrics.evaluate", &w.Metrics.Evaluate, 15*time.Second)
	dur("metrics.scrape_interval", &w.Metrics.ScrapeInterval, 15*time.Second)
	dur("settle", &w.Settle, 10*time.Second)
	set("docker.host", &w.Docker.Host, "", "default")
	if len(w.Docker.Hosts) > 0 {
		w.Origin["docker.hosts"] = fmt.Sprintf("%s:%d", FileName, lineOf(raw, "$.docker.hosts"))
	}
	for i := range w.Docker.Hosts {
		h := &w.Docker.Hosts[i]
		h.Host = os.Expand(h.Host, w.Getenv)
		h.CA, h.Cert, h.Key = abs(h.CA), abs(h.Cert), abs(h.Key)
	}

	if w.Engine.URL != "" {
		set("engine.url", &w.Engine.URL, "", "default")
		set("engine.token", &w.Engine.Token, "${OPSDECK_TOKEN}", "default")
		w.Engine.Token = os.Expand(w.Engine.Token, w.Getenv)
		w.Engine.CA = abs(w.Engine.CA)
	}
	if fl.Listen != "" {
		w.Listen, w.Origin["listen"] = fl.Listen, "flag"
	} else {
		set("listen", &w.Listen, DefaultListen, "default")
	}
	dashboard, why := "off", "default"
	if w.Listen == DefaultListen && w.Engine.URL == "" {
		if dashboard, why = DefaultDashboard, "default"; w.publishes("8001") != "" {
			dashboard, why = "off", "found "+w.publishes("8001")
		}
	}
	set("dashboard", &w.Dashboard, dashboard, why)
	w.TLS.Cert, w.TLS.Key = abs(w.TLS.Cert), abs(w.TLS.Key)
	if w.Redis.URL == "" {
		if u := w.Getenv("REDIS_URL"); u != "" {
			w.Redis.URL, w.Origin["redis.url"] = u, "env REDIS_URL"
		}
	}
	if w.Redis.URL == "" {
		w.Redis.URL, w.Origin["redis.url"] = DefaultRedis, "default"
	} else if w.Origin["redis.url"] == "" {
		w.Origin["redis.url"] = fmt.Sprintf("%s:%d", FileName, lineOf(raw, "$.redis.url"))
	}
	w.Redis.URL = os.Expand(w.Redis.URL, w.Getenv)

	if len(w.Logs) == 0 {
		w.Logs, w.Origin["logs"] = []Log{{Path: "logs/*.log"}}, "default"
	} else {
		w.Origin["logs"] = fmt.Sprintf("%s:%d", FileName, lineOf(raw, "$.logs"))
	}
	for i := range w.Logs {
		if !w.Logs[i].Remote() {
			w.Logs[i].Path = abs(w.Logs[i].Path)
		}
		w.Logs[i].Rotate.PidFile = abs(w.Logs[i].Rotate.PidFile)
	}
	if len(w.Rules) == 0 {
		w.Rules, w.Origin["rules"] = []string{"config/prometheus/rules/*.yml", "config/prometheus/rules/*.yaml"}, "default"
	} else {
		w.Origin["rules"] = fmt.Sprintf("%s:%d", FileName, lineOf(raw, "$.rules"))
	}
	for i := range w.Rules {
		w.Rules[i] = abs(w.Rules[i])
	}
	for i := range w.Metrics.Scrape {
		w.Metrics.Scrape[i].URL = os.Expand(w.Metrics.Scrape[i].URL, w.Getenv)
	}
	for i := range w.Service {
		w.Service[i].URL = os.Expand(w.Service[i].URL, w.Getenv)
	}
	w.find()
	if w.Data == "" {
		w.Data, w.Origin["data"] = w.dataDir()
	} else {
		w.Origin["data"] = fmt.Sprintf("%s:%d", FileName, lineOf(raw, "$.data"))
	}
	w.Data = abs(w.Data)
}

// publishes returns the compose file here that mentions a port, with the line; "" where
// none does.
func (w *Workspace) publishes(port string) string {
	for _, name := range []string{"docker-compose.yaml", "docker-compose.yml", "compose.yaml", "compose.yml"} {
		b, err := os.ReadFile(filepath.Join(w.Dir, name))
		if err != nil {
			continue
		}
		n := 0
		for line := range strings.Lines(string(b)) {
			if n++; strings.Contains(line, port) {
				return fmt.Sprintf("%s:%d", name, n)
			}
		}
	}
	return ""
}

// find searches the folder for what a workspace may hold.
func (w *Workspace) find() {
	add := func(what, where string, n int, noun string) {
		f := state.Finding{What: what, Where: w.Rel(where), Found: n > 0, Origin: w.Origin[map[string]string{
			"modules": "modules.dir", "logs": "logs", "rules": "rules", "routing": "routing"}[what]]}
		if n > 0 && noun != "" {
			f.Note = fmt.Sprintf("%d %s", n, noun)
		}
		w.Found = append(w.Found, f)
	}
	count := func(globs ...string) int {
		n := 0
		for _, g := range globs {
			if (Log{Path: g}).Remote() {
				n++
			}
			m, _ := filepath.Glob(g)
			n += len(m)
		}
		return n
	}
	add("modules", w.Modules.Dir, count(filepath.Join(w.Modules.Dir, "*", "*", "manifest.json")), "modules")
	var globs []string
	for _, l := range w.Logs {
		globs = append(globs, l.Path)
	}
	add("logs", globs[0], count(globs...), "files")
	add("rules", w.Rules[0], count(w.Rules...), "files")
	add("routing", w.Routing, count(w.Routing), "")
	add("databases", filepath.Join(w.Dir, "data", "*.db"), count(filepath.Join(w.Dir, "data", "*.db")), "files")
}

// dataDir returns where databases go: beside the modules where this is a workspace,
// else under the user's state folder, so that an unrelated folder stays clean.
func (w *Workspace) dataDir() (dir, origin string) {
	here := filepath.Join(w.Dir, "data")
	if st, err := os.Stat(here); err == nil && st.IsDir() {
		return here, "found"
	}
	if w.ConfigFile != "" {
		return here, "default"
	}
	if st, err := os.Stat(w.Modules.Dir); err == nil && st.IsDir() {
		return here, "default"
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(w.Dir))
	return filepath.Join(StateDir(), fmt.Sprintf("%s-%08x", filepath.Base(w.Dir), h.Sum32())), "default"
}

// StateDir returns the user's folder for what opsdeck keeps outside of workspaces:
// $XDG_STATE_HOME/opsdeck, ~/.local/state/opsdeck, or, without a home, one under
// the system's temporary folder that belongs to this user.
func StateDir() string {
	if d := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "opsdeck")
	}
	if home, err := os.UserHomeDir(); err == nil && home != "" && home != "/" {
		return filepath.Join(home, ".local", "state", "opsdeck")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("opsdeck-%d", os.Getuid()))
}

// At returns the workspace with the orchestrator at url in place of its own engine,
// and data of its own.
func (w *Workspace) At(url, token, ca string) *Workspace {
	at := *w
	h := fnv.New32a()
	_, _ = h.Write([]byte(w.Dir + " " + url))
	at.Engine, at.Listen, at.Name = Engine{URL: url, Token: token, CA: ca}, "off", url
	at.Data = filepath.Join(StateDir(), fmt.Sprintf("attached-%08x", h.Sum32()))
	return &at
}

// Rel returns path relative to the workspace where it lies in it.
func (w *Workspace) Rel(path string) string {
	if (Log{Path: path}).Remote() {
		return path
	}
	if r, err := filepath.Rel(w.Dir, path); err == nil && !strings.HasPrefix(r, "..") {
		return r
	}
	return path
}

// Getenv returns a variable of the environment, or of the workspace's .env file.
func (w *Workspace) Getenv(name string) string {
	if v, ok := os.LookupEnv(name); ok && v != "" {
		return v
	}
	return w.env[name]
}

// readDotEnv reads NAME=value lines, with optional export, quotes and comments,
// as docker-compose does. A file that cannot be read is empty.
func readDotEnv(path string) map[string]string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	env := map[string]string{}
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		line := strings.TrimSpace(sc.Text())
		line = strings.TrimPrefix(line, "export ")
		name, v, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		v = strings.TrimSpace(v)
		if n := len(v); n >= 2 && (v[0] == '"' || v[0] == '\'') && v[n-1] == v[0] {
			v = v[1 : n-1]
		} else if i := strings.Index(v, " #"); i >= 0 {
			v = strings.TrimSpace(v[:i])
		}
		env[strings.TrimSpace(name)] = v
	}
	return env
}
