package state

import (
	"fmt"
)

// The kinds of action on modules.
const (
	ModuleEnable     Kind = "module.enable"
	ModuleDisable    Kind = "module.disable"
	ModuleReload     Kind = "module.reload"
	ModuleRestart    Kind = "module.restart"
	ModuleFetch      Kind = "module.fetch"
	ModuleUninstall  Kind = "module.uninstall"
	ModuleClearCache Kind = "module.clear-cache"
	ModuleValidate   Kind = "module.validate"
	ModuleApprove    Kind = "module.approve"
	ModuleRollback   Kind = "module.rollback"
	ModuleTest       Kind = "module.test"
)

var moduleSpecs = []Spec{
	{Kind: ModuleEnable, Key: "E", Verb: "enable", Past: "enabled", Noun: "module", Section: SectionModules, Risk: Confirm, CLI: CLI{Use: "modules enable MODULE", Short: "enable a module"},
		Disabled: moduleDisabled(func(m *Module) string {
			switch {
			case m.Status == ModuleInstalled:
				return "it is enabled already"
			case m.Status == ModuleFailed && m.Decided != ModuleFailed:
				return "it is failed: its last error says why; fix that and reload it"
			}
			return ""
		}), Impact: programImpact},
	{Kind: ModuleDisable, Key: "E", Verb: "disable", Past: "disabled", Noun: "module", Section: SectionModules, Risk: Confirm, CLI: CLI{Use: "modules disable MODULE", Short: "disable a module"},
		Disabled: moduleDisabled(func(m *Module) string {
			if m.Status == ModuleDisabled {
				return "it is disabled already"
			}
			if m.Status == ModuleUninstalled {
				return "it is uninstalled"
			}
			if m.Status != ModuleInstalled && m.Status != ModuleFailed {
				return "it is " + m.Status.Word() + ", not enabled"
			}
			return ""
		}), Impact: moduleImpact},
	{Kind: ModuleReload, Key: "L", Verb: "reload", Past: "reloaded", Noun: "module", Section: SectionModules, Risk: Safe, CLI: CLI{Use: "modules reload MODULE", Short: "read a module's files again and fetch"},
		Disabled: moduleDisabled(unchangedOnly), Measured: true},
	{Kind: ModuleApprove, Key: "L", Verb: "approve", Past: "approved", Noun: "changed files and load module", Section: SectionModules, Risk: Confirm, CLI: CLI{Use: "modules approve MODULE", Short: "show how a module's files changed, approve them, load them",
		Flags: []Flag{{Key: "digest", Help: "approve the files that `DIGEST` names, as opsdeck modules diff shows it, and show nothing"}}},
		Disabled: moduleDisabled(func(m *Module) string {
			if m.Change == nil && (len(m.Versions) > 0 || m.Status == ModuleInstalled) {
				return "its files are as they were approved"
			}
			if m.Change == nil && m.Status != ModuleValidated && m.Status != ModulePending {
				return "it is " + m.Status.Word() + ": enable it, which approves its files"
			}
			return ""
		}), Impact: changeImpact, Given: func(s *Snapshot, t string) map[string]string {
			if m := s.Modules.Module(t); m != nil {
				return map[string]string{"digest": m.Digest}
			}
			return nil
		}, Measured: true},
	{Kind: ModuleRestart, Key: "R", Verb: "restart", Past: "restarted", Noun: "module runner", Section: SectionModules, Risk: Confirm, CLI: CLI{Use: "modules restart MODULE", Short: "restart a module's runner"},
		Disabled: moduleDisabled(unchangedOnly), Impact: moduleImpact, Measured: true},
	{Kind: ModuleFetch, Verb: "fetch", Past: "fetched", Noun: "module now", Section: SectionModules, Risk: Safe, CLI: CLI{Use: "modules fetch MODULE", Short: "fetch now"},
		Disabled: moduleDisabled(enabledOnly)},
	{Kind: ModuleUninstall, Verb: "uninstall", Past: "uninstalled", Noun: "module", Section: SectionModules, Risk: Typed, CLI: CLI{Use: "modules uninstall MODULE", Short: "take a module out of the registry; its files stay"},
		Disabled: moduleDisabled(func(m *Module) string {
			if m.Status == ModuleUninstalled {
				return "it is uninstalled already"
			}
			return ""
		}), Impact: moduleImpact},
	{Kind: ModuleValidate, Verb: "validate", Past: "validated", Noun: "module", Section: SectionModules, Risk: Safe, CLI: CLI{Use: "modules validate MODULE", Short: "check a module's files, dependencies and credentials; ends with 1 where there are errors"},
		Disabled: moduleDisabled(func(*Module) string { return "" })},
	{Kind: ModuleTest, Verb: "run", Past: "ran", Noun: "tests of module", Section: SectionModules, Risk: Confirm, CLI: CLI{Use: "modules test MODULE", Short: "run a module's own tests, under an adapter's limits and without credentials; ends with 1 where one fails"},
		Disabled: moduleDisabled(func(*Module) string { return "" }), Impact: testImpact},
	{Kind: ModuleRollback, Verb: "roll back", Past: "rolled back", Noun: "module", Section: SectionModules, Risk: Confirm, CLI: CLI{Use: "modules rollback MODULE", Short: "put a kept version of a module's files back, and load it; its data files stay",
		Flags: []Flag{{Name: "to", Key: "version", Help: "the `DIGEST` of the version, or how it begins (default: the one before)"}}},
		Disabled: moduleDisabled(func(m *Module) string {
			if previous(m) == "" {
				return "no other version of it is kept"
			}
			return ""
		}), Impact: rollbackImpact, Fields: func(s *Snapshot, t string) []Field {
			if m := s.Modules.Module(t); m != nil {
				return []Field{{Key: "version", Label: "Version", Hint: "its digest, or how that begins: see Versions in its detail", Default: previous(m)}}
			}
			return nil
		}, Measured: true},
	{Kind: ModuleClearCache, Verb: "clear", Past: "cleared", Noun: "adapter caches", Section: SectionModules, Risk: Safe, Global: "adapters"},
}

func moduleDisabled(f func(*Module) string) func(*Snapshot, string) string {
	return func(s *Snapshot, t string) string {
		m := s.Modules.Module(t)
		if m == nil {
			return notFound("module", t)
		}
		return f(m)
	}
}

func enabledOnly(m *Module) string {
	if m.Status != ModuleInstalled && m.Status != ModuleFailed {
		return "it is " + m.Status.Word() + ": enable it first"
	}
	return ""
}

// unchangedOnly refuses what would run files that nobody has approved.
func unchangedOnly(m *Module) string {
	if m.Change != nil && m.Change.Held {
		return m.Change.Why()
	}
	return enabledOnly(m)
}

func moduleImpact(s *Snapshot, t string) []string {
	m := s.Modules.Module(t)
	if m == nil {
		return nil
	}
	out := []string{fmt.Sprintf("%s is %s, %s", m.ID, m.Status.Word(), m.HealthWord)}
	if m.Fetching {
		out = append(out, "a fetch is in flight and will be cut short")
	}
	same := 0
	for _, o := range s.Modules.List {
		if o.Platform == m.Platform && o.ID != m.ID {
			same++
		}
	}
	if same > 0 {
		share := " share"
		if same == 1 {
			share += "s"
		}
		out = append(out, Plural(same, "other module")+share+" the platform "+m.Platform)
	}
	return append(out, LastDone(s, t)...)
}
