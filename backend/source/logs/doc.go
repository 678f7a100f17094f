// Package logs is the source of the logs section: files that are followed, on this host
// and others, and the logs of containers and systemd's journal while they are
// shown. It also rotates files.
//
// It owns the followed descriptors, the newest records of every source and the
// rotation of log files. It refuses to lose a line that was written, to double
// one, and to hide that a truncation destroyed some. No other package writes
// [state.Logs]. Everything published has passed the mask and [state.Clean].
//
// # How a file is followed
//
// A follower keeps its descriptor. On every poll it compares the size with its
// place, and the bytes just before its place and at the file's head with what it
// read there, so that a file which was truncated and has grown past the old place
// is noticed too. When the path names another file, the old one is read on until
// it has been quiet for a while (a daemon writes to it until it is signalled to reopen),
// beside the new one, which is read from its beginning. Between two polls a file
// may be rotated more than once: rotated siblings that were not there before are
// read as well. When a file shrinks, a sibling that holds the same bytes up to the
// place reached (what copy-and-truncate made) provides what was not read yet;
// otherwise what was known to be unread is counted in LostBytes. Both counts are
// lower bounds: what was written and destroyed between two polls is unknown,
// unless the writer kept its place: then the hole in the new file shows it. A block is
// passed on only if the file still holds its beginning after it was read, since a
// truncation may come in the middle of reading.
//
// # What is kept
//
// Blocks of whole lines are kept raw until the next publication, which is when
// they are parsed into records: of a flood, only what still fits into the retained
// tail is ever parsed; of the rest lines and errors are counted. What is retained
// is bounded in bytes, for each source and over all.
//
// # How a log is searched
//
// Package scan reads an input into records and searches them. Its inputs that are not
// files made beforehand stand here: a file that is followed, a container's log, the
// journal, a file behind ssh. The source follows the journal and files behind ssh through
// the same inputs, each in a goroutine that sends the loop its lines (remoteFeed).
//
// # How a file on another host is followed
//
// A shell script that ssh runs there follows the file that has the name by its descriptor,
// and ends when the name refers to another file, or the file was cut off. The
// next connection begins with that file, or, after a link that broke, where the last one
// had come to: if the inode and the bytes before that place are as they were. What is
// written to a file that is rotated while there is no link is lost, and only that.
//
// # How a log is shown beyond its tail
//
// A console requests it by its interest: [state.LogView] names a log, a place, a time or
// what is to be found next. For each such log an [index.Viewer] answers it, and publishes
// the answer in [state.Logs].Views. Only what is followed here can be viewed.
//
// # How a log is watched
//
// A watch (watch.go) counts the records of some sources that pass a filter, from when it
// began on: what was there before does not count. Its lines are counted where they are read,
// before it is decided which of them are kept, so that a flood is counted whole; a record
// counts once another begins or nothing has come for 100 ms. A source is read once
// however many watches it has, and [Source.SetWatching] changes watches while the others go
// on counting. A container that is watched is read while it runs and for a moment after.
// Nothing is remembered over a restart of opsdeck but in the time series.
//
// # How a clear is undone
//
// See restore.go. Until it is done the file is held: its followers wait, and continue
// after what was put in front. Other programs that follow the file see lines without text
// come and then a file that is another; tail -F prints it again.
//
// # Adding an input
//
// Write a function that returns a [scan.Input], as FollowFile does; the format of a line
// is added in package scan.
//
// # What wakes a follower
//
// While a file is being written to it is polled: every 10 ms, and every millisecond where it
// is flooded, since what is truncated away between two polls is lost. Once it is quiet it is
// watched (wake.go), and polled once more, since it may have changed meanwhile. The
// watch reports one change and ends, so that a flood is not reported write by write: at
// 100,000 writes a second the notifications alone cost more than reading does.
//
// A watch is a hint and never more: a follower that is woken polls as always, by descriptor,
// size and contents. Watched files are also polled every second, for what no event reports: a
// folder above that is another, a link that leads elsewhere, a write through mmap, a second
// name of the file that is watched. A file that is not there, is rotated and not quiet yet,
// or cannot be read is polled every 100 ms, and so is everything where nothing can be
// watched: beyond the limits of inotify, on file systems of other hosts or that lie over
// others, on other systems than Linux.
//
// # Why of nxadm/tail the tracker alone
//
// Its tail loses lines (see BenchmarkNxadmTail), and its watchers end the process where a file
// cannot be read. Below them is one tracker of the process that turns inotify's events
// into a channel for each path. It cannot be ended: two goroutines and a descriptor stay
// from the first watch on. It blocks until an event is received, so a watch is ended
// by the goroutine that took its first. It ends the process where inotify cannot be had,
// so that is tried before (canWatch). Where two watch one path, one may get the other's
// event: both then poll, at once or a second later.
package logs
