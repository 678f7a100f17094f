package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/opsdeck/opsdeck/backend/policy"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Kinds implements state.Executor.
func (s *Source) Kinds() []state.Kind {
	return []state.Kind{
		state.ContainerRestart, state.ContainerStop, state.ContainerStart, state.ContainerKill, state.ContainerPause, state.ContainerUnpause,
		state.ContainerUpdate, state.ContainerRename, state.ContainerRemove, state.ContainerPrune, state.ContainerNote,
		state.ComposeUp, state.ComposeScale, state.ComposeRecreate, state.ComposePull, state.ComposeBuild, state.ComposeRebuild, state.ComposeDown,
	}
}

// operation is one action as it is about to be done. run does it; its text, where it is
// not "", is reported in place of "restarted web".
type operation struct {
	run  func(context.Context) (string, error)
	undo *state.Action
	// slow says what is waited for where it takes its time.
	slow string
}

// Execute implements state.Executor.
func (s *Source) Execute(ctx context.Context, a state.Action, progress func(string, float64)) (state.Outcome, error) {
	cli, err := s.engine()
	if err != nil {
		return state.Outcome{}, err
	}
	ctx, stop := whileAlive(ctx, cli)
	defer stop()
	switch {
	case a.Kind == state.ContainerPrune:
		return s.prune(ctx, cli, a.Args, progress)
	case strings.HasPrefix(string(a.Kind), "compose."):
		return s.compose(ctx, a, progress)
	}
	c := state.Containers{List: s.Containers()}.Container(a.Target)
	if c == nil {
		return state.Outcome{}, fmt.Errorf("docker: %s %q: there is no such container: see opsdeck containers", verb(a.Kind), state.Clean(a.Target))
	}
	d, err := s.operation(ctx, cli, a, *c)
	if errors.Is(context.Cause(ctx), ErrLost) {
		err = fmt.Errorf("%w: the action was not sent", ErrLost)
	}
	if err != nil {
		return state.Outcome{}, fmt.Errorf("docker: %s %q: %w", verb(a.Kind), c.Title, err)
	}
	if a.Kind == state.ContainerNote { // it takes no time
		text, err := d.run(ctx)
		return state.Outcome{Result: state.Clean(text)}, err
	}
	type answer struct {
		text string
		err  error
	}
	start := time.Now()
	done := make(chan answer, 1)
	go func() {
		text, err := d.run(ctx)
		done <- answer{text, err}
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	progress("asking the engine to "+verb(a.Kind)+" it", -1)
	for {
		select {
		case got := <-done:
			if got.err != nil {
				if why := lostDuring(ctx, got.err, start, *c); why != nil {
					return state.Outcome{}, fmt.Errorf("docker: %s %q: %w", verb(a.Kind), c.Title, why)
				}
				return state.Outcome{}, actionError(verb(a.Kind), c.Title, got.err)
			}
			took := time.Since(start).Round(100 * time.Millisecond)
			if got.text == "" {
				got.text = fmt.Sprintf("%s %s", state.SpecOf(a.Kind).Past, c.Title)
			}
			return state.Outcome{Result: state.Clean(fmt.Sprintf("%s in %s", got.text, took)), Undo: d.undo}, nil
		case <-tick.C:
			progress(fmt.Sprintf("waiting for it since %s%s", time.Since(start).Round(time.Second), d.slow), -1)
		}
	}
}

// lostDuring returns an error with what is known of an action whose engine was lost
// meanwhile, and what is not; nil where err is the engine's own word. c is how the container was before.
func lostDuring(ctx context.Context, err error, asked time.Time, c state.Container) error {
	is, notAsked := broken(err)
	why := fmt.Errorf("the connection to the engine broke: %s", state.Clean(err.Error()))
	switch {
	case errors.Is(context.Cause(ctx), ErrLost):
		why = ErrLost
	case ctx.Err() != nil || !is:
		return nil
	case notAsked:
		return fmt.Errorf("%s: nothing was sent to the engine: do it again once it answers", state.Clean(err.Error()))
	}
	return fmt.Errorf("%w. Known: the engine was asked at %s, when it was %s. Not known: whether it was done, or will be once the engine resumes: check the container before doing it again",
		why, asked.UTC().Format("15:04:05 UTC"), c.State)
}

// operation returns what the engine is asked to do to c.
func (s *Source) operation(ctx context.Context, cli *client.Client, a state.Action, c state.Container) (operation, error) {
	const stopping = "; the engine kills it after its stop timeout"
	undo := func(k state.Kind, target string, args map[string]string) *state.Action {
		return &state.Action{Kind: k, Target: target, Args: args}
	}
	plain := func(err error) (string, error) { return "", err }
	switch a.Kind {
	case state.ContainerRestart:
		return operation{slow: stopping, run: func(ctx context.Context) (string, error) {
			_, err := cli.ContainerRestart(ctx, c.ID, client.ContainerRestartOptions{})
			return plain(err)
		}}, nil
	case state.ContainerStop:
		return operation{slow: stopping, undo: undo(state.ContainerStart, c.Title, nil), run: func(ctx context.Context) (string, error) {
			_, err := cli.ContainerStop(ctx, c.ID, client.ContainerStopOptions{})
			return plain(err)
		}}, nil
	case state.ContainerStart:
		return operation{undo: undo(state.ContainerStop, c.Title, nil), run: func(ctx context.Context) (string, error) {
			_, err := cli.ContainerStart(ctx, c.ID, client.ContainerStartOptions{})
			return plain(err)
		}}, nil
	case state.ContainerKill:
		signal, err := policy.ParseSignal(a.Args["signal"])
		if err != nil {
			return operation{}, err
		}
		return operation{run: func(ctx context.Context) (string, error) {
			_, err := cli.ContainerKill(ctx, c.ID, client.ContainerKillOptions{Signal: signal})
			return fmt.Sprintf("sent %s to %s", signal, c.Title), err
		}}, nil
	case state.ContainerPause:
		return operation{undo: undo(state.ContainerUnpause, c.Title, nil), run: func(ctx context.Context) (string, error) {
			_, err := cli.ContainerPause(ctx, c.ID, client.ContainerPauseOptions{})
			return plain(err)
		}}, nil
	case state.ContainerUnpause:
		return operation{undo: undo(state.ContainerPause, c.Title, nil), run: func(ctx context.Context) (string, error) {
			_, err := cli.ContainerUnpause(ctx, c.ID, client.ContainerUnpauseOptions{})
			return plain(err)
		}}, nil
	case state.ContainerRename:
		name := a.Args["name"]
		return operation{undo: undo(state.ContainerRename, name, map[string]string{"name": c.Title}), run: func(ctx context.Context) (string, error) {
			_, err := cli.ContainerRename(ctx, c.ID, client.ContainerRenameOptions{NewName: name})
			return fmt.Sprintf("renamed %s to %s", c.Title, name), err
		}}, nil
	case state.ContainerRemove:
		too, err := policy.ParseYes(a.Args["volumes"])
		if err != nil {
			return operation{}, err
		}
		return operation{run: func(ctx context.Context) (string, error) {
			_, err := cli.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{RemoveVolumes: too})
			text := "removed " + c.Title
			if too {
				text += " with its volumes that had no name"
			}
			return text, err
		}}, nil
	case state.ContainerNote:
		return operation{run: func(context.Context) (string, error) { return a.Args["what"], nil }}, nil
	case state.ContainerUpdate:
		return update(ctx, cli, a, c)
	}
	return operation{}, fmt.Errorf("%s is not an action of containers", a.Kind)
}

