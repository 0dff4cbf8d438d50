//go:build !linux

package main

// withoutNewPrivileges starts a process as it is: only Linux, where images run, has
// a way to keep it from gaining privileges.
func withoutNewPrivileges(fork func() (int, error)) (int, error) { return fork() }
