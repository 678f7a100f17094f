package logs

import (
	"github.com/nxadm/tail/watch"
	"golang.org/x/sys/unix"
)

// Of nxadm/tail/watch only its tracker is used, which turns inotify's events into a channel
// for each path. What its FileWatchers add ends the process where a file cannot be looked
// at, such as in a folder that lost its x bit, and its polling watcher is a goroutine that
// sleeps for each file.

// canWatch reports whether inotify can be had. The tracker ends the process where it cannot
// make an instance, which is its only one and stays: so it is asked for nothing before two
// could be made here.
func canWatch() bool {
	for range 2 {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		if err != nil {
			return false
		}
		defer unix.Close(fd)
	}
	return true
}

// reportsWrites reports whether a file system is known to report every write: a local one.
// What is written on another host is not reported, and an overlay's files may change below it.
func reportsWrites(path string) bool {
	var fs unix.Statfs_t
	if unix.Statfs(path, &fs) != nil {
		return false
	}
	switch uint32(fs.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.RAMFS_MAGIC,
		unix.F2FS_SUPER_MAGIC, unix.BCACHEFS_SUPER_MAGIC, unix.REISERFS_SUPER_MAGIC, unix.EXFAT_SUPER_MAGIC, unix.MSDOS_SUPER_MAGIC,
		0x2fc12fc1 /* ZFS */, 0x3153464a /* JFS */ :
		return true
	}
	return false
}

// watchFile watches a file, through a symbolic link the one that it leads to: a write, a
// truncation, a rename, a removal and a change of its mode are reported. wait returns after the
// first of them, or once stop is closed, and ends the watch; it must be running at once,
// since a change that is not received blocks all watches. wait is nil where there is none.
func watchFile(path string) (wait func(stop <-chan struct{})) {
	if !reportsWrites(path) || watch.Watch(path) != nil {
		return nil
	}
	events := watch.Events(path)
	return func(stop <-chan struct{}) {
		select {
		case <-events: // or it was closed, with another watch of the same path
		case <-stop:
		}
		// Its error says that the file has gone, and the watch with it.
		_ = watch.RemoveWatch(path)
	}
}
