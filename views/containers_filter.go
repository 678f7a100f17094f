package views

import (
	"strconv"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/list"
	"github.com/opsdeck/opsdeck/views/pane"
)

// containerFilters is the filter language of containers, for help.
var containerFilters = []pane.FilterHelp{
	{Form: "web shop", Keeps: "words that all occur in name, image, state, project or id"},
	{Form: "name: image:", Keeps: "text in it; also project: service: host:"},
	{Form: "state:exited", Keeps: "the state; also health:unhealthy, health:none, exit:137"},
	{Form: "label:env=prod", Keeps: "a label with that value; label:env any value"},
	{Form: "cpu>50", Keeps: "percent of one core; also < >= <= = !="},
	{Form: "mem>80% mem>200MiB", Keeps: "of the limit, or bytes; also net> blk> in bytes a second"},
	{Form: "restarts>0", Keeps: "also pids>"},
	{Form: "up<10m", Keeps: "how long it has run"},
	{Form: "a or b, !a, (...)", Keeps: "or, not and parentheses; terms side by side must all hold; \"...\" is plain text"},
}

// containerFields are the fields of a filter of containers.
var containerFields = []list.Field[state.Container]{
	{Name: "name", Text: func(c *state.Container) string { return c.Title }},
	{Name: "image", Text: func(c *state.Container) string { return c.Image }},
	{Name: "project", Text: func(c *state.Container) string { return c.Project }},
	{Name: "service", Text: func(c *state.Container) string { return c.Service }},
	{Name: "host", Text: func(c *state.Container) string { return c.Host }},
	{Name: "id", Whole: true, Text: func(c *state.Container) string { return c.ID }},
	{Name: "state", Whole: true, Text: func(c *state.Container) string { return c.State }},
	{Name: "health", Whole: true, Text: func(c *state.Container) string {
		if c.HealthWord == "" {
			return "none"
		}
		return c.HealthWord
	}},
	{Name: "exit", Test: func(value string) (func(*state.Container) bool, error) {
		code, err := strconv.Atoi(value)
		if err != nil {
			return nil, errText("an exit code is a number: exit:137")
		}
		return func(c *state.Container) bool { return c.State == "exited" && c.ExitCode == code }, nil
	}},
	{Name: "label", Test: func(value string) (func(*state.Container) bool, error) {
		key, want, has := strings.Cut(value, "=")
		if key == "" {
			return nil, errText("the label's name is missing: label:key=value")
		}
		return func(c *state.Container) bool {
			v, ok := c.Labels[key]
			return ok && (!has || strings.EqualFold(v, want))
		}, nil
	}},
	{Name: "cpu", Unit: list.Percent, Num: figure(func(c *state.Container) float64 { return c.CPUPercent })},
	{Name: "mem", Unit: list.BytesOrPercent, Num: figure(func(c *state.Container) float64 { return c.MemBytes }), Percent: func(c *state.Container) float64 { return c.MemPercent }},
	{Name: "net", Unit: list.Bytes, Num: figure(func(c *state.Container) float64 { return both(c.NetRxRate, c.NetTxRate) })},
	{Name: "blk", Unit: list.Bytes, Num: figure(func(c *state.Container) float64 { return both(c.BlkReadRate, c.BlkWrRate) })},
	{Name: "pids", Unit: list.Number, Num: figure(func(c *state.Container) float64 { return c.PIDs })},
	{Name: "restarts", Unit: list.Number, Num: figure(func(c *state.Container) float64 { return float64(c.Restarts) })},
	{Name: "up", Unit: list.Duration, Num: func(env *pane.Env, c *state.Container) float64 {
		if c.State != "running" || c.Started.IsZero() {
			return -1
		}
		return max(0, env.Now().Sub(c.Started).Seconds())
	}},
}

type errText string

// Error implements error.
func (e errText) Error() string { return string(e) }

func figure(get func(*state.Container) float64) func(*pane.Env, *state.Container) float64 {
	return func(_ *pane.Env, c *state.Container) float64 { return get(c) }
}

// both returns the sum of two figures, unknown where both are.
func both(a, b float64) float64 {
	if a < 0 && b < 0 {
		return -1
	}
	return max(0, a) + max(0, b)
}

// containerText returns what the words of a filter are looked for in: what one sees of it.
func containerText(c *state.Container) string {
	words := []string{c.Title, c.Image, c.State, c.HealthWord, c.Project, c.Service, c.Host, c.ID}
	if c.OOMKilled {
		words = append(words, "oom killed")
	}
	return strings.Join(words, "\n")
}
