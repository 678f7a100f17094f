package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fernet/fernet-go"

	"github.com/opsdeck/opsdeck/backend"
	"github.com/opsdeck/opsdeck/backend/journal"
	"github.com/opsdeck/opsdeck/backend/source/sourcetest"
	"github.com/opsdeck/opsdeck/backend/state"
)

// ledger is what the operator of the test knows: what was acknowledged, and in
// which states each target may be found.
type ledger struct {
	mu sync.Mutex
	// begun were acknowledged by Submit; ended were seen to be over.
	begun, ended map[state.ActionID]state.Kind
	// may are a target's possible states: one, or two while an action is under way.
	may map[string][]string
	// counts of what came to pass, for the report.
	submitted, interrupted int
}

func (l *ledger) set(target string, states ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.may[target] = states
}

func (l *ledger) now(target string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.may[target][0]
}

// do submits an action that leads target from its state to next, or back where it
// fails as it should.
func (l *ledger) do(s *server, a state.Action, target, next string, fails bool) error {
	was := l.now(target)
	l.set(target, was, next)
	id, err := s.client.Submit(context.Background(), a)
	if err != nil {
		if errors.Is(err, backend.ErrRefused) {
			l.set(target, was)
		}
		return err
	}
	l.mu.Lock()
	l.begun[id] = a.Kind
	l.submitted++
	l.mu.Unlock()
	var after uint64
	for {
		snap, err := s.client.Wait(context.Background(), after)
		if err != nil {
			return err
		}
		after = snap.Version
		p := snap.Actions.Progress(id)
		if p == nil || !p.Done() {
			continue
		}
		if fails == (p.Status == "done") {
			return fmt.Errorf("%s %s: %s, which it should not be: %s%s", a.Kind, a.Target, p.Status, p.Result, p.Err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.ended[id] = a.Kind
		if l.may[target] = []string{next}; fails {
			l.may[target] = []string{was}
		}
		return nil
	}
}

// TestKillAtAnyMomentLosesNothing kills the engine with SIGKILL at random moments
// of random actions, 100 times where all tests are required, and looks after each
// start at the journal, the registry, the credentials and the log files.
func TestKillAtAnyMomentLosesNothing(t *testing.T) {
	sourcetest.Program(t, "sh")
	rounds := 20
	if os.Getenv("OPSDECK_TEST_REQUIRE") == "all" {
		rounds = 100
	}
	dir := t.TempDir()
	logFile := filepath.Join(dir, "logs", "app.log")
	makeWorkspace(t, dir, fmt.Sprintf("logs:\n  - path: logs/app.log\n    rotate: {mode: rename, keep: 10000, reopen: [sh, -c, \": >> %s\"]}\n", logFile),
		map[string]bool{"host/toggled": false, "host/set": false, "keyed/rotated": true})
	lines := 0
	appendLog := func() {
		lines++
		if err := os.MkdirAll(filepath.Dir(logFile), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(f, "2026-02-11T12:00:00Z INFO line %d\n", lines)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	l := &ledger{begun: map[state.ActionID]state.Kind{}, ended: map[state.ActionID]state.Kind{},
		may: map[string][]string{"host/toggled": {"installed"}, "host/set": {""}, "keyed/rotated": {""}, "log": {""}}}
	value := 0

	for round := range rounds {
		appendLog()
		open := unended(t, dir)
		s := serveIn(t, dir)
		snap := s.until(t, "the modules and the log are known", func(s *state.Snapshot) bool {
			for _, id := range []string{"host/toggled", "host/set", "keyed/rotated"} {
				if m := s.Modules.Module(id); m == nil || m.Status == state.ModulePending || m.Status == state.ModuleInstalled && m.LastFetch.IsZero() {
					return false
				}
			}
			return s.Logs.Source(logFile) != nil && s.Alerts.Health.Status == state.OK
		})
		l.check(t, dir, snap, open)
		if t.Failed() {
			s.kill()
			t.Fatalf("in round %d", round)
		}

		value += 1000
		var wg sync.WaitGroup
		first := make(chan struct{}, 10)
		// Whoever acts goes on until the engine is gone.
		act := func(next func(n int) error) {
			wg.Go(func() {
				for n := range 1000 {
					err := next(n)
					first <- struct{}{}
					if err != nil {
						if errors.Is(err, backend.ErrRefused) || strings.Contains(err.Error(), "should not be") {
							t.Errorf("round %d: %v", round, err)
						}
						return
					}
				}
			})
		}
		from := l.now("host/toggled")
		act(func(n int) error {
			kind, next := state.ModuleDisable, "disabled"
			if (n%2 == 1) == (from == "installed") {
				kind, next = state.ModuleEnable, "installed"
			}
			return l.do(s, state.Action{Kind: kind, Target: "host/toggled"}, "host/toggled", next, false)
		})
		act(func(n int) error {
			v := fmt.Sprintf("s3cr3t-%d", value+n)
			return l.do(s, state.Action{Kind: state.CredentialSet, Target: "host/set", Secrets: map[string]state.Secret{"api_key": state.Secret(v)}}, "host/set", v, false)
		})
		act(func(n int) error {
			v, wrong := fmt.Sprintf("right-%d", value+n), n%3 == 2
			if wrong {
				v = fmt.Sprintf("wrong-%d", value+n)
			}
			return l.do(s, state.Action{Kind: state.CredentialRotate, Target: "keyed/rotated", Secrets: map[string]state.Secret{"api_key": state.Secret(v)}}, "keyed/rotated", v, wrong)
		})
		act(func(int) error {
			return l.do(s, state.Action{Kind: state.LogRotate, Target: logFile}, "log", "", false)
		})
		// The moment: up to 200 ms after they began, or after the first is over.
		moment := time.NewTimer(rand.N(200 * time.Millisecond))
		if round%4 == 0 {
			<-first
		}
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			for range first {
			}
		}()
		<-moment.C
		s.kill()
		wg.Wait()
		close(first)
		<-drained
	}

	open := unended(t, dir)
	s := serveIn(t, dir)
	snap := s.until(t, "the modules are known", func(s *state.Snapshot) bool {
		m := s.Modules.Module("keyed/rotated")
		return m != nil && m.Status != state.ModulePending && len(s.Modules.List) == 3
	})
	l.check(t, dir, snap, open)
	s.stop(t)
	if got := logged(t, dir); got < lines {
		t.Errorf("of %d lines that were written to the log, %d are left over its rotations", lines, got)
	}
	for _, prefix := range []string{"s3cr3t-", "right-", "wrong-"} {
		nowhere(t, dir, prefix)
	}
	noneLeft(t, dir)
	t.Logf("%d kills, %d actions acknowledged, %d seen to end, %d interrupted", rounds, l.submitted, len(l.ended), l.interrupted)
	if l.interrupted == 0 {
		t.Error("no kill met an action: the moments are wrong")
	}
}

// entries returns the journal's, oldest first.
func entries(t *testing.T, dir string) (all []state.Entry) {
	t.Helper()
	err := journal.Read(filepath.Join(dir, "data", "journal.jsonl"), func(e state.Entry) bool { all = append(all, e); return true })
	if err != nil && !errors.Is(err, os.ErrNotExist) && !strings.Contains(err.Error(), "torn") {
		t.Fatal(err)
	}
	return all
}

// unended returns the actions that the journal, as the kill left it, has begun only.
func unended(t *testing.T, dir string) map[state.ActionID]bool {
	t.Helper()
	open := map[state.ActionID]bool{}
	for _, e := range entries(t, dir) {
		switch e.Phase {
		case state.PhaseBegin:
			open[e.Action] = true
		case state.PhaseEnd, state.PhaseInterrupted:
			delete(open, e.Action)
		}
	}
	return open
}

// check looks at everything after a start.
func (l *ledger) check(t *testing.T, dir string, snap *state.Snapshot, open map[state.ActionID]bool) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := journal.Verify(filepath.Join(dir, "data", "journal.jsonl")); err != nil {
		t.Errorf("the journal: %v", err)
	}
	if snap.Journal.Broken != "" {
		t.Errorf("the journal is shown as broken: %s", snap.Journal.Broken)
	}
	begins, ends, interrupted := map[state.ActionID]int{}, map[state.ActionID]int{}, map[state.ActionID]int{}
	for _, e := range entries(t, dir) {
		switch e.Phase {
		case state.PhaseBegin:
			begins[e.Action]++
		case state.PhaseEnd:
			ends[e.Action]++
		case state.PhaseInterrupted:
			if e.Action != "" {
				interrupted[e.Action]++
			}
		}
	}
	for id, kind := range l.begun {
		if begins[id] != 1 {
			t.Errorf("%s %s was acknowledged, and is %d times in the journal", kind, id, begins[id])
		}
	}
	for id, kind := range l.ended {
		if ends[id] != 1 || interrupted[id] != 0 {
			t.Errorf("%s %s was seen to end; the journal has %d ends, %d interruptions", kind, id, ends[id], interrupted[id])
		}
	}
	for id := range begins {
		if ends[id]+interrupted[id] != 1 {
			t.Errorf("action %s has %d ends and %d interruptions", id, ends[id], interrupted[id])
		}
	}
	reported := map[state.ActionID]bool{}
	for _, p := range snap.Actions.List {
		if p.Status == "interrupted" {
			reported[p.ID] = true
			if p.Err == "" {
				t.Errorf("action %s is interrupted and does not say what to do", p.ID)
			}
		}
	}
	for id := range open {
		if !reported[id] {
			t.Errorf("action %s was interrupted, and the next start does not report it", id)
		}
	}
	for id := range reported {
		if !open[id] {
			t.Errorf("action %s is reported as interrupted, which it was not by the last kill", id)
		}
	}
	l.interrupted += len(reported)

	found := map[string]string{
		"host/toggled":  query(t, filepath.Join(dir, "data", "module_registry.db"), "SELECT status FROM modules WHERE module_id = 'host/toggled'"),
		"host/set":      credential(t, dir, "host/set"),
		"keyed/rotated": credential(t, dir, "keyed/rotated"),
		"log":           "",
	}
	for target, is := range found {
		if may := l.may[target]; !slices.Contains(may, is) {
			t.Errorf("%s is %q; it was to be one of %q", target, is, may)
		}
		l.may[target] = []string{is}
	}
	if m := snap.Modules.Module("host/toggled"); m != nil && string(m.Status) != found["host/toggled"] {
		t.Errorf("host/toggled is shown as %s, the registry says %s", m.Status, found["host/toggled"])
	}
	if m := snap.Modules.Module("keyed/rotated"); m != nil && strings.HasPrefix(found["keyed/rotated"], "right-") && m.Status != state.ModuleInstalled {
		t.Errorf("keyed/rotated has its key and is %s: %s", m.Status, m.Reason)
	}
}

// query reads one value out of a database, which must be whole; "" for none.
func query(t *testing.T, path, stmt string) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var whole string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&whole); err != nil || whole != "ok" {
		if _, serr := os.Stat(path); errors.Is(serr, os.ErrNotExist) {
			return ""
		}
		t.Errorf("%s: integrity_check says %q, %v", filepath.Base(path), whole, err)
		return ""
	}
	var v sql.NullString
	if err := db.QueryRow(stmt).Scan(&v); err != nil && !errors.Is(err, sql.ErrNoRows) && !strings.Contains(err.Error(), "no such table") {
		t.Errorf("%s: %v", filepath.Base(path), err)
	}
	return v.String
}

