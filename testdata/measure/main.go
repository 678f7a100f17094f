// Command measure runs opsdeck in a real terminal, beside real containers, a real
// Redis and real log files, and prints what was promised beside what was measured.
//
//	measure [-only REGEXP] [-containers N] [-secs S] BIN
//
// It sets up what it needs in a temporary folder: a workspace, a redis-server on a
// free port, containers of an image of its own made of busybox, a tmux server of
// its own. It ends and removes all of it, by identity, and touches nothing else.
// What this host lacks is reported as not measured. The exit code is 1 when a goal
// was not met.
//
// Each part is a line in parts below and a file of its own name.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// parts are what can be measured, in this order.
var parts = []struct {
	name, what string
	run        func(*lab) error
}{
	{"start", "exec to first frame, and to real values in every pane", measureStart},
	{"idle", "CPU, bytes to the terminal and memory while nothing is touched", measureIdle},
	{"collector", "what the collector's percentages are worth, at the start and at rest", measureCollector},
	{"peers", "10, 50 and 200 containers, beside docker stats, lazydocker and ctop", measurePeers},
	{"crowd", "keys in the list of 1000 containers, and of 30,000 that are stopped", measureCrowd},
	{"keys", "key to frame while 50,000 log lines a second arrive", measureKeys},
	{"flood", "500,000 lines a second, over ten renames and ten truncations", measureFlood},
	{"lag", "how soon a kill, a push, a line and a broken adapter show", measureLag},
	{"grep", "opsdeck logs beside grep on a file of 1 GiB", measureGrep},
	{"modules", "200 modules: CPU, memory, the API beside them, and the start", measureModules},
	{"soak", "growth over a long run, with 50 consumers of the stream; only with -soak", measureSoak},
	{"faults", "what breaks shows in its pane, and recovers by itself", measureFaults},
	{"engines", "container engines restarted, killed, frozen and cut off, again and again", measureEngines},
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "write" {
		if err := writeMain(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "measure:", err)
			os.Exit(1)
		}
		return
	}
	only := flag.String("only", "", "measure only the parts whose name matches `REGEXP`")
	containers := flag.Int("containers", 50, "containers beside the idle console")
	secs := flag.Float64("secs", 30, "length of a measured window, in seconds")
	runs := flag.Int("runs", 7, "starts of which the median is taken")
	soak := flag.Duration("soak", 0, "length of the long run, such as 1h; 0 for none")
	cycles := flag.Int("cycles", 20, "how often engines are broken and mended again")
	keep := flag.Bool("keep", false, "leave the temporary folder there")
	flag.Usage = func() {
		fmt.Fprintf(os.Stderr, "usage: measure [flags] BIN\n\nThe parts:\n")
		for _, p := range parts {
			fmt.Fprintf(os.Stderr, "  %-9s %s\n", p.name, p.what)
		}
		fmt.Fprintln(os.Stderr, "\nThe flags:")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	bin, err := filepath.Abs(flag.Arg(0))
	if err == nil {
		_, err = os.Stat(bin)
	}
	match, rerr := regexp.Compile(*only)
	if err != nil || rerr != nil {
		fmt.Fprintln(os.Stderr, "measure:", err, rerr)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	l := &lab{ctx: ctx, bin: bin, containers: *containers, window: time.Duration(*secs * float64(time.Second)), runs: *runs, soak: *soak, cycles: *cycles}
	if err := l.open(); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
	for _, p := range parts {
		if !match.MatchString(p.name) || ctx.Err() != nil {
			continue
		}
		fmt.Fprintf(os.Stderr, "measure: %s: %s\n", p.name, p.what)
		began, busy := time.Now(), readBusy()
		if err := p.run(l); err != nil {
			l.failed(p.name, err)
		}
		fmt.Fprintf(os.Stderr, "measure: %s took %s, the machine was %.0f %% busy\n", p.name, time.Since(began).Round(time.Second), readBusy().since(busy))
	}
	l.close(*keep)
	if !l.print() {
		os.Exit(1)
	}
}

// figure is one line of the table.
type figure struct {
	what, got, goal, verdict string
	bad                      bool
}

// below reports a figure that shall not exceed its goal.
func (l *lab) below(what string, got, goal float64, unit string) {
	f := figure{what: what, got: number(got) + " " + unit, goal: "< " + number(goal) + " " + unit, verdict: "met"}
	if got >= goal {
		f.bad = true
		f.verdict = fmt.Sprintf("short by %s %s (%.0f %%)", number(got-goal), unit, 100*(got-goal)/goal)
	}
	l.add(f)
}

// holds reports something that is so or not.
func (l *lab) holds(what string, ok bool, got, goal string) {
	f := figure{what: what, got: got, goal: goal, verdict: "met"}
	if !ok {
		f.bad, f.verdict = true, "NOT MET"
	}
	l.add(f)
}

// note reports a figure without a goal.
func (l *lab) note(what, got string) { l.add(figure{what: what, got: got}) }

func (l *lab) failed(part string, err error) {
	l.add(figure{what: part, got: err.Error(), verdict: "NOT MEASURED", bad: true})
}

func (l *lab) add(f figure) {
	l.figures = append(l.figures, f)
	fmt.Fprintf(os.Stderr, "  %s: %s  %s  %s\n", f.what, f.got, f.goal, f.verdict)
}

func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// print writes the table; false when a goal was not met.
func (l *lab) print() bool {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tFIGURE\tGOAL\tVERDICT")
	ok := true
	for _, f := range l.figures {
		fmt.Fprintln(w, strings.Join([]string{f.what, f.got, f.goal, f.verdict}, "\t"))
		ok = ok && !f.bad
	}
	w.Flush()
	return ok
}
