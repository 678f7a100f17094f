package alerting

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

func FuzzRuleFile(f *testing.F) {
	f.Add([]byte(rulesYAML))
	f.Add([]byte("groups:\n- name: a\n- name: a\n"))
	f.Add([]byte("groups: [{name: x, interval: -5s, rules: [{alert: y, expr: 'up >'}]}]"))
	f.Add([]byte("\xff: ["))
	f.Add(builtinRules)
	path := filepath.Join(f.TempDir(), "rules.yml")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		l := newLoader(parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
		groups, errs := l.Load(path, false, model.UTF8Validation)
		if groups == nil || len(errs) != 0 {
			t.Fatalf("Load(%q) = %v, %v: a broken file must leave the others loaded", b, groups, errs)
		}
		if len(groups.Groups) > 0 && len(l.list()) > 0 {
			t.Errorf("Load(%q) gives both groups and problems", b)
		}
	})
}
