package adapter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// ErrForkServerGone says that the fork server ended, not an adapter.
var ErrForkServerGone = errors.New("the fork server of its adapter ended")

// startupTime bounds how long the fork server may take to import what adapters use.
const startupTime = 30 * time.Second

// answerTime bounds how long it may take to fork, which takes milliseconds.
const answerTime = 10 * time.Second

// forkServer is the interpreter that adapters are forked from: see forkserver.py. Both
// sides send one JSON object a packet.
type forkServer struct {
	python, tmp string
	cmd         *exec.Cmd
	conn        *net.UnixConn
	log         Log
	leaving     chan struct{} // closed when it is ending, before what it kept was ended
	gone        chan struct{} // closed when it ended
	wg          sync.WaitGroup

	mu   sync.Mutex
	next int64
	// children are the adapters that were asked for, by key, until they ended.
	children map[int64]*forked
}

// forked is an adapter that the fork server is the parent of.
type forked struct {
	k       *forkServer
	key     int64
	process int
	started chan error // gets whether it was
	over    chan exit  // gets how it ended
}

// serverMessage is what the fork server says.
type serverMessage struct {
	Op     string `json:"op"`
	Key    int64  `json:"key"`
	PID    int    `json:"pid"`
	Status int    `json:"status"`
	Error  string `json:"error"`
}

// startForkServer starts a fork server whose adapters' temporary folders lie below tmp, and
// waits until it is ready.
func startForkServer(ctx context.Context, sp *spawner, py Python, tmp string) (*forkServer, error) {
	conn, theirs, err := packets()
	if err != nil {
		return nil, err
	}
	in, out, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, conn.Close(), theirs.Close())
	}
	logIn, logOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, conn.Close(), theirs.Close(), in.Close(), out.Close())
	}
	k := &forkServer{python: py.Path, tmp: tmp, conn: conn, leaving: make(chan struct{}), gone: make(chan struct{}), children: map[int64]*forked{}}
	k.cmd = exec.Command(py.Path, "-c", bootstrap)
	k.cmd.ExtraFiles = []*os.File{in, theirs}
	// It outlives the engine by the moment in which it ends what it keeps.
	k.cmd.Dir, k.cmd.Env, k.cmd.SysProcAttr = "/", childEnv(tmp), &syscall.SysProcAttr{Setpgid: true}
	k.cmd.Stdout, k.cmd.Stderr = logOut, logOut
	err = sp.start(k.cmd)
	for _, f := range []*os.File{in, theirs, logOut} {
		_ = f.Close()
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close(), out.Close(), logIn.Close())
	}
	hello := make(chan struct{})
	k.wg.Go(func() {
		_, _ = out.Write(given(nil))
		_ = out.Close()
	})
	k.wg.Go(func() {
		copyLog(&k.log, logIn)
		_ = logIn.Close()
	})
	k.wg.Go(func() { k.listen(hello) })
	t := time.NewTimer(startupTime)
	defer t.Stop()
	select {
	case <-hello:
		return k, nil
	case <-k.gone:
		err = fmt.Errorf("the fork server did not start: %s", k.log.lastLine())
	case <-t.C:
		err = fmt.Errorf("the fork server did not start within %s", startupTime)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	k.close()
	return nil, err
}

// listen takes what the fork server says until it ends, and waits for it.
func (k *forkServer) listen(hello chan struct{}) {
	buf := make([]byte, 64<<10)
	for {
		n, err := k.conn.Read(buf)
		if err != nil || n == 0 {
			break
		}
		var m serverMessage
		if json.Unmarshal(buf[:n], &m) != nil {
			continue
		}
		k.mu.Lock()
		f := k.children[m.Key]
		if f != nil && (m.Op == "ended" || m.Op == "failed") {
			delete(k.children, m.Key)
		}
		k.mu.Unlock()
		switch {
		case m.Op == "hello" && hello != nil:
			close(hello)
			hello = nil
		case f == nil:
		case m.Op == "started":
			f.process = m.PID
			f.started <- nil
		case m.Op == "failed":
			f.started <- errors.New(m.Error)
		case m.Op == "ended":
			f.over <- exit{status: syscall.WaitStatus(m.Status)}
		}
	}
	close(k.leaving)
	_ = syscall.Kill(k.cmd.Process.Pid, syscall.SIGKILL)
	_ = k.cmd.Wait()
	killMarked(k.tmp) // its adapters went with it; this ends what they left behind
	close(k.gone)
	k.mu.Lock()
	left := k.children
	k.children = nil
	k.mu.Unlock()
	for _, f := range left {
		select {
		case f.started <- ErrForkServerGone:
		default:
		}
		f.over <- exit{lost: true, err: ErrForkServerGone}
	}
}

func (k *forkServer) alive() bool {
	select {
	case <-k.gone:
		return false
	default:
		return true
	}
}

// start forks an adapter.
func (k *forkServer) start(ctx context.Context, w spawn, files [3]*os.File) (process, error) {
	f := &forked{k: k, started: make(chan error, 1), over: make(chan exit, 1)}
	k.mu.Lock()
	if k.children == nil {
		k.mu.Unlock()
		return nil, ErrForkServerGone
	}
	k.next++
	f.key = k.next
	k.children[f.key] = f
	k.mu.Unlock()
	msg, err := json.Marshal(struct {
		Op  string `json:"op"`
		Key int64  `json:"key"`
		spawn
	}{"start", f.key, w})
	if err != nil {
		return nil, err
	}
	rights := syscall.UnixRights(int(files[0].Fd()), int(files[1].Fd()), int(files[2].Fd()))
	if _, _, err := k.conn.WriteMsgUnix(msg, rights, nil); err != nil {
		_ = k.conn.Close() // listen ends, and with it all that waits
	}
	stuck := time.NewTimer(answerTime)
	defer stuck.Stop()
	select {
	case err := <-f.started:
		if err != nil {
			return nil, err
		}
		return f, nil
	case <-stuck.C:
		_ = k.conn.Close() // listen ends, and with it the fork server: another takes its place
		return nil, fmt.Errorf("%w: it did not answer within %s", ErrForkServerGone, answerTime)
	case <-ctx.Done():
		k.wg.Go(func() { // it is on its way: whoever asked for it ends it
			if <-f.started == nil {
				f.end()
			}
		})
		return nil, context.Cause(ctx)
	}
}

// close ends the fork server and with it all that it keeps.
func (k *forkServer) close() {
	// Half a close: it says farewell to what it keeps, and then ends.
	_ = k.conn.CloseWrite()
	select {
	case <-k.gone:
	case <-time.After(2 * time.Second):
		_ = k.conn.Close()
	}
	k.wg.Wait()
	_ = k.conn.Close()
}

func (f *forked) pid() int   { return f.process }
func (f *forked) wait() exit { return <-f.over }

// lost reports whether the fork server is ending, and the adapter with it.
func (f *forked) lost() bool {
	select {
	case <-f.k.leaving:
		return true
	default:
		return false
	}
}

func (f *forked) end() {
	msg, _ := json.Marshal(map[string]any{"op": "end", "key": f.key})
	_, _ = f.k.conn.Write(msg)
}
