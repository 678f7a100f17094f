package docker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/opsdeck/opsdeck/backend/policy"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Labels in which compose records from what it made a project.
const (
	dirLabel   = "com.docker.compose.project.working_dir"
	filesLabel = "com.docker.compose.project.config_files"
	envLabel   = "com.docker.compose.project.environment_file"
)

const (
	// composeLines is how many of the last lines of compose go into an error.
	composeLines = 6
	// composeGrace is how long compose may take to end after it was told to.
	composeGrace = 10 * time.Second
	// maxLine bounds a line of compose's, in bytes.
	maxLine = 4 << 10
)

// composer is how compose is run: "docker compose" or "docker-compose".
type composer struct {
	command []string
	version string // "docker compose 2.29.1"
	// plain are the flags that keep it from drawing.
	plain []string
}

var composeVersion = regexp.MustCompile(`\d+\.\d+(?:\.\d+)?`)

// findCompose returns the compose that is installed: docker's plugin first, since that
// is maintained.
func findCompose(ctx context.Context) (composer, error) {
	var looked []string
	for _, command := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		name := strings.Join(command, " ")
		looked = append(looked, name)
		path, err := exec.LookPath(command[0])
		if err != nil {
			continue
		}
		c, cancel := context.WithTimeout(ctx, callTimeout)
		cmd := exec.CommandContext(c, path, append(slices.Clone(command[1:]), "version", "--short")...)
		cmd.Env, cmd.WaitDelay = composeEnv(endpoint{}), time.Second
		out, err := cmd.Output()
		cancel()
		v := composeVersion.FindString(string(out))
		if err != nil || v == "" {
			continue
		}
		found := composer{command: append([]string{path}, command[1:]...), version: name + " " + v, plain: []string{"--ansi", "never"}}
		if major, minor := numbers(v); major == 1 && minor < 28 {
			found.plain = []string{"--no-ansi"}
		}
		return found, nil
	}
	return composer{}, fmt.Errorf("neither %s is installed: install docker's compose plugin, or docker-compose", strings.Join(looked, " nor "))
}

func numbers(version string) (major, minor int) {
	a, rest, _ := strings.Cut(version, ".")
	b, _, _ := strings.Cut(rest, ".")
	major, _ = strconv.Atoi(a)
	minor, _ = strconv.Atoi(b)
	return major, minor
}

// composeEnv returns the environment of a compose command: this program's, but for what
// is its own, and the engine that this source has.
func composeEnv(e endpoint) []string {
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "COMPOSE_ENV_FILES", "COMPOSE_PROJECT_DIRECTORY", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY":
			continue // they mean another project, or another engine
		}
		if strings.HasPrefix(name, "OPSDECK_") || strings.HasPrefix(name, "MODULE_ENCRYPTION_KEY") {
			continue
		}
		env = append(env, v)
	}
	env = append(env, "COMPOSE_PROGRESS=plain", "COMPOSE_STATUS_STDOUT=1", "COMPOSE_INTERACTIVE_NO_CLI=1")
	if e.host != "" {
		env = append(env, "DOCKER_HOST="+e.host)
	}
	if e.ca != "" {
		env = append(env, "DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH="+filepath.Dir(e.ca))
	}
	return env
}

// projects returns the compose projects of containers, each with what compose needs,
// and why it cannot be had. local says that the containers' files are of this host.
func projects(cs []state.Container, local bool) map[string]state.Project {
	out := map[string]state.Project{}
	for i := range cs {
		c := &cs[i]
		if c.Project == "" {
			continue
		}
		if p, ok := out[c.Project]; ok && p.Err == "" {
			continue
		}
		out[c.Project] = projectOf(c.Labels, local)
	}
	return out
}

func projectOf(labels map[string]string, local bool) state.Project {
	p := state.Project{Dir: labels[dirLabel]}
	absolute := func(list string) (out []string) {
		for _, f := range strings.Split(list, ",") {
			if f = strings.TrimSpace(f); f == "" {
				continue
			}
			if !filepath.IsAbs(f) { // as docker-compose 1 has it
				f = filepath.Join(p.Dir, f)
			}
			out = append(out, f)
		}
		return out
	}
	if p.Dir != "" {
		p.Files, p.Env = absolute(labels[filesLabel]), absolute(labels[envLabel])
	}
	switch {
	case !local:
		p.Err = "the engine is on another host, and so are its compose files"
	case p.Dir == "" || len(p.Files) == 0 || !filepath.IsAbs(p.Dir):
		p.Err = "its containers do not say from which compose files they were made"
	default:
		if st, err := os.Stat(p.Dir); err != nil || !st.IsDir() {
			p.Err = "its folder is gone: " + p.Dir
			break
		}
		for _, f := range append(slices.Clone(p.Files), p.Env...) {
			if st, err := os.Stat(f); err != nil || !st.Mode().IsRegular() {
				p.Err = "its compose file is gone: " + f
				break
			}
		}
	}
	return p
}

