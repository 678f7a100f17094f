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
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opsdeck/opsdeck/backend/routing"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Orchestrator is a source that reads a NEXUS orchestrator's admin API, in place of the
// engine, for an orchestrator that runs already. It tolerates that service's quirks: 500 for what does not exist, errors as {"detail"} or as
// {"error","details"}, and calls that only one of its two dialects has.
type Orchestrator struct {
	base  string
	mask  func(string) string
	http  *http.Client
	again chan struct{} // an action was done: poll again now
	// draft is the change of the routing configuration that is staged here: the
	// orchestrator knows of it once it is applied.
	draft *routing.Draft
}

// callLimit bounds one call: enabling a module may install what it needs.
const callLimit = 15 * time.Second

// orchestratorEvery is the interval at which the orchestrator is polled.
const orchestratorEvery = 2 * time.Second

// NewOrchestrator returns a source of the API at an http or https URL; mask hides
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
	o := &Orchestrator{base: u.Scheme + "://" + u.Host, mask: mask, http: hc, again: make(chan struct{}, 1)}
	if o.draft, err = routing.NewDraft(o.text); err != nil {
		return nil, err
	}
	return o, nil
}

// Ask queries the health of the orchestrator at a URL once, and returns its answer.
func Ask(ctx context.Context, at string, access Access) (string, error) {
	o, err := NewOrchestrator(at, access, func(s string) string { return s })
	if err != nil {
		return "", err
	}
	defer o.http.CloseIdleConnections()
	m, err := o.modules(ctx)
	if err != nil {
		return "", err
	}
	f := newFlow(o)
	f.health(ctx)
	h := f.services["orchestrator"]
	return strings.TrimSuffix(fmt.Sprintf("it is %s, with %s: %s", h.Word, state.Plural(len(m.List), "module"), h.Err), ": "), nil
}

// Name implements state.Source.
func (*Orchestrator) Name() string { return "orchestrator" }

// Sections implements state.Source.
func (*Orchestrator) Sections() []state.SectionName {
	return []state.SectionName{state.SectionModules, state.SectionPipeline, state.SectionRouting}
}

// Run implements state.Source: it polls modules and routing, follows the pipeline
// stream, and polls now and then what changes rarely.
func (o *Orchestrator) Run(ctx context.Context, put func(state.Section)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer o.http.CloseIdleConnections()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	flow := newFlow(o)
	tick := time.NewTicker(orchestratorEvery)
	defer tick.Stop()
	for first := true; ; first = false {
		modules, err := o.modules(ctx)
		if err != nil {
			return err
		}
		flow.health(ctx)
		put(flow.merge(modules))
		put(o.routing(ctx))
		put(flow.section())
		if first {
			wg.Go(func() { flow.follow(ctx) })
			wg.Go(func() { flow.pollRarely(ctx) })
		}
		for again := false; !again; {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
				again = true
			case <-o.again:
				again = true
			case <-flow.changed:
				put(flow.section())
			}
		}
	}
}

// recordedModule is a module as the API returns it.
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
	AuthType       string   `json:"auth_type"`
	Required       []string `json:"required_credentials"`
	IsLoaded       bool     `json:"is_loaded"`
	Error          *string  `json:"error"`
	LastUsed       *string  `json:"last_used"`
	Failures       int64    `json:"failure_count"`
	Successes      int64    `json:"success_count"`
	HasCredentials bool     `json:"has_credentials"`
}

// disabledReason returns, for every kind of action on these sections that an orchestrator
// does not have, why it is disabled. So an action that is added for the engine inside
// is disabled here by default.
func (o *Orchestrator) disabledReason() map[state.Kind]string {
	reasons := map[state.Kind]string{
		state.ModuleRestart:  "the orchestrator runs its modules in itself: reload the module instead",
		state.ModuleFetch:    "the orchestrator has no call that fetches now",
		state.CredentialUndo: "the orchestrator keeps no earlier credentials",

		state.RoutingConfirm:  "the orchestrator undoes no change by itself: undo it with u",
		state.RoutingRevert:   "the orchestrator undoes no change by itself: undo it with u",
		state.RoutingRollback: "the orchestrator keeps no earlier versions",
	}
	out := map[state.Kind]string{}
	for _, spec := range state.Specs() {
		if slices.Contains(o.Kinds(), spec.Kind) || !slices.Contains(o.Sections(), spec.Section) {
			continue
		}
		out[spec.Kind] = cmp.Or(reasons[spec.Kind], "only opsdeck's own engine does that, not the orchestrator at "+o.base)
	}
	return out
}

