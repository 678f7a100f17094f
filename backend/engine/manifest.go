package engine

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/opsdeck/opsdeck/backend/document"
	"github.com/opsdeck/opsdeck/backend/engine/adapter"
	"github.com/opsdeck/opsdeck/backend/state"
)

//go:embed manifest.schema.json
var manifestSchema []byte

// maxManifest bounds a manifest file, in bytes.
const maxManifest = 1 << 20

// Manifest is a module's description of itself, of either shape.
type Manifest struct {
	// Short says that it is of the shape with adapter_class and required_credentials.
	Short bool
	// Fields is everything it says, as read.
	Fields map[string]any
	// Text is the file, compacted.
	Text string

	Name, Category, Platform, Version string
	DisplayName, Description          string
	EntryPoint, ClassName             string
	// NeedsCredentials says that it authenticates; Required names the fields, where known.
	NeedsCredentials bool
	Required         []string
	// Status is what the full shape says of itself, "" otherwise.
	Status state.ModuleStatus
	// Interval and Timeout are 0 where it does not say.
	Interval, Timeout time.Duration
	Settings          map[string]any
	// Memory bounds the adapter's memory in bytes.
	Memory int64
	// Resident says whether its process stays between fetches; nil leaves it open.
	Resident *bool
	// CacheTTL is how long a result answers in place of a fetch, StaleFor how long
	// the last good one stays in /context while fetches fail; 0 is not at all, and
	// for ever.
	CacheTTL, StaleFor time.Duration
	// Retries is how often a failed fetch is tried again within its timeout.
	Retries    int
	RetryDelay time.Duration
	// Rate bounds fetches a minute; 0 is no bound.
	Rate int
	// The breaker opens after BreakerFailures in a row, for BreakerOpen at first.
	BreakerFailures int
	BreakerOpen     time.Duration
	// TestFile is what module.test runs, Dependencies the Python distributions that it
	// declares; RequireTests has its tests pass before it is enabled or approved.
	TestFile     string
	Dependencies []string
	RequireTests bool
	// HTTP is the request that it makes in place of an adapter; nil for none.
	HTTP *httpSpec

	retries    *int // as far as it says
	retryDelay *float64
}

// limits returns what its adapter runs under.
func (m *Manifest) limits() adapter.Limits { return adapter.Limits{Memory: m.Memory} }

// manifests validates manifests.
type manifests struct{ full, short *document.Schema }

func newManifests() (*manifests, error) {
	full, err := document.Compile(manifestSchema, "opsdeck:manifest#/$defs/full")
	if err != nil {
		return nil, fmt.Errorf("engine: manifest schema: %w", err)
	}
	short, err := document.Compile(manifestSchema, "opsdeck:manifest#/$defs/short")
	if err != nil {
		return nil, fmt.Errorf("engine: manifest schema: %w", err)
	}
	return &manifests{full, short}, nil
}

// read loads dir/manifest.json for the module category/platform. rel is how the
// file is named in errors.
func (ms *manifests) read(dir, rel, category, platform string) (*Manifest, error) {
	path := filepath.Join(dir, "manifest.json")
	fi, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, document.Problems{{File: rel, Text: "the file is gone: a manifest was expected"}}
	}
	if err != nil {
		return nil, document.Problems{{File: rel, Text: err.Error()}}
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxManifest {
		return nil, document.Problems{{File: rel, Text: fmt.Sprintf("a regular file of at most %d bytes was expected", maxManifest)}}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, document.Problems{{File: rel, Text: err.Error()}}
	}
	m, err := ms.parse(rel, text)
	if err != nil {
		return nil, err
	}
	if m.Category != category || m.Platform != platform {
		return nil, document.Problems{{File: rel, Text: fmt.Sprintf("it says category %q and platform %q; its folder says %q and %q", m.Category, m.Platform, category, platform)}}
	}
	return m, nil
}

