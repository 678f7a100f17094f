package tui

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"charm.land/bubbles/v2/key"

	"github.com/opsdeck/opsdeck/views/pane"
)

// Commands that the console itself answers.
const (
	cmdPalette  pane.Command = "palette"
	cmdMenu     pane.Command = "actions"
	cmdHelp     pane.Command = "help"
	cmdUndo     pane.Command = "undo"
	cmdOlder    pane.Command = "older"
	cmdNewer    pane.Command = "newer"
	cmdFull     pane.Command = "full-screen"
	cmdGrow     pane.Command = "grow"
	cmdShrink   pane.Command = "shrink"
	cmdNextPane pane.Command = "next-pane"
	cmdPrevPane pane.Command = "previous-pane"
	cmdPanes    pane.Command = "panes"
	cmdShell    pane.Command = "shell"
	cmdQuit     pane.Command = "quit"
)

// scope says where a key means this.
type scope uint8

const (
	anywhere scope = iota
	inLists
	inStreams
)

// bind is one row of the table of keys.
type bind struct {
	cmd   pane.Command
	key   key.Binding
	scope scope
	group string
	// act is the key by which package state's table knows the action.
	act string
}

func b(group string, cmd pane.Command, does string, keys ...string) bind {
	return bind{cmd: cmd, group: group, key: key.NewBinding(key.WithKeys(keys...), key.WithHelp(keyNames(keys), does))}
}

func keyNames(keys []string) string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = strings.NewReplacer("up", "↑", "down", "↓", "left", "←", "right", "→").Replace(k)
		if strings.HasPrefix(k, "pg") || strings.HasPrefix(k, "ctrl") {
			names[i] = strings.Replace(k, "+", "-", 1)
		}
	}
	return strings.Join(names, " ")
}

func in(s scope, x bind) bind { x.scope = s; return x }

func act(k, name, does string) bind {
	x := in(inLists, b("Change", pane.Command(name), does, k))
	x.act = k
	return x
}

