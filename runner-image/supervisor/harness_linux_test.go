package main

import "syscall"

// adoptOrphans makes this process the parent of orphans below it, which the first
// process of a container is by nature.
func adoptOrphans() {
	const prSetChildSubreaper = 36
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0); errno != 0 {
		panic(errno)
	}
}
