package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

// Unit holds what a systemd unit names beside the workspace.
type Unit struct {
	// Program is the absolute path of opsdeck, User who runs it, Socket where
	// consoles find it.
	Program, User, Socket string
}

// The unit's choices, each for a reason that a stricter one would have broken:
// adapters and the reopen commands of log rotation are programs of the
// workspace's own and may write anywhere their user may, so homes and devices stay
// as they are; Docker's and Redis' sockets are in /run; PrivateTmp would hide what
// lies in /tmp, which may be the workspace or its socket.
var unitTemplate = template.Must(template.New("").Funcs(template.FuncMap{"arg": unitArg, "path": unitPath}).Parse(
	`# opsdeck serve on {{.Dir}}, written by opsdeck init --systemd.

[Unit]
Description=opsdeck on {{.Title}}
Wants=network-online.target
After=network-online.target docker.service redis-server.service redis.service
# A console may hold the workspace for now: it is tried until it is free.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={{path .Program}} serve --workspace {{arg .Dir}}{{if .File}} --config {{arg .File}}{{end}}
ExecReload=/bin/kill -HUP $MAINPID
{{if eq .User "root"}}# Better a user of its own; one in the group docker may see the containers.
# User=opsdeck
{{else}}User={{.User}}
{{end}}SyslogIdentifier=opsdeck
Restart=on-failure
RestartSec=5
# The engine pings only while it publishes and answers: one that hangs is started anew.
WatchdogSec=30
TimeoutStartSec=90
# Adapters are told to end first; what is left after that is killed.
KillMode=mixed
TimeoutStopSec=30
# An adapter that runs out of memory is the adapter's end, not the service's.
OOMPolicy=continue
LimitNOFILE=65536

# The key of the credential store, from a file that only root can read; without
# it, the environment or the workspace's .env has MODULE_ENCRYPTION_KEY.
# LoadCredential=MODULE_ENCRYPTION_KEY:/etc/opsdeck/module_encryption_key

NoNewPrivileges=yes
ProtectSystem=full
{{range .Writable}}ReadWritePaths=-{{path .}}
{{end}}{{if .PrivateTmp}}PrivateTmp=yes
{{end}}ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
`))

// unitArg returns one argument of a unit's command line: specifiers, variables and
// quotes stand for themselves (systemd.service(5), "COMMAND LINES").
func unitArg(s string) string {
	s = strings.NewReplacer(`%`, `%%`, `$`, `$$`, `\`, `\\`, `"`, `\"`).Replace(s)
	if s == "" || strings.ContainsAny(s, " \t'\\;\"") {
		return `"` + s + `"`
	}
	return s
}

// unitPath returns one path of a list of paths, which knows specifiers and quotes, but
// no variables.
func unitPath(s string) string {
	s = strings.NewReplacer(`%`, `%%`, `\`, `\\`, `"`, `\"`).Replace(s)
	if strings.ContainsAny(s, " \t'\\;\"") {
		return `"` + s + `"`
	}
	return s
}

// ShellQuote returns s as one word of a POSIX shell's command line.
func ShellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@,=%", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// under reports whether path lies in one of the folders.
func under(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return path == f || strings.HasPrefix(path, f+"/") })
}

// WriteUnit writes a systemd unit that serves the workspace to the file at path.
// It never overwrites one.
func (w *Workspace) WriteUnit(path string, u Unit) error {
	used := []string{w.Dir, w.Data}
	for _, l := range w.Logs {
		if l.Remote() {
			continue
		}
		used = append(used, filepath.Dir(l.Path))
	}
	for _, p := range append(used, u.Program, w.ConfigFile, u.User) {
		if strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("init: %q has a control character, which a unit cannot name: move it to a plain path", p)
		}
	}
	in := struct {
		Unit
		Dir, File, Title string
		Writable         []string
		PrivateTmp       bool
	}{Unit: u, Dir: w.Dir, Title: strings.ReplaceAll(w.Name, "%", "%%"), PrivateTmp: true}
	if w.ConfigFile != "" && w.ConfigFile != filepath.Join(w.Dir, FileName) {
		in.File = w.ConfigFile
	}
	for _, p := range used {
		if under(p, "/usr", "/boot", "/efi", "/etc") && !slices.Contains(in.Writable, p) {
			in.Writable = append(in.Writable, p) // ProtectSystem=full has them read-only
		}
	}
	for _, p := range append(used, u.Socket, w.Modules.Dir, w.Routing) {
		in.PrivateTmp = in.PrivateTmp && !under(p, "/tmp", "/var/tmp")
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("init: %s exists already: edit it, remove it first, or name another file with --to", path)
	}
	if err != nil {
		return fmt.Errorf("init: write the unit: %w", err)
	}
	if err := errors.Join(unitTemplate.Execute(f, in), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("init: write %s: %w", path, err), os.Remove(path))
	}
	return nil
}
