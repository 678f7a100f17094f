package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/routing"
	"github.com/opsdeck/opsdeck/backend/secrets"
	"github.com/opsdeck/opsdeck/backend/state"
)

// kept is all that random operations leave behind in a data folder, as its files
// must have it.
type kept struct {
	Status      map[string]state.ModuleStatus
	Counts      map[string]int64
	Credentials map[string]int // of module, what was stored as "n"; not there for none
	Routing     int
	Keys        int // how often the master key was changed, or is being
}

func (k kept) clone() kept {
	k.Status, k.Counts, k.Credentials = maps.Clone(k.Status), maps.Clone(k.Counts), maps.Clone(k.Credentials)
	return k
}

// said is a line of the child: before an operation what it will leave behind, after
// it that it is done.
type said struct {
	N    int
	Done bool
	Kept kept
}

var killModules = []string{"t/a", "t/b", "t/c"}

// openAll opens the files of a data folder.
func openAll(dir string) (*registry, *secrets.Store, *routing.File, error) {
	reg, err := openRegistry(context.Background(), filepath.Join(dir, "module_registry.db"))
	if err != nil {
		return nil, nil, nil, err
	}
	store := secrets.Open(filepath.Join(dir, "module_credentials.db"), func() (string, error) {
		b, err := os.ReadFile(filepath.Join(dir, "key"))
		return string(b), err
	}, nil)
	if why := store.Locked(); why != "" {
		return nil, nil, nil, errors.New(why)
	}
	rt, err := routing.NewFile(filepath.Join(dir, "routing.json"), "routing.json")
	if err != nil {
		return nil, nil, nil, err
	}
	_, err = rt.Reload(true, time.Now())
	return reg, store, rt, err
}

// child does random operations on all files of a data folder, and says before and
// after each what it leaves behind, until it is killed.
func child() {
	dir := os.Getenv("OPSDECK_ENGINE_CHILD")
	from, _ := strconv.Atoi(os.Getenv("OPSDECK_ENGINE_FROM"))
	check := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	say := json.NewEncoder(os.Stdout)
	ctx := context.Background()
	reg, store, rt, err := openAll(dir)
	check(err)
	k, err := look(reg, store, rt)
	check(err)
	changes := map[string]secrets.Change{} // the last of each module, with what it replaced
	before := map[string]*int{}
	for n := from; ; n++ {
		r := rand.New(rand.NewPCG(uint64(n), 7))
		id := killModules[r.IntN(len(killModules))]
		next := k.clone()
		remember := func(c secrets.Change) {
			changes[id], before[id] = c, nil
			if was, ok := k.Credentials[id]; ok {
				before[id] = &was
			}
		}
		set := func(trial bool) func() {
			next.Credentials[id] = n
			return func() {
				c, err := store.Set(id, secrets.NewValues(map[string]any{"n": n}), trial)
				check(err)
				if trial {
					check(store.Accept(c))
				}
				remember(c)
			}
		}
		var do func()
		switch op := r.IntN(20); {
		case op < 4:
			was, to := k.Status[id], state.ModuleDisabled
			if was == to {
				to = state.ModuleInstalled
			}
			next.Status[id] = to
			do = func() { check(reg.move(ctx, id, was, to, time.Now())) }
		case op < 8:
			next.Counts[id]++
			do = func() { check(reg.count(ctx, map[string]tally{id: {ok: 1, health: "healthy"}}, time.Now())) }
		case op < 11:
			do = set(false)
		case op < 14:
			do = set(true) // as a rotation does
		case op < 15 && hasKey(k.Credentials, id):
			delete(next.Credentials, id)
			do = func() {
				c, err := store.Delete(id)
				check(err)
				remember(c)
			}
		case op < 16 && changes[id].Version > 0:
			c, was := changes[id], before[id]
			if delete(next.Credentials, id); was != nil {
				next.Credentials[id] = *was
			}
			do = func() {
				c, err := store.Restore(c.Version)
				check(err)
				remember(c)
			}
		case op < 19:
			next.Routing = n
			do = func() {
				_, _, err := rt.Change(map[string]string{"config": fmt.Sprintf(`{"version": "%d", "categories": {}}`, n)}, "", time.Now(), nil)
				check(err)
			}
		default:
			next.Keys++
			do = func() {
				old, err := os.ReadFile(filepath.Join(dir, "key"))
				check(err)
				key, err := secrets.NewKey()
				check(err)
				write := func(text string) {
					check(disk.WriteFile(filepath.Join(dir, "key"), []byte(text)))
					if why := store.SetKeys(""); why != "" {
						check(errors.New(why))
					}
				}
				write(key + "\n" + string(old))
				_, err = store.Rekey()
				check(err)
				write(key + "\n")
			}
		}
		check(say.Encode(said{N: n, Kept: next}))
		do()
		check(say.Encode(said{N: n, Done: true}))
		k = next
	}
}

