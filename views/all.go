package views

import (
	"github.com/opsdeck/opsdeck/views/logs"
	"github.com/opsdeck/opsdeck/views/pane"
)

// All makes every pane, in the order of their numbers.
func All(env *pane.Env) []pane.Pane {
	return []pane.Pane{
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
}
