package logcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/config"
	"github.com/opsdeck/opsdeck/backend/source/docker"
	"github.com/opsdeck/opsdeck/backend/source/logs"
	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/state"
)

// askEngine is how long the container engine may take to say whether it knows a name.
const askEngine = 3 * time.Second

// sourceResolver makes inputs of what the command line names.
type sourceResolver struct {
	ws           *config.Workspace // nil where there is none
	in           io.Reader
	fl           *logsFlags
	since, until int64
	now          time.Time
	query        scan.Query
	workers      int

	globs []string
	known map[string]bool
}

// resolve gives the inputs of the sources named, of the workspace's where none is.
func (r *sourceResolver) resolve(ctx context.Context, args []string) ([]scan.Input, error) {
	r.known = map[string]bool{}
	if len(args) == 0 {
		for _, l := range r.ws.Logs {
			if !l.Remote() { // those would be fetched whole, and ssh may ask for each
				args = append(args, l.Path)
			}
		}
		if len(args) == 0 {
			return nil, ExitError{exitFailed, errors.New("the workspace has log files on other hosts alone: name them")}
		}
		ins := r.expand(args)
		if len(ins) == 0 && !r.fl.follow {
			return nil, ExitError{exitFailed, fmt.Errorf("there are no log files: %s matches none; name them", r.ws.Rel(args[0]))}
		}
		return ins, nil
	}
	var ins []scan.Input
	var errs []error
	for _, arg := range args {
		got, err := r.one(ctx, arg)
		if err != nil {
			var ee ExitError
			if errors.As(err, &ee) {
				return nil, err
			}
			errs = append(errs, err)
			continue
		}
		ins = append(ins, got...)
	}
	// What cannot be read is told, and what can is read all the same.
	if len(errs) > 0 {
		bad := errors.Join(errs...)
		ins = append(ins, scan.Input{Title: "", Read: func(context.Context, *scan.Feed) error { return bad }})
	}
	return ins, nil
}

// one gives the inputs of one argument.
func (r *sourceResolver) one(ctx context.Context, arg string) ([]scan.Input, error) {
	single := func(in scan.Input, err error) ([]scan.Input, error) {
		if err != nil {
			return nil, err
		}
		return []scan.Input{in}, nil
	}
	if arg == "-" {
		return single(scan.Reader("stdin", r.in), nil)
	}
	if strings.HasPrefix(arg, "ssh://") {
		in, err := logs.RemoteFile(arg, "ssh", r.fl.follow, r.since != 0)
		if err != nil {
			return nil, ExitError{exitUsage, err}
		}
		return single(in, nil)
	}
	if name, ok := strings.CutPrefix(arg, "container:"); ok {
		return single(r.container(name), nil)
	}
	if _, err := os.Lstat(arg); err == nil {
		if st, err := os.Stat(arg); err == nil && st.IsDir() {
			return nil, fmt.Errorf("read %s: it is a directory: name the files in it, as in %s", state.Clean(arg), state.Clean(filepath.Join(arg, "*.log")))
		}
		return single(r.file(arg, false), nil)
	}
	if unit, ok := strings.CutPrefix(arg, "journal:"); ok || arg == "journal" {
		if arg == "journal" {
			unit = ""
		}
		return single(logs.Journal(unit, moment(r.since), moment(r.until), r.journalLines(), r.fl.follow), nil)
	}
	if strings.ContainsAny(arg, "*?[") {
		ins := r.expand([]string{arg})
		if len(ins) == 0 && !r.fl.follow {
			return nil, fmt.Errorf("read %s: no file matches", state.Clean(arg))
		}
		return ins, nil
	}
	pathLike := strings.ContainsRune(arg, filepath.Separator)
	if !pathLike {
		ctx, cancel := context.WithTimeout(ctx, askEngine)
		defer cancel()
		has, err := r.docker().HasContainer(ctx, arg)
		if has {
			return single(r.container(arg), nil)
		}
		if !r.fl.follow || filepath.Ext(arg) == "" {
			why := "no container has that name"
			if err != nil {
				why = "the container engine does not answer"
			}
			err = fmt.Errorf("read %s: there is no such file here, and %s", state.Clean(arg), why)
			if filepath.Ext(arg) == "" { // a word that was meant to be looked for must not print everything
				return nil, ExitError{exitFailed, fmt.Errorf("%w: to look for a text, --grep %s", err, state.Clean(arg))}
			}
			return nil, err
		}
	}
	if !r.fl.follow {
		return nil, fmt.Errorf("read %s: there is no such file", state.Clean(arg))
	}
	return single(r.file(arg, false), nil) // it is waited for
}

