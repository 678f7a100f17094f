package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/opsdeck/opsdeck/backend/state"
)

// Kinds implements state.Executor.
func (s *Source) Kinds() []state.Kind {
	return []state.Kind{state.ContainerRestart, state.ContainerStop, state.ContainerStart}
}

// Execute implements state.Executor. The engine waits for a container's own stop
// timeout and then kills it; progress counts the seconds.
func (s *Source) Execute(ctx context.Context, a state.Action, progress func(string, float64)) (state.Outcome, error) {
	cli, err := s.engine()
	if err != nil {
		return state.Outcome{}, err
	}
	c := state.Containers{List: s.Containers()}.Container(a.Target)
	if c == nil {
		return state.Outcome{}, fmt.Errorf("docker: %s %q: there is no such container: see opsdeck containers", verb(a.Kind), state.Clean(a.Target))
	}
	title := c.Title
	var call func(context.Context) error
	var undo *state.Action
	switch a.Kind {
	case state.ContainerRestart:
		call = func(ctx context.Context) error {
			_, err := cli.ContainerRestart(ctx, c.ID, client.ContainerRestartOptions{})
			return err
		}
	case state.ContainerStop:
		undo = &state.Action{Kind: state.ContainerStart, Target: title}
		call = func(ctx context.Context) error {
			_, err := cli.ContainerStop(ctx, c.ID, client.ContainerStopOptions{})
			return err
		}
	case state.ContainerStart:
		undo = &state.Action{Kind: state.ContainerStop, Target: title}
		call = func(ctx context.Context) error {
			_, err := cli.ContainerStart(ctx, c.ID, client.ContainerStartOptions{})
			return err
		}
	default:
		return state.Outcome{}, fmt.Errorf("docker: %s is not an action of containers", a.Kind)
	}
	start := time.Now()
	done := make(chan error, 1)
	go func() { done <- call(ctx) }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	progress("asking the engine to "+verb(a.Kind)+" it", -1)
	for {
		select {
		case err := <-done:
			if err != nil {
				return state.Outcome{}, actionError(verb(a.Kind), title, err)
			}
			took := time.Since(start).Round(100 * time.Millisecond)
			return state.Outcome{Result: fmt.Sprintf("%s %s in %s", state.SpecOf(a.Kind).Past, title, took), Undo: undo}, nil
		case <-tick.C:
			progress(fmt.Sprintf("waiting for it since %s; the engine kills it after its stop timeout", time.Since(start).Round(time.Second)), -1)
		}
	}
}

func verb(k state.Kind) string {
	if _, v, ok := strings.Cut(string(k), "."); ok {
		return v
	}
	return string(k)
}

// actionError says what to do about the engine's refusal.
func actionError(verb, title string, err error) error {
	msg := state.Clean(err.Error())
	hint := "see docker logs " + title
	switch {
	case errors.Is(err, context.Canceled):
		hint = "it was cancelled; the engine may still finish what it began"
	case errors.Is(err, context.DeadlineExceeded):
		hint = "the engine did not answer in time; it may still finish what it began"
	case errdefs.IsNotFound(err):
		hint = "the container or something it needs is gone: see docker ps -a"
	case strings.Contains(msg, "port is already allocated") || strings.Contains(msg, "address already in use"):
		hint = "stop what holds the port, or publish another"
	case strings.Contains(msg, "marked for removal"):
		hint = "it is being removed: create it anew"
	}
	return fmt.Errorf("docker: %s %q: %s: %s", verb, title, msg, hint)
}
