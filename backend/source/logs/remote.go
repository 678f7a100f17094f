package logs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strconv"
	"strings"
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

// remoteTitle names a file on another host as scp does.
func remoteTitle(at string) string {
	r, err := newRemote(at, "ssh")
	if err != nil { // whatever it is, it may hold a password
		return "a file over ssh"
	}
	return state.Clean(r.host + ":" + r.file)
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
		if err := to.scan(Input{Title: at, Live: true, Read: r.follow}); ctx.Err() == nil && err != nil {
			_ = to.fails(err.Error())
		}
	}
}

// newRemote takes an address apart.
func newRemote(at, program string) (*remoteFile, error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "ssh" || u.Hostname() == "" || u.Path == "" || u.Path == "/" || u.RawQuery != "" || u.Fragment != "" ||
		strings.HasPrefix(u.Hostname(), "-") || strings.HasPrefix(u.User.Username(), "-") {
		return nil, fmt.Errorf("read %q: ssh://[user@]host[:port]/path/to/file was expected", at)
	}
	if _, has := u.User.Password(); has {
		return nil, errors.New("a password does not belong into a URL, which others can read: ssh asks for it")
	}
	if strings.ContainsFunc(u.Path, func(r rune) bool { return r < ' ' }) {
		return nil, fmt.Errorf("read %q: the path has a control character", at)
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
	// link is told why the connection broke or could not be made, and "" once it is there.
	// Where it is nil somebody reads along: notes say so, and what never worked ends.
	link func(why string)
	// offset is the place that was reached in the remote file; -1 before the first
	// connection.
	offset int64
}

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
		before := r.offset
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
		if r.offset != before {
			wait, said = sshRetry, ""
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

// once follows over one connection. The remote shell first says the place at which
// it begins: that which had been reached, unless the file is shorter now.
func (r *remoteFile) once(ctx context.Context, to *Feed, first bool) error {
	f := quote(r.file)
	begin := "s=$(wc -c < " + f + ") && "
	switch {
	case r.offset >= 0:
		begin += "k=" + strconv.FormatInt(r.offset, 10) + "; [ $s -ge $k ] || k=0; "
	case r.fromStart:
		begin += "k=0; "
	default:
		begin += "k=$((s-" + strconv.Itoa(history) + ")); [ $k -gt 0 ] || k=0; "
	}
	script := begin + "echo $k; exec tail -c +$((k+1)) -F " + f
	args := r.args[:len(r.args):len(r.args)]
	if !first || r.link != nil { // nobody may be there to answer
		args = append([]string{"-o", "BatchMode=yes"}, args...)
	}
	return command(ctx, r.program, append(args, script), func(out io.Reader) error {
		br := bufio.NewReaderSize(out, 64<<10)
		line, err := br.ReadSlice('\n')
		if err != nil {
			return nil // the program says why
		}
		at, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 10, 64)
		if err != nil {
			return fmt.Errorf("the remote shell said %q", state.Clean(string(line)))
		}
		if r.offset > at { // it was written anew meanwhile
			to.Note(state.Clean(r.file) + " is shorter than before: it is read from its beginning")
		}
		if r.link != nil {
			r.link("")
		}
		partial := r.offset < 0 && at > 0
		r.offset = at
		return to.Live(&counted{r: br, n: &r.offset, skip: partial}, false)
	})
}

// counted counts what is read, and leaves out the line it begins in where skip is set.
type counted struct {
	r    io.Reader
	n    *int64
	skip bool
}

// Read implements io.Reader.
func (c *counted) Read(b []byte) (int, error) {
	for {
		n, err := c.r.Read(b)
		*c.n += int64(n)
		if c.skip && n > 0 {
			i := bytes.IndexByte(b[:n], '\n')
			if i < 0 {
				if err == nil {
					continue
				}
				return 0, err
			}
			c.skip = false
			n = copy(b, b[i+1:n])
			if n == 0 && err == nil {
				continue
			}
		}
		return n, err
	}
}
