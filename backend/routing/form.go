package routing

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
)

// argsOf returns the fields of a form as a change of the configuration.
func argsOf(a state.Action) (map[string]string, error) {
	patch := map[string]any{}
	number := func(into map[string]any, key string, whole bool) error {
		text, given := a.Args[key]
		if text = strings.TrimSpace(text); !given {
			return nil
		}
		if text == "" {
			into[key] = nil
			return nil
		}
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || whole && f != float64(int64(f)) || f < 0 {
			return fmt.Errorf("%s is %q: a number was expected", key, text)
		}
		into[key] = json.Number(text)
		return nil
	}
	kind, name, _ := strings.Cut(a.Target, "/")
	switch {
	case a.Kind == state.RoutingThreshold:
		limits := map[string]any{}
		if err := errors.Join(number(patch, "threshold", false), number(limits, "max_latency_ms", false), number(limits, "max_cost_per_request", false)); err != nil {
			return nil, err
		}
		if t, ok := patch["threshold"]; ok && t != nil {
			patch["lidm_delegation_threshold"] = t
		}
		delete(patch, "threshold")
		if len(limits) > 0 {
			patch["performance_constraints"] = limits
		}
		return asPatch(patch, nil)
	case a.Kind == state.RoutingRemove:
		return map[string]string{"category": name, "delete": "true"}, nil
	case kind == "tier":
		if on, ok := a.Args["enabled"]; ok {
			switch strings.ToLower(strings.TrimSpace(on)) {
			case "yes", "true", "on":
				patch["enabled"] = true
			case "no", "false", "off":
				patch["enabled"] = false
			default:
				return nil, fmt.Errorf("enabled is %q: yes or no was expected", on)
			}
		}
		if v := strings.TrimSpace(a.Args["endpoint"]); v != "" {
			patch["endpoint"] = v
		}
		if err := errors.Join(number(patch, "max_concurrent_requests", true), number(patch, "priority", true)); err != nil {
			return nil, err
		}
		for _, k := range []string{"max_concurrent_requests", "priority"} {
			if patch[k] == nil { // a tier has no null there
				delete(patch, k)
			}
		}
		return asPatch(patch, map[string]string{"tier": name})
	}
	for _, k := range []string{"tier", "provider", "model", "priority"} {
		if v, ok := a.Args[k]; ok {
			if patch[k] = any(strings.TrimSpace(v)); patch[k] == "" {
				patch[k] = nil
			}
		}
	}
	if err := number(patch, "max_latency_ms", true); err != nil {
		return nil, err
	}
	return asPatch(patch, map[string]string{"category": name})
}

func asPatch(patch map[string]any, args map[string]string) (map[string]string, error) {
	b, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	if args == nil {
		args = map[string]string{}
	}
	args["patch"] = string(b)
	return args, nil
}
