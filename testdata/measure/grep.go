package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// grepBytes is the size of the log that is searched.
const grepBytes = 1 << 30

// measureGrep compares opsdeck logs with grep on the same file, which the page
// cache holds. Runs take turns, so that what else the machine does hits both.
func measureGrep(l *lab) error {
	if _, err := exec.LookPath("grep"); err != nil {
		return err
	}
	path := filepath.Join(l.dir, "big.log")
	lines, err := writeBig(path, grepBytes)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	base, err := l.timed("version")
	if err != nil {
		return err
	}
	memory := int64(0)
	own := func(args ...string) (timing, error) {
		t, err := l.timed(append([]string{"logs", "--workspace", l.dir}, args...)...)
		memory = max(memory, t.rss)
		return t, err
	}
	l.note("grep: the file", fmt.Sprintf("%d lines, 1 GiB", lines))
	for _, tc := range []struct {
		what         string
		opsdeck      []string
		grep         []string
		times, below float64
	}{
		{"a literal counted", []string{"--count", "--grep", "ERROR"}, []string{"-c", "ERROR"}, 3, 0},
		{"a literal counted, any case", []string{"--count", "--grep", "timeout"}, []string{"-ci", "timeout"}, 0, 0},
		{"a regexp counted", []string{"--count", "-e", `status=5[0-9]+ path=.*duration`}, []string{"-cE", `status=5[0-9]+ path=.*duration`}, 1, 0},
		{"two words counted", []string{"--count", "-e", `ERROR|WARNING`}, []string{"-cE", `ERROR|WARNING`}, 0, 0.83},
		{"a regexp without a literal counted", []string{"--count", "-e", `[0-9]+[27]_?ms=[3-9]+|[a-z]+=9[0-9]{5}`}, []string{"-cE", `[0-9]+[27]_?ms=[3-9]+|[a-z]+=9[0-9]{5}`}, 1, 0},
		{"records with ERROR printed", []string{"--grep", "ERROR"}, []string{"ERROR"}, 0, 1},
	} {
		var mine, its []float64
		for range l.runs {
			g, err := run("grep", append(tc.grep, path)...)
			if err != nil {
				return err
			}
			o, err := own(append(tc.opsdeck, path)...)
			if err != nil {
				return err
			}
			if g.out != o.out {
				l.holds("grep: "+tc.what+": the same answer", false, o.out, g.out)
			}
			mine, its = append(mine, o.wall.Seconds()), append(its, g.wall.Seconds())
		}
		m, g := middle(mine), middle(its)
		what := fmt.Sprintf("grep: %s, grep %s s, ratio %s", tc.what, number(g), number(m/g))
		switch {
		case tc.times > 0:
			l.below(what, m, tc.times*g, "s")
		case tc.below > 0:
			l.below(what, m, tc.below, "s")
		default:
			l.note(what, number(m)+" s")
		}
	}
	for _, tc := range []struct {
		what  string
		args  []string
		below float64
	}{
		{"levels and times of all records read", []string{"--count", "--level", "error"}, 3},
		{"a filter of fields", []string{"--count", "--where", "status>=500 duration>800ms"}, 0},
		{"patterns", []string{"--patterns"}, 0},
		{"all of it printed", nil, 0},
		{"the last 100 records", []string{"-n", "100"}, 0.2},
	} {
		var mine []float64
		for range max(1, l.runs/2) {
			o, err := own(append(tc.args, path)...)
			if err != nil {
				return err
			}
			mine = append(mine, o.wall.Seconds())
		}
		if tc.below > 0 {
			l.below("grep: "+tc.what, middle(mine), tc.below, "s")
		} else {
			l.note("grep: "+tc.what, number(middle(mine))+" s")
		}
	}
	l.below("grep: memory beyond that of opsdeck version, most", float64(memory-base.rss)/(1<<20), 64, "MiB")
	return nil
}

func middle(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// timing is one run of a program.
type timing struct {
	wall time.Duration
	rss  int64  // most, in bytes
	out  string // the first line, and how many bytes followed it
}

func (l *lab) timed(args ...string) (timing, error) { return run(l.bin, args...) }

// run runs a program to its end; that nothing was found is no error.
func run(name string, args ...string) (timing, error) {
	cmd := exec.Command(name, args...)
	r, w, err := os.Pipe()
	if err != nil {
		return timing{}, err
	}
	defer r.Close()
	cmd.Stdout = w
	var said strings.Builder
	cmd.Stderr = &said
	began := time.Now()
	if err := cmd.Start(); err != nil {
		w.Close()
		return timing{}, err
	}
	w.Close()
	br := bufio.NewReaderSize(r, 256<<10)
	first, _ := br.ReadString('\n')
	n, _ := io.Copy(io.Discard, br)
	err = cmd.Wait()
	t := timing{wall: time.Since(began), out: fmt.Sprintf("%s and %d bytes", strings.TrimSpace(first), n)}
	if ru, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		t.rss = ru.Maxrss << 10
	}
	if err != nil && cmd.ProcessState.ExitCode() != 1 {
		return t, fmt.Errorf("%s: %w: %s", name, err, said.String())
	}
	return t, nil
}

// writeBig writes a log of JSON and of Python's lines, the same on every run: 5 %
// are errors. It gives the number of lines.
func writeBig(path string, size int64) (lines int, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	rnd := rand.New(rand.NewPCG(1, 1))
	at := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	services := []string{"api.http", "worker.queue", "db.pool", "auth.session", "billing.invoice", "grpc.router"}
	usual := []string{
		"request completed status=200 path=/api/v1/orders/%d duration_ms=%d upstream=10.0.3.%d cache=miss",
		"job finished id=%d took_ms=%d retries=0 shard=%d queue=default priority=normal",
		"connection acquired pool=%d wait_ms=%d idle=%d host=db-primary.internal port=5432",
	}
	failed := []string{
		"request failed status=500 path=/api/v1/orders/%d duration_ms=%d upstream=10.0.3.%d: connection reset by peer",
		"job failed id=%d after_ms=%d attempt=%d: timeout exceeded while awaiting headers",
	}
	for total := int64(0); total < size; lines++ {
		at = at.Add(time.Duration(rnd.IntN(25)) * time.Millisecond)
		level, upper, text := "info", "INFO", usual[rnd.IntN(3)]
		switch x := rnd.IntN(100); {
		case x < 5:
			level, upper, text = "error", "ERROR", failed[rnd.IntN(2)]
		case x < 12:
			level, upper = "warn", "WARNING"
		case x < 30:
			level, upper = "debug", "DEBUG"
		}
		text = fmt.Sprintf(text, rnd.IntN(1e6), rnd.IntN(900), rnd.IntN(250))
		service := services[rnd.IntN(len(services))]
		n := 0
		if rnd.IntN(2) == 0 {
			n, err = fmt.Fprintf(w, "{\"level\":%q,\"message\":%q,\"service\":%q,\"seq\":%d,\"timestamp\":%q}\n", level, text, service, lines, at.Format("2006-01-02T15:04:05.000Z"))
		} else {
			n, err = fmt.Fprintf(w, "%s - %s - %s - [seq=%d] %s trace=%016x\n", at.Format("2006-01-02 15:04:05,000"), service, upper, lines, text, rnd.Uint64())
		}
		if err != nil {
			break
		}
		total += int64(n)
	}
	if ferr := w.Flush(); err == nil {
		err = ferr
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return lines, err
}