// table returns every key. Letters of actions are those of package state's table.
func table() []bind {
	t := []bind{
		b("Move", pane.Down, "down", "j", "down"),
		b("Move", pane.Up, "up", "k", "up"),
		b("Move", pane.Top, "first", "g", "home"),
		b("Move", pane.Bottom, "last", "G", "end"),
		b("Move", pane.HalfDown, "half a page down", "ctrl+d"),
		b("Move", pane.HalfUp, "half a page up", "ctrl+u"),
		b("Move", pane.PageDown, "a page down", "pgdown"),
		b("Move", pane.PageUp, "a page up", "pgup"),
		in(inStreams, b("Move", pane.Left, "scroll left", "left")),
		in(inStreams, b("Move", pane.Right, "scroll right", "right")),
		in(inLists, b("Move", pane.Left, "fold a group; to its heading", "left", "h")),
		in(inLists, b("Move", pane.Right, "unfold a group", "right", "l")),

		b("Look", pane.Open, "open", "enter", "d"),
		b("Look", pane.Back, "back; at the top, quit asks", "esc", "q"),
		b("Look", pane.Beside, "detail beside the list", "p"),
		b("Look", pane.TabNext, "next tab inside the pane", "]"),
		b("Look", pane.TabPrev, "previous tab inside the pane", "["),
		b("Look", pane.Search, "search in streams and open details, filter in lists; ! inverts", "/"),
		in(inStreams, b("Look", pane.FindNext, "next hit (older)", "n")),
		in(inStreams, b("Look", pane.FindPrev, "previous hit (newer)", "N")),
		in(inLists, b("Look", pane.FindNext, "next hit in an open detail", "n")),
		in(inLists, b("Look", pane.FindPrev, "previous hit in an open detail", "N")),
		in(inStreams, b("Look", pane.Keep, "keep lines that pass a filter; ! drops them", "&")),
		in(inStreams, b("Look", pane.CountBy, "count by pattern or field", "#")),
		in(inStreams, b("Look", pane.Columns, "fields as columns", "|")),
		in(inStreams, b("Look", pane.GoTo, "go to a time", "@")),
		in(inStreams, b("Look", pane.Bars, "histogram", "h")),
		in(inStreams, b("Look", pane.Earlier, "back along the histogram", "<")),
		in(inStreams, b("Look", pane.Later, "forward along the histogram", ">")),
		in(inStreams, b("Look", pane.Save, "write what passes to a file", "W")),
		in(inStreams, b("Look", pane.ErrNext, "next error", "e")),
		in(inStreams, b("Look", pane.ErrPrev, "previous error", "E")),
		in(inStreams, b("Look", pane.LevelNext, "all levels, warnings and worse, errors only", "l")),
		in(inStreams, b("Look", pane.Times, "timestamps", "t")),
		in(inStreams, b("Look", pane.Wrap, "wrap lines", "w")),
		in(inStreams, b("Look", pane.Raw, "JSON records as written, or message first", "r")),
		in(inStreams, b("Look", pane.Bookmark, "bookmark", "m")),
		in(inStreams, b("Look", pane.BookNext, "next bookmark", "'")),
		b("Look", pane.Follow, "follow; back to now; rows in order", "F"),
		b("Look", pane.Mark, "mark; actions take the marked", "space"),
		b("Look", pane.MarkRange, "mark a range", "v"),
		in(inLists, b("Look", pane.SortNext, "sort; again reverses", "s")),
		in(inLists, b("Look", pane.Columns, "choose columns", "|")),
		in(inLists, b("Look", pane.FoldAll, "fold or unfold all groups", "z")),
		b("Look", pane.CopyRow, "copy", "y"),
		b("Look", cmdOlder, "back in time, every pane", "o"),
		b("Look", cmdNewer, "forward in time", "O"),

		b("Panes", cmdNextPane, "next pane", "tab"),
		b("Panes", cmdPrevPane, "previous pane", "shift+tab"),
		b("Panes", cmdPanes, "all panes, found as one types", "0"),
		b("Panes", cmdFull, "full screen", "f"),
		b("Panes", cmdGrow, "grow", "+", "="),
		b("Panes", cmdShrink, "shrink", "_", "-"),

		b("Act", cmdPalette, "commands", ":"),
		b("Act", cmdMenu, "the actions of this row, with the reasons for those it does not allow", "x"),
		b("Act", cmdHelp, "help", "?"),
		b("Act", cmdUndo, "undo the last action that can be undone", "u"),
		in(inLists, b("Act", pane.Edit, "edit in $EDITOR what is staged before it changes anything", "e")),
		in(inLists, b("Act", cmdShell, "shell in the container", "!")),
		b("Act", cmdQuit, "quit asks", "ctrl+c"),

		act("E", "enable", "enable or disable, apply"),
		act("L", "reload", "reload"),
		act("T", "rotate", "rotate credentials or a log file"),
		act("R", "restart", "restart"),
		act("S", "start-stop", "start or stop, pause or resume; save a filter of logs"),
		act("A", "acknowledge", "acknowledge an alert, confirm a change; watch a log"),
		act("M", "silence", "silence an alert"),
		act("Q", "requeue", "requeue failed items, retry a failed job"),
	}
	// Logs are rotated and watched, and filters saved, from the stream's pane as well.
	for i := range t {
		if strings.Contains("TAS", t[i].act) && t[i].act != "" {
			t[i].scope = anywhere
		}
	}
	for i := 1; i <= 9; i++ {
		k := fmt.Sprint(i)
		t = append(t, b("Panes", pane.Command("pane-"+k), "pane "+k, k))
	}
	return t
}

// keymap is the table with the user's own keys.
type keymap struct{ binds []bind }

func newKeymap(own map[string]string) keymap {
	t := table()
	for i := range t {
		if k := own[string(t[i].cmd)]; k != "" {
			k = strings.ReplaceAll(k, "ctrl-", "ctrl+")
			t[i].key.SetKeys(k)
			t[i].key.SetHelp(keyNames([]string{k}), t[i].key.Help().Desc)
		}
	}
	return keymap{t}
}

// lookup returns what a key means in a pane, or nil.
func (m keymap) lookup(k fmt.Stringer, stream bool) *bind {
	for i := range m.binds {
		x := &m.binds[i]
		if x.scope == inLists && stream || x.scope == inStreams && !stream {
			continue
		}
		if key.Matches(k, x.key) {
			return x
		}
	}
	return nil
}

// elsewhere returns what the key would mean in the other kind of pane, or nil.
func (m keymap) elsewhere(k fmt.Stringer, stream bool) *bind { return m.lookup(k, !stream) }

// of returns the first key of a command, as it is shown.
func (m keymap) of(cmd pane.Command) string {
	for i := range m.binds {
		if m.binds[i].cmd == cmd {
			return m.binds[i].first()
		}
	}
	return ""
}

