// Command mutate puts small faults into packages and counts which of them the tests
// notice.
//
//	mutate [-n N] [-seed S] [-min PERCENT] PACKAGE...
//
// Every fault that was sampled is compiled into one copy of the sources, each behind a
// condition on the environment variable OPSDECK_MUTANT, and handed to "go test -c" as an
// overlay: a test binary is compiled once, and run once for each fault. Tools that are
// kept (gremlins, go-mutesting) compile it once for each fault instead, which takes half
// an hour for 200 faults where this takes three minutes on two cores.
//
// A fault that no test reaches survives without a run. One that makes a test fail, panic
// or hang is killed. What does not compile is not counted: another is sampled for it. The
// sample follows from the seed and the code around a fault, so that a change elsewhere
// leaves it as it was.
//
// A package's faults are for its own tests and, where the screen shows what it says, for
// those of tui. Each survivor is a line "file:line: fault". The exit code is 1 when the
// tests of a package kill less than PERCENT.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	n := flag.Int("n", 40, "sample `N` faults of each package, 0 for all")
	seed := flag.String("seed", "", "another `SEED` samples other faults")
	least := flag.Int("min", 80, "fail where less than this `PERCENT` is killed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := mutate(ctx, flag.Args(), *n, *seed, *least)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// mutate samples faults of the packages, runs the tests on each and prints what came of
// it. It reports whether every package reached the least percentage.
func mutate(ctx context.Context, patterns []string, n int, seed string, least int) (ok bool, err error) {
	if len(patterns) == 0 {
		return false, fmt.Errorf("which package? mutate ./backend/state")
	}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	b := &builder{ctx: ctx, dir: dir}
	if err := b.list(patterns); err != nil {
		return false, err
	}
	for _, p := range b.packages {
		if err := p.find(seed); err != nil {
			return false, err
		}
		p.sample(n)
	}
	if err := b.compile(); err != nil {
		return false, err
	}
	if err := b.run(); err != nil {
		return false, err
	}
	wd, err := os.Getwd()
	if err != nil {
		return false, err
	}
	ok = true
	for _, p := range b.packages {
		killed := 0
		for _, pt := range p.sampled {
			if pt.killed {
				killed++
				continue
			}
			name, err := filepath.Rel(wd, pt.file.path)
			if err != nil {
				name = pt.file.path
			}
			fmt.Printf("%s:%d: %s\n", name, pt.line, pt.change)
		}
		if len(p.sampled) == 0 {
			fmt.Printf("%s: no fault can be put in\n", p.ImportPath)
			continue
		}
		percent := 100 * killed / len(p.sampled)
		verdict := ""
		if percent < least {
			ok, verdict = false, fmt.Sprintf(", less than %d %%", least)
		}
		fmt.Printf("%s: %d of %d killed, %d %%%s (%d known)\n", strings.TrimPrefix(p.ImportPath, p.Module.Path+"/"), killed, len(p.sampled), percent, verdict, len(p.points))
	}
	return ok, nil
}
