package alerting

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	_ "embed"
)

// builtin is the name under which the embedded rules are loaded.
const builtin = "(built-in rules)"

//go:embed default.yml
var builtinRules []byte

// watched is the name under which the rules of log watches are loaded.
const watched = "(watches in opsdeck.yaml)"

// loader is a rules.GroupLoader that keeps the last good content of each file.
type loader struct {
	// watches is what is loaded as watched.
	watches atomic.Pointer[[]byte]

	parser parser.Parser
	log    *slog.Logger

	mu       sync.Mutex
	good     map[string]*rulefmt.RuleGroups
	problems map[string]string
	stamps   map[string][sha256.Size]byte
}

func newLoader(p parser.Parser, log *slog.Logger) *loader {
	return &loader{parser: p, log: log, good: map[string]*rulefmt.RuleGroups{}, problems: map[string]string{}, stamps: map[string][sha256.Size]byte{}}
}

// Load implements rules.GroupLoader. It never fails: for a broken file it returns
// the last good groups, or none, and records a problem.
func (l *loader) Load(path string, ignoreUnknown bool, scheme model.ValidationScheme) (*rulefmt.RuleGroups, []error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var groups *rulefmt.RuleGroups
	var errs []error
	if b, err := l.read(path); err != nil {
		errs = []error{err}
	} else {
		groups, errs = rulefmt.Parse(b, ignoreUnknown, scheme, l.parser, l.log)
		l.stamps[path] = sha256.Sum256(b)
		if len(errs) == 0 {
			errs = twice(groups)
		}
	}
	if len(errs) == 0 {
		l.good[path] = groups
		delete(l.problems, path)
		return groups, nil
	}
	text := make([]string, 0, len(errs))
	for _, err := range errs {
		text = append(text, positioned(path, err))
	}
	l.problems[path] = strings.Join(text, "; ")
	if g := l.good[path]; g != nil {
		l.problems[path] += " (its last good rules stay in force)"
		return g, nil
	}
	return &rulefmt.RuleGroups{}, nil
}

// yamlLine matches the position in a YAML error.
var yamlLine = regexp.MustCompile(`(?s)^(?:.*unmarshal errors:\s*)?line (\d+): (.*)$`)

// positioned returns an error in "file:line:column: what" form. Prometheus puts the
// position first, its YAML library into the text.
func positioned(path string, err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		text = m[1] + ": " + m[2]
	}
	text = strings.Join(strings.Fields(text), " ")
	if text != "" && text[0] >= '0' && text[0] <= '9' {
		return path + ":" + text
	}
	return path + ": " + text
}

// twice returns an error for each group name that a file uses twice.
func twice(g *rulefmt.RuleGroups) (errs []error) {
	seen := map[string]bool{}
	for _, grp := range g.Groups {
		if seen[grp.Name] {
			errs = append(errs, fmt.Errorf("the group %q is defined twice", grp.Name))
		}
		seen[grp.Name] = true
	}
	return errs
}

// Parse implements rules.GroupLoader.
func (l *loader) Parse(query string) (parser.Expr, error) { return l.parser.ParseExpr(query) }

// forget drops the state of files that no longer exist.
func (l *loader) forget(paths []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.stamps {
		if !slices.Contains(paths, p) {
			delete(l.stamps, p)
			delete(l.good, p)
			delete(l.problems, p)
		}
	}
	for p := range l.problems {
		if !slices.Contains(paths, p) {
			delete(l.problems, p)
		}
	}
}

// changed reports whether a file's content is not what was loaded last.
func (l *loader) changed(paths []string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(paths) != len(l.stamps) {
		return true
	}
	for _, p := range paths {
		b, err := l.read(p)
		was, ok := l.stamps[p]
		if err != nil || !ok || sha256.Sum256(b) != was {
			return true
		}
	}
	return false
}

// list returns the problems, by file.
func (l *loader) list() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]string, 0, len(l.problems))
	for _, p := range l.problems {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

func (l *loader) read(path string) ([]byte, error) {
	switch path {
	case builtin:
		return builtinRules, nil
	case watched:
		return *l.watches.Load(), nil
	}
	return os.ReadFile(path)
}
