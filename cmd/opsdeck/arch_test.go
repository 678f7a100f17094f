package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	modulePath = "github.com/opsdeck/opsdeck"
	// root is the repository's, from here.
	root = "../.."
)

// imported is one import in one file.
type imported struct {
	// pkg is the importing package's folder, "backend/state"; path what it imports,
	// relative to the module where it is of it.
	pkg, path string
	file      string
	own, test bool
}

// library reports whether it is neither of this module nor of the standard library.
func (i imported) library() bool {
	first, _, _ := strings.Cut(i.path, "/")
	return !i.own && strings.Contains(first, ".")
}

func in(p string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return p == f || strings.HasPrefix(p, f+"/") })
}

// sameSource reports whether two packages are of one source: backend/source/NAME and
// what is below it.
func sameSource(a, b string) bool {
	source := func(p string) string {
		rest, _ := strings.CutPrefix(p, "backend/source/")
		name, _, _ := strings.Cut(rest, "/")
		return name
	}
	return in(a, "backend/source") && in(b, "backend/source") && source(a) == source(b)
}

// charm are the libraries that draw.
var charm = []string{"charm.land", "github.com/charmbracelet"}

// bans are the rules of who may import whom. Each says why.
var bans = []struct {
	name   string
	banned func(imported) bool
	why    string
}{
	{"state stands on the standard library", func(i imported) bool {
		return i.pkg == "backend/state" && (i.own || i.library())
	}, "backend/state is the vocabulary that everything else shares: what it imports, every pane, source and test imports too"},

	{"policy stands on state and the standard library", func(i imported) bool {
		return i.pkg == "backend/policy" && !i.test && (i.own && i.path != "backend/state" || i.library())
	}, "backend/policy reads a snapshot and says what an action means: the hub, the console and sources ask it alike"},

	{"record stands on state and the standard library", func(i imported) bool {
		return i.pkg == "backend/record" && (i.own && i.path != "backend/state" || i.library())
	}, "backend/record says what a record says, to sources, commands and panes alike: what it imports, they all import too"},

	{"a source knows state, policy, record, ssh, supervisor and its own client, nothing else of ours", func(i imported) bool {
		return in(i.pkg, "backend/source") && i.own && !i.test && !sameSource(i.pkg, i.path) &&
			!slices.Contains([]string{"backend/state", "backend/policy", "backend/record", "backend/ssh", "backend/supervisor"}, i.path)
	}, "a source that leans on another source, the hub or the engine cannot be tested, replaced or switched off alone: pass it an interface in cmd/opsdeck/wire.go"},

	{"a source's own packages are used by it and by commands", func(i imported) bool {
		return i.own && !i.test && strings.Count(i.path, "/") > 2 && in(i.path, "backend/source") && !sameSource(i.pkg, i.path) && !in(i.pkg, "cmd")
	}, "what is below backend/source/NAME is that source's: others read its section"},

	{"the backend does not draw", func(i imported) bool {
		return in(i.pkg, "backend") && (in(i.path, charm...) || i.own && in(i.path, "tui", "views", "theme", "cmd"))
	}, "the engine runs without a terminal under systemd, and serves consoles of other versions: what it says goes into a section, how that looks is views' business"},

	{"a pane reads state, what records say, and nothing else", func(i imported) bool {
		return in(i.pkg, "views") && !i.test && i.own && !in(i.path, "views", "theme", "backend/state", "backend/record")
	}, "a pane is a pure function of the snapshot: whatever else it could reach would make a frame wait"},

	{"a pane does no input or output", func(i imported) bool {
		return in(i.pkg, "views") && !i.test && in(i.path, "os", "net", "database/sql", "io/fs", "syscall", "os/exec")
	}, "no I/O in Update or View: one slow disk or server would freeze every pane"},

	{"a pane uses no client library", func(i imported) bool {
		display := append([]string{"github.com/rivo/uniseg", "github.com/mattn/go-runewidth", "github.com/dustin/go-humanize", "github.com/sahilm/fuzzy", "github.com/NimbleMarkets/ntcharts"}, charm...)
		return in(i.pkg, "views") && !i.test && i.library() && !in(i.path, display...)
	}, "state.Container is ours, Docker's types stay in its package: a pane that knows a client's types breaks with it. A library that only draws is added to the list in this test"},

	{"the packages of views stand in one order", func(i imported) bool {
		return in(i.pkg, "views/pane") && in(i.path, "views") && i.own && i.path != "views/pane" ||
			in(i.pkg, "views/list", "views/logs") && i.own && in(i.path, "views") && i.path != "views/pane" && i.path != i.pkg
	}, "pane is what list and logs stand on, and views names them all: what two panes share goes into pane or list"},

	{"theme knows colours only", func(i imported) bool {
		return i.pkg == "theme" && !i.test && (i.own || i.library() && !in(i.path, "charm.land/lipgloss"))
	}, "a theme turns palettes into styles; it has nothing to look up"},

	{"the console reaches the backend through its seam", func(i imported) bool {
		return i.pkg == "tui" && !i.test && i.own && !in(i.path, "views", "theme") && i.path != "backend/state" && i.path != "backend/policy"
	}, "Wait, Submit and Watch are the whole seam: a console that reaches round them works neither attached nor remote"},

	{"commands are imported by nobody", func(i imported) bool {
		return i.own && in(i.path, "cmd") && (strings.Count(i.path, "/") < 2 || !in(i.pkg, path.Dir(i.path)))
	}, "cmd wires things together; what others need of it belongs into a package. A command may have packages of its own below it"},

	{"invented data stays in tests", func(i imported) bool {
		return i.own && i.path == "backend/fake" && !i.test && i.pkg != "backend/fake"
	}, "backend/fake is for tests and pictures: nothing on a user's screen is invented"},

	{"test helpers stay in tests", func(i imported) bool {
		return i.own && i.path == "backend/source/sourcetest" && !i.test && i.pkg != "backend/source/sourcetest"
	}, "backend/source/sourcetest imports testing, which registers flags in every program that links it"},

	{"only commands start engines", func(i imported) bool {
		return i.own && i.path == "backend/session" && !i.test && !in(i.pkg, "cmd", "backend/session")
	}, "backend/session holds the workspace and starts servers: what it starts must not know of it"},

	{"the hub knows no connector", func(i imported) bool {
		return i.pkg == "backend" && !i.test && i.own && i.path != "backend/state" && i.path != "backend/policy" && i.path != "backend/journal" && i.path != "backend/supervisor"
	}, "a new source is its section, its folder and one line in wire.go: the hub must not change for it"},

	{"routing knows no engine", func(i imported) bool {
		return i.pkg == "backend/routing" && !i.test && i.own && i.path != "backend/state" && i.path != "backend/disk" && i.path != "backend/document"
	}, "an orchestrator elsewhere has a routing configuration and no engine of ours: commands and remote consoles read it without one"},

	{"an orchestrator elsewhere needs no engine", func(i imported) bool {
		return i.pkg == "backend/remote" && !i.test && i.own && in(i.path, "backend/engine")
	}, "backend/remote speaks to what runs elsewhere: with the engine it would link adapters and databases that never run"},

	{"an adapter is run without knowing of modules", func(i imported) bool {
		return i.pkg == "backend/engine/adapter" && !i.test && i.own
	}, "backend/engine/adapter runs other people's programs from a plain description: what it knew of modules, stages or routing could leak into them, and it could not be tested without"},

	{"versions are kept without knowing of modules", func(i imported) bool {
		return i.pkg == "backend/engine/version" && !i.test && i.own && i.path != "backend/state" && i.path != "backend/disk"
	}, "backend/engine/version keeps what lies in folders by its content: who may approve it, and what runs, is decided above it"},

	{"the pipeline knows no module", func(i imported) bool {
		return i.pkg == "backend/engine/pipeline" && !i.test && i.own && i.path != "backend/state" && i.path != "backend/disk"
	}, "backend/engine/pipeline is handed what was fetched, whoever fetched it: what it knew of adapters or of the registry would have to be started to test a stage"},

	{"disk and document know nothing of ours", func(i imported) bool {
		return in(i.pkg, "backend/disk", "backend/document") && i.own && !i.test
	}, "backend/disk and backend/document are read by everything that keeps files: what they import, all of it imports"},

	{"no service locator", func(i imported) bool {
		return in(i.path, "plugin", "expvar", "net/http/pprof") && (i.path != "net/http/pprof" || i.pkg != "backend/profile")
	}, "these work by registration at import: dependencies are constructor arguments, all in wire.go. backend/profile mounts pprof's handlers by hand, for the unix socket alone"},
}