func verb(k state.Kind) string {
	if _, v, ok := strings.Cut(string(k), "."); ok {
		return v
	}
	return string(k)
}

// actionError returns the engine's refusal with what to do about it.
func actionError(verb, title string, err error) error {
	msg := state.Clean(err.Error())
	hint := "see docker logs " + title
	switch {
	case errors.Is(err, context.Canceled):
		hint = "it was cancelled; the engine may still finish what it began"
	case errors.Is(err, context.DeadlineExceeded):
		hint = "the engine did not answer in time; it may still finish what it began"
	case strings.Contains(msg, "port is already allocated") || strings.Contains(msg, "address already in use"):
		hint = "stop what holds the port, or publish another"
	case strings.Contains(msg, "marked for removal"):
		hint = "it is being removed: create it again"
	case strings.Contains(msg, "is already in use by container"):
		hint = "choose another name, or rename the other container first"
	case errdefs.IsNotFound(err) && strings.HasSuffix(msg, "daemon: Not Found"): // of the path, by Podman 4
		hint = "the engine's API has no such call: use its own command on its host"
	case errdefs.IsNotFound(err):
		hint = "the container or something it needs is gone: see docker ps -a"
	case errdefs.IsConflict(err):
		hint = "its state has changed: check it, then try again"
	}
	return fmt.Errorf("docker: %s %q: %s: %s", verb, title, msg, hint)
}
