// Package emulator tests the programs against moto, an implementation of AWS
// services that this project has no part in. The tests have the build tag
// emulator and need the command moto_server:
//
//	go test -tags emulator ./test/emulator
package emulator
