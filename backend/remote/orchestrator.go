package remote

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Orchestrator is a NEXUS orchestrator's admin API as a source: it stands where
// the engine would, for an orchestrator that runs already. It survives that
// service's quirks: 500 for what does not exist, errors as {"detail"} or as
// {"error","details"}, and calls that only one of its two dialects has.
type Orchestrator struct {
	base string
	mask func(string) string
	http *http.Client
	look chan struct{} // an action was done: look again now
}

// callLimit bounds one call: enabling a module may install what it needs.
const callLimit = 15 * time.Second

// orchestratorEvery is how often the orchestrator is asked.
const orchestratorEvery = 2 * time.Second

// NewOrchestrator makes a source of the API at an http or https URL; mask hides
// known secrets.
func NewOrchestrator(at string, access Access, mask func(string) string) (*Orchestrator, error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("orchestrator %q: a URL such as http://127.0.0.1:8003 was expected", at)
	}
	hc, err := access.client(callLimit)
	if err != nil {
		return nil, fmt.Errorf("orchestrator %s: %w", at, err)
	}
	return &Orchestrator{base: u.Scheme + "://" + u.Host, mask: mask, http: hc, look: make(chan struct{}, 1)}, nil
}

// Name implements state.Source.
func (*Orchestrator) Name() string { return "orchestrator" }

// Sections implements state.Source.
func (*Orchestrator) Sections() []state.SectionName {
	return []state.SectionName{state.SectionModules, state.SectionPipeline, state.SectionRouting}
}

// Run implements state.Source.
func (o *Orchestrator) Run(ctx context.Context, put func(state.Section)) error {
	defer o.http.CloseIdleConnections()
	tick := time.NewTicker(orchestratorEvery)
	defer tick.Stop()
	for {
		modules, err := o.modules(ctx)
		if err != nil {
			return err
		}
		put(modules)
		put(o.routing(ctx))
		put(state.Pipeline{})
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-o.look:
		}
	}
}

// recordedModule is a module as the API gives it.
type recordedModule struct {
	Version        string   `json:"version"`
	Category       string   `json:"category"`
	Platform       string   `json:"platform"`
	DisplayName    string   `json:"display_name"`
	Description    string   `json:"description"`
	Status         string   `json:"status"`
	Persistent     string   `json:"persistent_status"`
	Health         string   `json:"health_status"`
	ModuleID       string   `json:"module_id"`
	RequiresKey    bool     `json:"requires_api_key"`
	Required       []string `json:"required_credentials"`
	IsLoaded       bool     `json:"is_loaded"`
	Error          *string  `json:"error"`
	LastUsed       *string  `json:"last_used"`
	Failures       int64    `json:"failure_count"`
	Successes      int64    `json:"success_count"`
	HasCredentials bool     `json:"has_credentials"`
}

// cannot says why an orchestrator's modules cannot be acted on like our own.
func (o *Orchestrator) cannot() map[state.Kind]string {
	why := func(what string) string { return fmt.Sprintf("the orchestrator at %s %s", o.base, what) }
	return map[state.Kind]string{
		state.ModuleRestart:    why("runs its modules in itself: reload the module instead"),
		state.ModuleFetch:      why("has no call that fetches now"),
		state.CredentialRotate: why("cannot put the old ones back: set the credentials, then reload the module"),
		state.CredentialUndo:   why("keeps no earlier credentials"),
	}
}

