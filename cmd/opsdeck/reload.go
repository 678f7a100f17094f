package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/alerting"
	"github.com/opsdeck/opsdeck/backend/config"
	"github.com/opsdeck/opsdeck/backend/record"
	"github.com/opsdeck/opsdeck/backend/source/logs"
	"github.com/opsdeck/opsdeck/backend/state"
)

// reloader carries out the reload of the workspace file.
type reloader struct{ *wiring }

// Kinds implements state.Executor.
func (reloader) Kinds() []state.Kind { return []state.Kind{state.ConfigReload} }

// Execute implements state.Executor: it replaces the sources whose settings
// changed. A file with errors changes nothing.
func (r reloader) Execute(_ context.Context, _ state.Action, progress func(string, float64)) (state.Outcome, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	progress("reading the workspace file", -1)
	return r.reload()
}

// reload reads the workspace file and puts it in force. The caller holds r.mu.
func (r *wiring) reload() (state.Outcome, error) {
	next, err := config.Load(config.Flags{Workspace: r.ws.Dir, Config: r.ws.ConfigFile})
	if err != nil {
		return state.Outcome{}, fmt.Errorf("reload the workspace file: %w; nothing was changed", err)
	}
	if len(next.Problems) > 0 {
		r.hub.SetWorkspace(func(w *state.Workspace) { w.Problems = next.Problems })
		return state.Outcome{}, fmt.Errorf("reload the workspace file: nothing was changed:\n%s", strings.Join(next.Problems, "\n"))
	}
	was := r.ws
	var done []string
	replace := func(what string, changed bool, src func() state.Source) {
		if changed && err == nil {
			err = r.hub.Replace(src())
			done = append(done, what)
		}
	}
	dockerChanged := !reflect.DeepEqual(next.Docker, was.Docker)
	if dockerChanged {
		engines, derr := newDocker(next, r.mask.Mask, r.store)
		if derr != nil {
			return state.Outcome{}, fmt.Errorf("reload the workspace file: nothing was changed: %w", derr)
		}
		r.docker = engines
	}
	replace("docker", dockerChanged, func() state.Source { return r.docker })
	replace("logs", dockerChanged || !reflect.DeepEqual(next.Logs, was.Logs), func() state.Source { return r.newLogs(next) })
	if !reflect.DeepEqual(next.Watches, was.Watches) || !reflect.DeepEqual(next.Filters, was.Filters) {
		r.logs.SetWatching(watching(next))
		r.alerts.SetWatches(watchAlerts(next))
		done = append(done, "watches and filters")
	}
	replace("redis", !reflect.DeepEqual(next.Redis, was.Redis), func() state.Source { return r.newQueue(next) })
	replace("services", !reflect.DeepEqual(next.Service, was.Service), func() state.Source { return r.newHealth(next) })
	replace("rules", !reflect.DeepEqual(next.Rules, was.Rules) || next.Metrics.Evaluate != was.Metrics.Evaluate,
		func() state.Source { return r.newAlerting(next) })
	if next.Engine.URL != "" && was.Engine.URL != "" && next.Engine != was.Engine {
		src, rerr := r.newRemote(next)
		if rerr != nil {
			return state.Outcome{}, fmt.Errorf("reload the workspace file: %w", rerr)
		}
		replace("engine", true, func() state.Source { return src })
	}
	if err != nil {
		return state.Outcome{}, err
	}
	var restart []string
	for _, s := range []struct {
		what    string
		changed bool
	}{
		{"engine", (next.Engine.URL == "") != (was.Engine.URL == "")},
		{"data", next.Data != was.Data}, {"listen", next.Listen != was.Listen && was.Origin["listen"] != "flag"},
		{"tls", next.TLS != was.TLS}, {"hosts", !reflect.DeepEqual(next.Hosts, was.Hosts)},
		{"modules", next.Modules != was.Modules}, {"pipeline", !reflect.DeepEqual(next.Pipeline, was.Pipeline)}, {"credentials", next.Credentials != was.Credentials}, {"routing", next.Routing != was.Routing}, {"settle", next.Settle != was.Settle},
		{"metrics", next.Metrics.Interval != was.Metrics.Interval || next.Metrics.Retention != was.Metrics.Retention ||
			next.Metrics.ScrapeInterval != was.Metrics.ScrapeInterval || !reflect.DeepEqual(next.Metrics.Scrape, was.Metrics.Scrape)},
		{"keys", !reflect.DeepEqual(next.Keys, was.Keys)}, {"theme", next.Theme != was.Theme},
	} {
		if s.changed {
			restart = append(restart, s.what)
		}
	}
	r.ws = next
	r.hub.SetWorkspace(func(w *state.Workspace) {
		w.Title, w.Problems, w.ConfigFile = state.Clean(next.Name), nil, next.ConfigFile
	})
	result := "nothing had changed"
	if len(done) > 0 {
		result = "in force: " + strings.Join(done, ", ")
	}
	if len(restart) > 0 {
		result = cmp.Or(strings.TrimPrefix(result, "nothing had changed"), "read") + "; in force at the next start: " + strings.Join(restart, ", ")
	}
	return state.Outcome{Result: result}, nil
}