func hasKey(m map[string]int, k string) bool { _, ok := m[k]; return ok }

// look reads what the files hold.
func look(reg *registry, store *secrets.Store, rt *routing.File) (k kept, err error) {
	k = kept{Status: map[string]state.ModuleStatus{}, Counts: map[string]int64{}, Credentials: map[string]int{}}
	rows, err := reg.all(context.Background())
	if err != nil {
		return k, err
	}
	for id, r := range rows {
		k.Status[id], k.Counts[id] = r.Status, r.SuccessCount
	}
	for _, id := range killModules {
		v, err := store.Get(id)
		if errors.Is(err, secrets.ErrNone) {
			continue
		}
		if err != nil {
			return k, err
		}
		if k.Credentials[id], err = strconv.Atoi(fmt.Sprint(v.Reveal()["n"])); err != nil {
			return k, err
		}
	}
	k.Routing, err = strconv.Atoi(fmt.Sprint(rt.Current()["version"]))
	return k, err
}

// A kill -9 at any moment of a thousand random operations on the registry, the
// credentials, their key and the routing file loses nothing that was reported as
// done, and leaves nothing half done: what was under way is there or is not.
func TestKillLosesNothingCommitted(t *testing.T) {
	operations := 1000
	if testing.Short() {
		operations = 100
	}
	dir := t.TempDir()
	key, _ := contractKey(t)()
	for name, text := range map[string]string{"key": key, "routing.json": `{"version": "0", "categories": {}}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reg, store, rt, err := openAll(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range killModules {
		if err := reg.add(context.Background(), Record{ID: id, Name: "x", Category: "t", Platform: id[2:], Status: state.ModuleInstalled, Health: "unknown", Manifest: "{}"}); err != nil {
			t.Fatal(err)
		}
	}
	now, err := look(reg, store, rt)
	if err := errors.Join(err, reg.close(), store.Close()); err != nil {
		t.Fatal(err)
	}
	done, kills, inFlight := 0, 0, 0
	for done < operations {
		kills++
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "OPSDECK_ENGINE_CHILD="+dir, "OPSDECK_ENGINE_FROM="+strconv.Itoa(done+1))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// It is killed a moment after its first operation began, wherever it is then.
		sc := bufio.NewScanner(out)
		var next *kept
		var kill *time.Timer
		for sc.Scan() {
			var s said
			if err := json.Unmarshal(sc.Bytes(), &s); err != nil {
				_ = cmd.Process.Kill()
				t.Fatalf("after %d operations the child says %q", done, sc.Text())
			}
			if kill == nil {
				kill = time.AfterFunc(time.Duration(rand.Int64N(int64(40*time.Millisecond))), func() { _ = cmd.Process.Kill() })
			}
			if s.Done {
				now, next, done = *next, nil, s.N
			} else {
				k := s.Kept
				next = &k
			}
		}
		_ = cmd.Wait()
		if kill != nil {
			kill.Stop()
		}

		reg, store, rt, err := openAll(dir)
		if err != nil {
			t.Fatalf("after %d operations and kill %d: %v", done, kills, err)
		}
		got, err := look(reg, store, rt)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case next != nil && same(got, *next) && !same(got, now):
			now, done = *next, done+1
			inFlight++
		case next != nil && same(got, now):
			inFlight++
			if next.Keys == now.Keys {
				done++ // it did not happen; the next child goes on behind it
			} else {
				now.Keys, done = next.Keys, done+1
			}
		case !same(got, now):
			t.Fatalf("after %d operations and kill %d the files hold\n%+v\nwant\n%+v\nor what was under way\n%+v", done, kills, got, now, next)
		}
		uses, err := store.KeyUses()
		if err != nil {
			t.Fatal(err)
		}
		for i, u := range uses {
			if u.Fingerprint == "" {
				t.Fatalf("after kill %d %d entries open with no key", kills, u.Rows+u.Kept)
			}
			if i > 1 && u.Rows > 0 {
				t.Fatalf("after kill %d rows lie under three keys: %+v", kills, uses)
			}
		}
		if len(uses) > 1 { // the change of keys that was cut short goes on
			if _, err := store.Rekey(); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(filepath.Join(dir, "key"))
			if err == nil {
				err = disk.WriteFile(filepath.Join(dir, "key"), []byte(secrets.SplitKeys(string(text))[0]+"\n"))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(reg.close(), store.Close()); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d operations, %d kills, %d of them in the middle of one", done, kills, inFlight)
	for _, db := range []string{"module_registry.db", "module_credentials.db", "opsdeck_secrets.db"} {
		if got := reader(t, filepath.Join(dir, db), `print(c.execute("pragma integrity_check").fetchone()[0])`); got != "ok" {
			t.Errorf("%s: %s", db, got)
		}
	}
}

// same reports whether the files hold the same; the number of keys is not in them.
func same(a, b kept) bool {
	a.Keys, b.Keys = 0, 0
	return reflect.DeepEqual(a, b)
}
