// Package detect keeps the drawing libraries from running tmux before main does.
//
// Lip Gloss asks "tmux info" for the colours of the terminal when it is imported,
// and waits: 20 ms of every command's start, 100 ms on a busy host, for ever where
// the tmux server hangs. This package hides $TMUX while packages are initialised.
//
// It imports nothing but os. Go initialises packages in the order of their paths
// as soon as what they import is ready, so this one comes before
// github.com/xo/terminfo, which Lip Gloss needs: it must go on importing nothing
// else.
//
// Who may write: main calls Restore, once, before anything else.
package detect
