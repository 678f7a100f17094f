package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// How actions change the workspace file. A person's lines stay as they are, comments
// too: a few lines of one section are put in or taken out, and the file is only
// written when reading it again gives exactly what was wanted.

// AddWatch appends a watch to the watches in the workspace file.
func (w *Workspace) AddWatch(x Watch) error {
	if x.Window == Duration(DefaultWindow) {
		x.Window = 0
	}
	return w.edit("watches", x, true, func(f *File) { f.Watches = append(f.Watches, x) }, func(*File) int { return -1 }, "")
}

// RemoveWatch removes a watch from the workspace file, and returns what it was.
func (w *Workspace) RemoveWatch(name string) (was Watch, err error) {
	err = w.edit("watches", nil, true, func(f *File) {
		f.Watches = slices.DeleteFunc(f.Watches, func(x Watch) bool {
			if x.Name == name {
				was = x
			}
			return x.Name == name
		})
		if len(f.Watches) == 0 {
			f.Watches = nil
		}
	}, func(f *File) int { return slices.IndexFunc(f.Watches, func(x Watch) bool { return x.Name == name }) }, "")
	return was, err
}

// AddFilter adds a named filter to the workspace file.
func (w *Workspace) AddFilter(name, where string) error {
	return w.edit("filters", map[string]string{name: where}, false, func(f *File) {
		if f.Filters == nil {
			f.Filters = map[string]string{}
		}
		f.Filters[name] = where
	}, func(*File) int { return -1 }, "")
}

// RemoveFilter removes a filter from the workspace file, and returns what it was.
func (w *Workspace) RemoveFilter(name string) (was string, err error) {
	err = w.edit("filters", nil, false, func(f *File) {
		was = f.Filters[name]
		delete(f.Filters, name)
		if len(f.Filters) == 0 {
			f.Filters = nil
		}
	}, func(f *File) int {
		if _, ok := f.Filters[name]; !ok {
			return -1
		}
		return 0
	}, name)
	return was, err
}

// edit appends item to a section, a list or a map; where item is nil it removes the
// entry at the index that find returns, or, in a map, the one of key. change applies
// the same change to the parsed file, which the written one has to equal.
func (w *Workspace) edit(section string, item any, list bool, change func(*File), find func(*File) int, key string) error {
	path := w.ConfigFile
	if path == "" {
		path = filepath.Join(w.Dir, FileName)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	name := filepath.Base(path)
	old, err := os.ReadFile(path)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist) && w.ConfigFile == "":
		// Data lies elsewhere where there is no file: it stays where it is.
		data, merr := yaml.Marshal(map[string]string{"data": w.Rel(w.Data)})
		if merr != nil {
			return merr
		}
		old = append([]byte("# The workspace of opsdeck: what is not here is found, or a default.\n"), data...)
	default:
		return fmt.Errorf("read the workspace file: %w", err)
	}
	want, err := Parse(name, old)
	if err != nil {
		return fmt.Errorf("the workspace file is not changed while it has errors: %w", err)
	}
	at := find(want)
	if item == nil && at < 0 {
		return fmt.Errorf("%s has no such entry under %s", name, section)
	}
	change(want)
	var text []byte
	var byHand string
	if item != nil {
		lines, merr := yaml.Marshal(item)
		if merr != nil {
			return fmt.Errorf("write %s: %w", section, merr)
		}
		byHand = fmt.Sprintf("add this under %s: by hand:\n%s", section, lines)
		text, err = insert(old, section, strings.Split(strings.TrimRight(string(lines), "\n"), "\n"), list)
	} else {
		byHand = fmt.Sprintf("take it out of %s by hand", section)
		text, err = remove(old, section, at, list, key)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, byHand)
	}
	got, err := Parse(name, text)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s is written in a form that opsdeck cannot edit: %s", name, byHand)
	}
	return replace(path, old, text)
}

