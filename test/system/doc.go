// Package system tests AaaU from the outside, by what it promises to people, on
// a real systemd.
//
// `go test ./test/system` starts itself again inside the throwaway machine of
// test/sandbox/run: all tests share one, run there as root, and leave it as they
// found it. It needs root and a package in dist/ (make deb).
//
//	main_test.go       entering the sandbox; the programs that tests run inside sessions
//	machine_test.go    what a test may ask of the machine: units, journal, scopes, processes
//	people_test.go     running a program as one of the machine's accounts
//	console_test.go    the same, on a terminal
//	connect_test.go    somebody's connection to the bridge, on which the test speaks
//	held_test.go       a session that the test holds, in the bridge's place
//	shell_test.go      a person at the prompt of a session's shell
//	panes_test.go      terminals that a tmux shows, and what they show
//	models_test.go     what codex and claude ask, on the loopback interface
//	fuzz_crowd_test.go strangers, and what they send
//	ext4_test.go       a person's directory on a real ext4
package system
