package logs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
)

// How a file is followed.
const (
	blockSize = 1 << 20
	// fingerprintSize is how many bytes are remembered to know a file again. It is longer
	// than most lines, since lines of one program often differ only in a number.
	fingerprintSize = 1024
	// history is how much of an existing file is read on opening it.
	history = 256 << 10
	// rotatedIdle is how long a rotated file must be quiet before it is closed.
	rotatedIdle = 10 * time.Second
	// maxRotated bounds the rotated files that are read on; the quietest are closed first.
	maxRotated = 64
	// turnBytes bounds what one look reads of one file, so that others get their turn.
	turnBytes = 16 << 20
)

// sink receives whole lines, each with its "\n", in UTF-8. It must not keep the slice.
type sink func(lines []byte)

// handle is one file that was opened: the live one, or a rotated one that may
// still be written to.
type handle struct {
	f  *os.File
	id scan.FileID
	// off is the next byte to read; size that of the file when last polled.
	off, size int64
	mtime     time.Time
	// mark is what was read just before off, head what the file begins with.
	mark, head []byte
	split      splitter
	enc        scan.Encoding
	// holes says that the file may begin with a hole, since its writer did not
	// notice that it was truncated.
	holes bool
	// readTo is where reading had come when the file was last truncated, and counted
	// what has been counted as lost of that generation; -1 where a copy gave the rest.
	readTo, counted int64
	active          time.Time // when it last grew
}

// follower follows one path. It belongs to one goroutine.
type follower struct {
	path string
	cur  *handle
	old  []*handle
	// known are the rotated siblings that were there already.
	known map[scan.FileID]bool
	// err says why the path cannot be read now.
	err         string
	size        int64
	took        int64 // bytes read by the last look
	rotations   int
	truncations int
	lost        int64
	// fresh says that the path appeared while it was being watched: all of it is new.
	fresh bool
	// goneSince is when the path was last found missing; zero while it is there.
	goneSince time.Time
	opened    bool
}

func newFollower(path string, fresh bool) *follower {
	return &follower{path: path, fresh: fresh}
}

func (f *follower) close() {
	for _, h := range f.handles() {
		_ = h.f.Close()
	}
	f.cur, f.old = nil, nil
}

// handles returns the open files, oldest first.
func (f *follower) handles() []*handle {
	if f.cur == nil {
		return f.old
	}
	return append(slices.Clone(f.old), f.cur)
}

// poll reads what is new. buf is the scratch block. It reports whether there was
// anything, and whether there is more.
func (f *follower) poll(now time.Time, buf []byte, past, live sink) (got, more bool) {
	f.took = 0
	f.locate(now, past, live)
	for i := 0; i < len(f.old); i++ {
		h := f.old[i]
		n, m := f.read(h, now, buf, live)
		got, more = got || n, more || m
	}
	f.retire(now, live)
	if h := f.cur; h != nil {
		n, m := f.read(h, now, buf, live)
		got, more = got || n, more || m
		f.size = h.size
	}
	return got, more
}

// idle reports whether there is one file to follow, which is read to its end: a change of
// it is all that can come.
func (f *follower) idle() bool {
	return f.cur != nil && len(f.old) == 0 && f.err == "" && f.cur.off >= f.cur.size
}

