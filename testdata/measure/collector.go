package main

import (
	"fmt"
	"time"
)

// measureCollector shows what the collector's percentages in cmd/opsdeck/main.go are
// worth: the same starts and the same idle console as they are, and with one that Go
// would have by itself (100), turn by turn.
func measureCollector(l *lab) error {
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
	w, err := l.newWorkspace("collector", "")
	if err != nil {
		return err
	}
	ways := []struct {
		name string
		cmd  []string
	}{{"as it is", []string{l.bin}}, {"GOGC=100", []string{"env", "GOGC=100", l.bin}}}
	type result struct{ frame, all, cpu []time.Duration }
	got := make([]result, len(ways))
	for i := range l.runs + 1 {
		for n, way := range ways {
			_, frame, values, cpu, err := startOnce(l, w, way.cmd...)
			if err != nil {
				return err
			}
			if i == 0 {
				continue // it makes the registry
			}
			worst := time.Duration(0)
			for _, d := range values {
				worst = max(worst, d)
			}
			got[n].frame, got[n].all, got[n].cpu = append(got[n].frame, frame), append(got[n].all, worst), append(got[n].cpu, cpu)
		}
	}
	for n, way := range ways {
		l.note("collector, "+way.name+": exec to first frame; to real values in every pane; CPU time of that, median",
			fmt.Sprintf("%s; %s; %s ms", number(quantile(got[n].frame, .5)), number(quantile(got[n].all, .5)), number(quantile(got[n].cpu, .5))))
	}
	for _, way := range ways {
		if err := measureAtRest(l, w, way.name, way.cmd); err != nil {
			return err
		}
	}
	return nil
}

// measureAtRest measures one console that nobody touches.
func measureAtRest(l *lab, w *workspace, name string, cmd []string) error {
	s, err := l.show(append(cmd, "--workspace", w.dir, "--listen", "off")...)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.start(); err != nil {
		return err
	}
	if _, err := s.until(s.began, 15*time.Second, panes[2].value); err != nil {
		return err
	}
	time.Sleep(8 * time.Second)
	cpu, at := cpuSeconds(s.pid), time.Now()
	time.Sleep(l.window)
	l.note("collector, "+name+": idle CPU of one core", number(100*(cpuSeconds(s.pid)-cpu)/time.Since(at).Seconds())+" %")
	l.note("collector, "+name+": idle resident memory; of it anonymous, of files",
		fmt.Sprintf("%s; %s, %s MiB", number(memory(s.pid, "VmRSS")), number(memory(s.pid, "RssAnon")), number(memory(s.pid, "RssFile"))))
	return nil
}