// imports returns all imports of the repository.
func imports(t *testing.T) (all []imported) {
	t.Helper()
	eachFile(t, func(name string) {
		if !strings.HasSuffix(name, ".go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			i := imported{pkg: path.Dir(name), file: name, path: strings.Trim(spec.Path.Value, `"`), test: strings.HasSuffix(name, "_test.go")}
			if rel, ok := strings.CutPrefix(i.path, modulePath); ok && (rel == "" || rel[0] == '/') {
				i.own, i.path = true, strings.TrimPrefix(rel, "/")
			}
			all = append(all, i)
		}
	})
	return all
}

// eachFile calls f with every file of the repository that is not built or hidden,
// by its path from the root.
func eachFile(t *testing.T, f func(name string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		switch {
		case name == ".":
		case strings.HasPrefix(e.Name(), "."), name == "bin", e.IsDir() && e.Name() == "testdata":
			if e.IsDir() {
				return fs.SkipDir
			}
		case !e.IsDir():
			f(name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestImportsFollowTheHouseRules(t *testing.T) {
	all := imports(t)
	if len(all) < 100 {
		t.Fatalf("only %d imports were read: is %s the repository's root?", len(all), root)
	}
	for _, ban := range bans {
		t.Run(strings.ReplaceAll(ban.name, " ", "-"), func(t *testing.T) {
			for _, i := range all {
				if ban.banned(i) {
					t.Errorf("%s imports %s.\nWhy not: %s.", i.file, i.path, ban.why)
				}
			}
		})
	}
}

// TestBansCatchWhatTheyForbid holds the rules themselves: each must object to a
// made-up offender.
func TestBansCatchWhatTheyForbid(t *testing.T) {
	own := func(pkg, to string) imported { return imported{pkg: pkg, path: to, own: true} }
	other := func(pkg, to string) imported { return imported{pkg: pkg, path: to} }
	offenders := map[string]imported{
		"state stands on the standard library":                                                           other("backend/state", "github.com/prometheus/common/model"),
		"policy stands on state and the standard library":                                                own("backend/policy", "backend/source/docker"),
		"record stands on state and the standard library":                                                other("backend/record", "github.com/grafana/regexp"),
		"a source knows state, policy, record, ssh, supervisor and its own client, nothing else of ours": own("backend/source/docker", "backend/source/logs"),
		"a source's own packages are used by it and by commands":                                         own("backend/metrics", "backend/source/logs/scan"),
		"the backend does not draw":                                                                      other("backend/source/docker", "charm.land/bubbletea/v2"),
		"a pane reads state, what records say, and nothing else":                                         own("views/logs", "backend/engine"),
		"a pane does no input or output":                                                                 other("views/list", "net/http"),
		"a pane uses no client library":                                                                  other("views/pane", "github.com/redis/go-redis/v9"),
		"the packages of views stand in one order":                                                       own("views/list", "views/logs"),
		"theme knows colours only":                                                                       own("theme", "backend/state"),
		"the console reaches the backend through its seam":                                               own("tui", "backend/remote"),
		"commands are imported by nobody":                                                                own("tui", "cmd/opsdeck"),
		"invented data stays in tests":                                                                   own("cmd/opsdeck", "backend/fake"),
		"test helpers stay in tests":                                                                     own("backend/source/docker", "backend/source/sourcetest"),
		"only commands start engines":                                                                    own("backend/remote", "backend/session"),
		"the hub knows no connector":                                                                     own("backend", "backend/source/docker"),
		"no service locator":                                                                             other("cmd/opsdeck", "net/http/pprof"),
		"routing knows no engine":                                                                        own("backend/routing", "backend/engine"),
		"an orchestrator elsewhere needs no engine":                                                      own("backend/remote", "backend/engine"),
		"disk and document know nothing of ours":                                                         own("backend/disk", "backend/state"),
		"an adapter is run without knowing of modules":                                                   own("backend/engine/adapter", "backend/engine"),
		"versions are kept without knowing of modules":                                                   own("backend/engine/version", "backend/engine/adapter"),
		"the pipeline knows no module":                                                                   own("backend/engine/pipeline", "backend/engine"),
	}
	for _, ban := range bans {
		i, ok := offenders[ban.name]
		if !ok {
			t.Errorf("%q has no offender here", ban.name)
		} else if !ban.banned(i) {
			t.Errorf("%q does not object to %s importing %s", ban.name, i.pkg, i.path)
		}
	}
}

// TestNothingServesTheDefaultServeMux: importing net/http/pprof registers its handlers there.
func TestNothingServesTheDefaultServeMux(t *testing.T) {
	served := []string{"DefaultServeMux", "Handle", "HandleFunc", "ListenAndServe", "ListenAndServeTLS", "Serve", "ServeTLS"}
	eachFile(t, func(name string) {
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, filepath.Join(root, name), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		isHTTP := func(e ast.Expr, names ...string) bool {
			sel, ok := e.(*ast.SelectorExpr)
			if !ok || !slices.Contains(names, sel.Sel.Name) {
				return false
			}
			pkg, ok := sel.X.(*ast.Ident)
			return ok && pkg.Name == "http"
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if isHTTP(n, served...) {
					t.Errorf("%s: http.%s: make a mux and a http.Server with it as Handler", set.Position(n.Pos()), n.Sel.Name)
				}
			case *ast.CompositeLit:
				handler := func(e ast.Expr) bool {
					if kv, ok := e.(*ast.KeyValueExpr); ok {
						key, ok := kv.Key.(*ast.Ident)
						return ok && key.Name == "Handler"
					}
					return false
				}
				if isHTTP(n.Type, "Server") && !slices.ContainsFunc(n.Elts, handler) {
					t.Errorf("%s: a http.Server without a Handler serves http.DefaultServeMux", set.Position(n.Pos()))
				}
			}
			return true
		})
	})
}

func TestTopLevelFoldersAreThoseOfTheDesign(t *testing.T) {
	allowed := []string{"cmd", "backend", "views", "tui", "theme", "testdata"}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") || e.Name() == "bin" { // bin is built, never committed
			continue
		}
		if !slices.Contains(allowed, e.Name()) {
			t.Errorf("top-level folder %s: a newcomer finds the way by these alone: %s", e.Name(), strings.Join(allowed, ", "))
		}
	}
}

func TestPackagesAreNamedForWhatTheyOwnAndSayIt(t *testing.T) {
	nameless := []string{"util", "utils", "common", "helper", "helpers", "types", "misc", "base", "shared", "lib", "pkg", "internal"}
	packages := map[string][]string{}
	eachFile(t, func(name string) {
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			packages[path.Dir(name)] = append(packages[path.Dir(name)], path.Base(name))
		}
	})
	for pkg, files := range packages {
		for _, part := range strings.Split(pkg, "/") {
			if slices.Contains(nameless, part) {
				t.Errorf("package %s: %q names no noun, so everything ends up in it: name it for what it owns", pkg, part)
			}
		}
		doc := "doc.go"
		if in(pkg, "cmd") && !slices.Contains(files, doc) {
			doc = "main.go"
		}
		if !slices.Contains(files, doc) {
			t.Errorf("package %s has no %s that says what it owns, what it refuses and how to add to it", pkg, doc)
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, pkg, doc), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("Package %s ", path.Base(pkg)); doc == "doc.go" && !strings.HasPrefix(f.Doc.Text(), want) {
			t.Errorf("%s/%s does not begin with %q", pkg, doc, want)
		}
	}
}

func TestModuleBuildsWithoutReplacements(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for n, line := range strings.Split(string(b), "\n") {
		if word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word == "replace" || word == "exclude" {
			t.Errorf("go.mod:%d: %s: `go install %s/cmd/opsdeck@latest` refuses a module with it", n+1, strings.TrimSpace(line), modulePath)
		}
	}
}

// TestNothingOutgrowsWhoHasToReadIt bounds packages, files and types, tests not counted.
func TestNothingOutgrowsWhoHasToReadIt(t *testing.T) {
	const (
		longestPackage, longestFile, longestMedian = 7500, 600, 180
		mostMethods                                = 100
	)
	packages, methods, files := map[string]int{}, map[string]int{}, []int{}
	receiver := regexp.MustCompile(`(?m)^func \(\w* ?\*?(\w+)`)
	eachFile(t, func(name string) {
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return
		}
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		n := strings.Count(string(b), "\n")
		if n > longestFile {
			t.Errorf("%s has %d lines: a file of more than %d is two nouns", name, n, longestFile)
		}
		packages[path.Dir(name)] += n
		files = append(files, n)
		for _, m := range receiver.FindAllStringSubmatch(string(b), -1) {
			methods[path.Dir(name)+"."+m[1]]++
		}
	})
	for pkg, n := range packages {
		if n > longestPackage {
			t.Errorf("package %s has %d lines: one of more than %d owns more than one noun", pkg, n, longestPackage)
		}
	}
	for typ, n := range methods {
		if n > mostMethods {
			t.Errorf("%s has %d methods: give its nouns types of their own", typ, n)
		}
	}
	slices.Sort(files)
	if median := files[len(files)/2]; median >= longestMedian {
		t.Errorf("half of all files have %d lines or more, want fewer than %d", median, longestMedian)
	}
}

// glossary are words of the project's own, and the field's terms for them.
var glossary = []struct{ word, term string }{
	{`[Ss]eam`, "client"}, {`seat|sitDown|deck`, "session, connect, daemon"}, {`deed`, "operation, actionRow"}, {`crooked`, "validatePath"},
	{`suspect`, "rateKey"}, {`shelf`, "versionStore"}, {`sieve`, "filter"}, {`lull`, "holdOrder"}, {`poke`, "wake"}, {`keeper`, "fork server"},
	{`NotHere|IsNotHere`, "ErrAbsent"}, {`Unsettled`, "PendingReason"}, {`RouteGoes`, "RouteDestination"}, {`unwell`, "unhealthy"}, {`lately`, "recent"},
	{`what came of it`, "result"}, {`mend its url`, "fix the URL"}, {`nothing keeps it right`, "clock not synchronised"}, {`gives up"`, "cancels"},
	{`prune what is unused`, "prune unused"}, {`a shell in it`, "shell"}, {`end the silence`, "unsilence"}, {`take back the acknowledgement`, "unacknowledge"},
	{`note the end of credentials`, "set expiry"}, {`forget old keys`, "remove old keys"}, {`drained in empty`, "empty"}, {`lets ex carry out`, "registers ex"},
	{`its due`, "reports it"}, {`passer-by`, "unrelated"},
}

func TestNamesDocsAndScreensSpeakStandardEnglish(t *testing.T) {
	eachFile(t, func(name string) {
		if !strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, ".md") || name == "cmd/opsdeck/arch_test.go" {
			return
		}
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range glossary {
			word := regexp.MustCompile(`\b(` + g.word + `)\b`)
			if strings.HasSuffix(g.word, `"`) {
				word = regexp.MustCompile(g.word)
			}
			for n, line := range strings.Split(string(b), "\n") {
				if m := word.FindString(line); m != "" {
					t.Errorf("%s:%d: %q: say %s", name, n+1, m, g.term)
				}
			}
		}
	})
}