// locate compares the path with the open file and opens what is new.
func (f *follower) locate(now time.Time, past, live sink) {
	st, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if f.goneSince.IsZero() {
			f.goneSince = now
		}
		f.err = "the file is gone; it is followed again when it comes back"
		f.fresh = true // all of what comes is new
		if f.cur != nil {
			// A rename in two steps: the descriptor is read on.
			f.retireCurrent(now)
		}
		return
	case err != nil:
		f.err = "read it: " + scan.Reason(err)
		return
	}
	f.goneSince = time.Time{}
	if !st.Mode().IsRegular() {
		kind := "is not a regular file"
		if st.IsDir() {
			kind = "is a directory"
		}
		f.err = "it " + kind + "; it is followed again when a file takes its place"
		if f.cur != nil {
			f.retireCurrent(now)
		}
		return
	}
	id := scan.IDOf(st)
	if f.cur != nil && f.cur.id == id {
		f.err = ""
		return
	}
	// It may be one that was moved away and back.
	for i, h := range f.old {
		if h.id == id {
			f.old = slices.Delete(f.old, i, i+1)
			if f.cur != nil {
				f.retireCurrent(now)
			}
			f.cur, f.err = h, ""
			return
		}
	}
	// What is rotated away while this file is opened must be unknown afterwards, so
	// at first the siblings are listed before, and later after.
	var sibs []sibling
	if !f.opened {
		sibs = f.siblings()
	}
	file, err := os.Open(f.path)
	if err != nil {
		f.err = "open it: " + scan.Reason(err)
		return
	}
	if st, err = file.Stat(); err != nil || !st.Mode().IsRegular() {
		_ = file.Close()
		return
	}
	id = scan.IDOf(st)
	rotated := f.cur != nil || f.opened
	if f.cur != nil {
		f.retireCurrent(now)
	}
	h := &handle{f: file, id: id, active: now, size: st.Size()}
	h.enc = scan.DetectEncoding(file)
	h.off = int64(h.enc.Bom())
	f.cur, f.err = h, ""
	if rotated {
		f.rotations++
		sibs = f.siblings()
		f.missed(sibs, now)
	}
	if !rotated && !f.fresh {
		f.readHistory(h, past)
	}
	f.opened = true
	f.note(sibs)
}

func (f *follower) retireCurrent(now time.Time) {
	f.cur.active = now
	f.old = append(f.old, f.cur)
	f.cur = nil
}

// retire closes rotated files that have been quiet for long enough, now that the
// new one is known, and deleted ones in any case: their space is waited for.
func (f *follower) retire(now time.Time, live sink) {
	excess := len(f.old) - maxRotated // the oldest go first
	f.old = slices.DeleteFunc(f.old, func(h *handle) bool {
		if h.off < h.size {
			return false
		}
		if excess > 0 {
			excess--
		} else if now.Sub(h.active) < rotatedIdle || f.cur == nil && !deleted(h.f) {
			return false
		}
		h.split.finish(live)
		_ = h.f.Close()
		return true
	})
}

// rotatedSuffix is what rotation appends to a log file's name: ".1", "-20261122".
var rotatedSuffix = regexp.MustCompile(`^[.\-_]\d[\d.\-_T:]*$`)

// sibling is a rotated file of the path.
type sibling struct {
	path string
	id   scan.FileID
	at   time.Time
}

// siblings returns the uncompressed rotated files of the path, oldest first.
func (f *follower) siblings() []sibling {
	var sibs []sibling
	scan.EachRotated(f.path, rotatedSuffix, func(name, _ string, st os.FileInfo) {
		sibs = append(sibs, sibling{name, scan.IDOf(st), st.ModTime()})
	})
	slices.SortStableFunc(sibs, func(a, b sibling) int { return a.at.Compare(b.at) })
	return sibs
}

// note remembers the siblings of one listing. What is rotated away after that
// listing stays unknown, and so will be read.
func (f *follower) note(sibs []sibling) {
	f.known = make(map[scan.FileID]bool, len(sibs))
	for _, s := range sibs {
		f.known[s.id] = true
	}
}

// missed opens siblings that were not there when the last file was opened: files
// that were made and rotated away between two polls.
func (f *follower) missed(sibs []sibling, now time.Time) {
	for _, sib := range sibs {
		if f.known[sib.id] || f.holds(sib.id) {
			continue
		}
		file, err := os.Open(sib.path)
		if err != nil {
			continue
		}
		st, err := file.Stat()
		if err != nil || f.known[scan.IDOf(st)] || f.holds(scan.IDOf(st)) {
			_ = file.Close()
			continue
		}
		h := &handle{f: file, id: scan.IDOf(st), active: now, size: st.Size()}
		h.enc = scan.DetectEncoding(file)
		h.off = int64(h.enc.Bom())
		f.old = append(f.old, h)
		f.rotations++
	}
}

func (f *follower) holds(id scan.FileID) bool {
	return slices.ContainsFunc(f.handles(), func(h *handle) bool { return h.id == id })
}

