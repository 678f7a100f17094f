package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

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
}

// limits are what its adapter runs under.
func (m *Manifest) limits() limits { return limits{memory: m.Memory} }

// manifests validates manifests.
type manifests struct{ full, short *validator }

func newManifests() (*manifests, error) {
	full, err := newValidator(manifestSchema, "opsdeck:manifest#/$defs/full")
	if err != nil {
		return nil, fmt.Errorf("engine: manifest schema: %w", err)
	}
	short, err := newValidator(manifestSchema, "opsdeck:manifest#/$defs/short")
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
		return nil, Problems{{File: rel, Text: "the file is gone: a manifest was expected"}}
	}
	if err != nil {
		return nil, Problems{{File: rel, Text: err.Error()}}
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxManifest {
		return nil, Problems{{File: rel, Text: fmt.Sprintf("a regular file of at most %d bytes was expected", maxManifest)}}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, Problems{{File: rel, Text: err.Error()}}
	}
	m, err := ms.parse(rel, text)
	if err != nil {
		return nil, err
	}
	if m.Category != category || m.Platform != platform {
		return nil, Problems{{File: rel, Text: fmt.Sprintf("it says category %q and platform %q; its folder says %q and %q", m.Category, m.Platform, category, platform)}}
	}
	return m, nil
}

// parse reads a manifest of either shape. Its error is of type Problems.
func (ms *manifests) parse(file string, text []byte) (*Manifest, error) {
	d, err := parse(file, text)
	if err != nil {
		return nil, err
	}
	fields, ok := d.value.(map[string]any)
	if !ok {
		return nil, Problems{d.problem(0, nil, "an object was expected")}
	}
	has := func(k string) bool { _, ok := fields[k]; return ok }
	m := &Manifest{Fields: fields}
	m.Short = (has("adapter_class") || has("adapter_file") || has("required_credentials")) && !has("entry_point") && !has("class_name")
	v := ms.full
	if m.Short {
		v = ms.short
	}
	if ps := v.check(d); ps != nil {
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
	dur := func(k string) time.Duration { return time.Duration(num(k, 0) * float64(time.Second)) }
	var b bytes.Buffer
	if json.Compact(&b, bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))) == nil {
		m.Text = b.String()
	}
	m.Name, m.Category, m.Platform = str("name"), str("category"), str("platform")
	m.Version, m.DisplayName, m.Description = str("version"), str("display_name"), str("description")
	m.Interval, m.Timeout = dur("interval_seconds"), dur("timeout_seconds")
	m.Settings, _ = fields["settings"].(map[string]any)
	m.Memory = int64(num("memory_limit_mb", defaultMemory)) << 20
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
	if m.EntryPoint == "" {
		m.EntryPoint = "adapter.py"
	}
	return m, nil
}

// Python reports whether the shim runs the entry point.
func (m *Manifest) Python() bool { return filepath.Ext(m.EntryPoint) == ".py" }
