package engine

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/document"
	"github.com/opsdeck/opsdeck/backend/state"
)

//go:embed routing.schema.json
var routingSchema []byte

// ErrNoCategory: the routing configuration has no category of that name.
var ErrNoCategory = errors.New("no such category")

// ErrChanged: the routing configuration is not the one that a change was meant for.
var ErrChanged = errors.New("it was changed meanwhile")

// maxRouting bounds the routing file, in bytes.
const maxRouting = 1 << 20

// routing is config/routing_config.json: the last good one is in force.
type routing struct {
	path, rel string
	check     *document.Schema

	mu      sync.Mutex
	seen    disk.Stamp
	exists  bool
	loaded  time.Time
	problem string
	config  map[string]any
	text    []byte // as in the file
}

func newRouting(path, rel string) (*routing, error) {
	v, err := document.Compile(routingSchema, "opsdeck:routing")
	if err != nil {
		return nil, fmt.Errorf("engine: routing schema: %w", err)
	}
	return &routing{path: path, rel: rel, check: v}, nil
}

// parse reads and validates a routing configuration. Its error is of type Problems.
func (r *routing) parse(file string, text []byte) (map[string]any, error) {
	d, err := document.Parse(file, text)
	if err != nil {
		return nil, err
	}
	if ps := r.check.Check(d); ps != nil {
		return nil, ps
	}
	return d.Value.(map[string]any), nil
}

// reload reads the file where it changed (or force is given), and reports
// whether anything is different now. Its error is what the section's Problem says.
func (r *routing) reload(force bool, now time.Time) (changed bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.problem
	st, err := disk.StampOf(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		switch {
		case r.config == nil:
			changed, r.exists, r.problem, r.seen = r.exists || was != "", false, "", disk.Stamp{}
			return changed, fmt.Errorf("there is no routing configuration at %s: create it", r.rel)
		default:
			r.seen = disk.Stamp{}
			r.problem = fmt.Sprintf("%s is gone; the configuration of %s stays in force", r.rel, r.loaded.UTC().Format(time.DateTime))
			return r.problem != was, errors.New(r.problem)
		}
	}
	if err == nil && !force && st == r.seen {
		return false, nil
	}
	if err == nil && st.Size > maxRouting {
		err = document.Problems{{File: r.rel, Text: fmt.Sprintf("it has %d bytes: at most %d were expected", st.Size, maxRouting)}}
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(r.path)
	}
	var config map[string]any
	if err == nil {
		config, err = r.parse(r.rel, text)
	}
	r.seen, r.exists = st, true
	if err != nil {
		r.problem = err.Error()
		if r.config != nil {
			r.problem += fmt.Sprintf("; the configuration of %s stays in force", r.loaded.UTC().Format(time.DateTime))
		}
		return r.problem != was, err
	}
	r.config, r.text, r.problem, r.loaded = config, text, "", now
	return true, nil
}

