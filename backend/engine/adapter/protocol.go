package adapter

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// maxCapabilities bounds what an adapter says that it can do, in bytes.
const maxCapabilities = 64 << 10

// protocolVersion is that of doc.go.
const protocolVersion = 1

// message is one message to an adapter. Op comes first, for simple adapters.
type message struct {
	Op       string `json:"op"`
	ID       int64  `json:"id,omitempty"`
	Protocol int    `json:"protocol,omitempty"`
	*Configure
	*task
}

// task is a program of the engine's own that the shim runs in an adapter's place,
// under the same limits: its function main is given Given.
type task struct {
	Code  string `json:"code"`
	Given any    `json:"given"`
}

// Configure is what an adapter is told before its first fetch.
type Configure struct {
	Module      string         `json:"module"`
	Category    string         `json:"category"`
	Platform    string         `json:"platform"`
	Dir         string         `json:"dir"`
	Workspace   string         `json:"workspace"`
	EntryPoint  string         `json:"entry_point"`
	ClassName   string         `json:"class_name"`
	Shared      string         `json:"shared"`
	Credentials map[string]any `json:"credentials"`
	Settings    map[string]any `json:"settings"`
	Timeout     float64        `json:"timeout_seconds"`
	Rate        int            `json:"rate_limit_per_minute,omitempty"`
	Retries     *int           `json:"max_retries,omitempty"`
	RetryDelay  *float64       `json:"retry_delay_seconds,omitempty"`
}

// Reply is one message from an adapter.
type Reply struct {
	Op        string          `json:"op"`
	ID        int64           `json:"id"`
	Protocol  int             `json:"protocol"`
	Data      json.RawMessage `json:"data"`
	Metadata  json.RawMessage `json:"metadata"`
	RawCount  int             `json:"raw_count"`
	Errors    []string        `json:"errors"`
	Stage     string          `json:"stage"`
	Error     string          `json:"error"`
	Traceback string          `json:"traceback"`
	Missing   string          `json:"missing"`
	// Keeps says what would be lost with the process, "" for nothing.
	Keeps string `json:"keeps"`
	// Capabilities is what its get_capabilities() gave when it was loaded.
	Capabilities json.RawMessage `json:"capabilities"`
	// Cost is how long its loading took the processor, in seconds; 0 where not told.
	Cost float64 `json:"load_seconds"`
}

// Failure is why an adapter did not do what it was asked: one line, and all of it.
type Failure struct {
	// Stage is "start", "import", "fetch_raw", "transform", "result", "fetch",
	// "timeout", "memory", "limit", "idle" or "crash".
	Stage     string
	Text      string
	Traceback string
}

// StageIdle is that of a process which was ended for what it did between fetches.
const StageIdle = "idle"

// Error implements error.
func (f *Failure) Error() string { return f.Text }

// RunTask runs one of the engine's own Python programs in a process as adapters have it:
// under their limits, in dir, killed with its children. It returns what its main
// returned, and what was printed.
func (l *Launcher) RunTask(ctx context.Context, py Python, dir, code string, given any, lim Limits) (data json.RawMessage, printed string, err error) {
	r, err := l.Start(ctx, py, Spec{dir, "task.py", lim})
	if err != nil {
		return nil, "", err
	}
	defer func() {
		r.Stop(false)
		printed = r.stderr.String()
	}()
	if _, err := r.hear(ctx, func(m *Reply) bool { return m.Op == "hello" }); err != nil {
		return nil, "", err
	}
	if err := r.tell(ctx, message{Op: "run", task: &task{Code: code, Given: given}}); err != nil {
		return nil, "", r.broken(ctx, err)
	}
	got, err := r.hear(ctx, func(m *Reply) bool { return m.Op == "done" || m.Op == "error" })
	if err != nil {
		return nil, "", err
	}
	if got.Op == "error" {
		return nil, "", r.failed(got, "run")
	}
	return got.Data, "", nil
}

// tell sends one message.
func (r *Runner) tell(ctx context.Context, m message) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = r.in.SetWriteDeadline(time.Now()) })
	defer stop()
	_, err := r.in.Write(b.Bytes())
	return err
}