func (o *Orchestrator) modules(ctx context.Context) (state.Modules, error) {
	var body json.RawMessage
	if err := o.read(ctx, "/admin/modules", &body); err != nil {
		return state.Modules{}, err
	}
	var list struct {
		Modules []json.RawMessage `json:"modules"`
	}
	if json.Unmarshal(body, &list) != nil && json.Unmarshal(body, &list.Modules) != nil {
		return state.Modules{}, fmt.Errorf("orchestrator %s: /admin/modules: the answer holds no list of modules", o.base)
	}
	out := state.Modules{Dir: o.base, Cannot: o.disabledReason()}
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
		switch m.Status {
		case "enabled", "running", "active":
			m.Status = state.ModuleInstalled
		case "error":
			m.Status = state.ModuleFailed
		}
		if m.ID == "/" {
			continue // it names no module
		}
		if r.IsLoaded {
			m.Runner = "running"
		}
		switch {
		case r.HasCredentials:
			m.Credentials = state.CredentialsPresent
		case r.RequiresKey || len(r.Required) > 0 || r.AuthType != "" && r.AuthType != "none":
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

// lastLine returns the last line of a text: of a traceback, what happened.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

func (o *Orchestrator) routing(ctx context.Context) state.Routing {
	r := state.Routing{File: o.base + "/admin/routing-config"}
	var raw json.RawMessage
	if err := o.read(ctx, "/admin/routing-config", &raw); err != nil {
		r.Problem = o.text(err.Error())
		return r
	}
	var c struct {
		Categories map[string]json.RawMessage `json:"categories"`
		Tiers      map[string]json.RawMessage `json:"tiers"`
	}
	_ = json.Unmarshal(raw, &c)
	text := indentJSON(raw)
	r.Categories, r.Tiers, r.JSON, r.Loaded = len(c.Categories), len(c.Tiers), o.text(string(text)), time.Now()
	r.Figures = "not known: no service exposes them to opsdeck (metrics.scrape in opsdeck.yaml)"
	o.draft.Describe(&r, text)
	return r
}

// indentJSON returns JSON indented as its text is shown and edited.
func indentJSON(raw []byte) []byte {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return raw
	}
	return b.Bytes()
}

func (o *Orchestrator) text(s string) string { return state.Clean(o.mask(s)) }

// statusError is an answer other than success.
type statusError struct {
	status int
	text   string
}

func (e statusError) Error() string { return e.text }

// maxAnswer bounds an answer's body.
const maxAnswer = 16 << 20

// readLimit bounds a call that only reads: the next one comes soon.
const readLimit = 5 * time.Second

// read calls the API with GET.
func (o *Orchestrator) read(ctx context.Context, path string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	return o.call(ctx, http.MethodGet, path, nil, out)
}

// call calls the API. Its errors name the call and the answer, in either of the API's
// forms of error.
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
	req.Header.Set("Accept", "application/json")
	resp, err := o.http.Do(req)
	switch {
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("orchestrator %s: %s: no answer in time: it hangs, or is overloaded", o.base, path)
	case err != nil:
		return remedy(fmt.Errorf("orchestrator %s: %w: is it running?", o.base, err))
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("orchestrator %s: %s: the answer broke off: %w", o.base, path, err)
	case len(b) > maxAnswer:
		return fmt.Errorf("orchestrator %s: %s: the answer is larger than %d MiB", o.base, path, maxAnswer>>20)
	case resp.StatusCode >= 300:
		return statusError{resp.StatusCode, o.mask(o.answered(resp, b))}
	case out == nil:
		return nil
	case strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html"):
		return fmt.Errorf("orchestrator %s: %s: it answers a web page: is this the admin API's address?", o.base, path)
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("orchestrator %s: %s: the answer is not what NEXUS sends: %w", o.base, path, err)
	}
	return nil
}

// answered returns the error for an answer other than success.
func (o *Orchestrator) answered(resp *http.Response, b []byte) string {
	text := fmt.Sprintf("the orchestrator answers %d: ", resp.StatusCode)
	switch to := resp.Header.Get("Location"); {
	case resp.StatusCode < 400 && to != "":
		return text + "it sends on to " + to + ", which is not followed: name that address as engine.url"
	case strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html"):
		text += "a web page"
	default:
		text += detail(b)
	}
	if resp.StatusCode == http.StatusUnauthorized {
		text += ": set the token with engine.token or OPSDECK_TOKEN"
	}
	return text
}

// refused is how Python words that a service behind the orchestrator is down.
var refused = regexp.MustCompile(`HTTPS?ConnectionPool\(host='([^']+)', port=(\d+)\).*?(?:\[Errno -?\d+\] )?([^:'\[\]]+)'\)\)$`)

// maxDetail is how much of an error's text is kept, in bytes.
const maxDetail = 300

// detail returns the text of an error's body, in whichever form it comes, short.
func detail(b []byte) string {
	text := strings.TrimSpace(rawDetail(b))
	if m := refused.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("the service %s:%s behind it does not answer: %s", m[1], m[2], strings.TrimSpace(m[3]))
	}
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "") + "..."
	}
	return text
}

func rawDetail(b []byte) string {
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
	return string(b)
}