// readHistory reads the end of a file that was there before, from a line's start.
func (f *follower) readHistory(h *handle, past sink) {
	start := h.off
	if from := h.size - history; from > start {
		start = h.enc.Align(from)
	}
	buf := make([]byte, h.size-start)
	n, err := h.f.ReadAt(buf, start)
	if err != nil && !errors.Is(err, io.EOF) {
		h.off = h.size
		return
	}
	buf = buf[:n]
	raw := buf
	text, used := h.enc.Decode(buf)
	h.off = start + int64(used)
	h.remember(raw[:used])
	if start > int64(h.enc.Bom()) {
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			text = text[i+1:]
		}
	}
	h.split.feed(text, past)
}

// remember keeps the fingerprint of what ends at off.
func (h *handle) remember(data []byte) {
	if len(data) >= fingerprintSize {
		h.mark = append(h.mark[:0], data[len(data)-fingerprintSize:]...)
	} else {
		h.mark = append(h.mark, data...)
		if len(h.mark) > fingerprintSize {
			h.mark = h.mark[len(h.mark)-fingerprintSize:]
		}
	}
	if len(h.head) < fingerprintSize {
		var b [fingerprintSize]byte
		n, _ := h.f.ReadAt(b[:min(int64(fingerprintSize), h.off)], 0)
		h.head = append(h.head[:0], b[:n]...)
	}
}

// same reports whether the file's head is what it was.
func (h *handle) same() bool {
	if len(h.head) == 0 {
		return true
	}
	var b [fingerprintSize]byte
	n, err := h.f.ReadAt(b[:len(h.head)], 0)
	return (err == nil || errors.Is(err, io.EOF)) && bytes.Equal(b[:n], h.head)
}

// still reports whether the file holds head where the block that begins with it
// was read, which ends in front of off by the length of the mark.
func (h *handle) still(head []byte) bool {
	var b [2 * fingerprintSize]byte
	n, err := h.f.ReadAt(b[:len(head)], h.off-int64(len(h.mark)))
	return (err == nil || errors.Is(err, io.EOF)) && bytes.Equal(b[:n], head)
}

// read reads what is new in one file, and notices when it was truncated.
func (f *follower) read(h *handle, now time.Time, buf []byte, live sink) (got, more bool) {
	st, err := h.f.Stat()
	if err != nil {
		f.err = "read it: " + scan.Reason(err)
		return false, false
	}
	size, before := st.Size(), h.size
	if size < h.off {
		f.truncated(h, before, live)
		// What a copy still has comes before what the file has now.
		return true, true
	} else if size == h.off {
		h.size = size
		if st.ModTime().Equal(h.mtime) {
			return false, false
		}
	}
	h.mtime = st.ModTime()
	if !h.same() {
		f.truncated(h, before, live)
		return true, true
	}
	h.size = size
	if h.off == 0 && size > 0 {
		h.enc = scan.DetectEncoding(h.f)
		h.off = int64(h.enc.Bom())
	}
	if h.holes && h.off < size {
		f.lost += h.skipHole(buf)
	}
	for total := 0; ; {
		lead := len(h.mark)
		n, err := h.f.ReadAt(buf, h.off-int64(lead))
		if err != nil && !errors.Is(err, io.EOF) {
			f.err = "read it: " + scan.Reason(err)
			return got, false
		}
		if n < lead || !bytes.Equal(buf[:lead], h.mark) {
			// It was truncated, and may have grown again, since the size was asked for.
			f.truncated(h, before, live)
			return true, true
		}
		data := buf[lead:n]
		text, used := h.enc.Decode(data)
		if used == 0 {
			return got, false
		}
		// A block is not read in one instant: it was truncated and rewritten meanwhile
		// where its beginning is no longer what was just read.
		if !h.still(buf[:min(n, lead+fingerprintSize)]) {
			f.truncated(h, max(before, size), live)
			return true, true
		}
		got, h.active = true, now
		f.took += int64(used)
		h.off += int64(used)
		h.size = max(h.size, h.off)
		h.remember(data[:used])
		h.split.feed(text, live)
		if total += used; n < len(buf) {
			return got, false
		} else if total >= turnBytes {
			return got, true
		}
	}
}

