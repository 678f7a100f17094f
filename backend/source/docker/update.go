package docker

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"

	"github.com/opsdeck/opsdeck/backend/policy"
	"github.com/opsdeck/opsdeck/backend/state"
)

// limits returns a container's limits according to the engine.
func limits(h *container.HostConfig) state.Limits {
	l := state.Limits{
		Known: true, Memory: math.Max(0, float64(h.Memory)), MemorySwap: float64(h.MemorySwap), CPUs: float64(h.NanoCPUs) / 1e9,
		Restart: string(h.RestartPolicy.Name), AutoRemove: h.AutoRemove,
	}
	if l.CPUs == 0 && h.CPUQuota > 0 {
		period := h.CPUPeriod
		if period == 0 {
			period = 100_000 // the kernel's, in microseconds
		}
		l.CPUs = float64(h.CPUQuota) / float64(period)
	}
	switch {
	case l.Restart == "":
		l.Restart = "no"
	case l.Restart == "on-failure" && h.RestartPolicy.MaximumRetryCount > 0:
		l.Restart += ":" + strconv.Itoa(h.RestartPolicy.MaximumRetryCount)
	}
	return l
}

// update changes limits in place. What would take it back is of the same kind: an
// engine takes no limit away again, so that one which was not there becomes all
// that the host has.
func update(ctx context.Context, cli *client.Client, a state.Action, c state.Container) (operation, error) {
	was := c.Limits
	res := &container.Resources{}
	var restart *container.RestartPolicy
	back := map[string]string{}
	var said []string
	change := func(name, from, to string) { said = append(said, fmt.Sprintf("%s %s -> %s", name, from, to)) }
	if v := strings.TrimSpace(a.Args["memory"]); v != "" {
		bytes, err := state.ParseBytes(v)
		if err != nil {
			return operation{}, fmt.Errorf("memory: %w", err)
		}
		if bytes != was.Memory {
			from, to := was.Memory, state.FormatBytes(bytes)
			res.Memory, res.MemorySwap = int64(bytes), int64(swapFor(was, bytes))
			if from <= 0 {
				from = float64(host(ctx, cli).MemTotal)
				change("memory", "no limit", to)
			} else {
				change("memory", state.FormatBytes(from), to)
			}
			if from > 0 {
				back["memory"] = state.FormatBytes(from)
			}
		}
	}
	if v := strings.TrimSpace(a.Args["cpus"]); v != "" {
		cores, err := policy.ParseCPUs(v, 0)
		if err != nil {
			return operation{}, fmt.Errorf("cpus: %w", err)
		}
		if cores != was.CPUs {
			from := was.CPUs
			res.NanoCPUs = int64(math.Round(cores * 1e9))
			if from <= 0 {
				from = float64(host(ctx, cli).NCPU)
				change("cpus", "no limit", cpuText(cores))
			} else {
				change("cpus", cpuText(from), cpuText(cores))
			}
			if from > 0 {
				back["cpus"] = cpuText(from)
			}
		}
	}
	if v := strings.TrimSpace(a.Args["restart"]); v != "" && v != was.Restart {
		name, retries, err := policy.ParseRestart(v)
		if err != nil {
			return operation{}, fmt.Errorf("restart: %w", err)
		}
		restart = &container.RestartPolicy{Name: container.RestartPolicyMode(name), MaximumRetryCount: retries}
		back["restart"] = was.Restart
		change("restart policy", was.Restart, v)
	}
	if len(said) == 0 {
		return operation{run: func(context.Context) (string, error) {
			return c.Title + " has these limits already: nothing was changed", nil
		}}, nil
	}
	var undo *state.Action
	if len(back) > 0 {
		undo = &state.Action{Kind: state.ContainerUpdate, Target: c.Title, Args: back}
	}
	return operation{undo: undo, run: func(ctx context.Context) (string, error) {
		got, err := cli.ContainerUpdate(ctx, c.ID, client.ContainerUpdateOptions{Resources: res, RestartPolicy: restart})
		text := fmt.Sprintf("changed %s: %s", c.Title, strings.Join(said, ", "))
		if len(got.Warnings) > 0 {
			text += " (the engine warns: " + strings.Join(got.Warnings, "; ") + ")"
		}
		return text, err
	}}, nil
}

// host returns the engine's facts of its host; empty where it does not answer.
func host(ctx context.Context, cli *client.Client) system.Info {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	got, err := cli.Info(ctx, client.InfoOptions{})
	if err != nil {
		return system.Info{}
	}
	return got.Info
}

// swapFor returns the limit of memory and swap together that goes with a memory limit:
// as much swap as there was, without a limit of it where there was none, and for
// the first limit as much again as memory, as docker run has it.
func swapFor(was state.Limits, memory float64) float64 {
	switch {
	case was.MemorySwap < 0:
		return -1
	case was.MemorySwap > 0 && was.Memory > 0:
		return memory + math.Max(0, was.MemorySwap-was.Memory)
	}
	return 2 * memory
}

func cpuText(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
