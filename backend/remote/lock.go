package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// Owner is the process that holds a workspace, and where it can be reached.
type Owner struct {
	PID     int       `json:"pid"`
	Socket  string    `json:"socket"`
	Started time.Time `json:"started"`
	User    string    `json:"user"`
	Version string    `json:"version"`
	// Serves says that it is a service, which is started again when it ends.
	Serves bool `json:"serves,omitempty"`
}

// ErrHeld means that another process holds the workspace.
var ErrHeld = errors.New("the workspace is held by another opsdeck")

// elsewhere is what to do about a data folder that cannot be used.
const elsewhere = "let this user write there, or name another folder as data: in opsdeck.yaml"

// Lock is a held workspace.
type Lock struct {
	fl   *flock.Flock
	path string
}

// Acquire locks the workspace whose data folder is dir, and writes owner into the lock
// file. Where another process holds it, it returns ErrHeld and that process' Owner. The
// system releases the lock when the process ends, however it does.
func Acquire(dir string, owner Owner) (*Lock, Owner, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, Owner{}, fmt.Errorf("workspace: create its data folder: %w: %s", err, elsewhere)
	}
	path := filepath.Join(dir, "opsdeck.lock")
	fl := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	ok, err := fl.TryLock()
	if err != nil {
		return nil, Owner{}, fmt.Errorf("workspace: lock its data folder: %w: %s", err, elsewhere)
	}
	if !ok {
		held, _ := ReadOwner(dir)
		return nil, held, ErrHeld
	}
	b, err := json.Marshal(owner)
	if err != nil {
		return nil, Owner{}, errors.Join(err, fl.Unlock())
	}
	// Written in place: a rename would leave others locking the file that was.
	if err := os.WriteFile(path, append(b, '\n'), 0o600); err != nil {
		return nil, Owner{}, errors.Join(fmt.Errorf("workspace: write %s: %w", path, err), fl.Unlock())
	}
	return &Lock{fl: fl, path: path}, owner, nil
}

// ReadOwner returns the process that wrote the lock file in dir last, whether it still
// holds the lock or not.
func ReadOwner(dir string) (Owner, error) {
	var o Owner
	b, err := os.ReadFile(filepath.Join(dir, "opsdeck.lock"))
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	return o, err
}

// Alive reports whether o is reachable: a process that was killed leaves its name
// in the lock file.
func (o Owner) Alive() bool {
	if o.Socket == "" {
		return false
	}
	c, err := net.DialTimeout("unix", o.Socket, 2*time.Second)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// Release unlocks the workspace.
func (l *Lock) Release() error {
	return errors.Join(os.Truncate(l.path, 0), l.fl.Unlock())
}

// SocketPath returns where the engine of the data folder dir listens: in it, or,
// where that path is too long for a socket's address, in the user's runtime
// folder.
func SocketPath(dir string) string {
	const longest = 100 // sun_path holds 104 bytes on macOS, 108 on Linux
	path := filepath.Join(dir, "opsdeck.sock")
	if len(path) <= longest {
		return path
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(dir))
	return filepath.Join(runtimeDir(), fmt.Sprintf("opsdeck-%016x.sock", h.Sum64()))
}

// runtimeDir returns the user's folder for sockets whose own would be too long a path.
func runtimeDir() string {
	if run := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(run) && len(run) <= 60 {
		return run
	}
	return fmt.Sprintf("/tmp/opsdeck-%d", os.Getuid())
}

// Listen listens at a path of [SocketPath], for this user alone. What lies there
// is removed: only the holder of the workspace's lock may call it.
func Listen(path string) (net.Listener, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the socket's folder: %w", err)
	}
	if dir == runtimeDir() { // in /tmp, anybody could have made it before us
		if err := private(dir); err != nil {
			return nil, err
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the old socket: %w", err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for other consoles on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("guard the socket: %w", err), ln.Close())
	}
	return ln, nil
}

// private returns an error for a folder of another user, or one that others may write
// to: they could replace the socket with their own, and be sent credentials.
func private(dir string) error {
	st, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("the socket's folder: %w", err)
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !st.IsDir() || ok && int(sys.Uid) != os.Getuid() || st.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("the folder %s is not this user's alone: remove it, or set XDG_RUNTIME_DIR to one that is", dir)
	}
	return nil
}
