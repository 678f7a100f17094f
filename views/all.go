package views

import (
	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/views/logs"
	"github.com/opsdeck/opsdeck/views/pane"
)

// All returns every pane, in the order of their numbers: those written here, and a table
// for each section that has none of its own.
func All(env *pane.Env) []pane.Pane {
	all := []pane.Pane{
		NewModules(env),
		NewPipeline(env),
		NewContainers(env),
		NewQueues(env),
		logs.New(env),
		NewAlerts(env),
		NewRouting(env),
		NewActions(env),
		NewHost(env),
	}
	for _, d := range state.Descriptors() {
		if d.Pane != "" {
			all = append(all, NewTable(env, d))
		}
	}
	return all
}
