package journal

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

const (
	// recent is how many entries are kept in memory.
	recent = 200
	// tailBytes is how much of the file's end is read at Open, to find the last
	// hash and the actions that never ended.
	tailBytes    = 512 << 10
	reserveBytes = 64 << 10
)

// Journal is an open journal file.
type Journal struct {
	path string

	mu          sync.Mutex
	f           *os.File
	seq         uint64
	hash        string
	size        int64
	entries     []state.Entry // oldest first
	interrupted []state.Entry
	broken      string
	spent       bool // the reserve was removed, or could not be made
}

// Open opens or creates the journal at path, repairs a torn end, and appends an
// "interrupted" entry for every action that was begun and never ended.
func Open(path string) (*Journal, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("journal: create its folder: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: open: %w", err)
	}
	j := &Journal{path: path, f: f}
	if err := j.load(); err != nil {
		f.Close()
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	j.keepReserve()
	return j, nil
}

// load reads the end of the file.
func (j *Journal) load() error {
	size, err := j.f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	var buf []byte
	var from int64
	for tail := int64(tailBytes); ; tail *= 4 {
		from = max(0, size-tail)
		buf = make([]byte, size-from)
		if _, err := j.f.ReadAt(buf, from); err != nil && err != io.EOF {
			return err
		}
		if from == 0 {
			break
		}
		// An entry may be larger than the tail: read until one is whole.
		if _, whole, ok := bytes.Cut(buf, []byte{'\n'}); ok && bytes.IndexByte(whole, '\n') >= 0 {
			buf = whole
			break
		}
	}
	torn := len(buf) - 1 - bytes.LastIndexByte(buf, '\n')
	if torn > 0 {
		if err := j.f.Truncate(size - int64(torn)); err != nil {
			return fmt.Errorf("cut off a torn line: %w", err)
		}
		buf, size = buf[:len(buf)-torn], size-int64(torn)
	}
	j.size = size
	open := map[state.ActionID]state.Entry{}
	var order []state.ActionID
	prev := ""
	for line := range bytes.Lines(buf) {
		var e state.Entry
		if err := json.Unmarshal(line, &e); err != nil {
			j.broken = fmt.Sprintf("an entry after number %d cannot be read: %v", j.seq, err)
			continue
		}
		if why := check(e, prev, j.seq, prev == "" && from > 0); why != "" && j.broken == "" {
			j.broken = why
		}
		j.seq, j.hash, prev = e.Seq, e.Hash, e.Hash
		j.remember(e)
		switch e.Phase {
		case state.PhaseBegin:
			open[e.Action] = e
			order = append(order, e.Action)
		case state.PhaseEnd, state.PhaseInterrupted:
			delete(open, e.Action)
		}
	}
	if torn > 0 {
		if err := j.append(state.Entry{Phase: state.PhaseInterrupted, Kind: "journal.repair", Actor: state.Actor{Via: "engine"},
			Outcome: "interrupted", Detail: fmt.Sprintf("cut off %d bytes of a line that was never finished", torn)}); err != nil {
			return err
		}
	}
	for _, id := range order {
		e, ok := open[id]
		if !ok {
			continue
		}
		delete(open, id)
		j.interrupted = append(j.interrupted, e)
		e.Phase, e.Outcome, e.Detail = state.PhaseInterrupted, "interrupted", "opsdeck stopped before it was done"
		if err := j.append(e); err != nil {
			return err
		}
	}
	return nil
}

// Interrupted returns the actions that the last engine began and never ended.
func (j *Journal) Interrupted() []state.Entry { return j.interrupted }

// Append writes e after the last entry, with its number, time and hashes, and
// returns once it is on the disk.
func (j *Journal) Append(e state.Entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.append(e)
}

