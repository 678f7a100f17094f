package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// peer is a program that shows containers, and what its rows look like once they
// have real values.
type peer struct {
	name string
	cmd  []string
	row  *regexp.Regexp
}

// measurePeers puts the pane of containers beside other programs that show them, on
// the same containers, one after the other. Those that are not installed are left out.
func measurePeers(l *lab) error {
	dir := filepath.Join(l.dir, "peers")
	w := &workspace{dir: dir}
	if err := w.write("opsdeck.yaml", "name: peers\n"); err != nil {
		return err
	}
	peers := []peer{
		{"opsdeck", []string{l.bin, "--workspace", dir, "--listen", "off", "--pane", "containers"}, regexp.MustCompile(`running +m\d+-\d+ +\d+\.\d%`)},
		{"docker stats", []string{"docker", "stats"}, regexp.MustCompile(`m\d+-\d+ +\d+\.\d+% +\d`)},
		{"lazydocker", []string{"lazydocker"}, regexp.MustCompile(`m\d+-\d+.* \d+\.\d+%`)},
		{"ctop", []string{"ctop", "-a"}, regexp.MustCompile(`m\d+-\d+ .*\d+%`)},
	}
	for _, n := range []int{10, 50, 200} {
		if err := l.withContainers(n); err != nil {
			return err
		}
		time.Sleep(3 * time.Second)
		at, before := time.Now(), engineCPU()
		time.Sleep(l.window)
		without := 100 * (engineCPU() - before) / time.Since(at).Seconds()
		for _, p := range peers {
			if _, err := exec.LookPath(p.cmd[0]); err != nil {
				l.note(fmt.Sprintf("peers: %s, %d containers", p.name, n), "not installed here")
				continue
			}
			if err := l.peer(p, n, without); err != nil {
				l.failed(fmt.Sprintf("peers: %s, %d containers", p.name, n), err)
			}
		}
	}
	return nil
}

func (l *lab) peer(p peer, n int, without float64) error {
	s, err := l.show(p.cmd...)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.start(); err != nil {
		return err
	}
	rows := min(n, 35) // what every one of them has room for
	limit := time.Now().Add(20 * time.Second)
	for len(p.row.FindAllString(s.text(), -1)) < rows {
		if time.Now().After(limit) {
			return fmt.Errorf("%d rows with values were not there within 20 s: %s", rows, strings.TrimSpace(s.text()[:min(400, len(s.text()))]))
		}
		time.Sleep(2 * time.Millisecond)
	}
	values := time.Since(s.began)
	time.Sleep(8 * time.Second)
	cpu, engine, bytes, at := cpuSeconds(s.pid), engineCPU(), s.written(), time.Now()
	time.Sleep(l.window)
	took := time.Since(at).Seconds()
	own, daemon := 100*(cpuSeconds(s.pid)-cpu)/took, 100*(engineCPU()-engine)/took-without
	out := float64(s.written()-bytes) / took / 1024
	what := func(s string) string { return fmt.Sprintf("peers: %s, %d containers: %s", p.name, n, s) }
	if p.name != "opsdeck" {
		l.note(what("own CPU, dockerd's more than without, to the terminal, values after"),
			fmt.Sprintf("%s %%, %s %%, %s KiB/s, %s s", number(own), number(daemon), number(out), number(values.Seconds())))
		return nil
	}
	most := 1.0
	if n > 50 {
		most = 2.5
	}
	l.below(what("own CPU of one core"), own, most, "%")
	l.below(what("dockerd's CPU more than without"), daemon, 1, "%")
	l.below(what("bytes to the terminal"), out, 0.5, "KiB/s")
	l.below(what("values on the screen"), float64(values.Milliseconds()), 500, "ms")
	l.below(what("resident memory (VmRSS)"), memory(s.pid, "VmRSS"), 64, "MiB")
	return nil
}