// compose runs compose for one service, or for a whole project.
func (s *Source) compose(ctx context.Context, a state.Action, progress func(string, float64)) (state.Outcome, error) {
	spec := state.SpecOf(a.Kind)
	fail := func(err error) (state.Outcome, error) {
		return state.Outcome{}, fmt.Errorf("docker: %s %s: %w", spec.Verb, state.Clean(a.Target), err)
	}
	project, service, ok := strings.Cut(a.Target, "/")
	if !ok {
		return fail(errors.New("the target is no project/service"))
	}
	list := state.Containers{List: s.Containers()}
	all := list.Replicas(project + "/*")
	if len(all) == 0 {
		return fail(errors.New("its last container is gone, and with it the place of its compose files: run compose there"))
	}
	e, err := s.cfg.resolve()
	if err != nil {
		return fail(err)
	}
	p := projectOf(all[0].Labels, e.local() != "")
	for _, c := range all[1:] {
		if p.Err != "" {
			p = projectOf(c.Labels, e.local() != "")
		}
	}
	if p.Err != "" {
		return fail(errors.New(p.Err))
	}
	how, err := findCompose(ctx)
	if err != nil {
		return fail(err)
	}
	args, undo, err := composeArgs(a, service, len(list.Replicas(a.Target)))
	if err != nil {
		return fail(err)
	}
	full := slices.Concat(how.command[1:], how.plain, []string{"-p", project, "--project-directory", p.Dir})
	for _, f := range p.Files {
		full = append(full, "-f", f)
	}
	for _, f := range p.Env {
		full = append(full, "--env-file", f)
	}
	start := time.Now()
	progress("running "+how.version, -1)
	last, err := runGroup(ctx, how.command[0], append(full, args...), p.Dir, composeEnv(e), func(line string) { progress(line, -1) })
	if err != nil {
		if ctx.Err() != nil {
			cause := ctx.Err()
			if errors.Is(context.Cause(ctx), ErrLost) {
				cause = ErrLost
			}
			return fail(fmt.Errorf("%w: compose was stopped; what it had done until then stays", cause))
		}
		return fail(fmt.Errorf("%s: %w: %s", how.version, err, state.Clean(s.cfg.Mask(strings.Join(last, " | ")))))
	}
	text := fmt.Sprintf("%s %s in %s", spec.Past, a.Target, time.Since(start).Round(100*time.Millisecond))
	if a.Kind == state.ComposeScale {
		text = fmt.Sprintf("%s %s to %s in %s", spec.Past, a.Target, a.Args["replicas"], time.Since(start).Round(100*time.Millisecond))
	}
	return state.Outcome{Result: text, Undo: undo}, nil
}

// composeArgs returns compose's for an action; now is how many containers the service
// has.
func composeArgs(a state.Action, service string, now int) (args []string, undo *state.Action, err error) {
	switch a.Kind {
	case state.ComposeUp:
		args = []string{"up", "-d"}
	case state.ComposeScale:
		n, err := strconv.Atoi(a.Args["replicas"])
		if err != nil || n < 0 || n > state.MostScale {
			return nil, nil, fmt.Errorf("%q is not a number of containers from 0 to %d", a.Args["replicas"], state.MostScale)
		}
		if n != now && n > 0 { // at 0 the last container takes its labels with it
			undo = &state.Action{Kind: state.ComposeScale, Target: a.Target, Args: map[string]string{"replicas": strconv.Itoa(now)}}
		}
		args = []string{"up", "-d", "--no-deps", "--no-recreate", "--scale", service + "=" + strconv.Itoa(n)}
	case state.ComposeRecreate:
		args = []string{"up", "-d", "--no-deps", "--force-recreate"}
	case state.ComposePull:
		args = []string{"pull"}
	case state.ComposeBuild:
		args = []string{"build"}
	case state.ComposeRebuild:
		args = []string{"up", "-d", "--no-deps", "--build"}
	case state.ComposeDown:
		args = []string{"down"}
		too, err := policy.ParseYes(a.Args["volumes"])
		if err != nil {
			return nil, nil, fmt.Errorf("volumes: %w", err)
		}
		if too {
			args = append(args, "--volumes")
		}
		return args, nil, nil
	default:
		return nil, nil, fmt.Errorf("%s is not an action of compose", a.Kind)
	}
	if service != "*" {
		args = append(args, service)
	} else {
		args = slices.DeleteFunc(args, func(s string) bool { return s == "--no-deps" })
	}
	return args, undo, nil
}

// ansiSequence matches the sequences by which a program draws on a terminal.
var ansiSequence = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)

// runGroup runs a program in a process group of its own, gives its lines to each,
// and returns the last ones. When ctx ends the whole group is asked to end, and
// killed where it does not; none of it outlives the call.
func runGroup(ctx context.Context, path string, args []string, dir string, env []string, each func(string)) (last []string, err error) {
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = dir, env, &syscall.SysProcAttr{Setpgid: true}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		return nil, err
	}
	group := -cmd.Process.Pid
	var wg sync.WaitGroup
	wg.Go(func() {
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 0, maxLine), maxLine)
		lines.Split(splitRedrawn)
		for lines.Scan() {
			line := strings.TrimSpace(state.Clean(ansiSequence.ReplaceAllString(lines.Text(), "")))
			if line == "" {
				continue
			}
			each(line)
			if last = append(last, line); len(last) > composeLines {
				last = last[1:]
			}
		}
		_, _ = io.Copy(io.Discard, r)
	})
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = syscall.Kill(group, syscall.SIGTERM)
		select {
		case err = <-ended:
		case <-time.After(composeGrace):
			_ = syscall.Kill(group, syscall.SIGKILL)
			err = <-ended
		}
		err = errors.Join(ctx.Err(), err)
	}
	_ = syscall.Kill(group, syscall.SIGKILL) // what it left behind would hold the pipe
	wg.Wait()
	return last, err
}

// splitRedrawn splits at line ends, and at the carriage returns with which progress
// is drawn over itself; a line that is too long is cut.
func splitRedrawn(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexAny(data, "\r\n"); i >= 0 {
		return i + 1, data[:i], nil
	}
	if len(data) >= maxLine || atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}
