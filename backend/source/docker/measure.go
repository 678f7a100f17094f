package docker

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/opsdeck/opsdeck/backend/policy"
	"github.com/opsdeck/opsdeck/backend/state"
)

const (
	// maxLines bounds what is read of a container's log for a verdict.
	maxLines = 5000
	// maxLogLine bounds a line of a log that comes without frames, in bytes.
	maxLogLine = 1 << 20
	// maxMeasured bounds the containers whose logs are read for one.
	maxMeasured = 8
)

// Figures implements state.Measurer: how many lines a minute of the containers'
// logs are errors.
func (s *Source) Figures(ctx context.Context, a state.Action, since, until time.Time) []state.Figure {
	f := state.Figure{Title: "error lines", Value: -1, Unit: "a minute", Weight: 5}
	if policy.StopsTarget(a) {
		f.Weight = 0
	}
	cli, err := s.engine()
	if err != nil || s.cfg.Level == nil || a.Kind == state.ContainerPrune {
		return []state.Figure{f}
	}
	snap := &state.Snapshot{Containers: state.Containers{List: s.Containers()}}
	subjects := snap.Subjects(a)
	if len(subjects) == 0 || len(subjects) > maxMeasured {
		return []state.Figure{f}
	}
	total := 0.0
	for _, c := range subjects {
		rate, err := s.errorRate(ctx, cli, c.ID, since, until)
		if err != nil {
			return []state.Figure{f}
		}
		total += rate
	}
	f.Value, f.Slack = total, 2+total/2
	return []state.Figure{f}
}

// errorRate returns how many lines a minute of a container's log are errors between two
// times: of its newest lines where there are very many.
func (s *Source) errorRate(ctx context.Context, cli *client.Client, id string, since, until time.Time) (float64, error) {
	in, err := cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return 0, err
	}
	unix := func(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }
	body, err := cli.ContainerLogs(ctx, id, client.ContainerLogsOptions{
		ShowStdout: true, ShowStderr: true, Timestamps: true, Since: unix(since), Until: unix(until), Tail: fmt.Sprint(maxLines),
	})
	if err != nil {
		return 0, err
	}
	defer body.Close()
	c := &errorCounter{level: s.cfg.Level}
	if in.Container.Config != nil && in.Container.Config.Tty {
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, maxLogLine)
		for lines.Scan() {
			_, _ = c.Write(lines.Bytes())
		}
		err = lines.Err()
	} else {
		_, err = stdcopy.StdCopy(c, c, body)
	}
	if err != nil {
		return 0, err
	}
	if c.lines >= maxLines && !c.first.IsZero() && c.first.After(since) {
		since = c.first
	}
	minutes := until.Sub(since).Minutes()
	if minutes <= 0 {
		return 0, nil
	}
	return float64(c.errors) / minutes, nil
}

// errorCounter counts the lines that are written to it, and those that are errors.
// Every write ends with a line, as the engine's frames do.
type errorCounter struct {
	level         func(string) state.Level
	lines, errors int
	first         time.Time
}

// Write implements io.Writer.
func (c *errorCounter) Write(p []byte) (int, error) {
	lines := bufio.NewScanner(bytes.NewReader(p))
	lines.Buffer(nil, len(p)+1)
	for lines.Scan() {
		at, text, ok := bytes.Cut(lines.Bytes(), []byte(" "))
		if !ok {
			continue
		}
		if c.lines++; c.first.IsZero() {
			c.first, _ = time.Parse(time.RFC3339Nano, string(at))
		}
		if c.level(string(text)) >= state.LevelError {
			c.errors++
		}
	}
	return len(p), nil
}
