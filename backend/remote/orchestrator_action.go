package remote

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Kinds implements state.Executor.
func (*Orchestrator) Kinds() []state.Kind {
	return []state.Kind{state.ModuleEnable, state.ModuleDisable, state.ModuleReload, state.ModuleUninstall,
		state.CredentialSet, state.CredentialDelete, state.CredentialRotate, state.RoutingReload, state.RoutingSet,
		state.RoutingStage, state.RoutingThreshold, state.RoutingRoute, state.RoutingRemove, state.RoutingApply, state.RoutingDiscard}
}

// Execute implements state.Executor.
func (o *Orchestrator) Execute(ctx context.Context, a state.Action, progress func(string, float64)) (state.Outcome, error) {
	progress("asking the orchestrator", -1)
	defer func() {
		select {
		case o.again <- struct{}{}:
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
		if err = o.call(ctx, http.MethodDelete, path+"/credentials", nil, &answer); missing(err) {
			err = o.call(ctx, http.MethodDelete, "/admin/credentials/"+parts[len(parts)-1], nil, &answer)
		}
	case state.CredentialSet:
		err = o.setCredentials(ctx, path, a, &answer)
	case state.CredentialRotate:
		answer.Message, err = o.rotate(ctx, path, a, progress)
	case state.RoutingReload:
		if err = o.call(ctx, http.MethodPost, "/admin/routing-config/reload", nil, &answer); missing(err) {
			err = o.call(ctx, http.MethodPost, "/admin/reload", nil, &answer)
		}
		answer.Message = "the orchestrator reloaded its routing configuration"
	case state.RoutingSet:
		out, err = o.setRouting(ctx, a)
		answer.Message = out.Result
	case state.RoutingStage, state.RoutingThreshold, state.RoutingRoute, state.RoutingRemove, state.RoutingApply, state.RoutingDiscard:
		out, err = o.stageRouting(ctx, a)
		answer.Message = out.Result
	default:
		err = fmt.Errorf("%s cannot be asked of the orchestrator", a.Kind)
	}
	if err != nil {
		return state.Outcome{}, fmt.Errorf("%s %s: %w", a.Kind, a.Target, err)
	}
	out.Result = cmp.Or(answer.Message, "done")
	return out, nil
}

// missing reports whether an answer says that there is no such call, as in the
// other dialect, or no such thing.
func missing(err error) bool {
	var se statusError
	return errors.As(err, &se) && (se.status == http.StatusNotFound || se.status == http.StatusMethodNotAllowed)
}

// rotate does as much of a rotation as the API can: store, reload, and check whether they
// work. It cannot restore the old ones, since the API never returns any.
func (o *Orchestrator) rotate(ctx context.Context, path string, a state.Action, progress func(string, float64)) (string, error) {
	progress("storing the new credentials", 20)
	if err := o.setCredentials(ctx, path, a, nil); err != nil {
		return "", fmt.Errorf("%w; the old ones are in force", err)
	}
	progress("reloading the module", 50)
	if err := o.call(ctx, http.MethodPost, path+"/reload", nil, nil); err != nil {
		return "", fmt.Errorf("the new credentials are stored, but the module could not be reloaded: %w", err)
	}
	progress("asking whether they work", 80)
	const stays = "the new credentials are in force, and this API gives no old ones back: rotate again with ones that work"
	_, platform, _ := strings.Cut(a.Target, "/")
	var check struct {
		Valid *bool `json:"valid"`
	}
	err := o.call(ctx, http.MethodGet, "/admin/credentials/"+url.PathEscape(platform)+"/check", nil, &check)
	switch {
	case err == nil && check.Valid != nil && *check.Valid:
		return "rotated and reloaded; the orchestrator says that they work", nil
	case err == nil && check.Valid != nil:
		return "", errors.New("the orchestrator says that the new credentials do not work: " + stays)
	case err != nil && !missing(err):
		return "", fmt.Errorf("the new credentials are in force, but not checked: %w", err)
	}
	var m recordedModule // an orchestrator that has no check: what became of the module?
	if err := o.call(ctx, http.MethodGet, path, nil, &m); err != nil {
		return "", fmt.Errorf("the new credentials are in force, but not checked: %w", err)
	}
	if m.Error != nil && *m.Error != "" {
		return "", fmt.Errorf("the module fails with the new credentials: %s: %s", o.text(lastLine(*m.Error)), stays)
	}
	return "set and reloaded; this orchestrator cannot check credentials: the module is " + cmp.Or(o.text(m.Health), "unknown"), nil
}

// stageRouting stages a change here, or applies what is staged there. The API has no
// conditional write: another client may write between the check and the write.
func (o *Orchestrator) stageRouting(ctx context.Context, a state.Action) (out state.Outcome, err error) {
	if within := a.Args["confirm_within"]; within != "" && within != "0" {
		return out, errors.New("the orchestrator undoes nothing by itself: apply it without a time to confirm it in")
	}
	var raw json.RawMessage
	if err := o.read(ctx, "/admin/routing-config", &raw); err != nil {
		return out, err
	}
	now := indentJSON(raw)
	if a.Kind != state.RoutingApply {
		return o.draft.Stage(now, a)
	}
	text, err := o.draft.Take(now, a)
	if err != nil {
		return out, err
	}
	if out, err = o.setRouting(ctx, state.Action{Kind: state.RoutingSet, Target: a.Target, Actor: a.Actor, Args: map[string]string{"config": string(text)}}); err == nil {
		o.draft.Done()
	}
	return out, err
}

// setRouting changes the routing configuration as a whole, or one category of it.
// What was before is the undo.
func (o *Orchestrator) setRouting(ctx context.Context, a state.Action) (out state.Outcome, err error) {
	const whole = "/admin/routing-config"
	category := a.Args["category"]
	one := whole + "/category/" + url.PathEscape(category)
	var before json.RawMessage
	if o.read(ctx, whole, &before) == nil {
		out.Undo = &state.Action{Kind: state.RoutingSet, Target: "routing", Args: map[string]string{"config": string(before)}, Actor: a.Actor}
	}
	switch {
	case category != "" && a.Args["delete"] == "true":
		out.Result, err = "deleted category "+o.text(category), o.call(ctx, http.MethodDelete, one, nil, nil)
	case category != "":
		out.Result, err = "set category "+o.text(category), o.call(ctx, http.MethodPatch, one, json.RawMessage(a.Args["patch"]), nil)
	case strings.TrimSpace(a.Args["config"]) != "":
		out.Result, err = "set the routing configuration", o.call(ctx, http.MethodPut, whole, json.RawMessage(a.Args["config"]), nil)
	default:
		err = errors.New(`the argument "config", or "category" with "patch" or "delete", was expected`)
	}
	return out, err
}

// setCredentials stores credentials by the recorded call, or, where there is no
// such call, by the documented one.
func (o *Orchestrator) setCredentials(ctx context.Context, path string, a state.Action, answer any) (err error) {
	values := map[string]any{}
	defer func() { err = redactSent(err, values) }()
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
	if missing(err) {
		_, platform, _ := strings.Cut(a.Target, "/")
		err = o.call(ctx, http.MethodPost, "/admin/credentials", map[string]any{"platform": platform, "credentials": values}, answer)
	}
	return err
}

// redactSent returns an error without the values that were sent: services quote what
// they refuse, and these are not known to the mask yet.
func redactSent(err error, values map[string]any) error {
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