// moment returns the time of Unix nanoseconds, of which 0 is none.
func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// journalLines returns how many entries need be read of the journal.
func (r *sourceResolver) journalLines() int {
	if !r.fl.follow || r.since != 0 {
		return -1
	}
	return 1000
}

func (r *sourceResolver) docker() *docker.Source {
	host := ""
	if r.ws != nil {
		host = r.ws.Docker.Host
	}
	return docker.New(docker.Config{Host: host})
}

func (r *sourceResolver) container(name string) scan.Input {
	tail := -1
	if r.fl.follow && r.since == 0 {
		tail = 1000
	}
	return logs.Container(name, name, r.docker().ReadLog, moment(r.since), tail, r.fl.follow)
}

// file returns the input of one file, with its rotations where they are asked for or
// needed to reach back. fresh says that it appeared while its glob was followed.
func (r *sourceResolver) file(path string, fresh bool) scan.Input {
	var parts []scan.Input
	if !fresh && (r.fl.all || r.since != 0) {
		first := int64(0)
		if !r.fl.all {
			first = scan.FirstTime(path)
		}
		if r.fl.all || first == 0 || first > r.since {
			for _, old := range scan.Rotations(path, moment(r.since)) {
				parts = append(parts, scan.File(old, 0))
			}
		}
	}
	if r.fl.follow {
		parts = append(parts, logs.FollowFile(path, fresh || r.since != 0 || r.fl.all, fresh))
	} else if r.fl.lines >= 0 && !r.fl.all {
		parts = append(parts, scan.LastOf(path, r.fl.lines, r.query, r.workers))
	} else {
		parts = append(parts, scan.File(path, 0))
	}
	return scan.Joined(path, parts...)
}

// expand returns the files that globs match, and remembers the globs.
func (r *sourceResolver) expand(globs []string) []scan.Input {
	r.globs = append(r.globs, globs...)
	var paths []string
	for _, g := range globs {
		m, _ := filepath.Glob(g)
		paths = append(paths, m...)
	}
	slices.Sort(paths)
	paths = r.withoutRotated(slices.Compact(paths))
	var ins []scan.Input
	for _, p := range paths {
		if st, err := os.Stat(p); err == nil && st.IsDir() || r.known[p] {
			continue
		}
		r.known[p] = true
		ins = append(ins, r.file(p, false))
	}
	return ins
}

// withoutRotated leaves out the files that are read as the rotations of another, and
// compressed ones where files are followed.
func (r *sourceResolver) withoutRotated(paths []string) []string {
	if !r.fl.all && r.since == 0 && !r.fl.follow {
		return paths
	}
	rotated := map[string]bool{}
	for _, p := range paths {
		for _, old := range scan.Rotations(p, time.Time{}) {
			rotated[old] = true
		}
	}
	return slices.DeleteFunc(paths, func(p string) bool { return rotated[p] })
}

// appearing returns appeared where globs are followed, else nil.
func (r *sourceResolver) appearing() func(gone []string) []scan.Input {
	if len(r.globs) == 0 {
		return nil
	}
	return r.appeared
}

// appeared returns the files of followed globs that were not there before. It is called
// from one goroutine, and a file that was given up is told by gone.
func (r *sourceResolver) appeared(gone []string) []scan.Input {
	for _, p := range gone {
		delete(r.known, p)
	}
	var ins []scan.Input
	for _, g := range r.globs {
		m, _ := filepath.Glob(g)
		for _, p := range r.withoutRotated(m) {
			if r.known[p] {
				continue
			}
			if st, err := os.Stat(p); err != nil || st.IsDir() {
				continue
			}
			r.known[p] = true
			ins = append(ins, r.file(p, true))
		}
	}
	return ins
}
