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
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
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
func RemoteFile(at, program string, follow, fromStart bool) (Input, error) {
	r, err := newRemote(at, program)
	if err != nil {
		return Input{}, err
	}
	r.fromStart = fromStart
	in := Input{Title: r.host + ":" + path.Base(r.file), Live: follow, Read: r.cat}
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
// to be waited for: there is nobody to answer ssh's questions.
func followRemote(at, program string) func(context.Context, boxReader, *box, chan<- chunk) {
	return func(ctx context.Context, _ boxReader, b *box, out chan<- chunk) {
		to := boxFeed{ctx: ctx, box: b, out: out}
		r, err := newRemote(at, program)
		if err != nil {
			_ = to.fails(err.Error())
			return
		}
		r.link = func(why string) { _ = to.fails(why) }
		r.anew = func(shorter bool) {
			c := chunk{rotations: 1}
			if shorter {
				c = chunk{truncations: 1}
			}
			_ = to.send(c)
		}
		if err := to.scan(Input{Title: at, Live: true, Read: r.follow}, false); ctx.Err() == nil && err != nil {
			_ = to.fails(err.Error())
		}
	}
}

// newRemote takes an address apart.
func newRemote(at, program string) (*remoteFile, error) {
	u, err := state.ParseRemoteFile(at)
	if err != nil {
		return nil, fmt.Errorf("read a file over ssh: %w", err)
	}
	args := []string{"-T", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3", "-o", "ConnectTimeout=10"}
	if u.Port() != "" {
		args = append(args, "-p", u.Port())
	}
	if u.User.Username() != "" {
		args = append(args, "-l", u.User.Username())
	}
	file := u.Path
	if rest, ok := strings.CutPrefix(file, "/~/"); ok {
		file = rest
	}
	return &remoteFile{program: program, args: append(args, "--", u.Hostname()), host: u.Hostname(), file: file}, nil
}

type remoteFile struct {
	program   string
	args      []string
	host      string
	file      string
	fromStart bool
	// link is told why the connection broke or could not be made, and "" once it is there;
	// anew when another file is read from its beginning, or the same, which is shorter than
	// it was. Where they are nil somebody reads along: notes say so, and what never worked
	// ends.
	link func(why string)
	anew func(shorter bool)

	// offset is the place that was reached in the file with that inode, and end what was
	// read right before it; -1 before the first connection.
	offset int64
	inode  string
	end    []byte
	// cut is what was read last of a file that was cut off while it was followed. It ends with
	// what was written to the file since then, as far as that was read.
	cut []byte
	// up says that the last connection was made.
	up bool
}

// endBytes is how much before a place tells whether it is the one that was reached, keepEnd
// how much of what was read last is kept at least.
const endBytes, keepEnd = 64, 64 << 10

// quote makes one word for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (r *remoteFile) cat(ctx context.Context, to *Feed) error {
	script := "exec cat < " + quote(r.file)
	switch {
	case strings.HasSuffix(r.file, ".gz"):
		script = "exec gzip -dc < " + quote(r.file)
	case strings.HasSuffix(r.file, ".zst"):
		script = "exec zstd -dc < " + quote(r.file)
	case strings.HasSuffix(r.file, ".bz2"):
		script = "exec bzip2 -dc < " + quote(r.file)
	}
	err := command(ctx, r.program, append(r.args[:len(r.args):len(r.args)], script), to.From)
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("read %s over ssh: %w", state.Clean(r.file), err)
	}
	return err
}

func (r *remoteFile) follow(ctx context.Context, to *Feed) error {
	r.offset = -1
	wait := sshRetry
	said := ""
	for first := true; ; first = false {
		r.up = false
		err := r.once(ctx, to, first)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if first && r.offset < 0 && r.link == nil { // it never worked: say so and end
			if err == nil {
				err = errors.New("the connection was closed")
			}
			return fmt.Errorf("follow %s over ssh: %w", state.Clean(r.file), err)
		}
		if r.up {
			wait, said = sshRetry, ""
		}
		var code *exec.ExitError
		if errors.As(err, &code) && (code.ExitCode() == remoteMoved || code.ExitCode() == remoteCut) {
			r.begin(to, code.ExitCode() == remoteCut)
			continue
		}
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
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		wait = min(2*wait, sshRetryMax)
	}
}

// begin has the file read from its beginning: it is another one, or was cut off. What was
// begun of a line stays one.
func (r *remoteFile) begin(to *Feed, cut bool) {
	last := r.end
	r.offset, r.cut, r.end = 0, nil, nil
	if cut {
		r.cut = last
	}
	if n := len(to.buf); n > 0 && to.buf[n-1] != '\n' {
		to.buf = append(to.buf, '\n')
	}
	switch {
	case r.anew != nil:
		r.anew(cut)
	case cut:
		to.Note(state.Clean(r.file) + " is shorter than before: it is read from its beginning")
	}
}

// What the script that follows ends with once another file has the name, and once the file
// is shorter than it was.
const remoteMoved, remoteCut = 75, 76