func (o *Orchestrator) modules(ctx context.Context) (state.Modules, error) {
	var list struct {
		Modules []json.RawMessage `json:"modules"`
	}
	if err := o.call(ctx, http.MethodGet, "/admin/modules", nil, &list); err != nil {
		return state.Modules{}, err
	}
	out := state.Modules{Dir: o.base, Cannot: o.cannot()}
	for _, raw := range list.Modules {
		var r recordedModule
		if err := json.Unmarshal(raw, &r); err != nil {
			continue // one odd module does not hide the others
		}
		var indented bytes.Buffer
		_ = json.Indent(&indented, raw, "", "  ")
		m := state.Module{
			ID: o.text(cmp.Or(r.ModuleID, r.Category+"/"+r.Platform)), Category: o.text(r.Category), Platform: o.text(r.Platform),
			DisplayName: o.text(r.DisplayName), Description: o.text(r.Description), Version: o.text(r.Version),
			Status: state.ModuleStatus(o.text(cmp.Or(r.Persistent, r.Status))), HealthWord: o.text(cmp.Or(r.Health, "unknown")),
			Successes: r.Successes, Failures: r.Failures, RequiredCredentials: r.Required, Manifest: o.text(indented.String()),
			Runner: "stopped", Credentials: state.CredentialsNotNeeded,
		}
		if m.Status == "enabled" {
			m.Status = state.ModuleInstalled
		}
		if r.IsLoaded {
			m.Runner = "running"
		}
		switch {
		case r.HasCredentials:
			m.Credentials = state.CredentialsPresent
		case r.RequiresKey || len(r.Required) > 0:
			m.Credentials = state.CredentialsMissing
		}
		if r.LastUsed != nil {
			if t, err := time.Parse("2006-01-02T15:04:05.999999", *r.LastUsed); err == nil {
				m.LastFetch = t
			}
		}
		if r.Error != nil && *r.Error != "" {
			m.LastError, m.Traceback = o.text(lastLine(*r.Error)), o.text(*r.Error)
			m.Reason = m.LastError
			if m.Status == state.ModuleInstalled {
				m.Status = state.ModuleFailed
			}
		}
		out.List = append(out.List, m)
	}
	slices.SortFunc(out.List, func(a, b state.Module) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// lastLine is the last line of a text: of a traceback, what happened.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

func (o *Orchestrator) routing(ctx context.Context) state.Routing {
	r := state.Routing{File: o.base + "/admin/routing-config"}
	var raw json.RawMessage
	if err := o.call(ctx, http.MethodGet, "/admin/routing-config", nil, &raw); err != nil {
		r.Problem = o.text(err.Error())
		return r
	}
	var c struct {
		Categories map[string]json.RawMessage `json:"categories"`
		Tiers      map[string]json.RawMessage `json:"tiers"`
	}
	_ = json.Unmarshal(raw, &c)
	var indented bytes.Buffer
	_ = json.Indent(&indented, raw, "", "  ")
	r.Categories, r.Tiers, r.JSON, r.Loaded = len(c.Categories), len(c.Tiers), o.text(indented.String()), time.Now()
	return r
}

func (o *Orchestrator) text(s string) string { return state.Clean(o.mask(s)) }

// Kinds implements state.Executor.
func (*Orchestrator) Kinds() []state.Kind {
	return []state.Kind{state.ModuleEnable, state.ModuleDisable, state.ModuleReload, state.ModuleUninstall,
		state.CredentialSet, state.CredentialDelete, state.RoutingReload}
}

// Execute implements state.Executor.
func (o *Orchestrator) Execute(ctx context.Context, a state.Action, progress func(string, float64)) (state.Outcome, error) {
	progress("asking the orchestrator", -1)
	defer func() {
		select {
		case o.look <- struct{}{}:
		default:
		}
	}()
	parts := strings.SplitN(a.Target, "/", 2)
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	path := "/admin/modules/" + strings.Join(parts, "/")
	undo := func(k state.Kind) *state.Action { return &state.Action{Kind: k, Target: a.Target} }
	var answer struct{ Message string }
	var err error
	out := state.Outcome{}
	switch a.Kind {
	case state.ModuleEnable:
		err, out.Undo = o.call(ctx, http.MethodPost, path+"/enable", nil, &answer), undo(state.ModuleDisable)
	case state.ModuleDisable:
		err, out.Undo = o.call(ctx, http.MethodPost, path+"/disable", nil, &answer), undo(state.ModuleEnable)
	case state.ModuleReload:
		err = o.call(ctx, http.MethodPost, path+"/reload", nil, &answer)
	case state.ModuleUninstall:
		err = o.call(ctx, http.MethodDelete, path, nil, &answer)
	case state.CredentialDelete:
		err = o.call(ctx, http.MethodDelete, path+"/credentials", nil, &answer)
	case state.CredentialSet:
		err = o.setCredentials(ctx, path, a, &answer)
	case state.RoutingReload:
		err = o.call(ctx, http.MethodPost, "/admin/routing-config/reload", nil, &answer)
		answer.Message = "the orchestrator reloaded its routing configuration"
	default:
		err = fmt.Errorf("%s cannot be asked of the orchestrator", a.Kind)
	}
	if err != nil {
		return state.Outcome{}, fmt.Errorf("%s %s: %w", a.Kind, a.Target, err)
	}
	out.Result = cmp.Or(answer.Message, "done")
	return out, nil
}

// setCredentials stores credentials by the recorded call, or, where there is no
// such call, by the documented one.
func (o *Orchestrator) setCredentials(ctx context.Context, path string, a state.Action, answer any) (err error) {
	values := map[string]any{}
	defer func() { err = hide(err, values) }()
	for k, v := range a.Secrets {
		if k == "@json" {
			if err := json.Unmarshal([]byte(v.Reveal()), &values); err != nil {
				return errors.New("the credentials are not a JSON object")
			}
			continue
		}
		values[k] = v.Reveal()
	}
	err = o.call(ctx, http.MethodPost, path+"/credentials", map[string]any{"credentials": values}, answer)
	var se statusError
	if errors.As(err, &se) && (se.status == http.StatusNotFound || se.status == http.StatusMethodNotAllowed) {
		_, platform, _ := strings.Cut(a.Target, "/")
		err = o.call(ctx, http.MethodPost, "/admin/credentials", map[string]any{"platform": platform, "credentials": values}, answer)
	}
	return err
}

// hide takes the values that were sent out of an error: services quote what they
// refuse, and these are not known to the mask yet.
func hide(err error, values map[string]any) error {
	if err == nil {
		return nil
	}
	var sent []string
	var collect func(v any)
	collect = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, e := range v {
				collect(e)
			}
		case []any:
			for _, e := range v {
				collect(e)
			}
		case string:
			sent = append(sent, v)
		}
	}
	collect(values)
	var m secrets.Mask
	m.Add(sent...)
	text := m.Mask(err.Error())
	for _, v := range sent { // too short to be looked for in ordinary text, but not here
		if len(v) > 2 && len(v) < secrets.MinLength {
			text = strings.ReplaceAll(text, v, secrets.Masked)
		}
	}
	return errors.New(text)
}

