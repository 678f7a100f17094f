package logs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"github.com/opsdeck/opsdeck/backend/source/logs/scan"
	"github.com/opsdeck/opsdeck/backend/ssh"
	"github.com/opsdeck/opsdeck/backend/state"
	"github.com/opsdeck/opsdeck/backend/supervisor"
)

// Timings of reading over SSH.
const (
	sshRetry    = time.Second
	sshRetryMax = 30 * time.Second
)

// RemoteFile reads a file on another host by the ssh command: ssh://[user@]host[:port]/path.
// With follow it is followed from its last 256 KiB on (from its beginning with
// fromStart) through rotation, and when the connection breaks it is made again and
// goes on where it had come to. program is ssh, unless a test has another.
func RemoteFile(at, program string, follow, fromStart bool) (scan.Input, error) {
	r, err := newRemote(at, program)
	if err != nil {
		return scan.Input{}, err
	}
	r.fromStart = fromStart
	in := scan.Input{Title: r.host + ":" + path.Base(r.file), Live: follow, Read: r.cat}
	if follow {
		in.Read = r.follow
	}
	return in, nil
}

// remoteTitle names a file on another host as scp does, with the port where one is given.
func remoteTitle(at string) string {
	u, err := state.ParseRemoteFile(at)
	if err != nil { // whatever it is, it may hold a password
		return "a file over ssh"
	}
	title := u.Host + ":" + u.Path
	if name := u.User.Username(); name != "" {
		title = name + "@" + title
	}
	return state.Clean(title)
}

// followRemote sends the end of a file on another host, and what comes, whoever may have
// to be waited for: ssh cannot prompt anybody.
func followRemote(at, program string) func(context.Context, streamReader, *remoteStream, chan<- chunk) {
	return func(ctx context.Context, _ streamReader, b *remoteStream, out chan<- chunk) {
		to := remoteFeed{ctx: ctx, stream: b, out: out}
		r, err := newRemote(at, program)
		if err != nil {
			_ = to.fails(err.Error())
			return
		}
		r.link = func(why string) { _ = to.fails(why) }
		r.restarted = func(shorter bool) {
			c := chunk{rotations: 1}
			if shorter {
				c = chunk{truncations: 1}
			}
			_ = to.send(c)
		}
		if err := to.scan(scan.Input{Title: at, Live: true, Read: r.follow}, false); ctx.Err() == nil && err != nil {
			_ = to.fails(err.Error())
		}
	}
}

// newRemote returns the follower of the file at an address.
func newRemote(at, program string) (*remoteFile, error) {
	u, err := state.ParseRemoteFile(at)
	if err != nil {
		return nil, fmt.Errorf("read a file over ssh: %w", err)
	}
	host, err := ssh.FromURL(u)
	if err != nil {
		return nil, fmt.Errorf("read a file over ssh: %w", err)
	}
	file := u.Path
	if rest, ok := strings.CutPrefix(file, "/~/"); ok {
		file = rest
	}
	return &remoteFile{ssh: ssh.Command{Target: host, Program: program, Connect: 10 * time.Second}, host: host.Host, file: file}, nil
}

type remoteFile struct {
	ssh       ssh.Command // without what is run there
	host      string
	file      string
	fromStart bool
	// link is called with why the connection broke or could not be made, and "" once it is there;
	// restarted when another file is read from its beginning, or the same, which is shorter than
	// it was. Where they are nil a user reads along: notes say so, and what never worked
	// ends.
	link      func(why string)
	restarted func(shorter bool)

	// inode is that of the file that was read, offset the place that was reached in it, and
	// end what was read right before that; "" and -1 before the first connection.
	inode  string
	offset int64
	end    []byte
	// cut says that the file was cut off while it was followed: of what was written to it
	// since, end may hold a part.
	cut bool
	// up is set where the last connection was made.
	up bool
}

// endBytes is how much before a place shows whether it is the one that was reached, keepEnd
// how much of what was read last is kept at least.
const endBytes, keepEnd = 64, 64 << 10

func (r *remoteFile) cat(ctx context.Context, to *scan.Feed) error {
	script := "exec cat < " + ssh.Quote(r.file)
	switch {
	case strings.HasSuffix(r.file, ".gz"):
		script = "exec gzip -dc < " + ssh.Quote(r.file)
	case strings.HasSuffix(r.file, ".zst"):
		script = "exec zstd -dc < " + ssh.Quote(r.file)
	case strings.HasSuffix(r.file, ".bz2"):
		script = "exec bzip2 -dc < " + ssh.Quote(r.file)
	}
	c := r.ssh
	c.Ask, c.Remote = true, script
	err := c.Read(ctx, to.From)
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("read %s over ssh: %w", state.Clean(r.file), err)
	}
	return err
}

