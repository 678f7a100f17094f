package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// measureIdle watches a console that nobody touches.
func measureIdle(l *lab) error {
	if err := l.withRedis(); err != nil {
		return err
	}
	if err := l.withContainers(l.containers); err != nil {
		return err
	}
	w, err := l.newWorkspace("idle", "")
	if err != nil {
		return err
	}
	before := engineCPU()
	time.Sleep(l.window / 2)
	without := 100 * (engineCPU() - before) / (l.window / 2).Seconds()
	s, err := l.show(l.bin, "--workspace", w.dir, "--listen", "off")
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
	text := s.text()
	cpu, engine, bytes, at := cpuSeconds(s.pid), engineCPU(), s.written(), time.Now()
	time.Sleep(l.window)
	took := time.Since(at).Seconds()
	if s.text() == text {
		return fmt.Errorf("the screen did not change in %.0f s: it is not live", took)
	}
	with := fmt.Sprintf(", %d containers", l.containers)
	l.below("idle: CPU of one core"+with, 100*(cpuSeconds(s.pid)-cpu)/took, 3, "%")
	l.below("idle: bytes to the terminal"+with, float64(s.written()-bytes)/took/1024, 2, "KiB/s")
	l.below("idle: resident memory (VmRSS)", memory(s.pid, "VmRSS"), 80, "MiB")
	l.note("idle: of it anonymous, mapped from the binary", fmt.Sprintf("%s, %s MiB", number(memory(s.pid, "RssAnon")), number(memory(s.pid, "RssFile"))))
	l.note("idle: dockerd's CPU with the console, without", fmt.Sprintf("%s, %s %%", number(100*(engineCPU()-engine)/took), number(without)))
	if out := os.Getenv("MEASURE_SCREEN"); out != "" {
		return os.WriteFile(filepath.Clean(out), []byte(s.text()), 0o600)
	}
	return nil
}