// watching returns what the workspace has watched in its logs.
func watching(ws *config.Workspace) logs.Watching {
	out := logs.Watching{Filters: ws.FiltersOf()}
	names := ws.Names()
	for _, w := range ws.Watches {
		if f, err := record.CompileWith(w.Where, names); err == nil { // else the file would have been refused
			out.Watches = append(out.Watches, logs.Watch{Name: w.Name, Source: w.Source, Where: w.Where, Filter: f, Window: w.Span()})
		}
	}
	return out
}

// watchAlerts returns the watches that are alerts.
func watchAlerts(ws *config.Workspace) (out []alerting.Watch) {
	for _, w := range ws.Watches {
		if w.Above != nil {
			out = append(out, alerting.Watch{Name: w.Name, Source: w.Source, Window: w.Span(), Above: *w.Above, For: time.Duration(w.For), Severity: w.Severity, Runbook: w.Runbook})
		}
	}
	return out
}

// evidence returns what the logs have for an alert: the filter of its watch and the newest
// record that passed it.
func (w *wiring) evidence(labels map[string]string) map[string]string {
	x := w.hub.Latest().Logs.Watch(labels["watch"])
	if x == nil {
		return nil
	}
	out := map[string]string{"filter": x.Where}
	if x.Last != "" {
		out["last_match"] = fmt.Sprintf("%s %s: %s", x.LastAt.UTC().Format(time.RFC3339), x.LastSource, x.Last)
	}
	return out
}

// editor carries out what changes single entries of the workspace file.
type editor struct{ *wiring }

// Kinds implements state.Executor.
func (editor) Kinds() []state.Kind {
	return []state.Kind{state.LogWatchAdd, state.LogWatchRemove, state.LogFilterSave, state.LogFilterRemove}
}

// Execute implements state.Executor: it changes the file and puts it in force. Where that
// cannot be, the file is as it was.
func (e editor) Execute(_ context.Context, a state.Action, _ func(string, float64)) (state.Outcome, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	arg := func(key string) string { return strings.TrimSpace(a.Args[key]) }
	name := arg("name")
	opposite := func(k state.Kind, args map[string]string) *state.Action {
		return &state.Action{Kind: k, Target: a.Target, Args: args}
	}
	var out state.Outcome
	var back func() error
	var err error
	switch a.Kind {
	case state.LogWatchAdd:
		var x config.Watch
		if x, err = watchOf(arg); err != nil {
			break
		}
		err = e.ws.AddWatch(x)
		back = func() error { _, err := e.ws.RemoveWatch(name); return err }
		out = state.Outcome{Result: fmt.Sprintf("%s is watched in %s", name, x.Source), Undo: opposite(state.LogWatchRemove, map[string]string{"name": name})}
	case state.LogWatchRemove:
		var x config.Watch
		x, err = e.ws.RemoveWatch(name)
		back = func() error { return e.ws.AddWatch(x) }
		out = state.Outcome{Result: name + " is not watched any more", Undo: opposite(state.LogWatchAdd, watchArgs(x))}
	case state.LogFilterSave:
		err = e.ws.AddFilter(name, arg("where"))
		back = func() error { _, err := e.ws.RemoveFilter(name); return err }
		out = state.Outcome{Result: fmt.Sprintf("@%s stands for %s", name, arg("where")), Undo: opposite(state.LogFilterRemove, map[string]string{"name": name})}
	case state.LogFilterRemove:
		var where string
		where, err = e.ws.RemoveFilter(name)
		back = func() error { return e.ws.AddFilter(name, where) }
		out = state.Outcome{Result: "@" + name + " stands for nothing any more", Undo: opposite(state.LogFilterSave, map[string]string{"name": name, "where": where})}
	}
	if err != nil {
		return state.Outcome{}, fmt.Errorf("%s %s: %w", a.Kind, name, err)
	}
	if _, err := e.reload(); err != nil {
		return state.Outcome{}, errors.Join(fmt.Errorf("%s %s: %w", a.Kind, name, err), back())
	}
	return out, nil
}

// watchOf returns the watch that an action's arguments describe.
func watchOf(arg func(string) string) (x config.Watch, err error) {
	x = config.Watch{Name: arg("name"), Source: arg("source"), Where: arg("where"), Severity: arg("severity"), Runbook: arg("runbook")}
	for key, to := range map[string]*config.Duration{"window": &x.Window, "for": &x.For} {
		if v := arg(key); v != "" {
			d, err := state.ParseDuration(v)
			if err != nil {
				return x, fmt.Errorf("%s: %w", key, err)
			}
			*to = config.Duration(d)
		}
	}
	if v := arg("above"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			return x, fmt.Errorf("above: %q is no number", v)
		}
		x.Above = &n
	} else {
		x.For, x.Severity, x.Runbook = 0, "", "" // of an alert that it is not
	}
	return x, nil
}

// watchArgs returns the arguments that describe a watch.
func watchArgs(x config.Watch) map[string]string {
	args := map[string]string{"name": x.Name, "source": x.Source, "where": x.Where, "window": x.Span().String(), "severity": x.Severity, "runbook": x.Runbook}
	if x.Above != nil {
		args["above"] = strconv.Itoa(*x.Above)
	}
	if x.For > 0 {
		args["for"] = time.Duration(x.For).String()
	}
	return args
}
