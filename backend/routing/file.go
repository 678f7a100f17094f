package routing

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

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/document"
	"github.com/opsdeck/opsdeck/backend/state"
)

//go:embed routing.schema.json
var schema []byte

// ErrNoCategory: the routing configuration has no category of that name.
var ErrNoCategory = errors.New("no such category")

// ErrChanged: the routing configuration is not the one that a change was meant for.
var ErrChanged = errors.New("it was changed meanwhile")

// maxRouting bounds the routing file, in bytes.
const maxRouting = 1 << 20

// File is config/routing_config.json: the last good one is in force.
type File struct {
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

func NewFile(path, rel string) (*File, error) {
	v, err := document.Compile(schema, "opsdeck:routing")
	if err != nil {
		return nil, fmt.Errorf("routing: schema: %w", err)
	}
	return &File{path: path, rel: rel, check: v}, nil
}

// parse reads and validates a routing configuration. Its error is of type Problems.
func (r *File) parse(file string, text []byte) (map[string]any, error) {
	d, err := document.Parse(file, text)
	if err != nil {
		return nil, err
	}
	if ps := r.check.Check(d); ps != nil {
		return nil, ps
	}
	return d.Value.(map[string]any), nil
}

// Reload reads the file where it changed (or force is given), and reports
// whether anything is different now. Its error is what the section's Problem says.
func (r *File) Reload(force bool, now time.Time) (changed bool, err error) {
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
func (r *File) expected(want string) error {
	if want == "" || r.text != nil && slices.Contains(strings.Split(want, ","), Tag(r.text)) {
		return nil
	}
	now := "there is none now"
	if r.text != nil {
		now = "it is " + Tag(r.text) + " now"
	}
	return fmt.Errorf("%w: %s, and %s was expected: read it again", ErrChanged, now, want)
}

// Change puts an edited configuration in the file and in force, and returns the text
// that was there before, nil where there was none. For want see expected. before,
// which may be nil, is called with both texts when all is well and nothing is
// written yet; its error keeps it from being written.
func (r *File) Change(args map[string]string, want string, now time.Time, before func(was, is []byte) error) (was []byte, what string, err error) {
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

// indented returns a configuration as it is written to the file. Its error is of type
// Problems where it does not hold.
func (r *File) indented(text []byte) ([]byte, error) {
	if _, err := r.parse("", text); err != nil {
		return nil, err
	}
	return spaced(text)
}

// spaced returns JSON as it is written to the file.
func spaced(text []byte) ([]byte, error) {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimPrefix(bytes.TrimSpace(text), []byte("\xef\xbb\xbf")), "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// put writes an indented configuration and puts it in force; r.mu is held.
func (r *File) put(text []byte, now time.Time) ([]byte, error) {
	config, err := r.parse("", text)
	if err != nil {
		return nil, err
	}
	if err := disk.WriteFile(r.path, text); err != nil {
		return nil, fmt.Errorf("routing: write %s: %w", r.rel, err)
	}
	before := r.text
	r.seen, _ = disk.StampOf(r.path)
	r.config, r.text, r.problem, r.loaded, r.exists = config, text, "", now, true
	return before, nil
}

// restore puts a former text in force again, byte by byte.
func (r *File) restore(text []byte, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, err := r.put(text, now)
	return err
}

// remove takes the file away, as it was before there was one.
func (r *File) remove() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := os.Remove(r.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("routing: remove %s: %w", r.rel, err)
	}
	r.config, r.text, r.problem, r.exists, r.seen = nil, nil, "", false, disk.Stamp{}
	return nil
}

func (r *File) tree() (*ordered, error) {
	text := r.text
	if text == nil {
		if r.problem != "" {
			return nil, fmt.Errorf("the routing configuration cannot be changed in parts while its file is bad: %s", r.problem)
		}
		text = []byte("{}")
	}
	return parseOrdered(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
}

// section returns what the snapshot says of it.
func (r *File) section(mask func(string) string) state.Routing {
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
		describe(&out, r.config, func(s string) string { return state.Clean(mask(s)) })
	}
	return out
}

// Current returns the configuration in force, not to be changed; nil where there is none.
func (r *File) Current() map[string]any {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.config
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}
