package main

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// What is promised of an engine that fails: how soon it shows, and how soon after it is
// back the pane has it again. One that is frozen, or whose link is cut, is known by a
// ping without an answer.
const (
	lossShows, silenceShows   = 2.0, 11.0 // seconds
	nearRecovers, farRecovers = 7.0, 20.0 // seconds; backing off, and ssh's connecting
	lostActionEnds            = 26.0      // seconds
	enginePatience            = 40 * time.Second
	growthMemory              = 5.0 // MiB over 200 cycles
	growthCount               = 4.0 // threads, descriptors over 200 cycles
)

// measureEngines breaks container engines of its own under a running console: they are
// restarted, killed and frozen, one behind SSH in a network namespace is cut off, and a
// container is removed while a shell is open in it. Then it does so again and again,
// and looks for what grows.
func measureEngines(l *lab) error {
	e, err := l.engines()
	if err != nil {
		return err
	}
	defer e.close()
	if err := l.withRedis(); err != nil {
		return err
	}
	if err := l.withContainers(2); err != nil {
		return err
	}
	extra := fmt.Sprintf("docker:\n  hosts:\n    - {name: home, host: unix:///var/run/docker.sock}\n    - {name: near, host: unix://%s}\n    - {name: far, host: ssh://far%s}\n", e.near.socket(), e.far.socket())
	s, w, err := l.engineConsole("engines", extra)
	if err != nil {
		return err
	}
	defer s.close()
	kw, err := l.newWorkspace("engines-keys", extra)
	if err != nil {
		return err
	}
	t, err := l.terminal(l.bin, "--workspace", kw.dir, "--listen", "off")
	if err != nil {
		return err
	}
	defer t.close()
	if _, err := t.await("┏", 20*time.Second); err != nil {
		return err
	}
	t.drain(3 * time.Second)
	if _, err := t.key("2"); err != nil { // pressUntil begins with the other
		return err
	}
	t.drain(time.Second)

	faults := []engineFault{
		{"an engine is restarted (SIGTERM, start)", "near", func() error { return either(e.near.signal(syscall.SIGTERM), e.near.ended()) }, e.near.start, lossShows, nearRecovers},
		{"an engine is killed (SIGKILL, start)", "near", func() error { return either(e.near.signal(syscall.SIGKILL), e.near.ended()) }, e.near.start, lossShows, nearRecovers},
		{"an engine is frozen (SIGSTOP, SIGCONT)", "near", func() error { return e.near.signal(syscall.SIGSTOP) }, func() error { return e.near.signal(syscall.SIGCONT) }, silenceShows, nearRecovers},
		{"a host behind SSH is cut off and back", "far", func() error { return e.link("down") }, func() error { return e.link("up") }, silenceShows, farRecovers},
	}
	stop := make(chan struct{})
	time.AfterFunc(10*time.Second, func() { close(stop) })
	took, err := t.pressUntil(stop)
	if err != nil {
		return err
	}
	l.note("engines: nothing is broken: key to frame, median, p99 and max, of", keyFigures(took))
	for _, f := range faults {
		if l.ctx.Err() != nil {
			return l.ctx.Err()
		}
		if err := l.breakEngine(s, t, w, f); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if err := l.removedUnderShell(s, e, true); err != nil {
		return err
	}
	return l.engineCycles(s, e, faults, extra)
}

// engineConsole returns a console on the containers, which shows those of every host.
func (l *lab) engineConsole(name, extra string) (*screen, *workspace, error) {
	w, err := l.newWorkspace(name, extra)
	if err != nil {
		return nil, nil, err
	}
	s, err := l.show(l.bin, "--workspace", w.dir, "--listen", "off", "--pane", "containers")
	if err != nil {
		return nil, nil, err
	}
	if err := s.start(); err != nil {
		s.close()
		return nil, nil, err
	}
	_, err = s.shows(time.Now(), enginePatience, `Containers +\d+ of \d+ running · 3 hosts`)
	for _, name := range []string{"near-1", "far-1", l.container(0)} {
		if err == nil {
			err = s.only(name)
		}
	}
	if err = either(err, s.all()); err != nil {
		s.close()
		return nil, nil, err
	}
	return s, w, nil
}

// engineFault breaks one engine and mends it. shown and back are seconds.
type engineFault struct {
	name, host    string
	broke, mended func() error
	shown, back   float64
}

// stale returns the line that says that a host does not answer, with the age of its figures
// and the reason.
func (f engineFault) stale() string { return `stale (now|\d+\S*): host ` + f.host + ` +\S+` }

// silent says that the engine's connections stay open.
func (f engineFault) silent() bool { return f.shown == silenceShows }

// breakEngine breaks an engine and mends it, with keys pressed all the while.
func (l *lab) breakEngine(s *screen, t *terminal, w *workspace, f engineFault) error {
	what := "engines: " + f.name + ": "
	var took []time.Duration
	var kerr error
	stop := make(chan struct{})
	var wg sync.WaitGroup
	end := sync.OnceFunc(func() { close(stop); wg.Wait() })
	defer end()
	wg.Go(func() { took, kerr = t.pressUntil(stop) })
	if err := f.broke(); err != nil {
		return err
	}
	at := time.Now() // a daemon that is asked to end serves for some seconds more
	type outcome struct {
		took time.Duration
		err  error
	}
	acted := make(chan outcome, 1)
	if f.silent() {
		go func() {
			_, err := command(l.bin, "containers", "restart", f.host+"-1", "--workspace", w.dir)
			acted <- outcome{time.Since(at), err}
		}()
	}
	shown, err := s.shows(at, enginePatience, f.stale())
	if err != nil {
		_ = f.mended()
		return err
	}
	l.below(what+"shows with age and reason after", shown.Seconds(), f.shown, "s")
	lines := regexp.MustCompile(`.*: host ` + f.host + `.*(\n.*)?`).FindString(s.text()) // why stands beside it or below
	l.note(what+"says", strings.Join(strings.FieldsFunc(lines, func(r rune) bool { return strings.ContainsRune("│┃ \n", r) }), " "))
	// What is not broken goes on: the detail of a container of another host.
	took1, err := s.detail(l.container(0), `"Id": `)
	if err != nil {
		_ = f.mended()
		return err
	}
	l.below(what+"inspect of a container of another host", float64(took1.Milliseconds()), 1000, "ms")
	if f.silent() {
		o := <-acted
		l.below(what+"an action under way ends after", o.took.Seconds(), lostActionEnds, "s")
		l.holds(what+"and says", o.err != nil && strings.Contains(o.err.Error(), "Not known: "), strings.ReplaceAll(fmt.Sprint(o.err), "\n", " "), "what is known and what not")
	} else {
		time.Sleep(2 * time.Second)
	}
	at = time.Now()
	if err := f.mended(); err != nil {
		return err
	}
	back, err := s.gone(at, 2*enginePatience, f.stale())
	if err != nil {
		return err
	}
	l.below(what+"is there again after", back.Seconds(), f.back, "s")
	end()
	if kerr != nil {
		return kerr
	}
	l.note(what+"key to frame, median, p99 and max, of", keyFigures(took))
	l.below(what+"key to frame, p99", quantile(took, .99), 30, "ms")
	return nil
}

func keyFigures(took []time.Duration) string {
	return fmt.Sprintf("%s, %s, %s ms, %d", number(quantile(took, .5)), number(quantile(took, .99)), number(quantile(took, 1)), len(took))
}

// pressUntil moves the focus from the second pane to the first and back, as the part
// keys does, until stop is closed.
func (t *terminal) pressUntil(stop <-chan struct{}) (took []time.Duration, err error) {
	for i := 0; ; i++ {
		if i%2 == 0 { // so that the focus is where it was
			select {
			case <-stop:
				return took, nil
			default:
			}
		}
		at, err := t.key(strconv.Itoa(1 + i%2))
		if err != nil {
			return took, err
		}
		drawn, err := t.await("┏", 10*time.Second)
		if err != nil {
			return took, fmt.Errorf("key %d: %w", i, err)
		}
		took = append(took, drawn.Sub(at))
		t.drain(30*time.Millisecond + rand.N(40*time.Millisecond))
	}
}

// shows waits until the screen matches all of what; gone until it does not match what.
// Unlike until they look seldom, so as to leave the processor to what is measured.
func (s *screen) shows(from time.Time, limit time.Duration, what ...string) (time.Duration, error) {
	return s.look(from, limit, func(text string) string {
		for _, w := range what {
			if !regexp.MustCompile(w).MatchString(text) {
				return fmt.Sprintf("%q does not show", w)
			}
		}
		return ""
	})
}

func (s *screen) gone(from time.Time, limit time.Duration, what string) (time.Duration, error) {
	return s.look(from, limit, func(text string) string {
		if regexp.MustCompile(what).MatchString(text) || strings.TrimSpace(text) == "" {
			return fmt.Sprintf("%q still shows", what)
		}
		return ""
	})
}

func (s *screen) look(from time.Time, limit time.Duration, lacks func(string) string) (time.Duration, error) {
	for {
		text := s.text()
		took := time.Since(from)
		why := lacks(text)
		switch {
		case why == "":
			return took, nil
		case !s.alive():
			stderr, _ := os.ReadFile(s.file("stderr"))
			return took, fmt.Errorf("the console has ended: %s", stderr)
		case took > limit:
			_ = os.WriteFile(s.file("missing.txt"), []byte(why+"\n"+text), 0o600)
			return took, fmt.Errorf("%s after %s", why, limit)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// only has the list show the containers of that name alone.
func (s *screen) only(name string) error {
	s.keys("/", "C-u")
	s.keys("-l", name)
	s.keys("Enter")
	_, err := s.shows(time.Now(), enginePatience, `filter `+name, `▸ . running +`+name+` .*(home|near|far)`)
	return err
}

// all has it show all of them again.
func (s *screen) all() error {
	s.keys("/", "C-u", "Enter")
	_, err := s.shows(time.Now(), enginePatience, `Containers +\d+ of \d+ running`, `▸ `)
	return err
}

// detail opens the tab inspect of a container and closes it again; it says how long
// that took to show what.
func (s *screen) detail(name, what string) (time.Duration, error) {
	if err := s.only(name); err != nil {
		return 0, err
	}
	s.keys("Enter")
	if _, err := s.shows(time.Now(), enginePatience, `\[Overview\]`); err != nil {
		return 0, err
	}
	at := time.Now()
	s.keys("]", "]", "]", "]")
	took, err := s.shows(at, enginePatience, what)
	s.keys("[", "[", "[", "[", "q")
	return took, errors.Join(err, s.all())
}

// removedUnderShell removes a container while a shell is open in it.
func (l *lab) removedUnderShell(s *screen, e *engines, tell bool) error {
	const name, what = "victim", "engines: a container is removed while its shell is open: "
	if err := e.near.run(name); err != nil {
		return err
	}
	if err := s.only(name); err != nil {
		return err
	}
	before, err := s.modes()
	if err != nil {
		return err
	}
	at := time.Now()
	s.keys("!")
	opened, err := s.gone(at, enginePatience, `Containers`)
	if err == nil {
		opened, err = s.shows(at, enginePatience, `(?m)^/ # *\n*\z`)
	}
	if err != nil {
		return err
	}
	e.shells++ // what an earlier shell said is still there
	s.keys("-l", fmt.Sprintf("echo $((%d*7))", 1000+e.shells))
	s.keys("Enter")
	if _, err := s.shows(time.Now(), enginePatience, fmt.Sprintf(`(?m)^%d$`, 7*(1000+e.shells))); err != nil {
		return err
	}
	at = time.Now()
	if _, err := e.near.docker("rm", "-f", name); err != nil {
		return err
	}
	said := ""
	back, err := s.look(at, enginePatience, func(text string) string {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		if last := lines[len(lines)-1]; !strings.Contains(text, "Containers") || strings.Contains(last, "/ #") {
			return "the console is not back"
		} else if said = last; !strings.Contains(last, "docker: ") {
			return "the reason does not show"
		}
		return ""
	})
	if err != nil {
		return err
	}
	if !strings.Contains(said, "ended, or was removed") {
		return fmt.Errorf("the console says only: %s", said)
	}
	after, err := s.modes()
	if err != nil {
		return err
	}
	if err := s.all(); err != nil {
		return fmt.Errorf("the console does not take keys again: %w", err)
	}
	if after != before {
		return fmt.Errorf("the terminal's modes were %s before the shell and are %s after it", before, after)
	}
	if tell {
		l.note(what+"the shell opens after", number(opened.Seconds())+" s")
		l.below(what+"the console is back with the reason after", back.Seconds(), 2, "s")
		l.holds(what+"the terminal's modes", true, "as before", "as before")
	}
	return nil
}

// modes returns those of the terminal: the line discipline's, and what tmux knows.
func (s *screen) modes() (string, error) {
	out, err := s.tmux("display-message", "-p", "-t", "m", "#{pane_tty} #{alternate_on} #{cursor_flag} #{keypad_flag} #{keypad_cursor_flag} #{mouse_any_flag} #{insert_flag} #{wrap_flag}")
	if err != nil {
		return "", err
	}
	tty, _, _ := strings.Cut(out, " ")
	line, err := command("stty", "-g", "-F", tty)
	return strings.TrimSpace(out) + " " + line, err
}

// engineCycles breaks and mends again and again, and looks for what grows. Memory also
// grows where nothing breaks, until the metrics' store and the time cursor are full: what
// counts is what it grows more than that of a console beside it that knows no such engine.
func (l *lab) engineCycles(s *screen, e *engines, faults []engineFault, extra string) error {
	// Those that are known at once are had more often than those that take their time.
	mix := []int{1, 0, 4, 1, 2, 0, 1, 4, 0, 3}
	w, err := l.newWorkspace("engines-calm", "")
	if err != nil {
		return err
	}
	calm, err := l.show(l.bin, "--workspace", w.dir, "--listen", "off", "--pane", "containers")
	if err != nil {
		return err
	}
	defer calm.close()
	if err := calm.start(); err != nil {
		return err
	}
	var at, rss, calmRSS, more, threads, fds []float64
	var first, last map[string]int
	var worst time.Duration
	for i := range l.cycles {
		if l.ctx.Err() != nil {
			return l.ctx.Err()
		}
		kind := mix[i%len(mix)]
		if kind == len(faults) {
			if err := l.removedUnderShell(s, e, false); err != nil {
				return fmt.Errorf("cycle %d: %w", i, err)
			}
		} else {
			f := faults[kind]
			if err := f.broke(); err != nil {
				return fmt.Errorf("cycle %d: %w", i, err)
			}
			_, err := s.shows(time.Now(), enginePatience, f.stale())
			began := time.Now()
			if merr := f.mended(); merr != nil || err != nil {
				return fmt.Errorf("cycle %d, %s: %w", i, f.name, errors.Join(err, merr))
			}
			back, err := s.gone(began, 2*enginePatience, f.stale())
			if err != nil {
				return fmt.Errorf("cycle %d, %s: %w", i, f.name, err)
			}
			worst = max(worst, back)
		}
		if i < l.cycles/4 {
			continue // caches fill
		}
		time.Sleep(time.Second) // what was given up is closed
		at, rss, threads = append(at, float64(i)), append(rss, memory(s.pid, "VmRSS")), append(threads, memory(s.pid, "Threads")*1024)
		calmRSS = append(calmRSS, memory(calm.pid, "VmRSS"))
		more = append(more, rss[len(rss)-1]-calmRSS[len(calmRSS)-1])
		if last = e.descriptors(s.pid); first == nil {
			first = last
		}
		open := 0
		for _, n := range last {
			open += n
		}
		fds = append(fds, float64(open))
		if i%10 == 9 {
			fmt.Fprintf(os.Stderr, "measure: engines: %d of %d cycles, %d open, %s MiB\n", i+1, l.cycles, open, number(rss[len(rss)-1]))
		}
	}
	if l.cycles == 0 {
		return nil
	}
	const what = "engines: over and over: "
	l.note(what+"cycles, slowest recovery", fmt.Sprintf("%d, %s s", l.cycles, number(worst.Seconds())))
	for _, kind := range slices.Sorted(maps.Keys(last)) {
		l.note(what+"open at first and at last: "+kind, fmt.Sprintf("%d, %d", first[kind], last[kind]))
	}
	for _, c := range []struct {
		what string
		ys   []float64
	}{{"memory", rss}, {"memory of a console that is left alone", calmRSS}} {
		per, _ := slope(at, c.ys)
		l.note(what+c.what, fmt.Sprintf("%s to %s MiB, %s MiB in 200 cycles", number(quantileOf(c.ys, 0)), number(quantileOf(c.ys, 1)), number(per*200)))
	}
	for _, c := range []struct {
		what, unit string
		ys         []float64
		most       float64
	}{{"memory, beyond that of a console that is left alone,", "MiB", more, growthMemory}, {"open descriptors", "", fds, growthCount}, {"threads", "", threads, growthCount}} {
		per, err := slope(at, c.ys)
		l.below(fmt.Sprintf("%sgrowth of %s in 200 cycles (standard error %s)", what, c.what, number(err*200)), per*200, c.most, c.unit)
	}
	// The goroutines of a console that has just begun, beside those of this one.
	fresh, _, err := l.engineConsole("engines-fresh", extra)
	if err != nil {
		return err
	}
	defer fresh.close()
	time.Sleep(5 * time.Second)
	young, err := fresh.goroutines()
	if err != nil {
		return err
	}
	old, err := s.goroutines()
	if err != nil {
		return err
	}
	l.holds(what+"goroutines, beside those of a console that has just begun", old <= young+3, fmt.Sprintf("%d, %d", old, young), "no more")
	return nil
}

// descriptors counts what a process has open, by kind, but for the figures of
// containers other than the first of the near engine: on this host they come and go.
func (e *engines) descriptors(pid int) map[string]int {
	id, _ := e.near.docker("inspect", "-f", "{{.Id}}", "near-1")
	kinds := map[string]int{}
	for kind, n := range descriptors(pid) {
		switch {
		case strings.HasPrefix(kind, "/sys/fs/cgroup") && id != "" && strings.HasSuffix(kind, id):
			kinds["figures of near-1"] += n
		case strings.HasPrefix(kind, "/sys/fs/cgroup"), strings.HasPrefix(kind, "/proc"):
		default:
			kinds[kind] += n
		}
	}
	return kinds
}

// goroutines ends the program with the dump that Go gives for SIGQUIT, and counts.
func (s *screen) goroutines() (int, error) {
	if err := syscall.Kill(s.pid, syscall.SIGQUIT); err != nil {
		return 0, err
	}
	for end := time.Now().Add(10 * time.Second); s.alive(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return 0, errors.New("SIGQUIT does not end the console")
		}
	}
	dump, err := os.ReadFile(s.file("stderr"))
	n := len(regexp.MustCompile(`(?m)^goroutine \d+`).FindAll(dump, -1))
	if err == nil && n == 0 {
		err = errors.New("there is no dump of the console's goroutines")
	}
	return n, err
}
