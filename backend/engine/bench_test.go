package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
)

// manyModules returns an engine that knows n enabled modules; nothing runs.
func manyModules(b *testing.B, n int) *Engine {
	e, err := New(Config{Workspace: b.TempDir(), Mask: &secrets.Mask{}})
	if err != nil {
		b.Fatal(err)
	}
	e.cfg.Mask.Add("ow-4f1c-secret", "another-secret-value")
	e.modules = map[string]*module{}
	for i := range n {
		id := fmt.Sprintf("cat%d/plat%d", i%10, i)
		man, err := e.manifests.parse("", fmt.Appendf(nil, `{"name":"n","version":"1","category":"cat%d","platform":"plat%d","description":"a module among many"}`, i%10, i))
		if err != nil {
			b.Fatal(err)
		}
		m := newModule(id, man.Category, man.Platform, "/m")
		m.manifest, m.status, m.registered = man, state.ModuleInstalled, true
		for range keepLatencies {
			m.latencies = append(m.latencies, 1.5)
		}
		m.result = `[{"some":"result"}]`
		e.modules[id] = m
	}
	return e
}

// One publication of 200 modules of which a few changed, as under load.
func BenchmarkPublish200Modules(b *testing.B) {
	e := manyModules(b, 200)
	var sink state.Modules
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k := 0
		for _, m := range e.modules {
			m.stale = true
			if k++; k == 2 {
				break
			}
		}
		sink = e.modulesSection()
	}
	_ = sink
}

// One look at the disk with 200 modules on it of which none changed.
func BenchmarkScan200Modules(b *testing.B) {
	e := manyModules(b, 200)
	reg, err := openRegistry(context.Background(), filepath.Join(e.cfg.DataDir, "module_registry.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer reg.close()
	e.registry, e.vault.store = reg, secrets.Open(filepath.Join(e.cfg.DataDir, "module_credentials.db"), nil, nil)
	defer e.vault.store.Close()
	for _, m := range e.modules {
		dir := filepath.Join(e.cfg.ModulesDir, m.category, m.platform)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		text := fmt.Appendf(nil, `{"name":"n","version":"1","category":%q,"platform":%q}`, m.category, m.platform)
		if err := os.WriteFile(filepath.Join(dir, "manifest.json"), text, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	e.modules = map[string]*module{}
	e.discovery.scan(context.Background())
	b.ReportAllocs()
	for b.Loop() {
		e.discovery.scan(context.Background())
	}
}

// The first look at 200 modules whose files nobody has approved yet: their versions
// are kept.
func BenchmarkLoadVersionsOf200Modules(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		e, ms := modulesOnDisk(b, 200)
		b.StartTimer()
		for _, m := range ms {
			e.approval.loadVersions(m)
		}
	}
}

// Another start with 200 modules that were approved.
func BenchmarkLoadVersionsAgainOf200Modules(b *testing.B) {
	e, ms := modulesOnDisk(b, 200)
	for _, m := range ms {
		e.approval.loadVersions(m)
	}
	for b.Loop() {
		for _, m := range ms {
			m.past, m.tree = nil, nil
			e.approval.loadVersions(m)
		}
	}
}

// modulesOnDisk returns n modules on disk that the registry has as enabled.
func modulesOnDisk(b *testing.B, n int) (*Engine, []*module) {
	dir := b.TempDir()
	e, err := New(Config{Workspace: dir})
	if err != nil {
		b.Fatal(err)
	}
	var ms []*module
	for i := range n {
		m := newModule(fmt.Sprintf("t/p%d", i), "t", fmt.Sprintf("p%d", i), filepath.Join(dir, fmt.Sprintf("modules/t/p%d", i)))
		m.status, m.registered = state.ModuleInstalled, true
		writeAll(b, m.dir, map[string]string{"manifest.json": fmt.Sprintf(`{"name":"n","version":"1","category":"t","platform":"p%d"}`, i),
			"adapter.py": fmt.Sprintf("x = %d\n", i), "test_adapter.py": fmt.Sprintf("y = %d\n", i)})
		ms = append(ms, m)
	}
	return e, ms
}
