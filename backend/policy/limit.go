package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
)

// checks say what is wrong with the arguments of a kind; "" for nothing.
var checks = map[state.Kind]func(*state.Snapshot, string, map[string]string) string{
	state.ContainerKill: func(_ *state.Snapshot, _ string, args map[string]string) string {
		_, err := ParseSignal(args["signal"])
		return reason(err)
	},
	state.ContainerUpdate: limitsCheck,
	state.ContainerRemove: yesNo("volumes"),
	state.ContainerPrune:  pruneCheck,
	state.ComposeDown:     yesNo("volumes"),
}

// Check returns what is wrong with the arguments of an action on target; "" for nothing.
func Check(s *state.Snapshot, spec *state.Spec, target string, args map[string]string) string {
	if spec.Check != nil {
		if why := spec.Check(s, target, args); why != "" {
			return why
		}
	}
	if check := checks[spec.Kind]; check != nil {
		return check(s, target, args)
	}
	return ""
}

// pruneCheck checks what is to be removed: volumes may be "all", the named ones too.
func pruneCheck(s *state.Snapshot, t string, args map[string]string) string {
	if why := yesNo("containers", "images", "networks", "cache")(s, t, args); why != "" {
		return why
	}
	if args["volumes"] == "all" {
		return ""
	}
	return yesNo("volumes")(s, t, args)
}

// LeastMemory is the smallest memory limit that container engines take, in bytes.
const LeastMemory = 6 << 20

// ParseCPUs reads a number of cores, "1.5", which is at least a hundredth, and at
// most most where that is above 0.
func ParseCPUs(text string, most int) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	switch {
	case err != nil || !(v >= 0.01 && v < 1e6):
		return 0, fmt.Errorf("%q is not a number of cores: expected one such as 0.5 or 2", text)
	case most > 0 && v > float64(most):
		return 0, fmt.Errorf("%s cores are more than the %d that the host has", strings.TrimSpace(text), most)
	}
	return v, nil
}

// ParseRestart reads a restart policy: its name, and the most retries of
// "on-failure:5", 0 for no end.
func ParseRestart(text string) (name string, retries int, err error) {
	name, count, given := strings.Cut(strings.TrimSpace(text), ":")
	if !slices.Contains([]string{"no", "always", "unless-stopped", "on-failure"}, name) || given && name != "on-failure" {
		return "", 0, fmt.Errorf("%q is not a restart policy: expected no, always, unless-stopped, on-failure or on-failure:5", text)
	}
	if given {
		if retries, err = strconv.Atoi(count); err != nil || retries < 1 {
			return "", 0, fmt.Errorf("%q is not a restart policy: the most retries are a number from 1", text)
		}
	}
	return name, retries, nil
}

// signals are those that a program may be sent by name.
var signals = []string{"KILL", "TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "WINCH", "CONT", "STOP", "ABRT", "ALRM", "PIPE", "TSTP", "TTIN", "TTOU"}

// ParseSignal reads a signal's name, with or without "SIG", or its number, and
// returns what container engines take.
func ParseSignal(text string) (string, error) {
	s := strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(text)), "SIG")
	if n, err := strconv.Atoi(s); err == nil && n >= 1 && n <= 64 {
		return s, nil
	}
	if !slices.Contains(signals, s) {
		return "", fmt.Errorf("%q is not a signal: expected one of %s, or a number from 1 to 64", text, strings.Join(signals, ", "))
	}
	return s, nil
}

// ParseYes reads a yes or no; empty is no.
func ParseYes(text string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "yes", "y", "true", "1":
		return true, nil
	case "no", "n", "false", "0", "":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither yes nor no", text)
}

// limitsCheck returns what is wrong with the limits asked for; "" for nothing.
func limitsCheck(s *state.Snapshot, t string, args map[string]string) string {
	c := s.Containers.Container(t)
	if c == nil {
		return ""
	}
	asked := false
	if v := strings.TrimSpace(args["memory"]); v != "" {
		bytes, err := state.ParseBytes(v)
		switch {
		case err != nil:
			return "memory: " + err.Error()
		case bytes < LeastMemory:
			return "memory: " + v + " is below the least that engines take, " + state.FormatBytes(LeastMemory)
		}
		asked = true
	}
	if v := strings.TrimSpace(args["cpus"]); v != "" {
		if _, err := ParseCPUs(v, s.Containers.CPUs); err != nil {
			return "cpus: " + err.Error()
		}
		asked = true
	}
	if v := strings.TrimSpace(args["restart"]); v != "" {
		name, _, err := ParseRestart(v)
		switch {
		case err != nil:
			return "restart: " + err.Error()
		case name != "no" && c.Limits.AutoRemove:
			return "restart: the engine removes it when it ends (--rm), so it cannot be restarted by a policy"
		}
		asked = true
	}
	if !asked {
		return "nothing is asked for: give memory, cpus or restart"
	}
	return ""
}

// yesNo checks that the arguments of those names are yes or no.
func yesNo(keys ...string) func(*state.Snapshot, string, map[string]string) string {
	return func(_ *state.Snapshot, _ string, args map[string]string) string {
		for _, k := range keys {
			if _, err := ParseYes(args[k]); err != nil {
				return k + ": " + err.Error()
			}
		}
		return ""
	}
}

// reason returns an error's text; "" for none.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
