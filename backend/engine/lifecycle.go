package engine

import (
	"fmt"

	"github.com/opsdeck/opsdeck/backend/state"
)

// A module's way through the registry:
//
//	            discover            check            pass
//	(on disk) ------------> pending ------> validating ----> validated --approve--> approved
//	                           ^                | refuse         |                     |
//	                           |                v                | enable              | enable
//	                         check           failed --enable--+  v                     v
//	                           |                              +-> installed <----------+
//	                     uninstalled <--uninstall-- (any)         |   ^
//	                           |                          disable |   | enable
//	                           +---------enable-------------+     v   |
//	                                                        +-> disabled
//
// Whether an installed module works is not in this table: that is measured, shown
// as failed while it does not, and never decided.

// event is something that moves a module.
type event string

const (
	evCheck     event = "check"
	evPass      event = "pass"
	evRefuse    event = "refuse"
	evApprove   event = "approve"
	evEnable    event = "enable"
	evDisable   event = "disable"
	evUninstall event = "uninstall"
)

// transition is one row of the table.
type transition struct {
	from   state.ModuleStatus
	on     event
	to     state.ModuleStatus
	reason string
}

var transitions = []transition{
	{state.ModulePending, evCheck, state.ModuleValidating, "its manifest is being checked"},
	{state.ModuleValidated, evCheck, state.ModuleValidating, "its manifest is being checked again"},
	{state.ModuleApproved, evCheck, state.ModuleValidating, "its manifest is being checked again"},
	{state.ModuleFailed, evCheck, state.ModuleValidating, "its manifest is being checked again"},
	{state.ModuleValidating, evCheck, state.ModuleValidating, "the check was interrupted and begins anew"},
	{state.ModuleValidating, evPass, state.ModuleValidated, "its manifest is good; it waits to be enabled"},
	{state.ModuleValidating, evRefuse, state.ModuleFailed, "its manifest was refused"},
	{state.ModuleValidated, evApprove, state.ModuleApproved, "it was approved"},

	{state.ModuleValidated, evEnable, state.ModuleInstalled, "it was enabled"},
	{state.ModuleApproved, evEnable, state.ModuleInstalled, "it was enabled"},
	{state.ModuleDisabled, evEnable, state.ModuleInstalled, "it was enabled"},
	{state.ModuleFailed, evEnable, state.ModuleInstalled, "it was enabled in spite of its failure"},
	{state.ModuleUninstalled, evEnable, state.ModuleInstalled, "it was installed again"},
	{state.ModuleInstalled, evDisable, state.ModuleDisabled, "it was disabled"},
	{state.ModuleFailed, evDisable, state.ModuleDisabled, "it was disabled"},

	{state.ModulePending, evUninstall, state.ModuleUninstalled, "it was uninstalled"},
	{state.ModuleValidating, evUninstall, state.ModuleUninstalled, "it was uninstalled"},
	{state.ModuleValidated, evUninstall, state.ModuleUninstalled, "it was uninstalled"},
	{state.ModuleApproved, evUninstall, state.ModuleUninstalled, "it was uninstalled"},
	{state.ModuleInstalled, evUninstall, state.ModuleUninstalled, "it was uninstalled"},
	{state.ModuleDisabled, evUninstall, state.ModuleUninstalled, "it was uninstalled"},
	{state.ModuleFailed, evUninstall, state.ModuleUninstalled, "it was uninstalled"},
}

// statuses are all that a registry may hold.
var statuses = []state.ModuleStatus{
	state.ModulePending, state.ModuleValidating, state.ModuleValidated, state.ModuleApproved,
	state.ModuleInstalled, state.ModuleDisabled, state.ModuleFailed, state.ModuleUninstalled,
}

var events = []event{evCheck, evPass, evRefuse, evApprove, evEnable, evDisable, evUninstall}

// next is where ev leads from a status, and why; an error where it leads nowhere.
func next(from state.ModuleStatus, ev event) (to state.ModuleStatus, reason string, err error) {
	for _, t := range transitions {
		if t.from == from && t.on == ev {
			return t.to, t.reason, nil
		}
	}
	switch {
	case ev == evEnable && from == state.ModuleInstalled:
		return from, "", fmt.Errorf("it is enabled already")
	case ev == evEnable:
		return from, "", fmt.Errorf("it is %s: its manifest has not been checked yet", from.Word())
	case ev == evDisable && from == state.ModuleDisabled:
		return from, "", fmt.Errorf("it is disabled already")
	case ev == evUninstall && from == state.ModuleUninstalled:
		return from, "", fmt.Errorf("it is uninstalled already")
	}
	return from, "", fmt.Errorf("a module that is %s cannot %s", from.Word(), ev)
}
