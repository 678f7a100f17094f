package views

import (
	"strconv"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
)

// containerFilters is the filter language of containers, for help.
var containerFilters = []FilterHelp{
	{"web shop", "words that all occur in name, image, state, project or id"},
	{"name: image:", "text in it; also project: service: host:"},
	{"state:exited", "the state; also health:unhealthy, health:none, exit:137"},
	{"label:env=prod", "a label with that value; label:env any value"},
	{"cpu>50", "percent of one core; also < >= <= ="},
	{"mem>80% mem>200MiB", "of the limit, or bytes; also net> blk> in bytes a second"},
	{"restarts>0", "also pids>"},
	{"up<10m", "how long it has run"},
	{"!state:running", "! inverts a term; all terms must hold; \"...\" is plain text"},
}

// containerFields are what a filter of containers can ask about.
var containerFields = []field[state.Container]{
	{name: "name", text: func(c *state.Container) string { return c.Title }},
	{name: "image", text: func(c *state.Container) string { return c.Image }},
	{name: "project", text: func(c *state.Container) string { return c.Project }},
	{name: "service", text: func(c *state.Container) string { return c.Service }},
	{name: "host", text: func(c *state.Container) string { return c.Host }},
	{name: "id", whole: true, text: func(c *state.Container) string { return c.ID }},
	{name: "state", whole: true, text: func(c *state.Container) string { return c.State }},
	{name: "health", whole: true, text: func(c *state.Container) string {
		if c.HealthWord == "" {
			return "none"
		}
		return c.HealthWord
	}},
	{name: "exit", test: func(value string) (func(*state.Container) bool, error) {
		code, err := strconv.Atoi(value)
		if err != nil {
			return nil, errText("an exit code is a number: exit:137")
		}
		return func(c *state.Container) bool { return c.State == "exited" && c.ExitCode == code }, nil
	}},
	{name: "label", test: func(value string) (func(*state.Container) bool, error) {
		key, want, has := strings.Cut(value, "=")
		if key == "" {
			return nil, errText("the label's name is missing: label:key=value")
		}
		return func(c *state.Container) bool {
			v, ok := c.Labels[key]
			return ok && (!has || strings.EqualFold(v, want))
		}, nil
	}},
	{name: "cpu", unit: aPercent, num: figure(func(c *state.Container) float64 { return c.CPUPercent })},
	{name: "mem", unit: bytesOrPercent, num: figure(func(c *state.Container) float64 { return c.MemBytes }), percent: func(c *state.Container) float64 { return c.MemPercent }},
	{name: "net", unit: bytesOnly, num: figure(func(c *state.Container) float64 { return both(c.NetRxRate, c.NetTxRate) })},
	{name: "blk", unit: bytesOnly, num: figure(func(c *state.Container) float64 { return both(c.BlkReadRate, c.BlkWrRate) })},
	{name: "pids", unit: aNumber, num: figure(func(c *state.Container) float64 { return c.PIDs })},
	{name: "restarts", unit: aNumber, num: figure(func(c *state.Container) float64 { return float64(c.Restarts) })},
	{name: "up", unit: aDuration, num: func(env *Env, c *state.Container) float64 {
		if c.State != "running" || c.Started.IsZero() {
			return -1
		}
		return max(0, env.Now().Sub(c.Started).Seconds())
	}},
}

type errText string

// Error implements error.
func (e errText) Error() string { return string(e) }

func figure(get func(*state.Container) float64) func(*Env, *state.Container) float64 {
	return func(_ *Env, c *state.Container) float64 { return get(c) }
}

// both is the sum of two figures, unknown where both are.
func both(a, b float64) float64 {
	if a < 0 && b < 0 {
		return -1
	}
	return max(0, a) + max(0, b)
}

// containerSays reports whether a word, in lower case, is in what one sees of it.
func containerSays(c *state.Container, word string) bool {
	for _, s := range [...]string{c.Title, c.Image, c.State, c.HealthWord, c.Project, c.Service, c.Host, c.ID} {
		if strings.Contains(strings.ToLower(s), word) {
			return true
		}
	}
	return c.OOMKilled && strings.Contains("oom killed", word)
}

func containerQuery(env *Env, filter string) (func(*state.Container) bool, error) {
	return query(env, filter, containerFields, containerSays)
}