// ofAct returns the key of the action that package state knows by that letter.
func (m keymap) ofAct(letter string) string {
	for i := range m.binds {
		if m.binds[i].act == letter {
			return m.binds[i].first()
		}
	}
	return letter
}

func (x *bind) first() string {
	first, _, _ := strings.Cut(x.key.Help().Key, " ")
	return first
}

// never are the keys that may not be bound, and whose they are.
var never = map[string]string{
	"ctrl+a": "tmux's and screen's prefix", "ctrl+b": "tmux's prefix", "ctrl+space": "input methods",
	"ctrl+@": "input methods", "ctrl+s": "the terminal's flow control", "ctrl+q": "the terminal's flow control",
	"ctrl+z": "the shell's suspend", `ctrl+\`: "the terminal's quit", "ctrl+]": "telnet's escape", "~": "ssh's escape",
	"f1": "the terminal's help", "f10": "the terminal's menu", "f11": "the terminal's full screen",
}

// Clashes returns the faults of a rebinding: unknown commands, keys bound twice, and
// keys that belong to the terminal, to tmux or to ssh. nil asks about the
// defaults.
func Clashes(own map[string]string) []string {
	var out []string
	m := newKeymap(own)
	known := map[string]bool{}
	for _, x := range m.binds {
		known[string(x.cmd)] = true
	}
	for name := range own {
		if !known[name] {
			out = append(out, fmt.Sprintf("keys: there is no command %q: opsdeck's README lists them", name))
		}
	}
	for name, k := range own {
		if !keyName(k) {
			out = append(out, fmt.Sprintf("keys: %s is bound to %q, which is no key: a character, or a name such as enter, f5 or ctrl+r, was expected", name, k))
		}
	}
	for i, x := range m.binds {
		for _, k := range x.key.Keys() {
			if whose := never[strings.ToLower(k)]; whose != "" {
				out = append(out, fmt.Sprintf("keys: %s is bound to %s, but is %s: choose another", x.cmd, k, whose))
			}
			if strings.HasPrefix(k, "alt+") || strings.HasPrefix(k, "alt-") || strings.HasPrefix(k, "meta+") {
				out = append(out, fmt.Sprintf("keys: %s is bound to %s, but many terminals cannot tell an Alt chord from Esc and a key: choose another", x.cmd, k))
			}
			for _, y := range m.binds[i+1:] {
				both := x.scope == y.scope || x.scope == anywhere || y.scope == anywhere
				if both && slices.Contains(y.key.Keys(), k) {
					out = append(out, fmt.Sprintf("keys: %s is bound to both %s and %s", k, x.cmd, y.cmd))
				}
			}
		}
	}
	sort.Strings(out)
	return out
}

// keyName reports whether k names a key as terminals report it: one character, or
// a named key, with modifiers before it.
func keyName(k string) bool {
	for _, mod := range []string{"ctrl+", "alt+", "shift+", "meta+"} {
		k = strings.TrimPrefix(k, mod)
	}
	switch k {
	case "enter", "esc", "tab", "space", "backspace", "delete", "insert", "home", "end", "pgup", "pgdown", "up", "down", "left", "right":
		return true
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(k, "f")); err == nil && strings.HasPrefix(k, "f") && n >= 1 && n <= 20 {
		return true
	}
	r, n := utf8.DecodeRuneInString(k)
	return n > 0 && n == len(k) && r != utf8.RuneError && unicode.IsPrint(r)
}

// CheatSheet returns the table of keys as Markdown.
func CheatSheet() string {
	var out strings.Builder
	group := ""
	for _, x := range table() {
		if strings.HasPrefix(string(x.cmd), "pane-") && x.cmd != "pane-1" {
			continue
		}
		h := x.key.Help()
		if x.group != group && !(group != "" && x.cmd == "pane-1") {
			group = x.group
			fmt.Fprintf(&out, "\n| %s | does | command |\n|---|---|---|\n", group)
		}
		keys := make([]string, 0, 2)
		for _, k := range strings.Fields(h.Key) {
			keys = append(keys, "`"+k+"`")
		}
		does := h.Desc
		if x.cmd == "pane-1" {
			keys, does = []string{"`1` to `9`"}, "focus a pane"
		}
		switch x.scope {
		case inStreams:
			does += " (in streams)"
		case inLists:
			does += " (in lists)"
		}
		fmt.Fprintf(&out, "| %s | %s | %s |\n", strings.Join(keys, " "), does, x.cmd)
	}
	return strings.TrimLeft(out.String(), "\n")
}
