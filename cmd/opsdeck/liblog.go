package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"sync"

	"github.com/redis/go-redis/v9"
)

// quietLibraries keeps libraries from writing to standard error, where a console
// is drawn: what they say goes to the default logger, which nobody hears until
// an engine runs and which is its file from then on.
var quietLibraries = sync.OnceFunc(func() {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	redis.SetLogger(redisLog{})
})

// redisLog is the Redis client's logger: retries that the queues' health tells
// better.
type redisLog struct{}

// Printf implements the client's logging interface.
func (redisLog) Printf(ctx context.Context, format string, v ...any) {
	slog.InfoContext(ctx, "redis client", "said", fmt.Sprintf(format, v...))
}

// libraryLog sends what libraries say to that logger.
func libraryLog(l *slog.Logger) {
	slog.SetDefault(l)
	log.SetFlags(0)
}