// parse reads a manifest of either shape. Its error is of type Problems.
func (ms *manifests) parse(file string, text []byte) (*Manifest, error) {
	d, err := document.Parse(file, text)
	if err != nil {
		return nil, err
	}
	fields, ok := d.Value.(map[string]any)
	if !ok {
		return nil, document.Problems{d.ProblemAt(0, nil, "an object was expected")}
	}
	has := func(k string) bool { _, ok := fields[k]; return ok }
	m := &Manifest{Fields: fields}
	m.Short = (has("adapter_class") || has("adapter_file") || has("required_credentials")) && !has("entry_point") && !has("class_name")
	v := ms.full
	if m.Short {
		v = ms.short
	}
	if ps := v.Check(d); ps != nil {
		return nil, ps
	}
	str := func(k string) string { s, _ := fields[k].(string); return s }
	num := func(k string, dflt float64) float64 {
		if n, ok := fields[k].(json.Number); ok {
			f, _ := n.Float64()
			return f
		}
		return dflt
	}
	given := func(k string) bool { _, ok := fields[k].(json.Number); return ok }
	dur := func(k string) time.Duration { return time.Duration(num(k, 0) * float64(time.Second)) }
	var b bytes.Buffer
	if json.Compact(&b, bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))) == nil {
		m.Text = b.String()
	}
	m.Name, m.Category, m.Platform = str("name"), str("category"), str("platform")
	m.Version, m.DisplayName, m.Description = str("version"), str("display_name"), str("description")
	m.Interval, m.Timeout = dur("interval_seconds"), dur("timeout_seconds")
	m.Settings, _ = fields["settings"].(map[string]any)
	m.Memory = int64(num("memory_limit_mb", adapter.DefaultMemory)) << 20
	if b, ok := fields["resident"].(bool); ok {
		m.Resident = &b
	}
	m.CacheTTL, m.StaleFor = dur("cache_ttl_seconds"), dur("stale_while_error_seconds")
	m.Rate, m.Retries = int(num("rate_limit_per_minute", 0)), int(num("max_retries", 0))
	m.RetryDelay = time.Duration(num("retry_delay_seconds", 1) * float64(time.Second))
	if given("max_retries") {
		m.retries = &m.Retries
	}
	if given("retry_delay_seconds") {
		s := m.RetryDelay.Seconds()
		m.retryDelay = &s
	}
	m.BreakerFailures, m.BreakerOpen = breakerFailures, breakerOpens
	if b, ok := fields["circuit_breaker"].(map[string]any); ok {
		if n, ok := b["failures"].(json.Number); ok {
			f, _ := n.Float64()
			m.BreakerFailures = int(f)
		}
		if n, ok := b["open_seconds"].(json.Number); ok {
			f, _ := n.Float64()
			m.BreakerOpen = time.Duration(f * float64(time.Second))
		}
	}
	if h, ok := fields["http"].(map[string]any); ok {
		var ps document.Problems
		if m.HTTP, ps = readHTTP(d, h); ps != nil {
			return nil, ps
		}
	}
	if m.DisplayName == "" {
		m.DisplayName = m.Name
	}
	if m.Short {
		m.EntryPoint, m.ClassName = str("adapter_file"), str("adapter_class")
		list, _ := fields["required_credentials"].([]any)
		for _, x := range list {
			if s, ok := x.(string); ok {
				m.Required = append(m.Required, s)
			}
		}
		m.NeedsCredentials = len(m.Required) > 0
	} else {
		m.EntryPoint, m.ClassName = str("entry_point"), str("class_name")
		m.Status = state.ModuleStatus(str("status"))
		needs, _ := fields["requires_api_key"].(bool)
		auth := str("auth_type")
		m.NeedsCredentials = needs || auth != "" && auth != "none"
		if auth == "basic" {
			m.Required = []string{"username", "password"}
		}
	}
	if m.HTTP != nil {
		m.Required = m.HTTP.fields
		m.NeedsCredentials = len(m.Required) > 0
		m.EntryPoint = "manifest.json" // what is looked at for changes
	}
	if m.EntryPoint == "" {
		m.EntryPoint = "adapter.py"
	}
	if m.TestFile = str("test_file"); m.TestFile == "" {
		m.TestFile = "test_adapter.py"
	}
	list, _ := fields["python_dependencies"].([]any)
	for _, x := range list {
		if s, ok := x.(string); ok {
			m.Dependencies = append(m.Dependencies, s)
		}
	}
	m.RequireTests, _ = fields["require_tests"].(bool)
	return m, nil
}

// Python reports whether the shim runs the entry point.
func (m *Manifest) Python() bool { return filepath.Ext(m.EntryPoint) == ".py" }
