package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/moby/moby/client"
)

// silenceLimit is how long an engine that is being waited for may leave pings without an
// answer until it is abandoned. It is longer than pingTimeout, after which it is shown
// as stale: what is abandoned cannot be resumed.
const silenceLimit = 15 * time.Second

// ErrLost means that the engine stopped answering during a request.
var ErrLost = fmt.Errorf("no answer for %s: the engine is frozen or overloaded, or the connection to it is cut", silenceLimit)

// ping pings the engine, for pingTimeout at most.
func ping(ctx context.Context, cli *client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	_, err := cli.Ping(ctx, client.PingOptions{})
	return err
}

// whileAlive returns ctx, which also ends, with [ErrLost] as its cause, once the engine has
// not answered for longer than silence. It is for what has no limit of its own: a
// frozen engine keeps a connection open for ever. stop must be called.
func whileAlive(ctx context.Context, cli *client.Client) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(pingEvery)
		defer tick.Stop()
		lastAnswer := time.Now()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if ping(ctx, cli) == nil {
				lastAnswer = time.Now()
			} else if time.Since(lastAnswer) >= silenceLimit {
				cancel(ErrLost)
				return
			}
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
	}
}

// broken reports whether err is that of a connection, not of the engine. notAsked says
// that it was never made, so that nothing was asked of the engine.
func broken(err error) (is, notAsked bool) {
	var op *net.OpError
	isOp := errors.As(err, &op)
	notAsked = isOp && op.Op == "dial" || errors.Is(err, syscall.ECONNREFUSED) || client.IsErrConnectionFailed(err) && strings.Contains(err.Error(), "failed to connect")
	is = notAsked || isOp || client.IsErrConnectionFailed(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	return is, notAsked
}
