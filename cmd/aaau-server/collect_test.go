package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// There is no garbage collected by the clock, and still neither more garbage than there is
// memory in use, nor a collection for each bit of it, whether much is in use or little.
func TestCollectWhenGrown(t *testing.T) {
	percent := debug.SetGCPercent(100)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(math.MaxInt64)
	})
	collectWhenGrown()
	if got := debug.SetGCPercent(-1); got != -1 {
		t.Fatalf("there is a percentage, %d, and so a clock", got)
	}
	const piece, garbage = 64 << 10, 512 << 20
	for _, inUse := range []int{0, 64 << 20, 0} {
		var keep [][]byte
		for range inUse / piece {
			keep = append(keep, make([]byte, piece))
		}
		// What was kept before is garbage now. A collection that another one overlaps may
		// not be heard of; the next one is.
		for began := time.Now(); ; time.Sleep(time.Millisecond) {
			runtime.GC()
			if debug.SetMemoryLimit(-1) < int64(2*inUse+8*leastGarbage) {
				break
			}
			if time.Since(began) > time.Minute {
				t.Fatalf("with %d MiB in use, there may be %d", inUse>>20, debug.SetMemoryLimit(-1)>>20)
			}
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		largest := uint64(0)
		for range garbage / piece {
			dropped = make([]byte, piece)
			runtime.ReadMemStats(&after)
			largest = max(largest, after.HeapAlloc)
		}
		runtime.KeepAlive(keep)
		// Some may be made while it is collected, and cleanups come a little later: on a busy
		// machine a small heap has been collected more than twice as often as it should be.
		times, most := after.NumGC-before.NumGC, uint64(3*inUse+16*leastGarbage)
		t.Logf("%d MiB in use: %d collections for %d MiB, at most %d MiB", inUse>>20, times, garbage>>20, largest>>20)
		if largest > most || times < 2 || times > 4*garbage/leastGarbage {
			t.Errorf("more than %d MiB, or fewer than 2 or more than %d collections", most>>20, 4*garbage/leastGarbage)
		}
	}
}

var dropped []byte
