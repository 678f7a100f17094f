package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

const keyPresses = 300

// measureKeys presses keys that move the focus, whose frame holds the corner of a
// focused pane's border, which nothing else draws.
func measureKeys(l *lab) error {
	if err := l.withRedis(); err != nil {
		return err
	}
	w, err := l.newWorkspace("keys", "")
	if err != nil {
		return err
	}
	const rate, secs = 50_000, 30
	t, err := l.terminal(l.bin, "--workspace", w.dir, "--listen", "off")
	if err != nil {
		return err
	}
	defer t.close()
	if _, err := t.await("┏", 10*time.Second); err != nil {
		return err
	}
	t.drain(3 * time.Second)
	press := func(n int) (took []time.Duration, err error) {
		for i := range n {
			at, err := t.key(fmt.Sprint(1 + i%6))
			if err != nil {
				return nil, err
			}
			drawn, err := t.await("┏", 5*time.Second)
			if err != nil {
				return nil, fmt.Errorf("key %d: %w", i, err)
			}
			took = append(took, drawn.Sub(at))
			t.drain(30*time.Millisecond + rand.N(40*time.Millisecond)) // out of step with its ticks
		}
		return took, nil
	}
	if _, err := t.key("2"); err != nil {
		return err
	}
	t.drain(time.Second)
	quiet, err := press(keyPresses / 3)
	if err != nil {
		return err
	}
	wait, err := l.writer("-f", w.path("logs/app.log"), "-rate", fmt.Sprint(rate), "-secs", fmt.Sprint(secs))
	if err != nil {
		return err
	}
	t.drain(2 * time.Second)
	cpu, at := cpuSeconds(t.cmd.Process.Pid), time.Now()
	flooded, err := press(keyPresses)
	used := 100 * (cpuSeconds(t.cmd.Process.Pid) - cpu) / time.Since(at).Seconds()
	rss := memory(t.cmd.Process.Pid, "VmRSS")
	if _, werr := wait(); err == nil {
		err = werr
	}
	if err != nil {
		return err
	}
	l.note("keys: key to frame, quiet, median and p99", fmt.Sprintf("%s, %s ms", number(quantile(quiet, .5)), number(quantile(quiet, .99))))
	l.note("keys: key to frame at 50,000 lines/s, median and max", fmt.Sprintf("%s, %s ms", number(quantile(flooded, .5)), number(quantile(flooded, 1))))
	l.below("keys: key to frame at 50,000 lines/s, p99", quantile(flooded, .99), 30, "ms")
	l.note("keys: CPU of one core, memory at 50,000 lines/s", fmt.Sprintf("%s %%, %s MiB", number(used), number(rss)))
	return nil
}
