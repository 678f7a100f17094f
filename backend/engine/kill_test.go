package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
)

// child changes the registry, the credentials (on trial, then accepted) and the
// routing file in turn, and says after each round that it is done, until killed.
func child() {
	dir := os.Getenv("OPSDECK_ENGINE_CHILD")
	from, _ := strconv.Atoi(os.Getenv("OPSDECK_ENGINE_FROM"))
	check := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	ctx := context.Background()
	reg, err := openRegistry(ctx, filepath.Join(dir, "module_registry.db"))
	check(err)
	store := secrets.Open(filepath.Join(dir, "module_credentials.db"), func() (string, error) { return os.Getenv("OPSDECK_ENGINE_KEY"), nil }, nil)
	if why := store.Locked(); why != "" {
		check(errors.New(why))
	}
	rt, err := newRouting(filepath.Join(dir, "routing.json"), "routing.json")
	check(err)
	_ = reg.add(ctx, Record{ID: "t/x", Name: "x", Category: "t", Platform: "x", Status: state.ModuleInstalled, Health: "unknown", Manifest: "{}"})
	for n := from; ; n++ {
		rows, err := reg.all(ctx)
		check(err)
		was := rows["t/x"].Status
		to := state.ModuleDisabled
		if was == to {
			to = state.ModuleInstalled
		}
		check(reg.move(ctx, "t/x", was, to, time.Now()))
		check(reg.count(ctx, map[string]tally{"t/x": {ok: 1, health: "healthy"}}, time.Now()))
		c, err := store.Set("t/x", secrets.NewValues(map[string]any{"n": n}), true)
		check(err)
		check(store.Accept(c))
		_, err = rt.set(fmt.Appendf(nil, `{"version": "%d", "categories": {}}`, n), time.Now())
		check(err)
		fmt.Println("done", n)
	}
}

// A kill -9 at any moment loses nothing that was reported as done, leaves nothing
// half done, and takes a rotation on trial back.
func TestKillLosesNothingCommitted(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	dir := t.TempDir()
	key, _ := contractKey(t)()
	done := 0
	for i := range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "OPSDECK_ENGINE_CHILD="+dir, "OPSDECK_ENGINE_KEY="+key, "OPSDECK_ENGINE_FROM="+strconv.Itoa(done+1))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// It is killed a moment after its first round, wherever it is then.
		moment := time.Duration(rand.Int64N(int64(20 * time.Millisecond)))
		sc := bufio.NewScanner(out)
		timer := time.NewTimer(patience)
		for sc.Scan() {
			var n int
			if _, err := fmt.Sscanf(sc.Text(), "done %d", &n); err != nil {
				t.Fatalf("round %d: the child says %q", i, sc.Text())
			}
			if done < n {
				done = n
			}
			timer.Stop()
			timer = time.AfterFunc(moment, func() { _ = cmd.Process.Kill() })
			moment = time.Hour // armed once
			break
		}
		for sc.Scan() {
			var n int
			if _, err := fmt.Sscanf(sc.Text(), "done %d", &n); err == nil {
				done = n
			}
		}
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		timer.Stop()

		ctx := context.Background()
		reg, err := openRegistry(ctx, filepath.Join(dir, "module_registry.db"))
		if err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		rows, err := reg.all(ctx)
		if err != nil {
			t.Fatal(err)
		}
		// Every round moves once and counts once.
		if got := rows["t/x"].SuccessCount; got < int64(done) {
			t.Fatalf("round %d: %d rounds were reported, %d are counted in the registry", i, done, got)
		}
		if err := reg.close(); err != nil {
			t.Fatal(err)
		}
		store := secrets.Open(filepath.Join(dir, "module_credentials.db"), func() (string, error) { return key, nil }, nil)
		v, err := store.Get("t/x")
		if err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		n, _ := strconv.Atoi(fmt.Sprint(v.Reveal()["n"]))
		if n != done && n != done+1 {
			t.Fatalf("round %d: %d rounds were reported, the credentials are of round %d", i, done, n)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "routing.json"))
		var conf struct{ Version string }
		if err != nil || json.Unmarshal(text, &conf) != nil {
			t.Fatalf("round %d: routing file %q, %v", i, text, err)
		}
		if v, _ := strconv.Atoi(conf.Version); v != done && v != done+1 {
			t.Fatalf("round %d: %d rounds were reported, the routing file is of round %s", i, done, conf.Version)
		}
		done = n // where the next child goes on
	}
}

// What runs when the engine's process is killed does not outlive it.
func TestKilledEngineLeavesNoAdapterBehind(t *testing.T) {
	if os.Getenv("OPSDECK_TEST_REQUIRE") == "" && !exists("/proc/self/stat") {
		t.Skip("this host has no parent-death signal")
	}
	sp := newSpawner()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.sh"), []byte("#!/bin/sh\nsleep 1000 & echo $! >child; wait\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := startRunner(sp, python{}, dir, "a.sh")
	if err != nil {
		t.Fatal(err)
	}
	pid := r.cmd.Process.Pid
	// The thread that started it ends, as it does when the process is killed.
	sp.stop()
	<-r.dead
	waitGone(t, pid)
	r.stop(false)
}