// remoteScript follows $f from $k on, for any POSIX shell. It says the inode, the place and
// the size first. A name may come to stand for another file: what is followed is the file
// that was opened, and when the name has another, or the file was cut off, the script ends
// a moment later, when what was still added has been read. Its standard input ends with the
// connection, and it with that, though nothing may be written.
const remoteScript = `
echo $i $k $((s))
exec 3<&0
tail -c +$((k+1)) -f -- "$f" & t=$!
{ cat <&3 >/dev/null; kill $t $$; } 2>/dev/null & c=$!
trap 'kill $t $c 2>/dev/null' EXIT
trap 'exit 1' HUP INT TERM PIPE
while sleep 2; do
kill -0 $t 2>/dev/null || exit 1
n=$(wc -c <"$f") 2>/dev/null && set -- $(ls -iL -- "$f" 2>/dev/null) || set -- none
[ "$1" = $i ] || { sleep 1; exit 75; }
[ $n -ge $s ] || { sleep 1; exit 76; }
s=$n
done`

// once follows over one connection: from the place that had been reached, where the file is
// the one that was read and has there what was read last.
func (r *remoteFile) once(ctx context.Context, to *Feed, first bool) error {
	script := "f=" + quote(r.file) + "\ns=$(wc -c <\"$f\") && set -- $(ls -iL -- \"$f\") && i=$1 || exit 1\n"
	switch {
	case r.offset > 0:
		before := r.end[max(0, len(r.end)-endBytes):]
		script += fmt.Sprintf(`k=%d; [ $i = %s ] && [ $s -ge $k ] && [ "$(tail -c +$((k+1-%d)) -- "$f" | head -c %[3]d | od -An -v -tx1 | tr -d ' \n')" = %x ] || k=0`,
			r.offset, r.inode, len(before), before)
	case r.offset == 0 || r.fromStart:
		script += "k=0"
	default:
		script += "k=$((s-" + strconv.Itoa(history) + ")); [ $k -gt 0 ] || k=0"
	}
	args := r.args[:len(r.args):len(r.args)]
	if !first || r.link != nil { // nobody may be there to answer
		args = append([]string{"-o", "BatchMode=yes"}, args...)
	}
	return command(ctx, r.program, append(args, script+remoteScript), func(out io.Reader) error {
		br := bufio.NewReaderSize(out, 64<<10)
		line, err := br.ReadSlice('\n')
		if err != nil {
			return nil // the program says why
		}
		var inode string
		var at, size int64
		if n, _ := fmt.Sscan(string(line), &inode, &at, &size); n != 3 || strings.Trim(inode, "0123456789") != "" {
			return fmt.Errorf("the remote shell said %q", state.Clean(string(line)))
		}
		if r.up = true; r.link != nil {
			r.link("")
		}
		if r.offset > at {
			r.begin(to, inode == r.inode)
		}
		c := &counted{r: br, of: r, skip: r.offset < 0 && at > 0}
		if len(r.cut) > 0 && at == 0 {
			if err := c.pass(r.cut, size); err != nil {
				return nil // the program says why
			}
		}
		r.inode, r.offset, r.cut = inode, at+c.passed.Load(), nil
		c.left = size - r.offset
		return to.Live(c, false, func(n int64) bool { return at+c.passed.Load()+n >= size })
	})
}

// counted counts what is read of a remote file, and leaves out the line it begins in where
// skip is set. What was there when it began, of which left bytes are to come, is not read
// together with what came since. passed are the bytes that are left out.
type counted struct {
	r      io.Reader
	of     *remoteFile
	skip   bool
	left   int64
	passed atomic.Int64
}

// pass leaves out what had been read of a file after it was cut off: as much of its
// beginning as what was read last ends with.
func (c *counted) pass(last []byte, size int64) error {
	text := make([]byte, min(size, keepEnd))
	if _, err := io.ReadFull(c.r, text); err != nil {
		return err
	}
	last = last[max(0, len(last)-len(text)):]
	for len(last) > 0 && !bytes.HasPrefix(text, last) {
		next := bytes.IndexByte(last[1:], text[0])
		if next < 0 {
			last = nil
			break
		}
		last = last[1+next:]
	}
	c.passed.Store(int64(len(last)))
	c.of.end = bytes.Clone(last)
	c.r = io.MultiReader(bytes.NewReader(text[len(last):]), c.r)
	return nil
}

// Read implements io.Reader.
func (c *counted) Read(b []byte) (int, error) {
	for {
		if c.left > 0 && int64(len(b)) > c.left {
			b = b[:c.left]
		}
		n, err := c.r.Read(b)
		c.left -= int64(n)
		c.of.offset += int64(n)
		if c.of.end = append(c.of.end, b[:n]...); len(c.of.end) > 4*keepEnd {
			c.of.end = append(c.of.end[:0], c.of.end[len(c.of.end)-keepEnd:]...)
		}
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