// hear waits for the next message that is wanted.
func (r *Runner) hear(ctx context.Context, want func(*Reply) bool) (*Reply, error) {
	if r.launcher.asked.Add(1) == 1 {
		r.launcher.look()
	}
	defer r.launcher.asked.Add(-1)
	for aside := 0; ; aside++ {
		if aside > maxAside {
			return nil, &Failure{Stage: "result", Text: fmt.Sprintf("its result was refused: it sent over %d messages that nobody asked for", maxAside)}
		}
		select {
		case l, ok := <-r.replies:
			if !ok {
				return nil, r.Crashed(ctx)
			}
			if l.err != nil {
				return nil, &Failure{Stage: "result", Text: "its result was refused: " + l.err.Error()}
			}
			var m Reply
			if err := json.Unmarshal(l.text, &m); err != nil || m.Op == "" {
				_, _ = r.stderr.Write(append(l.text[:min(len(l.text), 512)], '\n'))
				continue
			}
			if want(&m) {
				return &m, nil
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Configure waits for hello, sends what the adapter needs, waits for ready.
func (r *Runner) Configure(ctx context.Context, c *Configure) error {
	r.share.turn(r.pid(), true, r.launcher.ahead)
	hello, err := r.hear(ctx, func(m *Reply) bool { return m.Op == "hello" || m.Op == "error" })
	if err != nil {
		return err
	}
	if hello.Op == "error" {
		return r.failed(hello, "import")
	}
	if hello.Protocol > protocolVersion {
		return &Failure{Stage: "start", Text: fmt.Sprintf("its adapter speaks protocol %d; this engine speaks %d", hello.Protocol, protocolVersion)}
	}
	if c.Credentials == nil {
		c.Credentials = map[string]any{}
	}
	if c.Settings == nil {
		c.Settings = map[string]any{}
	}
	if err := r.tell(ctx, message{Op: "configure", Protocol: protocolVersion, Configure: c}); err != nil {
		return r.broken(ctx, err)
	}
	m, err := r.hear(ctx, func(m *Reply) bool { return m.Op == "ready" || m.Op == "error" })
	if err != nil {
		return err
	}
	if m.Op == "error" {
		return r.failed(m, "import")
	}
	if len(m.Capabilities) <= maxCapabilities && json.Unmarshal(m.Capabilities, &r.capability) != nil {
		r.capability = nil // it is no object
	}
	r.cost = time.Duration(max(0, min(m.Cost, 1e6)) * float64(time.Second))
	return nil
}

// Fetch asks for data and waits for it.
func (r *Runner) Fetch(ctx context.Context) (*Reply, error) {
	r.next++
	id := r.next
	r.share.turn(r.pid(), true, r.launcher.ahead)
	defer r.share.turn(r.pid(), false, r.launcher.ahead)
	if err := r.tell(ctx, message{Op: "fetch", ID: id}); err != nil {
		return nil, r.broken(ctx, err)
	}
	m, err := r.hear(ctx, func(m *Reply) bool { return (m.Op == "result" || m.Op == "error") && (m.ID == id || m.ID == 0) })
	if err != nil {
		return nil, err
	}
	if m.Op == "error" {
		return nil, r.failed(m, "fetch")
	}
	if len(m.Data) == 0 {
		m.Data = json.RawMessage("[]")
	}
	return m, nil
}

// overMemory returns the failure of an adapter that wanted too much.
func overMemory(l Limits, how string) *Failure {
	return &Failure{Stage: "memory", Text: fmt.Sprintf("its adapter went over its memory limit of %d MiB (%s)", l.Memory>>20, how)}
}

// failed returns the failure that an adapter tells of.
func (r *Runner) failed(m *Reply, stage string) error {
	if m.Stage == "memory" {
		f := overMemory(r.limits, m.Error)
		f.Traceback = m.Traceback
		return f
	}
	f := &Failure{Stage: m.Stage, Text: m.Error, Traceback: m.Traceback}
	if f.Stage == "" {
		f.Stage = stage
	}
	if f.Text == "" {
		f.Text = "its adapter reported an error without a reason"
	}
	if m.Missing != "" {
		f.Text += fmt.Sprintf("; install it for the interpreter that runs adapters: python3 -m pip install %s", m.Missing)
	}
	return f
}