func (r *remoteFile) follow(ctx context.Context, to *scan.Feed) error {
	r.inode, r.offset = "", -1
	wait := supervisor.Backoff{Min: sshRetry, Max: sshRetryMax}
	said := ""
	asks := r.link == nil // there is somebody to answer
	for {
		r.up = false
		err := r.once(ctx, to, asks)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if r.inode == "" && r.link == nil { // it never worked: say so and end
			if err == nil {
				err = errors.New("the connection was closed")
			}
			return fmt.Errorf("follow %s over ssh: %w", state.Clean(r.file), err)
		}
		if r.up {
			wait.Reset()
			said = ""
		}
		var code *exec.ExitError
		if r.up && errors.As(err, &code) && (code.ExitCode() == remoteMoved || code.ExitCode() == remoteCut) {
			r.cut = code.ExitCode() == remoteCut
			continue
		}
		asks = false
		why := "the connection was closed"
		if err != nil {
			why = err.Error()
		}
		if r.link != nil {
			r.link(fmt.Sprintf("%s over ssh: %s: it is tried again", state.Clean(r.file), why))
		} else if why != said {
			said = why
			to.Note(fmt.Sprintf("%s over ssh: %s: it is tried again", state.Clean(r.file), why))
		}
		if err := to.Flush(); err != nil {
			return err
		}
		if !wait.Pause(ctx) {
			return ctx.Err()
		}
	}
}

// reach advances over what was read.
func (r *remoteFile) reach(b []byte) {
	r.offset += int64(len(b))
	if r.end = append(r.end, b...); len(r.end) > 4*keepEnd {
		r.end = append(r.end[:0], r.end[len(r.end)-keepEnd:]...)
	}
}

// begin restarts the file from its beginning. What was begun of a line stays one.
func (r *remoteFile) begin(to *scan.Feed, shorter bool) {
	to.EndLine()
	switch {
	case r.restarted != nil:
		r.restarted(shorter)
	case shorter:
		to.Note(state.Clean(r.file) + " is shorter than before: it is read from its beginning")
	}
}

// What the script that follows ends with once another file has the name, and once the file
// is shorter than it was.
const remoteMoved, remoteCut = 75, 76

// The script that follows a file, for any POSIX shell. A name may come to stand for another
// file: what is followed is the file that was opened. remoteBegin finds inode, mode and size
// of $f; what comes between says where to begin, $k, and what is left of the file that was
// read before, $r bytes of $o from $l on. remoteEnd says all that, and gives it. Once the
// name has another file with something in it, or the file was cut off, it ends a moment
// later. Its standard input ends with the connection, and it with that, though nothing may
// be written.
const (
	remoteBegin = `
st() { set -- $(ls -dinL -- "$f" 2>/dev/null); i=$1 m=$2 s=$6; [ -n "$s" ]; }
st || { ls -dinL -- "$f" >/dev/null; exit 1; }
case $m in -*) ;; *) echo "it is not a regular file" >&2; exit 1 ;; esac
r=0
`
	remoteEnd = `
echo $i $k $s $r
[ $r -gt 0 ] && tail -c +$((l+1)) -- "$o" | head -c $r
exec 3<&0
tail -c +$((k+1)) -f -- "$f" & t=$!
{ cat <&3 >/dev/null; kill $t $$; } 2>/dev/null & c=$!
trap 'kill $t $c 2>/dev/null' EXIT
trap 'exit 1' HUP INT TERM PIPE
while sleep 2; do
kill -0 $t 2>/dev/null || exit 1
n=$i z=$s
if st && [ $i = $n ]; then [ $s -ge $z ] || { sleep 1; exit 76; }
elif [ -n "$s" ] && [ $s -gt 0 ]; then sleep 1; exit 75
else i=$n s=$z
fi
done`
)

// script returns the script from the place that had been reached, where the file is the one that
// was read and has there what was read last. Where it is another, it begins with what is
// left of the one that was read, if that is in the same folder still.
func (r *remoteFile) script() string {
	place := ""
	switch {
	case r.inode != "":
		before := r.end[max(0, len(r.end)-endBytes):]
		same := ""
		if len(before) > 0 {
			same = fmt.Sprintf(` && { x=$(tail -c +$((k-%d+1)) -- "$f" | od -An -v -tx1 -N %[1]d | tr -d ' \n'); [ -z "$x" ] || [ "$x" = %x ]; }`, len(before), before)
		}
		place = fmt.Sprintf(`k=%d l=$k
if [ $i = %s ]; then [ $s -ge $k ]%s || k=0
else
k=0 d=${f%%/*}
[ "$d" != "$f" ] || d=.
d=${d:-/}
o=$(ls -i -- "$d" | while read -r n p; do [ "$n" != %[2]s ] || echo "$p"; done)
o=$d/$o
[ -f "$o" ] && set -- $(ls -dinL -- "$o") && [ $6 -gt $l ] && r=$(($6-l))
fi`, r.offset, r.inode, same)
	case r.fromStart:
		place = "k=0"
	default:
		place = fmt.Sprintf("k=$((s-%d)); [ $k -gt 0 ] || k=0", history)
	}
	return "f=" + ssh.Quote(r.file) + remoteBegin + place + remoteEnd
}

