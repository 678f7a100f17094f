package main

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

// panes says, for each pane of the overview, when it shows real values.
var panes = []struct{ name, value string }{
	{"modules", `enabled +host/load +healthy`},
	{"pipeline", `● ingest .*→`},
	{"containers", `running +m\d+-\d+ +\d+\.\d%`},
	{"queues", `task:queue.* 42\b`},
	{"logs", `INFO.*before`},
	{"alerts", `quiet +ContainerHigh`},
}

// measureStart takes the median of several starts.
func measureStart(l *lab) error {
	if err := l.withRedis(); err != nil {
		return err
	}
	if err := l.withContainers(l.containers); err != nil {
		return err
	}
	l.client.Del(l.ctx, "task:queue")
	for range 42 {
		l.client.RPush(l.ctx, "task:queue", `{"id": 1}`)
	}
	w, err := l.newWorkspace("start", "")
	if err != nil {
		return err
	}
	var output, frame []time.Duration
	values := map[string][]time.Duration{}
	var all []time.Duration
	for i := range l.runs + 1 {
		o, f, v, _, err := startOnce(l, w, l.bin)
		if err != nil {
			return err
		}
		if i == 0 {
			continue // it makes the registry
		}
		output, frame = append(output, o), append(frame, f)
		worst := time.Duration(0)
		for name, d := range v {
			values[name] = append(values[name], d)
			worst = max(worst, d)
		}
		all = append(all, worst)
	}
	l.note("start: exec to first character, median", number(quantile(output, .5))+" ms")
	l.below("start: exec to first frame, median", quantile(frame, .5), 100, "ms")
	l.note("start: exec to first frame, best and worst", fmt.Sprintf("%s to %s ms", number(quantile(frame, 0)), number(quantile(frame, 1))))
	for _, p := range panes {
		l.note("start: real values in "+p.name+", median", number(quantile(values[p.name], .5))+" ms")
	}
	l.below(fmt.Sprintf("start: real values in every pane, %d containers, median", l.containers), quantile(all, .5), 1000, "ms")
	return nil
}

var (
	anything   = regexp.MustCompile(`\S`)
	firstFrame = regexp.MustCompile(`(?s)1 Modules.*2 Pipeline.*5 Logs.*╯`)
)

// startOnce measures one start: first character, first frame with all its panes, and
// each pane's first values; and the CPU time that all of it took.
func startOnce(l *lab, w *workspace, cmd ...string) (output, frame time.Duration, values map[string]time.Duration, cpu time.Duration, err error) {
	s, err := l.show(append(cmd, "--workspace", w.dir, "--listen", "off")...)
	if err != nil {
		return 0, 0, nil, 0, err
	}
	defer s.close()
	time.Sleep(200 * time.Millisecond) // tmux and its shell come to rest
	if err := s.start(); err != nil {
		return 0, 0, nil, 0, err
	}
	values = map[string]time.Duration{}
	var res []*regexp.Regexp
	for _, p := range panes {
		res = append(res, regexp.MustCompile(p.value))
	}
	for {
		text := s.text()
		took := time.Since(s.began)
		if output == 0 && anything.MatchString(text) {
			output = took
		}
		if frame == 0 && firstFrame.MatchString(text) {
			frame = took
		}
		for i, p := range panes {
			if values[p.name] == 0 && res[i].MatchString(text) {
				values[p.name] = took
			}
		}
		if frame > 0 && len(values) == len(panes) {
			return output, frame, values, time.Duration(cpuSeconds(s.pid) * float64(time.Second)), nil
		}
		if took > 15*time.Second {
			missing := slices.Collect(func(yield func(string) bool) {
				for _, p := range panes {
					if values[p.name] == 0 && !yield(p.name) {
						return
					}
				}
			})
			return 0, 0, nil, 0, fmt.Errorf("no values after %s in %v:\n%s", took.Round(time.Second), missing, text)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