// truncated restarts a shrunken file from its beginning. What was not read yet is taken from a
// copy, where copy-and-truncate made one, else counted as lost.
// before is the size it had when last polled.
func (f *follower) truncated(h *handle, before int64, live sink) {
	f.truncations++
	sibs := f.siblings()
	h.readTo, h.counted = h.off, -1
	if !f.recover(h, sibs) {
		h.counted = max(0, before-h.off)
		f.lost += h.counted
		if h.split.total > 0 {
			h.split.part = append(h.split.text(), restGone...)
			h.split.total = len(h.split.part)
			h.split.finish(live)
		}
	}
	h.split = splitter{}
	h.off, h.size = 0, 0
	h.mark, h.head = h.mark[:0], h.head[:0]
	h.holes = true
	h.enc = scan.DetectEncoding(h.f)
	h.off = int64(h.enc.Bom())
	f.note(sibs)
}

// recover finds a copy of the file as it was, which is then read on.
func (f *follower) recover(h *handle, sibs []sibling) bool {
	for _, sib := range sibs {
		file, err := os.Open(sib.path)
		if err != nil {
			continue
		}
		st, err := file.Stat()
		if err == nil && st.Size() >= h.off && st.Mode().IsRegular() && !f.holds(scan.IDOf(st)) && !f.known[scan.IDOf(st)] {
			c := &handle{f: file, id: scan.IDOf(st), off: h.off, size: st.Size(), enc: h.enc, active: h.active,
				mark: slices.Clone(h.mark), head: slices.Clone(h.head)}
			var b [fingerprintSize]byte
			n, _ := file.ReadAt(b[:len(c.mark)], c.off-int64(len(c.mark)))
			if c.same() && bytes.Equal(b[:n], c.mark) {
				c.split = h.split
				f.old = append(f.old, c)
				return true
			}
		}
		_ = file.Close()
	}
	return false
}

// skipHole jumps over the NULs that a file begins with when its writer kept its
// place over a truncation. The hole's end is then the place to which had been
// written, so that what was lost is known: it gives what was not counted yet.
func (h *handle) skipHole(buf []byte) (lost int64) {
	if h.off > 3 {
		h.holes = false
		return 0
	}
	begin := h.off
	// Where a file system keeps data is not always told rightly while it is being
	// written: only NULs are jumped over.
	if n, _ := h.f.ReadAt(buf[:1], begin); n == 1 && buf[0] != 0 {
		h.holes = false
		return 0
	}
	if at := scan.DataAt(h.f, h.off); at > h.off {
		h.off = at
	}
	for {
		n, err := h.f.ReadAt(buf, h.off)
		data := buf[:n]
		zeros := len(data) - len(bytes.TrimLeft(data, "\x00"))
		h.off += int64(zeros)
		if zeros < n || n < len(buf) || err != nil {
			break
		}
	}
	h.mark = h.mark[:0]
	h.holes = false
	if h.off > begin && h.counted >= 0 {
		lost = max(0, h.off-h.readTo-h.counted)
		h.counted += lost
	}
	return lost
}

// splitter makes whole lines of blocks, and holds back the one that is unfinished.
type splitter struct {
	// part is the unfinished line's head, total its length so far.
	part  []byte
	total int
}

// feed splits the next bytes of the file and passes on whole lines.
func (s *splitter) feed(data []byte, to sink) {
	if s.total > 0 {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			s.hold(data)
			return
		}
		s.hold(data[:i])
		s.finish(to)
		data = data[i+1:]
	}
	i := bytes.LastIndexByte(data, '\n')
	if i >= 0 {
		to(data[:i+1])
		data = data[i+1:]
	}
	if len(data) > 0 {
		s.hold(data)
	}
}

func (s *splitter) hold(data []byte) {
	s.total += len(data)
	if room := scan.MaxLine - len(s.part); room > 0 {
		s.part = append(s.part, data[:min(room, len(data))]...)
	}
}

// finish passes on the unfinished line as a line.
func (s *splitter) finish(to sink) {
	if s.total == 0 {
		return
	}
	to(append(s.text(), '\n'))
	if cap(s.part) > 4096 {
		s.part = nil
	}
	s.part, s.total = s.part[:0], 0
}

// text returns the unfinished line so far.
func (s *splitter) text() []byte {
	if s.total <= scan.MaxLine {
		return s.part
	}
	return append(slices.Clone(s.part[:scan.CutLine]), scan.CutNote(s.total)...)
}

// restGone ends a line of which a truncation destroyed the rest.
const restGone = " ... [cut: the file was truncated before the rest could be read]"
