package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"time"
)

const lagLines = 50

// measureLag measures from the event to the character on the screen, in the
// overview at 200 by 50.
func measureLag(l *lab) error {
	if err := l.withRedis(); err != nil {
		return err
	}
	const containers = 20
	docker := l.withContainers(containers)
	l.client.Del(l.ctx, "task:queue")
	w, err := l.newWorkspace("lag", "")
	if err != nil {
		return err
	}
	s, err := l.show(l.bin, "--workspace", w.dir, "--listen", "off")
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.start(); err != nil {
		return err
	}
	if _, err := s.until(s.began, 15*time.Second, panes[0].value); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		run  func() error
	}{
		{"lines", func() error { return l.lagLines(w, s) }},
		{"push", func() error { return l.lagPush(s) }},
		{"kill", func() error {
			if docker != nil {
				return docker
			}
			return l.lagKill(s)
		}},
		{"adapter", func() error { return l.lagAdapter(w, s) }},
	} {
		if err := part.run(); err != nil {
			l.failed("lag: "+part.name, err)
		}
	}
	return nil
}

// lagLines appends lines, alone and among ten a second.
func (l *lab) lagLines(w *workspace, s *screen) error {
	measure := func(name string, n int) ([]time.Duration, error) {
		var took []time.Duration
		for i := range n {
			time.Sleep(150*time.Millisecond + rand.N(250*time.Millisecond))
			token := fmt.Sprintf("token-%s-%03d", name, i)
			if err := w.log(token); err != nil {
				return nil, err
			}
			d, err := s.until(time.Now(), 5*time.Second, token)
			if err != nil {
				return nil, err
			}
			took = append(took, d)
		}
		return took, nil
	}
	quiet, err := measure("quiet", lagLines)
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				_ = w.log(fmt.Sprintf("other %d", i))
			}
		}
	}()
	flow, err := measure("flow", lagLines)
	close(stop)
	<-done
	if err != nil {
		return err
	}
	for _, m := range []struct {
		name string
		took []time.Duration
	}{{"quiet", quiet}, {"at 10 lines/s", flow}} {
		l.note("lag: line to screen, "+m.name+", median", number(quantile(m.took, .5))+" ms")
		l.below(fmt.Sprintf("lag: line to screen, %s, worst of %d", m.name, len(m.took)), quantile(m.took, 1), 250, "ms")
	}
	return nil
}

// lagPush pushes a thousand items, several times.
func (l *lab) lagPush(s *screen) error {
	items := make([]any, 1000)
	for i := range items {
		items[i] = fmt.Sprintf(`{"id": %d}`, i)
	}
	var took []time.Duration
	for n := 1; n <= 10; n++ {
		time.Sleep(rand.N(1500 * time.Millisecond))
		if err := l.client.RPush(l.ctx, "task:queue", items...).Err(); err != nil {
			return err
		}
		shown := fmt.Sprintf(`task:queue +(%d,?000|%d\.0k)`, n, n)
		d, err := s.until(time.Now(), 10*time.Second, shown)
		if err != nil {
			return err
		}
		took = append(took, d)
	}
	l.note("lag: RPUSH of 1000 to screen, median", number(quantile(took, .5))+" ms")
	l.below(fmt.Sprintf("lag: RPUSH of 1000 to screen, worst of %d", len(took)), quantile(took, 1), 2000, "ms")
	return nil
}

// lagKill kills containers one after the other: those that are not up stand first.
func (l *lab) lagKill(s *screen) error {
	var took []time.Duration
	for i := range 10 {
		time.Sleep(rand.N(700 * time.Millisecond))
		name := l.container(i)
		at := time.Now()
		if _, err := command("docker", "kill", name); err != nil {
			return err
		}
		d, err := s.until(at, 10*time.Second, `exited 137 +`+regexp.QuoteMeta(name))
		if err != nil {
			return err
		}
		took = append(took, d)
		if _, err := command("docker", "start", name); err != nil {
			return err
		}
		time.Sleep(time.Second)
	}
	l.note("lag: docker kill to screen, median", number(quantile(took, .5))+" ms")
	l.below(fmt.Sprintf("lag: docker kill to screen, worst of %d", len(took)), quantile(took, 1), 1000, "ms")
	return nil
}

// lagAdapter takes away what an adapter reads, whose interval is two seconds, and
// looks for its traceback in the module's detail.
func (l *lab) lagAdapter(w *workspace, s *screen) error {
	if err := os.Remove(w.path("modules/host/victim/data")); err != nil {
		return err
	}
	d, err := s.until(time.Now(), 20*time.Second, `failed +host/victim`)
	if err != nil {
		return err
	}
	l.below("lag: broken adapter to failed, its interval being 2 s", d.Seconds(), 2.5, "s")
	s.keys("1")
	s.keys("g")
	s.keys("Enter")
	at := time.Now()
	s.keys("]")
	if _, err := s.until(at, 5*time.Second, `Traceback`); err == nil {
		_, err = s.until(at, time.Second, `FileNotFoundError`)
		l.holds("lag: its traceback is in the detail", err == nil, "it is", "Traceback, FileNotFoundError")
	} else {
		l.holds("lag: its traceback is in the detail", false, err.Error(), "Traceback, FileNotFoundError")
	}
	s.keys("Escape")
	return nil
}