// Tag names the text of a routing configuration among all others: the first 128 bits
// of its SHA-256, in hex.
func Tag(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// expected refuses a change that was meant for another configuration than the one in
// force: want lists the tags that it may have, separated by commas; "" for any. r.mu
// is held until the change is made, so that nobody comes between.
func (r *routing) expected(want string) error {
	if want == "" || r.text != nil && slices.Contains(strings.Split(want, ","), Tag(r.text)) {
		return nil
	}
	now := "there is none now"
	if r.text != nil {
		now = "it is " + Tag(r.text) + " now"
	}
	return fmt.Errorf("%w: %s, and %s was expected: read it again", ErrChanged, now, want)
}

// edited is base with a change: args["config"] is a whole new configuration, of which
// with args["keep"]="true" members that it does not name stay; args["category"] names
// the category, or args["tier"] the tier, that args["patch"], a JSON object, is merged
// into, or that args["delete"]="true" removes (categories only). What is not named
// keeps its order and its unknown members. what says in a few words what changes.
func edited(base []byte, args map[string]string) (text []byte, what string, err error) {
	whole := strings.TrimSpace(args["config"])
	kind, name := "category", args["category"]
	if args["tier"] != "" {
		kind, name = "tier", args["tier"]
	}
	what = kind + " " + name
	_, named := args["category"]
	if args["tier"] == "" && !named {
		what = "the routing configuration"
	}
	if args["tier"] == "" && !named && whole == "" && args["patch"] == "" {
		return nil, what, errors.New(`the argument "config", "patch", or "category" or "tier" with "patch" or "delete", was expected`)
	}
	if whole != "" && args["keep"] != "true" {
		return []byte(whole), what, nil
	}
	if base == nil {
		base = []byte("{}")
	}
	tree, err := parseOrdered(bytes.TrimPrefix(base, []byte("\xef\xbb\xbf")))
	if err != nil {
		return nil, what, err
	}
	at, fields := tree, whole
	switch {
	case whole != "":
	case args["delete"] == "true":
		if kind == "tier" {
			return nil, what, errors.New("a tier is removed by editing the whole configuration")
		}
		if !tree.child("categories").remove(name) {
			return nil, what, fmt.Errorf("%w: %q", ErrNoCategory, name)
		}
		return tree.text(), what, nil
	default:
		fields = args["patch"]
		if named || args["tier"] != "" {
			if name == "" || !utf8.ValidString(name) {
				return nil, what, fmt.Errorf("the %s's name is %q: text was expected", kind, name)
			}
			list := "categories"
			if kind == "tier" {
				list = "tiers"
			}
			at = tree.child(list).child(name)
		}
	}
	d, err := document.Parse("", []byte(fields))
	if err != nil {
		return nil, what, err
	}
	if _, ok := d.Value.(map[string]any); !ok {
		return nil, what, document.Problems{d.ProblemAt(0, nil, "an object was expected")}
	}
	patch, err := parseOrdered([]byte(fields))
	if err != nil {
		return nil, what, err
	}
	for _, m := range patch.members {
		if inner, ok := m.value.(json.RawMessage); ok && whole == "" && at == tree && len(inner) > 0 && inner[0] == '{' {
			// One level deep, so that one constraint can be changed and the others stay.
			into, err := parseOrdered(inner)
			if err != nil {
				return nil, what, err
			}
			for _, x := range into.members {
				at.child(m.name).set(x.name, x.value)
			}
			continue
		}
		at.set(m.name, m.value)
	}
	return tree.text(), what, nil
}

// change puts an edited configuration in the file and in force, and returns the text
// that was there before, nil where there was none. For want see expected. before,
// which may be nil, is called with both texts when all is well and nothing is
// written yet; its error keeps it from being written.
func (r *routing) change(args map[string]string, want string, now time.Time, before func(was, is []byte) error) (was []byte, what string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.expected(want); err != nil {
		return nil, "the routing configuration", err
	}
	if _, err := r.tree(); err != nil && strings.TrimSpace(args["config"]) == "" {
		return nil, "the routing configuration", err
	}
	text, what, err := edited(r.text, args)
	if err != nil {
		return nil, what, err
	}
	if text, err = r.indented(text); err != nil {
		return nil, what, err
	}
	if before != nil {
		if err := before(r.text, text); err != nil {
			return nil, what, err
		}
	}
	was, err = r.put(text, now)
	return was, what, err
}

// indented is a configuration as it is written to the file. Its error is of type
// Problems where it does not hold.
func (r *routing) indented(text []byte) ([]byte, error) {
	if _, err := r.parse("", text); err != nil {
		return nil, err
	}
	return spaced(text)
}

// spaced is JSON as it is written to the file.
func spaced(text []byte) ([]byte, error) {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimPrefix(bytes.TrimSpace(text), []byte("\xef\xbb\xbf")), "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// put writes an indented configuration and puts it in force; r.mu is held.
func (r *routing) put(text []byte, now time.Time) ([]byte, error) {
	config, err := r.parse("", text)
	if err != nil {
		return nil, err
	}
	if err := disk.WriteFile(r.path, text); err != nil {
		return nil, fmt.Errorf("engine: write %s: %w", r.rel, err)
	}
	before := r.text
	r.seen, _ = disk.StampOf(r.path)
	r.config, r.text, r.problem, r.loaded, r.exists = config, text, "", now, true
	return before, nil
}

// restore puts a former text in force again, byte by byte.
func (r *routing) restore(text []byte, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := r.put(text, now)
	return err
}

// remove takes the file away, as it was before there was one.
func (r *routing) remove() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := os.Remove(r.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("engine: remove %s: %w", r.rel, err)
	}
	r.config, r.text, r.problem, r.exists, r.seen = nil, nil, "", false, disk.Stamp{}
	return nil
}

func (r *routing) tree() (*ordered, error) {
	text := r.text
	if text == nil {
		if r.problem != "" {
			return nil, fmt.Errorf("the routing configuration cannot be changed in parts while its file is bad: %s", r.problem)
		}
		text = []byte("{}")
	}
	return parseOrdered(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
}

// section is what the snapshot says of it.
func (r *routing) section(mask func(string) string) state.Routing {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := state.Routing{Loaded: r.loaded, Problem: state.Clean(mask(r.problem)), MaxLatencyMS: -1, MaxCost: -1}
	if r.exists {
		out.File = r.rel
	}
	out.Categories, out.Tiers = len(object(r.config["categories"])), len(object(r.config["tiers"]))
	if r.text != nil {
		var b bytes.Buffer
		if json.Indent(&b, bytes.TrimPrefix(r.text, []byte("\xef\xbb\xbf")), "", "  ") == nil {
			out.JSON = state.Clean(mask(b.String()))
		}
		out.Tag = Tag(r.text)
		describeRouting(&out, r.config, func(s string) string { return state.Clean(mask(s)) })
	}
	return out
}

// current is the configuration in force, not to be changed; nil where there is none.
func (r *routing) current() map[string]any {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.config
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// ordered is a JSON object that keeps the order of its members.
type ordered struct{ members []member }

type member struct {
	name  string
	value any // *ordered or json.RawMessage
}

func parseOrdered(text []byte) (*ordered, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("a JSON object was expected")
	}
	o := &ordered{}
	for dec.More() {
		k, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, err
		}
		o.set(k.(string), raw)
	}
	return o, nil
}

// child is the object of that name, which takes the place of whatever else is there.
func (o *ordered) child(name string) *ordered {
	for i, m := range o.members {
		if m.name == name {
			if c, ok := m.value.(*ordered); ok {
				return c
			}
			c, err := parseOrdered(m.value.(json.RawMessage))
			if err != nil {
				c = &ordered{}
			}
			o.members[i].value = c
			return c
		}
	}
	c := &ordered{}
	o.members = append(o.members, member{name, c})
	return c
}

func (o *ordered) set(name string, v any) {
	for i := range o.members {
		if o.members[i].name == name {
			o.members[i].value = v
			return
		}
	}
	o.members = append(o.members, member{name, v})
}

func (o *ordered) remove(name string) bool {
	for i := range o.members {
		if o.members[i].name == name {
			o.members = append(o.members[:i], o.members[i+1:]...)
			return true
		}
	}
	return false
}

func (o *ordered) text() []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o.members {
		if i > 0 {
			b.WriteByte(',')
		}
		k, _ := json.Marshal(m.name)
		b.Write(k)
		b.WriteByte(':')
		switch v := m.value.(type) {
		case *ordered:
			b.Write(v.text())
		case json.RawMessage:
			b.Write(v)
		}
	}
	b.WriteByte('}')
	return b.Bytes()
}
