package engine

import (
	"fmt"

	"github.com/opsdeck/opsdeck/backend/state"
)

// A module's way through the registry:
//
//	            discover            check             pass
//	(on disk) ------------> pending ------> validating ----> validated --approve--> approved
//	                                         ^   | refuse         |                     |
//	                            check        |   v                | enable              | enable
//	      validated, approved,  -------------+ failed --enable--+ |                     |
//	      failed, disabled,                                     v v                     |
//	      uninstalled                                      installed <------------------+
//	                                                        |     ^
//	                                                disable |     | enable
//	                                                        v     |
//	      uninstalled <--uninstall-- (any)                 disabled, uninstalled
//
// Enabling walks check, pass, approve and enable in one commit, or check and refuse:
// nothing is enabled that was not checked as it lies there, and its files are approved
// by that. Where the workspace wants no approval, approve is left out. A module that
// is approved and not enabled falls back to validated when its files change (check,
// pass). A new module that its own manifest calls installed is enabled by that only
// when a workspace's modules are looked at for the first time, or without approval.
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
	{state.ModulePending, evCheck, state.ModuleValidating, "it is being checked"},
	{state.ModuleValidated, evCheck, state.ModuleValidating, "it is being checked again"},
	{state.ModuleApproved, evCheck, state.ModuleValidating, "it is being checked again"},
	{state.ModuleFailed, evCheck, state.ModuleValidating, "it is being checked again"},
	{state.ModuleDisabled, evCheck, state.ModuleValidating, "its files are being checked before it is enabled"},
	{state.ModuleUninstalled, evCheck, state.ModuleValidating, "its files are being checked before it is installed again"},
	{state.ModuleValidating, evCheck, state.ModuleValidating, "the check was interrupted and begins anew"},
	{state.ModuleValidating, evPass, state.ModuleValidated, "nothing is wrong with it; it waits to be enabled"},
	{state.ModuleValidating, evRefuse, state.ModuleFailed, "it was refused: see its findings"},
	{state.ModuleValidated, evApprove, state.ModuleApproved, "its files were approved"},

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

// next returns where ev leads from a status, and why; an error where it leads nowhere.
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