// once follows over one connection. asks is set where ssh can prompt on a terminal.
func (r *remoteFile) once(ctx context.Context, to *scan.Feed, asks bool) error {
	run := r.ssh
	run.Ask, run.Remote = asks, r.script()
	return run.Read(ctx, func(out io.Reader) error {
		br := bufio.NewReaderSize(out, 64<<10)
		line, err := br.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return nil // the program says why
		}
		var inode string
		var at, size, rest int64
		n, _ := fmt.Sscan(string(line), &inode, &at, &size, &rest)
		if err != nil || n != 4 || strings.Trim(inode, "0123456789") != "" || at < 0 || size < at || rest < 0 {
			return fmt.Errorf("the remote shell said %q", state.Clean(string(line[:min(len(line), 200)])))
		}
		if r.up = true; r.link != nil {
			r.link("")
		}
		c := &resumeReader{r: br, of: r}
		switch {
		case r.inode == "":
			c.skip = at > 0
		case inode != r.inode && rest > 0:
			if r.restarted != nil {
				r.restarted(false)
			}
			c.rest, c.next, c.from = rest, inode, at
			c.passed.Store(-rest)
			return to.Live(c, false, nil)
		case inode != r.inode:
			r.begin(to, false)
			r.end = nil
		case at < r.offset:
			r.begin(to, true)
			if err := c.pass(size); err != nil {
				return nil // the program says why
			}
		}
		r.inode, r.offset, r.cut = inode, at+c.passed.Load(), false
		c.left = size - r.offset
		return to.Live(c, false, func(n int64) bool { return at+c.passed.Load()+n >= size })
	})
}

// resumeReader counts what is read of a remote file, and leaves out the line it begins in where
// skip is set. What was there when it began, of which left bytes are to come, is not read
// together with what came since. passed are the bytes that are left out.
type resumeReader struct {
	r      io.Reader
	of     *remoteFile
	skip   bool
	left   int64
	passed atomic.Int64
	// rest is how much of the file that was read before comes first. After it comes the file
	// with the inode next, from a place on.
	rest int64
	next string
	from int64
}

// maxPassed bounds where in a file that was cut off what was read last is looked for.
const maxPassed = 1 << 20

// pass leaves out what had been read of a file since it was cut off: as much of its
// beginning as what was read last ends with, from the beginning of a line there or for as
// long that it is no chance; else all up to where that stands.
func (c *resumeReader) pass(size int64) error {
	last := c.of.end
	c.of.end = nil
	if !c.of.cut || size == 0 {
		return nil
	}
	text := make([]byte, min(size, maxPassed))
	if _, err := io.ReadFull(c.r, text); err != nil {
		return err
	}
	had := 0
	for i := max(0, len(last)-len(text)); i < len(last) && had == 0; i++ {
		if (i == 0 || last[i-1] == '\n' || len(last)-i >= endBytes) && bytes.HasPrefix(text, last[i:]) {
			had = len(last) - i
		}
	}
	if had == 0 && len(last) >= 4*endBytes {
		if i := bytes.Index(text, last[len(last)-4*endBytes:]); i >= 0 {
			had = i + 4*endBytes
		}
	}
	c.passed.Store(int64(had))
	c.of.end = bytes.Clone(text[:had])
	c.r = io.MultiReader(bytes.NewReader(text[had:]), c.r)
	return nil
}

// Read implements io.Reader.
func (c *resumeReader) Read(b []byte) (int, error) {
	if c.rest > 0 {
		return c.readRest(b)
	}
	for {
		if c.left > 0 && int64(len(b)) > c.left {
			b = b[:c.left]
		}
		n, err := c.r.Read(b)
		c.left -= int64(n)
		c.of.reach(b[:n])
		if c.skip && n > 0 {
			i := bytes.IndexByte(b[:n], '\n')
			if i < 0 {
				c.passed.Add(int64(n))
				if err == nil {
					continue
				}
				return 0, err
			}
			c.skip = false
			c.passed.Add(int64(i + 1))
			n = copy(b, b[i+1:n])
			if n == 0 && err == nil {
				continue
			}
		}
		return n, err
	}
}

// readRest reads what is left of the file that was read before, and ends its last line.
func (c *resumeReader) readRest(b []byte) (int, error) {
	if int64(len(b)) > c.rest {
		b = b[:c.rest]
	}
	n, err := c.r.Read(b)
	c.of.reach(b[:n])
	if c.rest -= int64(n); c.rest == 0 {
		if b[n-1] != '\n' {
			c.r = io.MultiReader(strings.NewReader("\n"), c.r)
			c.from--
		}
		c.of.inode, c.of.offset, c.of.end = c.next, c.from, nil
	}
	return n, err
}
