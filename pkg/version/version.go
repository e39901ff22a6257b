// Package version holds the version that the build stamps into all three
// programs.
package version

// Version is set by the linker (see the Makefile); "dev" marks a build by hand.
var Version = "dev"