func (j *Journal) append(e state.Entry) error {
	if j.f == nil {
		return os.ErrClosed
	}
	e.Seq, e.Prev, e.Hash = j.seq+1, j.hash, ""
	e.At = time.Now().UTC()
	e.Hash = sum(e)
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	err = j.write(line)
	if errors.Is(err, syscall.ENOSPC) && os.Remove(j.reserve()) == nil {
		j.spent = true
		err = j.write(line)
	} else if err == nil && j.spent {
		j.keepReserve()
	}
	if err != nil {
		return fmt.Errorf("journal: write %s: %w", j.path, err)
	}
	j.seq, j.hash, j.size = e.Seq, e.Hash, j.size+int64(len(line))
	j.remember(e)
	return nil
}

// write appends line, or leaves the file as it was.
func (j *Journal) write(line []byte) error {
	_, err := j.f.WriteAt(line, j.size)
	if err == nil {
		err = j.f.Sync()
	}
	if err != nil {
		return errors.Join(err, j.f.Truncate(j.size))
	}
	return nil
}

func (j *Journal) remember(e state.Entry) {
	j.entries = append(j.entries, e)
	if len(j.entries) > 2*recent {
		j.entries = append([]state.Entry(nil), j.entries[len(j.entries)-recent:]...)
	}
}

// Section returns the newest entries, newest first.
func (j *Journal) Section() state.Journal {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := min(len(j.entries), recent)
	out := make([]state.Entry, 0, n)
	for i := range n {
		out = append(out, j.entries[len(j.entries)-1-i])
	}
	return state.Journal{Entries: out, Broken: j.broken}
}

// Close closes the file.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.f == nil {
		return nil
	}
	f := j.f
	j.f = nil
	return f.Close()
}

func (j *Journal) reserve() string { return j.path + ".reserve" }

// keepReserve creates the reserve if it is missing; a disk without room for it
// is no reason not to start.
func (j *Journal) keepReserve() {
	if st, err := os.Stat(j.reserve()); err == nil && st.Size() == reserveBytes {
		j.spent = false
		return
	}
	err := os.WriteFile(j.reserve(), bytes.Repeat([]byte{0x5a}, reserveBytes), 0o600)
	if j.spent = err != nil; j.spent { // half of one would only take the last room
		_ = os.Remove(j.reserve())
	}
}

// sum returns the hash of an entry whose own Hash is empty.
func sum(e state.Entry) string {
	e.Hash = ""
	b, _ := json.Marshal(e)
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// check returns why e does not follow the entry with hash prev and number seq; ""
// if it does. With unknown the predecessor was not read.
func check(e state.Entry, prev string, seq uint64, unknown bool) string {
	switch {
	case sum(e) != e.Hash:
		return fmt.Sprintf("entry %d was changed: its hash does not fit its content", e.Seq)
	case unknown:
	case e.Prev != prev:
		return fmt.Sprintf("entry %d does not follow entry %d: one was removed, changed or put in between", e.Seq, seq)
	case e.Seq != seq+1:
		return fmt.Sprintf("entry %d follows entry %d: entries are missing", e.Seq, seq)
	}
	return ""
}

// Read calls f with every entry of the journal at path, oldest first, until f
// returns false. A line that cannot be read is an error that names its number.
func Read(path string, f func(state.Entry) bool) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	defer file.Close()
	r := bufio.NewReaderSize(file, 64<<10)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return nil
		}
		if err == io.EOF {
			return fmt.Errorf("%s:%d: the last line is torn: it has no end", path, n)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
		var e state.Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("%s:%d: not a journal entry: %w", path, n, err)
		}
		if !f(e) {
			return nil
		}
	}
}

// Verify reads the whole journal at path and returns how many entries it has and
// the first place where the chain does not hold, as an error.
func Verify(path string) (entries uint64, err error) {
	prev, why := "", ""
	err = Read(path, func(e state.Entry) bool {
		if why = check(e, prev, entries, false); why != "" {
			return false
		}
		prev = e.Hash
		entries++
		return true
	})
	if err == nil && why != "" {
		err = fmt.Errorf("%s:%d: %s", path, entries+1, why)
	}
	return entries, err
}
