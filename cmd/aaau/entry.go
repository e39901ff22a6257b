package main

// entry is the program's first instruction (the linker is told so: -E in the Makefile), before
// Go's runtime. It notes how SIGTERM and SIGQUIT are handled: the runtime installs handlers of
// its own for them, and does not say whether they were ignored, as it does for SIGHUP and
// SIGINT. A program that was linked without -E knows only of the latter.
//
//lint:ignore U1000 the kernel calls it
func entry()

// termHandler and quitHandler are the handlers at the beginning (rt_sigaction(2), sa_handler).
var termHandler, quitHandler uintptr