// credential reads a module's API key as any reader of the recorded schema would.
func credential(t *testing.T, dir, id string) string {
	t.Helper()
	token := query(t, filepath.Join(dir, "data", "module_credentials.db"), "SELECT encrypted_data FROM credentials WHERE module_id = '"+id+"'")
	if token == "" {
		return ""
	}
	k, err := fernet.DecodeKey(testKey)
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Key string `json:"api_key"`
	}
	if err := json.Unmarshal(fernet.VerifyAndDecrypt([]byte(token), 0, []*fernet.Key{k}), &v); err != nil {
		t.Errorf("the credentials of %s do not decrypt: %v", id, err)
	}
	return v.Key
}

// logged counts the different lines in the log and all that it was rotated to.
func logged(t *testing.T, dir string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "logs", "app.log*"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var r io.Reader = strings.NewReader(string(b))
		if strings.HasSuffix(name, ".gz") {
			if r, err = gzip.NewReader(r); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
		}
		sc := bufio.NewScanner(r)
		for sc.Scan() {
			seen[sc.Text()] = true
		}
		if sc.Err() != nil {
			t.Errorf("%s: %v", name, sc.Err())
		}
	}
	return len(seen)
}

// nowhere fails where text is in any file of a workspace but its modules.
func nowhere(t *testing.T, dir, text string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (e.Name() == "modules" || e.Name() == "blobs") { // and the versions of what lies there
			return filepath.SkipDir
		}
		if !e.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(b), text) {
			t.Errorf("%q is in %s", text, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
