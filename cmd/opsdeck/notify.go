package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/opsdeck/opsdeck/backend/session"
)

// manager is the service manager that started opsdeck serve, as far as it wants
// to be told (sd_notify(3)). Without one, telling it does nothing.
type manager struct{ log *slog.Logger }

func (m manager) tell(lines ...string) {
	if _, err := daemon.SdNotify(false, strings.Join(lines, "\n")); err != nil {
		m.log.Warn("the service manager is not told", "err", err)
	}
}

// status returns what `systemctl status` shows: one line.
func status(format string, args ...any) string {
	text := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	return "STATUS=" + text[:min(len(text), 500)]
}

// ready says that the engine answers.
func (m manager) ready(text string) { m.tell("READY=1", status("%s", text)) }

// reloading says that settings are being read again; ready ends it.
func (m manager) reloading() {
	m.tell("RELOADING=1", daemon.SdNotifyMonotonicUsec(), status("reading the workspace file again"))
}

func (m manager) stopping() { m.tell("STOPPING=1", status("stopping")) }

// watch pings the manager's watchdog for as long as ctx lasts and the daemon is
// alive. Where it is not, the pings stop, and the manager starts it anew.
func (m manager) watch(ctx context.Context, d *session.Daemon) {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		m.log.Warn("the watchdog is not served", "err", err)
	}
	if err != nil || limit <= 0 {
		return
	}
	tick := time.NewTicker(limit / 3)
	defer tick.Stop()
	for {
		if err := d.Alive(ctx, limit/3); err == nil {
			m.tell("WATCHDOG=1")
		} else if ctx.Err() == nil {
			m.log.Error("watchdog: no ping", "err", err)
			m.tell(status("it hangs: %v", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