// statusError is an answer other than success.
type statusError struct {
	status int
	text   string
}

func (e statusError) Error() string { return e.text }

// call asks the API. Its errors say what was asked and what was answered, in
// either of the API's forms of error.
func (o *Orchestrator) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, o.base+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := o.http.Do(req)
	if err != nil {
		return fmt.Errorf("orchestrator %s: %w: is it running?", o.base, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("orchestrator %s: %s: the answer broke off: %w", o.base, path, err)
	}
	if resp.StatusCode >= 300 {
		return statusError{resp.StatusCode, o.mask(fmt.Sprintf("the orchestrator answers %d: %s", resp.StatusCode, detail(b)))}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("orchestrator %s: %s: the answer is not what NEXUS sends: %w", o.base, path, err)
	}
	return nil
}

// detail is the text of an error's body, in whichever form it comes.
func detail(b []byte) string {
	var e struct {
		Detail  any    `json:"detail"`
		Error   string `json:"error"`
		Details any    `json:"details"`
	}
	if json.Unmarshal(b, &e) == nil {
		switch d := e.Detail.(type) {
		case nil:
		case string:
			return d
		default:
			if text, err := json.Marshal(d); err == nil {
				return string(text)
			}
		}
		if e.Error != "" {
			if e.Details != nil {
				return fmt.Sprintf("%s: %v", e.Error, e.Details)
			}
			return e.Error
		}
	}
	text := strings.TrimSpace(string(b))
	return text[:min(len(text), 300)]
}
