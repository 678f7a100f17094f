package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// binary is the compiled tests of a package.
type binary struct {
	pkg  *pkg
	path string
	took time.Duration
	// flags has property tests leave no files of what failed: those would be tried again,
	// without a fault.
	flags   []string
	reached map[int]bool
}

// run tries every binary without a fault, and then each fault with those that reach it.
func (b *builder) run() error {
	for _, bin := range b.binaries {
		if err := bin.try(b.ctx); err != nil {
			return err
		}
	}
	type job struct {
		p  *pkg
		pt *point
	}
	jobs := make(chan job)
	var workers sync.WaitGroup
	for range runtime.NumCPU() {
		workers.Go(func() {
			for j := range jobs {
				for _, k := range b.killers(j.p) {
					if bin := b.binaries[k]; bin.reached[j.pt.id] && bin.kills(b.ctx, j.pt.id) {
						j.pt.killed = true
						break
					}
				}
			}
		})
	}
	for _, p := range b.packages {
		for _, pt := range p.sampled {
			jobs <- job{p, pt}
		}
	}
	close(jobs)
	workers.Wait()
	return b.ctx.Err()
}

// try runs the tests without a fault: how long they take, and which faults they reach.
func (bin *binary) try(ctx context.Context) error {
	const none = "-rapid.nofailfile"
	if exec.CommandContext(ctx, bin.path, none, "-test.list=^$").Run() == nil {
		bin.flags = []string{none}
	}
	name := bin.path + ".reached"
	began := time.Now()
	if out, err := bin.command(ctx, 0, "OPSDECK_MUTANT_REACHED="+name).CombinedOutput(); err != nil {
		return fmt.Errorf("the tests of %s fail without a fault: %w\n%s", bin.pkg.ImportPath, err, out)
	}
	bin.took = time.Since(began)
	text, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	bin.reached = map[int]bool{}
	for _, line := range strings.Fields(string(text)) {
		id, err := strconv.Atoi(line)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(name), err)
		}
		bin.reached[id] = true
	}
	return nil
}

// kills reports whether a test fails with the fault, or hangs.
func (bin *binary) kills(ctx context.Context, id int) bool {
	until, cancel := context.WithTimeout(ctx, 5*bin.took+10*time.Second)
	defer cancel()
	return bin.command(until, id).Run() != nil && ctx.Err() == nil
}

func (bin *binary) command(ctx context.Context, id int, env ...string) *exec.Cmd {
	args := append([]string{"-test.failfast"}, bin.flags...)
	if bin.pkg.short() == screen {
		args = append(args, "-test.skip="+skipped)
	}
	cmd := exec.CommandContext(ctx, bin.path, args...)
	cmd.Dir = bin.pkg.Dir
	cmd.Env = append(append(os.Environ(), "OPSDECK_MUTANT="+strconv.Itoa(id)), env...)
	// A group of its own, so that what a test started ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}
