//go:build !linux

package main

// unmapProgram is for systems that say what is mapped.
func unmapProgram() {}