// block returns where a section's entries are: its own line, the one after its last, and
// the entries' indentation, -1 where there are none. flow is set where they are written
// in brackets.
func block(lines []string, section string) (head, end, indent int, flow bool) {
	head = slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, section+":") })
	if head < 0 {
		return -1, 0, -1, false
	}
	rest, _, _ := strings.Cut(strings.TrimPrefix(lines[head], section+":"), " #")
	switch strings.TrimSpace(rest) {
	case "", "null", "~", "[]", "{}":
	default:
		flow = true
	}
	end, indent = head+1, -1
	for i := head + 1; i < len(lines); i++ {
		l := strings.TrimRight(lines[i], " \t\r")
		text := strings.TrimLeft(l, " ")
		if text == "" || text[0] == '#' {
			continue
		}
		in := len(l) - len(text)
		if in == 0 && !strings.HasPrefix(text, "- ") && text != "-" {
			break
		}
		if indent < 0 {
			indent = in
		}
		end = i + 1
	}
	return head, end, indent, flow
}

var errFlow = errors.New("its entries are written in brackets")

func insert(old []byte, section string, item []string, list bool) ([]byte, error) {
	if n := len(old); n > 0 && old[n-1] != '\n' {
		old = append(slices.Clip(old), '\n')
	}
	lines := strings.Split(strings.TrimSuffix(string(old), "\n"), "\n")
	head, end, indent, flow := block(lines, section)
	if flow {
		return nil, errFlow
	}
	if head < 0 {
		lines = append(lines, "", section+":")
		end = len(lines)
	} else if indent < 0 { // what stands for nothing, as [] does
		lines[head] = section + ":"
	}
	if indent < 0 {
		indent = 2
	}
	for i := range item {
		lead := ""
		if list && i == 0 {
			lead = "- "
		} else if list {
			lead = "  "
		}
		item[i] = strings.Repeat(" ", indent) + lead + item[i]
	}
	return []byte(strings.Join(slices.Insert(lines, end, item...), "\n") + "\n"), nil
}

// remove removes the n-th entry of a list, or the one of a key of a map.
func remove(old []byte, section string, n int, list bool, key string) ([]byte, error) {
	lines := strings.Split(strings.TrimSuffix(string(old), "\n"), "\n")
	head, end, indent, flow := block(lines, section)
	if flow {
		return nil, errFlow
	}
	from, to, count := -1, -1, 0
	for i := head + 1; i < end; i++ {
		text := strings.TrimLeft(lines[i], " ")
		switch {
		case text == "" || text[0] == '#':
		case len(lines[i])-len(text) != indent || list && text[0] != '-': // of the entry above
			if from >= 0 {
				to = i + 1
			}
		case from >= 0:
			i = end
		case list:
			if count++; count == n+1 {
				from, to = i, i+1
			}
		default:
			if k, _, _ := strings.Cut(text, ":"); strings.Trim(k, "\"' ") == key {
				from, to = i, i+1
			}
		}
	}
	if from < 0 {
		return nil, errors.New("its lines were not found")
	}
	lines = slices.Delete(lines, from, to)
	if _, end, indent, _ := block(lines, section); indent < 0 { // the last one went
		from := head
		if from > 0 && strings.TrimSpace(lines[from-1]) == "" {
			from--
		}
		lines = slices.Delete(lines, from, end)
	}
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}

// replace writes a file atomically, unless another program has written it since it was
// read as old.
func replace(path string, old, text []byte) error {
	mode := fs.FileMode(0o644)
	st, err := os.Stat(path)
	if err == nil {
		mode = st.Mode().Perm()
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, old) {
			return fmt.Errorf("another program is changing %s: try again", path)
		}
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".opsdeck-yaml-*")
	if err != nil {
		return fmt.Errorf("write the workspace file: %w", err)
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the workspace file: %w", err), os.Remove(f.Name()))
	}
	return nil
}
